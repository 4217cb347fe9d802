"""Which variables belong to optimizers and not to the model."""

from typing import Any, Iterable, Set

from tf_equiv.tf1 import optimizers
from tf_equiv.tf1 import updates as updates_lib


def owned_by_optimizers(
  recording: updates_lib.Recording, variables: Iterable[Any]
) -> Set[str]:
  """Returns names of variables that are no part of the model.

  Args:
    recording: what the optimizers did.
    variables: all variables, of which some may have moving averages.

  Returns:
    Names of slots, counters and moving averages.
  """
  owned = set(recording.owned)
  for update in recording.updates:
    for variable in update.variables:
      slots = optimizers.all_variables_of(update.optimizer, variable)
      owned.update(slot.op.name for slot in slots)
    owned.update(
      other.op.name for other in optimizers.other_variables_of(update.optimizer)
    )
    if update.global_step is not None:
      owned.add(update.global_step.op.name)
  for variable in variables:
    owned.update(v.op.name for v in recording.averages_of(variable))
  return owned
