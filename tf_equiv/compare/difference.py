"""What differs between the two sides, as a typed record.

A record keeps the values themselves, so that rules match on its fields and at
full precision. Its string is the line that messages and reports show.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

# So many names or numbers of one side are shown.
_MAX_LISTED = 4
# So many elements of a constant are shown.
_MAX_ELEMENTS = 16
# So many keys of a mapping are shown.
_MAX_KEYS = 10


class Kind(enum.Enum):
  """What a `Difference` is about; the fields that it uses are in brackets."""

  # Two ops that correspond.
  OP_TYPE = enum.auto()  # (tf1, tf2: types)
  ATTRIBUTE = enum.auto()  # (subject: its name; tf1, tf2: values)
  CONSTANT = enum.auto()  # (operand; tf1, tf2: values)
  DTYPE = enum.auto()  # (tf1, tf2: names)
  SHAPE = enum.auto()  # (tf1, tf2: shapes, None if unknown)
  OPERAND_COUNT = enum.auto()  # (tf1, tf2: counts)
  OPERAND = enum.auto()  # (tf1, tf2: what is read)
  OPERAND_ORDER = enum.auto()  # (tf1, tf2: names, TF2's in those of TF1)
  REARRANGED = enum.auto()  # (operand)
  # What one side alone has; `side` says which.
  READS = enum.auto()  # (tf1 or tf2: names of variables)
  NUMBERS = enum.auto()  # (tf1 or tf2: floats)
  LOOP_OPS = enum.auto()  # (tf1 or tf2: types)
  STOPS_GRADIENT = enum.auto()  # (subject: of; tf1 or tf2: op; detail: line)
  ASSIGNS = enum.auto()  # (subject: variable; tf1 or tf2: op)
  LEAVES_ALONE = enum.auto()  # (subject: variable; tf1 or tf2: line)
  REGULARIZES = enum.auto()  # (subject: variables; tf1 or tf2: op)
  NOT_TRAINED = enum.auto()  # (tf1 or tf2: name of the variable)
  # How variables are assigned.
  ASSIGNED_BY = enum.auto()  # (subject: variable; tf1, tf2: ops)
  DECAY = enum.auto()  # (tf1, tf2: decay of the moving average)
  START = enum.auto()  # (subject: variable)
  HYPERPARAMETER = enum.auto()  # (subject: its name; tf1, tf2; detail: when)
  UPDATE_ORDER = enum.auto()  # (tf1, tf2: variable that is trained first)
  # How variables begin.
  INITIALIZER = enum.auto()  # (tf1, tf2: kinds)
  INITIALIZER_NUMBER = enum.auto()  # (subject: its name; tf1, tf2)
  INITIAL_VALUES = enum.auto()  # (subject: variable; tf1, tf2: mean, deviation)
  # How the variables of a recurrent cell were carried over.
  SAME_NUMBERS = enum.auto()  # (subject: variable)
  SAME_ORDER = enum.auto()  # (subject: variable)
  TWO_ROWS = enum.auto()  # (subject: variable)
  # Control flow.
  WITHIN = enum.auto()  # (detail: branch or iteration)
  ITERATIONS = enum.auto()  # (tf1, tf2: counts)
  # The structure of what is returned; `subject` is the path.
  STRUCTURE = enum.auto()  # (subject; tf1, tf2: descriptions)
  ITEM_COUNT = enum.auto()  # (subject; tf1, tf2: counts)
  KEYS = enum.auto()  # (subject; tf1 or tf2: keys)
  KEY_ORDER = enum.auto()  # (subject; tf1, tf2: keys)
  OUTPUT = enum.auto()  # (subject; tf1, tf2: dtype and shape)
  PERMUTED = enum.auto()


@dataclasses.dataclass(frozen=True)
class Difference:
  """A difference between the two sides; its string is one line of text.

  Attributes:
    kind: what it is about; see `Kind` for the fields that each kind uses.
    subject: name of what differs.
    tf1: what TF1 has; None where it has nothing.
    tf2: what TF2 has; None where it has nothing.
    operand: number of the operand of an op.
    detail: further text.
  """

  kind: Kind
  subject: str = ''
  tf1: Any = None
  tf2: Any = None
  operand: int | None = None
  detail: str = ''

  @property
  def side(self) -> str:
    """The side that alone has something, '' if that is not so."""
    if (self.tf1 is None) == (self.tf2 is None):
      return ''
    return 'TF1' if self.tf2 is None else 'TF2'

  @property
  def one_sided(self) -> Any:
    """What the one side has."""
    return self.tf2 if self.tf1 is None else self.tf1

  @property
  def numbers(self) -> tuple[float, float] | None:
    """The two values where both are single numbers, else None."""
    first, second = _number(self.tf1), _number(self.tf2)
    return None if first is None or second is None else (first, second)

  def renamed(self, rename: Callable[[str], str]) -> 'Difference':
    """Returns the same difference with other names.

    Args:
      rename: gives the new name for an old one, or for a text with names.
    """
    return dataclasses.replace(
      self,
      subject=rename(self.subject),
      tf1=_renamed(self.tf1, rename),
      tf2=_renamed(self.tf2, rename),
      detail=rename(self.detail),
    )

  def __str__(self) -> str:
    return _TEXTS[self.kind](self)


def one_sided(kind: Kind, side: int, value: Any, **fields: Any) -> Difference:
  """Returns a difference that one side alone has.

  Args:
    kind: what it is about.
    side: 0 for TF1, 1 for TF2.
    value: what that side has.
    **fields: other fields of the record.
  """
  return Difference(kind, **{('tf1', 'tf2')[side]: value}, **fields)


def plain(value: Any) -> Any:
  """Returns a value as numbers, strings and tuples of Python.

  A number of float32, also where it was cast to float64, becomes the shortest
  decimal number that stands for it: 0.1 stays 0.1, and is as exact as before.
  """
  if isinstance(value, np.ndarray):
    return plain(value[()]) if value.ndim == 0 else tuple(map(plain, value))
  if isinstance(value, (list, tuple)):
    return tuple(map(plain, value))
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, float):
    with np.errstate(over='ignore'):
      narrow = np.float32(value)
    return float(str(narrow)) if float(narrow) == value else value
  return value


def _number(value: Any) -> float | None:
  found = list(_flat(value))
  if len(found) != 1 or isinstance(found[0], bool):
    return None
  return float(found[0]) if isinstance(found[0], (int, float)) else None


def _flat(value: Any) -> Iterator[Any]:
  if isinstance(value, tuple):
    for item in value:
      yield from _flat(item)
  else:
    yield value


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
  if isinstance(value, str):
    return rename(value)
  if isinstance(value, tuple):
    return tuple(_renamed(item, rename) for item in value)
  return value


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
  found = list(_flat(value))
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


_MISSING = {'TF1': 'missing on the TF2 side', 'TF2': 'only on the TF2 side'}
_OTHER = {'TF1': 'TF2', 'TF2': 'TF1'}
_TEXTS: dict[Kind, Callable[[Difference], str]] = {
  Kind.OP_TYPE: lambda d: f'op: TF1 {d.tf1}, TF2 {d.tf2}',
  Kind.ATTRIBUTE: lambda d: (
    f'{d.subject}: TF1 {_shown(d.tf1)}, TF2 {_shown(d.tf2)}'
  ),
  Kind.CONSTANT: lambda d: (
    f'constant (operand {d.operand}): TF1 {_array(d.tf1)}, TF2 {_array(d.tf2)}'
  ),
  Kind.DTYPE: lambda d: f'dtype: TF1 {d.tf1}, TF2 {d.tf2}',
  Kind.SHAPE: lambda d: f'shape: TF1 {_shape(d.tf1)}, TF2 {_shape(d.tf2)}',
  Kind.OPERAND_COUNT: lambda d: f'operands: TF1 has {d.tf1}, TF2 has {d.tf2}',
  Kind.OPERAND: lambda d: f'operand: TF1 reads {d.tf1}, TF2 reads {d.tf2}',
  Kind.OPERAND_ORDER: lambda d: (
    f'order of operands: TF1 {", ".join(d.tf1)}; TF2 {", ".join(d.tf2)}'
  ),
  Kind.REARRANGED: lambda d: (
    f'operand {d.operand} holds the same numbers in both, but in another order'
  ),
  Kind.READS: lambda d: f'only {d.side} reads {_listed(d.one_sided)}',
  Kind.NUMBERS: lambda d: f'numbers only in {d.side}: {_listed(d.one_sided)}',
  Kind.LOOP_OPS: lambda d: (
    f'ops inside the loop only in {d.side}: {_listed(d.one_sided)}'
  ),
  Kind.STOPS_GRADIENT: lambda d: (
    f'only {d.side} stops the gradient of {d.subject}: {d.one_sided} at '
    f'{d.detail}'
  ),
  Kind.ASSIGNS: lambda d: f'only {d.side} assigns {d.subject}, by the op above',
  Kind.LEAVES_ALONE: lambda d: (
    f'{d.side} makes the variable at {d.one_sided}, and leaves it alone'
  ),
  Kind.REGULARIZES: lambda d: f'only {d.side} regularizes {d.subject}',
  Kind.NOT_TRAINED: lambda d: f'{d.side} does not train {d.one_sided}',
  Kind.ASSIGNED_BY: lambda d: (
    f'{d.subject} is assigned by {d.tf1} in TF1, by {d.tf2} in TF2'
  ),
  Kind.DECAY: lambda d: f'decay: TF1 {d.tf1:.6g}, TF2 {d.tf2:.6g}',
  Kind.START: lambda d: (
    'from the state in which TF1 left the step before, both assign the same: '
    f'what {d.subject} starts from differs'
  ),
  Kind.HYPERPARAMETER: lambda d: (
    f'{d.subject}: TF1 {_shown(d.tf1)}, TF2 {_shown(d.tf2)} {d.detail}'.rstrip()
  ),
  Kind.UPDATE_ORDER: lambda d: (
    f'order of updates: TF1 trains {d.tf1} first, TF2 {d.tf2}'
  ),
  Kind.INITIALIZER: lambda d: f'initializer: TF1 {d.tf1}, TF2 {d.tf2}',
  Kind.INITIALIZER_NUMBER: lambda d: (
    f'{d.subject}: TF1 {d.tf1:.6g}, TF2 {d.tf2:.6g}'
  ),
  Kind.INITIAL_VALUES: lambda d: (
    f'initial values of {d.subject}: TF1 {_moments(d.tf1)}, TF2 '
    f'{_moments(d.tf2)}'
  ),
  Kind.SAME_NUMBERS: lambda d: f'{d.subject} holds the same numbers in both',
  Kind.SAME_ORDER: lambda d: (
    f'{d.subject} has its columns in the order of TF1 in TF2, too'
  ),
  Kind.TWO_ROWS: lambda d: f'{d.subject} has one row in TF1, two in TF2',
  Kind.WITHIN: lambda d: d.detail,
  Kind.ITERATIONS: lambda d: (
    f'iterations of the loop: TF1 {d.tf1}, TF2 {d.tf2}'
  ),
  Kind.STRUCTURE: lambda d: (
    f'{d.subject}: TF1 returns {d.tf1}, TF2 returns {d.tf2}'
  ),
  Kind.ITEM_COUNT: lambda d: (
    f'{d.subject}: TF1 returns {d.tf1} items, TF2 returns {d.tf2}'
  ),
  Kind.KEYS: lambda d: (
    f'{d.subject}: keys {_MISSING[d.side]}: {_keys(d.one_sided)}'
  ),
  Kind.KEY_ORDER: lambda d: (
    f'{d.subject}: the OrderedDicts have another order: TF1 {_keys(d.tf1)}, '
    f'TF2 {_keys(d.tf2)}'
  ),
  Kind.OUTPUT: lambda d: f'{d.subject}: TF1 {d.tf1}, TF2 {d.tf2}',
  Kind.PERMUTED: lambda d: (
    'the outputs look like the same ones in another order'
  ),
}
