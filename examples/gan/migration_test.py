"""Validates three training steps of the GAN: two losses, two optimizers."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
from absl.testing import absltest, parameterized

from examples.gan import legacy, native


class GanTest(tf_equiv.MigrationTestCase, parameterized.TestCase):
  """The loop as a whole: the TF1 side needs no `build_tf1`."""

  def make_batch(self, step):
    rng = np.random.default_rng(step)
    return {
      'samples': rng.normal(size=(16, legacy.FEATURES)).astype(np.float32),
      'noise': rng.normal(size=(16, legacy.NOISE)).astype(np.float32),
    }

  def train_tf1(self, inputs):
    return legacy.training_graph(**inputs)

  def build_tf2(self):
    return native.Gan()

  def build_tf2_optimizer(self):
    self.optimizers = native.make_optimizers()
    return self.optimizers

  def train_tf2(self, model, inputs):
    return native.train_step(model, self.optimizers, **inputs)

  @parameterized.named_parameters(*tf_equiv.SEED_MODES)
  def test_training(self, seed_mode):
    verdict = self.assertTrainingEquivalent(
      seed_mode=seed_mode, steps=3, weights='fixed'
    )
    self.assertEqual(verdict.compared['steps'], 3)

  def test_swapped_variables_are_found(self):
    def swapped():
      first, second = native.make_optimizers().values()
      self.optimizers = {'discriminator': second, 'generator': first}
      return self.optimizers

    self.build_tf2_optimizer = swapped
    with self.assertRaisesRegex(
      AssertionError,
      'Training diverges at step 1 of 3 in the learning rate: 2 of 2',
    ):
      self.assertTrainingEquivalent(steps=3, weights='fixed')


if __name__ == '__main__':
  absltest.main()
