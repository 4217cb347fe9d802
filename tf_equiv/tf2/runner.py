"""Runs the TF2 side: builds the model, calls it, observes it."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.tf1 import errors, nest, source, tensors, user_code
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf2 import (
  creation,
  exported,
  injection,
  mirrored,
  sensitivity,
  variants,
)
from tf_equiv.tf2 import model as model_lib

_log = logging.getLogger('tf_equiv')

# Given what is known of the TF2 variables, returns the value of each, or None
# for those that keep their initial value.
WeightsFor = Callable[[observation_lib.Observation], list[np.ndarray | None]]


@dataclasses.dataclass(frozen=True)
class Program:
  """The user's TF2 code.

  Attributes:
    build: `build_tf2()`, returns the model.
    call: `call_tf2(model, inputs, training)`, returns a nest of tensors.
    compute_loss: `compute_loss(outputs, inputs)`, returns a scalar tensor.
    takes_training: `takes_training(model)`, whether `call` hands the flag on.
    build_optimizer: `build_tf2_optimizer()`, returns a nest of optimizers.
    clip_gradients: list of gradients to list of gradients.
    train: `train_tf2(model, inputs)`, a whole training step in place of the
      default.
  """

  build: Callable[[], Any]
  call: Callable[..., Any] = model_lib.call
  compute_loss: Callable[..., Any] = tensors.default_loss
  takes_training: Callable[[Any], bool] = model_lib.takes_training
  build_optimizer: Callable[[], Any] | None = None
  clip_gradients: Callable[[list[Any]], list[Any]] = list
  train: Callable[[Any, Any], Any] | None = None


@contextlib.contextmanager
def environment(
  plan: plan_lib.RunPlan, grappler: bool = False, without: Sequence[str] = ()
):
  """Context in which the TF2 side runs; its value is (seeds, created)."""
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  with contextlib.ExitStack() as stack:
    stack.enter_context(compat.v2_behavior())
    stack.enter_context(compat.grappler(grappler, without))
    stack.enter_context(compat.fresh_keras_names())
    stack.enter_context(seeds)
    created = stack.enter_context(creation.record_created_variables(seeds))
    yield seeds, created


def build_model(program: Program) -> Any:
  """Builds the model and checks that it is one."""
  _log.info('TF2: building the model')
  with user_code.running('TF2', 'build_tf2'):
    return model_lib.check_model(program.build())


def input_tensors(inputs: Any) -> Any:
  """Returns a plan's inputs as eager tensors."""
  return nest.map_leaves(lambda _, array: tf.constant(array), inputs)


def call_model(
  program: Program,
  model: Any,
  inputs: Any,
  training: bool,
  autograph: bool = True,
):
  """Calls the model; returns its outputs with composites expanded.

  Args:
    program: the user's TF2 code.
    model: the model.
    inputs: a nest of tensors.
    training: the training flag.
    autograph: whether a graph that is traced converts Python control flow on
      tensors.

  Raises:
    UsageError: if it returns None, or something that is no eager tensor.
  """
  _log.info('TF2: calling the model (training=%s)', training)
  call = program.call
  if not tf.executing_eagerly():
    if autograph:
      call = compat.converted_by_autograph(call)
    else:
      call = tf.autograph.experimental.do_not_convert(call)
  with user_code.running('TF2', 'call_tf2'):
    outputs = call(model, inputs, training)
  if outputs is None:
    raise errors.UsageError(
      'The TF2 model (%s) returned %r; return its output tensors.'
      % (type(model).__name__, outputs)
    )
  outputs = tensors.expand_composites(outputs)
  for path, leaf in nest.flatten(outputs):
    symbolic = tensors.is_tensor(leaf) and not hasattr(leaf, 'numpy')
    if symbolic and tf.executing_eagerly():
      raise errors.UsageError(
        'The TF2 model returned a symbolic tensor at outputs%s; it must be '
        'computed from the given inputs.' % path
      )
    if not tensors.is_tensor(leaf) and not isinstance(
      leaf, (bool, int, float, complex, str, bytes, np.ndarray, np.generic)
    ):
      raise errors.UsageError(
        'The TF2 model returned a %s at outputs%s; expected a tensor.'
        % (type(leaf).__name__, path)
      )
  return outputs


def list_variables(program: Program, plan: plan_lib.RunPlan):
  """Calls the model twice and describes its variables.

  Args:
    program: the user's TF2 code.
    plan: what to run.

  Returns:
    An `Observation` with `variables`, `untracked` and `draws` only.
  """
  start = time.time()
  observed = observation_lib.Observation(
    'TF2', environment=tf1_runner.environment()
  )
  with environment(plan) as (seeds, created):
    model = build_model(program)
    inputs = input_tensors(plan.inputs)
    call_model(program, model, inputs, plan.training)
    observed.draws = seeds.draws
    call_model(program, model, inputs, plan.training)
    describe_variables(observed, model, created)
  observed.seconds['TF2'] = time.time() - start
  return observed


