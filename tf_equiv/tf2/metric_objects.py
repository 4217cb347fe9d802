"""The metrics of the TF2 side: checked, fed with batches, and read."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, metric_values, nest
from tf_equiv.core.text import listed
from tf_equiv.tf1 import tensors

_MAX_NAMES = 5
_LABELS = ('labels', 'label', 'y_true', 'targets', 'target', 'y')
_WEIGHTS = ('sample_weight', 'weights', 'weight')
_PREDICTIONS = ('predictions', 'y_pred', 'probabilities')
_EXPECTED = (
  'return a dict of metrics by name: those of tf_keras or Keras 3, or objects '
  'with update_state and result'
)
_OVERRIDE = (
  'Define update_metrics_tf2(self, metrics, outputs, inputs), which calls '
  'update_state of each'
)
# (arguments by position, arguments by name) of one call of `update_state`.
Call = tuple[tuple[Any, ...], dict[str, Any]]


def check(returned: Any) -> dict[str, Any]:
  """Checks what `build_metrics_tf2` returned.

  Args:
    returned: what it is.

  Returns:
    The metrics by name.

  Raises:
    UsageError: if it is no dict of metrics, or an empty one.
  """
  metric_values.check_names(returned, 'build_metrics_tf2', _EXPECTED)
  for name, metric in returned.items():
    _check_metric(name, metric)
  return dict(returned)


def _check_metric(name: str, metric: Any) -> None:
  if isinstance(metric, str):
    meaning = ''
    if metric.lower() in ('accuracy', 'acc'):
      meaning = (
        ', which has another meaning on each side: Keras takes BinaryAccuracy, '
        'CategoricalAccuracy or SparseCategoricalAccuracy for it, by the '
        'shapes of labels and predictions, while tf.compat.v1.metrics.accuracy '
        'is the share of predictions that equal their labels, which is '
        'Accuracy in Keras'
      )
    raise errors.UsageError(
      f'build_metrics_tf2 returned the name {metric!r} for {name!r}{meaning}. '
      'Return the metric itself.'
    )
  if isinstance(metric, type):
    raise errors.UsageError(
      f'build_metrics_tf2 returned the class {metric.__name__} for {name!r}; '
      f'return an object of it: {metric.__name__}(...).'
    )
  missing = [
    method
    for method in ('update_state', 'result')
    if not callable(getattr(metric, method, None))
  ]
  if missing:
    raise errors.UsageError(
      f'build_metrics_tf2 returned a {type(metric).__name__} for {name!r}, '
      f'which has no {" and no ".join(missing)}; {_EXPECTED}.'
    )


def reset(metrics: Mapping[str, Any]) -> None:
  """Sets metrics back that know how, for they may have been used before."""
  for metric in metrics.values():
    function = getattr(metric, 'reset_state', None)
    if callable(function):
      function()


def read(metrics: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Returns the values of metrics.

  Raises:
    UsageError: if one is neither a number nor an array.
  """
  found = {}
  for name, metric in metrics.items():
    value = metric.result()
    if isinstance(value, (Mapping, list, tuple)):
      raise errors.UsageError(
        f'result() of the metric {name!r} ({type(metric).__name__}) is a '
        f'{type(value).__name__}; expected a number or a tensor. Return one '
        'metric for each of its parts.'
      )
    try:
      found[name] = np.asarray(tf.convert_to_tensor(value).numpy())
    except (TypeError, ValueError, AttributeError) as error:
      raise errors.UsageError(
        f'result() of the metric {name!r} ({type(metric).__name__}) is a '
        f'{type(value).__name__}; expected a number or a tensor.'
      ) from error
  return found


def update(metrics: Mapping[str, Any], outputs: Any, inputs: Any) -> None:
  """Feeds metrics with labels and predictions; see `update_metrics_tf2`.

  Args:
    metrics: the metrics by name.
    outputs: nest of the outputs of the model.
    inputs: nest of the batch.

  Raises:
    UsageError: if these do not say what labels or predictions are, or a metric
      takes something else.
  """
  for name, metric in metrics.items():
    if not _takes_labels(metric):
      raise errors.UsageError(
        f'The metric {name!r} ({type(metric).__name__}) takes values, and not '
        f'labels and predictions. {_OVERRIDE}: '
        f'metrics[{name!r}].update_state(values).'
      )
  labels, weights = _labels_of(inputs)
  predictions = _predictions_of(outputs)
  named = {} if weights is None else {'sample_weight': weights}
  for metric in metrics.values():
    metric.update_state(labels, predictions, **named)


