"""The TF2 side of training steps, in phases; see `candidate`."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv import compat
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.draw import Draw
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf2 import built_model, candidate, execution, trainer, variants
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib

_log = logging.getLogger('tf_equiv')

# Values of the variables by name, and of the slots by meaning and name, in the
# terms of `tf.compat.v1.train`.
State = tuple[Mapping[str, np.ndarray], Mapping[str, Mapping[str, np.ndarray]]]


class Candidate:
  """A model that is ready for training steps.

  A first call has created the variables. The steps then run with the random
  draws of that call.

  Attributes:
    variables: an observation that describes the variables, and what the first
      call drew.
    forward: None; only a forward pass has one to look into.
    trainer: the model with its optimizers.
    recording: sees where optimizers and moving averages are made.
    layer_lines: line that made each Keras layer, by its name.
    of_model: the model's variables.
    created: records of all that was created so far.
  """

  forward = None

  def __init__(
    self,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    variant: str = variants.EAGER,
    without: Sequence[str] = (),
  ):
    """Builds the model and calls it once; see `prepare`."""
    start = time.time()
    self._program = variants.adapted(variant, program)
    self._plan, self._variant = plan, variant
    self._options = variant == variants.GRAPPLER, without
    self._names: dict[str, Any] = {}
    self.layer_lines: dict[str, SourceLine] = {}
    self.recording = updates_lib.Recording()
    self.variables = observation.Observation(
      'TF2', environment=tf1_runner.environment()
    )
    with self._environment() as (seeds, created):
      self.trainer = trainer.Trainer(
        self._program, program_lib.build_model(self._program), self.recording
      )
      self.trainer.create_variables(program_lib.input_tensors(plan.inputs))
      self.created = created
      self._records = self.trainer.without_optimizers(created)
      self.of_model = built_model.describe_variables(
        self.variables, self.trainer.model, self._records
      )
      self.variables.draws = seeds.draws
    self.variables.takes_training = (
      program.train is not None or program.takes_training(self.trainer.model)
    )
    self._seconds = time.time() - start

  @property
  def model(self) -> Any:
    """The model."""
    return self.trainer.model

  @property
  def start_step(self) -> int:
    """How many steps the counters have counted before the first one."""
    return self._plan.start_step

  @property
  def has_own_step(self) -> bool:
    """Whether the step is the user's own, `train_tf2`."""
    return self._program.train is not None

  @contextlib.contextmanager
  def _environment(
    self,
  ) -> Iterator[tuple[seeds_lib.DeterministicSeeds, list[Any]]]:
    """The environment of the plan, in which names and recordings go on."""
    with contextlib.ExitStack() as stack:
      seeds, created = stack.enter_context(
        program_lib.environment(self._plan, *self._options, self._names)
      )
      stack.enter_context(updates_lib.recorded(self.recording))
      stack.enter_context(
        compat.keras_layers_seen(
          lambda layer: built_model.note_layer(self.layer_lines, layer)
        )
      )
      yield seeds, created

  @contextlib.contextmanager
  def continued(
    self, reference: observation.Observation | None
  ) -> Iterator[tuple[seeds_lib.DeterministicSeeds, list[Any], list[Draw]]]:
    """Context in which steps run.

    Args:
      reference: the TF1 side, whose seeds are taken where the draws agree.

    Yields:
      (seeds, list of the variables that are created inside, the draws that
      each step is to repeat).
    """
    first = self.variables.draws
    with self._environment() as (seeds, created):
      seeds.operation_seed = seeds_lib.seed_in(self._plan.seed_mode, len(first))
      draws = seeds_lib.with_forward_seeds_of(
        () if reference is None else reference.draws, first
      )
      seeds.repeat(draws)
      yield seeds, created, draws

  def run(
    self,
    values: candidate.Values | None = None,
    reference: observation.Observation | None = None,
    states: Sequence[State] = (),
    keep: Callable[[observation.StepObservation], Any] | None = None,
  ) -> observation.Observation:
    """Runs the training steps.

    The variables are set to what they were when they were created, or with
    fixed weights to the given values. Each step makes the random draws of the
    first call.

    Args:
      values: fixed values of the variables by name; those that are left out
        get their initial ones.
      reference: the TF1 side. Its seeds are taken where the steps make the same
        draws, else, with fixed weights, what its random ops drew.
      states: the state in which TF1 left each step, in the terms of TF2; the
        next step starts from it. Without any, steps go on from their own.
      keep: takes each step, of which only the first is kept otherwise; None to
        keep all.

    Returns:
      An `Observation` with `steps`. Its `weights` are the values before the
      first step, its `outputs` and `losses` those of the first step.

    Raises:
      UsageError: if a template method returns something unusable.
      EnvironmentSetupError, ModelCodeError: if the code cannot run here.
    """
    start = time.time()
    # Not shared with `variables`, which stays as it is.
    observed = dataclasses.replace(self.variables, notes=[], steps=[])
    batches = [program_lib.input_tensors(batch) for batch in self._plan.batches]
    with self.continued(reference) as (seeds, created, draws):
      observed.draws = draws
      observed.weights = self._set(values)
      self.trainer.prepare(observed.variables, self.of_model, self.created)
      self.trainer.start_at(self._plan.start_step)
      seeds.repeat(draws)
      step = execution.aligned(
        self.trainer.step,
        (batches[0],),
        observed,
        reference,
        self._plan,
        self._variant,
      )
      known = 0
      for i, batch in enumerate(batches):
        _log.info('TF2: training step %d of %d', i + 1, len(batches))
        seeds.repeat(draws)
        found = self.trainer.observe(step(batch))
        if keep is not None:
          keep(found)
        if keep is None or not i:
          observed.steps.append(found)
        if i < len(states):
          self.trainer.synchronize(found, *states[i])
        if not i:
          # The first step may set up what the new optimizers need.
          known = len(created)
      observed.recreated = model_lib.specs_of_records(
        record
        for record in self.trainer.without_optimizers(created[known:])
        if not record.internal
      )
      self.trainer.name_losses(observed.steps)
    observed.structure = self.trainer.structure
    observed.outputs = observed.steps[0].outputs
    observed.losses = observed.steps[0].losses
    observed.seconds = {'TF2': self._seconds + time.time() - start}
    return observed

  def _set(self, values: candidate.Values | None) -> list[np.ndarray]:
    """Sets the variables to what they start from, and returns that."""
    if self._plan.weights == plan_lib.FIXED:
      given = values or {}
      weights = [given.get(spec.name) for spec in self.variables.variables]
    else:
      weights = list(built_model.initial_values(self.of_model, self._records))
    built_model.set_weights(self.of_model, weights, self._records)
    return [model_lib.value_of(variable) for variable in self.of_model]


def prepare(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  variant: str = variants.EAGER,
  without: Sequence[str] = (),
) -> Candidate:
  """Builds the model and calls it once, which creates its variables.

  Args:
    program: the user's TF2 code.
    plan: what is to run; it has `batches`, or `inputs` alone to trace a step.
    variant: how the steps run; see `variants`.
    without: passes of Grappler that are off, for the variant of that name.

  Returns:
    The candidate.

  Raises:
    UsageError: if a template method returns something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  variants.check_for_steps(variant)
  return Candidate(program, plan, variant, without)
