"""Slots of optimizers that make variables of their own, by what they mean.

Research code makes slots by `tf.get_variable`, under the name of the variable
that they belong to. Other ones are found by what they are assigned: something
that is computed from the gradient of one variable alone.
"""

import re
from typing import Any, Dict, Iterable, Optional

from tf_equiv import compat
from tf_equiv.tf1 import optimizers, walks

FIRST, SECOND = 'first moment', 'second moment'
# What the moments of Adam and its relatives are called, in variables of TF1 and
# in attributes of an optimizer of TF2.
_FIRST = re.compile(
  r'(.*_)?(m|ms|m_t|exp_avg|moments?_?1|first_moments?|momentums)'
)
_SECOND = re.compile(
  r'(.*_)?(v|vs|v_t|exp_avg_sq|moments?_?2|second_moments?|velocities)'
)


def meanings(names: Iterable[str]) -> Dict[str, str]:
  """Returns what slots mean, by their names.

  A first and a second moment are recognized where there are both; any other
  name stands for itself.

  Args:
    names: names of all slots of a variable.
  """
  names = list(names)
  found = {name: name for name in names}
  first = [name for name in names if _FIRST.fullmatch(name)]
  second = [name for name in names if _SECOND.fullmatch(name)]
  if len(first) == 1 and len(second) == 1:
    found[first[0]], found[second[0]] = FIRST, SECOND
  return found


class Finder:
  """Finds the slots of the variables that an update trains.

  Attributes:
    update: the `updates.Update`.
  """

  def __init__(self, update: Any, owned: Iterable[Any], ops: Iterable[Any]):
    """Looks at what belongs to optimizers.

    Args:
      update: the update.
      owned: variables that belong to optimizers.
      ops: ops that run in the step.
    """
    self.update = update
    known = {
      slot.op.name
      for variable in update.variables
      for slot in optimizers.all_variables_of(update.optimizer, variable)
    }
    self._longest_first = sorted(
      update.variables, key=lambda v: -len(v.op.name)
    )
    self._by_owner: Dict[str, Dict[str, Any]] = {}
    candidates = [v for v in owned if v.op.name not in known]
    assigned: Optional[Dict[str, Any]] = None
    for candidate in candidates:
      owner, name = self._by_name(candidate)
      if owner is None:
        if assigned is None:
          assigned = _assigned(ops)
        owner = self._by_gradient(assigned.get(candidate.op.name))
        name = re.sub(r'_\d+$', '', candidate.op.name.rpartition('/')[2])
      if owner is not None and _shape(owner) == _shape(candidate):
        self._by_owner.setdefault(owner.op.name, {})[name] = candidate

  def slots_of(self, variable: Any) -> Dict[str, Any]:
    """Returns {name: slot} of a variable."""
    return self._by_owner.get(variable.op.name, {})

  def _by_name(self, candidate):
    """Returns the variable whose name is in that of a slot, and the rest."""
    name = '/' + candidate.op.name
    for variable in self._longest_first:
      own = variable.op.name
      for mark in (f'/{own}/', f'/{own}_', f'/{own.replace("/", "_")}_'):
        if mark in name:
          return variable, name.rpartition(mark)[2]
    return None, ''

  def _by_gradient(self, op):
    """Returns the variable whose gradient alone leads to an assignment."""
    if op is None:
      return None
    variables = {
      getattr(gradient, 'values', gradient).op.name: variable
      for gradient, variable in zip(
        self.update.gradients, self.update.variables
      )
      if gradient is not None
    }
    found, reached = [], [tensor.op for tensor in list(op.inputs)[1:]]
    # The walk ends at gradients: what leads to them is no matter.
    for ancestor in walks.ancestors(reached, stop=variables):
      found += [
        variables[tensor.op.name]
        for tensor in ancestor.inputs
        if tensor.op.name in variables
      ]
    found += [variables[o.name] for o in reached if o.name in variables]
    unique = {id(variable): variable for variable in found}
    return next(iter(unique.values())) if len(unique) == 1 else None


def _shape(variable):
  return variable.shape.as_list()


def _assigned(ops) -> Dict[str, Any]:
  """Returns the op that assigns a variable, by the name of its handle."""
  return {
    op.inputs[0].op.name: op
    for op in sorted(ops, key=compat.op_position)
    if op.inputs and op.type.startswith('Assign')
  }
