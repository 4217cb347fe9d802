"""Tests of the helpers for tensors."""

import tf_equiv  # isort: skip  (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.tf1 import tensors

v1 = tf.compat.v1


class ExpandCompositesTest(absltest.TestCase):
  def test_sparse(self):
    found = tensors.expand_composites([tf.sparse.from_dense([0.0, 2.0])])
    self.assertEqual(sorted(found[0]), ['dense_shape', 'indices', 'values'])
    self.assertEqual(found[0]['values'].numpy().tolist(), [2.0])
    self.assertEqual(found[0]['indices'].numpy().tolist(), [[1]])

  def test_ragged(self):
    found = tensors.expand_composites(tf.ragged.constant([[[1], [2, 3]], []]))
    self.assertEqual(found['flat_values'].numpy().tolist(), [1, 2, 3])
    self.assertEqual(found['row_splits'][0].numpy().tolist(), [0, 2, 2])
    self.assertEqual(found['row_splits'][1].numpy().tolist(), [0, 1, 3])

  def test_indexed_slices(self):
    slices = tf.IndexedSlices(
      tf.constant([[5.0]]), tf.constant([1]), tf.constant([3, 1])
    )
    found = tensors.expand_composites(slices)
    self.assertEqual(found.numpy().tolist(), [[0.0], [5.0], [0.0]])

  def test_others_are_left_alone(self):
    tensor = tf.constant(1.0)
    value = {'a': tensor, 'b': (None, 5)}
    found = tensors.expand_composites(value)
    self.assertIs(found['a'], tensor)
    self.assertEqual(found['b'], (None, 5))


class IsTensorTest(absltest.TestCase):
  def test_tensors(self):
    with tf.Graph().as_default():
      self.assertTrue(tensors.is_tensor(v1.placeholder(tf.float32)))
      self.assertTrue(
        tensors.is_tensor(v1.get_variable('a', [], use_resource=False))
      )
    self.assertTrue(tensors.is_tensor(tf.constant(1)))
    self.assertTrue(tensors.is_tensor(tf.Variable(1.0)))

  def test_others(self):
    for value in (1.0, np.zeros(2), None, 'a', [tf.constant(1)]):
      self.assertFalse(tensors.is_tensor(value))


class DefaultLossTest(parameterized.TestCase):
  def test_mean_of_squares(self):
    loss = tensors.default_loss(tf.constant([1.0, 3.0]), None)
    self.assertEqual(loss.numpy(), 5.0)
    self.assertEqual(loss.dtype, tf.float32)

  def test_outputs_count_the_same(self):
    outputs = {'a': tf.constant([2.0] * 100), 'b': [tf.constant(4.0)]}
    self.assertEqual(tensors.default_loss(outputs, None).numpy(), 10.0)

  def test_leaves_out_what_has_no_gradient(self):
    outputs = (
      tf.constant([2.0]),
      tf.constant([7]),
      tf.constant('a'),
      None,
      5.0,
      np.ones(2),
    )
    self.assertEqual(tensors.default_loss(outputs, None).numpy(), 4.0)

  @parameterized.parameters(
    ([tf.float64], tf.float64),
    ([tf.complex128, tf.float64], tf.float64),
    ([tf.float64, tf.float32], tf.float32),
    ([tf.float16], tf.float32),
    ([tf.bfloat16], tf.float32),
    ([tf.complex64], tf.float32),
  )
  def test_dtype(self, dtypes, expected):
    outputs = [tf.cast([2.0, 2.0], dtype) for dtype in dtypes]
    loss = tensors.default_loss(outputs, None)
    self.assertEqual(loss.dtype, expected)
    self.assertEqual(loss.numpy(), 4.0)

  def test_complex_counts_its_magnitude(self):
    loss = tensors.default_loss(tf.constant([3 + 4j], tf.complex64), None)
    self.assertEqual(loss.numpy(), 25.0)

  def test_float16_does_not_overflow(self):
    loss = tensors.default_loss(tf.constant([1000.0], tf.float16), None)
    self.assertEqual(loss.numpy(), 1e6)

  def test_ragged_and_sparse(self):
    outputs = [
      tf.ragged.constant([[2.0], []]),
      tf.sparse.from_dense([0.0, 4.0]),
    ]
    self.assertEqual(tensors.default_loss(outputs, None).numpy(), 10.0)

  def test_in_a_graph(self):
    with tf.Graph().as_default(), v1.Session() as session:
      loss = tensors.default_loss([tf.constant([1.0, 3.0])], None)
      self.assertEqual(session.run(loss), 5.0)

  @parameterized.parameters(([],), ([1.0],), (None,))
  def test_nothing_to_make_a_loss_of(self, outputs):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'no floating-point output.*compute_loss'
    ):
      tensors.default_loss(outputs, None)


if __name__ == '__main__':
  absltest.main()
