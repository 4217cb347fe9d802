"""What is different about two ops that should do the same."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from tf_equiv.diagnose import frontier, graph

_NOT_TELLING = {
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
_MAX_ELEMENTS = 16
_MOST = 4

# Value of a constant by the name of its tensor, None if it is large.
ValueOf = Callable[[str], np.ndarray | None]


def describe(
  found: frontier.Frontier, alignment, values: tuple[ValueOf, ValueOf]
) -> list[str]:
  """Says what differs about the ops of a place where the sides part.

  Args:
    found: the place.
    alignment: which nodes correspond.
    values: for each side, the value of a constant.

  Returns:
    Lines, the most telling first.
  """
  a, b = found.tf1, found.tf2
  loops = [
    next((n for n in (node, *lone) if n.body is not None), None)
    for node, lone in ((a, found.only_tf1), (b, found.only_tf2))
  ]
  if all(loops):
    return _bodies(*loops) + _variables(a, b, found)
  lines = _attributes(a, b) + _constants(a, b, values) + _dtypes(a, b)
  lines += _variables(a, b, found)
  if not found.only_tf1 and not found.only_tf2 and a.family == b.family:
    lines += _operands(a, b, alignment) + _rearranged(a, alignment)
  else:
    lines += _numbers(found, values)
  return lines


def _bodies(a, b) -> list[str]:
  """Says what differs inside of two loops."""
  lines = []
  for what, first, second in (
    ('numbers', a.body.numbers, b.body.numbers),
    ('ops inside the loop', a.body.types, b.body.types),
  ):
    for side, mine, theirs in (('TF1', first, second), ('TF2', second, first)):
      rest = sorted(set(mine) - set(theirs) - _OF_LOOPS)
      if rest:
        lines.append(f'{what} only in {side}: {", ".join(rest[:_MOST])}')
  return lines


def _attributes(a, b) -> list[str]:
  if a.op_type != b.op_type:
    if a.family == b.family:
      return []
    return [f'op: TF1 {a.op_type}, TF2 {b.op_type}']
  keys = sorted(set(a.attributes) & set(b.attributes) - _NOT_TELLING)
  return [
    f'{key}: TF1 {_show(a.attributes[key])}, TF2 {_show(b.attributes[key])}'
    for key in keys
    if a.attributes[key] != b.attributes[key]
  ]


def _constants_of(node, value_of):
  return [
    (i, value_of(o.key))
    for i, o in enumerate(node.operands)
    if o.kind == graph.CONSTANT
  ]


def _constants(a, b, values) -> list[str]:
  if a.family != b.family:
    return []
  mine, theirs = (
    _constants_of(node, value_of)
    for node, value_of in zip((a, b), values, strict=True)
  )
  if len(mine) != len(theirs):
    return []
  lines = []
  for (i, first), (_, second) in zip(mine, theirs, strict=True):
    if first is None or second is None or _equal(first, second):
      continue
    if a.op_type in _AXES and _same_axes(first, second, a):
      continue
    lines.append(
      f'constant (operand {i}): TF1 {_array(first)}, TF2 {_array(second)}'
    )
  return lines


def _same_axes(first, second, node) -> bool:
  rank = len(node.shape or ())
  ranks = (rank, rank + 1, rank + np.size(first))
  return any(
    _equal(np.sort(np.ravel(first) % r), np.sort(np.ravel(second) % r))
    for r in ranks
    if r and first.dtype.kind == second.dtype.kind == 'i'
  )


def _dtypes(a, b) -> list[str]:
  if a.dtype == b.dtype:
    return []
  return [f'dtype: TF1 {a.dtype}, TF2 {b.dtype}']


def _variables(a, b, found) -> list[str]:
  mine = set(a.variables).union(*(n.variables for n in found.only_tf1))
  theirs = set(b.variables).union(*(n.variables for n in found.only_tf2))
  lines = []
  if mine - theirs:
    lines.append(f'only TF1 reads {", ".join(sorted(mine - theirs)[:_MOST])}')
  if theirs - mine:
    lines.append(f'only TF2 reads {", ".join(sorted(theirs - mine)[:_MOST])}')
  return lines


def _operands(a, b, alignment) -> list[str]:
  """Says how two ops differ in which values they read."""
  mine = [o for o in a.operands if o.kind != graph.CONSTANT]
  theirs = [o for o in b.operands if o.kind != graph.CONSTANT]
  if len(mine) != len(theirs):
    return [f'operands: TF1 has {len(mine)}, TF2 has {len(theirs)}']
  pairs = zip(mine, theirs, strict=True)
  wrong = [(x, y) for x, y in pairs if not alignment.same_operand(x, y)]
  if not wrong:
    return []
  left = list(theirs)
  for x in mine:
    match = next((y for y in left if alignment.same_operand(x, y)), None)
    if match is None:
      x, y = wrong[0]
      return [f'operand: TF1 reads {_read(x)}, TF2 reads {_read(y)}']
    left.remove(match)
  if a.family in _COMMUTATIVE:
    return []
  return [
    'order of operands: TF1 %s; TF2 %s'
    % (_names(mine), ', '.join(_named(o, alignment) for o in theirs))
  ]


def _rearranged(node, alignment) -> list[str]:
  return [
    f'operand {i} holds the same numbers in both, but in another order'
    for i, o in enumerate(node.operands)
    if o.kind == graph.NODE and alignment.is_rearranged(o.key)
  ]


def _names(operands) -> str:
  return ', '.join(_read(o) for o in operands)


def _read(operand) -> str:
  if operand.kind == graph.INPUT:
    return 'inputs' + operand.key
  if operand.kind == graph.RANDOM:
    return 'the random draw ' + operand.key.split(':')[0]
  return operand.key


def _named(operand, alignment) -> str:
  return alignment.inverse.get(operand.key, _read(operand))


def _numbers(found, values) -> list[str]:
  """Numbers that only one side computes with, where the ops are others."""
  sides = []
  for node, lone, value_of in (
    (found.tf1, found.only_tf1, values[0]),
    (found.tf2, found.only_tf2, values[1]),
  ):
    numbers = Counter()
    for each in (node, *lone):
      for key, value in each.attributes.items():
        if isinstance(value, float) and key not in _NOT_TELLING:
          numbers[_show(value)] += 1
      for _, value in _constants_of(each, value_of):
        if value is not None and value.size == 1 and value.dtype.kind == 'f':
          numbers[_show(float(value.reshape(-1)[0]))] += 1
    sides.append(numbers)
  lines = []
  for i, side in enumerate(('TF1', 'TF2')):
    rest = sorted(set(sides[i]) - set(sides[1 - i]))
    if rest:
      lines.append(f'numbers only in {side}: {", ".join(rest[:_MOST])}')
  return lines


def _equal(first, second) -> bool:
  first, second = np.asarray(first), np.asarray(second)
  return first.shape == second.shape and np.array_equal(first, second)


def _array(value) -> str:
  value = np.asarray(value)
  if value.size == 1:
    return _show(value.reshape(-1)[0])
  shown = ', '.join(_show(x) for x in value.reshape(-1)[:_MAX_ELEMENTS])
  return f'[{shown}{", ..." if value.size > _MAX_ELEMENTS else ""}]'


def _show(value) -> str:
  if isinstance(value, (float, np.floating)):
    return f'{value:.7g}'
  return str(value)
