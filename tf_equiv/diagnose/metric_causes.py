"""Tries with what arguments, or as which other, a metric of TF2 gives TF1's.

A metric that differs is made anew with one thing changed, or two, and is fed
with what it was fed with in the run. What gives the values of TF1 after every
batch is a cause.
"""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import metrics as metrics_lib
from tf_equiv.compare import tolerances
from tf_equiv.compare.metrics import Cause, CauseKind, Change
from tf_equiv.tf2 import metrics as tf2_metrics

_MAX_CAUSES = 2
_MAX_CHANGES = 3
_MAX_TRIED = 80
# The number of thresholds in TF1, unless another is given.
_THRESHOLDS = 200
# Values to try of the arguments of Keras' metrics, by name.
_CHOICES: dict[str, tuple[Any, ...]] = {
  'summation_method': ('interpolation', 'minoring', 'majoring'),
  'curve': ('ROC', 'PR'),
  'num_thresholds': (_THRESHOLDS,),
  'from_logits': (False, True),
  'multi_label': (False,),
  'threshold': (0.5, 0.0),
  'thresholds': (None, 0.0),
  'top_k': (None, 1),
  'class_id': (None,),
  'ignore_class': (None,),
  'k': (1, 2, 3, 5, 10),
}
# Arguments that count classes or thresholds: what TF1 keeps tells them.
_COUNTS = ('num_thresholds', 'num_classes')
# Metrics that are taken for one another.
_FAMILIES = (
  (
    'Accuracy',
    'BinaryAccuracy',
    'CategoricalAccuracy',
    'SparseCategoricalAccuracy',
  ),
  (
    'RootMeanSquaredError',
    'MeanSquaredError',
    'MeanAbsoluteError',
  ),
  ('Precision', 'Recall'),
  ('SensitivityAtSpecificity', 'SpecificityAtSensitivity'),
  ('PrecisionAtRecall', 'RecallAtPrecision'),
  ('Mean', 'Sum'),
  (
    'TopKCategoricalAccuracy',
    'SparseTopKCategoricalAccuracy',
  ),
)
_CONFIG_OF_ALL = ('name', 'dtype')


def explain(
  candidate: tf2_metrics.Candidate,
  found: metrics_lib.Found,
  sizes: dict[str, list[int]],
  tolerance: tolerances.Tolerance,
) -> metrics_lib.Found:
  """Adds the causes of what differs, as far as one that is tried fits.

  Args:
    candidate: the TF2 side, which has run.
    found: what the metrics show.
    sizes: what each metric of TF1 keeps, see `MetricValues`.
    tolerance: what may differ.

  Returns:
    The same with causes.
  """

  def explained(stream: metrics_lib.Stream) -> metrics_lib.Stream:
    if not stream.differs or stream.causes:
      return stream
    search = _Search(candidate, stream, tolerance)
    causes = search.causes(sizes.get(stream.name, []))
    return dataclasses.replace(stream, causes=causes)

  return dataclasses.replace(
    found, streams=tuple(map(explained, found.streams))
  )


