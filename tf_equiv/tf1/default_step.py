"""Builds the training step of TF1 that has one loss and one optimizer."""

import functools
import inspect
from typing import Any, Callable, Dict, List, Tuple

import tensorflow as tf

from tf_equiv.compat import optimizers as compat_optimizers
from tf_equiv.core import errors, nest
from tf_equiv.tf1 import function_bodies, optimizers, source_lines, user_code
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import updates as updates_lib

v1 = tf.compat.v1


@source_lines.calls_user
def build(
  program: Any,
  model: Tuple[Any, Any],
  fetches: Dict[str, Any],
  recording: updates_lib.Recording,
) -> Any:
  """Builds loss, gradients and their application, as TF1 code does.

  Args:
    program: the user's TF1 code.
    model: nests of its outputs and of its inputs.
    fetches: what is to be fetched; gets the loss.
    recording: gets the updates, and the variables that are made for them.

  Returns:
    The operation that updates.

  Raises:
    UsageError: if a template method returns something unusable.
  """
  outputs, inputs = model
  _, loss = losses_lib.total_loss(program, outputs, inputs)
  fetches['loss'] = loss
  known = {variable.op.name for variable in v1.global_variables()}
  trainable = [v for v in v1.global_variables() if v.trainable]
  with user_code.running('TF1', 'build_tf1_optimizer'):
    optimizer = check_optimizer(program.build_optimizer())
  pairs = _compute_gradients(optimizer, loss, trainable)
  connected = [
    i for i, (gradient, _) in enumerate(pairs) if gradient is not None
  ]
  if not connected:
    raise errors.UsageError(
      'The loss on the TF1 side depends on no trainable variable, so there is '
      'nothing to train. Check compute_loss.'
    )
  with user_code.running('TF1', 'clip_gradients'):
    clipped = program.clip_gradients([pairs[i][0] for i in connected])
  clipped = check_clipped(clipped, len(connected), 'TF1')
  for i, gradient in zip(connected, clipped):
    pairs[i] = (gradient, pairs[i][1])
  before = [loss] + fetches['losses'] + list(fetches['outputs'].values())
  if program.update_ops:
    before += v1.get_collection(v1.GraphKeys.UPDATE_OPS)
  # What is fetched is computed before the update overwrites the variables.
  with tf.control_dependencies(before):
    operation = _apply(optimizer, pairs, recording)
  # All that was made for the update belongs to it.
  recording.owned.update(
    v.op.name for v in v1.global_variables() if v.op.name not in known
  )
  return operation


def check_optimizer(optimizer: Any) -> Any:
  """Returns what `build_tf1_optimizer` returned, if it applies gradients.

  Raises:
    UsageError: for something else, and for an optimizer of Keras.
  """
  applies = callable(getattr(optimizer, 'apply_gradients', None))
  if optimizers.is_v1_optimizer(optimizer) or (
    applies
    and not inspect.isclass(optimizer)
    and not compat_optimizers.is_keras(optimizer)
  ):
    return optimizer
  raise errors.UsageError(
    f'build_tf1_optimizer returned {optimizer!r}; expected an optimizer of '
    'tf.compat.v1.train, or an object of your own with apply_gradients. For '
    'a loop with several optimizers, or with those of another library, '
    'override train_tf1 and train_tf2.'
  )


def _compute_gradients(
  optimizer: Any, loss: Any, trainable: List[Any]
) -> List[Tuple[Any, Any]]:
  if not trainable:
    return []
  if optimizers.is_v1_optimizer(optimizer):
    return list(optimizer.compute_gradients(loss, trainable))
  return list(zip(v1.gradients(loss, trainable), trainable))


def _apply(
  optimizer: Any, pairs: List[Tuple[Any, Any]], recording: updates_lib.Recording
) -> Any:
  """Applies gradients, and counts the global step where that does not."""
  apply_gradients: Callable[..., Any] = optimizer.apply_gradients
  if not optimizers.is_v1_optimizer(optimizer):
    apply_gradients = updates_lib.recording_of_object(optimizer, recording)
  step = v1.train.get_or_create_global_step()
  if _takes(type(optimizer).apply_gradients, 'global_step'):
    apply_gradients = functools.partial(apply_gradients, global_step=step)
  with user_code.running('TF1', 'apply_gradients'):
    operation = apply_gradients(pairs)
  found = [leaf for _, leaf in nest.flatten(operation) if leaf is not None]
  if not found:
    raise errors.UsageError(
      f'apply_gradients of {type(optimizer).__name__} returned {operation!r}; '
      'return the operation that updates the variables.'
    )
  operation = tf.group(*found)
  if not function_bodies.are_assigned([operation], step.op.name):
    # The program would count it, as BERT's create_optimizer does.
    with tf.control_dependencies([operation]):
      operation = tf.group(operation, step.assign_add(1))
  return operation


def _takes(function: Callable[..., Any], name: str) -> bool:
  """Returns whether a function takes an argument of a name."""
  try:
    parameters = inspect.signature(function).parameters
  except (TypeError, ValueError):
    return True
  return name in parameters or any(
    p.kind is p.VAR_KEYWORD for p in parameters.values()
  )


def check_clipped(clipped: Any, count: int, side: str) -> List[Any]:
  """Returns what `clip_gradients` returned if it is as many gradients.

  Raises:
    UsageError: if it is something else.
  """
  if not isinstance(clipped, (list, tuple)) or len(clipped) != count:
    raise errors.UsageError(
      'clip_gradients returned %s on the %s side; expected a list of the %d '
      'gradients that it was given, in their order. '
      '(tf.clip_by_global_norm returns them together with the norm.)'
      % (
        f'{len(clipped)} items'
        if isinstance(clipped, (list, tuple))
        else 'a ' + type(clipped).__name__,
        side,
        count,
      )
    )
  return list(clipped)
