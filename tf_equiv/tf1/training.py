"""Runs training steps of the TF1 side, and observes each.

Every step runs in a session of its own, which starts with the variables that
the step before left: in a new session the random ops draw from the start, so
that the draws of all steps are the same, as they are on the TF2 side.
"""

import logging
import time
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import (
  custom_slots,
  jitter,
  optimizers,
  races,
  random_values,
  runner,
  source_lines,
  start_step,
  step_graph,
  tensors,
)
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import assignments

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')


def run(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  step: Optional[step_graph.Step] = None,
):
  """Runs the training steps of a plan.

  Args:
    program: the user's TF1 code.
    plan: what to run; it has `batches`.
    step: the graph of its training step, if there is one already.

  Returns:
    An `Observation` with `steps`. Its `weights` are the values before the
    first step, its `outputs` and `losses` those of the first step.

  Raises:
    UsageError: if a template method returns something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  if step is None:
    step = step_graph.build(program, plan)
  observed = describe(step)
  start = time.time()
  with program.behavior.active(), step.graph.as_default():
    values = initial_values(program, plan, step, observed)
    for i, batch in enumerate(plan.batches):
      _log.info('TF1: training step %d of %d', i + 1, len(plan.batches))
      feed = step.feed(batch)
      found: Dict[str, Any] = {}
      for phase in step.phases:
        before = values
        results, values = run_phase(step, phase, feed, values)
        if not i and phase is step.phases[0]:
          observed.jitter = _jitter(step, phase, feed, before, results)
        merge(found, results)
      observed.steps.append(_observe_step(step, found, values))
      if not i:
        observed.random_values = random_values.observe(
          found['random ops'], found.get('draws', [])
        )
  observed.seconds['TF1 run'] = time.time() - start
  observed.outputs = observed.steps[0].outputs
  observed.losses = observed.steps[0].losses
  return observed


def describe(step: step_graph.Step):
  """Returns an `Observation` of what is known before a session runs."""
  return observation.Observation(
    'TF1',
    environment=runner.environment(),
    variables=step.specs,
    optimizer_variables=list(step.optimizer_variables),
    depends_on_training=step.depends_on_training,
    races=list(step.races),
    notes=_notes(step),
    output_order=dict(step.output_order),
    draws=list(step.draws),
    structure=step.structure,
    seconds={'TF1 build': step.seconds},
  )


def _notes(step: step_graph.Step) -> List[str]:
  notes = [races.note(race) for race in step.races]
  if step.unknown:
    notes.append(unknown_note(step.unknown))
  return notes


def unknown_note(names: List[str]) -> str:
  """Returns what is not compared where updates are not known."""
  return (
    'not compared: gradients, slots, learning rate and hyperparameters of '
    f'{len(names)} variable(s) that the train op updates by ops of its own, '
    f'first {names[0]}'
  )


def initial_values(program, plan, step, observed) -> List[np.ndarray]:
  """Returns the values of all variables before the first step."""
  config = runner.session_config(step.graph)
  with v1.Session(graph=step.graph, config=config) as session:
    if plan.weights == plan_lib.SEEDED:
      session.run(step.initializers[0])
    else:
      runner.reset(session, program, step.model)
      # Last, because a moving average starts from the weights.
      session.run(step.initializers[1])
    values = session.run(step.variables)
  values = start_step.start_at(step, values, plan.start_step)
  by_name = {v.op.name: value for v, value in zip(step.variables, values)}
  observed.weights = [by_name[variable.op.name] for variable in step.model]
  return values


def run_phase(step, phase, feed, values):
  """Runs a phase in a new session; returns (results, values after it)."""
  with v1.Session(
    graph=step.graph, config=runner.session_config(step.graph)
  ) as session:
    runner.assign(session, step.variables, values)
    session.run(step.others)
    results = run_in(session, phase, feed)
    return results, session.run(step.variables)


def run_in(session, phase, feed) -> Dict[str, Any]:
  """Runs a phase in a session; returns its results by kind."""
  results, _ = session.run([phase.fetches, phase.operations], feed_dict=feed)
  results['random ops'] = list(phase.random_ops)
  results['updates'] = list(phase.updates)
  return results


def _jitter(step, phase, feed, values, results) -> Dict[str, float]:
  """Measures how far inputs one unit away move outputs and loss."""
  fetches, known = dict(phase.fetches['outputs']), dict(results['outputs'])
  if phase.fetches.get('loss') is not None:
    fetches[observation.LOSS] = phase.fetches['loss']
    known[observation.LOSS] = results['loss']
  draws = dict(zip(phase.fetches['draws'], results['draws']))
  with v1.Session(
    graph=step.graph, config=runner.session_config(step.graph)
  ) as session:
    runner.assign(session, step.variables, values)
    session.run(step.others)
    return jitter.measure(
      jitter.Ran(session, fetches, known, feed, draws),
      values,
      lambda moved: runner.assign(session, step.variables, moved),
      repeatable=False,
    )


def merge(found: Dict[str, Any], results: Dict[str, Any]) -> None:
  """Adds the results of a phase to those of the phases before it."""
  for kind, items in results.items():
    if kind in found and isinstance(items, dict):
      found[kind].update(items)
    elif kind in found:
      found[kind] += items
    else:
      found[kind] = items


def _observe_step(step, found, values) -> observation.StepObservation:
  by_name = {v.op.name: value for v, value in zip(step.variables, values)}
  updates = [
    _observe_update(update, gradients, rate, by_name, step)
    for update, gradients, rate in zip(
      found['updates'], found['gradients'], found['rates']
    )
  ]
  return observation.StepObservation(
    outputs=[(p, np.asarray(v)) for p, v in found['outputs'].items()],
    losses=[
      observation.RegularizationLoss(graph_lib.variables_behind(loss), value)
      for loss, value in zip(step.losses, found.get('losses', []))
    ],
    loss=found.get('loss'),
    updates=updates,
    variables={v.op.name: by_name[v.op.name] for v in step.model},
    slots=_slots(step, by_name),
    unknown=list(step.unknown),
    state={
      name: value
      for name, value in by_name.items()
      if name not in {v.op.name for v in step.model}
    },
  )


def _observe_update(update, gradients, rate, by_name, step):
  present = iter(gradients)
  counter = update.global_step
  return observation.UpdateObservation(
    optimizer=optimizers.describe(update.optimizer, update.own),
    gradients={
      variable.op.name: None if gradient is None else next(present)
      for variable, gradient in zip(update.variables, update.gradients)
    },
    learning_rate=rate[0] if rate else None,
    step=_counted(counter, by_name),
    made=step.recording.line_of(update.optimizer),
    scheduled=_line_of_rate(update.optimizer),
    applied=update.line,
    operations=assignments.operations(
      step_graph.operations_of(update.operation),
      {variable.op.name: variable.op.name for variable in update.variables},
    ),
    slot_names={
      name: meaning
      for variable in update.variables
      for name, (meaning, _) in _slots_of(step, update, variable).items()
    },
  )


def _line_of_rate(optimizer):
  rate = optimizers.learning_rate_of(optimizer)
  if not tensors.is_tensor(rate):
    return SourceLine()
  return source_lines.user_line_of_stack(compat.op_stack(rate.op))


def _counted(counter: Any, by_name) -> Optional[int]:
  return None if counter is None else int(by_name[counter.op.name])


def _slots_of(step, update, variable) -> Dict[str, Any]:
  """Returns {name: (meaning, slot)} of a variable."""
  found = {
    optimizers.name_of_slot(update.optimizer, meaning): (meaning, slot)
    for meaning, slot in optimizers.slots_of(update.optimizer, variable).items()
  }
  for finder in step.slots:
    if finder.update is update:
      others = finder.slots_of(variable)
      for name, meaning in custom_slots.meanings(others).items():
        found.setdefault(name, (meaning, others[name]))
  return found


def _slots(step, by_name) -> Dict[str, Dict[str, np.ndarray]]:
  return {
    meaning: {name: by_name[slot] for name, slot in slots.items()}
    for meaning, slots in slot_names(step).items()
  }


def slot_names(step: step_graph.Step) -> Dict[str, Dict[str, str]]:
  """Returns the name of each slot by its meaning, and name of the variable."""
  found: Dict[str, Dict[str, str]] = {}
  for update in step.recording.updates:
    for variable in update.variables:
      for meaning, slot in _slots_of(step, update, variable).values():
        found.setdefault(meaning, {})[variable.op.name] = slot.op.name
  for variable in step.model:
    for shadow in step.recording.averages_of(variable):
      of_kind = found.setdefault(observation.MOVING_AVERAGE, {})
      of_kind[variable.op.name] = shadow.op.name
  return found
