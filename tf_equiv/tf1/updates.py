"""Watches which gradients the optimizers of `tf.compat.v1.train` apply."""

import contextlib
import dataclasses
from typing import Any, List, Set

import tensorflow as tf

v1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class Update:
  """One call of `apply_gradients`.

  Attributes:
    optimizer: the optimizer.
    gradients: gradients, as they were given: tensors, `IndexedSlices`, None.
    variables: the variables, in the same order.
    global_step: the variable that counts the updates, or None.
    operation: what the call returned.
  """

  optimizer: Any
  gradients: List[Any]
  variables: List[Any]
  global_step: Any
  operation: Any


@dataclasses.dataclass
class Recording:
  """What was seen so far.

  Attributes:
    updates: calls of `apply_gradients`, in order.
    averages: objects of `tf.train.ExponentialMovingAverage` that were applied.
    owned: names of further variables that are no part of the model.
  """

  updates: List[Update] = dataclasses.field(default_factory=list)
  averages: List[Any] = dataclasses.field(default_factory=list)
  owned: Set[str] = dataclasses.field(default_factory=set)

  def averages_of(self, variable: Any) -> List[Any]:
    """Returns the moving averages that are kept of a variable."""
    found = [average.average(variable) for average in self.averages]
    return [shadow for shadow in found if shadow is not None]


@contextlib.contextmanager
def recorded():
  """Context whose value is a `Recording`, which grows.

  It sees all subclasses of `tf.compat.v1.train.Optimizer`, also where
  `minimize` applies the gradients, and `tf.train.ExponentialMovingAverage`.
  """
  recording = Recording()
  optimizer_class = v1.train.Optimizer
  average_class = tf.train.ExponentialMovingAverage
  apply_gradients, apply = optimizer_class.apply_gradients, average_class.apply

  def recording_apply_gradients(
    self, grads_and_vars, global_step=None, name=None
  ):
    pairs = list(grads_and_vars)
    operation = apply_gradients(self, pairs, global_step=global_step, name=name)
    recording.updates.append(
      Update(
        self,
        [gradient for gradient, _ in pairs],
        [variable for _, variable in pairs],
        global_step,
        operation,
      )
    )
    return operation

  def recording_apply(self, var_list=None):
    operation = apply(self, var_list)
    if not any(self is known for known in recording.averages):
      recording.averages.append(self)
    return operation

  optimizer_class.apply_gradients = recording_apply_gradients
  average_class.apply = recording_apply
  try:
    yield recording
  finally:
    optimizer_class.apply_gradients = apply_gradients
    average_class.apply = apply
