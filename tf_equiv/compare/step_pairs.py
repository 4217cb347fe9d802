"""Which updates and gradients of a training step correspond."""

from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import variables as variables_lib
from tf_equiv.core import observation

Update = observation.UpdateObservation
Step = observation.StepObservation
# Gradients by name of the variable, one for each time that it is trained.
Gradients = dict[str, list[np.ndarray | None]]


def paired_updates(
  table: variables_lib.VariableTable, first: Step, second: Step
) -> list[tuple[Update, Update]]:
  """Pairs the updates that have most variables in common.

  Args:
    table: how the variables correspond.
    first: a step of TF1.
    second: the same step of TF2.

  Returns:
    Pairs of an update of TF1 and the one of TF2 that corresponds.
  """
  names: dict[str, set[str]] = {}
  for a, b in table.pairs:
    names.setdefault(a.name, set()).add(b.name)
  free, pairs = list(second.updates), []
  for update in first.updates:
    wanted: set[str] = set()
    wanted.update(*(names.get(n, ()) for n in update.gradients))
    common = [len(wanted & set(other.gradients)) for other in free]
    if any(common):
      pairs.append((update, free.pop(int(np.argmax(common)))))
  return pairs


def gradients_of_tf1(pairing: pairing_lib.Pairing, step: Step) -> Gradients:
  """Gradients of TF1 in the names and layouts of TF2."""
  found: Gradients = {}
  by_name = by_variable(step.updates)
  for i in range(max((len(g) for g in by_name.values()), default=0)):
    present = {
      name: gradients[i]
      for name, gradients in by_name.items()
      if len(gradients) > i
    }
    for name, gradient in pairing.carry_gradients(present).items():
      found.setdefault(name, []).append(gradient)
  return found


def single_gradients(
  pairing: pairing_lib.Pairing, first: Step, second: Step
) -> list[dict[str, np.ndarray]]:
  """Returns the gradients of a step on both sides, by name in TF2.

  Variables that are trained more than once in a step are left out.

  Args:
    pairing: how the variables correspond.
    first: the step of TF1.
    second: the same step of TF2.
  """
  sides = gradients_of_tf1(pairing, first), by_variable(second.updates)
  return [
    {
      name: found[0]
      for name, found in side.items()
      if len(found) == 1 and found[0] is not None
    }
    for side in sides
  ]


def by_variable(updates: Sequence[Update]) -> Gradients:
  """Returns {name of the variable: its gradients, one for each update}."""
  found: Gradients = {}
  for update in updates:
    for name, gradient in update.gradients.items():
      found.setdefault(name, []).append(gradient)
  return found
