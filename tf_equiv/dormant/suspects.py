"""Where two graphs are written otherwise, whatever their values are.

An op of one side is known to the other if that has an op of the same type,
with the same attributes and constants, that reads what is known in the same
way. A suspect is an op that is not known although all that it reads is.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import op_diff, side
from tf_equiv.dormant import constants as constants_lib
from tf_equiv.tf1.capture import capture

_COMMUTATIVE = ('Add', 'AddN', 'Mul', 'Maximum', 'Minimum')


@dataclasses.dataclass(frozen=True)
class Suspects:
  """Ops of one side that the other has not.

  Attributes:
    tf1: names of the first such ops in TF1.
    tf2: the same of TF2.
    is_same: whether both sides compute their results in the same way.
    reads: for each of them, keys of the ops, inputs and variables it reads.
  """

  tf1: tuple[str, ...] = ()
  tf2: tuple[str, ...] = ()
  is_same: bool = False
  reads: tuple[tuple[frozenset[str], ...], ...] = ((), ())

  @property
  def pairs(self) -> tuple[tuple[str, str], ...]:
    """The first such ops, beside one of the other side that reads the same."""
    left = list(zip(self.tf2, self.reads[1], strict=True))
    found = []
    for name, read in zip(self.tf1, self.reads[0], strict=True):
      match = next((pair for pair in left if pair[1] & read), None)
      if match is not None:
        left.remove(match)
      found.append((name, '' if match is None else match[0]))
    return (*found, *(('', name) for name, _ in left))


def are_same(
  captures: tuple[capture.Capture, capture.Capture],
  labels: Sequence[capture.Label],
  names: Mapping[str, str],
) -> bool:
  """Returns whether two graphs surely compute results in the same way.

  Nothing is run for it. Constants that are computed in another way, loops and
  branches may hide that they do.

  Args:
    captures: both graphs.
    labels: the results.
    names: TF1 name of a variable by that of TF2.
  """
  graphs = [
    graph_lib.read(captured, labels, named)
    for captured, named in zip(captures, ({}, names), strict=True)
  ]
  results = []
  for captured, graph, named in zip(captures, graphs, ({}, names), strict=True):
    constants = constants_lib.as_written(captured, graph, named)
    draws = _draw_keys(graph)
    keys = _keys(graph, captured.side, constants, draws)
    results.append(_result_keys(graph, keys, constants, draws))
  return results[0] == results[1]


def find(sides: side.Sides) -> Suspects:
  """Finds where two graphs are written otherwise.

  Args:
    sides: both sides; their graphs can be run.
  """
  keys, results = [], []
  for each in sides:
    constants, draws = constants_lib.computed(each), _draw_keys(each.graph)
    found = _keys(each.graph, each.captured.side, constants, draws)
    keys.append(found)
    results.append(_result_keys(each.graph, found, constants, draws))
  firsts, reads = [], []
  for i, each in enumerate(sides):
    known = set(keys[1 - i].values())
    firsts.append(
      tuple(
        name
        for name, node in each.graph.nodes.items()
        if keys[i][name] not in known
        and all(
          keys[i].get(o.key) in known
          for o in node.operands
          if o.kind == graph_lib.NODE
        )
      )
    )
    reads.append(
      tuple(
        frozenset(
          keys[i].get(o.key, o.key)
          for o in each.graph.nodes[name].operands
          if o.kind in (graph_lib.NODE, graph_lib.INPUT)
        )
        for name in firsts[i]
      )
    )
  return Suspects(
    firsts[0], firsts[1], results[0] == results[1], (reads[0], reads[1])
  )


def _draw_keys(graph: graph_lib.Graph) -> dict[str, str]:
  """Returns what each draw is called: type, number."""
  counts: Counter = Counter()
  keys = {}
  for name in graph.draws:
    kind = graph.draw_types[name]
    keys[name] = f'{kind}:{counts[kind]}'
    counts[kind] += 1
  return keys


def _result_keys(
  graph: graph_lib.Graph,
  keys: Mapping[str, str],
  constants: Mapping[str, str],
  draws: Mapping[str, str],
) -> dict[capture.Label, str]:
  return {
    label: _operand_key(operand, keys, constants, draws)
    for label, operand in graph.results.items()
  }


def _keys(
  graph: graph_lib.Graph,
  side_name: str,
  constants: Mapping[str, str],
  draws: Mapping[str, str],
) -> dict[str, str]:
  keys: dict[str, str] = {}
  for name, node in graph.nodes.items():
    operands = [_operand_key(o, keys, constants, draws) for o in node.operands]
    if node.family in _COMMUTATIVE:
      operands.sort()
    attributes: Sequence[Any] = sorted(
      (key, repr(value))
      for key, value in node.attributes.items()
      if key not in op_diff.NOT_TELLING
    )
    # What is inside of a loop or a branch is not compared here.
    body = None if node.body is None else side_name
    keys[name] = constants_lib.digest(
      node.family, node.dtype, attributes, operands, body
    )
  return keys


def _operand_key(
  operand: graph_lib.Operand,
  keys: Mapping[str, str],
  constants: Mapping[str, str],
  draws: Mapping[str, str],
) -> str:
  if operand.kind == graph_lib.NODE:
    # In loops of control flow v1, an op may read what comes later.
    return f'{keys.get(operand.key, "later")}:{operand.output}'
  if operand.kind == graph_lib.CONSTANT:
    return constants.get(operand.key) or f'constant {operand.key}'
  if operand.kind == graph_lib.RANDOM:
    return f'draw {draws.get(operand.key, operand.key)}'
  return f'{operand.kind} {operand.key}'
