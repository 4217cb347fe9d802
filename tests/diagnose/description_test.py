"""Divergences are described by ops, lines and values."""

import types

import numpy as np
from absl.testing import absltest

from tests.diagnose.small_graphs import (
  LABEL,
  aligned,
  array,
  graph_of,
  node,
  sketched,
)
from tf_equiv.compare.difference import Kind
from tf_equiv.core.source_line import SourceLine
from tf_equiv.diagnose import description, frontier
from tf_equiv.diagnose.side import Side

_NO_LINE = SourceLine('', 0, '')


class Captured:
  """A graph whose ops were all made on one line of a file."""

  def __init__(self, side, filename='net.py', made=_NO_LINE):
    self.side, self.aliases = side, {}
    self._line = SourceLine(filename, 3, 'code') if filename else _NO_LINE
    self._made = made

  def line_of(self, name):
    del name
    return self._line

  def made_line_of(self, name):
    del name
    return self._made


class Run:
  """Gives values of tensors and of constants."""

  def __init__(self, values):
    self._values = values

  def fetch(self, names):
    return [np.asarray(self._values[name]) for name in names]

  def is_small(self, name, most):
    return np.size(self._values[name]) <= most


def side_of(name, graph, values):
  tensors = {f'{key}:0': value for key, value in values.items()}
  nodes = {key: value for key, value in values.items() if key in graph.nodes}
  return Side(
    Captured(name), graph, Run({**values, **tensors}), sketched(nodes)
  )


def describe(tf1, tf2, label=LABEL):
  sides = side_of('TF1', *tf1), side_of('TF2', *tf2)
  graphs = tuple(side.graph for side in sides)
  values = tuple(
    {n: v for n, v in each[1].items() if n in each[0].nodes}
    for each in (tf1, tf2)
  )
  found = aligned(graphs, values, failing=(LABEL,))
  frontiers = frontier.find(*graphs, found, [LABEL])
  return description.describe(frontiers, sides, found, [label])


class DescribeTest(absltest.TestCase):
  def test_ops_values_and_differences(self):
    graph = graph_of(node('a', 'Relu', '@x'), node('b', 'Mul', 'a', '$w', '#c'))
    tf1 = {'a': array(0), 'b': array(1), 'c': 0.5}
    tf2 = {'a': array(0), 'b': array(1) + 1.0, 'c': 0.25}
    found = describe((graph, tf1), (graph, tf2))
    self.assertEqual(str(found.tf1), 'b (Mul)')
    self.assertIn('net.py:3', found.tf2.line)
    self.assertEqual(found.comparison.differing, 8)
    self.assertEqual(found.comparison.dtype, 'float32')
    self.assertEqual([d.kind for d in found.differences], [Kind.CONSTANT])
    self.assertEqual(found.differences[0].numbers, (0.5, 0.25))
    self.assertEqual(found.variables, ('w',))
    self.assertEqual((found.group, found.note), ('outputs', ''))

  def test_others(self):
    graph = graph_of(
      node('a', 'Relu', '@x'),
      node('b', 'Elu', '@x'),
      node('c', 'Add', 'a', 'b'),
    )
    tf1 = {'a': array(0), 'b': array(1), 'c': array(2)}
    tf2 = {'a': array(3), 'b': array(4), 'c': array(5)}
    found = describe((graph, tf1), (graph, tf2))
    self.assertEqual(found.tf1.name, 'a')
    self.assertEqual([other.tf1.name for other in found.others], ['b'])

  def test_nothing_before_the_result(self):
    graph = graph_of(node('a', 'Relu', '@x'))
    sides = tuple(side_of(s, graph, {'a': array(0)}) for s in ('TF1', 'TF2'))
    found = description.describe([], sides, None, [LABEL])
    self.assertEqual((found.tf1.name, found.tf2.name), ('a', 'a'))
    self.assertIn('no op before the result itself', found.note)


class LayersTest(absltest.TestCase):
  def test_pairs_in_program_order(self):
    graph = graph_of(node('a', 'Relu', '@x'), node('b', 'Elu', 'a'))
    values = {'a': array(0), 'b': array(1)}
    found = aligned((graph, graph), (values, values))
    sides = tuple(side_of(s, graph, values) for s in ('TF1', 'TF2'))
    layers = description.layers(found, sides, {'b': 0.5})
    self.assertEqual([layer.tf1 for layer in layers], ['a', 'b'])
    self.assertFalse(any(layer.differs for layer in layers))
    self.assertIsNone(layers[0].noise)
    self.assertAlmostEqual(layers[1].noise, 0.5 * layers[1].scale)


class PlaceOfTest(absltest.TestCase):
  def test_line(self):
    found = description.place_of(Captured('TF1'), 'a', 'Relu')
    self.assertStartsWith(found.line, 'net.py:3')

  def test_line_of_a_layer(self):
    made = SourceLine('model.py', 7, 'Dense(3)')
    found = description.place_of(Captured('TF2', made=made), 'a', 'Relu')
    self.assertIn('(layer made at model.py:7', found.line)

  def test_unknown(self):
    found = description.place_of(Captured('TF1', ''), 'a', 'Relu')
    self.assertEqual((str(found), found.line), ('a (Relu)', ''))

  def test_alias(self):
    captured = Captured('TF1')
    captured.aliases['helper'] = ('a', 'Relu')
    found = description.place_of(captured, 'helper', 'Identity')
    self.assertEqual(str(found), 'a (Relu)')


class OfResultsTest(absltest.TestCase):
  def test_ops(self):
    captures = []
    for side in ('TF1', 'TF2'):
      captured = Captured(side)
      op = types.SimpleNamespace(name=f'{side}/end', type='Mul')
      captured.targets = {LABEL: types.SimpleNamespace(op=op)}
      captures.append(captured)
    found = description.of_results(tuple(captures), LABEL)
    self.assertEqual(
      (str(found.tf1), str(found.tf2)), ('TF1/end (Mul)', 'TF2/end (Mul)')
    )


if __name__ == '__main__':
  absltest.main()
