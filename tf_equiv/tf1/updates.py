"""Watches which gradients the optimizers of `tf.compat.v1.train` apply."""

import dataclasses
from typing import Any, Dict, List, Optional, Set

import tensorflow as tf

from tf_equiv.compat import optimizers
from tf_equiv.core import interrupts
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import source_lines

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
    line: line of user code that applied them.
  """

  optimizer: Any
  gradients: List[Any]
  variables: List[Any]
  global_step: Any
  operation: Any
  line: SourceLine = SourceLine()


@dataclasses.dataclass
class Recording:
  """What was seen so far.

  Attributes:
    updates: calls of `apply_gradients`, in order.
    averages: objects of `tf.train.ExponentialMovingAverage` that were applied.
    owned: names of further variables that are no part of the model.
    lines: line of user code that made an optimizer or a schedule, by its id.
  """

  updates: List[Update] = dataclasses.field(default_factory=list)
  averages: List[Any] = dataclasses.field(default_factory=list)
  owned: Set[str] = dataclasses.field(default_factory=set)
  lines: Dict[int, SourceLine] = dataclasses.field(default_factory=dict)
  _made: List[Any] = dataclasses.field(default_factory=list, repr=False)

  def note(self, made: Any) -> None:
    """Notes where an optimizer or a schedule is being made."""
    line = source_lines.user_line(of=made)
    if line.filename and id(made) not in self.lines:
      self.lines[id(made)] = line
      self._made.append(made)  # As long as it lives its id is its own.

  def line_of(self, made: Any) -> SourceLine:
    """Returns where an optimizer was made, an empty line if not known."""
    return self.lines.get(id(made), SourceLine())

  def averages_of(self, variable: Any) -> List[Any]:
    """Returns the moving averages that are kept of a variable."""
    found = [average.average(variable) for average in self.averages]
    return [shadow for shadow in found if shadow is not None]


@interrupts.restoring
def recorded(known: Optional[Recording] = None):
  """Context whose value is a `Recording`, which grows.

  It sees all subclasses of `tf.compat.v1.train.Optimizer`, also where
  `minimize` applies the gradients, and `tf.train.ExponentialMovingAverage`.

  Args:
    known: a recording of an earlier context, which goes on.

  Yields:
    The recording.
  """
  recording = Recording() if known is None else known
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
        source_lines.user_line(),
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
    with optimizers.made(recording.note):
      yield recording
  finally:
    optimizer_class.apply_gradients = apply_gradients
    average_class.apply = apply
