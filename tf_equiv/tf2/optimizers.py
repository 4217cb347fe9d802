"""Optimizers of TF2, of any kind, described in the terms of TF1.

Keras' SGD keeps a velocity, minus the learning rate times the sum of gradients
that `tf.compat.v1.train.MomentumOptimizer` keeps; all other slots mean the same
on both sides (tf_keras/src/optimizers/*.py, keras/src/optimizers/*.py).
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.compat import optimizers
from tf_equiv.core import errors
from tf_equiv.tf1 import custom_slots
from tf_equiv.tf1 import optimizers as tf1_optimizers
from tf_equiv.tf2 import optimizer_kinds as kinds
from tf_equiv.tf2 import plain_optimizers

OptimizerSpec = tf1_optimizers.OptimizerSpec
_OTHER = tf1_optimizers.OTHER
MOVING_AVERAGE = 'moving average'


def check_optimizer(optimizer: Any, origin: str = 'build_tf2_optimizer') -> Any:
  """Returns the optimizer if it is one.

  Raises:
    UsageError: for a class, a name, None, or anything else.
  """
  if inspect.isclass(optimizer):
    raise errors.UsageError(
      f'{origin} returned the class {optimizer.__name__}; return an object of '
      f'it: `return {optimizer.__name__}(...)`.'
    )
  if optimizers.is_v1(optimizer) or optimizers.is_keras(optimizer):
    return optimizer
  if callable(getattr(optimizer, 'apply_gradients', None)):
    return optimizer
  hint = ''
  if optimizer is None:
    hint = ' Is a `return` missing?'
  elif isinstance(optimizer, str):
    hint = f' Return tf.keras.optimizers.get({optimizer!r}).'
  elif callable(optimizer):
    hint = ' Return what it makes, not the function.'
  raise errors.UsageError(
    f'{origin} returned {optimizer!r}; expected an optimizer of tf_keras (new '
    'or legacy), Keras 3 or tf.compat.v1.train, or an object with '
    f'apply_gradients.{hint}'
  )


def describe(optimizer: Any) -> OptimizerSpec:
  """Describes an optimizer of any kind."""
  optimizer = optimizers.inner(optimizer)
  if optimizers.is_v1(optimizer):
    return tf1_optimizers.describe(optimizer)
  if plain_optimizers.is_plain(optimizer) or _kind(optimizer) == _OTHER:
    return OptimizerSpec(
      type(optimizer).__name__, _OTHER, tf1_optimizers.numbers_of(optimizer)
    )
  found = {}
  for attribute, name in kinds.HYPERPARAMETERS.items():
    value = tf1_optimizers.plain(
      optimizers.keras_hyperparameter(optimizer, attribute)
    )
    if value is not None:
      found[name] = value
  if not getattr(optimizer, 'use_ema', False):
    for name in kinds.OF_AVERAGES:
      found.pop(name, None)
  kind = _kind(optimizer)
  if kind == tf1_optimizers.MOMENTUM and found.get('momentum') == 0.0:
    kind = tf1_optimizers.GRADIENT_DESCENT
  return OptimizerSpec(type(optimizer).__name__, kind, found)


def _kind(optimizer) -> str:
  for name in optimizers.keras_classes(optimizer):
    if name in kinds.KINDS:
      return kinds.KINDS[name]
  return tf1_optimizers.OTHER


def parts_of(optimizer: Any) -> list[Any]:
  """Returns the optimizers that take the updates, mostly itself alone.

  A MultiOptimizer of Keras 3 leaves its variables to others.
  """
  return optimizers.parts(optimizer)


def slots_of(
  optimizer: Any, variable: Any, trained: Sequence[Any] = ()
) -> dict[str, Any]:
  """Returns the slots of a variable by what they mean.

  Args:
    optimizer: the optimizer.
    variable: the variable.
    trained: all variables that it trains, in order, which a plain object does
      not tell.
  """
  return {
    meaning: slot
    for meaning, slot in named_slots(optimizer, variable, trained).values()
  }


def named_slots(
  optimizer: Any, variable: Any, trained: Sequence[Any] = ()
) -> dict[str, tuple[str, Any]]:
  """Returns {name: (meaning, slot)} of a variable; see `slots_of`.

  The slot of an SGD without momentum, which only holds the last update, is
  left out.
  """
  optimizer = optimizers.inner(optimizer)
  if optimizers.is_v1(optimizer):
    return {
      tf1_optimizers.name_of_slot(optimizer, meaning): (meaning, slot)
      for meaning, slot in tf1_optimizers.slots_of(optimizer, variable).items()
    }
  if plain_optimizers.is_plain(optimizer):
    by_name = plain_optimizers.slots_of(optimizer, variable, list(trained))
    meanings = custom_slots.meanings(by_name)
    return {n: (meanings[n], slot) for n, slot in by_name.items()}
  found: dict[str, tuple[str, Any]] = {}
  for part in parts_of(optimizer):
    if optimizers.is_legacy_keras(part):
      by_name = optimizers.keras_legacy_slots(part, variable)
    else:
      by_name = _listed_slots(part, variable)
    kind = describe(part).kind
    if kind == tf1_optimizers.GRADIENT_DESCENT:
      by_name.pop('momentums', None)
    meanings = kinds.SLOTS.get(kind, {})
    if kind == _OTHER:
      meanings = custom_slots.meanings(by_name)
    meanings = {**meanings, kinds.AVERAGES: MOVING_AVERAGE}
    for name, slot in by_name.items():
      found[name] = meanings.get(name, name), slot
  return found


def _listed_slots(optimizer, variable):
  index = optimizers.keras_index(optimizer, variable)
  if index is None:
    return {}
  lists = optimizers.keras_slot_lists(optimizer)
  return {
    name: slots[index]
    for name, slots in lists.items()
    if slots[index] is not None
  }


def learning_rate_of(optimizer: Any) -> Any:
  """Returns the learning rate of the next update, None if unknown."""
  optimizer = optimizers.inner(optimizer)
  if optimizers.is_v1(optimizer):
    return optimizers.v1_learning_rate(optimizer)
  if plain_optimizers.is_plain(optimizer):
    return plain_optimizers.learning_rate_of(optimizer)
  return optimizers.keras_learning_rate(optimizer)


def iterations_of(optimizer: Any) -> int | None:
  """Returns the step counter, None for `tf.compat.v1.train`."""
  optimizer = optimizers.inner(optimizer)
  if optimizers.is_v1(optimizer):
    return None
  if plain_optimizers.is_plain(optimizer):
    return None  # It may count in another way, and from another number.
  return int(optimizer.iterations.numpy())


def counters_of(optimizer: Any) -> list[Any]:
  """Returns the variable that counts the updates, in a list; [] for v1."""
  optimizer = optimizers.inner(optimizer)
  if plain_optimizers.is_plain(optimizer):
    return plain_optimizers.counters_of(optimizer)
  counter = getattr(optimizer, 'iterations', None)
  return [] if counter is None else [counter]


def build(optimizer: Any, variables: list[Any]) -> None:
  """Creates all slots, which must not happen inside of a `tf.function`."""
  if optimizers.is_v1(optimizer):
    optimizers.v1_build(optimizer, variables)
  elif plain_optimizers.is_plain(optimizer):
    if callable(getattr(optimizer, 'build', None)):
      optimizer.build(variables)
  else:
    optimizers.keras_build(optimizer, variables)


def scaled_loss(optimizer: Any, loss: Any) -> Any:
  """Returns the loss whose gradients are to be given to the optimizer.

  Those of Keras 3 divide the gradients by the factor again that their
  `scale_loss` multiplies with; a LossScaleOptimizer of tf_keras does not.
  """
  if plain_optimizers.is_plain(optimizer):
    return loss
  return optimizers.keras_scaled_loss(optimizer, loss)


def clipped(
  optimizer: Any,
  gradients: list[Any],
  variables: list[Any] | None = None,
) -> list[Any]:
  """Returns gradients as the optimizer's own clipping leaves them.

  Args:
    optimizer: the optimizer, which may be one of those that scale the loss.
    gradients: gradients; None stays None.
    variables: their variables, for the `gradient_transformers` of legacy
      optimizers.

  Returns:
    The gradients that the update takes.
  """
  connected = [i for i, g in enumerate(gradients) if g is not None]
  found = list(gradients)
  if (
    optimizers.is_v1(optimizer)
    or plain_optimizers.is_plain(optimizer)
    or not connected
  ):
    return found
  clipped_ones = optimizers.keras_clip(
    optimizer,
    [(gradients[i], variables[i] if variables else None) for i in connected],
  )
  for i, gradient in zip(connected, clipped_ones, strict=True):
    found[i] = gradient
  return found


def variables_of(optimizer: Any) -> list[Any]:
  """Returns all variables of an optimizer, its learning rate included."""
  if optimizers.is_v1(optimizer):
    return optimizers.v1_variables(optimizer)
  if plain_optimizers.is_plain(optimizer):
    return plain_optimizers.variables_of(optimizer)
  return optimizers.keras_variables(optimizer)


def keeps_velocity(optimizer: Any) -> bool:
  """Returns whether its `momentum` slot is minus the learning rate times TF1's.

  So it is for SGD of all Keras; TF1's is the sum of the gradients.
  """
  optimizer = optimizers.inner(optimizer)
  return (
    not optimizers.is_v1(optimizer)
    and describe(optimizer).kind == tf1_optimizers.MOMENTUM
  )


def in_reference_terms(
  optimizer: Any,
  meaning: str,
  value: np.ndarray,
  learning_rate: float | None,
) -> np.ndarray:
  """Returns the value that the slot would have in `tf.compat.v1.train`.

  A velocity is divided by minus the learning rate; with a learning rate that
  is zero or unknown it stays what it is.
  """
  if meaning == 'momentum' and keeps_velocity(optimizer) and learning_rate:
    return (value / -learning_rate).astype(value.dtype)
  return value


def set_slot(
  optimizer: Any,
  variable: Any,
  meaning: str,
  value: np.ndarray,
  learning_rate: float | None = None,
  trained: Sequence[Any] = (),
) -> bool:
  """Sets a slot to a value in the terms of `tf.compat.v1.train`.

  Args:
    optimizer: the optimizer; its slots exist.
    variable: the variable that the slot belongs to.
    meaning: what the slot means, as `slots_of` names it, or its own name.
    value: the value in TF1.
    learning_rate: the learning rate in force, for the velocity of SGD.
    trained: see `slots_of`.

  Returns:
    Whether there is such a slot.

  Raises:
    UsageError: if a velocity is to be set without a learning rate.
  """
  by_name = named_slots(optimizer, variable, trained)
  by_meaning = {meaning: slot for meaning, slot in by_name.values()}
  if meaning not in by_meaning and meaning in by_name:
    meaning = by_name[meaning][0]
  slot = by_meaning.get(meaning)
  if slot is None:
    return False
  if meaning == 'momentum' and keeps_velocity(optimizer):
    if not learning_rate:
      raise errors.UsageError(
        'The momentum of Keras SGD is minus the learning rate times that of '
        f'TF1, so the learning rate must be known; got {learning_rate!r}.'
      )
    value = value * -learning_rate
  slot.assign(tf.constant(value, dtype=slot.dtype))
  return True


def set_iterations(optimizer: Any, count: int) -> None:
  """Sets the step counter; of v1 Adam, the powers of beta that follow."""
  optimizer = optimizers.inner(optimizer)
  if plain_optimizers.is_plain(optimizer):
    for counter in plain_optimizers.counters_of(optimizer):
      counter.assign(count)
    return
  if not optimizers.is_v1(optimizer):
    optimizers.set_keras_iterations(optimizer, count)
    return
  hyperparameters = tf1_optimizers.describe(optimizer).hyperparameters
  for variable in tf1_optimizers.other_variables_of(optimizer):
    for name in ('beta_1', 'beta_2'):
      if name.replace('_', '') + '_power' in variable.name:
        # In float32, as the updates multiply it.
        power = np.float32(hyperparameters[name])
        variable.assign(np.prod(np.full(count + 1, power), dtype=np.float32))
