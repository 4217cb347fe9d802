"""Writes and reads object-based checkpoints of TF2 models.

`tf.train.Checkpoint` reaches variables through attributes of objects, not by
name. What it cannot reach it leaves out without a word, and `restore` then
leaves such a variable as it is.
"""

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.tf2 import model as model_lib


def why_not_trackable(model: Any) -> str:
  """Returns why a model cannot be saved at all; '' if it can."""
  try:
    tf.train.Checkpoint(model=model_lib.owner(model))
  except (TypeError, ValueError):
    return (
      'tf.train.Checkpoint saves Keras layers, Keras models and tf.Module; '
      f'the model is a {type(model).__name__}'
    )
  return ''


def unreachable(root: Any, variables: list[Any]) -> list[str]:
  """Returns names of the variables that no attributes lead to.

  Args:
    root: a model, or a `tf.train.Checkpoint`.
    variables: the variables.

  Returns:
    The names, sorted.
  """
  view = tf.train.TrackableView(model_lib.owner(root))
  reached = {id(part) for part in view.descendants()}
  return sorted(
    model_lib.name_of(variable)
    for variable, backend in zip(
      variables, model_lib.backend_variables(variables), strict=True
    )
    if id(variable) not in reached and id(backend) not in reached
  )


def advise_unreachable(model: Any) -> str:
  """Returns how to let `tf.train.Checkpoint` reach a variable."""
  if compat.is_keras_3_object(model_lib.owner(model)):
    return (
      'tf.train.Checkpoint does not look into lists and dicts of layers of '
      'Keras 3: assign each layer to an attribute of its own '
      "(setattr(self, 'layer_%d' % i, layer)), or use keras.Sequential."
    )
  return (
    'Assign the variable, or the layer or module that has it, to an attribute '
    'of the model (self.v = ...): what only a closure, a global or a plain '
    'Python object holds is not saved.'
  )


def track(model: Any, optimizer: Any = None) -> tf.train.Checkpoint:
  """Returns the `tf.train.Checkpoint` that users write to restore a model.

  Raises:
    UsageError: if the model cannot be tracked.
  """
  problem = why_not_trackable(model)
  if problem:
    raise errors.UsageError(
      problem + '. Make it one of these, with its variables in attributes.'
    )
  parts = {'model': model_lib.owner(model)}
  if optimizer is not None:
    parts['optimizer'] = optimizer
  checkpoint = tf.train.Checkpoint(**parts)
  # `restore` expects this counter, which `save` creates and `write` does not.
  assert checkpoint.save_counter is not None
  return checkpoint


def write(prefix: str, model: Any, optimizer: Any = None) -> None:
  """Writes a checkpoint under exactly this prefix."""
  with compat.v2_behavior():
    track(model, optimizer).write(prefix)


def restore(prefix: str, model: Any, optimizer: Any = None) -> str:
  """Restores a checkpoint; returns what does not match, '' if all does."""
  with compat.v2_behavior():
    try:
      status = track(model, optimizer).restore(prefix)
      status.assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
      # The text of either may go on with the whole graph of objects.
      return str(error).split('\n')[0][:300]
  return ''


def scramble(variable: Any) -> None:
  """Changes every element of a variable."""
  value = model_lib.value_of(variable)
  if value.dtype == bool:
    model_lib.assign(variable, ~value)
  elif value.dtype.kind in 'OSU':
    other = np.full(value.shape, b'', object)
    for index in np.ndindex(value.shape):
      other[index] = b'x' + value[index]
    model_lib.assign(variable, other)
  else:
    # Not by a sum, which is lost in a large float.
    other = np.where(value == 1, 2, 1).astype(value.dtype)
    model_lib.assign(variable, other)


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
  """Returns whether two arrays are the same, NaN and signs of zero included."""
  if first.dtype != second.dtype or first.shape != second.shape:
    return False
  if first.dtype == object:
    return bool(np.all(first == second))
  return first.tobytes() == second.tobytes()


@contextlib.contextmanager
def restored_on_error(variables: list[Any]):
  """Context that gives variables their values back if an error leaves it."""
  values = [model_lib.value_of(variable) for variable in variables]
  try:
    yield
  except BaseException:
    for variable, value in zip(variables, values, strict=True):
      model_lib.assign(variable, value)
    raise
