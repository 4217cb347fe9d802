"""What is different about two ops that should do the same."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tf_equiv.compare import difference
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier, graph

NOT_TELLING = {
  'shape',
  'container',
  'shared_name',
  'seed',
  'seed2',
  'output_shapes',
  'use_cudnn_on_gpu',
  'exponential_avg_factor',
  'parallel_iterations',
  'allowed_devices',
  'grad_a',
  'grad_b',
  'validate_shape',
  'debug_name',
  'is_stateless',
  # Numbers that a process gives to functions of Python, and names of its own.
  'token',
  'frame_name',
  'tensor_array_name',
  'config_proto',
  'executor_type',
}
# How a loop is written down differs between versions and says nothing.
_OF_LOOPS = {
  'TensorListReserve',
  'TensorListSetItem',
  'TensorListGetItem',
  'Less',
  'LogicalAnd',
  'Pack',
  'StridedSlice',
  'Shape',
}
_COMMUTATIVE = ('Add', 'AddN', 'Mul', 'Maximum', 'Minimum', 'SquaredDifference')
_AXES = {
  'ConcatV2',
  'Mean',
  'Sum',
  'Max',
  'Min',
  'Prod',
  'ArgMax',
  'ExpandDims',
  'GatherV2',
}

# Value of a constant by the name of its tensor, None if it is large.
ValueOf = Callable[[str], np.ndarray | None]
Values = tuple[ValueOf, ValueOf]


def describe(
  found: frontier.Frontier,
  alignment: alignment_lib.Alignment,
  values: Values,
) -> list[Difference]:
  """Returns what differs about the ops of a divergence.

  Args:
    found: the ops.
    alignment: which nodes correspond.
    values: for each side, the value of a constant.

  Returns:
    The differences, the most telling first.
  """
  a, b = found.tf1, found.tf2
  loops = [
    next((n for n in (node, *lone) if n.body is not None), None)
    for node, lone in ((a, found.only_tf1), (b, found.only_tf2))
  ]
  if all(loops):
    return _bodies(*loops) + _variables(found)
  differences = _attributes(a, b) + _constants(a, b, values) + _dtypes(a, b)
  differences += _variables(found)
  if not found.only_tf1 and not found.only_tf2 and a.family == b.family:
    differences += _operands(a, b, alignment) + _rearranged(a, alignment)
  else:
    differences += _numbers(found, values)
  return differences


def _only(
  kind: Kind, sides: tuple[Iterable[Any], Iterable[Any]]
) -> list[Difference]:
  """Returns what each side has and the other has not, if anything."""
  both = [dict.fromkeys(side) for side in sides]
  found = []
  for i in (0, 1):
    rest = tuple(x for x in both[i] if x not in both[1 - i])
    if rest:
      found.append(difference.one_sided(kind, i, rest))
  return found


def _bodies(a: graph.Node, b: graph.Node) -> list[Difference]:
  """Returns what differs inside of two loops."""
  types = tuple(sorted({*x.body.types} - _OF_LOOPS) for x in (a, b))
  return _only_numbers(a.body.numbers, b.body.numbers) + _only(
    Kind.LOOP_OPS, types
  )


def _only_numbers(
  tf1: Iterable[float], tf2: Iterable[float]
) -> list[Difference]:
  """Returns the numbers that one side alone has, up to rounding."""
  sides = [{f'{x:.7g}': x for x in side} for side in (tf1, tf2)]
  found = []
  for i in (0, 1):
    rest = sorted(set(sides[i]) - set(sides[1 - i]))
    if rest:
      numbers = tuple(sides[i][text] for text in rest)
      found.append(difference.one_sided(Kind.NUMBERS, i, numbers))
  return found


def _attributes(a: graph.Node, b: graph.Node) -> list[Difference]:
  if a.op_type != b.op_type:
    if a.family == b.family:
      return []
    return [Difference(Kind.OP_TYPE, tf1=a.op_type, tf2=b.op_type)]
  return [
    Difference(
      Kind.ATTRIBUTE,
      key,
      difference.plain(a.attributes[key]),
      difference.plain(b.attributes[key]),
    )
    for key in telling_attributes(a, b)
  ]


def telling_attributes(a: graph.Node, b: graph.Node) -> list[str]:
  """Returns the names of the attributes in which two ops differ."""
  return [
    key
    for key in sorted(set(a.attributes) & set(b.attributes))
    if is_telling(key) and a.attributes[key] != b.attributes[key]
  ]


def is_telling(attribute: str) -> bool:
  """Returns whether an attribute says anything of what an op computes."""
  return attribute not in NOT_TELLING


def _constants_of(
  node: graph.Node, value_of: ValueOf
) -> list[tuple[int, np.ndarray | None]]:
  return [
    (i, value_of(o.key))
    for i, o in enumerate(node.operands)
    if o.kind == graph.CONSTANT
  ]


def _constants(
  a: graph.Node, b: graph.Node, values: Values
) -> list[Difference]:
  if a.family != b.family:
    return []
  mine, theirs = (
    _constants_of(node, value_of)
    for node, value_of in zip((a, b), values, strict=True)
  )
  if len(mine) != len(theirs):
    return []
  found = []
  for (i, first), (_, second) in zip(mine, theirs, strict=True):
    if first is None or second is None or _equal(first, second):
      continue
    if a.op_type in _AXES and _same_axes(first, second, a):
      continue
    first, second = difference.plain(first), difference.plain(second)
    found.append(Difference(Kind.CONSTANT, tf1=first, tf2=second, operand=i))
  return found


def _same_axes(first: np.ndarray, second: np.ndarray, node: graph.Node) -> bool:
  rank = len(node.shape or ())
  ranks = (rank, rank + 1, rank + np.size(first))
  return any(
    _equal(np.sort(np.ravel(first) % r), np.sort(np.ravel(second) % r))
    for r in ranks
    if r and first.dtype.kind == second.dtype.kind == 'i'
  )


def _dtypes(a: graph.Node, b: graph.Node) -> list[Difference]:
  if a.dtype == b.dtype:
    return []
  return [Difference(Kind.DTYPE, tf1=a.dtype, tf2=b.dtype)]


def _variables(found: frontier.Frontier) -> list[Difference]:
  """Returns which variables one side alone reads."""
  read = [
    frozenset().union(*(n.variables for n in (node, *lone)))
    for node, lone in (
      (found.tf1, found.only_tf1),
      (found.tf2, found.only_tf2),
    )
  ]
  a, b = found.tf1, found.tf2
  if a.family != b.family or not (a.variables and b.variables):
    # The other side may read it further above.
    read = [mine - found.variables[1 - i] for i, mine in enumerate(read)]
  return _only(Kind.READS, (sorted(read[0]), sorted(read[1])))


def _operands(
  a: graph.Node, b: graph.Node, alignment: alignment_lib.Alignment
) -> list[Difference]:
  """Returns how two ops differ in which values they read."""
  mine = [o for o in a.operands if o.kind != graph.CONSTANT]
  theirs = [o for o in b.operands if o.kind != graph.CONSTANT]
  if len(mine) != len(theirs):
    return [Difference(Kind.OPERAND_COUNT, tf1=len(mine), tf2=len(theirs))]
  pairs = zip(mine, theirs, strict=True)
  wrong = [(x, y) for x, y in pairs if not alignment.same_operand(x, y)]
  if not wrong:
    return []
  left = list(theirs)
  for x in mine:
    match = next((y for y in left if alignment.same_operand(x, y)), None)
    if match is None:
      x, y = wrong[0]
      return [Difference(Kind.OPERAND, tf1=_read(x), tf2=_read(y))]
    left.remove(match)
  if a.family in _COMMUTATIVE:
    return []
  return [
    Difference(
      Kind.OPERAND_ORDER,
      tf1=tuple(_read(o) for o in mine),
      tf2=tuple(alignment.inverse.get(o.key, _read(o)) for o in theirs),
    )
  ]


def _rearranged(
  node: graph.Node, alignment: alignment_lib.Alignment
) -> list[Difference]:
  return [
    Difference(Kind.REARRANGED, operand=i)
    for i, o in enumerate(node.operands)
    if o.kind == graph.NODE and alignment.is_rearranged(o.key)
  ]


def _read(operand: graph.Operand) -> str:
  if operand.kind == graph.INPUT:
    return 'inputs' + operand.key
  if operand.kind == graph.RANDOM:
    return 'the random draw ' + operand.key.split(':')[0]
  return operand.key


def _numbers(found: frontier.Frontier, values: Values) -> list[Difference]:
  """Returns numbers that one side alone has, where the ops are others."""
  sides = []
  for nodes, value_of in (
    ((found.tf1, *found.only_tf1), values[0]),
    ((found.tf2, *found.only_tf2), values[1]),
  ):
    numbers = []
    for node in nodes:
      for key, value in node.attributes.items():
        if isinstance(value, float) and key not in NOT_TELLING:
          numbers.append(value)
      for _, value in _constants_of(node, value_of):
        if value is not None and value.size == 1 and value.dtype.kind == 'f':
          numbers.append(difference.plain(value.reshape(-1)[0]))
    sides.append(numbers)
  return _only_numbers(*sides)


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
  first, second = np.asarray(first), np.asarray(second)
  return first.shape == second.shape and np.array_equal(first, second)
