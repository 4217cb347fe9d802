"""Builds the graph of the TF1 side: forward pass, losses and gradients."""

import contextlib
import dataclasses
import logging
import time
from typing import Any, Container, Dict, List, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.draw import Draw
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.tf1 import (
  counters,
  garbage,
  optimizer_state,
  random_values,
  roles,
  source_lines,
  tensors,
  user_code,
  walks,
)
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import updates as updates_lib

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')

_VARIABLE_OPS = ('VarHandleOp', 'VariableV2', 'Variable')
# Enough for any regularizer of weights; a loss with more ancestors depends on
# activations, and naming its variables would walk the whole network.
_MAX_ANCESTORS_OF_A_REGULARIZER = 200


@dataclasses.dataclass
class Built:
  """The graph of a plan, which any number of sessions may run.

  Attributes:
    graph: the graph.
    inputs: nest of placeholders.
    outputs: nest of the output tensors.
    fetches: results by kind.
    variables: the global variables.
    specs: their descriptions.
    structure: what the outputs look like.
    losses: for each regularization loss, the variables behind it.
    updates: UPDATE_OPS.
    random_ops: random ops that the results depend on.
    repeatable: whether the results are the same in a second run of a session,
      in which the draws of `random_ops` are fed.
    initializers: initializes the global variables, and what else a session
      needs before it can run.
    depends_on_training: see `Observation`.
    output_order: see `Observation`.
    draws: ledger of the draws.
    activations: see `Observation`.
    optimizer_variables: names of the global variables that belong to
      optimizers, where the code makes its train op together with the model.
    seconds: wall time of the build.
    has_longer_loops: whether loops and branches have outputs that only
      gradients read, which were added for another plan.
  """

  graph: Any
  inputs: Any
  outputs: Any
  fetches: Dict[str, Any]
  variables: List[Any]
  specs: List[observation.VariableSpec]
  structure: nest.Structure
  losses: List[Tuple[str, ...]]
  updates: List[Any]
  random_ops: List[Any]
  repeatable: bool
  initializers: Tuple[Any, List[Any]]
  depends_on_training: bool
  output_order: Dict[str, int]
  draws: List[Draw]
  activations: int = 0
  optimizer_variables: List[str] = dataclasses.field(default_factory=list)
  seconds: float = 0.0
  has_longer_loops: bool = False

  def feed(self, inputs: Any) -> Dict[Any, np.ndarray]:
    """Returns what to feed for the inputs of a plan, by placeholder."""
    return feed(self.inputs, inputs)

  def update_ops(self) -> List[Any]:
    """Returns the ops behind UPDATE_OPS."""
    return [
      op if isinstance(op, tf.Operation) else op.op for op in self.updates
    ]

  def forward_ops(self) -> List[Any]:
    """Returns the ops that a training pass runs: outputs and updates."""
    outputs = [tensor.op for tensor in self.fetches['outputs'].values()]
    return self.update_ops() + outputs


