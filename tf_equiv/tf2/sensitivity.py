"""Measures which variables the outputs of a model respond to."""

import logging

import numpy as np
import tensorflow as tf

from tf_equiv.tf1 import nest, tensors
from tf_equiv.tf2 import model as model_lib

_log = logging.getLogger('tf_equiv')


def measure(call, variables, specs) -> dict[str, float]:
  """Measures the effect of each variable on the outputs.

  That is how far a random projection of the outputs moves, to first order, if
  all elements of the variable change by their own size, over the largest
  output. Only variables that are trained are measured: TensorFlow takes the
  moving statistics of fused batch normalization for constants.

  Args:
    call: calls the model; returns a nest of tensors.
    variables: the variables of the model.
    specs: their `VariableSpec`s.

  Returns:
    The effect by name of the variable; empty where it cannot be measured.
  """
  backends = model_lib.backend_variables(variables)
  chosen = [
    (spec.name, backend)
    for spec, backend in zip(specs, backends, strict=True)
    if spec.trainable and backend.dtype.is_floating
  ]
  if not chosen:
    return {}
  try:
    return _measure(call, chosen)
  except Exception:  # Whatever cannot be differentiated.
    _log.info('the sensitivity could not be measured', exc_info=True)
    return {}


def _measure(call, chosen) -> dict[str, float]:
  generator = np.random.default_rng(0)
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    for _, variable in chosen:
      tape.watch(variable)
    projected, scale = [], 0.0
    for _, leaf in nest.flatten(call()):
      if not tensors.is_tensor(leaf) or not leaf.dtype.is_floating:
        continue
      factors = generator.normal(size=leaf.shape)
      weighted = leaf * tf.cast(tf.constant(factors), leaf.dtype)
      projected.append(tf.cast(tf.reduce_sum(weighted), tf.float64))
      scale = max(scale, float(tf.reduce_max(tf.abs(leaf), None)))
    if not projected:
      return {}
    total = tf.add_n(projected)
  gradients = tape.gradient(total, [variable for _, variable in chosen])
  found = {}
  for (name, variable), gradient in zip(chosen, gradients, strict=True):
    found[name] = 0.0
    if gradient is not None and scale:
      gradient = tf.convert_to_tensor(gradient)
      size = float(tf.reduce_mean(tf.square(variable))) ** 0.5 or 1.0
      found[name] = float(tf.norm(gradient)) * size / scale
  return found
