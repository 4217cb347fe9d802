"""Runs the TF2 side: builds the model, calls it, observes it."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf2 import (
  built_model,
  injection,
  saved_model,
  sensitivity,
  shared_models,
  variants,
)
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib

# Given what is known of the TF2 variables, returns the value of each, or None
# for those that keep their initial value.
WeightsFor = Callable[[observation.Observation], list[np.ndarray | None]]


def list_variables(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  models: shared_models.SharedModels | None = None,
):
  """Calls the model twice and describes its variables.

  Args:
    program: the user's TF2 code.
    plan: what to run.
    models: keeps the model for further runs.

  Returns:
    An `Observation` with `variables`, `untracked` and `draws` only.
  """
  start = time.time()
  observed = observation.Observation(
    'TF2', environment=tf1_runner.environment()
  )
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
):
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
):
  """The environment of a plan, in which a model goes on from its first call."""
  context = program_lib.environment(plan, grappler, without, dict(built.names))
  with context as (seeds, created):
    seeds.operation_seed = seeds_lib.seed_in(plan.seed_mode, len(built.draws))
    yield seeds, created


def run(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  weights_for: WeightsFor | None = None,
  reference: observation.Observation | None = None,
  variant: str = variants.EAGER,
  without: Sequence[str] = (),
  kept: list[Any] | None = None,
  models: shared_models.SharedModels | None = None,
):
  """Runs a plan.

  With seeded weights the first call is the observed one, as in TensorFlow's
  guide: variables are created in it, so that initializers and dropout draw in
  the order of the program. With fixed weights, and in other variants than
  eager, a first call creates the variables, and a second one, which repeats its
  random draws, is observed.

  Args:
    program: the user's TF2 code.
    plan: what to run.
    weights_for: gives the values of the variables; needed for fixed weights.
    reference: the TF1 side. Its seeds are taken with fixed weights where the
      forward passes make the same draws, else what its random ops drew.
    variant: how the second call runs; see `variants`.
    without: passes of Grappler that are off, for the variant of that name.
    kept: list to which the forward pass is added, for those who look into it.
    models: keeps the model for further runs.

  Returns:
    An `Observation`.

  Raises:
    UsageError: if the model or its outputs are unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  start = time.time()
  observed = observation.Observation(
    'TF2', environment=tf1_runner.environment()
  )
  if variant == variants.MIRRORED:
    _check_mirrored(plan, reference)
    with program_lib.environment(plan) as (seeds, created):
      forward = forward_lib.MirroredForward(program, plan, observed)
      forward.prepare(_values(forward.built, plan, weights_for, observed))
      _observe_second(
        forward, seeds, created, seeds.draws, reference, plan, variant
      )
  else:
    _run_shared(
      program,
      plan,
      weights_for,
      reference,
      observed,
      variant,
      without,
      [] if kept is None else kept,
      models or shared_models.SharedModels(shares=False),
    )
  observed.seconds['TF2'] = time.time() - start
  return observed


def _run_shared(
  program,
  plan,
  weights_for,
  reference,
  observed,
  variant,
  without,
  kept,
  models,
) -> None:
  """Runs a plan with a model that an earlier run may have built."""
  program = variants.adapted(variant, program)
  options = variant == variants.GRAPPLER, without
  is_first = plan.weights == plan_lib.SEEDED and variant == variants.EAGER
  first = plan if is_first else forward_lib.plan_of_creation(plan)

  def create(first=first):
    return forward_lib.create(program, first, *options, is_first)

  shares = variant == variants.EAGER
  built = models.take(program, first, create) if shares else create()
  built.describe(observed)
  values = _values(built, plan, weights_for, observed)
  if not built.suits(plan, values):
    shares = False
    models.clear()  # Before another takes as much memory.
    built = create(plan)
    built.describe(observed)
  with entered(built, plan, *options) as (seeds, created):
    forward = forward_lib.Forward(program, plan, observed, built)
    kept.append(forward)
    if is_first:
      observed.weights = values
      built.reset(frozen_only=True)
      observed.structure = built.first.structure
      observed.draws = list(built.draws)
      # Not before: TF1 may still be at work, elsewhere.
      forward.measures = sensitivity.can_record(reference)
      forward.restart = lambda: seeds.repeat(observed.draws)
      forward.observe(built.found, built.updated)
    else:
      forward.prepare(values)
      draws = built.draws_in(plan.seed_mode)
      _observe_second(forward, seeds, created, draws, reference, plan, variant)
    if variant == variants.EAGER:
      sensitivity.complete(forward, reference)
  built.created += created
  if shares and not created:
    models.give(built)