def run(
  program: Program,
  plan: plan_lib.RunPlan,
  weights_for: WeightsFor | None = None,
  reference: observation_lib.Observation | None = None,
  variant: str = variants.EAGER,
  without: Sequence[str] = (),
  used: list[Any] | None = None,
):
  """Runs a plan on a freshly built model.

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
    used: list to which the forward pass is added, for those who look into it.

  Returns:
    An `Observation`.

  Raises:
    UsageError: if the model or its outputs are unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  start = time.time()
  observed = observation_lib.Observation(
    'TF2', environment=tf1_runner.environment()
  )
  program = variants.adapted(variant, program)
  grappler = variant == variants.GRAPPLER
  with environment(plan, grappler, without) as (seeds, created):
    if variant == variants.MIRRORED:
      _check_mirrored(plan, reference)
      forward = _MirroredForward(program, plan, observed, created)
    else:
      forward = _Forward(program, plan, observed, created)
      if used is not None:
        used.append(forward)
    if plan.weights == plan_lib.FIXED or variant != variants.EAGER:
      forward.prepare(weights_for)
      if variant == variants.EAGER:
        forward.measures = sensitivity.can_record(reference)
      draws = () if reference is None else reference.draws
      observed.draws = seeds.replay(draws)
      forward.restart = lambda: seeds.repeat(observed.draws)
      call = aligned(
        forward, (forward.inputs,), observed, reference, plan, variant
      )
      count = len(created)
      found = call(forward.inputs)
      observed.recreated = model_lib.specs_of_records(
        record for record in created[count:] if not record.internal
      )
    else:
      found = forward(forward.inputs)
      # Not before: TF1 may still be at work, elsewhere.
      forward.measures = sensitivity.can_record(reference)
      observed.draws = seeds.draws
      observed.weights = initial_values(forward.variables, created)
    forward.observe(found)
    if variant == variants.EAGER:
      sensitivity.complete(forward, reference)
  observed.seconds['TF2'] = time.time() - start
  return observed


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
    'TF2 computed with the %d random draw(s) of TF1'
    % len(reference.random_values)
  )
  if variant == variants.SAVED_MODEL:
    return _loaded(injected.concrete, function, arguments)
  if variant in variants.COMPILED:
    return variants.explained(variant, injected.function)
  return injected.function


def _loaded(function, forward, arguments) -> Callable:
  """Returns a function after the round trip through a SavedModel."""
  export = variants.explained(variants.SAVED_MODEL, exported.exported)
  loaded = export(function, arguments[0], forward.watched())
  return variants.explained(variants.SAVED_MODEL, loaded)


def note_layer(lines: dict[str, source.SourceLine], layer: Any) -> None:
  """Notes where a Keras layer was made, by its name."""
  line = source.user_line(4, layer)
  if line.filename:
    lines[layer.name] = line


class _Forward:
  """The forward pass of a model, with losses and gradients as wanted."""

  def __init__(self, program, plan, observed, created):
    self.layer_lines: dict[str, source.SourceLine] = {}
    with compat.keras_layers_seen(
      lambda layer: note_layer(self.layer_lines, layer)
    ):
      self.model = build_model(program)
    self.inputs = input_tensors(plan.inputs)
    self.variables = []
    # Lets the draws of a call, which may be traced twice, begin anew.
    self.restart = lambda: None
    self.autograph = True
    # Whether the next eager call measures the effect of the variables.
    self.measures = False
    self._behind = None
    self._program, self._plan = program, plan
    self._observed, self._created = observed, created
    observed.takes_training = program.takes_training(self.model)

  @property
  def training(self) -> bool:
    """Whether the model runs in training mode."""
    return self._plan.training

  @property
  def observed(self) -> observation_lib.Observation:
    """The observation that is being made."""
    return self._observed

  def set(self, values) -> None:
    """Sets the variables; see `set_weights`."""
    set_weights(self.variables, values, self._created)

  def prepare(self, weights_for) -> None:
    """Creates the variables in a first call, and sets them."""
    observed, created = self._observed, self._created
    call_model(self._program, self.model, self.inputs, self._plan.training)
    self.variables = describe_variables(observed, self.model, created)
    if self._plan.weights == plan_lib.FIXED:
      values = weights_for(observed)
    else:
      values = initial_values(self.variables, created)
    set_weights(self.variables, values, created)
    observed.weights = [model_lib.value_of(v) for v in self.variables]

  def watched(self) -> list[tf.Variable]:
    """Returns all variables that the model may read or change."""
    found = model_lib.backend_variables(self.variables)
    known = {id(variable) for variable in found}
    return found + [
      record.variable
      for record in self._created
      if id(record.variable) not in known
    ]

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
      outputs = call_model(
        program, self.model, inputs, plan.training, self.autograph
      )
      effects.project(outputs)
      losses = model_lib.regularization_losses(self.model)
      if plan.gradients:
        parts = user_losses(program, outputs, inputs)
        loss = self._scaled(total(parts, losses))
    if not self.variables:
      self.variables = describe_variables(
        self._observed, self.model, self._created
      )
    if measures:
      self._observed.sensitivity = effects.effects(
        self.variables, self._observed.variables
      )
    self._observed.structure = nest.describe(outputs)
    found = {
      'outputs': {
        path: tf.convert_to_tensor(leaf) for path, leaf in nest.flatten(outputs)
      },
      'losses': losses,
    }
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

  def _scaled(self, loss):
    return loss

  def observe(self, found: dict[str, Any]) -> None:
    """Turns what a call returned, and what it left behind, into arrays."""
    observed = self._observed
    if self._plan.updates:
      observed.updated = {
        spec.name: model_lib.value_of(variable)
        for spec, variable in zip(
          observed.variables, self.variables, strict=True
        )
        if not spec.trainable
      }
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
      observation_lib.RegularizationLoss(names, loss.numpy())
      for names, loss in zip(self.behind(), found['losses'], strict=True)
    ]

  def behind(self) -> list[tuple[str, ...]]:
    """Names of the variables behind each regularization loss."""
    if self._behind is None:
      self._behind = model_lib.variables_behind_losses(
        self.model, self.variables
      )
    return self._behind


class _MirroredForward(_Forward):
  """The forward pass on two replicas, each with its part of the batch."""

  def __init__(self, program, plan, observed, created):
    self._strategy = mirrored.make_strategy()
    with self._strategy.scope():
      super().__init__(program, plan, observed, created)

  def prepare(self, weights_for) -> None:
    """Creates the variables on all replicas, and sets them."""
    # What was recorded are the parts of the mirrored variables.
    self._created = []
    observed, plan = self._observed, self._plan

    def first_call(inputs):
      outputs = call_model(self._program, self.model, inputs, plan.training)
      return [tf.convert_to_tensor(leaf) for _, leaf in nest.flatten(outputs)]

    with self._strategy.scope():
      mirrored.run(self._strategy, first_call, self.inputs)
      self.variables = describe_variables(observed, self.model, [])
      if plan.weights == plan_lib.FIXED:
        for variable, value in zip(
          self.variables, weights_for(observed), strict=True
        ):
          if value is not None:
            variable.assign(value)
      observed.weights = [model_lib.value_of(v) for v in self.variables]
      observed.preexisting = []

  def __call__(self, inputs: Any) -> dict[str, Any]:
    with self._strategy.scope():
      return mirrored.merge(
        mirrored.run(self._strategy, super().__call__, inputs)
      )

  def _scaled(self, loss):
    return loss / mirrored.REPLICAS


def _check_mirrored(plan, reference) -> None:
  if plan.training and reference is not None and reference.depends_on_training:
    raise errors.UsageError(
      "The variant 'mirrored' cannot be compared in training mode here: "
      'dropout draws other numbers on each replica, and batch normalization '
      'sees only the batch of its replica. Compare in inference '
      '(training=False).'
    )


def _tape(plan, measures):
  if plan.gradients:
    return tf.GradientTape(persistent=measures)
  if measures:
    return tf.GradientTape(watch_accessed_variables=False)
  return contextlib.nullcontext()


def describe_variables(observed, model, created) -> list[Any]:
  """Describes a model's variables in the observation, and returns them."""
  variables = model_lib.variables_of(model, created)
  observed.variables = model_lib.specs_of(model, variables, created)
  mine = {id(record.variable) for record in created}
  backends = model_lib.backend_variables(variables)
  observed.preexisting = [
    spec.name
    for spec, backend in zip(observed.variables, backends, strict=True)
    if id(backend) not in mine
  ]
  hidden = model_lib.untracked(variables, created)
  observed.untracked = list(
    {spec.name: spec for spec in model_lib.specs_of_records(hidden)}.values()
  )
  return variables


def set_weights(variables, values, created) -> None:
  """Assigns the values; what has none goes back to its initial value."""
  initial = {id(r.variable): r.initial_value for r in created}
  backends = model_lib.backend_variables(variables)
  for variable, backend, value in zip(variables, backends, values, strict=True):
    if value is None:
      value = initial.get(id(backend))
    if value is not None:
      model_lib.assign(variable, value)


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
