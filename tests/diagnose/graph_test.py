"""Graphs of TensorFlow are read as nodes and operands."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.diagnose.small_graphs import LABEL
from tf_equiv.diagnose import graph
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1


def read(build, variables=()):
  """Reads the graph of a function of an input, whose path is '[0]'."""
  built = tf.Graph()
  with built.as_default():
    x = v1.placeholder(tf.float32, [2, 3], 'x')
    result = build(x)
  captured = capture.Capture(
    'TF1',
    built,
    {LABEL: result},
    {x.name: np.zeros((2, 3), np.float32)},
    {x.name: '[0]'},
    {name: (name, np.zeros(3)) for name in variables},
  )
  return graph.read(captured, [LABEL], {'w': 'tf1/w'})


class ReadTest(absltest.TestCase):
  def test_operands(self):
    def build(x):
      w = v1.get_variable('w', [3], use_resource=True)
      return tf.multiply(tf.identity(x) + w, 0.5, name='end')

    found = read(build, ['w'])
    self.assertEqual(
      [n.op_type for n in found.nodes.values()], ['AddV2', 'Mul']
    )
    added, end = found.nodes.values()
    self.assertEqual(
      [(o.kind, o.key) for o in added.operands],
      [(graph.INPUT, '[0]'), (graph.VARIABLE, 'tf1/w')],
    )
    self.assertEqual(added.variables, {'tf1/w'})
    self.assertEqual(end.parents, [added.name])
    self.assertEqual(end.operands[1].kind, graph.CONSTANT)
    self.assertEqual(found.results[LABEL].key, 'end')
    self.assertEqual((end.shape, end.dtype), ((2, 3), 'float32'))

  def test_what_does_not_depend_on_data_is_constant(self):
    found = read(lambda x: x + tf.cast(tf.shape(x)[0] * 2, tf.float32))
    (node,) = found.nodes.values()
    self.assertEqual(node.operands[1].kind, graph.CONSTANT)

  def test_draws(self):
    found = read(lambda x: x + v1.random_uniform([3], name='draw'))
    self.assertLen(found.draws, 1)
    self.assertEqual(found.draw_types[found.draws[0]], 'RandomUniform')
    kinds = {o.kind for n in found.nodes.values() for o in n.operands}
    self.assertIn(graph.RANDOM, kinds)

  def test_stopped_gradients(self):
    found = read(lambda x: tf.tanh(tf.stop_gradient(tf.nn.relu(x), 'stop')))
    self.assertEqual(found.stopped, {'Relu': 'stop'})
    self.assertEqual(found.nodes['Tanh'].parents, ['Relu'])

  def test_loop(self):
    def build(x):
      return tf.while_loop(
        lambda i, _: i < 3, lambda i, y: (i + 1, tf.tanh(y) * 0.2), [0, x]
      )[1]

    found = read(build)
    (node,) = [n for n in found.nodes.values() if n.body is not None]
    self.assertEqual(node.body.types['Tanh'], 1)
    self.assertIn(0.2, node.body.numbers)

  def test_attributes(self):
    found = read(lambda x: tf.nn.leaky_relu(x, 0.1))
    (node,) = found.nodes.values()
    self.assertEqual(node.attributes, {'alpha': 0.1})


class AncestorsTest(absltest.TestCase):
  def test_stop(self):
    found = read(lambda x: tf.nn.relu(x) + tf.tanh(tf.sigmoid(x)))
    end = found.results[LABEL].key
    names = {'Relu', 'Tanh', 'Sigmoid'}
    self.assertEqual(found.before(end), names)
    self.assertEqual(found.ancestors([end]), names | {end})
    self.assertEqual(found.before(end, {'Tanh'}), {'Relu'})
    self.assertEqual(found.ancestors([end], {end}), set())


class FamilyTest(absltest.TestCase):
  def test_versions_and_synonyms(self):
    for op_type, family in (
      ('AddV2', 'Add'),
      ('BiasAdd', 'Add'),
      ('StatelessWhile', 'While'),
      ('FusedBatchNormV3', 'FusedBatchNorm'),
      ('Conv2D', 'Conv2D'),
    ):
      node = graph.Node('a', op_type, 0, None, 'float32', [], {}, [])
      self.assertEqual(node.family, family)


if __name__ == '__main__':
  absltest.main()
