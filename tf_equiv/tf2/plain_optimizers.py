"""Optimizers of TF2 that are plain objects with `apply_gradients`.

They have no interface but that. What they keep is found in their attributes:
variables by themselves, in lists and in dicts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.compat import optimizers
from tf_equiv.core import errors

_RATES = ('learning_rate', 'lr', '_learning_rate', '_lr')
_COUNTERS = ('iterations', 'step', 'global_step', '_step', '_iterations')
_DEPTH = 3


def is_plain(optimizer: Any) -> bool:
  """Returns whether it is no optimizer of Keras or `tf.compat.v1.train`."""
  return not (optimizers.is_v1(optimizer) or optimizers.is_keras(optimizer))


def variables_of(optimizer: Any) -> list[Any]:
  """Returns the variables in the attributes of an optimizer.

  Among them may be those that it trains.
  """
  found = {id(v): v for v in _variables_in(vars_of(optimizer))}
  return list(found.values())


def vars_of(optimizer: Any) -> dict[str, Any]:
  """Returns the attributes of an object."""
  return dict(getattr(optimizer, '__dict__', {}))


def _variables_in(value: Any, depth: int = 0) -> Iterator[Any]:
  if depth > _DEPTH:
    return
  if _is_variable(value):
    yield value
  elif isinstance(value, Mapping):
    for each in list(value.values()):
      yield from _variables_in(each, depth + 1)
  elif isinstance(value, (list, tuple, set)):
    for each in list(value):
      yield from _variables_in(each, depth + 1)
  elif isinstance(value, tf.Module) and depth:
    yield from value.variables


def _is_variable(value: Any) -> bool:
  return hasattr(value, 'assign') and hasattr(value, 'shape')


def slots_of(
  optimizer: Any, variable: Any, trained: list[Any]
) -> dict[str, Any]:
  """Returns the slots of a variable, by the attributes that hold them.

  Args:
    optimizer: the optimizer.
    variable: the variable.
    trained: all variables that it trains, in the order in which they were given
      to it, in which a list of slots is taken to be.
  """
  found = {}
  index = next((i for i, v in enumerate(trained) if v is variable), None)
  for name, value in vars_of(optimizer).items():
    slot = None
    if isinstance(value, Mapping):
      slot = next((value[k] for k in _keys(variable) if k in value), None)
    elif isinstance(value, (list, tuple)) and len(value) == len(trained):
      slot = None if index is None else value[index]
    if (
      _is_variable(slot)
      and slot is not variable
      and tuple(slot.shape) == tuple(variable.shape)
    ):
      found[name.lstrip('_')] = slot
  return found


def _keys(variable: Any) -> Iterator[Any]:
  """Yields what a dict of slots may be keyed by."""
  if hasattr(variable, 'ref'):
    yield variable.ref()
  yield id(variable)
  yield variable.name
  yield variable.name.split(':')[0]
  for name in ('_unique_id', '_shared_name', 'path'):
    key = getattr(variable, name, None)
    if isinstance(key, str):
      yield key


def learning_rate_of(optimizer: Any) -> Any:
  """Returns the learning rate, None where it is a function or not known."""
  for name in _RATES:
    value = getattr(optimizer, name, None)
    is_number = isinstance(value, (int, float)) or compat.is_tensor(value)
    if (is_number and not isinstance(value, bool)) or _is_variable(value):
      return value
  return None


def counters_of(optimizer: Any) -> list[Any]:
  """Returns the variable that counts the updates, in a list."""
  for name in _COUNTERS:
    value = getattr(optimizer, name, None)
    if _is_variable(value) and not tuple(value.shape):
      if tf.as_dtype(value.dtype).is_integer:
        return [value]
  return []


def check_family(optimizer: Any, variables: list[Any]) -> None:
  """Raises `UsageError` if optimizer and variables are of different Keras."""
  of_model = any(compat.is_keras_3_object(v) for v in variables)
  if of_model and (
    optimizers.is_v1(optimizer)
    or (
      optimizers.is_keras(optimizer) and not compat.is_keras_3_object(optimizer)
    )
  ):
    kind = 'tf.compat.v1.train' if optimizers.is_v1(optimizer) else 'tf_keras'
    raise errors.UsageError(
      f'build_tf2_optimizer returned {type(optimizer).__name__} of {kind}, '
      'which cannot train the variables of a Keras 3 model: '
      f'{variables[0].path} is a keras.Variable. Return the optimizer of the '
      f'same name in keras.optimizers.'
    )
  if variables and not of_model and compat.is_keras_3_object(optimizer):
    first = variables[0]
    raise errors.UsageError(
      f'build_tf2_optimizer returned {type(optimizer).__name__} of Keras 3, '
      f'but the model is none of Keras 3: {first.name} is a tf.Variable. '
      'Return the optimizer of the same name in tf_keras.optimizers '
      '(tf.keras.optimizers under TF_USE_LEGACY_KERAS=1).'
    )
