"""Behaviours of TF1 and TF2 hold where they are wanted, and are restored."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.compat.fresh_python import run
from tf_equiv import compat
from tf_equiv.compat import behavior

v1 = tf.compat.v1

_LEGACY = """
import numpy as np
import tensorflow.compat.v1 as tf

{switch}

def net(x, training):
  with tf.variable_scope('net'):
    x = tf.layers.dense(x, 8, name='hidden')
    x = tf.layers.batch_normalization(x, training=training, name='bn')
    x = tf.layers.dropout(x, 0.5, training=training)
    return tf.layers.dense(x, 2, name='output')

{use_graph}
import tf_equiv
import tensorflow.compat.v2 as tf2

class Layer(tf2.keras.layers.Layer):
  @tf_equiv.track_tf1_style_variables
  def call(self, x, training=None):
    return net(x, bool(training))

class Native(tf2.keras.Model):
  def __init__(self):
    super().__init__(name='net')
    layers = tf2.keras.layers
    self.hidden = layers.Dense(8, name='hidden')
    self.bn = layers.BatchNormalization(name='bn')
    self.output_layer = layers.Dense(2, name='output')
  def call(self, x, training=None):
    x = self.bn(self.hidden(x), training=training)
    return self.output_layer(x)

class Test(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(4, 5)).astype('float32')
  def build_tf1(self, inputs, training):
    return net(inputs, training)
  def build_tf2(self):
    return Layer()
  def runTest(self):
    self.assertNoNewVariables()
    self.assertVariablesMatch()
    self.assertForwardEquivalent()
    for _, mode in tf_equiv.SEED_MODES:
      self.assertForwardEquivalent(seed_mode=mode)
      self.assertTrainingEquivalent(seed_mode=mode)
      self.assertGradientsClose(seed_mode=mode)

class NativeTest(Test):
  def build_tf2(self):
    return Native()
  def runTest(self):
    self.assertVariablesMatch()
    self.assertForwardEquivalent()

Test().debug()
NativeTest().debug()
assert not tf.executing_eagerly()  # the module's choice is not undone
print('all passed')
"""


class LegacyModuleTest(absltest.TestCase):
  """Modules that switch the process to TF1 when they are imported."""

  def _run(self, switch, use_graph=''):
    status, output = run(
      _LEGACY.format(switch=switch, use_graph=use_graph),
      'import tensorflow',
      TF_USE_LEGACY_KERAS='1',
    )
    self.assertEqual(status, 0, output)
    self.assertIn('all passed', output)

  def test_disable_v2_behavior(self):
    self._run('tf.disable_v2_behavior()')

  def test_disable_eager_execution(self):
    self._run('tf.disable_eager_execution()')

  def test_disable_v2_behavior_and_a_graph_was_built(self):
    # From here on tf.compat.v1.enable_v2_behavior() would raise.
    self._run('tf.disable_v2_behavior()', 'tf.placeholder("float32", [2])')


class BehaviorsTest(absltest.TestCase):
  def test_behaviors_hold_and_are_restored(self):
    state = {name: bool(t[0]()) for name, t in behavior._toggles().items()}
    wanted = {name: not on for name, on in state.items()}
    with self.assertRaisesRegex(RuntimeError, 'boom'):
      with compat.behaviors(**wanted):
        for name, on in wanted.items():
          self.assertEqual(bool(behavior._toggles()[name][0]()), on, name)
        raise RuntimeError('boom')
    for name, on in state.items():
      self.assertEqual(bool(behavior._toggles()[name][0]()), on, name)

  def test_v1_shapes_during_the_graph_build(self):
    class Case(tf_equiv.MigrationTestCase):
      def make_inputs(self):
        return np.ones((2, 3), np.float32)

      def build_tf1(self, inputs, training):
        width = inputs.get_shape()[-1].value
        return inputs * v1.get_variable('w', [width])

      def build_tf2(self):
        class Module(tf.Module):
          def __init__(self):
            self.w = tf.Variable(tf.ones([3]), name='w')

          def __call__(self, x):
            return x * self.w

        return Module()

      def runTest(self):
        self.assertForwardEquivalent()

    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError, r'TF1Behavior\(v2_tensorshape=False\)'
    ):
      Case().debug()
    Case.tf1_behavior = tf_equiv.TF1Behavior(v2_tensorshape=False)
    Case().debug()
    self.assertEqual(tf.TensorShape([3])[0], 3)
    self.assertIsInstance(tf.TensorShape([3])[0], int)

  def test_variables_hash_by_identity_only_during_the_build(self):
    seen = []

    class Case(tf_equiv.MigrationTestCase):
      def make_inputs(self):
        return np.array([1, 2, 3], np.float32)

      def build_tf1(self, inputs, training):
        seen.append(isinstance(inputs == inputs, bool))
        return inputs

      def build_tf2(self):
        return lambda x: x

      def runTest(self):
        self.assertForwardEquivalent()

    Case().debug()
    self.assertEqual(seen, [True])
    self.assertIsInstance(tf.ones([2]) == tf.ones([2]), tf.Tensor)

  def test_grappler_is_restored(self):
    options = tf.config.optimizer.get_experimental_options
    with compat.grappler(False):
      self.assertTrue(options()['disable_meta_optimizer'])
    self.assertFalse(options().get('disable_meta_optimizer', False))


if __name__ == '__main__':
  absltest.main()
