"""The environment: each repair with a test that fails without it.

What depends on the order of imports runs in a process of its own.
"""

import os
import subprocess
import sys
import textwrap

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv import compat

v1 = tf.compat.v1
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


def run(code, **environment):
  """Runs code in a fresh Python; returns (exit status, all output)."""
  env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
  env.pop('TF_USE_LEGACY_KERAS', None)
  env.pop('TF_EQUIV_SEED_MODES', None)
  env.update(environment)
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
    env=env,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout


_BATCH_NORM = """
import tensorflow as tf, tf_slim as slim
with tf.Graph().as_default():
  x = tf.compat.v1.placeholder('float32', (2, 4, 4, 3))
  print(slim.batch_norm(x, fused=False).shape)
"""

_FIX_B_USERS = """
import tensorflow as tf, tf_slim as slim
with tf.Graph().as_default():
  x = tf.compat.v1.placeholder('float32', (2, 3))
  slim.local_variable(1.0)
  y = slim.batch_norm(x, updates_collections=None)
  loss = tf.reduce_mean(slim.fully_connected(y, 1))
  slim.learning.create_train_op(
      loss, tf.compat.v1.train.GradientDescentOptimizer(0.1),
      clip_gradient_norm=1.0)
  print('built')
"""


class TfSlimTest(absltest.TestCase):
  def test_batch_norm_fails_without_fix_a(self):
    status, output = run(_BATCH_NORM, TF_USE_LEGACY_KERAS='1')
    self.assertNotEqual(status, 0)
    self.assertIn("No module named 'tf_keras.legacy_tf_layers'", output)

  def test_batch_norm_works_with_fix_a(self):
    status, output = run('import tf_equiv' + _BATCH_NORM)
    self.assertEqual(status, 0, output)
    self.assertIn('(2, 4, 4, 3)', output)

  def test_batch_norm_works_with_keras_3_as_tf_keras(self):
    status, output = run('import tensorflow\nimport tf_equiv' + _BATCH_NORM)
    self.assertEqual(status, 0, output)
    self.assertIn('(2, 4, 4, 3)', output)

  def test_moved_attributes_fail_without_fix_b(self):
    status, output = run(_FIX_B_USERS, TF_USE_LEGACY_KERAS='1')
    self.assertNotEqual(status, 0)
    self.assertIn('has no attribute', output)

  def test_moved_attributes_work_with_fix_b(self):
    status, output = run('import tf_equiv' + _FIX_B_USERS)
    self.assertEqual(status, 0, output)
    self.assertIn('built', output)

  def test_repairs_change_nothing_that_is_intact(self):
    code = """
    import tensorflow as tf
    from tensorflow.python.framework import ops
    from tensorflow.python.layers import normalization
    ops.Tensor = 'mine'
    class Loader: __name__ = 'elsewhere.normalization'
    normalization.normalization = loader = Loader()
    import tf_equiv
    assert ops.Tensor == 'mine'
    assert normalization.normalization is loader
    """
    status, output = run(code)
    self.assertEqual(status, 0, output)


class ImportOrderTest(absltest.TestCase):
  def test_import_before_tensorflow_chooses_tf_keras(self):
    status, output = run("""
    import tf_equiv, tensorflow as tf
    print(tf.keras.layers.Layer.__module__)
    import keras
    print(keras.layers.Dense.__module__)
    """)
    self.assertEqual(status, 0, output)
    self.assertIn('tf_keras.src', output)
    self.assertIn('\nkeras.src', output)

  def test_a_choice_of_the_user_is_kept(self):
    code = """
    import tf_equiv, tensorflow as tf
    print(tf.keras.layers.Dense.__module__)
    """
    status, output = run(code, TF_USE_LEGACY_KERAS='0')
    self.assertEqual(status, 0, output)
    self.assertIn('\nkeras.src', '\n' + output)

  def test_after_tensorflow_nothing_is_switched(self):
    status, output = run("""
    import os, tensorflow as tf
    import tf_equiv
    assert 'TF_USE_LEGACY_KERAS' not in os.environ
    print(tf.keras.layers.Dense.__module__)
    """)
    self.assertEqual(status, 0, output)
    self.assertIn('\nkeras.src', '\n' + output)

  def test_legacy_layers_after_tensorflow_are_refused_with_advice(self):
    status, output = run("""
    import tensorflow as tf
    import tf_equiv, numpy as np

    class Test(tf_equiv.MigrationTestCase):
      def make_inputs(self):
        return np.ones((2, 3), np.float32)
      def build_tf1(self, inputs, training):
        return tf.compat.v1.layers.dense(inputs, 3, name='d')
      def build_tf2(self):
        return lambda x: x
      def runTest(self):
        self.assertVariablesMatch()

    Test().debug()
    """)
    self.assertNotEqual(status, 0)
    self.assertIn('EnvironmentSetupError', output)
    self.assertIn('build_tf1 could not run on the TF1 side', output)
    self.assertIn('import tf_equiv before tensorflow', output)

  def test_a_warning_says_that_the_order_is_wrong(self):
    code = """
    import warnings
    {first}
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter('always')
      import tf_equiv
    print('warned:', [str(w.message)[:43] for w in caught
                      if 'tf_equiv' in str(w.message)])
    """
    late = 'import tensorflow'
    status, output = run(code.format(first=late))
    self.assertEqual(status, 0, output)
    expected = "warned: ['tensorflow was imported before tf_equiv, so']"
    self.assertIn(expected, output)
    for first, value in ((late, '0'), (late, '1'), ('pass', None)):
      environment = {} if value is None else {'TF_USE_LEGACY_KERAS': value}
      _, output = run(code.format(first=first), **environment)
      self.assertIn('warned: []', output)

  def test_import_does_not_import_keras(self):
    # tf_keras alone takes more than a second.
    status, output = run(
      """
    import sys, tensorflow
    before = set(sys.modules)
    import tf_equiv
    roots = ('tf_keras', 'keras', 'tf_slim')
    print([m for m in set(sys.modules) - before if m.split('.')[0] in roots])
    """,
      TF_USE_LEGACY_KERAS='1',
    )
    self.assertEqual(status, 0, output)
    self.assertIn('[]', output)

  def test_shim_works_in_a_keras_3_process(self):
    status, output = run("""
    import tensorflow as tf
    import tf_equiv
    class Module(tf.Module):
      @tf_equiv.track_tf1_style_variables
      def __call__(self, x):
        return x * tf.compat.v1.get_variable('w', [3])
    module = Module()
    module(tf.ones([3])), module(tf.ones([3]))
    print([v.name for v in module.variables])
    """)
    self.assertEqual(status, 0, output)
    self.assertIn("['w:0']", output)


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
      'import os; os.environ["TF_USE_LEGACY_KERAS"] = "1"\n'
      + _LEGACY.format(switch=switch, use_graph=use_graph)
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
    state = {name: bool(t[0]()) for name, t in compat._toggles().items()}
    wanted = {name: not on for name, on in state.items()}
    with self.assertRaisesRegex(RuntimeError, 'boom'):
      with compat.behaviors(**wanted):
        for name, on in wanted.items():
          self.assertEqual(bool(compat._toggles()[name][0]()), on, name)
        raise RuntimeError('boom')
    for name, on in state.items():
      self.assertEqual(bool(compat._toggles()[name][0]()), on, name)

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


