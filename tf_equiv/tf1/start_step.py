"""Training that begins after some steps, as if it had gone on until there."""

from typing import Any, List

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors

v1 = tf.compat.v1


def start_at(step: Any, values: Any, number: int) -> List[Any]:
  """Returns values of all variables, in which training has begun before.

  Args:
    step: the training step, a `step_graph.Step`.
    values: the values of its variables before the first step.
    number: how many steps the counters have counted.

  Raises:
    UsageError: if nothing counts steps.
  """
  if not number:
    return list(values)
  counters = {
    update.global_step.op.name
    for update in step.recording.updates
    if update.global_step is not None
  }
  counter = v1.train.get_global_step(step.graph)
  if counter is not None:
    counters.add(counter.op.name)
  if not counters:
    raise errors.UsageError(
      f'start_step is {number}, but nothing counts the steps of the TF1 side: '
      'its optimizer is given no global_step.'
    )
  return [
    np.asarray(number, np.asarray(value).dtype)
    if variable.op.name in counters
    else _power(variable.op.name, value, number)
    for variable, value in zip(step.variables, values)
  ]


def _power(name: str, value: Any, number: int) -> Any:
  """Returns the power of beta that Adam has after some steps."""
  last = name.rpartition('/')[2]
  if np.ndim(value) or not last.startswith(('beta1_power', 'beta2_power')):
    return value
  # In its own precision, as the updates multiply it.
  array = np.asarray(value)
  return np.prod(np.full(number + 1, array), dtype=array.dtype)
