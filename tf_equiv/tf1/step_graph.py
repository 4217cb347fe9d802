"""Builds the graph of a training step, the default one or the user's own."""

import dataclasses
import logging
import time
from typing import Any, Dict, List, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import (
  optimizers,
  ownership,
  random_values,
  source_lines,
  tensors,
  user_code,
  walks,
)
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import updates as updates_lib

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
  with updates_lib.recorded() as recording:
    if program.train is None:
      outputs = graph_lib.build_outputs(program, inputs, plan, graph)
      losses = list(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
      depends = graph_lib.is_stochastic_or_updates(outputs)
      fetches = graph_lib.fetched(outputs, losses)
      if program.step is None:
        operation = _default_step(program, outputs, inputs, fetches)
      else:
        loss, operation = program.step(recording)
        fetches.update({} if loss is None else {'loss': loss})
      phases = [Phase(fetches, [operation], recording.updates)]
      structure = nest.describe(outputs)
      order = graph_lib.order_of(graph, fetches['outputs'])
    else:
      phases, structure = _own_step(program, inputs, recording.updates, graph)
  for phase in phases:
    _fetch_updates(phase)
    _fetch_draws(phase)
  variables = list(v1.global_variables())
  owned = ownership.owned_by_optimizers(recording, variables)
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


@source_lines.calls_user
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


@source_lines.calls_user
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
    phases.append(Phase({'outputs': fetches}, operations, []))
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
  """Assigns each update to the phase in which it happens."""
  for update in updates:
    for phase in phases:
      targets = phase.operations + [
        t.op for t in phase.fetches['outputs'].values()
      ]
      if _reaches(targets, operation_of(update.operation)):
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


def operation_of(applied: Any) -> Any:
  """Returns the op of what `apply_gradients` returned."""
  return applied if _is_operation(applied) else applied.op


def _reaches(targets, operation) -> bool:
  """Returns whether running the targets runs the operation."""
  return any(op is operation for op in walks.ancestors(targets, control=True))


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
