"""The training step of TF1 as a graph that can be run again, op by op."""

from typing import Any, Dict, List, Mapping

import numpy as np
import tensorflow as tf

from tf_equiv.core import capture_errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import runner, step_graph, walks
from tf_equiv.tf1.capture import capture as capture_lib

v1 = tf.compat.v1

RATE = 'learning rate'
AVERAGE = f'slots ({observation.MOVING_AVERAGE})'
COUNTER = 'global_step'


def capture(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  weights: Mapping[str, np.ndarray],
  state: Mapping[str, np.ndarray],
) -> capture_lib.Capture:
  """Captures the graph of a training step.

  Args:
    program: the user's TF1 code.
    plan: what to build; its `inputs` are the batch of the step.
    weights: values of the model's variables before the step, by name.
    state: the same of all others (slots, counters, averages); those that are
      not given are initialized.

  Returns:
    The capture. Gradients are those that are applied, after clipping.

  Raises:
    NotOneGraphError: if the step takes several runs of the session.
  """
  step = step_graph.build(program, plan)
  if len(step.phases) != 1:
    raise capture_errors.NotOneGraphError('TF1 takes several runs for a step')
  (phase,) = step.phases
  graph = step.graph
  with program.behavior.active(), graph.as_default():
    values = _values(step, {**weights, **state})
  variables = step.variables + graph.get_collection(
    v1.GraphKeys.LOCAL_VARIABLES
  )
  counters = {
    u.global_step.op.name for u in phase.updates if u.global_step is not None
  }
  captured = capture_lib.Capture(
    'TF1',
    graph,
    targets_of(
      phase.fetches,
      [[v.op.name for v in update.variables] for update in phase.updates],
      [[g is not None for g in update.gradients] for update in phase.updates],
      [', '.join(graph_lib.variables_behind(x)) for x in step.losses],
    ),
    {
      placeholder.name: dict(nest.flatten(plan.inputs))[path]
      for path, placeholder in nest.flatten(step.inputs)
    },
    {tensor.name: path for path, tensor in nest.flatten(step.inputs)},
    {
      v.op.name: (
        COUNTER if v.op.name in counters else v.op.name,
        values[v.op.name],
      )
      for v in variables
    },
  )
  roots = phase.operations + [t.op for t in phase.fetches['outputs'].values()]
  averages = {
    shadow.op.name: v.op.name
    for v in step.model
    for shadow in step.recording.averages_of(v)
  }
  labels = labels_of(
    [v.op.name for v in step.model if not v.trainable], averages
  )
  capture_lib.add_assignments(
    captured, walks.ancestors(roots, control=True), labels
  )
  return captured


def labels_of(
  others: List[str], averages: Dict[str, str]
) -> Dict[str, capture_lib.Label]:
  """Returns the label of what is assigned, by name of the variable.

  Args:
    others: names of the model's variables that are not trained.
    averages: name of the averaged variable by that of its moving average.
  """
  labels = {name: (capture_lib.UPDATED, name) for name in others}
  labels.update((own, (AVERAGE, name)) for own, name in averages.items())
  return labels


def _values(step, given) -> Dict[str, np.ndarray]:
  """Values of all variables, initialized where they are not given."""
  with v1.Session(
    graph=step.graph, config=runner.session_config(step.graph)
  ) as session:
    session.run([v.initializer for v in step.variables])
    known = [v for v in step.variables if v.op.name in given]
    runner.assign(session, known, [given[v.op.name] for v in known])
    session.run(step.others)
    variables = step.variables + v1.local_variables()
    found = session.run(list(variables))
  return {v.op.name: value for v, value in zip(variables, found)}


def targets_of(
  fetches: Dict[str, Any],
  names: List[List[str]],
  connected: List[List[bool]],
  behind: List[str],
) -> Dict[capture_lib.Label, Any]:
  """Labels the tensors of a training step of either side.

  Args:
    fetches: outputs by path; losses; the loss; for each application of
      gradients, those that are connected, and in `rates` a list of at most one
      tensor.
    names: for each application, the names of its variables.
    connected: for each application, which of them have a gradient.
    behind: for each regularization loss, the variables behind it.

  Returns:
    Tensors by label. A variable that is trained twice in a step is left out.
  """
  targets = {}
  for path, tensor in fetches['outputs'].items():
    targets[capture_lib.OUTPUT, capture_lib.OUTPUT + path] = tensor
  for i, tensor in enumerate(fetches.get('losses', [])):
    targets[capture_lib.LOSS, behind[i] or str(i)] = tensor
  if fetches.get('loss') is not None:
    targets[capture_lib.TOTAL, capture_lib.TOTAL] = fetches['loss']
  every = [name for of_update in names for name in of_update]
  for of_update, present, gradients in zip(
    names, connected, fetches['gradients']
  ):
    found = iter(gradients)
    for name, is_there in zip(of_update, present):
      gradient = next(found) if is_there else None
      if gradient is not None and every.count(name) == 1:
        targets[capture_lib.GRADIENT, name] = gradient
  if len(fetches['rates']) == 1 and fetches['rates'][0]:
    targets[RATE, RATE] = fetches['rates'][0][0]
  return targets
