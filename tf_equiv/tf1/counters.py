"""Step counters of the TF1 side, which are no variables of a model."""

import contextlib
import re
from typing import Any, List

import tensorflow as tf

v1 = tf.compat.v1

_NAME = re.compile(r'(?:^|/)global_step(?:_\d+)?$')
_ADDING = ('AssignAdd', 'AssignAddVariableOp')
_ASSIGNING = ('Assign', 'AssignVariableOp')
_HANDING_ON = ('Identity', 'Cast', 'ReadVariableOp', 'Enter', 'RefIdentity')


@contextlib.contextmanager
def adopted(graph: tf.Graph):
  """Context in which `tf.Variable(0, name='global_step')` is the global step.

  `tf.compat.v1.train.get_global_step` looks for a tensor of that name. It is
  the counter itself only where variables are no resources, as in TF1.

  Args:
    graph: the graph that is built.

  Yields:
    None.
  """

  def creator(next_creator, **kwargs):
    variable = next_creator(**kwargs)
    known = graph.get_collection_ref(v1.GraphKeys.GLOBAL_STEP)
    if not known and is_global_step(variable):
      known.append(variable)
    return variable

  with v1.variable_creator_scope(creator):
    yield


def is_global_step(variable: Any) -> bool:
  """Returns whether a variable is a global step by its name and type."""
  return is_counter(variable) and bool(_NAME.search(variable.op.name))


def is_counter(variable: Any) -> bool:
  """Returns whether a variable can count: a whole number, not trained."""
  return (
    variable.dtype.base_dtype.is_integer
    and variable.shape.rank == 0
    and not variable.trainable
  )


def of_graph(variables: List[Any], ops: List[Any]) -> List[Any]:
  """Returns the step counters among the variables of the default graph.

  These are the global step, and what counts in a training step.

  Args:
    variables: the variables.
    ops: ops that run in a training step.
  """
  marked = {
    variable.op.name
    for variable in v1.get_collection(v1.GraphKeys.GLOBAL_STEP)
    if hasattr(variable, 'op')
  }
  candidates = {v.op.name: v for v in variables if is_counter(v)}
  counting = {
    op.inputs[0].op.name
    for op in ops
    if op.inputs and op.inputs[0].op.name in candidates and _counts(op)
  }
  return [
    variable
    for name, variable in candidates.items()
    if name in marked or name in counting or is_global_step(variable)
  ]


def _counts(op: Any) -> bool:
  """Returns whether an op adds a constant to the variable that it assigns."""
  if op.type in _ADDING:
    return op.inputs[1].op.type == 'Const'
  if op.type not in _ASSIGNING:
    return False
  added = op.inputs[1].op
  if added.type not in ('Add', 'AddV2'):
    return False
  sources = [_source(tensor) for tensor in added.inputs]
  handle = op.inputs[0].op.name
  names = [source.name for source in sources]
  types = [source.type for source in sources]
  return handle in names and 'Const' in types


def _source(tensor: Any) -> Any:
  """Returns the op that a tensor comes from, behind reads."""
  op = tensor.op
  while op.type in _HANDING_ON and op.inputs:
    op = op.inputs[0].op
  return op