class KerasStateTest(absltest.TestCase):
  def test_tf2_models_built_before_the_tf1_graph_stay_usable(self):
    # A compat.v1 layer in a graph swaps the bases of its tf_keras parent.
    model = tf.keras.Sequential([tf.keras.layers.Dense(3), _SubDense(2)])
    inputs = tf.ones((2, 4))
    before = model(inputs).numpy()
    bases = tf.keras.layers.Dense.__bases__
    with compat.keras_classes_shielded(), tf.Graph().as_default():
      v1.layers.dense(tf.ones((2, 4)), 3)
      _SubDense(2)(tf.ones((2, 4)))
      self.assertNotEqual(tf.keras.layers.Dense.__bases__, bases)
    self.assertEqual(tf.keras.layers.Dense.__bases__, bases)
    np.testing.assert_array_equal(model(inputs), before)
    self.assertLen(model.trainable_variables, 4)

  def test_without_the_shield_they_break(self):
    status, output = run("""
    import tf_equiv, tensorflow as tf
    model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
    model(tf.ones((2, 4)))
    with tf.Graph().as_default():
      tf.compat.v1.layers.dense(tf.ones((2, 4)), 3)
    model(tf.ones((2, 4))), model.losses, model.trainable_variables
    """)
    self.assertNotEqual(status, 0)
    self.assertIn('invalid state', output)

  def test_fresh_names(self):
    tf.keras.layers.Dense(3)
    with compat.fresh_keras_names():
      first = tf.keras.layers.Dense(3).name
      self.assertEqual(first, 'dense')
    self.assertNotEqual(tf.keras.layers.Dense(3).name, 'dense')

  def test_names_go_on(self):
    import keras

    counted = {}
    with compat.fresh_keras_names(counted):
      tf.keras.layers.Dense(3)
      keras.layers.Dense(3)
    for _ in range(2):  # As from a copy, again.
      with compat.fresh_keras_names(dict(counted)):
        self.assertEqual(tf.keras.layers.Dense(3).name, 'dense_1')
        self.assertEqual(keras.layers.Dense(3).name, 'dense_1')
    with compat.fresh_keras_names():
      self.assertEqual(tf.keras.layers.Dense(3).name, 'dense')

  def test_fresh_names_of_keras_3(self):
    import keras

    keras.layers.Dense(3)
    with compat.fresh_keras_names():
      self.assertEqual(keras.layers.Dense(3).name, 'dense')
    self.assertNotEqual(keras.layers.Dense(3).name, 'dense')

  def test_fresh_names_behind_the_shim(self):
    class Unnamed(tf.keras.layers.Layer):
      @tf_equiv.track_tf1_style_variables
      def call(self, x):
        return tf.compat.v1.layers.dense(x, 3)

    def name():
      layer = Unnamed()
      layer(tf.ones([2, 4]))
      return layer.variables[0].name.split('/')[0]

    before = name()
    for _ in range(2):
      with compat.fresh_keras_names():
        self.assertEqual(name(), 'dense')
    self.assertNotIn(name(), (before, 'dense'))


class _SubDense(tf.keras.layers.Dense):
  pass


if __name__ == '__main__':
  absltest.main()
