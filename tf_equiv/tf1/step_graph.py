"""Builds the graph of a training step, the default one or the user's own."""

import dataclasses
import logging
import time
from typing import Any, Dict, List, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import (
  counters,
  custom_slots,
  default_step,
  function_bodies,
  optimizer_state,
  optimizers,
  races,
  random_values,
  source_lines,
  tensors,
  user_code,
  walks,
)
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf1.capture import assignments

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')


@dataclasses.dataclass
class Phase:
  """What one run of a session does.

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

  @property
  def roots(self) -> List[Any]:
    """The ops that the user's step runs in it."""
    fetches = list(self.fetches['outputs'].values())
    fetches += self.fetches.get('losses', [])
    if self.fetches.get('loss') is not None:
      fetches.append(self.fetches['loss'])
    return self.operations + [tensor.op for tensor in fetches]


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
    races: see `Observation`.
    slots: for each update by its position, finds the slots that its optimizer
      made as variables of its own.
    unknown: names of variables of the model that are trained by ops of the
      user's own, so that their gradients are not known.
    seconds: wall time of the build.
  """

  graph: Any
  inputs: Any
  phases: List[Phase]
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
  races: List[observation.Race] = dataclasses.field(default_factory=list)
  slots: List[custom_slots.Finder] = dataclasses.field(default_factory=list)
  unknown: List[str] = dataclasses.field(default_factory=list)
  seconds: float = 0.0

  @property
  def specs(self) -> List[observation.VariableSpec]:
    """Descriptions of the model's variables."""
    return graph_lib.specs_of(self.model)

  def feed(self, batch: Any) -> Dict[Any, np.ndarray]:
    """Returns what to feed for a batch, by placeholder."""
    return graph_lib.feed(self.inputs, batch)


@source_lines.calls_user
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


def _build(program, plan, graph) -> Step:
  inputs = graph_lib.placeholders(plan.inputs)
  losses: List[Any] = []
  depends = False
  order: Dict[str, int] = {}
  with updates_lib.recorded() as recording, counters.adopted(graph):
    if program.train is None:
      outputs = graph_lib.build_outputs(program, inputs, plan, graph)
      losses = losses_lib.regularization_losses()
      depends = graph_lib.is_stochastic_or_updates(outputs)
      fetches = graph_lib.fetched(outputs, losses)
      made = len(recording.updates)
      if program.step is None:
        operation = default_step.build(
          program, (outputs, inputs), fetches, recording
        )
      else:
        made = 0  # The train op is one that was made with the model.
        loss, operation = program.step(recording)
        fetches.update({} if loss is None else {'loss': loss})
      phases = [Phase(fetches, [operation], recording.updates[made:])]
      structure = nest.describe(outputs)
      order = graph_lib.order_of(graph, fetches['outputs'])
    else:
      phases, structure = _own_step(program, inputs, graph)
  variables = list(v1.global_variables())
  roots = _roots(phases)
  found_races = [race for phase in phases for race in races.find(phase.roots)]
  owned = optimizer_state.owned(recording, variables, roots)
  if program.train is not None:
    optimizer_state.drop_idle(recording, roots)
  unknown = _share_out(recording.updates, phases, variables)
  for phase in phases:
    _fetch_updates(phase)
    _fetch_draws(phase)
  ops = list(walks.ancestors(roots, control=True))
  averages = {
    shadow.op.name for v in variables for shadow in recording.averages_of(v)
  }
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
    races=found_races,
    slots=[
      custom_slots.Finder(
        update, [v for v in rest if v.op.name not in averages], ops
      )
      for update in recording.updates
    ],
    # Where the step is no method of the test case, others know them.
    unknown=unknown if program.step is None else [],
  )


@source_lines.calls_user
def _own_step(program, inputs, graph):
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
    phases.append(Phase({'outputs': fetches}, operations, []))
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


def _share_out(updates, phases, variables) -> List[str]:
  """Assigns each update to the phase in which it happens.

  Returns:
    Names of the trainable variables that something else updates.
  """
  if any(phase.updates for phase in phases):
    (phase,) = phases
    phase.updates[:] = [_with_counter(each, phase) for each in phase.updates]
    # A model may come with a train op of its own, which does not run here.
    updates[:] = phase.updates
    return []
  for i, update in enumerate(updates):
    for phase in phases:
      if _reaches(phase.roots, operations_of(update.operation)):
        updates[i] = _with_counter(update, phase)
        phase.updates.append(updates[i])
        break
    else:
      raise errors.UsageError(
        f'train_tf1 applies the gradients of {len(update.variables)} '
        f'variable(s), first {update.variables[0].op.name}, with '
        f'{type(update.optimizer).__name__}, but nothing that it returns runs '
        'this update. Return the train op.'
      )
  known = {v.op.name for update in updates for v in update.variables}
  names = {v.op.name: v.op.name for v in variables if v.trainable}
  others = set(assignments.operations(_roots(phases), names)) - known
  if not updates and not others:
    raise errors.UsageError(
      'train_tf1 applied no gradients with an optimizer of '
      'tf.compat.v1.train, and nothing that it returns updates a trainable '
      'variable, so there is no training step to compare. Return the train op.'
    )
  return sorted(others)


def _with_counter(update, phase) -> updates_lib.Update:
  """Returns an update without a global step that it was given in vain."""
  step = update.global_step
  if step is None or function_bodies.are_assigned(phase.roots, step.op.name):
    return update
  return dataclasses.replace(update, global_step=None)


def operations_of(applied: Any) -> List[Any]:
  """Returns the ops of what `apply_gradients` returned."""
  return [
    leaf if _is_operation(leaf) else leaf.op
    for _, leaf in nest.flatten(applied)
    if leaf is not None
  ]


def _reaches(targets, operations) -> bool:
  """Returns whether running the targets runs one of the operations."""
  names = {op.name for op in operations}
  return any(op.name in names for op in walks.ancestors(targets, control=True))


def _roots(phases: List[Phase]) -> List[Any]:
  """Returns the ops that a step is asked to run."""
  return [op for phase in phases for op in phase.roots]


def _fetch_updates(phase: Phase) -> None:
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


def _fetch_draws(phase: Phase) -> None:
  """Adds what the random ops of a phase draw to its fetches."""
  outputs = list(phase.fetches['outputs'].values())
  losses = list(phase.fetches.get('losses', []))
  targets = [tensor.op for tensor in outputs + losses]
  phase.random_ops = random_values.random_ops(targets + phase.operations)
  phase.fetches['draws'] = [op.outputs[0] for op in phase.random_ops]
