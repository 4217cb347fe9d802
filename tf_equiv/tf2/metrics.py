"""Runs the TF2 side on batches from the same weights, and reads its metrics."""

import collections
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.core import errors, metric_values, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import source_lines, user_code
from tf_equiv.tf2 import candidate, execution, forward, metric_objects, variants
from tf_equiv.tf2 import program as program_lib

_log = logging.getLogger('tf_equiv')
# Labels and predictions, before the weights.
_UNWEIGHTED = 2
_Values = dict[str, list[np.ndarray]]


class _Forward(forward.Forward):
  """A forward pass that keeps the nest of its outputs.

  Attributes:
    nest: the outputs of the last call that ran Python code.
  """

  nest: Any = None

  def found(self, outputs: Any, losses: Any = None) -> dict[str, Any]:
    """Returns the results of a call; see `Forward`."""
    self.nest = outputs
    return super().found(outputs, losses)


class Candidate(candidate.Candidate):
  """A model whose metrics are fed with batches.

  Attributes:
    metrics: the metrics by name, once they have run.
    calls: for each metric whose calls could be kept, the arguments with which
      each batch was added.
  """

  metrics: dict[str, Any]
  calls: dict[str, list[list[metric_objects.Call]]]

  def run(
    self,
    values: candidate.Values | None = None,
    reference: observation.Observation | None = None,
  ) -> observation.Observation:
    """Runs all batches; see the base class.

    Returns:
      An observation with `metrics`. Its `outputs` are those of the first batch.
    """
    start = time.time()
    observed = observation.Observation(
      'TF2', environment=self.variables.environment
    )
    weights = self._weights(values)
    if not self._built.suits(self._plan, weights):
      self._built = self._create(self._plan)
    with candidate.entered(self._built, self._plan) as (seeds, _):
      run = _Forward(self._program, self._plan, observed, self._built)
      run.prepare(weights)
      observed.draws = seeds_lib.with_forward_seeds_of(
        () if reference is None else reference.draws,
        self._built.draws_in(self._plan.seed_mode),
      )
      run.restart = lambda: seeds.repeat(observed.draws)
      call = execution.aligned(
        run, (run.inputs,), observed, reference, self._plan, variants.EAGER
      )
      self.metrics = self._build()
      recorder = metric_objects.Recorder(self.metrics)
      self.calls = recorder.calls
      found: _Values = collections.defaultdict(list)
      outputs = []
      try:
        for i, batch in enumerate(self._plan.batches):
          _log.info('TF2: metrics of batch %d', i + 1)
          inputs = program_lib.input_tensors(batch)
          run.set(weights)
          result = call(inputs)['outputs']
          recorder.begin_batch()
          returned = nest.map_leaves(
            lambda path, _, r=result: r[path], run.nest
          )
          self._add(self.metrics, returned, inputs, found)
          outputs.append({p: forward.to_numpy(x) for p, x in result.items()})
      finally:
        recorder.stop()
      self._nest = returned
    observed.outputs = list(outputs[0].items())
    observed.metrics = metric_values.MetricValues(dict(found), outputs)
    observed.seconds['TF2'] = self._seconds + time.time() - start
    return observed

  def measure(
    self, outputs: Sequence[Mapping[str, np.ndarray]]
  ) -> metric_values.MetricValues:
    """Feeds new metrics with given outputs in place of those of the model.

    Args:
      outputs: what the forward pass of each batch gave, by path.

    Returns:
      The metrics.
    """
    found: _Values = collections.defaultdict(list)
    with candidate.entered(self._built, self._plan):
      metrics = self._build()
      for batch, given in zip(self._plan.batches, outputs, strict=True):
        inputs = program_lib.input_tensors(batch)
        returned = metric_objects.as_tensors(given, self._nest)
        self._add(metrics, returned, inputs, found)
    return metric_values.MetricValues(
      dict(found), [dict(each) for each in outputs]
    )

  def replay(
    self, name: str, make: Callable[[], Any], weighted: bool = True
  ) -> list[np.ndarray]:
    """Feeds another metric with what one of the run was fed with.

    Args:
      name: name of the metric of the run.
      make: returns the other one.
      weighted: whether it gets the weights as well.

    Returns:
      Its values after each batch; none if it cannot be fed so.
    """
    found = []
    with candidate.entered(self._built, self._plan):
      try:
        metric = make()
        for calls in self.calls.get(name, ()):
          for positional, named in calls:
            if not weighted:
              positional = positional[:_UNWEIGHTED]
              named = {k: x for k, x in named.items() if k != 'sample_weight'}
            metric.update_state(*positional, **named)
          found.append(metric_objects.read({name: metric})[name])
      except Exception as error:  # Most others do not take the same.
        _log.debug('TF2: %s does not take this: %s', name, error)
        return []
    return found

  def is_weighted(self, name: str) -> bool:
    """Returns whether a metric of the run was given weights."""
    return any(
      len(positional) > _UNWEIGHTED or named.get('sample_weight') is not None
      for calls in self.calls.get(name, ())
      for positional, named in calls
    )

  @source_lines.calls_user
  def _build(self) -> dict[str, Any]:
    program = self._program
    if program.build_metrics is None:
      raise errors.UsageError('The TF2 side has no metrics.')
    with user_code.running('TF2', 'build_metrics_tf2'):
      metrics = metric_objects.check(program.build_metrics())
      metric_objects.reset(metrics)
    return metrics

  @source_lines.calls_user
  def _add(
    self,
    metrics: Mapping[str, Any],
    outputs: Any,
    inputs: Any,
    found: _Values,
  ) -> None:
    """Adds a batch, and appends the values then."""
    assert self._program.update_metrics is not None
    with user_code.running('TF2', 'update_metrics_tf2'):
      self._program.update_metrics(metrics, outputs, inputs)
      values = metric_objects.read(metrics)
    for name, value in values.items():
      found[name].append(value)


def prepare(program: program_lib.Program, plan: plan_lib.RunPlan) -> Candidate:
  """Builds the model and calls it once, which creates its variables.

  Args:
    program: the user's TF2 code.
    plan: what is to run; it has `batches` and `metrics`, and fixed weights.

  Returns:
    The candidate.

  Raises:
    UsageError: if the model or its outputs are unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  return Candidate(program, plan)
