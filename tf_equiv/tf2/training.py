"""Runs training steps of the TF2 side, and observes each."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.compat import optimizers as compat_optimizers
from tf_equiv.core import errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf1 import source_lines, tensors, user_code
from tf_equiv.tf1 import training as tf1_training
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf2 import built_model, runner, variants
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import optimizers as optimizers_lib
from tf_equiv.tf2 import program as program_lib

_log = logging.getLogger('tf_equiv')


@dataclasses.dataclass
class _Update:
  """One application of gradients, as seen while the step ran or was traced.

  Attributes:
    optimizer: the optimizer.
    variables: the variables.
    gradients: their gradients after clipping, None where not connected.
    learning_rate: what the update used, None where unknown.
    line: line of user code that applied them.
  """

  optimizer: Any
  variables: list[Any]
  gradients: list[Any]
  learning_rate: Any
  line: SourceLine = SourceLine()


def run(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  weights_for: runner.WeightsFor | None = None,
  reference: observation.Observation | None = None,
  variant: str = variants.EAGER,
  without: Sequence[str] = (),
  state_for: Callable[..., tuple[dict, dict]] | None = None,
):
  """Runs the training steps of a plan on a freshly built model.

  A first call creates the variables. They are then set to what they were when
  they were created, or with fixed weights to the given values, and the steps
  run, each with the random draws of the first call.

  Args:
    program: the user's TF2 code.
    plan: what to run; it has `batches`.
    weights_for: gives the values of the variables; needed for fixed weights.
    reference: the TF1 side. Its seeds are taken where the steps make the same
      draws, else, with fixed weights, what its random ops drew.
    state_for: given what is known of the TF2 variables and the number of a
      step, returns the state in which TF1 left it, in the terms of TF2:
      variables by name, and slots by meaning and name. The next step starts
      from it.
    variant: how the steps run; see `variants`.
    without: passes of Grappler that are off, for the variant of that name.

  Returns:
    An `Observation` with `steps`. Its `weights` are the values before the
    first step, its `outputs` and `losses` those of the first step.

  Raises:
    UsageError: if a template method returns something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  start = time.time()
  variants.check_for_steps(variant)
  program = variants.adapted(variant, program)
  observed = observation.Observation(
    'TF2', environment=tf1_runner.environment()
  )
  with contextlib.ExitStack() as stack:
    seeds, created = stack.enter_context(
      program_lib.environment(plan, variant == variants.GRAPPLER, without)
    )
    recording = stack.enter_context(updates_lib.recorded())
    batches = [program_lib.input_tensors(batch) for batch in plan.batches]
    trainer = Trainer(program, program_lib.build_model(program), recording)
    trainer.create_variables(batches[0])
    of_model = trainer.without_optimizers(created)
    variables = built_model.describe_variables(
      observed, trainer.model, of_model
    )
    observed.takes_training = (
      program.train is not None or program.takes_training(trainer.model)
    )
    if plan.weights == plan_lib.FIXED:
      values = weights_for(observed)
    else:
      values = built_model.initial_values(variables, of_model)
    built_model.set_weights(variables, values, of_model)
    observed.weights = [model_lib.value_of(v) for v in variables]
    draws = seeds.replay(() if reference is None else reference.draws)
    observed.draws = draws
    trainer.prepare(observed.variables, variables, created)
    seeds.repeat(draws)
    step = runner.aligned(
      trainer.step, (batches[0],), observed, reference, plan, variant
    )
    for i, batch in enumerate(batches):
      _log.info('TF2: training step %d of %d', i + 1, len(batches))
      seeds.repeat(draws)
      observed.steps.append(trainer.observe(step(batch)))
      if state_for is not None:
        trainer.synchronize(observed.steps[-1], *state_for(observed, i))
      if not i:
        # The first step may set up what the new optimizers need.
        count = len(created)
    observed.recreated = model_lib.specs_of_records(
      record
      for record in trainer.without_optimizers(created[count:])
      if not record.internal
    )
    trainer.name_losses(observed.steps)
  observed.structure = trainer.structure
  observed.outputs = observed.steps[0].outputs
  observed.losses = observed.steps[0].losses
  observed.seconds['TF2'] = time.time() - start
  return observed


