"""The TF2 side of a forward pass, in phases.

    candidate = prepare(program, plan)      # builds the model, calls it once
    pairing = mapping.pair(tf1, candidate.variables)
    observed = candidate.run(pairing.carry(tf1.weight_of()), tf1)

Between the phases, TensorFlow and its seeds are as they were before: the code
of the user that names and converts variables runs there, and so may TF1.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.draw import Draw
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf2 import (
  built_model,
  execution,
  sensitivity,
  shared_models,
  variants,
)
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib

# Values of variables by their name on the TF2 side.
Values = Mapping[str, np.ndarray]


class Candidate:
  """A model that is ready to run a forward pass.

  With seeded weights the first call is the observed one, as in TensorFlow's
  guide: variables are created in it, so that initializers and dropout draw in
  the order of the program. With fixed weights, and in other variants than
  eager, a first call creates the variables, and a second one, which repeats its
  random draws, is observed.

  Attributes:
    variables: an observation that describes the variables, and what the first
      call drew.
    forward: the forward pass after `run`, for those who look into it; None
      before, and where the variant has none.
  """

  def __init__(
    self,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    variant: str = variants.EAGER,
    without: Sequence[str] = (),
    models: shared_models.SharedModels | None = None,
  ):
    """Builds the model and calls it once; see `prepare`."""
    start = time.time()
    self.forward: forward_lib.Forward | None = None
    self._program = variants.adapted(variant, program)
    self._plan, self._variant = plan, variant
    self._options = variant == variants.GRAPPLER, without
    self._models = models or shared_models.SharedModels(shares=False)
    self._shares = variant == variants.EAGER
    self._is_first = plan.weights == plan_lib.SEEDED and self._shares
    self._built = self._take()
    self.variables = observe_variables(self._built, plan)
    self._seconds = time.time() - start

  @property
  def model(self) -> Any:
    """The model."""
    return self._built.model

  def _take(self) -> built_model.Built:
    """Takes a model that an earlier run has left, or builds one."""
    first = self._plan
    if not self._is_first:
      first = forward_lib.plan_of_creation(first)
    if not self._shares:
      return self._create(first)
    return self._models.take(self._program, first, lambda: self._create(first))

  def _create(self, plan: plan_lib.RunPlan) -> built_model.Built:
    return forward_lib.create(
      self._program, plan, *self._options, self._is_first
    )

  def run(
    self,
    values: Values | None = None,
    reference: observation.Observation | None = None,
  ) -> observation.Observation:
    """Runs the forward pass.

    Args:
      values: fixed values of the variables by name; those that are left out
        get their initial ones. With None, all keep what they hold. Seeded
        weights are the initial values, whatever is given.
      reference: the TF1 side. Its seeds are taken with fixed weights where the
        forward passes make the same draws, else what its random ops drew.

    Returns:
      What was observed.

    Raises:
      UsageError: if the outputs are unusable.
      EnvironmentSetupError, ModelCodeError: if the code cannot run here.
    """
    start = time.time()
    observed = _new_observation()
    weights = self._weights(values)
    if not self._built.suits(self._plan, weights):
      self._shares = False
      self._models.clear()  # Before another takes as much memory.
      self._built = self._create(self._plan)
    built = self._built
    with entered(built, self._plan, *self._options) as (seeds, created):
      forward = forward_lib.Forward(self._program, self._plan, observed, built)
      self.forward = forward
      if self._is_first:
        observed.weights = [w for w in weights if w is not None]
        built.reset(frozen_only=True)
        observed.structure = built.first.structure
        observed.draws = list(built.draws)
        forward.measures = sensitivity.can_record(reference)
        forward.restart = lambda: seeds.repeat(observed.draws)
        forward.observe(cast(dict[str, Any], built.found), built.updated)
      else:
        forward.prepare(weights)
        draws = built.draws_in(self._plan.seed_mode)
        self._observe_second(forward, seeds, created, draws, reference)
      if self._variant == variants.EAGER:
        sensitivity.complete(forward, reference)
    built.created += created
    if self._shares and not created:
      self._models.give(built)
    observed.seconds['TF2'] = self._seconds + time.time() - start
    return observed

  def _weights(self, values: Values | None) -> list[np.ndarray | None]:
    """Returns the value of each variable, None for an initial one."""
    built = self._built
    if self._plan.weights == plan_lib.SEEDED:
      return list(built.initial_values())
    if values is None:
      return [model_lib.value_of(variable) for variable in built.variables]
    return [values.get(spec.name) for spec in built.first.variables]

  def _observe_second(
    self,
    forward: forward_lib.Forward,
    seeds: seeds_lib.DeterministicSeeds,
    created: list[Any],
    draws: list[Draw],
    reference: observation.Observation | None,
  ) -> None:
    """Observes a call that repeats the draws of the first."""
    observed = forward.observed
    if self._variant == variants.EAGER:
      forward.measures = sensitivity.can_record(reference)
    observed.draws = seeds_lib.with_forward_seeds_of(
      () if reference is None else reference.draws, draws
    )
    forward.restart = lambda: seeds.repeat(observed.draws)
    call = execution.aligned(
      forward,
      (forward.inputs,),
      observed,
      reference,
      self._plan,
      self._variant,
    )
    count = len(created)  # To load what was saved creates variables, too.
    forward.observe(call(forward.inputs))
    observed.recreated = model_lib.specs_of_records(
      record for record in created[count:] if not record.internal
    )


class MirroredCandidate(Candidate):
  """A model on two replicas, which is never shared nor looked into."""

  def _take(self) -> built_model.Built:
    names: dict[str, Any] = {}
    context = program_lib.environment(self._plan, names=names)
    with context as (seeds, _):
      self._forward = forward_lib.MirroredForward(
        self._program, self._plan, _new_observation()
      )
    built = self._forward.built
    built.plan, built.names, built.draws = self._plan, names, seeds.draws
    return built

  def run(
    self,
    values: Values | None = None,
    reference: observation.Observation | None = None,
  ) -> observation.Observation:
    """Runs the forward pass on both replicas; see `Candidate`."""
    plan, start = self._plan, time.time()
    depends = reference is not None and reference.depends_on_training
    if plan.training and depends:
      raise errors.UsageError(
        "The variant 'mirrored' cannot be compared in training mode here: "
        'dropout draws other numbers on each replica, and batch normalization '
        'sees only the batch of its replica. Compare in inference '
        '(training=False).'
      )
    forward = self._forward
    weights = self._weights(values)
    with entered(self._built, plan) as (seeds, created):
      forward.prepare(weights)
      self._observe_second(
        forward, seeds, created, self._built.draws, reference
      )
    forward.observed.seconds['TF2'] = self._seconds + time.time() - start
    return forward.observed


def prepare(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  variant: str = variants.EAGER,
  without: Sequence[str] = (),
  models: shared_models.SharedModels | None = None,
) -> Candidate:
  """Builds the model and calls it once, which creates its variables.

  Args:
    program: the user's TF2 code.
    plan: what is to run: a forward pass.
    variant: how the observed call runs; see `variants`.
    without: passes of Grappler that are off, for the variant of that name.
    models: keeps the model for further runs.

  Returns:
    The candidate.

  Raises:
    UsageError: if the model or its outputs are unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  mirrored = variant == variants.MIRRORED
  candidate = MirroredCandidate if mirrored else Candidate
  return candidate(program, plan, variant, without, models)


