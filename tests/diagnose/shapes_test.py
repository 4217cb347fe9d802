"""The first op of another shape before a variable is found without numbers."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.compare.difference import Kind
from tf_equiv.diagnose import shapes
from tf_equiv.report import differences
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1


def captured(side, size, stride, name='w'):
  """Pools images of a size, and multiplies what is left by a variable."""
  graph = tf.Graph()
  with graph.as_default():
    x = v1.placeholder(tf.float32, [2, size, size, 3], 'x')
    net = tf.nn.relu(
      tf.nn.max_pool2d(tf.tanh(x), 2, stride, 'SAME', name='pool')
    )
    net = tf.reshape(net, [2, int(np.prod(net.shape[1:]))])
    kernel = v1.get_variable(name, [net.shape[1], 4], use_resource=True)
    tf.matmul(net, kernel, name='end')
  variables = {name: (name, np.zeros(kernel.shape, np.float32))}
  return capture.Capture(side, graph, {}, {}, {}, variables)


class LocateTest(absltest.TestCase):
  def test_first_op_of_another_shape(self):
    both = captured('TF1', 8, 2), captured('TF2', 8, 1, 'kernel')
    found = shapes.locate(both, ('w', 'kernel'))
    self.assertEqual((found.tf1.name, found.tf2.name), ('pool', 'pool'))
    first = found.differences[0]
    self.assertEqual(first.kind, Kind.SHAPE)
    self.assertEqual((first.tf1, first.tf2), ((2, 4, 4, 3), (2, 8, 8, 3)))
    self.assertEqual(
      differences.describe(first), 'shape: TF1 [2, 4, 4, 3], TF2 [2, 8, 8, 3]'
    )

  def test_nothing_before_the_variable(self):
    both = captured('TF1', 8, 2), captured('TF2', 8, 2)
    self.assertIsNone(shapes.locate(both, ('w', 'w')))

  def test_variable_that_nothing_reads(self):
    both = captured('TF1', 8, 2), captured('TF2', 8, 1)
    self.assertIsNone(shapes.locate(both, ('w', 'other')))


if __name__ == '__main__':
  absltest.main()
