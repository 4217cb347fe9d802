"""Tells the state of optimizers from the variables of a model."""

from typing import Any, Iterable, Iterator, List, Set

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.tf1 import counters, function_bodies, optimizers, walks
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf1.capture import assignments

_ASSIGNING = (
  'Assign',
  'AssignVariableOp',
  'AssignAdd',
  'AssignAddVariableOp',
  'AssignSub',
  'AssignSubVariableOp',
)
# How deep the attributes of an optimizer are looked into.
_DEPTH = 3


def owned(
  recording: updates_lib.Recording,
  variables: Iterable[Any],
  operations: Iterable[Any] = (),
) -> Set[str]:
  """Returns names of variables that are no part of the model.

  Args:
    recording: what the optimizers did.
    variables: all variables, of which some may have moving averages.
    operations: what runs in a training step, where it is built.

  Returns:
    Names of slots, counters, moving averages, and of what else optimizers made,
    hold, or compute from gradients.
  """
  variables = list(variables)
  trained = {
    id(v) for v in variables if v.trainable and v.op.name not in recording.owned
  }
  found = set(recording.owned)
  for update in recording.updates:
    for variable in update.variables:
      slots = optimizers.all_variables_of(update.optimizer, variable)
      found.update(slot.op.name for slot in slots)
    found.update(
      other.op.name for other in optimizers.other_variables_of(update.optimizer)
    )
    if update.global_step is not None:
      found.add(update.global_step.op.name)
  for optimizer in recording.optimizers():
    found.update(
      held.op.name for held in held_by(optimizer) if id(held) not in trained
    )
  for variable in variables:
    found.update(v.op.name for v in recording.averages_of(variable))
  ops = sorted(
    walks.ancestors(operations, control=True), key=compat.op_position
  )
  frozen = {v.op.name for v in variables if not v.trainable}
  found.update(_computed_from_gradients(recording, ops) & frozen)
  found.update(v.op.name for v in counters.of_graph(variables, ops))
  return found


def held_by(optimizer: Any) -> Iterator[Any]:
  """Yields the variables in the attributes of an optimizer."""
  pending, seen = [(optimizer, 0)], set()
  while pending:
    value, depth = pending.pop()
    if id(value) in seen or depth > _DEPTH:
      continue
    seen.add(id(value))
    if isinstance(value, tf.Variable):
      if getattr(value, 'op', None) is not None:  # It is in a graph.
        yield value
    elif isinstance(value, dict):
      pending += [(each, depth + 1) for each in value.values()]
    elif isinstance(value, (list, tuple, set)):
      pending += [(each, depth + 1) for each in value]
    elif optimizers.is_v1_optimizer(value) or value is optimizer:
      attributes = getattr(value, '__dict__', {})
      pending += [(each, depth + 1) for each in attributes.values()]


def _computed_from_gradients(
  recording: updates_lib.Recording, ops: List[Any]
) -> Set[str]:
  """Returns names of variables that are assigned what gradients lead to.

  Args:
    recording: what the optimizers did.
    ops: ops that run in the step, in the order in which they were made.
  """
  reached = {
    getattr(gradient, 'values', gradient).op.name
    for update in recording.updates
    for gradient in update.gradients
    if gradient is not None and not tf.executing_eagerly()
  }
  found = set()
  for op in ops:
    if any(tensor.op.name in reached for tensor in op.inputs):
      if op.type in _ASSIGNING:
        found.add(op.inputs[0].op.name)
      else:
        reached.add(op.name)
  return found


def drop_idle(
  recording: updates_lib.Recording, operations: Iterable[Any]
) -> None:
  """Forgets updates of one's own optimizers that assign no variable.

  Args:
    recording: what the optimizers did.
    operations: what runs in the step.
  """
  operations = list(operations)
  names = {
    v.op.name: v.op.name
    for update in recording.updates
    if update.own
    for v in update.variables
  }
  if not names:
    return
  assigned = assignments.operations(operations, names)
  recording.updates[:] = [
    update
    for update in recording.updates
    if not update.own
    or any(v.op.name in assigned for v in update.variables)
    or any(
      function_bodies.are_assigned(operations, v.op.name)
      for v in update.variables[:1]
    )
  ]
