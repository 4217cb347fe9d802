"""Runs the TF1 side: a `tf.Graph`, one session, one observation."""

import logging
import time
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.text import listed
from tf_equiv.tf1 import environment as environment_lib
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import (
  jitter,
  placeholders,
  random_values,
  user_code,
  walks,
  weights,
)
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import assignments

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')
# Collection of a graph that holds how long a run may take.
_SECONDS = 'tf_equiv/seconds'
_MAX_NAMES = 10


def run(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  built: Optional[graph_lib.Built] = None,
):
  """Runs a plan in a new session.

  Args:
    program: the user's TF1 code.
    plan: what to run.
    built: its graph, if there is one already.

  Returns:
    An `Observation`. All its values come from one run of the session, so that
    random ops inside are drawn once.

  Raises:
    UsageError: if `build` or `reset_weights` return something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  observed = observation.Observation('TF1', environment=environment())
  if built is None:
    built = graph_lib.build(program, plan)
    observed.seconds['TF1 build'] = built.seconds
  _describe(built, observed)
  start = time.time()
  feed = built.feed(plan.inputs)
  _log.info('TF1: running the session (%d variables)', len(built.variables))
  with program.behavior.active(), built.graph.as_default():
    with v1.Session(
      graph=built.graph, config=session_config(built.graph)
    ) as session:
      observed.weights = set_weights(session, program, plan, built)
      ops = built.random_ops
      try:
        results, drawn = session.run(
          [built.fetches, [op.outputs[0] for op in ops]], feed_dict=feed
        )
      except tf.errors.InvalidArgumentError as error:
        _explain_unfed(graph_lib.results_of(built.fetches), feed, error)
        raise
      observed.random_values = random_values.observe(ops, drawn)
      same = {op.outputs[0]: value for op, value in zip(ops, drawn)}
      observed.jitter = jitter.measure(
        jitter.Ran(
          session, built.fetches['outputs'], results['outputs'], feed, same
        ),
        observed.weights,
        lambda values: assign(session, built.variables, values),
        built.repeatable,
      )
      in_place = plan.updates and _can_update_in_place(built)
      if in_place:
        observed.updated = _run_updates(session, built, {**feed, **same})
    if plan.updates and not in_place:
      observed.updated = _run_updates_apart(built, feed, observed.weights)
  observed.seconds['TF1 run'] = time.time() - start
  observed.outputs = [
    (path, np.asarray(value)) for path, value in results['outputs'].items()
  ]
  observed.losses = [
    observation.RegularizationLoss(behind, value)
    for behind, value in zip(built.losses, results['losses'])
  ]
  observed.loss = results.get('loss')
  observed.user_losses = results.get('user losses', {})
  observed.input_gradients = results.get('input gradients', {})
  if plan.gradients:
    observed.gradients = _restore_missing(results)
  return observed


def _explain_unfed(results, feed, error) -> None:
  """Raises `UsageError` if results depend on a placeholder without a value."""
  ops = walks.ancestors([tensor.op for tensor in results], control=True)
  unfed = placeholders.unfed(ops, feed)
  if unfed:
    raise errors.UsageError(
      'The TF1 side made placeholders that nothing feeds: %s. Give them a '
      'value by tf_equiv.bound_placeholders({%r: ...}) around the code that '
      'makes them.' % (listed(map(repr, unfed), _MAX_NAMES), unfed[0])
    ) from error


def list_variables(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  built: Optional[graph_lib.Built] = None,
):
  """Builds the graph and describes its variables, without running it.

  Args:
    program: the user's TF1 code.
    plan: what to build.
    built: its graph, if there is one already.

  Returns:
    An `Observation` with `variables` and `draws`, and without values.
  """
  observed = observation.Observation('TF1', environment=environment())
  if built is None:
    built = graph_lib.build(program, plan)
    observed.seconds['TF1 build'] = built.seconds
  _describe(built, observed)
  return observed


def _describe(built, observed) -> None:
  """Adds to an observation what is known before a session runs."""
  observed.variables = list(built.specs)
  observed.structure = built.structure
  observed.depends_on_training = built.depends_on_training
  observed.draws = list(built.draws)
  observed.activations = built.activations
  observed.output_order = dict(built.output_order)
  observed.optimizer_variables = list(built.optimizer_variables)


def environment() -> Dict[str, str]:
  """Returns the versions and switches that a result may depend on."""
  return environment_lib.describe()


def _restore_missing(results) -> List[Any]:
  present = iter(results['gradients'])
  return [next(present) if ok else None for ok in results['connected']]


def limit_runs(graph: tf.Graph, seconds: float) -> None:
  """Lets no run of a graph take longer; it is one that comes from a file.

  Args:
    graph: the graph.
    seconds: after which time `tf.errors.DeadlineExceededError` is raised.
  """
  graph.add_to_collection(_SECONDS, seconds)


def session_config(graph: Optional[tf.Graph] = None):
  """Returns the configuration of all sessions.

  Args:
    graph: the graph of the session, where its runs may be limited.
  """
  # With Grappler off, a session and a tf.function give bitwise equal
  # gradients, and a graph that runs once is not optimized in vain.
  config = v1.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  for seconds in graph.get_collection(_SECONDS) if graph is not None else ():
    config.operation_timeout_in_ms = max(1, int(1000 * seconds))
  return config


def set_weights(session, program, plan, built) -> List[np.ndarray]:
  """Initializes all variables; returns the values of the global ones."""
  initialize, others = built.initializers
  if plan.weights == plan_lib.SEEDED:
    session.run(initialize)
  else:
    values = reset(session, program, built.variables)
  session.run(others)
  if plan.weights == plan_lib.SEEDED:
    return session.run(built.variables)
  return values


def reset(session, program, variables) -> List[np.ndarray]:
  """Gives variables their fixed values; returns them.

  Those that the test case ignores keep what their initializers give them, if
  they have one that can run.
  """
  left = [
    program.leaves_alone(variable.op.name) and _can_initialize(variable)
    for variable in variables
  ]
  wanted = [v for v, is_left in zip(variables, left) if not is_left]
  specs = graph_lib.specs_of(wanted)
  given = fixed_weights(program.reset_weights, specs)
  assign(session, wanted, given)
  others = [v for v, is_left in zip(variables, left) if is_left]
  # After the others, of which their initial values may be computed.
  session.run([variable.initializer for variable in others])
  values = {v.op.name: value for v, value in zip(wanted, given)}
  values.update(
    (v.op.name, value) for v, value in zip(others, session.run(others))
  )
  return [values[variable.op.name] for variable in variables]


def _can_initialize(variable) -> bool:
  """Returns whether an initial value is computed; of an export it may not."""
  ops = walks.ancestors([variable.initializer])
  return all(op.type != 'Placeholder' for op in ops)


def fixed_weights(reset_weights, specs) -> List[np.ndarray]:
  """Asks the test case for the value of each variable, and checks it."""
  values = []
  with weights.roles_known(specs):
    for spec in specs:
      dtype = np.dtype(tf.as_dtype(spec.dtype).as_numpy_dtype)
      with user_code.running('TF1', 'reset_weights'):
        value = reset_weights(spec.name, spec.shape, dtype)
      values.append(weights.check_weight(value, spec, dtype))
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


def _can_update_in_place(built) -> bool:
  """Returns whether the session of the forward pass can run the updates."""
  return built.repeatable and random_values.is_repeatable(
    built.update_ops(), built.random_ops, assigns=True
  )


def _run_updates(session, built, feed) -> Dict[str, np.ndarray]:
  """Runs the forward pass with its update ops; returns what they changed.

  Returns:
    Values of all variables that are not trainable, and of those that the
    forward pass itself overwrites, by name.
  """
  assigned = assignments.operations(
    built.forward_ops(), {v.op.name: v.op.name for v in built.variables}
  )
  written = [
    v for v in built.variables if not v.trainable or v.op.name in assigned
  ]
  session.run([built.fetches['outputs'], built.updates], feed_dict=feed)
  return {
    variable.op.name: value
    for variable, value in zip(written, session.run(written))
  }


def _run_updates_apart(built, feed, values) -> Dict[str, np.ndarray]:
  """Runs the updates in a session of their own.

  That is for a forward pass whose second run would draw other numbers than the
  first: random ops start again only in a new session.
  """
  with v1.Session(
    graph=built.graph, config=session_config(built.graph)
  ) as session:
    assign(session, built.variables, values)
    session.run(built.initializers[1])
    return _run_updates(session, built, feed)
