"""Runs the TF1 side: a `tf.Graph`, one session, one observation."""

import contextlib
import dataclasses
import logging
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.tf1 import (
  errors,
  nest,
  random_values,
  source,
  tensors,
  user_code,
  weights,
)
from tf_equiv.tf1 import losses as losses_lib
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf1 import seeds as seeds_lib

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')

_VARIABLE_OPS = ('VarHandleOp', 'VariableV2', 'Variable')
# Enough for any regularizer of weights; a loss with more ancestors depends on
# activations, and naming its variables would walk the whole network.
_MOST_ANCESTORS_OF_A_REGULARIZER = 200


@dataclasses.dataclass(frozen=True)
class TF1Behavior:
  """Which TF2 behaviours are on while the TF1 graph is built.

  The process as a whole is not changed. The defaults suit most TF1 code;
  turning off a behaviour gives what TF 1.15 did.

  Example:
    >>> class ShapesTest(MigrationTestCase):
    ...   tf1_behavior = TF1Behavior(v2_tensorshape=False)
    ...   def make_inputs(self):
    ...     return np.array([[1, 2, 3]], np.float32)
    ...   def build_tf1(self, inputs, training):
    ...     return inputs * inputs.shape[1].value
    ...   def build_tf2(self):
    ...     return lambda x: x * x.shape[1]
    >>> ShapesTest().assertForwardEquivalent().passed
    True

  Attributes:
    tensor_equality: `==` of tensors compares elementwise
      (`tf.compat.v1.disable_tensor_equality`). Off, as in TF1; large graphs
      build 2.5 times faster without it.
    resource_variables: `tf.compat.v1.disable_resource_variables`.
    control_flow_v2: `tf.compat.v1.disable_control_flow_v2`.
    v2_tensorshape: dimensions are ints and not objects with a `value`
      (`tf.compat.v1.disable_v2_tensorshape`).
  """

  tensor_equality: bool = False
  resource_variables: bool = True
  control_flow_v2: bool = True
  v2_tensorshape: bool = True

  @contextlib.contextmanager
  def active(self):
    """Context in which these behaviours hold; restores the others."""
    with contextlib.ExitStack() as stack:
      stack.enter_context(compat.behaviors(**dataclasses.asdict(self)))
      stack.enter_context(compat.keras_classes_shielded())
      stack.enter_context(compat.fresh_keras_names())
      yield


@dataclasses.dataclass(frozen=True)
class Program:
  """The user's TF1 code.

  Attributes:
    build: `build_tf1(inputs, training)`, returns a nest of tensors.
    reset_weights: `reset_weights(name, shape, dtype)`, returns an array.
    compute_loss: `compute_loss(outputs, inputs)`, returns a scalar tensor.
    behavior: TF2 behaviours of the graph build.
    build_optimizer: `build_tf1_optimizer()`, returns an optimizer.
    clip_gradients: list of gradients to list of gradients.
    update_ops: whether the default training step runs UPDATE_OPS.
    train: `train_tf1(inputs)`, a whole training step in place of the default.
  """

  build: Callable[..., Any]
  reset_weights: Callable[..., np.ndarray] = weights.named_weights
  compute_loss: Callable[..., Any] = tensors.default_loss
  behavior: TF1Behavior = TF1Behavior()
  build_optimizer: Optional[Callable[[], Any]] = None
  clip_gradients: Callable[[List[Any]], List[Any]] = list
  update_ops: bool = True
  train: Optional[Callable[[Any], Any]] = None


@dataclasses.dataclass
class Built:
  """The graph of a plan.

  Attributes:
    graph: the graph.
    inputs: nest of placeholders.
    feed: what to feed, by placeholder.
    fetches: results by kind.
  """

  graph: Any
  inputs: Any
  feed: Dict[Any, np.ndarray]
  fetches: Dict[str, Any]