class Trainer:
  """A model, its optimizers, and the training step.

  Attributes:
    model: the model.
    structure: what the outputs look like, once a step was taken.
    optimizers: what build_tf2_optimizer returned last.
  """

  def __init__(self, program, model, recording):
    self.model = model
    self.structure = None
    self._program = program
    self._recording = recording
    self.optimizers = []
    self._retired = []
    self._specs = []
    self._variables = []
    self._layout = []

  def create_variables(self, batch: Any) -> None:
    """Calls the model once, or takes a step of the user's own."""
    if self._program.train is None:
      program_lib.call_model(self._program, self.model, batch, True)
      return
    self._build_optimizers()
    self._retired = self.optimizers
    self.step(batch)

  def without_optimizers(self, created):
    """Leaves out the variables of optimizers and of moving averages."""
    owned = {
      id(variable)
      for optimizer in (*self.optimizers, *self._retired)
      for variable in model_lib.backend_variables(
        optimizers_lib.variables_of(optimizer)
      )
    }
    # An average may be created in a step, long after its variable.
    averaged = [record.variable for record in created]
    averaged += model_lib.backend_variables(self._variables)
    for variable in averaged:
      owned.update(id(v) for v in self._recording.averages_of(variable))
    return [record for record in created if id(record.variable) not in owned]

  def prepare(self, specs, variables, created) -> None:
    """Puts all that a first step changed back, and builds the optimizers."""
    self._specs, self._variables = specs, variables
    backends = model_lib.backend_variables(variables)
    owned = {id(backend) for backend in backends}
    for record in self.without_optimizers(created):
      if id(record.variable) not in owned and record.initial_value is not None:
        model_lib.assign(record.variable, record.initial_value)
    for backend in backends:
      for shadow in self._recording.averages_of(backend):
        shadow.assign(backend)
    self._build_optimizers()
    if self._program.train is None:
      (optimizer,) = self.optimizers
      optimizers_lib.build(optimizer, self._trainable())

  def _trainable(self):
    return [
      variable
      for spec, variable in zip(self._specs, self._variables, strict=True)
      if spec.trainable
    ]

  def _build_optimizers(self) -> None:
    with user_code.running('TF2', 'build_tf2_optimizer'):
      returned = self._program.build_optimizer()
    found = [leaf for _, leaf in nest.flatten(returned)]
    if self._program.train is None and len(found) != 1:
      raise errors.UsageError(
        f'build_tf2_optimizer returned {returned!r}; expected one optimizer. '
        'For a loop with several, override train_tf1 and train_tf2.'
      )
    if not found:
      raise errors.UsageError(
        f'build_tf2_optimizer returned {returned!r}; expected the optimizer, '
        'or a dict of the optimizers, that train_tf2 uses.'
      )
    for optimizer in found:
      optimizers_lib.check_optimizer(optimizer)
    self.optimizers = found

  def step(self, inputs: Any) -> dict[str, Any]:
    """Takes one training step; returns its tensors.

    It may be traced into a `tf.function`; what is not a tensor is kept here.
    """
    with _recorded(self.optimizers) as updates:
      if self._program.train is None:
        found = self._default_step(inputs)
      else:
        found = self._own_step(inputs)
    if tf.executing_eagerly():
      _require_values(updates)
    self._layout = [
      dataclasses.replace(update, gradients=[], learning_rate=None)
      for update in updates
    ]
    found['gradients'] = [
      [None if g is None else tf.convert_to_tensor(g) for g in u.gradients]
      for u in updates
    ]
    found['rates'] = [
      None if u.learning_rate is None else tf.convert_to_tensor(u.learning_rate)
      for u in updates
    ]
    return found

  def _default_step(self, inputs):
    program, (optimizer,) = self._program, self.optimizers
    trainable = self._trainable()
    with tf.GradientTape() as tape:
      outputs = program_lib.call_model(program, self.model, inputs, True)
      losses = model_lib.regularization_losses(self.model)
      parts = forward_lib.user_losses(program, outputs, inputs)
      loss = forward_lib.total(parts, losses)
      scaled = optimizers_lib.scaled_loss(optimizer, loss)
    gradients = tape.gradient(scaled, model_lib.backend_variables(trainable))
    connected = [i for i, g in enumerate(gradients) if g is not None]
    if not connected:
      raise errors.UsageError(
        'The loss on the TF2 side depends on no trainable variable, so there '
        'is nothing to train. Check compute_loss, and that the model lists its '
        'variables.'
      )
    with user_code.running('TF2', 'clip_gradients'):
      clipped = program.clip_gradients([gradients[i] for i in connected])
    clipped = tf1_training.check_clipped(clipped, len(connected), 'TF2')
    for i, gradient in zip(connected, clipped, strict=True):
      gradients[i] = gradient
    optimizer.apply_gradients(list(zip(gradients, trainable, strict=True)))
    self.structure = nest.describe(outputs)
    return {
      'outputs': {
        path: tf.convert_to_tensor(leaf) for path, leaf in nest.flatten(outputs)
      },
      'losses': losses,
      'loss': loss,
    }

  def _own_step(self, inputs):
    with user_code.running('TF2', 'train_tf2'):
      returned = self._program.train(self.model, inputs)
    outputs = dict(nest.flatten(tensors.expand_composites(returned)))
    for path, leaf in outputs.items():
      if not tensors.is_tensor(leaf) and not isinstance(
        leaf, (bool, int, float, np.ndarray, np.generic)
      ):
        raise errors.UsageError(
          f'train_tf2 returned a {type(leaf).__name__} at '
          f'{path or "the top"}; expected tensors.'
        )
    self.structure = nest.describe(outputs)
    return {
      'outputs': {p: tf.convert_to_tensor(leaf) for p, leaf in outputs.items()}
    }

  def observe(self, found) -> observation.StepObservation:
    """Turns what a step returned, and what it left behind, into arrays."""
    used = [id(update.optimizer) for update in self._layout]
    for optimizer in self.optimizers:
      parts = optimizers_lib.parts_of(optimizer)
      if not any(id(part) in used for part in parts):
        raise errors.UsageError(
          'The TF2 training step does not apply the '
          f'{type(optimizer).__name__} that build_tf2_optimizer returned. In '
          'train_tf2, use the very optimizers that it returned last (keep '
          'them: self.optimizer = ...).'
        )
    names = self._names()
    updates = [
      observation.UpdateObservation(
        optimizer=optimizers_lib.describe(update.optimizer),
        gradients={
          self._name(names, variable): _value(gradient)
          for variable, gradient in zip(
            update.variables, gradients, strict=True
          )
        },
        learning_rate=_value(rate),
        step=optimizers_lib.iterations_of(update.optimizer),
        made=self._recording.line_of(compat_optimizers.inner(update.optimizer)),
        scheduled=self._recording.line_of(
          compat_optimizers.keras_schedule(update.optimizer)
        ),
        applied=update.line,
      )
      for update, gradients, rate in zip(
        self._layout, found['gradients'], found['rates'], strict=True
      )
    ]
    return observation.StepObservation(
      outputs=[(p, _value(v)) for p, v in found['outputs'].items()],
      losses=[
        observation.RegularizationLoss((), _value(loss))
        for loss in found.get('losses', [])
      ],
      loss=_value(found.get('loss')),
      updates=updates,
      variables={
        spec.name: model_lib.value_of(variable)
        for spec, variable in zip(self._specs, self._variables, strict=True)
      },
      slots=self._slots(updates),
    )

  def variable_names(self) -> list[list[str]]:
    """Names of the variables of each update of the last step."""
    names = self._names()
    return [
      [self._name(names, variable) for variable in update.variables]
      for update in self._layout
    ]

  def _names(self):
    backends = model_lib.backend_variables(self._variables)
    return {
      id(backend): spec.name
      for spec, backend in zip(self._specs, backends, strict=True)
    }

  def _name(self, names, variable):
    (backend,) = model_lib.backend_variables([variable])
    return names.get(id(backend)) or model_lib.name_of(variable)

  def _slots(self, updates):
    found, names = {}, self._names()
    for seen, update in zip(self._layout, updates, strict=True):
      rate = update.learning_rate
      for variable in seen.variables:
        slots = optimizers_lib.slots_of(seen.optimizer, variable)
        for meaning, slot in slots.items():
          value = optimizers_lib.in_reference_terms(
            seen.optimizer,
            meaning,
            model_lib.value_of(slot),
            None if rate is None else float(rate),
          )
          found.setdefault(meaning, {})[self._name(names, variable)] = value
    for spec, backend in zip(
      self._specs, model_lib.backend_variables(self._variables), strict=True
    ):
      for shadow in self._recording.averages_of(backend):
        of_kind = found.setdefault(tf1_training.MOVING_AVERAGE, {})
        of_kind[spec.name] = shadow.numpy()
    return found

  def synchronize(self, step, variables, slots) -> None:
    """Sets the state that the next step starts from.

    Args:
      step: what the last step did.
      variables: values by name.
      slots: values by meaning and name, in the terms of `tf.compat.v1.train`.
    """
    for spec, variable in zip(self._specs, self._variables, strict=True):
      if spec.name in variables:
        model_lib.assign(variable, variables[spec.name])
    names = self._names()
    for seen, update in zip(self._layout, step.updates, strict=True):
      rate = update.learning_rate
      rate = None if rate is None else float(rate)
      velocity = optimizers_lib.keeps_velocity(seen.optimizer)
      for variable in seen.variables:
        name = self._name(names, variable)
        for meaning, values in slots.items():
          unknown = meaning == 'momentum' and velocity and not rate
          if name in values and not unknown:
            optimizers_lib.set_slot(
              seen.optimizer, variable, meaning, values[name], rate
            )
    averages = slots.get(tf1_training.MOVING_AVERAGE, {})
    for spec, backend in zip(
      self._specs, model_lib.backend_variables(self._variables), strict=True
    ):
      for shadow in self._recording.averages_of(backend):
        if spec.name in averages:
          shadow.assign(averages[spec.name])

  def name_losses(self, steps) -> None:
    """Tells which variables each regularization loss depends on."""
    if not any(step.losses for step in steps):
      return
    behind = model_lib.variables_behind_losses(self.model, self._variables)
    for step in steps:
      step.losses = [
        dataclasses.replace(loss, variables=names)
        for names, loss in zip(behind, step.losses, strict=True)
      ]