def _takes_labels(metric: Any) -> bool:
  """Returns whether `update_state` has a place for labels and predictions."""
  try:  # That of the class, for tf_keras puts a wrapper round the object's.
    function = type(metric).update_state
    parameters = list(inspect.signature(function).parameters.values())[1:]
  except (AttributeError, TypeError, ValueError):
    return True
  if any(each.kind is each.VAR_POSITIONAL for each in parameters):
    return True
  needed = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
  return len([p for p in needed if p.name != 'sample_weight']) >= 2


def _labels_of(inputs: Any) -> tuple[Any, Any]:
  """Returns (labels, weights or None) of a batch."""
  if isinstance(inputs, Mapping):
    name = next((n for n in _LABELS if n in inputs), None)
    weights = next((inputs[n] for n in _WEIGHTS if n in inputs), None)
    if name is not None:
      return inputs[name], weights
    names = ', '.join(map(repr, inputs))
    raise errors.UsageError(
      f'None of the entries of make_batch ({names}) is known as the labels: '
      f'call it {_LABELS[0]!r}, or say what the metrics get. {_OVERRIDE}.'
    )
  if isinstance(inputs, (list, tuple)) and len(inputs) in (2, 3):
    return inputs[1], inputs[2] if len(inputs) == 3 else None
  raise errors.UsageError(
    'make_batch returns no labels for the metrics: let it return '
    "(inputs, labels) or a dict with 'labels', or say what the metrics get. "
    f'{_OVERRIDE}.'
  )


def _predictions_of(outputs: Any) -> Any:
  leaves = nest.flatten(outputs)
  if len(leaves) == 1:
    return leaves[0][1]
  if isinstance(outputs, Mapping):
    name = next((n for n in _PREDICTIONS if n in outputs), None)
    if name is not None:
      return outputs[name]
  paths = listed(('outputs' + path for path, _ in leaves), _MAX_NAMES)
  raise errors.UsageError(
    f'It is not known which of the {len(leaves)} outputs ({paths}) are the '
    f'predictions that the metrics get. {_OVERRIDE}.'
  )


class Recorder:
  """Keeps what `update_state` of each metric is called with.

  Attributes:
    calls: for each metric by name, the calls of each batch.
  """

  def __init__(self, metrics: Mapping[str, Any]):
    """Begins to record the calls; a metric that allows none is left out."""
    self.calls: dict[str, list[list[Call]]] = {}
    self._restoring: list[Callable[[], None]] = []
    for name, metric in metrics.items():
      own = getattr(metric, '__dict__', {}).get('update_state')
      try:
        metric.update_state = self._recording(name, metric.update_state)
      except AttributeError:  # It has slots.
        continue
      self.calls[name] = []
      self._restoring.append(functools.partial(_restore, metric, own))

  def stop(self) -> None:
    """Gives the metrics back what they had."""
    for restore in reversed(self._restoring):
      restore()

  def begin_batch(self) -> None:
    """Begins a list of the calls of another batch."""
    for batches in self.calls.values():
      batches.append([])

  def _recording(
    self, name: str, function: Callable[..., Any]
  ) -> Callable[..., Any]:
    def update_state(*args: Any, **kwargs: Any) -> Any:
      self.calls[name][-1].append((args, kwargs))
      return function(*args, **kwargs)

    return update_state


def _restore(metric: Any, own: Any) -> None:
  if own is None:
    del metric.update_state
  else:
    metric.update_state = own


def as_tensors(outputs: Mapping[str, np.ndarray], like: Any) -> Any:
  """Returns arrays by path as tensors, in the nest of other outputs."""
  return nest.map_leaves(
    lambda path, leaf: tf.convert_to_tensor(
      outputs[path], leaf.dtype if tensors.is_tensor(leaf) else None
    ),
    like,
  )
