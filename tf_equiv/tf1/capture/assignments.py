"""What the ops of a graph assign to its variables, as tensors.

An op that assigns has no output that could be compared, so the value that the
variable takes is written down beside it: what is assigned, or what the variable
was plus or minus what is added or subtracted. Such a helper goes by the name of
the op it stands for.
"""

import dataclasses
from typing import Any, Dict, Iterable, Tuple

import tensorflow as tf

from tf_equiv.tf1 import walks
from tf_equiv.tf1.capture import function_assignments

# Type of the op that computes the new value of the old one and the operand.
_ASSIGN = {
  'Assign': '',
  'AssignVariableOp': '',
  'AssignAdd': 'Add',
  'AssignAddVariableOp': 'Add',
  'AssignSub': 'Sub',
  'AssignSubVariableOp': 'Sub',
}
_HANDING_ON = ('Identity', 'RefIdentity', 'Enter', 'RefEnter', 'Switch')
_READS = ('ReadVariableOp', 'ResourceGather', 'ResourceGatherNd')
_SCOPE = 'tf_equiv_assigned'


@dataclasses.dataclass
class Assignments:
  """What is assigned.

  Attributes:
    values: the value that each variable takes, by its name; of several, the
      last. A variable whose value cannot be written down is not there.
    ops: (name, type) of the op that assigns it, by the variable's name.
    aliases: (name, type) of the op that a helper stands for, by the name of
      the helper.
    counts: number of ops that assign it.
  """

  values: Dict[str, Any] = dataclasses.field(default_factory=dict)
  ops: Dict[str, Tuple[str, str]] = dataclasses.field(default_factory=dict)
  aliases: Dict[str, Tuple[str, str]] = dataclasses.field(default_factory=dict)
  counts: Dict[str, int] = dataclasses.field(default_factory=dict)


def find(graph: Any, ops: Iterable[Any], names: Dict[str, str]) -> Assignments:
  """Finds the ops that assign variables, and writes down what they assign.

  Adds helpers to the graph.

  Args:
    graph: the graph.
    ops: ops that run, in program order.
    names: name of the variable by that of the op that is its handle.

  Returns:
    What is assigned.
  """
  found = Assignments()
  with graph.as_default(), tf.name_scope(_SCOPE):
    for op in ops:
      name = _assigned(op, names)
      if not name:
        continue
      found.ops[name] = (op.name, op.type)
      found.counts[name] = found.counts.get(name, 0) + 1
      found.values.pop(name, None)
      if op.type in _ASSIGN:
        found.values[name] = _value(op, found.aliases)
  return found


def operations(
  roots: Iterable[Any], names: Dict[str, str]
) -> Dict[str, Tuple[str, str]]:
  """Returns (name, type) of the op that assigns a variable, by its name.

  Args:
    roots: ops that run; those that they read or wait for run, too.
    names: name of the variable by that of the op that is its handle.
  """
  found = {}
  ops = list(walks.ancestors(roots, control=True))
  for op in ops:
    name = _assigned(op, names)
    if name:
      found[name] = (op.name, op.type)
  if ops:
    inside = function_assignments.find(ops[0].graph, ops, names)
    found = {**inside, **found}
  return found


def counts(ops: Iterable[Any], names: Dict[str, str]) -> Dict[str, int]:
  """Returns how many ops assign a variable, by its name.

  Args:
    ops: ops that run.
    names: name of the variable by that of the op that is its handle.
  """
  found = {}  # type: Dict[str, int]
  ops = list(ops)
  for op in ops:
    name = _assigned(op, names)
    if name:
      found[name] = found.get(name, 0) + 1
  if ops:
    for name in function_assignments.find(ops[0].graph, ops, names):
      found[name] = found.get(name, 0) + 1
  return found


def _assigned(op, names) -> str:
  """Returns the name of the variable that an op assigns, '' if none."""
  if op.type in _READS or not op.inputs:
    return ''
  changes = (
    op.type in _ASSIGN
    or op.type.startswith(('ResourceApply', 'Apply', 'ResourceScatter'))
    or op.type.startswith(('ResourceSparseApply', 'SparseApply', 'Scatter'))
  )
  handle = op.inputs[0]
  while changes and handle.op.type in _HANDING_ON and handle.op.inputs:
    handle = handle.op.inputs[0]
  return names.get(handle.op.name, '') if changes else ''


def _value(op, aliases):
  operand, how = op.inputs[1], _ASSIGN[op.type]
  if not how:
    return operand
  # What an assignment reads, it reads after what comes before it; the operand
  # may be all that waits for that.
  with tf.control_dependencies(list(op.control_inputs) + [operand.op]):
    handle = op.inputs[0]
    if handle.dtype == tf.resource:
      old = tf.raw_ops.ReadVariableOp(resource=handle, dtype=operand.dtype)
    else:
      old = tf.identity(handle)
    new = (tf.subtract if how == 'Sub' else tf.add)(old, operand)
  aliases[new.op.name] = (op.name, op.type)
  return new
