"""In which order the rows of a table are kept that is partitioned."""

import re

import numpy as np

from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides

# As tf.compat.v1.nn.embedding_lookup calls them.
IN_TURN, IN_BLOCKS = 'mod', 'div'
# What finds the part of a row: its number modulo that of the parts, or the
# number of its block, of which the first ones may have one row more.
_STRATEGIES = {'FloorMod': IN_TURN, 'Maximum': IN_BLOCKS}
_GATHERING = re.compile('Gather')


def describe(found: frontier_lib.Frontier, sides: Sides) -> list[Difference]:
  """Returns how the sides find the rows of a table in parts, if they differ.

  Args:
    found: the ops that differ.
    sides: both sides.

  Returns:
    At most one difference of the kind PARTITIONED.
  """
  strategies = [
    _strategy(side.graph, node)
    for side, node in zip(sides, (found.tf1, found.tf2), strict=True)
  ]
  for i in (0, 1):
    if strategies[i] and not strategies[1 - i]:
      strategies[1 - i] = _order(sides[i], sides[1 - i])
  if None in strategies or strategies[0] == strategies[1]:
    return []
  return [Difference(Kind.PARTITIONED, '', *strategies)]


def _strategy(graph: graph_lib.Graph, node: graph_lib.Node) -> str | None:
  """Returns the strategy of a lookup around an op, None if there is none."""
  before = graph.before(node.name)
  for name, other in graph.nodes.items():
    if other.op_type != 'DynamicPartition':
      continue
    near = name in before or node.name in graph.before(name) | {name}
    if not near or len(other.operands) < 2:
      continue
    read = other.operands[1]
    while read.kind == graph_lib.NODE:
      made = graph.nodes[read.key]
      if made.op_type != 'Cast':
        return _STRATEGIES.get(made.op_type)
      read = made.operands[0]
  return None


def _order(side: Side, other: Side) -> str | None:
  """Returns how the parts of one side are put together in the other's table."""
  names = {
    name
    for node in side.graph.nodes.values()
    if _GATHERING.search(node.op_type)
    for name in node.variables
  }
  parts = [
    np.asarray(value)
    for name, value in side.captured.variables.values()
    if name in names and np.ndim(value)
  ]
  if len(parts) < 2 or len({part.shape[1:] for part in parts}) > 1:
    return None
  count = sum(len(part) for part in parts)
  in_turn = np.empty((count, *parts[0].shape[1:]), parts[0].dtype)
  for i, part in enumerate(parts):
    if in_turn[i :: len(parts)].shape != part.shape:
      return None
    in_turn[i :: len(parts)] = part
  for _, table in other.captured.variables.values():
    if np.array_equal(table, np.concatenate(parts)):
      return IN_BLOCKS
    if np.array_equal(table, in_turn):
      return IN_TURN
  return None
