"""The numbers that the random ops of a TF1 graph draw.

They are fetched in the run whose results are compared, so that they can be put
in the place of the draws of a TF2 model that has random numbers of its own.
"""

from typing import Any, List, Sequence

import numpy as np

from tf_equiv import compat
from tf_equiv.core.random_value import RandomValue, family_of
from tf_equiv.tf1 import walks


def random_ops(targets: Sequence[Any]) -> List[Any]:
  """Returns the random ops that run with the targets, in program order.

  Args:
    targets: operations of one graph.

  Returns:
    Operations, without those in loops, whose draws cannot be fetched.
  """
  found = [
    op
    for op in walks.ancestors(targets, control=True)
    if family_of(op.type) and not compat.is_in_control_flow(op)
  ]
  return sorted(found, key=compat.op_position)


# Stateful ops that give the same again as long as nothing is assigned.
_READS = frozenset((
  'Assert',
  'HashTableV2',
  'IsVariableInitialized',
  'LookupTableFindV2',
  'Placeholder',
  'ReadVariableOp',
  'RefIdentity',
  'RefSwitch',
  'ResourceGather',
  'ResourceGatherNd',
  'VarIsInitializedOp',
  'VarHandleOp',
  'Variable',
  'VariableV2',
))  # fmt: skip
# How the names of ops that change variables begin.
_ASSIGNS = ('Assign', 'Scatter', 'ResourceScatter')


def is_repeatable(
  targets: Sequence[Any], held: Sequence[Any], assigns: bool = False
) -> bool:
  """Returns whether targets give the same in a second run of a session.

  Args:
    targets: operations of one graph.
    held: random ops whose draws are fed in the second run.
    assigns: whether the targets may assign variables, which nothing did in the
      first run.

  Returns:
    Whether all that they depend on is a function of what is fed and of the
    variables. False for what cannot be told, such as a Python callback.
  """
  holding = {op.name for op in held}
  for op in walks.ancestors(targets, holding, control=True):
    if family_of(op.type):
      return False
    known = op.type in _READS or (assigns and op.type.startswith(_ASSIGNS))
    if not known and _may_change(op):
      return False
  return True


def _may_change(op) -> bool:
  """Returns whether an op may depend on, or change, more than its inputs."""
  definition = op.op_def
  return (
    definition is None
    or definition.is_stateful
    or any(argument.is_ref for argument in definition.input_arg)
  )


def observe(ops: Sequence[Any], values: Sequence[np.ndarray]):
  """Puts ops and what was fetched of them together."""
  return [
    RandomValue(family_of(op.type), op.name, np.asarray(value))
    for op, value in zip(ops, values)
  ]
