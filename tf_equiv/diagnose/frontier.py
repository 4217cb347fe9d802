"""The first ops that differ although all that they follow from agrees."""

import dataclasses
from collections.abc import Collection, Sequence

from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.tf1.capture import capture


@dataclasses.dataclass
class Frontier:
  """The ops of a divergence.

  Attributes:
    tf1: the first corresponding TF1 node that differs.
    tf2: its counterpart.
    only_tf1: TF1 nodes without counterpart between the last agreement and it.
    only_tf2: the same for TF2.
    variables: for each side, all that its op is computed from.
  """

  tf1: graph_lib.Node
  tf2: graph_lib.Node
  only_tf1: list[graph_lib.Node]
  only_tf2: list[graph_lib.Node]
  variables: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


def find(
  tf1: graph_lib.Graph,
  tf2: graph_lib.Graph,
  alignment: alignment_lib.Alignment,
  labels: Sequence[capture.Label],
) -> list[Frontier]:
  """Finds where two graphs diverge.

  Args:
    tf1: the graph of TF1.
    tf2: that of TF2.
    alignment: which of their nodes correspond.
    labels: results that differ.

  Returns:
    The divergences, in program order of TF1.
  """
  agreeing = alignment.agreeing(0), alignment.agreeing(1)
  first = _reached(tf1, labels, agreeing[0])
  second = _reached(tf2, labels, agreeing[1])
  differing = [
    name
    for name in tf1.nodes
    if name in first
    and alignment.pairs.get(name) in second
    and alignment.distance(name) is not None
  ]
  known = set(differing)
  pairs = [
    (name, alignment.pairs[name])
    for name in differing
    if not tf1.before(name, agreeing[0]) & known
  ] or _of_results(tf1, tf2, labels)
  return [
    Frontier(
      tf1.nodes[name],
      tf2.nodes[other],
      _lone(tf1, tf1.before(name, agreeing[0]), alignment.pairs),
      _lone(tf2, tf2.before(other, agreeing[1]), alignment.inverse),
      (_variables_of(tf1, name), _variables_of(tf2, other)),
    )
    for name, other in pairs
  ]


def _variables_of(graph: graph_lib.Graph, name: str) -> frozenset[str]:
  nodes = (graph.nodes[each] for each in graph.ancestors([name]))
  return frozenset().union(*(node.variables for node in nodes))


def _of_results(
  tf1: graph_lib.Graph,
  tf2: graph_lib.Graph,
  labels: Sequence[capture.Label],
) -> list[tuple[str, str]]:
  """Returns a result itself, where it is made of what the other side lacks."""
  for label in labels:
    operands = tf1.results[label], tf2.results[label]
    if all(operand.kind == graph_lib.NODE for operand in operands):
      return [(operands[0].key, operands[1].key)]
  return []


def _reached(
  graph: graph_lib.Graph,
  labels: Sequence[capture.Label],
  agreeing: Collection[str],
) -> set[str]:
  """Returns the nodes that results depend on by ways without agreement."""
  results = [graph.results[label] for label in labels]
  nodes = [result.key for result in results if result.kind == graph_lib.NODE]
  return graph.ancestors(nodes, agreeing)


def _lone(
  graph: graph_lib.Graph, names: set[str], paired: Collection[str]
) -> list[graph_lib.Node]:
  return [graph.nodes[n] for n in graph.nodes if n in names and n not in paired]
