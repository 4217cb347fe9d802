"""Where two graphs are written otherwise, whatever their values are.

An op of one side is known to the other if that has an op of the same type,
with the same attributes and constants, that reads what is known in the same
way. A suspect is an op that is not known although all that it reads is.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import op_diff, side

_COMMUTATIVE = ('Add', 'AddN', 'Mul', 'Maximum', 'Minimum')
# Constants of more elements are told apart by their names.
_MAX_CONSTANT = 1 << 14


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


def find(sides: side.Sides) -> Suspects:
  """Finds where two graphs are written otherwise.

  Args:
    sides: both sides; their graphs can be run.
  """
  keys, results = [], []
  for each, draws in zip(sides, _draw_keys(sides), strict=True):
    constants = _constants(each)
    found = _keys(each, constants, draws)
    keys.append(found)
    results.append(
      {
        label: _operand_key(operand, found, constants, draws)
        for label, operand in each.graph.results.items()
      }
    )
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


def _draw_keys(sides: side.Sides) -> list[dict[str, str]]:
  """Returns for each side what each draw is called: type, number."""
  found = []
  for each in sides:
    counts: Counter = Counter()
    keys = {}
    for name in each.graph.draws:
      kind = each.graph.draw_types[name]
      keys[name] = f'{kind}:{counts[kind]}'
      counts[kind] += 1
    found.append(keys)
  return found


def _constants(each: side.Side) -> Mapping[str, np.ndarray]:
  """Returns the values of the constants that a graph reads, by name."""
  names = sorted(
    {
      o.key
      for node in each.graph.nodes.values()
      if not node.nested and node.op_type not in ('Exit', 'Merge')
      for o in node.operands
      if o.kind == graph_lib.CONSTANT
      and each.run.has(o.key)
      and each.run.is_small(o.key, _MAX_CONSTANT)
    }
  )
  return dict(zip(names, each.run.fetch(names), strict=True)) if names else {}


def _keys(
  each: side.Side,
  constants: Mapping[str, np.ndarray],
  draws: Mapping[str, str],
) -> dict[str, str]:
  keys: dict[str, str] = {}
  for name, node in each.graph.nodes.items():
    operands = [_operand_key(o, keys, constants, draws) for o in node.operands]
    if node.family in _COMMUTATIVE:
      operands.sort()
    attributes: Sequence[Any] = sorted(
      (key, repr(value))
      for key, value in node.attributes.items()
      if key not in op_diff.NOT_TELLING
    )
    # What is inside of a loop or a branch is not compared here.
    body = None if node.body is None else each.captured.side
    keys[name] = _digest(node.family, node.dtype, attributes, operands, body)
  return keys


def _operand_key(
  operand: graph_lib.Operand,
  keys: Mapping[str, str],
  constants: Mapping[str, np.ndarray],
  draws: Mapping[str, str],
) -> str:
  if operand.kind == graph_lib.NODE:
    # In loops of control flow v1, an op may read what comes later.
    return f'{keys.get(operand.key, "later")}:{operand.output}'
  if operand.kind == graph_lib.CONSTANT:
    value = constants.get(operand.key)
    if value is None:
      return f'constant {operand.key}'
    return _digest(value.shape, value.dtype.str, value.tobytes())
  if operand.kind == graph_lib.RANDOM:
    return f'draw {draws.get(operand.key, operand.key)}'
  return f'{operand.kind} {operand.key}'


def _digest(*parts: Any) -> str:
  return hashlib.sha1(repr(parts).encode()).hexdigest()