@source_lines.calls_user
def build(program: program_lib.Program, plan: plan_lib.RunPlan) -> Built:
  """Builds the forward pass of a plan in a fresh graph.

  Args:
    program: the user's TF1 code.
    plan: what to build.

  Returns:
    The graph with all that a run needs.

  Raises:
    UsageError: if `build` or `compute_loss` return something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  start = time.time()
  graph = tf.Graph()
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  with contextlib.ExitStack() as stack:
    stack.enter_context(garbage.collection_paused())
    stack.enter_context(program.behavior.active())
    stack.enter_context(seeds)
    stack.enter_context(graph.as_default())
    stack.enter_context(counters.adopted(graph))
    _log.info('TF1: building the graph (%s)', plan.describe())
    inputs = placeholders(plan.inputs)
    # The code may make its train op together with the model.
    with updates_lib.recorded() as recording:
      outputs = build_outputs(program, inputs, plan, graph)
    every = list(v1.global_variables())
    owned = optimizer_state.owned(recording, every)
    variables = [v for v in every if v.op.name not in owned]
    losses = losses_lib.regularization_losses()
    fetches = fetched(outputs, losses)
    results = [tensor.op for tensor in results_of(fetches)]
    random_ops = random_values.random_ops(results)
    built = Built(
      graph=graph,
      inputs=inputs,
      outputs=outputs,
      fetches=fetches,
      variables=variables,
      specs=specs_of(variables),
      structure=nest.describe(outputs),
      losses=[variables_behind(loss) for loss in fetches['losses']],
      updates=list(v1.get_collection(v1.GraphKeys.UPDATE_OPS)),
      random_ops=random_ops,
      repeatable=random_values.is_repeatable(results, random_ops),
      optimizer_variables=sorted(owned),
      initializers=_initializers(owned),
      depends_on_training=plan.training and is_stochastic_or_updates(outputs),
      output_order=order_of(graph, fetches['outputs']),
      draws=seeds.draws,
      activations=tensors.bytes_computed(results_of(fetches)),
    )
  built.seconds = time.time() - start
  return with_gradients(built, program, plan) if plan.gradients else built


@source_lines.calls_user
def with_gradients(
  built: Built, program: program_lib.Program, plan: plan_lib.RunPlan
) -> Built:
  """Adds the loss of a plan and its gradients to the graph of a forward pass.

  Args:
    built: the forward pass, which stays usable by itself.
    program: the user's TF1 code.
    plan: what to build, in the seed mode of the forward pass.

  Returns:
    The same graph with more results.

  Raises:
    UsageError: if `compute_loss` returns something unusable.
  """
  start = time.time()
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  with program.behavior.active(), seeds, built.graph.as_default():
    # A loss may draw random numbers, too.
    if plan.seed_mode is SeedMode.NUM_RANDOM_OPS:
      seeds.operation_seed = len(built.draws)
    found = _gradients(program, plan, built.outputs, built.inputs, built)
    # A loss may create variables, too.
    initializers = _initializers(built.optimizer_variables)
    drawn = [
      dataclasses.replace(draw, index=draw.index + len(built.draws))
      for draw in seeds.draws
    ]
  fetches = dict(built.fetches, **found)
  results = [tensor.op for tensor in results_of(fetches)]
  random_ops = random_values.random_ops(results)
  return dataclasses.replace(
    built,
    fetches=fetches,
    random_ops=random_ops,
    repeatable=random_values.is_repeatable(results, random_ops),
    initializers=initializers,
    draws=built.draws + drawn,
    seconds=built.seconds + time.time() - start,
  )


def fetched(outputs: Any, losses: List[Any]) -> Dict[str, Any]:
  """Returns the results of a forward pass, by kind."""
  return {
    'outputs': {
      path: leaf if tensors.is_tensor(leaf) else tf.constant(leaf)
      for path, leaf in nest.flatten(outputs)
    },
    'losses': losses,
  }


def feed(placeholders: Any, inputs: Any) -> Dict[Any, np.ndarray]:
  """Returns what to feed for inputs, by placeholder, of the same nest."""
  arrays = dict(nest.flatten(inputs))
  return {
    placeholder: arrays[path]
    for path, placeholder in nest.flatten(placeholders)
  }


def _initializers(owned: Container[str]) -> Tuple[Any, List[Any]]:
  others = [v for v in v1.global_variables() if v.op.name in owned]
  return (
    v1.global_variables_initializer(),
    [
      v1.local_variables_initializer(),
      v1.tables_initializer(),
      v1.variables_initializer(others),
    ],
  )


def results_of(fetches: Dict[str, Any]) -> List[Any]:
  """Returns the tensors of a forward pass, that of the loss included."""
  losses = [fetches['loss']] if 'loss' in fetches else []
  return [*fetches['outputs'].values(), *fetches['losses'], *losses]


def placeholders(inputs: Any) -> Any:
  """Returns placeholders in the nest of the inputs."""

  def placeholder(unused_path, array):
    text = array.dtype.kind in 'OSU'
    dtype = tf.string if text else tf.as_dtype(array.dtype)
    return v1.placeholder(dtype, array.shape, name='input')

  with v1.name_scope('tf_equiv_inputs'):
    return nest.map_leaves(placeholder, inputs)


@source_lines.calls_user
def build_outputs(program, inputs, plan, graph) -> Any:
  """Builds the user's model in the current graph, and checks what it returns.

  Returns:
    The nest of its output tensors, composites expanded.

  Raises:
    UsageError: if it returns nothing, or something that is no tensor of this
      graph.
  """
  with user_code.running('TF1', 'build_tf1'):
    outputs = program.build(inputs, plan.training)
  if outputs is None:
    raise errors.UsageError(
      f'build_tf1 returned {outputs!r}; return the output tensors of the '
      'model (a tensor, or a list, tuple or dict of tensors).'
    )
  for path, leaf in nest.flatten(outputs):
    _check_output('outputs' + path, leaf, graph)
  return tensors.expand_composites(outputs)


def _check_output(where: str, leaf: Any, graph: tf.Graph) -> None:
  if isinstance(leaf, (bool, int, float, complex, str, bytes, np.ndarray)):
    return
  if isinstance(leaf, np.generic):
    return
  is_composite = isinstance(leaf, (tf.SparseTensor, tf.RaggedTensor))
  if not (
    is_composite
    or tensors.is_tensor(leaf)
    or isinstance(leaf, tf.IndexedSlices)
  ):
    raise errors.UsageError(
      f'build_tf1 returned a {type(leaf).__name__} at {where}; expected a '
      'tensor.'
    )
  if isinstance(leaf, tf.RaggedTensor):
    leaf = leaf.flat_values
  owner = getattr(leaf, 'graph', None)
  if owner is None:
    raise errors.UsageError(
      f'build_tf1 returned an eager tensor at {where}; it must be computed '
      'from the given inputs, in the graph in which build_tf1 is called.'
    )
  if owner is not graph:
    raise errors.UsageError(
      f'build_tf1 returned a tensor of another graph at {where} '
      f'({getattr(leaf, "name", leaf)}). Build the model inside build_tf1, in '
      'its default graph, on each call; it must not create a tf.Graph or '
      'reuse tensors of an earlier call.'
    )


def specs_of(variables: List[Any]) -> List[observation.VariableSpec]:
  """Describes variables of a graph, with what the graph says they are for."""
  found = roles.of_variables(variables)
  return [
    dataclasses.replace(
      spec_of(variable),
      role=found[variable.op.name].kind,
      center=found[variable.op.name].center,
    )
    for variable in variables
  ]


def spec_of(variable) -> observation.VariableSpec:
  """Describes a variable of a graph."""
  return observation.VariableSpec(
    name=variable.op.name,
    shape=tuple(variable.shape.as_list()),
    dtype=variable.dtype.base_dtype.name,
    trainable=bool(variable.trainable),
    line=source_lines.user_line_of_stack(compat.op_stack(variable.op)),
  )


def _gradients(program, plan, outputs, inputs, built):
  """Builds the loss and its gradients for each trainable variable."""
  parts, loss = losses_lib.total_loss(program, outputs, inputs)
  trainable = [v for v in built.variables if v.trainable]
  watched = dict(nest.flatten(inputs)) if plan.input_gradients else {}
  watched = {path: x for path, x in watched.items() if x.dtype.is_floating}
  targets = trainable + list(watched.values())
  found = v1.gradients(loss, targets) if targets else []
  gradients, of_inputs = found[: len(trainable)], found[len(trainable) :]
  connected = [g is not None for g in gradients]
  return {
    'loss': loss,
    'user losses': parts,
    'gradients': [tf.convert_to_tensor(g) for g in gradients if g is not None],
    'connected': tf.constant(np.array(connected, bool)),
    'input gradients': {
      path: tf.zeros_like(x) if g is None else tf.convert_to_tensor(g)
      for (path, x), g in zip(watched.items(), of_inputs)
    },
  }


def variables_behind(tensor) -> Tuple[str, ...]:
  """Names of the variables that a loss depends on, () if by activations."""
  found = set()
  for count, op in enumerate(walks.ancestors([tensor.op]), 1):
    if count > _MAX_ANCESTORS_OF_A_REGULARIZER or op.type == 'Placeholder':
      return ()
    if op.type in _VARIABLE_OPS:
      found.add(op.name)
  return tuple(sorted(found))


def is_stochastic_or_updates(outputs) -> bool:
  """Returns whether a training graph draws numbers or updates statistics."""
  if v1.get_collection(v1.GraphKeys.UPDATE_OPS):
    return True
  ops = [
    leaf.op for _, leaf in nest.flatten(outputs) if tensors.is_tensor(leaf)
  ]
  return any(
    'Random' in op.type or op.type in ('Multinomial', 'TruncatedNormal')
    for op in walks.ancestors(ops)
  )


def order_of(graph, outputs) -> Dict[str, int]:
  """Returns the position in program order of each output, by path."""
  position = {op.name: i for i, op in enumerate(graph.get_operations())}
  return {
    path: position.get(tensor.op.name, -1) for path, tensor in outputs.items()
  }