def run(
  program: Program,
  plan: plan_lib.RunPlan,
  built: Optional[List[Built]] = None,
):
  """Runs a plan in a fresh graph and session.

  Args:
    program: the user's TF1 code.
    plan: what to run.
    built: list to which the graph is added, for those who look into it.

  Returns:
    An `Observation`. All its values come from one run of the session, so that
    random ops inside are drawn once.

  Raises:
    UsageError: if `build` or `reset_weights` return something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  start = time.time()
  graph = tf.Graph()
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  observed = observation_lib.Observation('TF1', environment=environment())
  with program.behavior.active(), seeds, graph.as_default():
    _log.info('TF1: building the graph (%s)', plan.describe())
    inputs, feed = placeholders(plan.inputs)
    outputs = build_outputs(program, inputs, plan, graph)
    variables = v1.global_variables()
    observed.variables = [spec_of(variable) for variable in variables]
    observed.structure = nest.describe(outputs)
    fetches = fetches_of(program, plan, outputs, inputs, variables, graph)
    if built is not None:
      built.append(Built(graph, inputs, feed, fetches))
    losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    observed.depends_on_training = plan.training and is_stochastic_or_updates(
      outputs
    )
    observed.draws = seeds.draws
    observed.seconds['TF1 build'] = time.time() - start
    observed.output_order = order_of(graph, fetches['outputs'])
    start = time.time()
    _log.info('TF1: %d variables, running the session', len(variables))
    with v1.Session(graph=graph, config=session_config()) as session:
      observed.weights = _set_weights(session, program, plan, observed)
      ops = random_values.random_ops([t.op for t in _results(fetches)])
      results, drawn = session.run(
        [fetches, [op.outputs[0] for op in ops]], feed_dict=feed
      )
      observed.random_values = random_values.observe(ops, drawn)
      same = {op.outputs[0]: value for op, value in zip(ops, drawn)}
      observed.jitter = jitter(session, fetches, results, feed, same)
    if plan.updates:
      observed.updated = _run_updates(graph, fetches, feed, observed.weights)
    observed.seconds['TF1 run'] = time.time() - start
  observed.outputs = [
    (path, np.asarray(value)) for path, value in results['outputs'].items()
  ]
  observed.losses = [
    observation_lib.RegularizationLoss(variables_behind(loss), value)
    for loss, value in zip(losses, results['losses'])
  ]
  observed.loss = results.get('loss')
  observed.gradients = results.get('gradients', [])
  observed.user_losses = results.get('user losses', {})
  observed.input_gradients = results.get('input gradients', {})
  if plan.gradients:
    observed.gradients = _restore_missing(results)
  return observed


def list_variables(program: Program, plan: plan_lib.RunPlan):
  """Builds the graph and describes its variables, without running it.

  Args:
    program: the user's TF1 code.
    plan: what to build.

  Returns:
    An `Observation` with `variables` and `draws` only.
  """
  start = time.time()
  graph = tf.Graph()
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  observed = observation_lib.Observation('TF1', environment=environment())
  with program.behavior.active(), seeds, graph.as_default():
    _log.info('TF1: building the graph (%s)', plan.describe())
    inputs, _ = placeholders(plan.inputs)
    build_outputs(program, inputs, plan, graph)
    observed.variables = [spec_of(v) for v in v1.global_variables()]
    observed.draws = seeds.draws
  observed.seconds['TF1 build'] = time.time() - start
  return observed


def environment() -> Dict[str, str]:
  """Returns the versions that a result may depend on."""
  return {
    'python': '%d.%d.%d' % sys.version_info[:3],
    'tensorflow': tf.__version__,
    'numpy': np.__version__,
  }


def placeholders(inputs: Any) -> Tuple[Any, Dict[Any, np.ndarray]]:
  """Returns placeholders in the nest of the inputs, and what to feed."""
  feed = {}

  def placeholder(unused_path, array):
    text = array.dtype.kind in 'OSU'
    dtype = tf.string if text else tf.as_dtype(array.dtype)
    tensor = v1.placeholder(dtype, array.shape, name='input')
    feed[tensor] = array
    return tensor

  with v1.name_scope('tf_equiv_inputs'):
    return nest.map_leaves(placeholder, inputs), feed


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
      'build_tf1 returned %r; return the output tensors of the model (a '
      'tensor, or a list, tuple or dict of tensors).' % (outputs,)
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
      'build_tf1 returned a %s at %s; expected a tensor.'
      % (type(leaf).__name__, where)
    )
  if isinstance(leaf, tf.RaggedTensor):
    leaf = leaf.flat_values
  owner = getattr(leaf, 'graph', None)
  if owner is None:
    raise errors.UsageError(
      'build_tf1 returned an eager tensor at %s; it must be computed from '
      'the given inputs, in the graph in which build_tf1 is called.' % where
    )
  if owner is not graph:
    raise errors.UsageError(
      'build_tf1 returned a tensor of another graph at %s (%s). Build the '
      'model inside build_tf1, in its default graph, on each call; it must '
      'not create a tf.Graph or reuse tensors of an earlier call.'
      % (where, getattr(leaf, 'name', leaf))
    )


def spec_of(variable) -> observation_lib.VariableSpec:
  """Describes a variable of a graph."""
  return observation_lib.VariableSpec(
    name=variable.op.name,
    shape=tuple(variable.shape.as_list()),
    dtype=variable.dtype.base_dtype.name,
    trainable=bool(variable.trainable),
    line=source.user_line_of_stack(variable.op.traceback or ()),
  )


def fetches_of(program, plan, outputs, inputs, variables, graph):
  """Returns what a run of the forward pass fetches."""
  fetches = {
    'outputs': dict(
      (path, leaf if tensors.is_tensor(leaf) else tf.constant(leaf))
      for path, leaf in nest.flatten(outputs)
    ),
    'losses': list(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)),
  }
  if plan.gradients:
    fetches.update(_gradients(program, plan, outputs, inputs, variables))
  return fetches


def _gradients(program, plan, outputs, inputs, variables):
  """Builds the loss and its gradients for each trainable variable."""
  parts, loss = losses_lib.total_loss(program, outputs, inputs)
  trainable = [v for v in variables if v.trainable]
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


def _restore_missing(results) -> List[Any]:
  present = iter(results['gradients'])
  return [next(present) if ok else None for ok in results['connected']]


def session_config():
  """Returns the configuration of all sessions."""
  # With Grappler off, a session and a tf.function give bitwise equal
  # gradients, and a graph that runs once is not optimized in vain.
  config = v1.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return config


def _set_weights(session, program, plan, observed) -> List[np.ndarray]:
  """Initializes all variables; returns the values of the global ones."""
  variables = v1.global_variables()
  if plan.weights == plan_lib.SEEDED:
    session.run(v1.global_variables_initializer())
  else:
    values = fixed_weights(program.reset_weights, observed.variables)
    assign(session, variables, values)
  session.run([v1.local_variables_initializer(), v1.tables_initializer()])
  if plan.weights == plan_lib.SEEDED:
    return session.run(list(variables))
  return values


def fixed_weights(reset_weights, specs) -> List[np.ndarray]:
  """Asks the test case for the value of each variable, and checks it."""
  values = []
  for spec in specs:
    dtype = tf.as_dtype(spec.dtype).as_numpy_dtype
    with user_code.running('TF1', 'reset_weights'):
      value = reset_weights(spec.name, spec.shape, np.dtype(dtype))
    values.append(weights.check_weight(value, spec, np.dtype(dtype)))
  return values


def assign(session, variables, values) -> None:
  """Sets variables by feeding the value that their initializer assigns.

  No op is added to the graph, and no random initial value is computed. Two
  variables that share one initial value take two runs.
  """
  operations, feed, fed = [], {}, set()
  for variable, value in zip(variables, values):
    initializer = variable.initializer
    if initializer.type not in ('Assign', 'AssignVariableOp'):
      variable.load(value, session)
      continue
    source = initializer.inputs[1]
    if source.name in fed:
      session.run(operations, feed)
      operations, feed, fed = [], {}, set()
    operations.append(initializer)
    feed[source] = value
    fed.add(source.name)
  if operations:
    session.run(operations, feed)


def _results(fetches) -> List[Any]:
  """Returns the tensors of a forward pass, that of the loss included."""
  losses = [fetches['loss']] if 'loss' in fetches else []
  return [*fetches['outputs'].values(), *fetches['losses'], *losses]


def jitter(session, fetches, results, feed, draws) -> Dict[str, float]:
  """Runs again with inputs that are one unit in the last place away.

  Args:
    session: a session whose variables have their values.
    fetches: has the output tensors by path in `outputs`.
    results: has their values in the same way.
    feed: what to feed, by placeholder.
    draws: what was drawn, by tensor.

  Returns:
    The largest change of each floating-point output, by path; nothing where no
    input is a floating-point number.
  """
  generator, moved = np.random.RandomState(0), dict(feed)
  for tensor, array in feed.items():
    if tensor.dtype.is_floating and array.dtype.kind == 'f':
      signs = generator.choice([-1, 1], array.shape)
      moved[tensor] = np.nextafter(array, (signs * np.inf).astype(array.dtype))
  outputs = {
    path: tensor
    for path, tensor in fetches['outputs'].items()
    if tensor.dtype.is_floating
  }
  if not outputs or all(moved[tensor] is feed[tensor] for tensor in feed):
    return {}
  moved.update(draws)
  found = _changes(session.run(outputs, moved), results['outputs'])
  if any(found.values()):
    # Random numbers inside of loops cannot be held.
    again = session.run(outputs, {**feed, **draws})
    if any(_changes(again, results['outputs']).values()):
      return {}
  return found


def _changes(values, before) -> Dict[str, float]:
  """Largest change of each array."""
  return {
    path: float(
      np.max(
        np.abs(
          np.asarray(value, np.float64) - np.asarray(before[path], np.float64)
        ),
        initial=0.0,
      )
    )
    for path, value in values.items()
  }


def _run_updates(graph, fetches, feed, values) -> Dict[str, np.ndarray]:
  """Runs the forward pass with its update ops; returns what they changed.

  That is done in a session of its own: nothing orders the updates before or
  after what the forward pass reads, and random ops start again only in a new
  session.

  Returns:
    Values of all variables that are not trainable, by name.
  """
  variables = v1.global_variables()
  updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
  with v1.Session(graph=graph, config=session_config()) as session:
    assign(session, variables, values)
    session.run([v1.local_variables_initializer(), v1.tables_initializer()])
    session.run([fetches['outputs'], updates], feed_dict=feed)
    frozen = [v for v in variables if not v.trainable]
    return {
      variable.op.name: value
      for variable, value in zip(frozen, session.run(frozen))
    }


def variables_behind(tensor) -> Tuple[str, ...]:
  """Names of the variables that a loss depends on, () if by activations."""
  found, seen, pending = set(), set(), [tensor.op]
  while pending:
    op = pending.pop()
    if op.name in seen:
      continue
    seen.add(op.name)
    if len(seen) > _MOST_ANCESTORS_OF_A_REGULARIZER or op.type == 'Placeholder':
      return ()
    if op.type in _VARIABLE_OPS:
      found.add(op.name)
    pending.extend(parent.op for parent in op.inputs)
  return tuple(sorted(found))


def is_stochastic_or_updates(outputs) -> bool:
  """Tells whether a training graph draws numbers or updates statistics."""
  if v1.get_collection(v1.GraphKeys.UPDATE_OPS):
    return True
  seen = set()
  pending = [
    leaf.op for _, leaf in nest.flatten(outputs) if tensors.is_tensor(leaf)
  ]
  while pending:
    op = pending.pop()
    if op.name in seen:
      continue
    seen.add(op.name)
    if 'Random' in op.type or op.type in ('Multinomial', 'TruncatedNormal'):
      return True
    pending.extend(parent.op for parent in op.inputs)
  return False


def order_of(graph, outputs) -> Dict[str, int]:
  """Returns the position in program order of each output, by path."""
  position = {op.name: i for i, op in enumerate(graph.get_operations())}
  return {
    path: position.get(tensor.op.name, -1) for path, tensor in outputs.items()
  }
