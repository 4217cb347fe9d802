"""Compares streaming metrics of both sides, batch by batch."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import tolerances, values
from tf_equiv.core import metric_values


class CauseKind(enum.Enum):
  """Why a metric differs, as it was tried with the batches of the run."""

  # The metric agrees when it gets the outputs of TF1.
  OUTPUTS = 'outputs'
  # It agrees with other arguments, or as a metric of another class.
  ARGUMENTS = 'arguments'
  CLASS = 'class'
  # It agrees when it gets no weights.
  WEIGHTS = 'weights'
  # It agrees when its updates are added up from the first batch on.
  STATE = 'state'


@dataclasses.dataclass(frozen=True)
class Change:
  """An argument of a metric of TF2, and with what value it agrees."""

  argument: str
  old: Any
  new: Any


@dataclasses.dataclass(frozen=True)
class Cause:
  """Something with which a metric of TF2 gives the values of TF1.

  Attributes:
    kind: what it is.
    metric: class of the metric.
    changes: what else its arguments are to be.
    other: for another class, which.
  """

  kind: CauseKind
  metric: str = ''
  changes: tuple[Change, ...] = ()
  other: str = ''


@dataclasses.dataclass(frozen=True)
class Stream:
  """A metric over all batches.

  Attributes:
    name: its name.
    tf1: its values of TF1 after each batch.
    tf2: the same of TF2.
    comparisons: of the two after each batch.
    forgiven: whether it differs only because outputs that agree within the
      tolerance lie on both sides of a threshold.
    causes: with what it agrees, where that was looked for.
  """

  name: str
  tf1: tuple[np.ndarray, ...]
  tf2: tuple[np.ndarray, ...]
  comparisons: tuple[values.ValueComparison, ...]
  forgiven: bool = False
  causes: tuple[Cause, ...] = ()

  @property
  def first(self) -> int | None:
    """The first batch after which it differs, from 0; None if none is."""
    if self.forgiven:
      return None
    return next(
      (i for i, each in enumerate(self.comparisons) if not each.passed), None
    )

  @property
  def differs(self) -> bool:
    """Whether it differs after some batch."""
    return self.first is not None

  @property
  def is_zero(self) -> bool:
    """Whether it is zero after all batches."""
    return not any(map(np.any, self.tf1))


@dataclasses.dataclass(frozen=True)
class OutputDifference:
  """The first batch whose outputs differ.

  Attributes:
    batch: its number, from 0.
    comparison: the output that differs.
  """

  batch: int
  comparison: values.ValueComparison


@dataclasses.dataclass(frozen=True)
class Found:
  """What the metrics show.

  Attributes:
    batches: number of batches.
    streams: the metrics, in the order of TF1.
    outputs: where the outputs behind the metrics differ, None if nowhere.
  """

  batches: int
  streams: tuple[Stream, ...]
  outputs: OutputDifference | None = None

  def differing(self) -> list[Stream]:
    """Returns the metrics that differ, those that do so first in front."""
    found = [each for each in self.streams if each.differs]
    return sorted(found, key=lambda each: each.first or 0)


def names_of_one_side(
  tf1: Mapping[str, Any], tf2: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
  """Returns the names that only TF1 has, and those that only TF2 has."""
  return sorted(set(tf1) - set(tf2)), sorted(set(tf2) - set(tf1))


def compare(
  tf1: metric_values.MetricValues,
  tf2: metric_values.MetricValues,
  tolerance: tolerances.Tolerance,
) -> Found:
  """Compares the metrics of both sides, which have the same names.

  Args:
    tf1: those of the reference.
    tf2: those of the candidate.
    tolerance: what may differ.

  Returns:
    What they show.
  """
  return Found(
    tf1.batches,
    tuple(
      Stream(
        name,
        tuple(first),
        tuple(tf2.values[name]),
        tuple(compare_values(name, first, tf2.values[name], tolerance)),
      )
      for name, first in tf1.values.items()
    ),
    _compare_outputs(tf1.outputs, tf2.outputs, tolerance),
  )


def compare_values(
  name: str,
  tf1: Sequence[np.ndarray],
  tf2: Sequence[np.ndarray],
  tolerance: tolerances.Tolerance,
) -> list[values.ValueComparison]:
  """Compares the values of a metric after each batch."""
  return [
    values.compare_arrays(
      f'{name} after batch {i + 1}', *_of_one_type(first, second), tolerance
    )
    for i, (first, second) in enumerate(zip(tf1, tf2, strict=True))
  ]


def agrees(
  stream: Stream,
  other: Sequence[np.ndarray],
  tolerance: tolerances.Tolerance,
) -> bool:
  """Returns whether other values of TF2 are those of TF1, batch by batch."""
  if len(other) != len(stream.tf1):
    return False
  found = compare_values(stream.name, stream.tf1, other, tolerance)
  return all(each.passed for each in found)


def with_outputs_of_tf1(
  found: Found,
  given: metric_values.MetricValues,
  tolerance: tolerances.Tolerance,
) -> Found:
  """Adds which metrics agree when TF2's get the outputs of TF1.

  Where the outputs agree within the tolerance, such a metric is forgiven: its
  definition is that of TF1, and an output lies next to a threshold.

  Args:
    found: what the metrics show.
    given: the metrics of TF2 with the outputs of TF1.
    tolerance: what may differ.

  Returns:
    The same with what was found.
  """

  def explained(stream: Stream) -> Stream:
    other = given.values.get(stream.name, ())
    if not stream.differs or not agrees(stream, other, tolerance):
      return stream
    if found.outputs is None:
      return dataclasses.replace(stream, forgiven=True)
    return dataclasses.replace(stream, causes=(Cause(CauseKind.OUTPUTS),))

  return dataclasses.replace(
    found, streams=tuple(map(explained, found.streams))
  )


def _of_one_type(
  first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns numbers in the type of the less precise of the two."""
  first, second = np.asarray(first), np.asarray(second)
  both = [first.dtype, second.dtype]
  if first.dtype == second.dtype or not all(d.kind in 'fiub' for d in both):
    return first, second
  floats = [dtype for dtype in both if dtype.kind == 'f']
  if not floats:
    return first.astype(np.float64), second.astype(np.float64)
  dtype = min(floats, key=lambda each: each.itemsize)
  return first.astype(dtype), second.astype(dtype)


def _compare_outputs(
  tf1: Sequence[Mapping[str, np.ndarray]],
  tf2: Sequence[Mapping[str, np.ndarray]],
  tolerance: tolerances.Tolerance,
) -> OutputDifference | None:
  """Returns the first output that differs; tolerances are the default ones.

  Those of the caller are for the metrics.
  """
  own = tolerances.Tolerance(equal_nan=tolerance.equal_nan)
  for i, (first, second) in enumerate(zip(tf1, tf2, strict=True)):
    for path, value in first.items():
      if path not in second:
        continue
      found = values.compare_arrays(f'outputs{path}', value, second[path], own)
      if not found.passed:
        return OutputDifference(i, found)
  return None
