from collections import Counter

import numpy as np
from absl.testing import absltest

from tests.diagnose import small_graphs
from tests.diagnose.small_graphs import node
from tf_equiv.compare import difference
from tf_equiv.diagnose import frontier, graph, op_diff
from tf_equiv.report import differences

Kind = difference.Kind


class SameNames:
  """An alignment of nodes that have the same names."""

  def __init__(self, rearranged=()):
    self.inverse = {}
    self._rearranged = rearranged

  def same_operand(self, a, b):
    return (a.kind, a.key) == (b.kind, b.key)

  def is_rearranged(self, name):
    return name in self._rearranged


def diff(a, b, only=((), ()), constants=({}, {}), rearranged=()):
  found = frontier.Frontier(a, b, *map(list, only))
  values = tuple(
    {key: np.asarray(value) for key, value in side.items()}.get
    for side in constants
  )
  return op_diff.describe(found, SameNames(rearranged), values)


def texts(*args, **kwargs):
  return [differences.describe(each) for each in diff(*args, **kwargs)]


def conv(**attributes):
  return node('c', 'Conv2D', '@x', '$w', attributes=attributes)


class AttributesTest(absltest.TestCase):
  def test_same(self):
    self.assertEqual(diff(conv(padding='SAME'), conv(padding='SAME')), [])

  def test_values_are_kept(self):
    (found,) = diff(conv(epsilon=1e-12, a=1), conv(epsilon=0.001, a=1))
    self.assertEqual(
      (found.kind, found.subject, found.numbers),
      (Kind.ATTRIBUTE, 'epsilon', (1e-12, 0.001)),
    )
    self.assertEqual(
      differences.describe(found), 'epsilon: TF1 1e-12, TF2 0.001'
    )

  def test_list(self):
    self.assertEqual(
      texts(conv(strides=[1, 2]), conv(strides=[1, 1])),
      ['strides: TF1 [1, 2], TF2 [1, 1]'],
    )

  def test_what_tells_nothing(self):
    self.assertEqual(diff(conv(seed=1), conv(seed=2)), [])

  def test_type(self):
    (found,) = diff(node('a', 'Relu', '@x'), node('a', 'Elu', '@x'))
    self.assertEqual(found.kind, Kind.OP_TYPE)
    self.assertEqual(differences.describe(found), 'op: TF1 Relu, TF2 Elu')

  def test_version_of_type(self):
    self.assertEqual(
      diff(node('a', 'Add', '@x', '@y'), node('a', 'AddV2', '@x', '@y')), []
    )

  def test_dtype(self):
    a, b = (node('a', 'Relu', '@x', dtype=d) for d in ('float32', 'float16'))
    self.assertEqual(texts(a, b), ['dtype: TF1 float32, TF2 float16'])


class ConstantsTest(absltest.TestCase):
  def _diff(self, op_type, tf1, tf2):
    a, b = (node('a', op_type, '@x', '#c') for _ in range(2))
    return diff(a, b, constants=({'c': tf1}, {'c': tf2}))

  def test_number(self):
    (found,) = self._diff('Mul', np.float32(0.1), np.float32(0.2))
    self.assertEqual(found.numbers, (0.1, 0.2))
    self.assertEqual(found.operand, 1)
    self.assertEqual(
      differences.describe(found), 'constant (operand 1): TF1 0.1, TF2 0.2'
    )

  def test_more_digits_than_are_shown(self):
    (found,) = self._diff('Mul', 1.0, 1.0 + 1e-9)
    self.assertGreater(found.numbers[1], found.numbers[0])

  def test_array(self):
    (found,) = self._diff('Reshape', np.arange(20), np.arange(20) + 1)
    self.assertIsNone(found.numbers)
    self.assertEndsWith(differences.describe(found), '15, 16, ...]')

  def test_equal(self):
    self.assertEqual(self._diff('Mul', 0.1, 0.1), [])

  def test_same_axis_counted_from_the_end(self):
    self.assertEqual(self._diff('Sum', np.int32(0), np.int32(-1)), [])
    self.assertLen(self._diff('Mul', np.int32(0), np.int32(-1)), 1)

  def test_large_constant(self):
    a, b = (node('a', 'Mul', '@x', '#c') for _ in range(2))
    self.assertEqual(diff(a, b, constants=({}, {'c': 1.0})), [])


