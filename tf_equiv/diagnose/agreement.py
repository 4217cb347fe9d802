"""Which results of two sides differ in double precision."""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from tf_equiv.diagnose import constant_rounding
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.diagnose.result import Results
from tf_equiv.diagnose.side import Sides
from tf_equiv.tf1.capture import capture

# Distances (see `sketches.distance`) up to which values agree in float64.
# Constants that were rounded to float32 in another way are 1e-8 apart.
_TIGHT, _ROUNDED = 1e-10, 1e-7
# With ops that only compute in float32.
SINGLE = 3e-6
# Gradients so far below the largest one are zero (that of a bias before a
# normalization or a softmax) but for rounding in float64.
_ZERO = 1e-12

Labels = Sequence[capture.Label]


@dataclasses.dataclass(frozen=True)
class Judged:
  """Which results differ, the largest distance, and what is no difference."""

  failing: list[capture.Label]
  distance: float
  tolerance: float


def judge(
  sides: Sides,
  labels: Labels,
  converted: Collection[str],
  sketcher: sketches_lib.Sketcher,
  least: float = 0.0,
) -> Judged:
  """Returns which results differ in float64.

  Args:
    sides: both sides.
    labels: the results.
    converted: TF1 names of the variables that were converted, and may be
      rounded.
    sketcher: makes the sketches.
    least: distance up to which nothing differs.
  """
  results = sides[0].results, sides[1].results
  distances = {
    label: sketches_lib.distance(
      *(sketcher.sketch(side[label]) for side in results)
    )
    for label in labels
  }
  distance = max(distances.values(), default=0.0)
  is_precise = not any(side.run.fallbacks for side in sides)
  tolerance = max(_tolerance(distance, is_precise), least)
  zeros = _zeros(labels, results[0])
  failing = [
    label
    for label in labels
    if distances[label] > tolerance and label not in zeros
  ]
  if failing and distance <= constant_rounding.LARGEST:
    floors = constant_rounding.floors(sides, failing, converted, sketcher)
    failing = [label for label in failing if distances[label] > floors[label]]
  return Judged(failing, distance, tolerance)


def _zeros(labels: Labels, results: Results) -> set[capture.Label]:
  """Returns the gradients that are zero but for rounding."""
  sizes = {
    label: float(np.max(np.abs(results[label]), initial=0.0))
    for label in labels
    if label[0] == capture.GRADIENT
  }
  largest = max(sizes.values(), default=0.0)
  return {label for label, size in sizes.items() if size < _ZERO * largest}


def _tolerance(distance: float, is_precise: bool) -> float:
  """Returns up to which distance values agree.

  Args:
    distance: the largest distance of the results.
    is_precise: whether all ops compute in float64.
  """
  if not is_precise:
    return SINGLE
  return float(np.clip(distance * 1e-3, _TIGHT, _ROUNDED))
