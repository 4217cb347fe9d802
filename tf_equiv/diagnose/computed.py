"""What both sides compute of the same numbers, around a divergence."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import epsilons, formulas
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides

Values = Sequence[Mapping[str, np.ndarray]]

# So many values that agree are tried, from the last one on.
_MAX_TRIED = 10
# So many generations before the ops that differ.
_MAX_BEFORE = 4
# So many ops after such a value are looked at, in so many generations.
_MAX_OPS = 80
_MAX_DEPTH = 14
_MAX_SIZE = 1 << 19
_RTOL = 1e-3
# What passes numbers on.
_IDENTITY = 'identity'


def describe(
  found: frontier_lib.Frontier, sides: Sides, alignment: alignment_lib.Alignment
) -> list[Difference]:
  """Returns in what both sides differ that they compute of the same numbers.

  Args:
    found: the ops that differ.
    sides: both sides.
    alignment: which ops correspond.

  Returns:
    Differences of the kinds COMPUTES and NORMALIZES.
  """
  children = [_children(side.graph) for side in sides]
  reached = [
    _reached(children[i], nodes) for i, nodes in enumerate(_around(found))
  ]
  for first, second in _agreeing(found, sides, alignment):
    x = _small(sides[0], first.tensor)
    if x is None or x.size < 4:
      continue
    values = [
      {
        name: value
        for name, value in _after(side, children[i], read.key, x.size).items()
        if name in reached[i]
      }
      for i, (side, read) in enumerate(zip(sides, (first, second), strict=True))
    ]
    differences = _passed_on(found, x, values, first.key) or _compare(
      x, values, first.key
    )
    if differences:
      return [_exact(each, sides, values) for each in differences]
  return []


def _around(
  found: frontier_lib.Frontier,
) -> tuple[list[graph_lib.Node], list[graph_lib.Node]]:
  return [found.tf1, *found.only_tf1], [found.tf2, *found.only_tf2]


def _reached(
  children: Mapping[str, list[str]], nodes: Sequence[graph_lib.Node]
) -> set[str]:
  """Returns the ops of a place, and what is computed of them.

  What else is computed of the same numbers is no part of the place, and does
  not tell why it differs.
  """
  found = {node.name for node in nodes}
  queue = list(found)
  while queue:
    new = [x for x in children.get(queue.pop(), ()) if x not in found]
    found.update(new)
    queue += new
  return found


def _passed_on(
  found: frontier_lib.Frontier, x: np.ndarray, values: Values, name: str
) -> list[Difference]:
  """Compares an activation of one side with what passes the numbers on."""
  nodes = found.tf1, found.tf2
  same = [
    node.name in each and np.array_equal(each[node.name], x)
    for node, each in zip(nodes, values, strict=True)
  ]
  if same[0] == same[1]:
    return []
  there = nodes[same[0]]  # The other one.
  op_type = there.op_type.lower()
  if op_type not in formulas.ACTIVATIONS:
    return []
  names = (_IDENTITY, op_type) if same[0] else (op_type, _IDENTITY)
  return [Difference(Kind.COMPUTES, name, *names)]


def _compare(x: np.ndarray, values: Values, name: str) -> list[Difference]:
  """Compares what is computed of the same numbers.

  Args:
    x: the numbers.
    values: for each side what it computes of them, by name.
    name: name of the numbers.
  """
  mine, theirs = (formulas.activations_of(x, each) for each in values)
  lone = (
    [n for n in mine if n not in theirs],
    [n for n in theirs if n not in mine],
  )
  if len(lone[0]) == len(lone[1]) == 1:
    return [Difference(Kind.COMPUTES, name, lone[0][0], lone[1][0])]
  first, second = (formulas.normalization_of(x, each) for each in values)
  if first is None or second is None:
    return []
  if (first.statistic, first.axes) != (second.statistic, second.axes):
    return [
      Difference(
        Kind.NORMALIZES,
        name,
        (first.statistic, first.axes),
        (second.statistic, second.axes),
      )
    ]
  if np.isclose(first.epsilon, second.epsilon, rtol=_RTOL, atol=0):
    return []
  return [Difference(Kind.EPSILON, name, first.epsilon, second.epsilon)]


def _exact(found: Difference, sides: Sides, values: Values) -> Difference:
  """Gives epsilons that were measured the values that the graphs have."""
  if found.kind is not Kind.EPSILON:
    return found
  exact = []
  for side, each, measured in zip(
    sides, values, (found.tf1, found.tf2), strict=True
  ):
    known = epsilons.among(side, [side.graph.nodes[name] for name in each])
    near = [x for _, x in known if np.isclose(x, measured, rtol=0.01, atol=0)]
    exact.append(near[0] if near else float(f'{measured:.3g}'))
  return dataclasses.replace(found, tf1=exact[0], tf2=exact[1])


def _agreeing(
  found: frontier_lib.Frontier, sides: Sides, alignment: alignment_lib.Alignment
) -> list[tuple[graph_lib.Operand, graph_lib.Operand]]:
  """Returns what both sides read before a divergence, and agree in."""
  first, second = (
    _read(side.graph, nodes)
    for side, nodes in zip(sides, _around(found), strict=True)
  )
  pairs = []
  for key, operand in first.items():
    if operand.kind == graph_lib.INPUT:
      other = second.get(key)
    else:
      agrees = key in alignment.pairs and alignment.agrees(key)
      other = second.get(alignment.pairs[key]) if agrees else None
    if other is not None and other.kind == operand.kind:
      pairs.append((operand, other))
  order = {name: i for i, name in enumerate(sides[0].graph.nodes)}
  pairs.sort(key=lambda pair: order.get(pair[0].key, -1), reverse=True)
  return pairs[:_MAX_TRIED]


def _read(
  graph: graph_lib.Graph, nodes: Sequence[graph_lib.Node]
) -> dict[str, graph_lib.Operand]:
  """Returns what some ops read, directly or by a few other ops."""
  found: dict[str, graph_lib.Operand] = {}
  for _ in range(_MAX_BEFORE):
    read = {
      o.key: o
      for node in nodes
      for o in node.operands
      if o.kind in (graph_lib.NODE, graph_lib.INPUT) and o.key not in found
    }
    found.update(read)
    nodes = [
      graph.nodes[n] for n, o in read.items() if o.kind == graph_lib.NODE
    ]
  return found


def _children(graph: graph_lib.Graph) -> Mapping[str, list[str]]:
  found = defaultdict(list)
  for name, node in graph.nodes.items():
    for operand in node.operands:
      if operand.kind in (graph_lib.NODE, graph_lib.INPUT):
        found[operand.key].append(name)
  return found


def _after(
  side: Side, children: Mapping[str, list[str]], name: str, size: int
) -> dict[str, np.ndarray]:
  """Returns what is computed of a value, up to its size, in program order."""
  seen, generation = {name}, [name]
  for _ in range(_MAX_DEPTH):
    generation = [
      child
      for parent in generation
      for child in dict.fromkeys(children.get(parent, ()))
      if child not in seen and not side.graph.nodes[child].nested
    ]
    seen.update(generation)
    if not generation or len(seen) > _MAX_OPS:
      break
  names = [n for n in side.graph.nodes if n in seen and n != name][:_MAX_OPS]
  tensors = {
    side.graph.nodes[n].outputs[0]: n
    for n in names
    if side.graph.nodes[n].outputs
    and side.run.is_small(side.graph.nodes[n].outputs[0], size)
  }
  fetched = side.run.fetch(list(tensors))
  return {
    n: value
    for n, value in zip(tensors.values(), fetched, strict=True)
    if value.dtype.kind == 'f' and 1 < value.size <= size
  }


def _small(side: Side, tensor: str) -> np.ndarray | None:
  if not side.run.is_small(tensor, _MAX_SIZE):
    return None
  (value,) = side.run.fetch([tensor])
  return value if value.dtype.kind == 'f' and np.isfinite(value).all() else None
