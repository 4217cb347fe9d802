"""What a training leaves behind step by step: numbers, and norms of arrays.

Norms are kept as sums of squares for each variable, so that they add up to the
same on both sides where a variable was split, joined, renamed or transposed.
"""

import dataclasses
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

# Kinds of values. Those of the first row are numbers, all others squares.
LOSS, OUTPUTS, RATES = 'loss', 'outputs', 'learning rate'
GRADIENTS, WEIGHTS, CHANGE, SLOTS = 'gradients', 'weights', 'change', 'slots '


@dataclasses.dataclass(frozen=True)
class Curve:
  """One training.

  Attributes:
    values: for each kind, by name of the variable or path of the output ('' for
      the loss), its value after each step; NaN where there is none. Kinds are
      the constants above; that of slots goes on with what they mean.
  """

  values: Dict[str, Dict[str, np.ndarray]]

  @property
  def steps(self) -> int:
    """Number of steps."""
    return max(
      (len(v) for found in self.values.values() for v in found.values()),
      default=0,
    )


@dataclasses.dataclass(frozen=True)
class Curves:
  """The trainings of one side.

  Attributes:
    base: the training itself.
    nudged: the same from weights one unit in the last place away.
    again: the first steps of `base` once more, which tell whether the side
      repeats itself.
  """

  base: Curve
  nudged: List[Curve] = dataclasses.field(default_factory=list)
  again: Optional[Curve] = None


class Recorder:
  """Reduces steps, one after another, to a curve."""

  def __init__(self, weights: Mapping[str, np.ndarray]):
    """Takes the values of the variables before the first step."""
    self._start = {
      name: np.asarray(value).astype(np.float64)
      for name, value in weights.items()
      if _is_number(value)
    }
    self._points: List[Dict[str, Dict[str, float]]] = []

  def add(self, step: Any) -> None:
    """Adds a step, a `StepObservation`."""
    point: Dict[str, Dict[str, float]] = {
      OUTPUTS: {
        path: float(value)
        for path, value in step.outputs
        if np.ndim(value) == 0 and _is_float(value)
      }
    }
    if step.loss is not None:
      point[LOSS] = {'': float(step.loss)}
    rates = point.setdefault(RATES, {})
    gradients = point.setdefault(GRADIENTS, {})
    for update in step.updates:
      for name, gradient in update.gradients.items():
        if update.learning_rate is not None:
          rates[name] = float(update.learning_rate)
        if gradient is not None:
          gradients[name] = gradients.get(name, 0.0) + _square(gradient)
    weights = point.setdefault(WEIGHTS, {})
    change = point.setdefault(CHANGE, {})
    for name, value in step.variables.items():
      if name in self._start:
        weights[name] = _square(value)
        change[name] = _square(
          np.asarray(value).astype(np.float64) - self._start[name]
        )
    for meaning, slots in step.slots.items():
      point[SLOTS + meaning] = {n: _square(v) for n, v in slots.items()}
    self._points.append(point)

  def curve(self) -> Curve:
    """Returns the curve of all steps so far."""
    found: Dict[str, Dict[str, np.ndarray]] = {}
    for i, point in enumerate(self._points):
      for kind, by_name in point.items():
        of_kind = found.setdefault(kind, {})
        for name, value in by_name.items():
          if name not in of_kind:
            of_kind[name] = np.full(len(self._points), np.nan)
          of_kind[name][i] = value
    return Curve(found)


def _square(value: np.ndarray) -> float:
  array = np.asarray(value).astype(np.float64)
  return float(np.sum(array * array))


def _is_float(value: np.ndarray) -> bool:
  dtype = np.asarray(value).dtype
  return dtype.kind == 'f' or dtype.name == 'bfloat16'


def _is_number(value: np.ndarray) -> bool:
  return _is_float(value) or np.asarray(value).dtype.kind in 'iu'
