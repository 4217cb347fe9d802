"""Graphs that are rewritten compute the same in double precision."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.diagnose import float64

v1 = tf.compat.v1
_INPUT = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype(np.float32)


def rewritten(build):
  """Returns the value of a result in double precision, and what fell back."""
  graph = tf.Graph()
  with graph.as_default():
    x = v1.placeholder(tf.float32, _INPUT.shape, 'x')
    tf.identity(build(x), 'end')
  found = float64.rewrite(graph.as_graph_def())
  with tf.Graph().as_default() as wide, v1.Session(graph=wide) as session:
    tf.import_graph_def(found.graph_def, name='')
    fed = wide.get_tensor_by_name('x:0')
    (value,) = session.run(
      [found.tensors.get('end:0', 'end:0')],
      {fed: _INPUT.astype(fed.dtype.as_numpy_dtype)},
    )
  return value, found.fallbacks


class RewriteTest(parameterized.TestCase):
  def test_computes_in_double(self):
    value, fallbacks = rewritten(lambda x: tf.exp(x) / 3.0)
    wide = _INPUT.astype(np.float64)
    np.testing.assert_allclose(value, np.exp(wide) / 3.0, rtol=1e-14)
    self.assertEmpty(fallbacks)

  def test_constants_keep_the_value_of_float32(self):
    value, _ = rewritten(lambda x: x * 0.1)
    wide = _INPUT.astype(np.float64)
    np.testing.assert_allclose(value, wide * np.float64(np.float32(0.1)), 1e-15)

  def test_what_waits_for_a_fused_op(self):
    def build(x):
      ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
      first = tf.identity(x)
      with tf.control_dependencies([first]):
        y, *_ = v1.nn.fused_batch_norm(x, ones, zeros)
      gradient = tf.gradients(y * y, x)[0]
      with tf.control_dependencies([y.op, gradient.op]):
        return tf.identity(x) + 1.0

    value, _ = rewritten(build)
    np.testing.assert_array_equal(value, _INPUT.astype(np.float64) + 1)

  @parameterized.parameters(True, False)
  def test_fused_batch_norm(self, is_training):
    statistics = [np.full(4, 0.5, np.float32)] * 2
    value, fallbacks = rewritten(
      lambda x: v1.nn.fused_batch_norm(
        x,
        np.ones(4, np.float32),
        np.zeros(4, np.float32),
        *([] if is_training else statistics),
        epsilon=1e-3,
        is_training=is_training,
      )[0]
    )
    wide = _INPUT.astype(np.float64)
    mean, variance = (
      (wide.mean((0, 1, 2)), wide.var((0, 1, 2))) if is_training else (0.5, 0.5)
    )
    epsilon = np.float64(np.float32(1e-3))
    expected = (wide - mean) / np.sqrt(variance + epsilon)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-13)
    self.assertEmpty(fallbacks)

  def test_functions(self):
    def build(x):
      return tf.while_loop(
        lambda i, _: i < 3, lambda i, y: (i + 1, tf.sin(y)), [0, x]
      )[1]

    value, fallbacks = rewritten(build)
    expected = np.sin(np.sin(np.sin(_INPUT.astype(np.float64))))
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    self.assertEmpty(fallbacks)

  def test_what_has_no_double_kernel(self):
    value, fallbacks = rewritten(lambda x: v1.image.resize_bilinear(x, [6, 6]))
    self.assertEqual(fallbacks, {'ResizeBilinear'})
    self.assertEqual(value.dtype, np.float64)
    self.assertEqual(value.shape, (2, 6, 6, 4))


class UnchangedVariablesTest(absltest.TestCase):
  def test_assigned_ones_are_left_out(self):
    graph = tf.Graph()
    with graph.as_default():
      kept = v1.get_variable('kept', [2], use_resource=True)
      changed = v1.get_variable('changed', [2], use_resource=True)
      with tf.control_dependencies([changed.assign_add([1.0, 1.0])]):
        tf.identity(kept.read_value() + changed.read_value())
    nodes = [
      node
      for node in graph.as_graph_def().node
      if not node.name.startswith('kept/') or 'Read' in node.name
    ]
    graph_def = v1.GraphDef(node=nodes)
    self.assertEqual(float64.unchanged_variables(graph_def), {'kept'})


if __name__ == '__main__':
  absltest.main()
