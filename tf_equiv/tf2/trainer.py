"""A model with its optimizers, and the training step that they take."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.compat import optimizers as compat_optimizers
from tf_equiv.core import errors, nest, observation
from tf_equiv.tf1 import default_step, source_lines, tensors, user_code
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf2 import applied_gradients, plain_optimizers
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import optimizers as optimizers_lib
from tf_equiv.tf2 import program as program_lib


class Trainer:
  """A model, its optimizers, and the training step.

  Attributes:
    model: the model.
    structure: what the outputs look like, once a step was taken.
    optimizers: what build_tf2_optimizer returned last.
  """

  def __init__(
    self,
    program: program_lib.Program,
    model: Any,
    recording: updates_lib.Recording,
  ):
    """Takes a model, which need not have variables yet.

    Args:
      program: the user's TF2 code.
      model: the model.
      recording: sees where optimizers and moving averages are made.
    """
    self.model = model
    self.structure: nest.Structure | None = None
    self.optimizers: list[Any] = []
    self._program = program
    self._recording = recording
    self._retired: list[Any] = []
    self._specs: list[observation.VariableSpec] = []
    self._variables: list[Any] = []
    self._layout: list[applied_gradients.Update] = []

  @source_lines.calls_user
  def create_variables(self, batch: Any) -> None:
    """Calls the model once, or takes a step of the user's own."""
    if self._program.train is None:
      program_lib.call_model(self._program, self.model, batch, True)
      return
    self._build_optimizers()
    self._retired = self.optimizers
    self.step(batch)

  def without_optimizers(self, created: Sequence[Any]) -> list[Any]:
    """Leaves out the variables of optimizers and of moving averages."""
    owned = {
      id(variable)
      for optimizer in (*self.optimizers, *self._retired)
      for variable in model_lib.backend_variables(
        optimizers_lib.variables_of(optimizer)
      )
    }
    # A plain object may keep the variables that it trains.
    owned -= {
      id(variable)
      for update in self._layout
      for variable in model_lib.backend_variables(update.variables)
    }
    # An average may be created in a step, long after its variable.
    averaged = [record.variable for record in created]
    averaged += model_lib.backend_variables(self._variables)
    for variable in averaged:
      owned.update(id(v) for v in self._recording.averages_of(variable))
    return [record for record in created if id(record.variable) not in owned]

  @source_lines.calls_user
  def prepare(
    self,
    specs: list[observation.VariableSpec],
    variables: list[Any],
    created: Sequence[Any],
  ) -> None:
    """Puts all that a first step changed back, and builds the optimizers.

    Args:
      specs: describe the variables.
      variables: the variables of the model, which have their values.
      created: records of all that was created so far.
    """
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
      plain_optimizers.check_family(optimizer, self._trainable())
      with user_code.running('TF2', 'build_tf2_optimizer'):
        optimizers_lib.build(optimizer, self._trainable())

  def start_at(self, number: int) -> None:
    """Sets the counters of the optimizers, unless training just begins."""
    if number:
      for optimizer in self.optimizers:
        for part in optimizers_lib.parts_of(optimizer):
          optimizers_lib.set_iterations(part, number)

  def _trainable(self) -> list[Any]:
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

  @source_lines.calls_user
  def step(self, inputs: Any) -> dict[str, Any]:
    """Takes one training step; returns its tensors.

    It may be traced into a `tf.function`; what is not a tensor is kept here.
    """
    with applied_gradients.recorded(self.optimizers) as updates:
      if self._program.train is None:
        found = self._default_step(inputs)
      else:
        found = self._own_step(inputs)
    if tf.executing_eagerly():
      applied_gradients.require_values(updates)
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

  def _default_step(self, inputs: Any) -> dict[str, Any]:
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
    clipped = default_step.check_clipped(clipped, len(connected), 'TF2')
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

  def _own_step(self, inputs: Any) -> dict[str, Any]:
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

  def observe(self, found: dict[str, Any]) -> observation.StepObservation:
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
        slot_names={
          name: meaning
          for variable in update.variables
          for name, (meaning, _) in optimizers_lib.named_slots(
            update.optimizer, variable, update.variables
          ).items()
        },
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

  def _names(self) -> dict[int, str]:
    backends = model_lib.backend_variables(self._variables)
    return {
      id(backend): spec.name
      for spec, backend in zip(self._specs, backends, strict=True)
    }

  def _name(self, names: Mapping[int, str], variable: Any) -> str:
    (backend,) = model_lib.backend_variables([variable])
    return names.get(id(backend)) or model_lib.name_of(variable)

  def _slots(
    self, updates: Sequence[observation.UpdateObservation]
  ) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    names = self._names()
    for seen, update in zip(self._layout, updates, strict=True):
      rate = update.learning_rate
      for variable in seen.variables:
        slots = optimizers_lib.slots_of(
          seen.optimizer, variable, seen.variables
        )
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
        of_kind = found.setdefault(observation.MOVING_AVERAGE, {})
        of_kind[spec.name] = shadow.numpy()
    return found

  def synchronize(
    self,
    step: observation.StepObservation,
    variables: Mapping[str, np.ndarray],
    slots: Mapping[str, Mapping[str, np.ndarray]],
  ) -> None:
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
      used = update.learning_rate
      rate = None if used is None else float(used)
      velocity = optimizers_lib.keeps_velocity(seen.optimizer)
      for variable in seen.variables:
        name = self._name(names, variable)
        for meaning, values in slots.items():
          unknown = meaning == 'momentum' and velocity and not rate
          if name in values and not unknown:
            optimizers_lib.set_slot(
              seen.optimizer,
              variable,
              meaning,
              values[name],
              rate,
              seen.variables,
            )
    averages = slots.get(observation.MOVING_AVERAGE, {})
    for spec, backend in zip(
      self._specs, model_lib.backend_variables(self._variables), strict=True
    ):
      for shadow in self._recording.averages_of(backend):
        if spec.name in averages:
          shadow.assign(averages[spec.name])

  def name_losses(self, steps: Sequence[observation.StepObservation]) -> None:
    """Notes which variables each regularization loss depends on."""
    if not any(step.losses for step in steps):
      return
    behind = model_lib.variables_behind_losses(self.model, self._variables)
    for step in steps:
      step.losses = [
        dataclasses.replace(loss, variables=names)
        for names, loss in zip(behind, step.losses, strict=True)
      ]


def _value(tensor: Any) -> np.ndarray | None:
  return None if tensor is None else forward_lib.to_numpy(tensor)