class OperandsTest(absltest.TestCase):
  def test_order(self):
    (found,) = diff(node('a', 'Sub', 'p', 'q'), node('a', 'Sub', 'q', 'p'))
    self.assertEqual(found.kind, Kind.OPERAND_ORDER)
    self.assertEqual(
      differences.describe(found), 'order of operands: TF1 p, q; TF2 q, p'
    )

  def test_order_that_does_not_matter(self):
    self.assertEqual(
      diff(node('a', 'Add', 'p', 'q'), node('a', 'Add', 'q', 'p')), []
    )

  def test_other_operand(self):
    self.assertEqual(
      texts(node('a', 'Sub', 'p', '@[0]'), node('a', 'Sub', 'p', '?r:0')),
      ['operand: TF1 reads inputs[0], TF2 reads the random draw r'],
    )

  def test_count(self):
    self.assertEqual(
      texts(node('a', 'AddN', 'p'), node('a', 'AddN', 'p', 'q')),
      ['operands: TF1 has 1, TF2 has 2'],
    )

  def test_rearranged(self):
    a, b = node('a', 'Sub', '@x', 'q'), node('a', 'Sub', '@x', 'q')
    (found,) = diff(a, b, rearranged=('q',))
    self.assertEqual((found.kind, found.operand), (Kind.REARRANGED, 1))

  def test_variables(self):
    (first, second, _) = diff(
      node('a', 'MatMul', '@x', '$v'), node('a', 'MatMul', '@x', '$w')
    )
    self.assertEqual((first.side, first.one_sided), ('TF1', ('v',)))
    self.assertEqual(differences.describe(second), 'only TF2 reads w')

  def test_variables_that_the_other_side_reads_above(self):
    found = frontier.Frontier(
      node('a', 'Mul', 'x', 'y'),
      node('b', 'Mul', 'x', 'z'),
      [],
      [node('z', 'MatMul', '@x', '$w'), node('y', 'MatMul', '@x', '$v')],
      (frozenset('w'), frozenset('wv')),
    )
    read = [
      each
      for each in op_diff.describe(found, SameNames(), ({}.get, {}.get))
      if each.kind is Kind.READS
    ]
    self.assertEqual([each.one_sided for each in read], [('v',)])

  def test_many_variables_are_all_kept(self):
    read = [f'$v{i}' for i in range(6)]
    (found, _) = diff(node('a', 'AddN', *read), node('a', 'AddN', '$v0'))
    self.assertLen(found.one_sided, 5)
    self.assertEqual(
      differences.describe(found), 'only TF1 reads v1, v2, v3, v4'
    )


class NumbersTest(absltest.TestCase):
  def test_of_other_ops(self):
    a, b = node('a', 'Mul', 'p', '#c'), node('a', 'Elu', 'p')
    lone = node('l', 'LeakyRelu', '@x', attributes={'alpha': 0.2})
    found = diff(a, b, ((lone,), ()), ({'c': np.float32(0.3)}, {}))
    self.assertEqual(
      found[-1],
      difference.one_sided(Kind.NUMBERS, 0, (0.2, 0.3)),
    )
    self.assertEqual(
      differences.describe(found[-1]), 'numbers only in TF1: 0.2, 0.3'
    )

  def test_the_same_number(self):
    a, b = node('a', 'Mul', 'p', '#c'), node('a', 'Elu', 'p')
    lone = node('l', 'Pow', '@x', '#c')
    values = {'c': np.float32(0.3)}, {'c': np.float64(0.3)}
    self.assertLen(diff(a, b, ((), (lone,)), values), 1)  # The type alone.

  def test_of_loops(self):
    a, b = (
      node('a', 'While', 'p', body=graph.Body(Counter(types), Counter(numbers)))
      for types, numbers in (
        (('Tanh', 'Mul', 'Pack'), (0.2, 0.5)),
        (('Mul', 'Sigmoid'), (0.5,)),
      )
    )
    self.assertEqual(
      texts(a, b),
      [
        'numbers only in TF1: 0.2',
        'ops inside the loop only in TF1: Tanh',
        'ops inside the loop only in TF2: Sigmoid',
      ],
    )


class AlignmentTest(absltest.TestCase):
  def test_operands_are_those_of_the_alignment(self):
    values = [small_graphs.array(i) for i in range(3)]
    first = small_graphs.graph_of(
      node('p', 'Relu', '@x'),
      node('q', 'Elu', '@x'),
      node('a', 'Sub', 'p', 'q'),
    )
    second = small_graphs.graph_of(
      node('r', 'Relu', '@x'),
      node('s', 'Elu', '@x'),
      node('b', 'Sub', 's', 'r'),
    )
    aligned = small_graphs.aligned(
      (first, second),
      (
        {'p': values[0], 'q': values[1], 'a': values[0] - values[1]},
        {'r': values[0], 's': values[1], 'b': values[1] - values[0]},
      ),
    )
    found = frontier.Frontier(first.nodes['a'], second.nodes['b'], [], [])
    (only,) = op_diff.describe(found, aligned, ({}.get, {}.get))
    self.assertEqual(only.tf1, ('p', 'q'))
    self.assertEqual(only.tf2, ('q', 'p'))


if __name__ == '__main__':
  absltest.main()
