from absl.testing import absltest

from tests.diagnose.small_graphs import LABEL, aligned, array, graph_of, node
from tf_equiv.diagnose import frontier


def chain(*names):
  """Each node reads the one before."""
  read = ('@x', *names)
  return graph_of(
    *(node(n, n.upper(), r) for n, r in zip(names, read, strict=False))
  )


def find(first, second, values):
  found = aligned((first, second), values, failing=(LABEL,))
  return [
    (
      each.tf1.name,
      each.tf2.name,
      [n.name for n in each.only_tf1],
      [n.name for n in each.only_tf2],
    )
    for each in frontier.find(first, second, found, [LABEL])
  ]


class FindTest(absltest.TestCase):
  def test_first_of_a_chain(self):
    graph = chain('a', 'b', 'c')
    tf1 = {'a': array(0), 'b': array(1), 'c': array(2)}
    tf2 = {'a': array(0), 'b': array(3), 'c': array(4)}
    self.assertEqual(find(graph, graph, (tf1, tf2)), [('b', 'b', [], [])])

  def test_ops_of_one_side(self):
    tf1 = {'a': array(0), 'c': array(2)}
    tf2 = {'a': array(0), 'b': array(3), 'c': array(4)}
    first, second = chain('a', 'c'), chain('a', 'b', 'c')
    self.assertEqual(find(first, second, (tf1, tf2)), [('c', 'c', [], ['b'])])
    self.assertEqual(find(second, first, (tf2, tf1)), [('c', 'c', ['b'], [])])

  def test_behind_agreement_nothing_is_looked_at(self):
    graph = chain('a', 'b', 'c')
    tf1 = {'a': array(0), 'b': array(1), 'c': array(2)}
    tf2 = {'a': array(5), 'b': array(1), 'c': array(4)}
    self.assertEqual(find(graph, graph, (tf1, tf2)), [('c', 'c', [], [])])

  def test_independent_divergences(self):
    graph = graph_of(
      node('a', 'Relu', '@x'),
      node('b', 'Elu', '@x'),
      node('c', 'Add', 'a', 'b'),
    )
    tf1 = {'a': array(0), 'b': array(1), 'c': array(2)}
    tf2 = {'a': array(3), 'b': array(4), 'c': array(5)}
    self.assertEqual(
      find(graph, graph, (tf1, tf2)), [('a', 'a', [], []), ('b', 'b', [], [])]
    )

  def test_what_leads_to_no_failing_result(self):
    graph = graph_of(node('a', 'Relu', '@x'), node('b', 'Elu', '@x'))
    tf1 = {'a': array(0), 'b': array(1)}
    tf2 = {'a': array(3), 'b': array(4)}
    self.assertEqual(find(graph, graph, (tf1, tf2)), [('b', 'b', [], [])])

  def test_agreement(self):
    graph = chain('a', 'b')
    values = {'a': array(0), 'b': array(1)}
    found = aligned((graph, graph), (values, values))
    self.assertEmpty(frontier.find(graph, graph, found, []))

  def test_result_of_what_cannot_be_compared(self):
    graph = graph_of(
      node('a', 'Relu', '@x'), node('b', 'Exit', 'a', outputs=[])
    )
    values = {'a': array(0), 'b': None}
    found = aligned((graph, graph), (values, values))
    (only,) = frontier.find(graph, graph, found, [LABEL])
    self.assertEqual((only.tf1.name, only.tf2.name), ('b', 'b'))


if __name__ == '__main__':
  absltest.main()
