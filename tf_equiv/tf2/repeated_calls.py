"""Calls a model again, and sees what it creates and changes."""

import dataclasses
from typing import Any

import numpy as np

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf2 import candidate, creation, shared_models, variable_writes
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib


@dataclasses.dataclass(frozen=True)
class Held:
  """What a variable held before an inference call and after it.

  Attributes:
    name: its name.
    before: the value before.
    after: the value after.
    writer: op and line that assigned it, '' where not known.
  """

  name: str
  before: np.ndarray
  after: np.ndarray
  writer: str = ''


@dataclasses.dataclass(frozen=True)
class RepeatedCalls:
  """What the calls after the first did.

  Attributes:
    created: (which call, the variable) of each that was created.
    changed: variables that an inference call changed.
    calls: number of further calls.
    variables: number of variables after the first call.
  """

  created: list[tuple[str, creation.CreatedVariable]]
  changed: list[Held]
  calls: int
  variables: int


def observe(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  models: shared_models.SharedModels,
) -> RepeatedCalls:
  """Calls a model in inference and, if it takes the flag, in training.

  Args:
    program: the user's TF2 code.
    plan: has the inputs.
    models: keeps the model for further runs.

  Returns:
    What was seen.
  """
  created: list[tuple[str, creation.CreatedVariable]] = []
  with candidate.used(program, plan, models) as (built, records):
    model, inputs = built.model, program_lib.input_tensors(plan.inputs)
    calls = [('second inference call', False)]
    if program.takes_training(model):
      calls += [('training call', True), ('second training call', True)]
    watched = _watched(model, built.created)
    before = [model_lib.value_of(variable) for variable in watched]
    count, total = 0, len(watched)
    changed: list[Held] = []
    for title, training in calls:
      program_lib.call_model(program, model, inputs, training)
      created += [(title, r) for r in records[count:] if not r.internal]
      count = len(records)
      if not training:
        changed = _changed(watched, before)
    if changed and not created:
      writers = variable_writes.find(
        lambda x: program_lib.call_model(program, model, x, False),
        inputs,
        watched,
      )
      changed = [
        dataclasses.replace(held, writer=writers.get(held.name, ''))
        for held in changed
      ]
  return RepeatedCalls(created, changed, len(calls), total)


def _watched(model: Any, created: list[Any]) -> list[Any]:
  """The model's variables, and those that it created but does not list.

  States of random generators are left out: each draw changes them.
  """
  variables = model_lib.variables_of(model, created)
  hidden = [r.variable for r in model_lib.untracked(variables, created)]
  states = {id(r.variable) for r in created if r.random_state}
  return [v for v in variables + hidden if id(v) not in states]


def _changed(watched: list[Any], before: list[np.ndarray]) -> list[Held]:
  """Returns the variables that no longer hold what they did, bit for bit."""
  found = []
  for variable, old in zip(watched, before, strict=True):
    new = model_lib.value_of(variable)
    equal_nan = np.issubdtype(new.dtype, np.inexact)
    if not np.array_equal(old, new, equal_nan=equal_nan):
      found.append(Held(model_lib.name_of(variable), old, new))
  return found
