"""A TF2 model whose variables a first call has created."""

import dataclasses
from typing import Any

import numpy as np

from tf_equiv import compat
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.draw import Draw
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import source_lines
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib


@dataclasses.dataclass
class Built:
  """A model, and what its first call showed.

  Attributes:
    model: the model.
    created: records of the variables that were created.
    layer_lines: line that made each Keras layer, by its name.
    variables: the variables, once they are known.
    first: describes them.
    plan: what the first call ran.
    draws: ledger of the first call, that of the initializers included.
    names: counters of automatic names after the first call.
    found: what the first call returned, None if it was not kept.
    behind: names of the variables behind each regularization loss, once they
      were looked for.
    updated: after a first call in training, the variables that it may have
      updated, by name.
  """

  model: Any
  created: list[Any]
  layer_lines: dict[str, SourceLine] = dataclasses.field(default_factory=dict)
  variables: list[Any] = dataclasses.field(default_factory=list)
  first: observation.Observation = dataclasses.field(
    default_factory=lambda: observation.Observation('TF2')
  )
  plan: plan_lib.RunPlan | None = None
  draws: list[Draw] = dataclasses.field(default_factory=list)
  names: dict[str, Any] = dataclasses.field(default_factory=dict)
  found: dict[str, Any] | None = None
  behind: list[tuple[str, ...]] | None = None
  updated: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

  def note_variables(self) -> None:
    """Notes which variables there are, after a first call."""
    self.variables = describe_variables(self.first, self.model, self.created)

  def describe(self, observed: observation.Observation) -> None:
    """Describes the variables in an observation."""
    observed.variables = list(self.first.variables)
    observed.preexisting = list(self.first.preexisting)
    observed.untracked = list(self.first.untracked)
    observed.structure = self.first.structure

  def initial_values(self) -> list[np.ndarray]:
    """Returns the values with which the variables were created."""
    return initial_values(self.variables, self.created)

  def updated_values(self, before: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what the variables hold that a pass may have updated, by name.

    Args:
      before: values of all variables before the pass.

    Returns:
      Those of the variables that are not trainable, and of the others those
      that are no longer what they were.
    """
    found = {}
    for spec, variable, old in zip(
      self.first.variables, self.variables, before, strict=True
    ):
      value = model_lib.value_of(variable)
      if not spec.trainable or not _same(old, value):
        found[spec.name] = value
    return found

  def draws_in(self, mode: SeedMode) -> list[Draw]:
    """Returns the ledger as a first call in that seed mode makes it."""
    if mode is self.plan.seed_mode:
      return list(self.draws)
    return [
      dataclasses.replace(d, seed=seeds_lib.seed_in(mode, d.index))
      for d in self.draws
    ]

  def suits(self, plan: plan_lib.RunPlan, values: list[Any]) -> bool:
    """Returns whether nothing of a seed mode is left once values are set.

    Args:
      plan: what is to run.
      values: values of the variables; None for those that keep their initial
        one.
    """
    if plan.seed_mode is self.plan.seed_mode:
      return True
    names = [spec.name for spec in self.first.variables]
    given = {n for n, v in zip(names, values, strict=True) if v is not None}
    return all(draw.variable in given for draw in self.draws)

  def reset(self, frozen_only: bool = False) -> None:
    """Gives variables back the values with which they were created.

    Args:
      frozen_only: whether those that are trainable have them still, but for
        those in `updated`.
    """
    backends = model_lib.backend_variables(self.variables)
    overwritten = {
      id(backend)
      for spec, backend in zip(self.first.variables, backends, strict=True)
      if spec.name in self.updated
    }
    for record in self.created:
      keeps = record.trainable and id(record.variable) not in overwritten
      if record.initial is None or (frozen_only and keeps):
        continue
      record.variable.assign(record.initial)


def start(program: program_lib.Program, created: list[Any]) -> Built:
  """Builds the model, without calling it.

  Args:
    program: the user's TF2 code.
    created: list of records of what is created.
  """
  lines: dict[str, SourceLine] = {}
  with compat.keras_layers_seen(lambda layer: note_layer(lines, layer)):
    model = program_lib.build_model(program)
  return Built(model, created, lines)


def note_layer(lines: dict[str, SourceLine], layer: Any) -> None:
  """Notes where a Keras layer was made, by its name."""
  line = source_lines.user_line(of=layer)
  if line.filename:
    lines[layer.name] = line


def _same(old: np.ndarray, new: np.ndarray) -> bool:
  equal_nan = np.issubdtype(new.dtype, np.inexact)
  return np.array_equal(old, new, equal_nan=equal_nan)


def describe_variables(observed, model, created) -> list[Any]:
  """Describes a model's variables in the observation, and returns them."""
  variables = model_lib.variables_of(model, created)
  observed.variables = model_lib.specs_of(model, variables, created)
  states = model_lib.states(variables, created)
  hidden = model_lib.hidden(variables, created)
  # States can be set and compared as others, but nothing needs to correspond.
  observed.variables += [
    dataclasses.replace(spec, trainable=False)
    for spec in model_lib.specs_by_name(states.items())
  ]
  variables = variables + [record.variable for record in states.values()]
  mine = {id(record.variable) for record in created}
  backends = model_lib.backend_variables(variables)
  observed.preexisting = [
    spec.name
    for spec, backend in zip(observed.variables, backends, strict=True)
    if id(backend) not in mine
  ]
  observed.untracked = model_lib.specs_by_name(hidden.items())
  return variables


def set_weights(variables, values, created) -> None:
  """Assigns the values; what has none goes back to its initial value.

  So does what the model does not list: a call may have changed it.
  """
  initial = {id(r.variable): r.initial_value for r in created}
  backends = model_lib.backend_variables(variables)
  for variable, backend, value in zip(variables, backends, values, strict=True):
    if value is None:
      value = initial.get(id(backend))
    if value is not None:
      model_lib.assign(variable, value)
  for record in model_lib.untracked(variables, created):
    if record.initial is not None and not record.random_state:
      record.variable.assign(record.initial)


def initial_values(variables, created) -> list[np.ndarray]:
  """Values from before the call, which may have updated statistics."""
  initial = {id(r.variable): r.initial_value for r in created}
  values = []
  for variable, backend in zip(
    variables, model_lib.backend_variables(variables), strict=True
  ):
    value = initial.get(id(backend))
    values.append(model_lib.value_of(variable) if value is None else value)
  return values
