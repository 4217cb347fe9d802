"""Pairs of values that correspond, before they are compared."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tf_equiv.compare import tolerances, values

Outputs = Sequence[tuple[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Pair:
  """A value of TF1, and what corresponds to it in TF2.

  Attributes:
    name: what they are.
    tf1: the value of TF1; None where it does not exist.
    tf2: the value of TF2.
    problem: why there is nothing to compare.
    order: position in forward order, where known, else -1.
    before: value before an update, whose size then decides what may differ.
    extra: what each element may differ by in addition.
  """

  name: str
  tf1: np.ndarray | None = None
  tf2: np.ndarray | None = None
  problem: values.Problem | None = None
  order: int = -1
  before: np.ndarray | None = None
  extra: np.ndarray | None = None


def compare(
  pairs: Iterable[Pair], tolerance: tolerances.Tolerance
) -> list[values.ValueComparison]:
  """Compares pairs one by one, those with a known order in that order."""
  found = []
  for pair in pairs:
    if pair.problem is not None or pair.tf1 is None or pair.tf2 is None:
      found.append(
        values.ValueComparison(pair.name, False, problem=pair.problem)
      )
      continue
    allowed = tolerance
    if pair.before is not None:
      allowed = values.update_tolerance(pair.before, pair.tf1, tolerance)
    found.append(
      values.compare_arrays(
        pair.name,
        pair.tf1,
        pair.tf2,
        allowed,
        order=pair.order,
        extra=pair.extra,
      )
    )
  return sorted(found, key=lambda c: c.order)


def compare_gradients(
  pairs: Sequence[Pair], tolerance: tolerances.Tolerance
) -> list[values.ValueComparison]:
  """Compares gradients as one group; what cannot be compared comes first."""
  numeric = [pair for pair in pairs if pair.problem is None]
  return [
    values.ValueComparison(pair.name, False, problem=pair.problem)
    for pair in pairs
    if pair.problem is not None
  ] + values.compare_gradients(
    [pair.name for pair in numeric],
    [pair.tf1 for pair in numeric],
    [pair.tf2 for pair in numeric],
    tolerance,
  )


def of_outputs(
  tf1: Outputs, tf2: Outputs, order: Mapping[str, int]
) -> list[Pair]:
  """Pairs outputs by their paths, which are the same on both sides.

  Args:
    tf1: (path, value) of the reference's outputs.
    tf2: the same of the candidate.
    order: position in forward order by path, where known.
  """
  others = dict(tf2)
  return [
    Pair('outputs' + path, value, others[path], order=order.get(path, -1))
    for path, value in tf1
  ]


def by_name(
  tf1: Mapping[str, np.ndarray], tf2: Mapping[str, np.ndarray]
) -> list[Pair]:
  """Pairs values of TF1 with those of TF2 that have the same name."""
  return [Pair(name, value, tf2[name]) for name, value in tf1.items()]
