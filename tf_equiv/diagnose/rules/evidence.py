"""What rules ask of a divergence."""

import math
import re
from collections.abc import Iterator

from tf_equiv.compare import difference, divergence

Kind = difference.Kind

SIDES = ('TF1', 'TF2')
# (side, the other side, their numbers), for rules that hold either way round.
BOTH_WAYS = (('TF1', 'TF2', 0, 1), ('TF2', 'TF1', 1, 0))
# Ops that slide a window over their input.
WINDOWS = re.compile(r'Conv|Pool|Dilation2D')
# Variables of batch normalization that move with the batches.
MOVING = re.compile(r'moving_(mean|variance)')
LOOPS = ('While', 'StatelessWhile')
_RECURRENT = re.compile(r'lstm|gru|rnn|while')
# Numbers of float32 that are further apart are others.
_RTOL = 1e-6


def of_kind(
  found: divergence.Divergence, *kinds: Kind
) -> list[difference.Difference]:
  """Returns the differences of some kinds."""
  return [each for each in found.differences if each.kind in kinds]


def pair(
  found: divergence.Divergence, kind: Kind, subject: str = ''
) -> tuple[float, float] | None:
  """Returns the two numbers of a difference, None if there is none.

  Args:
    found: the divergence.
    kind: kind of the difference.
    subject: name of what differs, '' for any.
  """
  for each in of_kind(found, kind):
    if each.numbers is not None and subject in ('', each.subject):
      return each.numbers
  return None


def numbers(found: divergence.Divergence, side: int) -> tuple[float, ...]:
  """Returns the numbers that one side alone computes with."""
  for each in of_kind(found, Kind.NUMBERS):
    if each.side == SIDES[side]:
      return each.one_sided
  return ()


def has_numbers(
  found: divergence.Divergence, side: int, *wanted: float
) -> bool:
  """Returns whether one side alone computes with all of some numbers."""
  known = numbers(found, side)
  return all(
    any(math.isclose(x, y, rel_tol=_RTOL) for y in known) for x in wanted
  )


def is_assigned(found: divergence.Divergence) -> bool:
  """Returns whether what diverges is a value that is assigned to a variable."""
  return bool(of_kind(found, Kind.ASSIGNED_BY))


def name(found: divergence.Divergence) -> str:
  """Returns names and types of the two ops, in lower case."""
  return f'{found.tf1} {found.tf2}'.lower()


def lone(found: divergence.Divergence, side: int) -> list[divergence.Place]:
  """Returns the ops that one side alone has before the divergence."""
  return (found.only_tf1, found.only_tf2)[side]


def around(
  found: divergence.Divergence, side: int
) -> Iterator[divergence.Place]:
  """Yields the op of a side, and those that it alone has before it."""
  op = (found.tf1, found.tf2)[side]
  if op is not None:
    yield op
  yield from lone(found, side)


def types(found: divergence.Divergence, *sides: int) -> list[str]:
  """Returns the types of the ops around a divergence, by default of both."""
  return [op.op_type for side in sides or (0, 1) for op in around(found, side)]


def is_recurrent(found: divergence.Divergence) -> bool:
  """Returns whether a divergence is in a recurrent cell, or its loop."""
  names = [op.name for side in (0, 1) for op in around(found, side)]
  return bool(
    set(types(found)) & set(LOOPS)
    or _RECURRENT.search(' '.join((*names, *found.variables)).lower())
  )


def has_loops(found: divergence.Divergence) -> bool:
  """Returns whether both sides are in a loop, or are one, at a divergence."""
  return all(
    any(
      op.op_type in LOOPS or _RECURRENT.search(op.name.lower())
      for op in around(found, side)
    )
    for side in (0, 1)
  )