def list_variables(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  models: shared_models.SharedModels | None = None,
) -> observation.Observation:
  """Calls the model twice and describes its variables.

  Args:
    program: the user's TF2 code.
    plan: what to run.
    models: keeps the model for further runs.

  Returns:
    An `Observation` with `variables`, `untracked` and `draws` only.
  """
  start = time.time()
  observed = _new_observation()
  with used(program, plan, models) as (built, created):
    inputs = program_lib.input_tensors(plan.inputs)
    program_lib.call_model(program, built.model, inputs, plan.training)
    observed.draws = built.draws_in(plan.seed_mode)
    built_model.describe_variables(
      observed, built.model, built.created + created
    )
  observed.seconds['TF2'] = time.time() - start
  return observed


@contextlib.contextmanager
def used(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  models: shared_models.SharedModels | None = None,
) -> Iterator[tuple[built_model.Built, list[Any]]]:
  """Context in which a model is used that has been called once, in any mode.

  Args:
    program: the user's TF2 code.
    plan: what runs.
    models: keeps the model for further runs.

  Yields:
    (the model, list of the variables that are created inside).
  """
  models = models or shared_models.SharedModels(shares=False)
  first = forward_lib.plan_of_creation(plan)
  built = models.take(
    program, first, lambda: forward_lib.create(program, first)
  )
  with entered(built, plan) as (_, created):
    yield built, created
  if not created:
    models.give(built)


@contextlib.contextmanager
def entered(
  built: built_model.Built,
  plan: plan_lib.RunPlan,
  grappler: bool = False,
  without: Sequence[str] = (),
) -> Iterator[tuple[seeds_lib.DeterministicSeeds, list[Any]]]:
  """The environment of a plan, in which a model goes on from its first call."""
  context = program_lib.environment(plan, grappler, without, dict(built.names))
  with context as (seeds, created):
    seeds.operation_seed = seeds_lib.seed_in(plan.seed_mode, len(built.draws))
    yield seeds, created


def observe_variables(
  built: built_model.Built, plan: plan_lib.RunPlan
) -> observation.Observation:
  """Returns an observation that describes the variables of a model."""
  observed = _new_observation()
  built.describe(observed)
  observed.draws = built.draws_in(plan.seed_mode)
  return observed


def _new_observation() -> observation.Observation:
  return observation.Observation('TF2', environment=tf1_runner.environment())
