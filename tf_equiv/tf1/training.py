"""Runs training steps of the TF1 side, and observes each.

Every step runs in a session of its own, which starts with the variables that
the step before left: in a new session the random ops draw from the start, so
that the draws of all steps are the same, as they are on the TF2 side.
"""

import dataclasses
import logging
import time
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import (
  jitter,
  optimizers,
  random_values,
  runner,
  source_lines,
  tensors,
  user_code,
)
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf1.capture import assignments

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')

MOVING_AVERAGE = observation.MOVING_AVERAGE


@dataclasses.dataclass
class _Phase:
  """What one run of the session does.

  Attributes:
    fetches: tensors whose values are wanted, by kind.
    operations: what else is run.
    updates: applications of gradients that happen in it.
    random_ops: random ops that run in it.
  """

  fetches: Dict[str, Any]
  operations: List[Any]
  updates: List[updates_lib.Update]
  random_ops: List[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Step:
  """The training step as a graph, which any number of sessions may run.

  Attributes:
    graph: the graph.
    inputs: nest of placeholders.
    phases: what runs, one after another.
    losses: regularization losses, in the order of their fetches.
    structure: what the outputs look like.
    recording: the optimizers' updates.
    variables: all global variables.
    model: those among them that belong to the model.
    optimizer_variables: names of the others, which belong to optimizers.
    initializers: initializes all variables, and those that are no part of the
      model.
    others: what else a session needs before it can run.
    depends_on_training: see `Observation`.
    output_order: see `Observation`.
    draws: ledger of the draws.
    seconds: wall time of the build.
  """

  graph: Any
  inputs: Any
  phases: List[_Phase]
  losses: List[Any]
  structure: nest.Structure
  recording: updates_lib.Recording
  variables: List[Any]
  model: List[Any]
  optimizer_variables: List[str]
  initializers: Tuple[Any, Any]
  others: List[Any]
  depends_on_training: bool = False
  output_order: Dict[str, int] = dataclasses.field(default_factory=dict)
  draws: List[Any] = dataclasses.field(default_factory=list)
  seconds: float = 0.0

  @property
  def specs(self) -> List[observation.VariableSpec]:
    """Descriptions of the model's variables."""
    return [graph_lib.spec_of(variable) for variable in self.model]


def build(program: program_lib.Program, plan: plan_lib.RunPlan) -> Step:
  """Builds the training step of a plan in a fresh graph.

  Args:
    program: the user's TF1 code.
    plan: what to build; it has `batches`.

  Returns:
    The step.

  Raises:
    UsageError: if a template method returns something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  start = time.time()
  graph = tf.Graph()
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  with program.behavior.active(), seeds, graph.as_default():
    _log.info('TF1: building the training graph (%s)', plan.describe())
    step = _build(program, plan, graph)
    step.draws = seeds.draws
  step.seconds = time.time() - start
  return step


def run(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  step: Optional[Step] = None,
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
    step = build(program, plan)
  observed = describe(step)
  start = time.time()
  with program.behavior.active(), step.graph.as_default():
    values = _initial_values(program, plan, step, observed)
    for i, batch in enumerate(plan.batches):
      _log.info('TF1: training step %d of %d', i + 1, len(plan.batches))
      feed = _feed(step.inputs, batch)
      found = {}  # type: Dict[str, Any]
      for phase in step.phases:
        before = values
        results, values = _run_phase(step, phase, feed, values)
        if not i and phase is step.phases[0]:
          observed.jitter = _jitter(step, phase, feed, before, results)
        _merge(found, results)
      observed.steps.append(_observe(step, found, values))
      if not i:
        observed.random_values = random_values.observe(
          found['random ops'], found.get('draws', [])
        )
  observed.seconds['TF1 run'] = time.time() - start
  observed.outputs = observed.steps[0].outputs
  observed.losses = observed.steps[0].losses
  return observed


def describe(step: Step):
  """Returns an `Observation` of what is known before a session runs."""
  return observation.Observation(
    'TF1',
    environment=runner.environment(),
    variables=step.specs,
    optimizer_variables=list(step.optimizer_variables),
    depends_on_training=step.depends_on_training,
    output_order=dict(step.output_order),
    draws=list(step.draws),
    structure=step.structure,
    seconds={'TF1 build': step.seconds},
  )


def _build(program, plan, graph) -> Step:
  inputs = graph_lib.placeholders(plan.inputs)
  losses, depends, order = [], False, {}  # type: List[Any], bool, Dict
  with updates_lib.recorded() as recording:
    if program.train is None:
      outputs = graph_lib.build_outputs(program, inputs, plan, graph)
      losses = list(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
      depends = graph_lib.is_stochastic_or_updates(outputs)
      fetches = _fetched(outputs, losses)
      if program.step is None:
        operation = _default_step(program, outputs, inputs, fetches)
      else:
        loss, operation = program.step(recording)
        fetches.update({} if loss is None else {'loss': loss})
      phases = [_Phase(fetches, [operation], recording.updates)]
      structure = nest.describe(outputs)
      order = graph_lib.order_of(graph, fetches['outputs'])
    else:
      phases, structure = _own_step(program, inputs, recording.updates, graph)
  for phase in phases:
    _fetch_updates(phase)
    _fetch_draws(phase)
  variables = list(v1.global_variables())
  owned = owned_by_optimizers(recording, variables)
  rest = [v for v in variables if v.op.name in owned]
  return Step(
    graph=graph,
    inputs=inputs,
    phases=phases,
    losses=losses,
    structure=structure,
    recording=recording,
    variables=variables,
    model=[v for v in variables if v.op.name not in owned],
    optimizer_variables=sorted(owned),
    # All ops are made before the first session runs.
    initializers=tuple(
      v1.variables_initializer(each) for each in (variables, rest)
    ),
    others=[v1.local_variables_initializer(), v1.tables_initializer()],
    depends_on_training=depends,
    output_order=order,
  )


def _fetched(outputs, losses):
  return {
    'outputs': {
      path: leaf if tensors.is_tensor(leaf) else tf.constant(leaf)
      for path, leaf in nest.flatten(outputs)
    },
    'losses': losses,
  }


def _default_step(program, outputs, inputs, fetches):
  """Builds loss, gradients and their application, as TF1 code does."""
  _, loss = losses_lib.total_loss(program, outputs, inputs)
  fetches['loss'] = loss
  losses = fetches['losses']
  with user_code.running('TF1', 'build_tf1_optimizer'):
    optimizer = program.build_optimizer()
  if not optimizers.is_v1_optimizer(optimizer):
    raise errors.UsageError(
      f'build_tf1_optimizer returned {optimizer!r}; expected an optimizer of '
      'tf.compat.v1.train. For a loop with several optimizers, or with those '
      'of another library, override train_tf1 and train_tf2.'
    )
  trainable = [v for v in v1.global_variables() if v.trainable]
  pairs = optimizer.compute_gradients(loss, trainable) if trainable else []
  connected = [
    i for i, (gradient, _) in enumerate(pairs) if gradient is not None
  ]
  if not connected:
    raise errors.UsageError(
      'The loss on the TF1 side depends on no trainable variable, so there is '
      'nothing to train. Check compute_loss.'
    )
  with user_code.running('TF1', 'clip_gradients'):
    clipped = program.clip_gradients([pairs[i][0] for i in connected])
  clipped = check_clipped(clipped, len(connected), 'TF1')
  for i, gradient in zip(connected, clipped):
    pairs[i] = (gradient, pairs[i][1])
  before = [loss] + losses + list(fetches['outputs'].values())
  if program.update_ops:
    before += v1.get_collection(v1.GraphKeys.UPDATE_OPS)
  # What is fetched is computed before the update overwrites the variables.
  with tf.control_dependencies(before):
    return optimizer.apply_gradients(
      pairs, global_step=v1.train.get_or_create_global_step()
    )


def check_clipped(clipped: Any, count: int, side: str) -> List[Any]:
  """Returns what `clip_gradients` returned if it is as many gradients.

  Raises:
    UsageError: if it is something else.
  """
  if not isinstance(clipped, (list, tuple)) or len(clipped) != count:
    raise errors.UsageError(
      'clip_gradients returned %s on the %s side; expected a list of the %d '
      'gradients that it was given, in their order. '
      '(tf.clip_by_global_norm returns them together with the norm.)'
      % (
        f'{len(clipped)} items'
        if isinstance(clipped, (list, tuple))
        else 'a ' + type(clipped).__name__,
        side,
        count,
      )
    )
  return list(clipped)


def _own_step(program, inputs, updates, graph):
  """Builds the user's own training step; returns (phases, structure)."""
  with user_code.running('TF1', 'train_tf1'):
    returned = program.train(inputs)
  if returned is None or returned == []:
    raise errors.UsageError(
      f'train_tf1 returned {returned!r}; return a dict of the tensors to '
      'compare in each step and of the operations to run, or a list of such '
      'dicts that are run one after another.'
    )
  parts = returned if isinstance(returned, list) else [returned]
  phases, seen, quantities = [], {}, {}
  for i, part in enumerate(parts):
    fetches, operations = {}, []
    for path, leaf in nest.flatten(tensors.expand_composites(part)):
      if path in seen and len(parts) > 1 and not _is_operation(leaf):
        raise errors.UsageError(
          f'train_tf1 returned {path or "a tensor"!r} in part '
          f'{seen[path] + 1} and in part {i + 1}; give each quantity a name '
          'of its own.'
        )
      if _is_operation(leaf):
        operations.append(leaf)
        continue
      seen[path] = i
      if (
        not tensors.is_tensor(leaf) or getattr(leaf, 'graph', None) is not graph
      ):
        raise errors.UsageError(
          f'train_tf1 returned a {type(leaf).__name__} at '
          f'{path or "the top"}; expected tensors and operations of the graph '
          'in which it is called.'
        )
      fetches[path] = tf.convert_to_tensor(leaf)
    quantities.update(_without_operations(part))
    phases.append(_Phase({'outputs': fetches}, operations, []))
  _share_out(updates, phases)
  return phases, nest.describe(quantities)


def _is_operation(leaf: Any) -> bool:
  return isinstance(leaf, tf.Operation)


def _without_operations(part: Any) -> Dict[str, Any]:
  """Returns {path: leaf} of the tensors; the structure is that of the paths."""
  return {
    path: leaf
    for path, leaf in nest.flatten(tensors.expand_composites(part))
    if not _is_operation(leaf)
  }


def _share_out(updates, phases) -> None:
  """Tells for each update in which phase it happens."""
  for update in updates:
    for phase in phases:
      targets = phase.operations + [
        t.op for t in phase.fetches['outputs'].values()
      ]
      if _reaches(targets, _operation_of(update.operation)):
        phase.updates.append(update)
        break
    else:
      raise errors.UsageError(
        f'train_tf1 applies the gradients of {len(update.variables)} '
        f'variable(s), first {update.variables[0].op.name}, with '
        f'{type(update.optimizer).__name__}, but nothing that it returns runs '
        'this update. Return the train op.'
      )
  if not updates:
    raise errors.UsageError(
      'train_tf1 applied no gradients with an optimizer of '
      'tf.compat.v1.train, so there is no training step to compare.'
    )


def _operation_of(applied: Any):
  return applied if _is_operation(applied) else applied.op


def _reaches(targets, operation) -> bool:
  """Tells whether running the targets runs the operation."""
  seen, pending = set(), list(targets)
  while pending:
    op = pending.pop()
    if op is operation:
      return True
    if op.name in seen:
      continue
    seen.add(op.name)
    pending.extend(op.control_inputs)
    pending.extend(tensor.op for tensor in op.inputs)
  return False


def _fetch_updates(phase: _Phase) -> None:
  """Adds the gradients and learning rates of a phase to its fetches."""
  gradients, rates = [], []
  for update in phase.updates:
    gradients.append(
      [
        tf.convert_to_tensor(gradient)
        for gradient in update.gradients
        if gradient is not None
      ]
    )
    rate = optimizers.learning_rate_of(update.optimizer)
    rates.append([] if rate is None else [tf.convert_to_tensor(rate)])
  phase.fetches.update(gradients=gradients, rates=rates)


def _fetch_draws(phase: _Phase) -> None:
  """Adds what the random ops of a phase draw to its fetches."""
  outputs = list(phase.fetches['outputs'].values())
  losses = list(phase.fetches.get('losses', []))
  targets = [tensor.op for tensor in outputs + losses]
  phase.random_ops = random_values.random_ops(targets + phase.operations)
  phase.fetches['draws'] = [op.outputs[0] for op in phase.random_ops]


def owned_by_optimizers(recording, variables):
  """Returns names of variables that are no part of the model.

  Args:
    recording: what the optimizers did.
    variables: all variables, of which some may have moving averages.

  Returns:
    Names of slots, counters and moving averages.
  """
  owned = set(recording.owned)
  for update in recording.updates:
    for variable in update.variables:
      slots = optimizers.all_variables_of(update.optimizer, variable)
      owned.update(slot.op.name for slot in slots)
    owned.update(
      other.op.name for other in optimizers.other_variables_of(update.optimizer)
    )
    if update.global_step is not None:
      owned.add(update.global_step.op.name)
  for variable in variables:
    owned.update(v.op.name for v in recording.averages_of(variable))
  return owned


def _initial_values(program, plan, step, observed) -> List[np.ndarray]:
  """Returns the values of all variables before the first step."""
  with v1.Session(config=runner.session_config()) as session:
    if plan.weights == plan_lib.SEEDED:
      session.run(step.initializers[0])
    else:
      values = runner.fixed_weights(program.reset_weights, observed.variables)
      runner.assign(session, step.model, values)
      # Last, because a moving average starts from the weights.
      session.run(step.initializers[1])
    values = session.run(step.variables)
  by_name = {v.op.name: value for v, value in zip(step.variables, values)}
  observed.weights = [by_name[variable.op.name] for variable in step.model]
  return values


def _feed(inputs: Any, batch: Any) -> Dict[Any, np.ndarray]:
  arrays = dict(nest.flatten(batch))
  return {
    placeholder: arrays[path] for path, placeholder in nest.flatten(inputs)
  }


def _run_phase(step, phase, feed, values):
  """Runs a phase in a new session; returns (results, values after it)."""
  with v1.Session(graph=step.graph, config=runner.session_config()) as session:
    runner.assign(session, step.variables, values)
    session.run(step.others)
    results, _ = session.run([phase.fetches, phase.operations], feed_dict=feed)
    results['random ops'] = list(phase.random_ops)
    results['updates'] = list(phase.updates)
    return results, session.run(step.variables)


def _jitter(step, phase, feed, values, results) -> Dict[str, float]:
  """Tells how far inputs that are one unit away move outputs and loss."""
  fetches = {'outputs': dict(phase.fetches['outputs'])}
  known = {'outputs': dict(results['outputs'])}
  if phase.fetches.get('loss') is not None:
    fetches['outputs'][observation.LOSS] = phase.fetches['loss']
    known['outputs'][observation.LOSS] = results['loss']
  draws = dict(zip(phase.fetches['draws'], results['draws']))
  with v1.Session(graph=step.graph, config=runner.session_config()) as session:
    runner.assign(session, step.variables, values)
    session.run(step.others)
    return jitter.measure(
      session,
      fetches,
      known,
      feed,
      draws,
      values,
      lambda moved: runner.assign(session, step.variables, moved),
      repeatable=False,
    )


def _merge(found: Dict[str, Any], results: Dict[str, Any]) -> None:
  for kind, items in results.items():
    if kind in found and isinstance(items, dict):
      found[kind].update(items)
    elif kind in found:
      found[kind] += items
    else:
      found[kind] = items


def _observe(step, found, values) -> observation.StepObservation:
  by_name = {v.op.name: value for v, value in zip(step.variables, values)}
  updates = [
    _observe_update(update, gradients, rate, by_name, step.recording)
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
    state={
      name: value
      for name, value in by_name.items()
      if name not in {v.op.name for v in step.model}
    },
  )


def _observe_update(update, gradients, rate, by_name, recording):
  present = iter(gradients)
  counter = update.global_step
  return observation.UpdateObservation(
    optimizer=optimizers.describe(update.optimizer),
    gradients={
      variable.op.name: None if gradient is None else next(present)
      for variable, gradient in zip(update.variables, update.gradients)
    },
    learning_rate=rate[0] if rate else None,
    step=_counted(counter, by_name),
    made=recording.line_of(update.optimizer),
    scheduled=_line_of_rate(update.optimizer),
    applied=update.line,
    operations=assignments.operations(
      [_operation_of(update.operation)],
      {variable.op.name: variable.op.name for variable in update.variables},
    ),
  )


def _line_of_rate(optimizer):
  rate = optimizers.learning_rate_of(optimizer)
  if not tensors.is_tensor(rate):
    return SourceLine()
  return source_lines.user_line_of_stack(compat.op_stack(rate.op))


def _counted(counter: Any, by_name) -> Optional[int]:
  return None if counter is None else int(by_name[counter.op.name])


def _slots(step, by_name) -> Dict[str, Dict[str, np.ndarray]]:
  found = {}  # type: Dict[str, Dict[str, np.ndarray]]
  for update in step.recording.updates:
    for variable in update.variables:
      slots = optimizers.slots_of(update.optimizer, variable)
      for meaning, slot in slots.items():
        of_kind = found.setdefault(meaning, {})
        of_kind[variable.op.name] = by_name[slot.op.name]
  for variable in step.model:
    for shadow in step.recording.averages_of(variable):
      of_kind = found.setdefault(MOVING_AVERAGE, {})
      of_kind[variable.op.name] = by_name[shadow.op.name]
  return found
