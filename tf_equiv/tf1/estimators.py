"""Runs the `model_fn` of an Estimator without the Estimator.

The package is gone since TensorFlow 2.16. A `model_fn` only needs what it is
given, and gives an `EstimatorSpec`, of which the attributes count.
"""

import copy
import inspect
from typing import Any, Dict, List, Optional, Set, Tuple

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, nest
from tf_equiv.tf1 import estimator_package, optimizer_state, tensors, walks
from tf_equiv.tf1 import updates as updates_lib

v1 = tf.compat.v1

TRAIN, EVAL, PREDICT = (
  estimator_package.TRAIN,
  estimator_package.EVAL,
  estimator_package.PREDICT,
)
_MODES = (TRAIN, EVAL, PREDICT)
_OPTIONAL = ('labels', 'mode', 'params', 'config')
_VARIABLES = ('VarHandleOp', 'VariableV2', 'Variable')


class ModelFn:
  """The TF1 side of a test case, made of a `model_fn`.

  Its `build_tf1` and `train_tf1` are those of `MigrationTestCase`, and serve
  in an interpreter with TensorFlow 1.15 as well. Inputs are (features, labels),
  {'features': features, 'labels': labels}, or the features alone.

  Attributes:
    model_fn: the function.
    params: its `params`, or None.
    mode: 'train', 'eval' or 'infer' for one mode in all cases; None for 'train'
      in training and 'infer' otherwise.
    config: its `config`, or None.
  """

  def __init__(
    self,
    model_fn: Any,
    params: Any = None,
    mode: Optional[str] = None,
    config: Any = None,
  ):
    """Checks the arguments; nothing runs yet.

    Raises:
      UsageError: for an unknown mode, or arguments that the function does not
        take.
    """
    if not callable(model_fn):
      raise errors.UsageError(
        f'model_fn is {model_fn!r}; expected a function model_fn(features, '
        'labels, mode, params) that returns an EstimatorSpec.'
      )
    if mode is not None and (not isinstance(mode, str) or mode not in _MODES):
      raise errors.UsageError(
        f"mode is {mode!r}; expected 'train', 'eval' or 'infer' (which "
        'is tf.estimator.ModeKeys.PREDICT), or None.'
      )
    self.model_fn = model_fn
    self.params = params
    self.mode = mode
    self.config = config
    self._arguments = self._check_arguments()

  def __repr__(self) -> str:
    shown = [getattr(self.model_fn, '__name__', repr(self.model_fn))]
    for name in ('params', 'mode', 'config'):
      if getattr(self, name) is not None:
        shown.append(f'{name}={getattr(self, name)!r}')
    return f'from_model_fn({", ".join(shown)})'

  def _check_arguments(self) -> List[str]:
    parameters = inspect.signature(self.model_fn).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
      return list(_OPTIONAL)
    names = list(parameters)
    required = [
      name
      for name, p in parameters.items()
      if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    ]
    unknown = [name for name in required[1:] if name not in _OPTIONAL]
    if not names or unknown:
      raise errors.UsageError(
        f'model_fn takes ({", ".join(names)}); expected features, and any of '
        'labels, mode, params, config by these names. functools.partial gives '
        'others a value.'
      )
    for name in ('params', 'config'):
      if getattr(self, name) is not None and name not in names:
        raise errors.UsageError(
          f'{name} were given, but model_fn takes ({", ".join(names)}) and no '
          f'{name}.'
        )
    return names

  def call(self, inputs: Any, mode: str) -> Any:
    """Calls the `model_fn` in the current graph.

    Args:
      inputs: see the class.
      mode: 'train', 'eval' or 'infer'.

    Returns:
      Its EstimatorSpec.

    Raises:
      UsageError: if it returns something else.
    """
    features, labels = split(inputs)
    if mode == PREDICT:
      labels = None
    elif labels is None:
      raise errors.UsageError(
        f'model_fn is called in mode {mode!r}, which needs labels: '
        "make_inputs must return (features, labels) or {'features': ..., "
        "'labels': ...}."
      )
    v1.train.get_or_create_global_step()  # As an Estimator does.
    given: Dict[str, Any] = {
      'labels': labels,
      'mode': mode,
      'params': copy.deepcopy(self.params),
      'config': self.config,
    }
    if labels is not None and 'labels' not in self._arguments:
      raise errors.UsageError(
        f'There are labels, but model_fn takes ({", ".join(self._arguments)}) '
        'and no labels.'
      )
    with compat.stand_in('estimator', estimator_package.package()):
      spec = self.model_fn(
        features, **{k: v for k, v in given.items() if k in self._arguments}
      )
    if hasattr(spec, 'as_estimator_spec'):
      spec = spec.as_estimator_spec()
    wanted = ('predictions', 'loss', 'train_op', 'eval_metric_ops')
    missing = [name for name in wanted if not hasattr(spec, name)]
    if missing:
      raise errors.UsageError(
        f'model_fn returned a {type(spec).__name__} in mode {mode!r}, which '
        f'has no {", ".join(missing)}; expected an EstimatorSpec.'
      )
    return spec

  def mode_of(self, training: bool) -> str:
    """Returns the mode in which the model is built."""
    if self.mode is not None:
      return self.mode
    return TRAIN if training else PREDICT

  def build_tf1(self, inputs: Any, training: bool) -> Any:
    """Builds the model; see `MigrationTestCase.build_tf1`.

    Returns:
      The predictions. In mode 'train', where there are none, {'loss': loss}. In
      mode 'eval' a dict of 'loss', 'predictions' and 'metrics', whose values
      are those after the inputs as the first batch; without those that there
      are none of.
    """
    mode = self.mode_of(training)
    with updates_lib.recorded() as recording:
      spec = self.call(inputs, mode)
    self.hide(recording, spec)
    return self.outputs(spec, mode)

  def build_with_loss(self, inputs: Any, training: bool) -> Tuple[Any, Any]:
    """Builds the model in a mode that has a loss.

    That is 'train' in training and 'eval' otherwise; the outputs are those of
    `build_tf1`, if there are predictions.

    Returns:
      (outputs, the loss of the EstimatorSpec).
    """
    mode = self.mode or (TRAIN if training else EVAL)
    with updates_lib.recorded() as recording:
      spec = self.call(inputs, mode)
    self.hide(recording, spec)
    if spec.loss is None:
      raise errors.UsageError(
        f'model_fn returned no loss in mode {mode!r}, so there is nothing to '
        'differentiate.'
      )
    if self.mode is None and spec.predictions is None:
      return {'loss': spec.loss}, spec.loss
    return self.outputs(spec, self.mode or PREDICT), spec.loss

  def hide(self, recording: updates_lib.Recording, spec: Any) -> None:
    """Makes what belongs to optimizers local, so that it is no weight."""
    operations = []
    if spec.train_op is not None:
      operations.append(operation_of(spec.train_op))
    owned = optimizer_state.owned(recording, v1.global_variables(), operations)
    graph = v1.get_default_graph()
    everywhere = graph.get_collection_ref(v1.GraphKeys.GLOBAL_VARIABLES)
    hidden = [v for v in everywhere if v.op.name in owned]
    everywhere[:] = [v for v in everywhere if v.op.name not in owned]
    graph.get_collection_ref(v1.GraphKeys.LOCAL_VARIABLES).extend(hidden)

  def outputs(self, spec: Any, mode: str) -> Any:
    """Returns the outputs that are compared; see `build_tf1`."""
    if mode != EVAL:
      if spec.predictions is not None:
        return spec.predictions
      if mode == TRAIN and spec.loss is not None:
        return {'loss': spec.loss}
      raise errors.UsageError(
        f'model_fn returned no predictions in mode {mode!r}, so there is '
        'nothing to compare.'
      )
    found = {}
    if spec.predictions is not None:
      found['predictions'] = spec.predictions
    if spec.loss is not None:
      found['loss'] = spec.loss
    if spec.eval_metric_ops:
      found['metrics'] = {
        name: after_update(metric, name)
        for name, metric in sorted(spec.eval_metric_ops.items())
      }
    return found

  def train_tf1(self, inputs: Any) -> Dict[str, Any]:
    """Builds a training step; see `MigrationTestCase.train_tf1`.

    Returns:
      {'loss': the loss, 'train_op': the train op}.
    """
    spec = self.training_spec(inputs)
    return {'loss': spec.loss, 'train_op': operation_of(spec.train_op)}

  def training_spec(self, inputs: Any) -> Any:
    """Returns the EstimatorSpec of a training step, which has a train op."""
    spec = self.call(inputs, TRAIN)
    for name in ('loss', 'train_op'):
      if getattr(spec, name) is None:
        raise errors.UsageError(
          f'model_fn returned no {name} in mode {TRAIN!r}, so there is no '
          'training step to compare.'
        )
    return spec