def _values(built, plan, weights_for, observed) -> list[Any]:
  if plan.weights == plan_lib.FIXED:
    return weights_for(observed)
  return built.initial_values()


def _observe_second(
  forward, seeds, created, draws, reference, plan, variant
) -> None:
  """Observes a call that repeats the draws of the first."""
  observed = forward.observed
  if variant == variants.EAGER:
    forward.measures = sensitivity.can_record(reference)
  observed.draws = seeds_lib.with_forward_seeds_of(
    () if reference is None else reference.draws, draws
  )
  forward.restart = lambda: seeds.repeat(observed.draws)
  call = aligned(forward, (forward.inputs,), observed, reference, plan, variant)
  count = len(created)  # To load what was saved creates variables, too.
  forward.observe(call(forward.inputs))
  observed.recreated = model_lib.specs_of_records(
    record for record in created[count:] if not record.internal
  )


def aligned(
  function, arguments, observed, reference, plan, variant
) -> Callable:
  """Returns a function as its variant runs it, with the random draws of TF1.

  Where both sides make the same stateful draws, they have the same seeds
  already. Otherwise, and in XLA, whose random numbers are others, those of TF1
  are injected.

  Args:
    function: a function of tensors.
    arguments: what it will be called with.
    observed: the observation of TF2, whose `draws` are known; it gets a note.
    reference: the observation of TF1, or None.
    plan: what is run.
    variant: how it is to run.

  Returns:
    The function.
  """
  compiled = function
  if variant in variants.COMPILED:
    compiled = variants.compiled(variant, function)
  elif variant == variants.SAVED_MODEL:
    compiled = _loaded(function, function, arguments)
  if reference is None or not reference.random_values:
    return compiled
  keys = [
    [draw.key for draw in side.draws if not draw.variable]
    for side in (reference, observed)
  ]
  # With seeded weights, draws that differ are a difference to be reported.
  by_seed = keys[0] == keys[1] or plan.weights == plan_lib.SEEDED
  if by_seed and variant != variants.JIT:
    return compiled
  injected = injection.trace(
    function,
    arguments,
    reference.random_values,
    jit_compile=variant == variants.JIT or None,
  )
  if injected.function is None:
    observed.notes.append(
      'random draws could not be aligned: ' + injected.problem
    )
    return compiled
  observed.injected = True
  observed.notes.append(
    f'TF2 computed with the {len(reference.random_values)} random draw(s) of '
    'TF1'
  )
  if variant == variants.SAVED_MODEL:
    return _loaded(injected.concrete, function, arguments)
  if variant in variants.COMPILED:
    return variants.explained(variant, injected.function)
  return injected.function


def _loaded(function, forward, arguments) -> Callable:
  """Returns a function after the round trip through a SavedModel."""
  export = variants.explained(variants.SAVED_MODEL, saved_model.exported)
  loaded = export(function, arguments[0], forward.watched())
  return variants.explained(variants.SAVED_MODEL, loaded)


def _check_mirrored(plan, reference) -> None:
  if plan.training and reference is not None and reference.depends_on_training:
    raise errors.UsageError(
      "The variant 'mirrored' cannot be compared in training mode here: "
      'dropout draws other numbers on each replica, and batch normalization '
      'sees only the batch of its replica. Compare in inference '
      '(training=False).'
    )
