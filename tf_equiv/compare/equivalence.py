"""Whether two samples are equal enough: two one-sided tests (TOST).

The final losses of trainings are compared seed by seed, because both sides of a
seed start from the same weights. The sides are equivalent if the confidence
interval of the mean difference lies within the margin: then each of the two
hypotheses "TF2 is higher by the margin or more" and "lower by the margin or
more" is rejected.
"""

import dataclasses
import enum
import math
from collections.abc import Sequence

import numpy as np

# Of each of the two tests; the interval is one of twice as much.
LEVEL = 0.05
# The fewest seeds of which a spread says anything.
MIN_SEEDS = 5
# A spread below this fraction of the mean is rounding.
_LEAST = 1e-5
_MAX_SEEDS = 10000
# Of the continued fraction of the incomplete beta function.
_MAX_TERMS, _EPSILON, _TINY = 500, 1e-16, 1e-300


class Decision(enum.Enum):
  """What the tests say."""

  EQUIVALENT = 'equivalent'
  DIFFERENT = 'different'
  UNDECIDED = 'undecided'


@dataclasses.dataclass(frozen=True)
class Equivalence:
  """The final losses of both sides over some seeds.

  Attributes:
    tf1: of TF1, one for each seed.
    tf2: of TF2, in the same order.
    share: the margin over the spread of TF1.
    spread: standard deviation of the losses of TF1.
    margin: by how much the means may differ.
    difference: mean difference of TF2 and TF1.
    low: lower end of its confidence interval.
    high: upper end of it.
    decision: what follows.
    needed: how many seeds would probably decide; 0 where it is decided.
  """

  tf1: tuple[float, ...]
  tf2: tuple[float, ...]
  share: float
  spread: float
  margin: float
  difference: float
  low: float
  high: float
  decision: Decision
  needed: int = 0


def compare(
  tf1: Sequence[float], tf2: Sequence[float], share: float
) -> Equivalence:
  """Tests whether two samples that belong together in pairs are equivalent.

  Args:
    tf1: numbers of the reference, at least two.
    tf2: numbers of the candidate, in the same order.
    share: by what share of the standard deviation of `tf1` the means may
      differ.

  Returns:
    What the tests say. What is not finite on one side alone is different.
  """
  first, second = np.asarray(tf1, np.float64), np.asarray(tf2, np.float64)
  both = np.isfinite(first) & np.isfinite(second)
  if not np.all(both):
    same = np.array_equal(np.isfinite(first), np.isfinite(second))
    nan = math.nan
    return Equivalence(
      tuple(first.tolist()),
      tuple(second.tolist()),
      share,
      *(nan, nan, nan, nan, nan),
      Decision.UNDECIDED if same else Decision.DIFFERENT,
    )
  count = len(first)
  spread = float(np.std(first, ddof=1))
  least = _LEAST * float(np.mean(np.abs(first)))
  margin = share * max(spread, least)
  apart = second - first
  mean, deviation = float(np.mean(apart)), float(np.std(apart, ddof=1))
  reach = student_quantile(1.0 - LEVEL, count - 1) * deviation / count**0.5
  low, high = mean - reach, mean + reach
  if -margin < low and high < margin:
    decision = Decision.EQUIVALENT
  elif low > margin or high < -margin:
    decision = Decision.DIFFERENT
  else:
    decision = Decision.UNDECIDED
  needed = 0
  if decision is Decision.UNDECIDED:
    needed = _needed(abs(mean), deviation, margin, count)
  return Equivalence(
    tuple(first.tolist()),
    tuple(second.tolist()),
    share,
    spread,
    margin,
    mean,
    low,
    high,
    decision,
    needed,
  )


def _needed(mean: float, deviation: float, margin: float, count: int) -> int:
  """Returns how many seeds decide if mean and deviation stay as they are."""
  room = abs(margin - mean)
  if not room or not deviation:
    return _MAX_SEEDS
  number = count + 1
  while number < _MAX_SEEDS:
    reach = student_quantile(1.0 - LEVEL, number - 1) * deviation / number**0.5
    if reach < room:
      return number
    number += max(1, number // 20)
  return _MAX_SEEDS


def student_quantile(probability: float, freedom: int) -> float:
  """Returns the quantile of Student's t distribution.

  Args:
    probability: between 0.5 and 1.
    freedom: degrees of freedom.
  """
  low, high = 0.0, 1.0
  while student_distribution(high, freedom) < probability:
    high *= 2.0
  for _ in range(200):
    middle = (low + high) / 2.0
    if student_distribution(middle, freedom) < probability:
      low = middle
    else:
      high = middle
  return (low + high) / 2.0


def student_distribution(t: float, freedom: int) -> float:
  """Returns how probable a value of at most `t` is, for `t` not negative."""
  tail = _incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
  return 1.0 - tail / 2.0


def _incomplete_beta(a: float, b: float, x: float) -> float:
  """Returns the regularized incomplete beta function."""
  if x <= 0.0 or x >= 1.0:
    return min(max(x, 0.0), 1.0)
  # The fraction converges fast on this side only.
  if x > (a + 1.0) / (a + b + 2.0):
    return 1.0 - _incomplete_beta(b, a, 1.0 - x)
  front = math.exp(
    math.lgamma(a + b)
    - math.lgamma(a)
    - math.lgamma(b)
    + a * math.log(x)
    + b * math.log1p(-x)
  )
  return front * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
  """Evaluates the continued fraction of that function, by Lentz' method."""
  upper, lower = 1.0, 1.0 - (a + b) * x / (a + 1.0)
  lower = 1.0 / (lower if abs(lower) > _TINY else _TINY)
  found = lower
  for m in range(1, _MAX_TERMS):
    even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    for term in (even, odd):
      lower = 1.0 + term * lower
      lower = 1.0 / (lower if abs(lower) > _TINY else _TINY)
      upper = 1.0 + term / upper
      upper = upper if abs(upper) > _TINY else _TINY
      found *= lower * upper
    if abs(lower * upper - 1.0) < _EPSILON:
      break
  return found
