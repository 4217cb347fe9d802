import numpy as np
from absl.testing import absltest

from tests.diagnose.small_graphs import LABEL, aligned, array, graph_of, node


class ByValueTest(absltest.TestCase):
  def test_other_names_and_types(self):
    first = graph_of(node('a', 'Relu', '@x'), node('b', 'Elu', 'a'))
    second = graph_of(node('p', 'Maximum', '@x', '#z'), node('q', 'Elu', 'p'))
    found = aligned(
      (first, second),
      ({'a': array(0), 'b': array(1)}, {'p': array(0), 'q': array(1)}),
    )
    self.assertEqual(found.pairs, {'a': 'p', 'b': 'q'})
    self.assertEqual(found.inverse, {'p': 'a', 'q': 'b'})
    self.assertTrue(found.agrees('a'))
    self.assertEqual(found.agreeing(0), {'a', 'b'})
    self.assertEqual(found.agreeing(1), {'p', 'q'})

  def test_equal_values_go_by_the_variable(self):
    first = graph_of(
      node('a', 'MatMul', '@x', '$v'),
      node('b', 'MatMul', '@x', '$w'),
      node('c', 'Add', 'a', 'b'),
    )
    second = graph_of(
      node('p', 'MatMul', '@x', '$w'),
      node('q', 'MatMul', '@x', '$v'),
      node('r', 'Add', 'q', 'p'),
    )
    found = aligned(
      (first, second),
      (
        {'a': array(0), 'b': array(0), 'c': array(1)},
        {'p': array(0), 'q': array(0), 'r': array(1)},
      ),
    )
    self.assertEqual(found.pairs, {'a': 'q', 'b': 'p', 'c': 'r'})

  def test_few_numbers_prove_nothing(self):
    first = graph_of(node('a', 'Mean', '@x'), node('c', 'Tanh', '@x'))
    second = graph_of(node('p', 'Max', '@y'), node('c', 'Tanh', '@x'))
    found = aligned(
      (first, second),
      ({'a': [1.0], 'c': array(1)}, {'p': [1.0], 'c': array(1)}),
    )
    self.assertNotIn('a', found.pairs)


