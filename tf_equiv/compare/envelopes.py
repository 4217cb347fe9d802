"""How far two trainings may drift apart, measured on TF1 alone.

Training amplifies rounding, so no tolerance that holds for one step holds for a
hundred. TF1 is trained again from weights one unit in the last place away; what
it then differs from itself by, up to a step, is its *spread* there. TF2 may
differ by a multiple of it, and always by as much as the tolerance of a single
comparison.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import equivalence, tolerances

# TF2 may differ by so many times what TF1 differs from itself by: its kernels
# round each step anew, and the runs that are compared are few.
FACTOR = 10.0
# Up to this relative difference TF1 counts as agreeing with itself.
PREDICTABLE = 1e-5
# Values below this fraction of the largest one so far are judged by that
# fraction: a loss that has reached zero is rounding noise.
_FLOOR = 1e-3
# Norms of slots, and of the small changes of weights, are known less well.
SLOT_SLACK, CHANGE_SLACK = 10.0, 3.0
# TF1 rounds one minus a decay of 0.999 to float32, by 1.3e-5 of its size, and
# Keras does not: with second moments the learning rates of the two are as good
# as 6.5e-6 apart, in all steps, and the losses soon by more than that.
MOMENTS_SLACK = 5.0
# Rounding of the weights, of which a small change is the difference, in units
# of float32.
_UNIT = 2.0**-23


@dataclasses.dataclass(frozen=True)
class Series:
  """One quantity of both sides over the steps.

  Attributes:
    name: what it is, e.g. 'loss'.
    tf1: its value after each step of TF1.
    tf2: the same of TF2.
    spread: how far TF1 has differed from itself up to the step.
    allowed: how far TF2 may differ.
  """

  name: str
  tf1: np.ndarray
  tf2: np.ndarray
  spread: np.ndarray
  allowed: np.ndarray

  @property
  def differences(self) -> np.ndarray:
    """By how much TF2 differs from TF1 after each step."""
    with np.errstate(invalid='ignore'):
      found: np.ndarray = np.abs(self.tf2 - self.tf1)
    return found

  @property
  def times(self) -> np.ndarray:
    """The same in multiples of what is allowed; NaN where a value is not."""
    with np.errstate(invalid='ignore', divide='ignore'):
      ratio: np.ndarray = np.where(
        self.differences == 0, 0.0, self.differences / self.allowed
      )
    return ratio

  @property
  def first(self) -> int | None:
    """The first step, counted from 0, at which TF2 differs by too much.

    Steps at which either side is not finite do not count.
    """
    found = np.flatnonzero(self.times > 1.0)
    return int(found[0]) if found.size else None


@dataclasses.dataclass(frozen=True)
class NotFinite:
  """A quantity that becomes NaN or infinite.

  Attributes:
    name: the quantity.
    side: 'TF1' or 'TF2'.
    step: the first such step, counted from 0.
    value: what it is there.
  """

  name: str
  side: str
  step: int
  value: float


@dataclasses.dataclass(frozen=True)
class Leaves:
  """Where TF2 leaves the envelope of TF1.

  Attributes:
    step: the first step, counted from 0.
    series: in which quantity.
    also: names of the other quantities in which it does at the same step.
  """

  step: int
  series: Series
  also: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Found:
  """What the curves of both sides show.

  Attributes:
    series: the compared quantities, causes before effects.
    runs: how often TF1 was trained from weights one unit away.
    factor: how many times the spread was allowed.
    start_step: number of the first step.
    horizon: number of steps up to which TF1 agrees with itself to
      `PREDICTABLE`.
    leaves: where TF2 leaves the envelope, None if it does not.
    not_finite: what becomes NaN or infinite, and when.
    repeats: how far TF1 differs from itself in the loss, or in what comes
      first, when the same steps run twice, over its size; 0 if it repeats
      itself exactly.
    repeated: number of steps that ran twice.
    located: what a comparison of single steps, each from the state of TF1, says
      of the cause; '' where none was made or nothing was found.
    seeds: how the final losses compare over several seeds, where they do.
  """

  series: tuple[Series, ...]
  runs: int
  factor: float
  start_step: int = 0
  horizon: int = 0
  leaves: Leaves | None = None
  not_finite: tuple[NotFinite, ...] = ()
  repeats: float = 0.0
  repeated: int = 0
  located: str = ''
  seeds: equivalence.Equivalence | None = None

  @property
  def steps(self) -> int:
    """Number of steps."""
    return max((len(each.tf1) for each in self.series), default=0)

  @property
  def of_tf2_alone(self) -> NotFinite | None:
    """What is not finite in TF2 before it is so in TF1, None if nothing is."""
    own = {n.name: n.step for n in self.not_finite if n.side == 'TF1'}
    found = [
      n
      for n in self.not_finite
      if n.side == 'TF2' and n.step < own.get(n.name, len(self.series[0].tf1))
    ]
    return min(found, key=lambda n: n.step) if found else None

  @property
  def of_tf1(self) -> NotFinite | None:
    """What becomes not finite in TF1 first, None if nothing does."""
    found = [n for n in self.not_finite if n.side == 'TF1']
    return min(found, key=lambda n: n.step) if found else None


def spread_of(base: np.ndarray, nudged: Sequence[np.ndarray]) -> np.ndarray:
  """Returns how far trainings have been from another one, up to each step.

  Args:
    base: a quantity of the one.
    nudged: the same of the others.

  Returns:
    The largest difference so far; infinite once another is not finite where
    `base` is.
  """
  if not nudged:
    return np.zeros(len(base))
  with np.errstate(invalid='ignore'):
    apart = np.abs(np.stack(list(nudged)) - base)
  apart = np.where(np.isfinite(base) & ~np.isfinite(apart), np.inf, apart)
  apart = np.where(np.isfinite(base), apart, 0.0)
  found: np.ndarray = np.maximum.accumulate(np.max(apart, axis=0))
  return found


def envelope(
  base: np.ndarray,
  spread: np.ndarray,
  factor: float,
  tolerance: tolerances.Tolerance,
  rounding: np.ndarray | None = None,
) -> np.ndarray:
  """Returns how far TF2 may differ after each step.

  Args:
    base: a quantity of TF1.
    spread: from `spread_of`.
    factor: how many times the spread is allowed.
    tolerance: of a single comparison, which is always allowed.
    rounding: what is allowed besides, where a quantity is the difference of
      larger ones.
  """
  sizes = np.abs(np.where(np.isfinite(base), base, 0.0))
  largest = np.maximum.accumulate(sizes)
  found = []
  for size, most in zip(sizes, largest, strict=True):
    rtol, atol = tolerance.resolve('float32', max(size, _FLOOR * most))
    found.append(rtol * size + atol)
  allowed: np.ndarray = np.maximum(np.asarray(found), factor * spread)
  return allowed if rounding is None else allowed + rounding


def rounding_of(weights: np.ndarray) -> np.ndarray:
  """Returns how uncertain the norm of a change of weights is.

  Args:
    weights: the norm of the weights after each step, each of which rounds them.
  """
  sizes = np.where(np.isfinite(weights), weights, 0.0)
  return _UNIT * sizes * np.sqrt(np.arange(1, len(weights) + 1))


def horizon_of(base: np.ndarray, spread: np.ndarray) -> int:
  """Returns up to how many steps a quantity agrees with itself.

  Args:
    base: the quantity of TF1.
    spread: from `spread_of`.
  """
  sizes = np.abs(np.where(np.isfinite(base), base, 0.0))
  apart = np.flatnonzero((spread > PREDICTABLE * sizes) | ~np.isfinite(base))
  return int(apart[0]) if apart.size else len(base)


def first_not_finite(
  name: str, side: str, curve: np.ndarray
) -> list[NotFinite]:
  """Returns where a curve becomes NaN or infinite, [] if it does not."""
  found = np.flatnonzero(~np.isfinite(curve))
  if not found.size:
    return []
  step = int(found[0])
  return [NotFinite(name, side, step, float(curve[step]))]


def leaves(series: Sequence[Series]) -> Leaves | None:
  """Returns where TF2 leaves the envelope first, None if it does not.

  Args:
    series: the quantities, causes before effects.
  """
  found = [(s.first, s) for s in series if s.first is not None]
  if not found:
    return None
  step = min(first for first, _ in found)
  same = [each for first, each in found if first == step]
  return Leaves(step, same[0], tuple(each.name for each in same[1:]))
