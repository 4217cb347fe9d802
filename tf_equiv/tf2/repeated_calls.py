"""Calls a model again, and sees what it creates and changes."""

import dataclasses
from typing import Any

import numpy as np

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf2 import (
  built_model,
  candidate,
  creation,
  shared_models,
  variable_writes,
)
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
    names, watched = _watched(built)
    before = [model_lib.value_of(variable) for variable in watched]
    count, total = 0, len(watched)
    changed: list[Held] = []
    for title, training in calls:
      program_lib.call_model(program, model, inputs, training)
      created += [(title, r) for r in records[count:] if not r.internal]
      count = len(records)
      if not training:
        changed = _changed(names, watched, before)
    if changed and not created:
      writers = variable_writes.find(
        lambda x: program_lib.call_model(program, model, x, False),
        inputs,
        dict(zip(names, watched, strict=True)),
      )
      changed = [
        dataclasses.replace(held, writer=writers.get(held.name, ''))
        for held in changed
      ]
  return RepeatedCalls(created, changed, len(calls), total)


def _watched(built: built_model.Built) -> tuple[list[str], list[Any]]:
  """The model's variables, and those that it created but does not list.

  States of random generators are left out: each draw changes them.

  Args:
    built: the model.

  Returns:
    (names, variables).
  """
  names = [spec.name for spec in built.first.variables]
  variables = list(built.variables)
  hidden = model_lib.hidden(variables, built.created)
  names += hidden
  variables += [record.variable for record in hidden.values()]
  states = {id(r.variable) for r in built.created if r.random_state}
  kept = [
    (name, variable)
    for name, variable in zip(names, variables, strict=True)
    if id(variable) not in states
  ]
  return [name for name, _ in kept], [variable for _, variable in kept]


def _changed(
  names: list[str], watched: list[Any], before: list[np.ndarray]
) -> list[Held]:
  """Returns the variables that no longer hold what they did, bit for bit."""
  found = []
  for name, variable, old in zip(names, watched, before, strict=True):
    new = model_lib.value_of(variable)
    equal_nan = np.issubdtype(new.dtype, np.inexact)
    if not np.array_equal(old, new, equal_nan=equal_nan):
      found.append(Held(name, old, new))
  return found
