"""A test class does not grow with the number of its assertions."""

import gc

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

v1 = tf.compat.v1

_FIRST, _MORE = 10, 6
_MOST = 2.0  # megabytes for each further assertion


@tf.custom_gradient
def halved(x):
  """Halves, with a second derivative of its own."""

  @tf.custom_gradient
  def gradient(dy):
    return 0.5 * dy, lambda second: 0.5 * second

  return 0.5 * x, gradient


def network(x, slope):
  for i in range(4):
    x = tf.nn.leaky_relu(v1.layers.dense(x, 16, name=f'd{i}'), slope)
    x = halved(x)
  return v1.layers.dense(x, 1, name='out')


class Case(tf_equiv.MigrationTestCase):
  slope = 0.2

  def make_inputs(self):
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 8)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return network(inputs, 0.2)

  def build_tf2(self):
    slope = self.slope

    class Model(tf.keras.layers.Layer):
      @tf_equiv.track_tf1_style_variables
      def call(self, x):
        return network(x, slope)

    return Model()


def resident():
  """Returns the resident memory of this process, in megabytes."""
  with open('/proc/self/status', encoding='ascii') as file:
    line = next(line for line in file if line.startswith('VmRSS:'))
  return int(line.split()[1]) / 1024


def graphs():
  gc.collect()
  return sum(isinstance(each, tf.Graph) for each in gc.get_objects())


class MemoryTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    Case.setUpClass()
    self.addCleanup(Case.tearDownClass)

  def _grown(self, run):
    """Returns by how much each assertion after the first ones grows."""
    for _ in range(_FIRST):
      run()
    before, count = resident(), graphs()
    for _ in range(_MORE):
      run()
    self.assertLessEqual(graphs(), count)
    return (resident() - before) / _MORE

  def test_failing(self):
    case = Case()
    case.slope = 0.21

    def run():
      with self.assertRaises(AssertionError):
        case.assertForwardEquivalent()

    self.assertLess(self._grown(run), _MOST)

  def test_passing_gradients(self):
    self.assertLess(self._grown(Case().assertGradientsClose), _MOST)


if __name__ == '__main__':
  absltest.main()
