"""Validates the migration of Inception-ResNet-v2, all steps of the guide.

The numbers are those that TensorFlow's guide "Validating correctness &
numerical equivalence" prints for an image of ones.
"""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim
from absl.testing import absltest

from examples.inception_resnet_v2 import migrated, network

NUM_CLASSES = 1000
NUM_VARIABLES = 1114


class Migration(tf_equiv.MigrationTestCase):
  """The two sides; subclasses say with which inputs."""

  def build_tf1(self, inputs, training):
    with slim.arg_scope(network.arg_scope()):
      return network.inception_resnet_v2(
        inputs, NUM_CLASSES, is_training=training
      )

  def build_tf2(self):
    return migrated.InceptionResnetV2(NUM_CLASSES)

  def compute_loss(self, outputs, inputs):
    """Cross entropy, with the auxiliary classifier counting 0.4."""
    logits, end_points = outputs
    labels = tf.range(inputs.shape[0], dtype=tf.int32)
    losses = [
      tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
      for x in (logits, end_points['AuxLogits'])
    ]
    return tf.reduce_mean(losses[0] + 0.4 * losses[1])


class OnesMigration(Migration):
  """The guide's own inputs and weights."""

  reset_weights = tf_equiv.constant_weights(0.001)

  def make_inputs(self):
    size = network.DEFAULT_IMAGE_SIZE
    return np.ones((1, size, size, 3), np.float32)


class RandomMigration(Migration):
  """Inputs that prove something: batch statistics are not degenerate."""

  def make_inputs(self):
    size = network.DEFAULT_IMAGE_SIZE
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, size, size, 3)).astype(np.float32)


class FunctionalMigration(OnesMigration):
  """The layer inside of a Keras functional model."""

  def build_tf2(self):
    size = network.DEFAULT_IMAGE_SIZE
    inputs = tf.keras.Input((size, size, 3))
    return tf.keras.Model(inputs, super().build_tf2()(inputs))


def regularization_loss(verdict):
  """Returns the sum of the regularization losses, (TF1's, TF2's)."""
  total = verdict.comparisons['regularization losses'][-1]
  return total.tf1_value, total.tf2_value


def a_logit(verdict):
  """Returns one of the logits, (TF1's, TF2's)."""
  (logits,) = (
    c for c in verdict.comparisons['outputs'] if c.name[-3:] == '[0]'
  )
  return logits.tf1_value, logits.tf2_value


class GuideTest(OnesMigration):
  """The guide's steps, with the guide's numbers."""

  def assertPrinted(self, values, printed):
    for value in values:
      # The sum of a constant tensor depends on the threads that share it.
      np.testing.assert_allclose(value, printed, rtol=5e-6)

  def test_step1_no_new_variables(self):
    verdict = self.assertNoNewVariables()
    self.assertEqual(verdict.compared['variables'], NUM_VARIABLES)

  def test_step2_variables_match(self):
    verdict = self.assertVariablesMatch()
    self.assertEqual(verdict.compared['variables'], NUM_VARIABLES)

  def test_step3_fixed_weights(self):
    verdict = self.assertForwardEquivalent()
    self.assertPrinted(regularization_loss(verdict), 0.001182976)
    self.assertPrinted(a_logit(verdict), 0.00299837)

  def test_step4_inference(self):
    verdict = self.assertForwardEquivalent(seed_mode='num_random_ops')
    self.assertPrinted(regularization_loss(verdict), 1.2254326)

  def test_step4_training(self):
    verdict = self.assertTrainingEquivalent(seed_mode='num_random_ops')
    self.assertPrinted(regularization_loss(verdict), 1.22548)


class FunctionalTest(FunctionalMigration):
  def test_constant_mode_passes(self):
    verdict = self.assertTrainingEquivalent(seed_mode='constant')
    for value in regularization_loss(verdict):
      np.testing.assert_allclose(value, 1.2239965, rtol=5e-6)

  def test_num_random_ops_fails_and_says_why(self):
    with self.assertRaises(AssertionError) as caught:
      self.assertTrainingEquivalent(seed_mode='num_random_ops')
    text = str(caught.exception)
    self.assertStartsWith(text, 'Initial weights differ: 1 of 1114')
    self.assertIn('InceptionResnetV2/Logits/Logits/weights', text)
    self.assertIn('random numbers are drawn in another order', text)
    self.assertRegex(
      text, r'random_uniform\[1x1536\] in .*: TF1 draw \d+, TF2 draw \d+'
    )
    self.assertIn('network.py:', text)
    self.assertIn('TF2 creates all variables before the forward pass', text)


class RandomInputsTest(RandomMigration):
  def test_inference(self):
    self.assertForwardEquivalent(seed_mode='num_random_ops')

  def test_training(self):
    self.assertTrainingEquivalent(seed_mode='num_random_ops')

  def test_gradients(self):
    verdict = self.assertGradientsClose(seed_mode='num_random_ops')
    trainable = [c for c in verdict.comparisons['gradients'] if c.count]
    self.assertGreater(len(trainable), 600)


if __name__ == '__main__':
  absltest.main()
