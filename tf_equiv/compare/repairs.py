"""What makes the sides agree at a place where they diverge, as plain data."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import numpy as np


class ChangeKind(enum.Enum):
  """What a `Change` changes; the fields that it uses are in brackets."""

  ATTRIBUTE = enum.auto()  # (op, subject: its name; tf1, tf2: values)
  CONSTANT = enum.auto()  # (op, operand; tf1, tf2: values)
  OPERAND_ORDER = enum.auto()  # (op; tf1, tf2: numbers of the operands)
  OP = enum.auto()  # (op; tf1, tf2: types; () for no op)
  OP_AFTER = enum.auto()  # (op; tf1: types of ops that come after it)
  DECAY = enum.auto()  # (op, subject: the variable; tf1, tf2: decays)
  HYPERPARAMETER = enum.auto()  # (op: the optimizer; subject; tf1, tf2)
  RATE = enum.auto()  # (op: the optimizer; tf1, tf2: learning rates)


@dataclasses.dataclass(frozen=True)
class Change:
  """A change of the TF2 side.

  Attributes:
    kind: what is changed.
    op: name of the op of TF2, of the optimizer for what belongs to that.
    subject: name of what is changed, where it has one.
    tf1: what TF1 has, which TF2 gets.
    tf2: what TF2 has.
    operand: number of the operand of the op.
  """

  kind: ChangeKind
  op: str
  subject: str = ''
  tf1: Any = None
  tf2: Any = None
  operand: int | None = None


@dataclasses.dataclass(frozen=True)
class Repair:
  """Changes with which the sides agree at a place; they were tried.

  Attributes:
    changes: the changes, which are made together.
    distance: how far the sides are apart at the place with them, as the root
      mean square of the difference over the largest magnitude, in float64.
    argument: the keyword argument that does the same in code, e.g. 'epsilon',
      '' where none is known.
    value: value of the argument.
    line: the line of the TF2 side that makes what is repaired, '' if it is not
      known.
  """

  changes: tuple[Change, ...]
  distance: float
  argument: str = ''
  value: Any = None
  line: str = ''


@dataclasses.dataclass(frozen=True)
class Source:
  """What a value that some ops read is in the program.

  Attributes:
    kind: 'variable', 'constant', ... as the graphs have it.
    name: name of the variable or op, path of the input.
  """

  kind: str
  name: str


@dataclasses.dataclass(frozen=True)
class Excerpt:
  """The ops of one side from the last agreement up to a place.

  Attributes:
    graph_def: a serialized `GraphDef` in the dtypes of the program. What was
      computed before the last agreement is a placeholder in it, and so are
      variables, random numbers, and constants.
    feeds: values of the placeholders in float64, by name of the tensor.
    target: name of the tensor that the place computes.
    value: its value in float64, None if it is large.
    sources: what the placeholders stand for, by name of the tensor.
  """

  graph_def: bytes
  feeds: Mapping[str, np.ndarray]
  target: str
  value: np.ndarray | None = None
  sources: Mapping[str, Source] = dataclasses.field(default_factory=dict)


class Problem(enum.Enum):
  """Why there is no program that shows a difference alone."""

  LARGE = enum.auto()  # What the ops read is too large.
  OPS = enum.auto()  # Ops that cannot be called one by one.
  LONG = enum.auto()  # Too many ops.
  AGREES = enum.auto()  # These ops alone do not show the difference.
  FAILED = enum.auto()  # It did not run in a process of its own.
  TIME = enum.auto()  # It did not end in time.


@dataclasses.dataclass(frozen=True)
class Reproduction:
  """A program that shows the difference at a place alone.

  Attributes:
    place: number of the place, from 1.
    path: path of the program, '' if there is none.
    is_repaired: whether it shows that the repair makes the sides agree, too.
    problem: why there is none, None if there is one.
  """

  place: int
  path: str = ''
  is_repaired: bool = False
  problem: Problem | None = None


@dataclasses.dataclass(frozen=True)
class Rest:
  """A result that differs with all repairs.

  Attributes:
    name: name of the result, e.g. "outputs['b']".
    difference: largest difference of an element.
  """

  name: str
  difference: float


@dataclasses.dataclass(frozen=True)
class Proof:
  """What remains of a difference when all places are repaired.

  Attributes:
    repaired: number of places that a repair makes agree.
    replaced: number of places without a repair that got the values of TF1.
    results: number of results that were compared.
    difference: largest difference of an element of the results that agree.
    rest: the results that still differ.
    groups: groups of the results, e.g. 'outputs'.
    followed: number of ops, gradients of the places above all, that got the
      values of TF1 because they hold the same fault once more.
  """

  repaired: int
  replaced: int
  results: int
  difference: float
  rest: tuple[Rest, ...] = ()
  groups: tuple[str, ...] = ()
  followed: int = 0

  @property
  def is_complete(self) -> bool:
    """Whether repairs alone make all results agree."""
    return bool(self.repaired) and not self.replaced and not self.rest
