"""What is measured is how far the outputs really move."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair
from tf_equiv import compat
from tf_equiv.core import observation
from tf_equiv.tf2 import sensitivity

v1 = tf.compat.v1


def norm(x, **arguments):
  return v1.layers.batch_normalization(x, name='norm', **arguments)


def network(x, training=False, fused=True):
  net = v1.layers.conv2d(x, 3, 2, name='conv')
  net = tf.nn.relu(norm(net, training=training, fused=fused))
  return v1.layers.dense(tf.reduce_mean(net, [1, 2]), 2, name='out')


def run(build, training=False, seed_mode=None, **methods):
  """Returns what a comparison of a network with itself proves."""
  case = pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(4, 6, 6, 2),
      build_tf1=build,
      build_tf2=pair.shim(build),
      **methods,
    )
  )
  return case.assertForwardEquivalent(training=training, seed_mode=seed_mode)


class SensitivityTest(parameterized.TestCase):
  @parameterized.parameters(True, False)
  def test_moving_statistics_count_in_inference(self, fused):
    verdict = run(lambda x, training: network(x, fused=fused))
    self.assertEqual(verdict.power, 'outputs respond to 8 of 8 variables')
    self.assertLen(verdict.response.effects, 8)

  def test_initial_weights(self):
    verdict = run(
      lambda x, training: network(x), seed_mode=tf_equiv.SeedMode.CONSTANT
    )
    self.assertEqual(verdict.power, 'outputs respond to 8 of 8 variables')

  def test_moving_statistics_of_training_are_compared_by_their_updates(self):
    verdict = run(network, training=True)
    self.assertStartsWith(verdict.power, 'outputs respond to ')
    self.assertEndsWith(verdict.power, '; 2 more are compared by their updates')
    self.assertEqual(
      verdict.response.updated, ('norm/moving_mean', 'norm/moving_variance')
    )

  def test_effects_are_those_of_finite_differences(self):
    """The effect of a statistic is that of moving it, in float64."""
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype(np.float32)
    start = [[1.0, 0.5, -2.0, 1.5], [0.1, 0.2, 0.3, 0.4]]
    start += [[0.3, -0.2, 0.1, 0.0], [2.0, 0.5, 1.0, 3.0]]
    variables = [tf.Variable(np.array(v, np.float32)) for v in start]
    specs = [
      observation.VariableSpec(name, (4,), 'float32', name < 'm')
      for name in ('gamma', 'beta', 'mean', 'variance')
    ]

    def call():
      return v1.nn.fused_batch_norm(x, *variables, is_training=False)[0]

    with tf.GradientTape() as tape:
      effects = sensitivity.Tape(tape, True)
      effects.watch(variables)
      y = call()
      effects.project(y)
    found = effects.effects(variables, specs)
    self.assertFalse(any(value == 0 for value in found.values()))
    factors = np.random.default_rng(0).normal(size=y.shape)
    for spec, variable in zip(specs, variables, strict=True):
      gradient = []
      value = variable.numpy()
      for i in range(4):
        moved = []
        for sign in (1, -1):
          variable.assign(value + sign * 1e-2 * np.eye(4, dtype='f')[i])
          moved.append(np.sum(call().numpy() * factors))
        variable.assign(value)
        gradient.append((moved[0] - moved[1]) / 2e-2)
      size = np.sqrt(np.mean(np.square(value)))
      wanted = np.linalg.norm(gradient) * size / np.abs(y).max()
      np.testing.assert_allclose(found[spec.name], wanted, rtol=1e-2)

  def test_the_registry_of_gradients_is_restored(self):
    def gradient():
      mean = tf.Variable([0.5])
      with tf.GradientTape() as tape:
        y = v1.nn.fused_batch_norm(
          tf.ones([1, 2, 2, 1]), [1.0], [0.0], mean, [2.0], is_training=False
        )[0]
      return tape.gradient(y, mean)

    with compat.batch_norm_statistics_differentiated():
      self.assertIsNotNone(gradient())
    self.assertIsNone(gradient())
    with self.assertRaises(KeyError):
      with compat.batch_norm_statistics_differentiated():
        raise KeyError
    self.assertIsNone(gradient())

  def test_silent_layers_are_named(self):
    def build(x, training):
      del training
      x = tf.reduce_mean(x, [1, 2])
      used = v1.layers.dense(x, 3, name='used')
      dead = v1.layers.dense(x, 3, name='block/dead')
      return used + 0.0 * dead + norm(x[:, :1], trainable=False) * 0.0

    verdict = run(build)
    self.assertEqual(
      verdict.power,
      'outputs respond to 2 of 8 variables, not to layer block/dead (2 '
      'variables), layer norm (4 variables)',
    )
    self.assertEqual(
      [(s.name, len(s.silent)) for s in verdict.response.silent_layers],
      [('block/dead', 2), ('norm', 4)],
    )

  def test_small_output_beside_a_large_one(self):
    def build(x, training):
      del training
      x = tf.reduce_mean(x, [1, 2])
      large = 1e6 * v1.layers.dense(x, 3, name='large')
      return large, 1e-6 * v1.layers.dense(x, 3, name='small')

    self.assertEqual(run(build).power, 'outputs respond to 4 of 4 variables')


if __name__ == '__main__':
  absltest.main()
