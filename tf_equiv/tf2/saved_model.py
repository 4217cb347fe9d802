"""Runs a function after a round trip through a SavedModel."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv.core import nest


def exported(
  function: Callable, inputs: Any, variables: Sequence[tf.Variable]
) -> Callable:
  """Saves a function with its variables, and loads both.

  Args:
    function: a function of the inputs, which returns a nest of tensors.
    inputs: what it will be called with.
    variables: all variables that it reads or changes.

  Returns:
    A function that runs the loaded one; the given variables get the values that
    the loaded ones have after each call.
  """
  leaves = [x for _, x in nest.flatten(inputs)]

  def flat(*tensors):
    parts = iter(tensors)
    return function(nest.map_leaves(lambda path, x: next(parts), inputs))

  module = tf.Module()
  module.watched = list(variables)
  module.run = tf.function(flat, autograph=False)
  signature = [tf.TensorSpec(x.shape, x.dtype) for x in leaves]
  module.run.get_concrete_function(*signature)
  with tempfile.TemporaryDirectory(prefix='tf_equiv') as folder:
    tf.saved_model.save(module, folder)
    loaded = tf.saved_model.load(folder)

  def call(inputs):
    found = loaded.run(*[x for _, x in nest.flatten(inputs)])
    for variable, value in zip(variables, loaded.watched, strict=True):
      variable.assign(value)
    return found

  return call
