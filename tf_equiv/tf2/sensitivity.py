"""Measures which variables the outputs of a model respond to.

One backward pass through the run that is observed anyway tells it of all
variables. It starts at a random projection of the outputs, so that no response
cancels. Those without a gradient are moved, to see what happens.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import nest
from tf_equiv.core.text import listed
from tf_equiv.tf1 import tensors
from tf_equiv.tf2 import model as model_lib

# Bytes of activations that are kept for a backward pass, and that may be where
# fewer examples would mean something else.
_MAX_RECORDED, _MAX_EVER = 1 << 30, 4 << 30
# Statistics of so few examples let no gradient through.
_MIN_IN_TRAINING = 4
_FUSED_BATCH_NORM = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')
# An effect no larger than that of rounding is none; see `compare.vacuity`.
_SMALL_EFFECT = 1e-5
# Multiples of its size by which a variable is moved: a sample or a sign may
# stay what it is when its operands move little.
_FACTORS = (0.5, 3.0, 20.0)
# How often the model is called to see what it responds to.
_MAX_CALLS = 48
_MAX_NAMES = 3
_log = logging.getLogger('tf_equiv')


class Tape:
  """A `tf.GradientTape` that also records what the outputs depend on."""

  def __init__(self, tape: tf.GradientTape, measures: bool):
    """Wraps a tape.

    Args:
      tape: the tape, which is active; persistent if it serves others, too.
      measures: whether the effect of variables is to be measured.
    """
    self._tape, self._measures = tape, measures
    self._total = None

  def watch(self, variables) -> None:
    """Watches all floating-point variables, not only those that are trained."""
    if self._measures:
      for variable in model_lib.backend_variables(variables):
        if variable.dtype.is_floating:
          self._tape.watch(variable)

  def project(self, outputs: Any) -> None:
    """Records a random projection of the outputs, each in its own unit."""
    if not self._measures:
      return
    generator, parts = np.random.default_rng(0), []
    for _, leaf in nest.flatten(outputs):
      if not tensors.is_tensor(leaf) or not leaf.dtype.is_floating:
        continue
      largest = float(tf.reduce_max(tf.abs(leaf))) if tf.size(leaf) else 0.0
      if not 0 < largest < float('inf'):  # NaN, too.
        continue
      factors = generator.normal(size=leaf.shape) / largest
      weighted = leaf * tf.cast(tf.constant(factors), leaf.dtype)
      parts.append(tf.cast(tf.reduce_sum(weighted), tf.float64))
    if parts:
      self._total = tf.add_n(parts)

  def effects(self, variables, specs) -> dict[str, float]:
    """Returns the effect of each floating-point variable.

    That is how far a random projection of the outputs moves, to first order, if
    all elements of the variable change by their own size, in units of the
    largest element of an output.

    Args:
      variables: the variables of the model.
      specs: their `VariableSpec`s.

    Returns:
      The effect by name; empty where it cannot be measured.
    """
    if self._total is None:
      return {}
    backends = model_lib.backend_variables(variables)
    chosen = [
      (spec.name, backend)
      for spec, backend in zip(specs, backends, strict=True)
      if backend.dtype.is_floating and spec.tracked
    ]
    try:
      with batch_norm_statistics_differentiated():
        gradients = self._tape.gradient(self._total, [v for _, v in chosen])
    except Exception:  # Whatever cannot be differentiated.
      _log.info('the sensitivity could not be measured', exc_info=True)
      return {}
    found = {}
    while chosen:
      (name, variable), gradient = chosen.pop(), gradients.pop()
      found[name] = 0.0
      if gradient is not None:
        size = _norm(variable) / max(variable.shape.num_elements(), 1) ** 0.5
        found[name] = _norm(gradient) * (size or 1.0)
    return found


def _norm(value) -> float:
  """Returns the Euclidean norm of a variable or gradient."""
  array = np.asarray(tf.convert_to_tensor(value))
  if array.dtype.itemsize < 4:  # Of which the square may overflow.
    array = array.astype(np.float32)
  return float(np.linalg.norm(array.reshape(-1)))


class Differences:
  """Moves variables, and sees how far the outputs move.

  There is no gradient behind `tf.stop_gradient`, a Python function, a sample,
  rounding, `sign` or `argmax`, and yet the outputs respond.
  """

  def __init__(self, call: Callable[[], Any], watched: Sequence[Any]):
    """Calls the model for the first time.

    Args:
      call: calls the model, with the same draws each time; returns a nest of
        tensors.
      watched: all variables that the call may read or change; they are put
        back after each call.
    """
    self._call, self._watched = call, list(watched)
    self._values = [v.read_value() for v in self._watched]
    self.calls = 0
    self._before = self._run({})

  @property
  def is_repeatable(self) -> bool:
    """Whether a second call gives the same."""
    return not self._change(self._run({}))

  def effects(self, variables: Mapping[str, Any]) -> dict[str, float]:
    """Returns the effect of each variable, by name.

    Variables are moved together, and one by one only where that shows in the
    outputs. After so many calls the rest stays unknown.

    Args:
      variables: `tf.Variable`s by name.

    Returns:
      The largest change of an output over its largest element; of variables
      that are not known nothing.
    """
    found: dict[str, float] = {}
    pending = [sorted(variables)] if variables else []
    while pending and self.calls < _MAX_CALLS:
      names = pending.pop()
      change = self._moved({name: variables[name] for name in names})
      if change <= _SMALL_EFFECT or len(names) == 1:
        found.update(dict.fromkeys(names, change))
        continue
      half = len(names) // 2
      pending += [names[half:], names[:half]]
    return found

  def _moved(self, variables) -> float:
    """Returns the largest change of several moves, from small to large."""
    change = 0.0
    for factor in _FACTORS:
      generator, moved = np.random.default_rng(0), {}
      for name in sorted(variables):
        variable = variables[name]
        value = variable.numpy()
        size = np.sqrt(np.mean(np.square(value.astype(np.float64)))) or 1.0
        step = factor * size * generator.normal(size=value.shape)
        moved[id(variable)] = (value + step).astype(value.dtype)
      change = self._change(self._run(moved))
      if change > _SMALL_EFFECT:
        break
    return change

  def _run(self, moved) -> list[np.ndarray]:
    self.calls += 1
    try:
      for variable in self._watched:
        if id(variable) in moved:
          variable.assign(moved[id(variable)])
      return [
        np.asarray(leaf)
        for _, leaf in nest.flatten(self._call())
        if tensors.is_tensor(leaf)
      ]
    finally:
      for variable, value in zip(self._watched, self._values, strict=True):
        variable.assign(value)

  def _change(self, after) -> float:
    """Returns by which share of its largest element an output changed."""
    if [x.shape for x in after] != [x.shape for x in self._before]:
      return 1.0
    change = 0.0
    for old, new in zip(self._before, after, strict=True):
      if old.dtype.kind not in 'fiub' or not old.size:
        change = max(change, float(not np.array_equal(old, new)))
        continue
      old, new = old.astype(np.float64), new.astype(np.float64)
      with np.errstate(invalid='ignore', over='ignore'):
        apart = np.max(np.where(old == new, 0.0, np.abs(new - old)))
        share = apart / (np.max(np.abs(old)) or 1.0)
      change = max(change, float(share) if np.isfinite(share) else 1.0)
    return change


def can_record(reference) -> bool:
  """Returns whether a run can be recorded for a backward pass.

  Args:
    reference: the observation of TF1, which knows the size, or None.
  """
  return reference is None or reference.activations <= _MAX_RECORDED


def complete(forward, reference) -> None:
  """Measures what the run that is observed could not.

  Args:
    forward: the forward pass of TF2, after its run.
    reference: the observation of TF1, or None.
  """
  if not forward.variables:
    return
  if forward.measures or not can_record(reference):
    _measure_apart(forward, reference)
  if forward.observed.sensitivity:
    _look_at_differences(forward, reference)


def _measure_apart(forward, reference) -> None:
  """Measures the effect of the variables in a run of its own.

  That is for a traced run, for one that created the variables, and for one that
  computes more than can be recorded: then for as many examples as can.
  """
  observed, inputs = forward.observed, forward.inputs
  structure = observed.structure
  forward.measures = True
  try:
    if not can_record(reference):
      inputs = _fewer(inputs, reference.activations, forward.training)
    forward(inputs)
  except Exception as error:  # Another size of the batch may be impossible.
    _log.info('the sensitivity could not be measured', exc_info=True)
    observed.notes.append(
      'to which variables the outputs respond was not measured (%s)'
      % (str(error).strip().splitlines() or [type(error).__name__])[0]
    )
  finally:
    forward.measures, observed.structure = False, structure


def _fewer(inputs, activations: int, training: bool):
  """Returns as many examples as can be recorded.

  Raises:
    ValueError: if not even the fewest can.
  """
  sizes = {tuple(leaf.shape[:1]) for _, leaf in nest.flatten(inputs)}
  if len(sizes) != 1 or () in sizes:
    raise ValueError('the inputs are large, and have no common batch')
  size = sizes.pop()[0]
  least = min(size, _MIN_IN_TRAINING) if training else 1
  most = max(int(size * _MAX_RECORDED / activations), least)
  if most * activations > size * _MAX_EVER:
    raise ValueError(f'{most} example(s) are too large')
  return nest.map_leaves(lambda _, leaf: leaf[:most], inputs)


def _look_at_differences(forward, reference) -> None:
  """Measures again what has no gradient, by moving it."""
  observed, before = forward.observed, forward.observed.weight_of()
  silent = [
    name
    for name, effect in observed.sensitivity.items()
    if not effect and not _is_updated(name, observed, before)
  ]
  if not silent:
    return
  backends = model_lib.backend_variables(forward.variables)
  by_name = {
    spec.name: backend
    for spec, backend in zip(observed.variables, backends, strict=True)
  }
  structure = observed.structure
  found: dict[str, float] = {}
  problem = ''

  def call():
    forward.restart()
    return forward(forward.inputs)['outputs']

  try:
    if not can_record(reference):
      problem = 'the model is large'
    else:
      differences = Differences(call, forward.watched())
      if differences.is_repeatable:
        found = differences.effects({name: by_name[name] for name in silent})
        problem = 'they are many' if len(found) < len(silent) else ''
      else:
        problem = 'two calls give different outputs'
  except Exception as error:  # The user's code may take no other numbers.
    _log.info('the sensitivity could not be measured', exc_info=True)
    problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
  finally:
    observed.structure = structure
  observed.sensitivity.update(found)
  unknown = [name for name in silent if name not in found]
  for name in unknown:
    del observed.sensitivity[name]
  if unknown:
    observed.notes.append(
      f'whether the outputs respond to {listed(sorted(unknown), _MAX_NAMES)}, '
      f'which have no gradient, was not measured ({problem})'
    )


def _is_updated(name, observed, before) -> bool:
  """Returns whether the pass updates a variable, which is then compared."""
  if name not in observed.updated or name not in before:
    return False
  return not np.array_equal(observed.updated[name], before[name])


def batch_norm_statistics_differentiated():
  """Context in which fused batch normalization has all of its gradients.

  TensorFlow takes mean and variance for constants in inference.
  """
  return compat.gradients_replaced(_FUSED_BATCH_NORM, _with_statistics)


def _with_statistics(gradient):
  """Adds the gradients of mean and variance to those of the other inputs.

  With y = scale * (x - mean) * r + offset, where r = rsqrt(variance + epsilon),
  they are -scale * r times that of the offset, and -scale * r**2 / 2 times that
  of the scale.
  """

  def function(op, *grads):
    found = list(gradient(op, *grads))
    if op.get_attr('is_training') or found[3] is not None:
      return found
    scale, variance = op.inputs[1], op.inputs[4]
    rate = tf.math.rsqrt(variance + op.get_attr('epsilon'))
    found[3] = -scale * rate * found[2]
    found[4] = -0.5 * scale * rate * rate * found[1]
    return found

  return function
