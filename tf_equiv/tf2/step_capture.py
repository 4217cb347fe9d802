"""Captures a training step of the TF2 side as a graph, by tracing it."""

from typing import Any

from tf_equiv.core import nest, observation
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import step_capture as tf1_step_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import optimizers as optimizers_lib
from tf_equiv.tf2 import program as program_lib
from tf_equiv.tf2 import training


def capture(
  candidate: training.Candidate,
  batch: Any,
  index: int,
  state: tuple[tf2_capture.Values, tf2_capture.Values],
  reference: observation.Observation,
) -> capture_lib.Capture:
  """Traces a training step, with its losses, gradients and assignments.

  Args:
    candidate: the model, whose variables were created with this batch.
    batch: nest of arrays.
    index: number of the step, counted from 0.
    state: the values of the variables before the step by name, and those of
      moving averages by name of the averaged variable.
    reference: the TF1 side, whose seeds are taken where the draws agree.

  Returns:
    The capture. Gradients are those that are applied, after clipping.

  Raises:
    CannotTraceError: if the step cannot be traced.
  """
  trainer, observed = candidate.trainer, candidate.variables
  variables = candidate.of_model
  batch = program_lib.input_tensors(batch)
  with candidate.continued(reference) as (seeds, created, draws):
    trainer.prepare(observed.variables, variables, candidate.created)
    if candidate.has_own_step:
      # Optimizers create their slots in the first step only.
      seeds.repeat(draws)
      trainer.step(batch)
    _restore(candidate, *state)
    for optimizer in trainer.optimizers:
      optimizers_lib.set_iterations(optimizer, candidate.start_step + index)
    seeds.repeat(draws)
    graph, inputs, found = tf2_capture.traced(trainer.step, batch)
    names, shadows = _names(candidate)
    watched = [r.variable for r in [*candidate.created, *created]]
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
    candidate.layer_lines,
  )
  others = [s.name for s in observed.variables if not s.trainable]
  capture_lib.add_assignments(
    captured,
    graph.get_operations(),
    tf1_step_capture.labels_of(others, shadows),
  )
  return captured


def _restore(
  candidate: training.Candidate,
  values: tf2_capture.Values,
  averages: tf2_capture.Values,
) -> None:
  """Sets the state from which the step starts."""
  variables = candidate.of_model
  backends = model_lib.backend_variables(variables)
  for spec, variable, backend in zip(
    candidate.variables.variables, variables, backends, strict=True
  ):
    if spec.name in values:
      model_lib.assign(variable, values[spec.name])
    for shadow in candidate.recording.averages_of(backend):
      shadow.assign(averages.get(spec.name, values.get(spec.name, shadow)))


def _names(
  candidate: training.Candidate,
) -> tuple[dict[int, str], dict[str, str]]:
  """Returns what variables are called by id, and which average is of which."""
  names, shadows = {}, {}
  backends = model_lib.backend_variables(candidate.of_model)
  for spec, backend in zip(
    candidate.variables.variables, backends, strict=True
  ):
    names[id(backend)] = spec.name
    for shadow in candidate.recording.averages_of(backend):
      names[id(shadow)] = spec.name + '/ExponentialMovingAverage'
      shadows[names[id(shadow)]] = spec.name
  for optimizer in candidate.trainer.optimizers:
    for counter in model_lib.backend_variables(
      optimizers_lib.counters_of(optimizer)
    ):
      names[id(counter)] = tf1_step_capture.COUNTER
  return names, shadows
