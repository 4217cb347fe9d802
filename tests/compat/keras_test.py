"""Keras' global state is as it was after a TF1 graph was built."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.compat.fresh_python import run
from tf_equiv import compat

v1 = tf.compat.v1


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
    code = """
    import tensorflow as tf
    model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
    model(tf.ones((2, 4)))
    with tf.Graph().as_default():
      tf.compat.v1.layers.dense(tf.ones((2, 4)), 3)
    model(tf.ones((2, 4))), model.losses, model.trainable_variables
    """
    status, output = run(code, 'import tf_equiv, tensorflow')
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
