"""Measures which variables the outputs of a model respond to.

One backward pass through the run that is observed anyway tells it of all
variables. It starts at a random projection of the outputs, so that no response
cancels.
"""

import logging
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import nest
from tf_equiv.tf1 import tensors
from tf_equiv.tf2 import model as model_lib

# Bytes of activations that are kept for a backward pass, and that may be where
# fewer examples would mean something else.
_MAX_RECORDED, _MAX_EVER = 1 << 30, 4 << 30
# Statistics of so few examples let no gradient through.
_MIN_IN_TRAINING = 4
_FUSED_BATCH_NORM = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')
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
      if backend.dtype.is_floating
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


def moves(call, variables) -> bool:
  """Returns whether outputs without any gradient respond to variables at all.

  Rounding, `argmax` and the like have no gradient.

  Args:
    call: calls the model; returns a nest of tensors.
    variables: the variables of the model. They are restored.

  Returns:
    Whether an output changes when all variables change by half of their size.
  """
  generator = np.random.default_rng(0)
  backends = [
    v for v in model_lib.backend_variables(variables) if v.dtype.is_floating
  ]
  before = [leaf.numpy() for _, leaf in nest.flatten(call())]
  values = [v.numpy() for v in backends]
  try:
    for variable, value in zip(backends, values, strict=True):
      size = np.sqrt(np.mean(np.square(value))) or 1.0
      change = 0.5 * size * generator.normal(size=value.shape)
      variable.assign((value + change).astype(value.dtype))
    after = [leaf.numpy() for _, leaf in nest.flatten(call())]
  finally:
    for variable, value in zip(backends, values, strict=True):
      variable.assign(value)
  return any(
    not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
  )


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
  effects = forward.observed.sensitivity
  if effects and not any(effects.values()):
    _look_at_differences(forward)


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


def _look_at_differences(forward) -> None:
  """Notes where outputs respond, but have no gradient that could tell of it."""

  def call():
    forward.restart()
    return forward(forward.inputs)['outputs']

  if moves(call, forward.variables):
    forward.observed.sensitivity = {}
    forward.observed.notes.append(
      'to which variables the outputs respond was not measured (they have no '
      'gradient)'
    )


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