class _Search:
  """Tries what may be the cause for one metric."""

  def __init__(
    self,
    candidate: tf2_metrics.Candidate,
    stream: metrics_lib.Stream,
    tolerance: tolerances.Tolerance,
  ):
    self._candidate, self._stream = candidate, stream
    self._tolerance = tolerance
    self._metric = candidate.metrics[stream.name]
    self._title = type(self._metric).__name__

  def causes(self, sizes: Sequence[int]) -> tuple[Cause, ...]:
    """Returns what makes the metric agree, the smallest changes alone."""
    name = self._stream.name
    config = _config_of(self._metric)
    if config is None or name not in self._candidate.calls:
      return ()
    make = functools.partial(_made, type(self._metric))
    # All further trials rely on this: that the run can be replayed.
    same = self._candidate.replay(name, lambda: make(config))
    if metrics_lib.agrees(self._stream, same, self._tolerance):
      return (Cause(CauseKind.STATE, self._title),)
    if not _equal(same, self._stream.tf2):
      return ()
    found: list[Cause] = []
    if self._candidate.is_weighted(name):
      if self._fits(lambda: make(config), weighted=False):
        found.append(Cause(CauseKind.WEIGHTS, self._title))
    for changes in itertools.islice(_changes(config, sizes), _MAX_TRIED):
      if found and len(changes) > 1 and len(changes) > _size(found[0]):
        break
      if self._fits(functools.partial(make, _changed(config, changes))):
        found.append(Cause(CauseKind.ARGUMENTS, self._title, changes))
    found += self._others(config)
    return tuple(found[:_MAX_CAUSES])

  def _others(self, config: dict[str, Any]) -> Iterator[Cause]:
    """Yields metrics of other classes that agree."""
    for cls in _relatives(type(self._metric)):
      if self._fits(functools.partial(_made_with_what_it_takes, cls, config)):
        yield Cause(CauseKind.CLASS, self._title, other=cls.__name__)

  def _fits(self, make: Any, weighted: bool = True) -> bool:
    values = self._candidate.replay(self._stream.name, make, weighted)
    return metrics_lib.agrees(self._stream, values, self._tolerance)


def _size(cause: Cause) -> int:
  return max(1, len(cause.changes))


def _config_of(metric: Any) -> dict[str, Any] | None:
  """Returns the arguments of a metric, None if it does not tell them."""
  if not hasattr(type(metric), 'from_config'):
    return None
  try:
    config = metric.get_config()
  except Exception:  # Classes of the user's own need not have it.
    return None
  return dict(config) if isinstance(config, dict) else None


def _made(cls: type, config: dict[str, Any]) -> Any:
  return cls.from_config(dict(config))  # type: ignore[attr-defined]


def _made_with_what_it_takes(cls: type, config: dict[str, Any]) -> Any:
  """Makes a metric of another class, whose first argument it may share."""
  try:
    return cls()
  except TypeError:
    given = [
      v for k, v in config.items() if k in ('specificity', 'sensitivity')
    ]
    given += [v for k, v in config.items() if k in ('precision', 'recall')]
    return cls(*given, num_thresholds=config.get('num_thresholds'))


def _changes(
  config: dict[str, Any], sizes: Sequence[int]
) -> Iterator[tuple[Change, ...]]:
  """Yields what to change: one argument, then two, then three."""
  choices = []
  for name, old in config.items():
    if name in _CONFIG_OF_ALL:
      continue
    tried = list(_CHOICES.get(name, ()))
    if name in _COUNTS:
      tried += [size for size in sizes if size > 1]
    values = [v for v in dict.fromkeys(tried) if not _same(v, old)]
    choices.append([Change(name, old, value) for value in values])
  for count in range(1, _MAX_CHANGES + 1):
    for several in itertools.combinations(choices, count):
      yield from itertools.product(*several)


def _changed(
  config: dict[str, Any], changes: Sequence[Change]
) -> dict[str, Any]:
  found = {**config, **{each.argument: each.new for each in changes}}
  if any(each.argument == 'num_thresholds' for each in changes):
    found.pop('thresholds', None)  # They would be taken in its place.
  return found


def _relatives(cls: type) -> list[type]:
  """Returns the other metrics of a family, of the same Keras."""
  root = sys.modules.get(cls.__module__.partition('.')[0])
  library = getattr(root, 'metrics', None)
  for family in _FAMILIES:
    if cls.__name__ in family:
      found = [getattr(library, n, None) for n in family if n != cls.__name__]
      return [each for each in found if isinstance(each, type)]
  return []


def _same(first: Any, second: Any) -> bool:
  return type(first) is type(second) and first == second


def _equal(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
  return len(first) == len(second) and all(
    np.array_equal(a, b, equal_nan=True)
    for a, b in zip(first, second, strict=True)
  )
