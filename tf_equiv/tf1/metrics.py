"""Runs streaming metrics of TF1 over batches, in one session if that can be.

The state of metrics is in local variables, which go on from one batch to the
next. A forward pass that draws random numbers runs in a session of its own for
each batch, so that all batches make the same draws, as they do on the TF2 side;
the state is carried over.
"""

import collections
import dataclasses
import logging
import time
from typing import Any, Dict, List

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, metric_values, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import (
  random_values,
  runner,
  source_lines,
  tensors,
  user_code,
  walks,
)

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')
_MAX_NAMES = 5
_EXPECTED = (
  'return a dict of {name: (value, update_op)}, as the functions of '
  'tf.compat.v1.metrics return them'
)


@dataclasses.dataclass
class _Metrics:
  """Metrics in a graph.

  Attributes:
    values: the tensor of each value, by name.
    updates: the op or tensor that adds a batch, by name.
    state: the variables that hold their state.
    initializer: sets the state to that before the first batch.
  """

  values: Dict[str, Any]
  updates: Dict[str, Any]
  state: List[Any]
  initializer: Any


def run(
  program: program_lib.Program, plan: plan_lib.RunPlan
) -> observation.Observation:
  """Runs the forward pass and the metrics on each batch of a plan.

  Args:
    program: the user's TF1 code.
    plan: what to run; it has `batches` and `metrics`.

  Returns:
    An `Observation` with `metrics`; its `outputs` are those of the first batch.

  Raises:
    UsageError: if a template method returns something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  if program.metrics is None:
    raise errors.UsageError(
      'The TF1 side has no build_metrics_tf1(outputs, inputs), so that there '
      f'is no metric to compare. Define it: {_EXPECTED}.'
    )
  built = graph_lib.build(program, plan)
  observed = runner.list_variables(program, plan, built)
  observed.seconds['TF1 build'] = built.seconds
  start = time.time()
  with program.behavior.active(), built.graph.as_default():
    metrics = _build(program, built)
    _measure(program, plan, built, metrics, observed)
  observed.seconds['TF1 run'] = time.time() - start
  return observed


@source_lines.calls_user
def _build(program, built) -> _Metrics:
  """Builds the user's metrics behind the forward pass."""
  known = {variable.op.name for variable in v1.global_variables()}
  with user_code.running('TF1', 'build_metrics_tf1'):
    returned = program.metrics(built.outputs, built.inputs)
  _check(returned, built.graph)
  state = list(v1.local_variables())
  state += [v for v in v1.global_variables() if v.op.name not in known]
  return _Metrics(
    {name: pair[0] for name, pair in returned.items()},
    {name: pair[1] for name, pair in returned.items()},
    state,
    v1.variables_initializer(state),
  )


def _check(returned: Any, graph: tf.Graph) -> None:
  metric_values.check_names(returned, 'build_metrics_tf1', _EXPECTED)
  for name, pair in returned.items():
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
      raise errors.UsageError(
        f'build_metrics_tf1 returned a {type(pair).__name__} for {name!r}; '
        f'{_EXPECTED}.'
      )
    value, update = pair
    if not tensors.is_tensor(value):
      raise errors.UsageError(
        f'build_metrics_tf1 returned a {type(value).__name__} as the value of '
        f'{name!r}; {_EXPECTED}.'
      )
    if not (tensors.is_tensor(update) or isinstance(update, tf.Operation)):
      raise errors.UsageError(
        f'build_metrics_tf1 returned a {type(update).__name__} as the '
        f'update_op of {name!r}; {_EXPECTED}.'
      )
    for part in pair:
      if getattr(part, 'graph', None) is not graph:
        raise errors.UsageError(
          f'build_metrics_tf1 returned a tensor of another graph for {name!r}. '
          'Make the metrics inside of it, on each call, in its default graph.'
        )


def _measure(program, plan, built, metrics, observed) -> None:
  """Runs all batches; adds what they give to the observation."""
  draws = [op.outputs[0] for op in built.random_ops]
  fetches = [built.fetches['outputs'], metrics.updates, draws]
  weights: List[np.ndarray] = []
  outputs: List[Dict[str, np.ndarray]] = []
  values: Dict[str, List[np.ndarray]] = collections.OrderedDict(
    (name, []) for name in metrics.values
  )
  session = None
  try:
    for i, batch in enumerate(plan.batches):
      _log.info('TF1: metrics of batch %d of %d', i + 1, len(plan.batches))
      if session is None:
        session = _session(built)
        weights = runner.set_weights(session, program, plan, built)
        session.run(metrics.initializer)
        observed.weights = weights
      else:
        if draws:
          state = session.run(metrics.state)
          session.close()
          session = _session(built)
          session.run(built.initializers[1])
          runner.assign(session, metrics.state, state)
        runner.assign(session, built.variables, weights)
      feed = built.feed(batch)
      results, _, drawn = session.run(fetches, feed_dict=feed)
      if not i:
        observed.random_values = random_values.observe(built.random_ops, drawn)
        observed.outputs = [(p, np.asarray(x)) for p, x in results.items()]
      outputs.append({p: np.asarray(x) for p, x in results.items()})
      # In a run of their own, so that they see the whole batch.
      found = session.run(metrics.values, feed_dict=feed)
      for name, value in found.items():
        values[name].append(np.asarray(value))
  finally:
    if session is not None:
      session.close()
  observed.metrics = metric_values.MetricValues(
    dict(values), outputs, _sizes(metrics)
  )


def _session(built) -> Any:
  return v1.Session(
    graph=built.graph, config=runner.session_config(built.graph)
  )


def _sizes(metrics: _Metrics) -> Dict[str, List[int]]:
  """Returns the lengths of what each metric keeps."""
  shapes = {v.op.name: v.shape.as_list() for v in metrics.state}
  return {
    name: sorted(
      {
        shapes[op.name][0]
        for op in walks.ancestors([value.op])
        if shapes.get(op.name) and shapes[op.name][0]
      }
    )
    for name, value in metrics.values.items()
  }
