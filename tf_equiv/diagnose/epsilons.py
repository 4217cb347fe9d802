"""Whether the epsilon of a normalization explains that two ops differ."""

from collections.abc import Iterator, Sequence

import numpy as np

from tf_equiv.compare.difference import Difference, Kind, plain
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides

_MAX_SIZE = 1 << 22
# What is left of the difference with the epsilon of TF1, at most.
_LEFT = 1e-3
# Epsilons are no larger than this.
_LARGEST = 0.1
_FUSED = 'FusedBatchNorm'
# What adds an epsilon, and what follows it in a normalization.
_ADDING = ('Add', 'AddN', 'Maximum')
_INVERSE = ('Rsqrt', 'Reciprocal', 'Inv')
_POWER = 'Pow'
_DIVIDING = ('RealDiv', 'DivNoNan', 'Xdivy')
_PASSING = (
  'Sqrt',
  'Reshape',
  'Squeeze',
  'ExpandDims',
  'Cast',
  'Tile',
  'BroadcastTo',
)


def describe(found: frontier_lib.Frontier, sides: Sides) -> list[Difference]:
  """Returns which epsilons explain that two ops differ.

  TF2 is computed once more with the epsilon of TF1. Only if it gives what TF1
  gives then, it is the epsilon that differs.

  Args:
    found: the ops.
    sides: both sides.

  Returns:
    At most one difference of the kind EPSILON.
  """
  nodes = found.tf1, found.tf2
  if any(node.nested or not node.outputs for node in nodes):
    return []
  if not all(
    side.run.is_small(node.outputs[0], _MAX_SIZE)
    for side, node in zip(sides, nodes, strict=True)
  ):
    return []
  mine, theirs = (
    side.run.fetch(node.outputs[:1])[0]
    for side, node in zip(sides, nodes, strict=True)
  )
  if mine.shape != theirs.shape or mine.dtype.kind != 'f':
    return []
  wanted = [
    epsilon for _, epsilon in among(sides[0], (found.tf1, *found.only_tf1))
  ]
  given = list(among(sides[1], (found.tf2, *found.only_tf2)))
  gap = np.max(np.abs(mine - theirs), initial=0.0)
  for place, epsilon in given:
    for other in wanted:
      if np.isclose(epsilon, other, rtol=1e-4, atol=0):
        continue
      if isinstance(place, graph_lib.Node):
        again = _normalized(sides[1], place, found.tf2, theirs, other)
      else:
        (again,) = sides[1].run.fetch(
          found.tf2.outputs[:1],
          constants={place: np.full(_shape(sides[1], place), other)},
        )
      if again is None:
        continue
      if np.max(np.abs(again - mine), initial=0.0) <= _LEFT * gap:
        return [Difference(Kind.EPSILON, '', plain(other), plain(epsilon))]
  return []


def _shape(side: Side, tensor: str) -> tuple[int, ...]:
  return side.run.fetch([tensor])[0].shape


def among(
  side: Side, nodes: Sequence[graph_lib.Node]
) -> Iterator[tuple[graph_lib.Node | str, float]]:
  """Yields what may be an epsilon, and where it is.

  Args:
    side: the side.
    nodes: some ops of it.

  Yields:
    (a fused op, or the name of a constant, its value).
  """
  for node in nodes:
    if node.op_type.startswith(_FUSED) and 'epsilon' in node.attributes:
      yield node, float(node.attributes['epsilon'])
    if node.family not in _ADDING or not _is_divided_by(side, node.name):
      continue
    for operand in node.operands:
      if operand.kind != graph_lib.CONSTANT:
        continue
      if not side.run.is_small(operand.tensor, 1):
        continue
      (value,) = side.run.fetch([operand.tensor])
      if value.dtype.kind == 'f' and value.size == 1:
        number = plain(np.float32(value.reshape(-1)[0]))
        if 0 < number <= _LARGEST:
          yield operand.tensor, number


def _is_divided_by(side: Side, name: str) -> bool:
  """Returns whether something is divided by a value, or by its root."""
  known = {name}
  for node in side.graph.nodes.values():
    read = [i for i, o in enumerate(node.operands) if o.key in known]
    if not read:
      continue
    power = _power(side, node) if 0 in read else None
    if node.family in _INVERSE or (power is not None and power < 0):
      return True
    if node.family in _DIVIDING and 1 in read:
      return True
    if node.family in _PASSING or (power is not None and power < 1):
      known.add(node.name)
  return False


def _power(side: Side, node: graph_lib.Node) -> float | None:
  """Returns the number that an op raises to, None if there is none."""
  if node.family != _POWER or node.operands[1].kind != graph_lib.CONSTANT:
    return None
  tensor = node.operands[1].tensor
  if not side.run.is_small(tensor, 1):
    return None
  (value,) = side.run.fetch([tensor])
  return float(value.reshape(-1)[0]) if value.size else None


def _normalized(
  side: Side,
  node: graph_lib.Node,
  last: graph_lib.Node,
  value: np.ndarray,
  epsilon: float,
) -> np.ndarray | None:
  """Returns what a fused normalization gives with another epsilon.

  Args:
    side: the side that has it.
    node: the fused op.
    last: the op that is asked for; only the fused op itself can be computed.
    value: what it gives.
    epsilon: the other epsilon.
  """
  if node.name != last.name or node.op_type.endswith('Grad'):
    return None
  x, _, offset, _, variance = side.run.fetch(
    [operand.tensor for operand in node.operands[:5]]
  )
  axis = 1 if node.attributes.get('data_format') == 'NCHW' else x.ndim - 1
  others = tuple(i for i in range(x.ndim) if i != axis)
  if node.attributes.get('is_training', True):
    variance = np.var(x, others)
  shape = [1] * x.ndim
  shape[axis] = -1
  given = float(node.attributes['epsilon'])
  factor = np.sqrt((variance + given) / (variance + epsilon)).reshape(shape)
  offset = offset.reshape(shape)
  return offset + (value - offset) * factor
