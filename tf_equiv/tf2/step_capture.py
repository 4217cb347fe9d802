"""Captures a training step of the TF2 side as a graph, by tracing it."""

import contextlib
from typing import Any

from tf_equiv import compat
from tf_equiv.core import nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import step_capture as tf1_step_capture
from tf_equiv.tf2 import built_model, training
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import optimizers as optimizers_lib
from tf_equiv.tf2 import program as program_lib


def capture(
  program: Any,
  plan: plan_lib.RunPlan,
  index: int,
  state_for: Any,
  reference: observation.Observation,
) -> capture_lib.Capture:
  """Traces a training step, with its losses, gradients and assignments.

  Args:
    program: the user's TF2 code.
    plan: what to run; its `inputs` are the batch of the step.
    index: number of the step, counted from 0.
    state_for: given what is known of the TF2 variables, returns the values of
      the variables before the step by name, and those of moving averages by
      name of the averaged variable.
    reference: the TF1 side, whose seeds are taken where the draws agree.

  Returns:
    The capture. Gradients are those that are applied, after clipping.

  Raises:
    CannotTraceError: if the step cannot be traced.
  """
  observed = observation.Observation('TF2')
  with contextlib.ExitStack() as stack:
    seeds, created = stack.enter_context(program_lib.environment(plan))
    recording = stack.enter_context(updates_lib.recorded())
    layer_lines = {}
    stack.enter_context(
      compat.keras_layers_seen(lambda x: built_model.note_layer(layer_lines, x))
    )
    batch = program_lib.input_tensors(plan.inputs)
    trainer = training.Trainer(
      program, program_lib.build_model(program), recording
    )
    trainer.create_variables(batch)
    of_model = trainer.without_optimizers(created)
    variables = built_model.describe_variables(
      observed, trainer.model, of_model
    )
    draws = seeds.replay(reference.draws)
    trainer.prepare(observed.variables, variables, created)
    if program.train is not None:
      # Optimizers create their slots in the first step only.
      seeds.repeat(draws)
      trainer.step(batch)
    values, averages = state_for(observed)
    _restore(trainer, observed, variables, recording, values, averages)
    for optimizer in trainer.optimizers:
      optimizers_lib.set_iterations(optimizer, index)
    seeds.repeat(draws)
    graph, inputs, found = tf2_capture.traced(trainer.step, batch)
    names, shadows = _names(trainer, observed, variables, recording)
    watched = [record.variable for record in created]
    watched += model_lib.backend_variables(variables)
    feeds, taken = tf2_capture.taken(graph, watched, names)
    behind = []
    if found.get('losses'):
      behind = model_lib.variables_behind_losses(trainer.model, variables)
    of_updates = trainer.variable_names()
  paths = dict(nest.flatten(inputs))
  feeds.update(
    (paths[path].name, value.numpy()) for path, value in nest.flatten(batch)
  )
  connected = [[g is not None for g in of] for of in found['gradients']]
  fetches = {
    **found,
    'gradients': [
      [g for g in of if g is not None] for of in found['gradients']
    ],
    'rates': [[] if rate is None else [rate] for rate in found['rates']],
  }
  captured = capture_lib.Capture(
    'TF2',
    graph,
    tf1_step_capture.targets_of(
      fetches, of_updates, connected, [', '.join(names) for names in behind]
    ),
    feeds,
    {tensor.name: path for path, tensor in paths.items()},
    taken,
    layer_lines,
  )
  others = [s.name for s in observed.variables if not s.trainable]
  capture_lib.add_assignments(
    captured,
    graph.get_operations(),
    tf1_step_capture.labels_of(others, shadows),
  )
  return captured


def _restore(trainer, observed, variables, recording, values, averages):
  """Sets the state from which the step starts."""
  backends = model_lib.backend_variables(variables)
  for spec, variable, backend in zip(
    observed.variables, variables, backends, strict=True
  ):
    if spec.name in values:
      model_lib.assign(variable, values[spec.name])
    for shadow in recording.averages_of(backend):
      shadow.assign(averages.get(spec.name, values.get(spec.name, shadow)))


def _names(trainer, observed, variables, recording):
  """Returns what variables are called by id, and which average is of which."""
  names, shadows = {}, {}
  backends = model_lib.backend_variables(variables)
  for spec, backend in zip(observed.variables, backends, strict=True):
    names[id(backend)] = spec.name
    for shadow in recording.averages_of(backend):
      names[id(shadow)] = spec.name + '/ExponentialMovingAverage'
      shadows[names[id(shadow)]] = spec.name
  for optimizer in trainer.optimizers:
    for counter in model_lib.backend_variables(
      optimizers_lib.counters_of(optimizer)
    ):
      names[id(counter)] = tf1_step_capture.COUNTER
  return names, shadows
