"""What remains when all places are repaired."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tf_equiv.compare import divergence, repairs
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.tf1.capture import capture

Results = Mapping[capture.Label, np.ndarray]


def prove(
  places: Sequence[divergence.Divergence],
  results: tuple[Results, Results],
  labels: Sequence[capture.Label],
  failing: Collection[capture.Label],
  followed: int,
) -> repairs.Proof:
  """Compares the results of both sides with all repairs.

  Args:
    places: the places; TF2 was given the values of TF1 where they say so.
    results: those of both sides.
    labels: the results that count.
    failing: those of them that differ.
    followed: see `repairs.Proof`.
  """
  agreeing, rest = [0.0], []
  for label in labels:
    if label[0] in labels_lib.IN_DATA:
      continue
    gap = _largest(*(side[label] for side in results))
    if label in failing:
      rest.append(repairs.Rest(label[1], gap))
    else:
      agreeing.append(gap)
  return repairs.Proof(
    sum(place.repair is not None for place in places),
    sum(place.repair is None and place.given for place in places),
    len(agreeing) - 1 + len(rest),
    max(agreeing),
    tuple(rest),
    tuple(dict.fromkeys(group for group, _ in labels)),
    followed,
  )


def _largest(first: np.ndarray, second: np.ndarray) -> float:
  if np.shape(first) != np.shape(second):
    return float('inf')
  first, second = np.asarray(first), np.asarray(second)
  if first.dtype.kind not in 'fiub':
    return 0.0 if np.array_equal(first, second) else float('inf')
  gap = np.abs(first.astype(np.float64) - second.astype(np.float64))
  gap = np.where(first == second, 0.0, gap)
  return float(np.max(gap, initial=0.0))