class ByStructureTest(absltest.TestCase):
  def test_same_variable(self):
    first = graph_of(node('a/mul', 'MatMul', '@x', '$w'))
    second = graph_of(
      node('p/mul', 'MatMul', '@x', '$v'), node('q/mul', 'MatMul', '@x', '$w')
    )
    found = aligned(
      (first, second),
      ({'a/mul': array(0)}, {'p/mul': array(1), 'q/mul': array(2)}),
    )
    self.assertEqual(found.pairs, {'a/mul': 'q/mul'})
    self.assertGreater(found.distance('a/mul'), 0.1)
    self.assertFalse(found.agrees('a/mul'))

  def test_position_before_name(self):
    first = graph_of(
      node('scores', 'MatMul', '@x', '@y'),
      node('a/div', 'RealDiv', 'scores', '#root'),
      node('a/Softmax', 'Softmax', 'a/div'),
      node('values', 'Tanh', '@x'),
      node('out', 'MatMul', 'a/Softmax', 'values'),
    )
    second = graph_of(
      node('near', 'MatMul', '@x', '@y'),
      node('weights', 'Softmax', 'near'),
      node('kept', 'Tanh', '@x'),
      node('end', 'MatMul', 'weights', 'kept'),
    )
    found = aligned(
      (first, second),
      (
        {
          'scores': array(0),
          'a/div': array(0) / 4,
          'a/Softmax': array(1),
          'values': array(2),
          'out': array(3),
        },
        {
          'near': array(0),
          'weights': array(4),
          'kept': array(2),
          'end': array(5),
        },
      ),
    )
    self.assertEqual(found.pairs['a/Softmax'], 'weights')
    self.assertNotIn('a/div', found.pairs)

  def test_casts_of_other_things(self):
    first = graph_of(
      node('a', 'Tanh', '@x'),
      node('b', 'Relu', '@x'),
      node('net/Cast', 'Cast', 'a'),
      node('c', 'AddN', 'net/Cast', 'a', 'b'),
    )
    second = graph_of(
      node('p', 'Tanh', '@x'),
      node('q', 'Relu', '@x'),
      node('shim/net/Cast', 'Cast', 'q'),
      node('r', 'AddN', 'p', 'p', 'shim/net/Cast'),
    )
    found = aligned(
      (first, second),
      (
        {'a': array(0), 'b': array(1), 'net/Cast': array(2), 'c': array(3)},
        {
          'p': array(0),
          'q': array(1),
          'shim/net/Cast': array(4),
          'r': array(5),
        },
      ),
    )
    self.assertNotIn('net/Cast', found.pairs)

  def test_rows_in_another_layout(self):
    graphs = [
      graph_of(node('g', 'GatherV2', '$w', '@ids'), node('h', 'Tanh', 'g'))
      for _ in range(2)
    ]
    rows = array(0, 12).reshape(3, 4)
    found = aligned(
      tuple(graphs),
      (
        {'g': rows, 'h': array(1)},
        {'g': rows.T.copy(), 'h': array(2)},
      ),
    )
    self.assertTrue(found.agrees('g'))
    self.assertFalse(found.agrees('h'))

  def test_rows_that_one_side_alone_gathers(self):
    graphs = tuple(
      graph_of(
        node(ids, 'GatherV2', '$w', '@' + ids),
        node(mean, mean, ids),
        node('h', 'Tanh', mean),
      )
      for ids, mean in (('unique', 'SegmentMean'), ('ids', 'Mean'))
    )
    rows = array(0, 12).reshape(3, 4)
    found = aligned(
      graphs,
      (
        {'unique': rows, 'SegmentMean': array(1), 'h': array(2)},
        {'ids': np.tile(rows, (2, 1)), 'Mean': array(3), 'h': array(4)},
      ),
    )
    self.assertNotIn('unique', found.pairs)
    self.assertEqual(found.pairs['h'], 'h')

  def test_gates_that_are_converted(self):
    def cell():
      return graph_of(
        node('m', 'MatMul', '@x', '$kernel'),
        node('b', 'BiasAdd', 'm', '$bias'),
        node('s', 'Split', '#axis', 'b'),
        node('y', 'Tanh', 's'),
      )

    values = (
      {'m': array(0), 'b': array(1), 's': array(2), 'y': array(3)},
      {'m': array(4), 'b': array(5), 's': array(6), 'y': array(7)},
    )
    graphs = cell(), cell()
    found = aligned(graphs, values, converted=('kernel',))
    for name in 'mbs':
      self.assertIsNone(found.distance(name))
    self.assertGreater(found.distance('y'), 0.1)
    # Not so where nothing is split: a kernel that is turned, say.
    found = aligned(graphs, values)
    self.assertGreater(found.distance('m'), 0.1)

  def test_results_correspond(self):
    first, second = graph_of(node('a', 'Relu')), graph_of(node('b', 'Tanh'))
    found = aligned((first, second), ({'a': array(0)}, {'b': array(1)}))
    self.assertEqual(found.pairs, {'a': 'b'})

  def test_without_counterpart(self):
    first = graph_of(node('a', 'Relu', '@x'), node('b', 'Elu', 'a'))
    second = graph_of(node('b', 'Elu', '@x'))
    found = aligned(
      (first, second), ({'a': array(0), 'b': array(1)}, {'b': array(2)})
    )
    self.assertEqual(found.pairs, {'b': 'b'})
    self.assertIsNone(found.distance('a'))


class DistanceTest(absltest.TestCase):
  def _aligned(self, tf1, tf2, operands=('@x', '@x'), failing=(), **fields):
    first = graph_of(node('a', 'Reshape', operands[0], **fields))
    second = graph_of(node('a', 'Reshape', operands[1]))
    return aligned((first, second), ({'a': tf1}, {'a': tf2}), failing=failing)

  def test_is_relative_to_the_scale(self):
    found = self._aligned(1e6 * np.ones(8), 1.001e6 * np.ones(8))
    self.assertAlmostEqual(found.distance('a'), 1e-3, delta=1e-3)

  def test_agreement_of_what_cannot_be_seen_is_unknown(self):
    found = self._aligned(array(0), array(0), opaque=True)
    self.assertIsNone(found.distance('a'))

  def test_another_order_of_what_is_read_otherwise(self):
    found = self._aligned(array(0), array(0)[::-1], ('@x', '@y'))
    self.assertTrue(found.is_rearranged('a'))
    self.assertTrue(found.agrees('a'))

  def test_another_order_of_the_same(self):
    found = self._aligned(array(0), array(0)[::-1])
    self.assertFalse(found.agrees('a'))

  def test_another_order_of_a_result_that_differs(self):
    found = self._aligned(
      array(0), array(0)[::-1], ('@x', '@y'), failing=(LABEL,)
    )
    self.assertFalse(found.agrees('a'))

  def test_has_equals(self):
    found = self._aligned(array(0), array(0)[::-1])
    self.assertFalse(found.has_equals(0, ['a']))
    self.assertTrue(self._aligned(array(0), array(0)).has_equals(0, ['a']))
    self.assertFalse(found.has_equals(0, []))


if __name__ == '__main__':
  absltest.main()
