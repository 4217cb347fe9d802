"""The losses that `compute_loss` returns, and their sum."""

from typing import Any, Dict, List

import tensorflow as tf

from tf_equiv.core import errors, nest
from tf_equiv.tf1 import source_lines, user_code

v1 = tf.compat.v1


@source_lines.calls_user
def total_loss(program, outputs, inputs):
  """Builds the user's losses, and their sum with all regularization losses.

  Returns:
    (losses by path, total).
  """
  with user_code.running('TF1', 'compute_loss'):
    loss = program.compute_loss(outputs, inputs)
  parts = check_losses(loss, 'TF1')
  loss = add_up(parts)
  losses = regularization_losses()
  if losses and not program.has_total_loss:
    loss += tf.cast(tf.add_n(losses), loss.dtype)
  return parts, loss


def regularization_losses() -> List[Any]:
  """Returns the regularization losses of the default graph, as tensors.

  Those of `get_variable` are no tensors: each use of one makes a tensor anew.
  The one that it made first is taken.
  """
  losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
  return [loss.op.outputs[loss.value_index] for loss in losses]


def check_losses(loss: Any, side: str) -> Dict[str, Any]:
  """Returns what `compute_loss` returned as scalar tensors by path.

  Raises:
    UsageError: if it is None, or one is no floating-point scalar.
  """
  parts = nest.flatten(loss)
  if not parts:
    raise errors.UsageError(
      f'compute_loss returned {loss!r} on the {side} side; return a scalar, '
      'or a dict of scalars.'
    )
  return {path: _check_loss(path, part, side) for path, part in parts}


def add_up(parts: Dict[str, Any]) -> Any:
  """Returns the sum of scalars, in the dtype of the first."""
  losses = list(parts.values())
  total = losses[0]
  for loss in losses[1:]:
    total += tf.cast(loss, total.dtype)
  return total


def _check_loss(path: str, loss: Any, side: str):
  loss = tf.convert_to_tensor(loss)
  if loss.shape.rank not in (None, 0) or not loss.dtype.is_floating:
    raise errors.UsageError(
      f'compute_loss returned {loss.dtype.name} of shape '
      f'{loss.shape}{path and f" at {path}"} on the {side} side; return a '
      'floating-point scalar (tf.reduce_mean makes one of a batch).'
    )
  return loss
