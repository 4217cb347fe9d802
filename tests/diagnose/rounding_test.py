"""Where rounding grows, and by how much, is named."""

import re

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.planted import pair

v1 = tf.compat.v1


def dense(x, units, name):
  return v1.layers.dense(x, units, name=name)


def failure(tf1, tf2, inputs, **methods):
  """Returns the test case and the message of its failure."""
  case = pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=lambda: inputs,
      build_tf1=lambda x, training: tf1(x),
      build_tf2=pair.shim(lambda x, training: tf2(x)),
      **methods,
    )
  )
  try:
    case.assertForwardEquivalent()
  except AssertionError as error:
    return case, str(error)
  raise ValueError('It passed.')


def nearly_constant():
  """Images that vary by some units in the last place."""
  noise = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
  return (1.0 + 1e-4 * noise).astype(np.float32)


class RoundingTest(absltest.TestCase):
  def test_batch_norm_of_nearly_constant_images(self):
    def normalized(x):
      net = v1.layers.conv2d(x, 4, 3, name='conv')
      net = v1.layers.batch_normalization(net, training=True, name='norm')
      return v1.layers.conv2d(tf.nn.relu(net), 2, 1, name='out')

    def associated(x):
      # The same convolution, with its channels added in another order.
      with v1.variable_scope('conv', reuse=v1.AUTO_REUSE):
        kernel = v1.get_variable('kernel', [3, 3, 3, 4])
        bias = v1.get_variable('bias', [4])
      parts = [
        tf.nn.conv2d(x[..., i : i + 1], kernel[:, :, i : i + 1], 1, 'VALID')
        for i in (2, 0, 1)
      ]
      net = tf.add_n(parts) + bias
      net = v1.layers.batch_normalization(net, training=True, name='norm')
      return v1.layers.conv2d(tf.nn.relu(net), 2, 1, name='out')

    case, text = failure(normalized, associated, nearly_constant())
    lines = text.splitlines()
    self.assertIn('noise: the difference vanishes in float64', lines[1])
    grown = re.search(
      r'rounding grows (\S+)-fold in TF[12] at (shim/)?norm/FusedBatchNormV3 '
      r'\(FusedBatchNormV3\)  at tests/diagnose/rounding_test.py:',
      lines[2],
    )
    self.assertIsNotNone(grown, lines[2])
    # The mean is this many times the standard deviation.
    self.assertBetween(float(grown[1]), 30, 1e5)
    atol = float(re.search(r'pass atol=(\S+), or', lines[-1])[1])
    self.assertTrue(case.assertForwardEquivalent(atol=atol).passed)

  def test_layers_have_their_noise(self):
    case, _ = failure(
      lambda x: dense(tf.nn.relu(dense(x, 4, 'a')) * 0.5, 3, 'b'),
      lambda x: dense(tf.nn.relu(dense(x, 4, 'a')) * 0.25, 3, 'b'),
      np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32),
    )
    layers = case.locateDivergence().divergence.layers
    noises = {layer.op_type: layer.noise / layer.scale for layer in layers}
    self.assertIn('MatMul', noises)
    for op_type in ('MatMul', 'Mul', 'Relu'):
      self.assertBetween(noises[op_type], 1e-10, 3e-7)

  def test_cancellation(self):
    def summed(order):
      def build(x):
        return tf.add_n([1e3 * dense(x, 3, name) for name in order])

      return build

    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    _, text = failure(
      lambda x: summed('abc')(x) - 999.9 * dense_again(x, 'abc'),
      lambda x: summed('cab')(x) - 999.9 * dense_again(x, 'bca'),
      x,
    )
    self.assertIn('noise: the difference vanishes in float64', text)
    self.assertRegex(text, r'rounding grows \de\+0\d-fold in TF. at .*\(Sub\)')


def dense_again(x, names):
  with v1.variable_scope(v1.get_variable_scope(), reuse=True):
    return tf.add_n([dense(x, 3, name) for name in names])


del tf_equiv

if __name__ == '__main__':
  absltest.main()
