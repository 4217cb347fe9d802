"""Initializers of TF2 are run again in a graph to see what they draw."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.core import plan
from tf_equiv.tf2 import initializers
from tf_equiv.tf2 import program as program_lib

layers = tf.keras.layers


def captured(build):
  inputs = np.ones([1, 3], np.float32)
  return initializers.capture(program_lib.Program(build), plan.RunPlan(inputs))


class Finished(tf.Module):
  def __init__(self):
    super().__init__()
    self.w = tf.Variable(tf.random.normal([3, 2]), name='w')

  def __call__(self, x):
    return tf.matmul(x, self.w)


class CaptureTest(absltest.TestCase):
  def test_keras_layer(self):
    normal = tf.keras.initializers.TruncatedNormal(0.0, 0.05)

    def build():
      dense = layers.Dense(2, kernel_initializer=normal, name='dense')
      return tf.keras.Sequential([dense])

    found, observed = captured(build)
    self.assertEqual(found['dense/kernel'].kind, 'TruncatedNormal')
    self.assertEqual(found['dense/kernel'].numbers['stddev'], 0.05)
    self.assertIn('layers.Dense', found['dense/kernel'].line.code)
    self.assertEqual(found['dense/bias'].kind, 'constant')
    self.assertEqual(observed.weight_of()['dense/kernel'].shape, (3, 2))

  def test_finished_value(self):
    found, _ = captured(Finished)
    self.assertEqual(found['w'].kind, '')
    self.assertIn('self.w = tf.Variable', found['w'].line.code)


if __name__ == '__main__':
  del tf_equiv
  absltest.main()
