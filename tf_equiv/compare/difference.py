"""What differs between the two sides, as a typed record.

A record keeps the values themselves, so that rules match on its fields and at
full precision. `report.differences` has the line that shows it.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


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
  # What the numbers of both sides tell.
  FACTOR = enum.auto()  # (subject: of what; tf1, tf2: factors)
  MULTIPLE = enum.auto()  # (tf2: the value of TF2 over that of TF1)
  SUMMED_OVER = enum.auto()  # (subject: op; tf1, tf2: count)
  COMPUTES = enum.auto()  # (subject: of what; tf1, tf2: names of functions)
  NORMALIZES = enum.auto()  # (subject: what; tf1, tf2: (statistic, axes))
  PARTITIONED = enum.auto()  # (tf1, tf2: strategies)
  EPSILON = enum.auto()  # (tf1, tf2: what explains the difference)
  # What one side alone has; `side` says which.
  OVERFLOW = enum.auto()  # (subject: op; tf1 or tf2: True)
  READS = enum.auto()  # (tf1 or tf2: names of variables)
  NUMBERS = enum.auto()  # (tf1 or tf2: floats)
  LOOP_OPS = enum.auto()  # (tf1 or tf2: types)
  STOPS_GRADIENT = enum.auto()  # (subject: of; tf1 or tf2: op; detail: line)
  STOP_EXPLAINS = enum.auto()  # (tf1 or tf2: op)
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
  """A difference between the two sides.

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
  found = list(flat(value))
  if len(found) != 1 or isinstance(found[0], bool):
    return None
  return float(found[0]) if isinstance(found[0], (int, float)) else None


def flat(value: Any) -> Iterator[Any]:
  """Yields the items of nested tuples, or the value that is no tuple."""
  if isinstance(value, tuple):
    for item in value:
      yield from flat(item)
  else:
    yield value


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
  if isinstance(value, str):
    return rename(value)
  if isinstance(value, tuple):
    return tuple(_renamed(item, rename) for item in value)
  return value
