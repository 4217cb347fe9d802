"""The forward pass of TF2: a model that is called, and what it then holds."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import garbage, source_lines, user_code
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf2 import built_model, mirrored, sensitivity
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib


class Forward:
  """The forward pass of a model, with losses and gradients as wanted.

  Attributes:
    built: the model.
    inputs: nest of tensors.
    restart: lets the draws of a call, which may be traced twice, begin anew.
    autograph: whether a trace converts Python control flow.
    measures: whether the next eager call measures the effect of the variables.
  """

  def __init__(
    self,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    observed: observation.Observation,
    built: built_model.Built,
  ):
    """Takes a model.

    Args:
      program: the user's TF2 code.
      plan: what to run.
      observed: the observation that is to be made.
      built: the model.
    """
    self.built = built
    self.inputs = program_lib.input_tensors(plan.inputs)
    self.restart: Callable[[], None] = lambda: None
    self.autograph = True
    self.measures = False
    self._program, self._plan = program, plan
    self._observed = observed
    observed.takes_training = program.takes_training(self.model)
    built.describe(observed)

  @property
  def model(self) -> Any:
    """The model."""
    return self.built.model

  @property
  def variables(self) -> list[Any]:
    """Its variables, once it has been called."""
    return self.built.variables

  @property
  def layer_lines(self) -> dict[str, SourceLine]:
    """Line that made each Keras layer, by its name."""
    return self.built.layer_lines

  @property
  def training(self) -> bool:
    """Whether the model runs in training mode."""
    return self._plan.training

  @property
  def observed(self) -> observation.Observation:
    """The observation that is being made."""
    return self._observed

  def set(self, values: Sequence[np.ndarray | None]) -> None:
    """Sets the variables; what has no value goes back to its initial one."""
    built_model.set_weights(self.variables, values, self.built.created)

  def prepare(self, values: Sequence[np.ndarray | None]) -> None:
    """Sets the variables, and notes their values."""
    self.set(values)
    self._observed.weights = [model_lib.value_of(v) for v in self.variables]

  def watched(self) -> list[tf.Variable]:
    """Returns all variables that the model may read or change."""
    found = model_lib.backend_variables(self.variables)
    known = {id(variable) for variable in found}
    return found + [
      record.variable
      for record in self.built.created
      if id(record.variable) not in known
    ]

  @source_lines.calls_user
  def __call__(self, inputs: Any) -> dict[str, Any]:
    """Calls the model; what is returned are tensors only."""
    program, plan = self._program, self._plan
    self.restart()
    # What is created in this call cannot be watched.
    measures = self.measures and bool(self.variables) and tf.executing_eagerly()
    self.measures = self.measures and not measures
    with _tape(plan, measures) as tape:
      effects = sensitivity.Tape(tape, measures)
      effects.watch(self.variables)
      if plan.input_gradients:
        tape.watch([x for _, x in nest.flatten(inputs) if x.dtype.is_floating])
      outputs = program_lib.call_model(
        program, self.model, inputs, plan.training, self.autograph
      )
      effects.project(outputs)
      losses = model_lib.regularization_losses(self.model)
      if plan.gradients:
        parts = user_losses(program, outputs, inputs)
        loss = self._scaled(total(parts, losses))
    if not self.variables:
      self.built.note_variables()
      self.built.describe(self._observed)
    if measures:
      self._observed.sensitivity = effects.effects(
        self.variables, self._observed.variables
      )
    self._observed.structure = nest.describe(outputs)
    found = self.found(outputs, losses)
    if plan.gradients:
      found['loss'] = loss
      found['user losses'] = {
        path: self._scaled(part) for path, part in parts.items()
      }
      watched = dict(nest.flatten(inputs)) if plan.input_gradients else {}
      watched = {p: x for p, x in watched.items() if x.dtype.is_floating}
      found['gradients'], found['input gradients'] = _gradients(
        tape, loss, self._observed.variables, self.variables, watched
      )
    return found

  def found(self, outputs: Any, losses: Any = None) -> dict[str, Any]:
    """Returns the results of a call as tensors."""
    if losses is None:
      losses = model_lib.regularization_losses(self.model)
    return {
      'outputs': {
        path: tf.convert_to_tensor(leaf) for path, leaf in nest.flatten(outputs)
      },
      'losses': losses,
    }

  def _scaled(self, loss):
    return loss

  def observe(self, found: dict[str, Any], updated: Any = None) -> None:
    """Turns what a call returned, and what it left behind, into arrays.

    Args:
      found: what the call returned.
      updated: values after it of the variables that it may have updated, by
        name; by default those that they have now.
    """
    observed = self._observed
    if self._plan.updates:
      observed.updated = (
        self.built.updated_values(observed.weights)
        if updated is None
        else updated
      )
    if self._plan.gradients:
      observed.loss = found['loss'].numpy()
      observed.user_losses = {
        path: to_numpy(part) for path, part in found['user losses'].items()
      }
      observed.input_gradients = {
        path: to_numpy(g) for path, g in found['input gradients'].items()
      }
      observed.gradients = [
        None if g is None else g.numpy() for g in found['gradients']
      ]
    observed.outputs = [
      (path, to_numpy(value)) for path, value in found['outputs'].items()
    ]
    observed.losses = [
      observation.RegularizationLoss(names, loss.numpy())
      for names, loss in zip(self.behind(), found['losses'], strict=True)
    ]

  def behind(self) -> list[tuple[str, ...]]:
    """Names of the variables behind each regularization loss."""
    if self.built.behind is None:
      self.built.behind = model_lib.variables_behind_losses(
        self.model, self.variables
      )
    return self.built.behind


class MirroredForward(Forward):
  """The forward pass on two replicas, each with its part of the batch."""

  def __init__(
    self,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    observed: observation.Observation,
  ):
    """Builds the model, and creates its variables on all replicas."""
    self._strategy = mirrored.make_strategy()
    with self._strategy.scope():
      # What is created are the parts of the mirrored variables.
      super().__init__(program, plan, observed, built_model.start(program, []))

      def first_call(inputs):
        outputs = program_lib.call_model(
          program, self.model, inputs, plan.training
        )
        return [tf.convert_to_tensor(leaf) for _, leaf in nest.flatten(outputs)]

      mirrored.run(self._strategy, first_call, self.inputs)
    self.built.note_variables()
    self.built.describe(observed)
    observed.preexisting = []

  def set(self, values) -> None:
    """Sets the variables on all replicas; None leaves one as it is."""
    with self._strategy.scope():
      for variable, value in zip(self.variables, values, strict=True):
        if value is not None:
          variable.assign(value)

  @source_lines.calls_user
  def __call__(self, inputs: Any) -> dict[str, Any]:
    """Calls the model on each replica; see `Forward`."""
    with self._strategy.scope():
      return mirrored.merge(
        mirrored.run(self._strategy, super().__call__, inputs)
      )

  def _scaled(self, loss):
    return loss / mirrored.REPLICAS


def _tape(plan, measures):
  if plan.gradients:
    return tf.GradientTape(persistent=measures)
  if measures:
    return tf.GradientTape(watch_accessed_variables=False)
  return contextlib.nullcontext()


@source_lines.calls_user
def create(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  grappler: bool = False,
  without: Sequence[str] = (),
  observed: bool = False,
) -> built_model.Built:
  """Builds a model and calls it once, which creates its variables.

  Args:
    program: the user's TF2 code.
    plan: what is to run.
    grappler: see `program.environment`.
    without: see `program.environment`.
    observed: whether the first call is the one to be observed: with all that
      the plan asks for.

  Returns:
    The model.

  Raises:
    UsageError: if the model or its outputs are unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  names: dict[str, Any] = {}
  context = program_lib.environment(plan, grappler, without, names)
  with garbage.collection_paused(), context as (seeds, created):
    built = built_model.start(program, created)
    built.plan, built.names = plan, names
    forward = Forward(program, plan, built.first, built)
    if observed:
      built.found = forward(forward.inputs)
    else:
      outputs = program_lib.call_model(
        program, built.model, forward.inputs, plan.training
      )
      built.note_variables()
      built.first.structure = nest.describe(outputs)
      # A run that needs the losses says what is wrong with them.
      with contextlib.suppress(errors.EquivalenceError):
        built.found = forward.found(outputs)
    if plan.training:
      built.updated = built.updated_values(built.initial_values())
    built.draws = seeds.draws
  return built