@contextlib.contextmanager
def _recorded(optimizers: Sequence[Any]):
  """Context whose value is the growing list of `_Update` of the optimizers."""
  updates = []
  with contextlib.ExitStack() as stack:
    parts = [p for each in optimizers for p in optimizers_lib.parts_of(each)]
    for optimizer in parts:
      # Of Keras 3, apply_gradients calls apply.
      is_keras_3 = compat.is_keras_3_object(optimizer)
      name = 'apply' if is_keras_3 else 'apply_gradients'
      original = getattr(optimizer, name)
      wrapper = _recording(optimizer, original, is_keras_3, updates)
      # Not by setattr, which Keras tracks.
      vars(optimizer)[name] = wrapper
      stack.callback(vars(optimizer).pop, name)
    yield updates


def _recording(optimizer, original, is_keras_3, updates):
  def record(gradients, variables):
    gradients = optimizers_lib.clipped(optimizer, gradients, variables)
    rate = optimizers_lib.learning_rate_of(optimizer)
    rate = None if rate is None else tf.identity(tf.convert_to_tensor(rate))
    updates.append(
      _Update(
        optimizer, list(variables), gradients, rate, source_lines.user_line(3)
      )
    )

  def apply(grads, trainable_variables=None):
    grads = list(grads)
    variables = trainable_variables
    if variables is None:
      variables = compat_optimizers.keras_trainable(optimizer)
    record(grads, variables)
    pairs = [
      (g, v) for g, v in zip(grads, variables, strict=True) if g is not None
    ]
    return original([g for g, _ in pairs], [v for _, v in pairs])

  def apply_gradients(grads_and_vars, *args, **kwargs):
    pairs = list(grads_and_vars)
    record([g for g, _ in pairs], [v for _, v in pairs])
    # Keras warns of variables without a gradient; the comparison names them.
    pairs = [(g, v) for g, v in pairs if g is not None]
    return original(pairs, *args, **kwargs)

  return apply if is_keras_3 else apply_gradients


def _value(tensor: Any) -> np.ndarray | None:
  return None if tensor is None else forward_lib.to_numpy(tensor)


def _require_values(updates) -> None:
  """Raises unless the gradients have values."""
  for update in updates:
    for gradient in update.gradients:
      tensor = getattr(gradient, 'values', gradient)
      if tensor is not None and not hasattr(tensor, 'numpy'):
        raise errors.UsageError(
          'An optimizer of train_tf2 runs inside a tf.function of its own (as '
          'in model.fit or train_on_batch), where its gradients cannot be '
          'observed. Apply it in train_tf2 itself, or compile the model with '
          'run_eagerly=True.'
        )
