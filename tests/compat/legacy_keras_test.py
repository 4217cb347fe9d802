"""Which Keras is chosen, by the order of imports."""

from absl.testing import absltest

from tests.compat.fresh_python import run

# What runs before the code of a test.
_RIGHT = 'import tf_equiv, tensorflow'
_LATE = 'import tensorflow'


class ImportOrderTest(absltest.TestCase):
  def test_import_before_tensorflow_chooses_tf_keras(self):
    code = """
    import tensorflow as tf
    print(tf.keras.layers.Layer.__module__)
    import keras
    print(keras.layers.Dense.__module__)
    """
    status, output = run(code, _RIGHT)
    self.assertEqual(status, 0, output)
    self.assertIn('tf_keras.src', output)
    self.assertIn('\nkeras.src', output)

  def test_a_choice_of_the_user_is_kept(self):
    code = """
    import tensorflow as tf
    print(tf.keras.layers.Dense.__module__)
    """
    status, output = run(code, _RIGHT, TF_USE_LEGACY_KERAS='0')
    self.assertEqual(status, 0, output)
    self.assertIn('\nkeras.src', '\n' + output)

  def test_after_tensorflow_nothing_is_switched(self):
    code = """
    import os, tensorflow as tf
    import tf_equiv
    assert 'TF_USE_LEGACY_KERAS' not in os.environ
    print(tf.keras.layers.Dense.__module__)
    """
    status, output = run(code, _LATE)
    self.assertEqual(status, 0, output)
    self.assertIn('\nkeras.src', '\n' + output)

  def test_legacy_layers_after_tensorflow_are_refused_with_advice(self):
    code = """
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
    """
    status, output = run(code, _LATE)
    self.assertNotEqual(status, 0)
    self.assertIn('EnvironmentSetupError', output)
    self.assertIn('build_tf1 could not run on the TF1 side', output)
    self.assertIn('import tf_equiv before tensorflow', output)

  def test_a_warning_says_that_the_order_is_wrong(self):
    code = """
    import warnings
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter('always')
      import tf_equiv
    print('warned:', [str(w.message)[:43] for w in caught
                      if 'tf_equiv' in str(w.message)])
    """
    status, output = run(code, _LATE)
    self.assertEqual(status, 0, output)
    expected = "warned: ['tensorflow was imported before tf_equiv, so']"
    self.assertIn(expected, output)
    for value in '01':
      _, output = run(code, _LATE, TF_USE_LEGACY_KERAS=value)
      self.assertIn('warned: []', output)
    _, output = run(code)
    self.assertIn('warned: []', output)

  def test_import_does_not_import_keras(self):
    # tf_keras alone takes more than a second.
    code = """
    import sys
    before = set(sys.modules)
    import tf_equiv
    roots = ('tf_keras', 'keras', 'tf_slim')
    print([m for m in set(sys.modules) - before if m.split('.')[0] in roots])
    """
    status, output = run(code, _LATE, TF_USE_LEGACY_KERAS='1')
    self.assertEqual(status, 0, output)
    self.assertIn('[]', output)

  def test_shim_works_in_a_keras_3_process(self):
    code = """
    import tensorflow as tf
    import tf_equiv
    class Module(tf.Module):
      @tf_equiv.track_tf1_style_variables
      def __call__(self, x):
        return x * tf.compat.v1.get_variable('w', [3])
    module = Module()
    module(tf.ones([3])), module(tf.ones([3]))
    print([v.name for v in module.variables])
    """
    status, output = run(code, _LATE)
    self.assertEqual(status, 0, output)
    self.assertIn("['w:0']", output)


if __name__ == '__main__':
  absltest.main()
