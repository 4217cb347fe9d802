"""Counts how many planted faults are found, and how many clean pairs alarm."""

from collections.abc import Sequence
from typing import NamedTuple


class Examined(NamedTuple):
  """A pair that was examined.

  Attributes:
    family: of the pair.
    is_faulty: whether it holds a fault.
    problem: what is wrong with the outcome, '' if nothing.
  """

  family: str
  is_faulty: bool
  problem: str


def lines(examined: Sequence[Examined], count: int) -> list[str]:
  """Returns the score, line by line.

  Args:
    examined: the pairs that were examined.
    count: how many pairs there are.

  Returns:
    A line for each family of which pairs were examined, and the total.
  """
  found = []
  for family in dict.fromkeys(each.family for each in examined):
    mine = [each for each in examined if each.family == family]
    found.append('%s: %s' % (family, _score(mine)))
  total = 'total: ' + _score(examined)
  if len(examined) < count:
    total += ' (%d of %d pairs ran)' % (len(examined), count)
  return found + [total]


def _score(examined: Sequence[Examined]) -> str:
  faulty = [each for each in examined if each.is_faulty]
  clean = [each for each in examined if not each.is_faulty]
  return (
    '%d of %d faults found first where they must be, %d of %d clean pairs alarm'
    % (
      sum(not each.problem for each in faulty),
      len(faulty),
      sum(bool(each.problem) for each in clean),
      len(clean),
    )
  )