def plan_of_creation(plan: plan_lib.RunPlan) -> plan_lib.RunPlan:
  """Returns the plan of the first call where not it but a second is observed.

  In inference, where seldom anything but initial values is drawn, the seed mode
  is that in which most models are validated, so that one model can serve.
  """
  if plan.weights == plan_lib.FIXED and not plan.training:
    plan = dataclasses.replace(plan, seed_mode=SeedMode.NUM_RANDOM_OPS)
  return dataclasses.replace(
    plan, gradients=False, input_gradients=False, updates=False
  )


@source_lines.calls_user
def user_losses(program, outputs, inputs) -> dict[str, tf.Tensor]:
  """Returns the user's losses by path, '' if there is one only."""
  with user_code.running('TF2', 'compute_loss'):
    loss = program.compute_loss(outputs, inputs)
  return losses_lib.check_losses(loss, 'TF2')


def total(parts, losses) -> tf.Tensor:
  """Returns the sum of the user's losses and of the regularization losses."""
  loss = losses_lib.add_up(parts)
  if losses:
    loss += tf.cast(tf.add_n(losses), loss.dtype)
  return loss


def _gradients(tape, loss, specs, variables, inputs):
  """Returns the gradients of the trainable variables, and of the inputs."""
  backends = model_lib.backend_variables(variables)
  trainable = [
    backend
    for spec, backend in zip(specs, backends, strict=True)
    if spec.trainable
  ]
  gradients, of_inputs = tape.gradient(loss, (trainable, list(inputs.values())))
  return (
    [None if g is None else tf.convert_to_tensor(g) for g in gradients],
    {
      path: tf.zeros_like(x) if g is None else tf.convert_to_tensor(g)
      for (path, x), g in zip(inputs.items(), of_inputs, strict=True)
    },
  )


def to_numpy(leaf: Any) -> np.ndarray:
  """Returns the value of a leaf of the outputs."""
  # Plain numbers become what TensorFlow makes of them on the TF1 side.
  return np.asarray(tf.convert_to_tensor(leaf).numpy())