def split(inputs: Any) -> Tuple[Any, Any]:
  """Returns (features, labels) of inputs; labels are None where not given."""
  if isinstance(inputs, dict) and set(inputs) == {'features', 'labels'}:
    return inputs['features'], inputs['labels']
  if isinstance(inputs, tuple) and len(inputs) == 2:
    return inputs
  return inputs, None


def operation_of(train_op: Any) -> Any:
  """Returns the operation of a train op, which may be a tensor."""
  return train_op if isinstance(train_op, tf.Operation) else train_op.op


def after_update(metric: Any, name: str) -> Any:
  """Returns the value of a metric after one update.

  Args:
    metric: (value, update op) of `tf.metrics`, or a Keras metric.
    name: its name, for messages.

  Returns:
    A tensor that runs the update first.

  Raises:
    UsageError: for something else.
  """
  if hasattr(metric, 'result') and hasattr(metric, 'updates'):
    value, update = metric.result(), list(metric.updates)
  elif isinstance(metric, (tuple, list)) and len(metric) == 2:
    value, update = metric[0], [metric[1]]
  else:
    raise errors.UsageError(
      f'eval_metric_ops has {metric!r} under {name!r}; expected (value, '
      'update op), as tf.metrics returns them, or a Keras metric.'
    )
  updates = [op for _, op in nest.flatten(update)]
  if not tensors.is_tensor(value):
    with tf.control_dependencies(updates):
      return tf.identity(tf.convert_to_tensor(value))
  return _read_again(value, updates)


def _read_again(value: Any, updates: List[Any]) -> Any:
  """Copies the ops that compute a value of variables, to run after updates."""
  value = tf.convert_to_tensor(value)
  order = sorted(walks.ancestors([value.op]), key=compat.op_position)
  if any(compat.is_in_control_flow(op) for op in order):
    first = updates[0]
    if tensors.is_tensor(first) and first.dtype == value.dtype:
      return tf.identity(first)  # The value after the update, by convention.
    return value
  graph = value.graph
  copies: Dict[str, Any] = {}
  reading: Set[str] = set()
  with tf.control_dependencies(updates):
    for op in order:
      parents = [t.op.name for t in op.inputs]
      if op.type in _VARIABLES:
        reading.add(op.name)
      elif reading.intersection(parents):
        reading.add(op.name)
        copied = graph.create_op(
          op.type,
          [copies.get(t.name, t) for t in op.inputs],
          [t.dtype for t in op.outputs],
          name='after_update/' + op.name,
          attrs={
            key: attr
            for key, attr in op.node_def.attr.items()
            if not key.startswith('_')
          },
          op_def=op.op_def,
        )
        for old, new in zip(op.outputs, copied.outputs):
          copies[old.name] = new
  return copies.get(value.name, value)
