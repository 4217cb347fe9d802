"""The first ops that differ although all that they follow from agrees."""

import dataclasses

from tf_equiv.diagnose import graph as graph_lib


@dataclasses.dataclass
class Frontier:
  """A place where the sides part.

  Attributes:
    tf1: the first corresponding TF1 node that differs.
    tf2: its counterpart.
    only_tf1: TF1 nodes without counterpart between the last agreement and it.
    only_tf2: the same for TF2.
  """

  tf1: graph_lib.Node
  tf2: graph_lib.Node
  only_tf1: list[graph_lib.Node]
  only_tf2: list[graph_lib.Node]


def find(tf1, tf2, alignment, labels) -> list[Frontier]:
  """Finds where two graphs part.

  Args:
    tf1: the `nodes.Graph` of TF1.
    tf2: that of TF2.
    alignment: which of their nodes correspond.
    labels: results that differ.

  Returns:
    The places, in program order of TF1.
  """
  agreeing = {name for name in alignment.pairs if alignment.agrees(name)}
  also = {alignment.pairs[name] for name in agreeing}
  first = _reached(tf1, labels, agreeing)
  second = _reached(tf2, labels, also)
  differing = [
    name
    for name in tf1.nodes
    if name in first
    and alignment.pairs.get(name) in second
    and alignment.distance(name) is not None
  ]
  known, found = set(differing), []
  for name in differing:
    before = _ancestors(tf1, name, first)
    if before & known:
      continue
    other = alignment.pairs[name]
    there = _ancestors(tf2, other, second)
    found.append(
      Frontier(
        tf1.nodes[name],
        tf2.nodes[other],
        _lone(tf1, before, alignment.pairs),
        _lone(tf2, there, alignment.inverse),
      )
    )
  return found or _of_results(tf1, tf2, alignment, labels, first, second)


def _of_results(tf1, tf2, alignment, labels, first, second) -> list[Frontier]:
  """The results themselves, where one is made of what the other side lacks."""
  for label in labels:
    operands = tf1.results[label], tf2.results[label]
    if all(operand.kind == graph_lib.NODE for operand in operands):
      mine, theirs = (operand.key for operand in operands)
      return [
        Frontier(
          tf1.nodes[mine],
          tf2.nodes[theirs],
          _lone(tf1, _ancestors(tf1, mine, first), alignment.pairs),
          _lone(tf2, _ancestors(tf2, theirs, second), alignment.inverse),
        )
      ]
  return []


def _reached(graph, labels, agreeing) -> set[str]:
  """Nodes on which the results depend by ways without agreement."""
  pending = [
    graph.results[label].key
    for label in labels
    if graph.results[label].kind == graph_lib.NODE
  ]
  seen = set()
  while pending:
    name = pending.pop()
    if name not in seen and name not in agreeing:
      seen.add(name)
      pending.extend(graph.nodes[name].parents)
  return seen


def _ancestors(graph, name, among) -> set[str]:
  pending, seen = list(graph.nodes[name].parents), set()
  while pending:
    other = pending.pop()
    if other in among and other not in seen:
      seen.add(other)
      pending.extend(graph.nodes[other].parents)
  seen.discard(name)
  return seen


def _lone(graph, names, paired) -> list[graph_lib.Node]:
  return [graph.nodes[n] for n in graph.nodes if n in names and n not in paired]
