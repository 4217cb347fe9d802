"""The line that shows a `Difference`.

The sides have the names that are given: 'TF1' and 'TF2', or those of two files.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tf_equiv.compare.difference import Difference, Kind, flat

# So many names or numbers of one side are shown.
_MAX_LISTED = 4
# So many elements of a constant are shown.
_MAX_ELEMENTS = 16
# So many keys of a mapping are shown.
_MAX_KEYS = 10


def describe(found: Difference, sides: tuple[str, str] = ('TF1', 'TF2')) -> str:
  """Returns what differs, in one line.

  Args:
    found: the difference.
    sides: what the two sides are called.
  """
  return _TEXTS[found.kind](found, *sides)


def _shown(value: Any) -> str:
  """Returns an attribute as text."""
  if isinstance(value, float):
    return f'{value:.7g}'
  if isinstance(value, tuple):
    items = (repr(x) if isinstance(x, str) else _shown(x) for x in value)
    return f'[{", ".join(items)}]'
  return str(value)


def _array(value: Any) -> str:
  """Returns a constant as text."""
  found = list(flat(value))
  if len(found) == 1:
    return _shown(found[0])
  shown = ', '.join(map(_shown, found[:_MAX_ELEMENTS]))
  return f'[{shown}{", ..." if len(found) > _MAX_ELEMENTS else ""}]'


def _listed(values: Iterable[Any]) -> str:
  return ', '.join(_shown(x) for x in list(values)[:_MAX_LISTED])


def _keys(keys: Iterable[Any]) -> str:
  keys = list(keys)
  shown = ', '.join(map(repr, keys[:_MAX_KEYS]))
  return shown + (', ...' if len(keys) > _MAX_KEYS else '')


def _shape(shape: tuple[Any, ...] | None) -> str:
  return 'unknown' if shape is None else str(list(shape))


def _moments(values: tuple[float, float]) -> str:
  return f'mean {values[0]:.3g}, deviation {values[1]:.3g}'


def _statistic(value: tuple[str, tuple[int, ...]]) -> str:
  return f'{value[0]} over axes {list(value[1])}'


def _one(found: Difference, first: str, second: str) -> str:
  """Returns the name of the side that alone has something."""
  return {'TF1': first, 'TF2': second}[found.side]


# The text of each kind, from the difference and the names of the sides.
_TEXTS: dict[Kind, Callable[[Difference, str, str], str]] = {
  Kind.OP_TYPE: lambda d, a, b: f'op: {a} {d.tf1}, {b} {d.tf2}',
  Kind.ATTRIBUTE: lambda d, a, b: (
    f'{d.subject}: {a} {_shown(d.tf1)}, {b} {_shown(d.tf2)}'
  ),
  Kind.CONSTANT: lambda d, a, b: (
    f'constant (operand {d.operand}): {a} {_array(d.tf1)}, {b} {_array(d.tf2)}'
  ),
  Kind.DTYPE: lambda d, a, b: f'dtype: {a} {d.tf1}, {b} {d.tf2}',
  Kind.SHAPE: lambda d, a, b: (
    f'shape: {a} {_shape(d.tf1)}, {b} {_shape(d.tf2)}'
  ),
  Kind.OPERAND_COUNT: lambda d, a, b: (
    f'operands: {a} has {d.tf1}, {b} has {d.tf2}'
  ),
  Kind.OPERAND: lambda d, a, b: (
    f'operand: {a} reads {d.tf1}, {b} reads {d.tf2}'
  ),
  Kind.OPERAND_ORDER: lambda d, a, b: (
    f'order of operands: {a} {", ".join(d.tf1)}; {b} {", ".join(d.tf2)}'
  ),
  Kind.REARRANGED: lambda d, *_: (
    f'operand {d.operand} holds the same numbers in both, but in another order'
  ),
  Kind.FACTOR: lambda d, a, b: (
    f'what differs is {_shown(d.tf1)} times {d.subject} in {a}, '
    f'{_shown(d.tf2)} times it in {b}'
  ),
  Kind.MULTIPLE: lambda d, a, b: f'{b} is {_shown(d.tf2)} times {a} everywhere',
  Kind.SUMMED_OVER: lambda d, *_: f'{d.subject} sums over {d.tf1} products',
  Kind.COMPUTES: lambda d, a, b: (
    f'computed of {d.subject}: {d.tf1} in {a}, {d.tf2} in {b}'
  ),
  Kind.NORMALIZES: lambda d, a, b: (
    f'{d.subject} is divided by the root of the {_statistic(d.tf1)} in {a}, of '
    f'the {_statistic(d.tf2)} in {b}'
  ),
  Kind.PARTITIONED: lambda d, a, b: (
    f'rows of the table in parts: {a} {d.tf1}, {b} {d.tf2}'
  ),
  Kind.EPSILON: lambda d, a, _: (
    f'with the epsilon of {a} ({_shown(d.tf1)} for {_shown(d.tf2)}) they agree'
  ),
  Kind.OVERFLOW: lambda d, *sides: (
    f'overflow: {d.subject} exceeds what float32 holds in {_one(d, *sides)}; '
    'in float64 the sides agree'
  ),
  Kind.READS: lambda d, *sides: (
    f'only {_one(d, *sides)} reads {_listed(d.one_sided)}'
  ),
  Kind.NUMBERS: lambda d, *sides: (
    f'numbers only in {_one(d, *sides)}: {_listed(d.one_sided)}'
  ),
  Kind.LOOP_OPS: lambda d, *sides: (
    f'ops inside the loop only in {_one(d, *sides)}: {_listed(d.one_sided)}'
  ),
  Kind.STOPS_GRADIENT: lambda d, *sides: (
    f'only {_one(d, *sides)} stops the gradient of {d.subject}: '
    f'{d.one_sided} at {d.detail}'
  ),
  Kind.STOP_EXPLAINS: lambda *_: (
    'where neither side stops it, the gradients agree'
  ),
  Kind.ASSIGNS: lambda d, *sides: (
    f'only {_one(d, *sides)} assigns {d.subject}, by the op above'
  ),
  Kind.LEAVES_ALONE: lambda d, *sides: (
    f'{_one(d, *sides)} makes the variable at {d.one_sided}, and leaves it '
    'alone'
  ),
  Kind.REGULARIZES: lambda d, *sides: (
    f'only {_one(d, *sides)} regularizes {d.subject}'
  ),
  Kind.NOT_TRAINED: lambda d, *sides: (
    f'{_one(d, *sides)} does not train {d.one_sided}'
  ),
  Kind.ASSIGNED_BY: lambda d, a, b: (
    f'{d.subject} is assigned by {d.tf1} in {a}, by {d.tf2} in {b}'
  ),
  Kind.DECAY: lambda d, a, b: f'decay: {a} {d.tf1:.6g}, {b} {d.tf2:.6g}',
  Kind.START: lambda d, a, _: (
    f'from the state in which {a} left the step before, both assign the same: '
    f'what {d.subject} starts from differs'
  ),
  Kind.HYPERPARAMETER: lambda d, a, b: (
    f'{d.subject}: {a} {_shown(d.tf1)}, {b} {_shown(d.tf2)} {d.detail}'.rstrip()
  ),
  Kind.UPDATE_ORDER: lambda d, a, b: (
    f'order of updates: {a} trains {d.tf1} first, {b} {d.tf2}'
  ),
  Kind.INITIALIZER: lambda d, a, b: f'initializer: {a} {d.tf1}, {b} {d.tf2}',
  Kind.INITIALIZER_NUMBER: lambda d, a, b: (
    f'{d.subject}: {a} {d.tf1:.6g}, {b} {d.tf2:.6g}'
  ),
  Kind.INITIAL_VALUES: lambda d, a, b: (
    f'initial values of {d.subject}: {a} {_moments(d.tf1)}, {b} '
    f'{_moments(d.tf2)}'
  ),
  Kind.SAME_NUMBERS: lambda d, *_: (
    f'{d.subject} holds the same numbers in both'
  ),
  Kind.SAME_ORDER: lambda d, a, b: (
    f'{d.subject} has its columns in the order of {a} in {b}, too'
  ),
  Kind.TWO_ROWS: lambda d, a, b: f'{d.subject} has one row in {a}, two in {b}',
  Kind.WITHIN: lambda d, *_: d.detail,
  Kind.ITERATIONS: lambda d, a, b: (
    f'iterations of the loop: {a} {d.tf1}, {b} {d.tf2}'
  ),
  Kind.STRUCTURE: lambda d, a, b: (
    f'{d.subject}: {a} returns {d.tf1}, {b} returns {d.tf2}'
  ),
  Kind.ITEM_COUNT: lambda d, a, b: (
    f'{d.subject}: {a} returns {d.tf1} items, {b} returns {d.tf2}'
  ),
  Kind.KEYS: lambda d, _, b: (
    f'{d.subject}: keys {"missing" if d.tf2 is None else "only"} on the {b} '
    f'side: {_keys(d.one_sided)}'
  ),
  Kind.KEY_ORDER: lambda d, a, b: (
    f'{d.subject}: the OrderedDicts have another order: {a} {_keys(d.tf1)}, '
    f'{b} {_keys(d.tf2)}'
  ),
  Kind.OUTPUT: lambda d, a, b: f'{d.subject}: {a} {d.tf1}, {b} {d.tf2}',
  Kind.PERMUTED: lambda *_: (
    'the outputs look like the same ones in another order'
  ),
}
