"""The TF1 side in a `tf.Graph` of this process."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from tf_equiv import fingerprint
from tf_equiv.core import arguments, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import base
from tf_equiv.tf1 import (
  free_training,
  graph,
  metrics,
  runner,
  shared_graphs,
  step_graph,
  training,
)
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import initializers, step_capture

_Clipping = Callable[[Sequence[Any]], Sequence[Any]]


class InProcess(base.Reference):
  """Runs `build_tf1` in a graph of this process: the default.

  Example:
    >>> class HalfTest(MigrationTestCase):
    ...   tf1_reference = InProcess()
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0])
    ...   def build_tf1(self, inputs, training):
    ...     return inputs / 2
    ...   def build_tf2(self):
    ...     return lambda x: 0.5 * x
    >>> HalfTest().assertForwardEquivalent().passed
    True
  """

  def __init__(self, share_graphs: bool = True):
    """Makes a reference.

    Args:
      share_graphs: whether assertions use the graph of an earlier one again
        where `build_tf1` would build the same: it, what it calls, and the
        attributes, flags and module constants that they read are what they
        were. Without it, each assertion calls `build_tf1`.

    Raises:
      UsageError: for something else than True or False.
    """
    self._shares = arguments.check_bool(share_graphs, 'share_graphs')
    self._graphs = shared_graphs.SharedGraphs()
    self._alive: dict[Hashable, list[Any]] = {}

  def __repr__(self) -> str:
    return f'InProcess({"" if self._shares else "share_graphs=False"})'

  def list_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> observation.Observation:
    """Describes the variables; see `Reference`."""
    return runner.list_variables(program, plan, self._built(program, plan))

  def submit(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> 'InProcessRun':
    """Runs a plan; see `Reference`."""
    if plan.metrics:
      return InProcessRun(program, plan, metrics.run(program, plan))
    if plan.batches:
      train = free_training.run if plan.free_runs else training.run
      return InProcessRun(program, plan, train(program, plan))
    built = self._built(program, plan)
    observed = runner.run(program, plan, built)
    observed.seconds['TF1 build'] = built.seconds
    return InProcessRun(program, plan, observed, built)

  def measures_metrics(self) -> bool:
    """Returns that it does; see `Reference`."""
    return True

  def list_step_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> list[str]:
    """Returns the names of all variables; see `Reference`."""
    step = step_graph.build(program, plan)
    return [variable.op.name for variable in step.variables]

  def close(self) -> None:
    """Releases the graphs."""
    self._graphs.clear()
    self._alive.clear()

  def _built(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> graph.Built:
    """Returns the graph of a plan, from an earlier run where that is safe."""
    code = _code_of(program) if self._shares else None
    if code is None:
      return graph.build(program, plan)
    key = (code[0], shared_graphs.key_of(plan))
    known = key in self._graphs
    built = self._graphs.get(program, plan, key)
    if known:
      return built
    after = _code_of(program)
    if after is None or after[0] != code[0]:
      # The code changes what it depends on: it may build something else now.
      self._graphs.forget(key)
    else:
      self._alive = {k: v for k, v in self._alive.items() if k in self._graphs}
      self._alive[key] = code[1]
    return built


class InProcessRun(base.Run):
  """A run that is over, with the graph that ran."""

  def __init__(
    self,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    observed: observation.Observation,
    built: graph.Built | None = None,
  ):
    """Takes what was run.

    Args:
      program: the program.
      plan: the plan.
      observed: what the run left behind.
      built: the graph of a forward pass.
    """
    self._program, self._plan = program, plan
    self._observed, self._built = observed, built

  def result(self) -> observation.Observation:
    """Returns what the run left behind."""
    return self._observed

  def with_clipping(
    self, around: Callable[[_Clipping], _Clipping]
  ) -> 'InProcessRun':
    """Returns the same run, whose captures clip gradients in another way.

    Args:
      around: makes a `clip_gradients` of that of the program. A program that
        has a training step of its own does not call it.
    """
    program = dataclasses.replace(
      self._program, clip_gradients=around(self._program.clip_gradients)
    )
    return InProcessRun(program, self._plan, self._observed, self._built)

  def capture(
    self, plan: plan_lib.RunPlan, weights: base.Values
  ) -> capture_lib.Capture:
    """Captures the forward pass; see `Run`."""
    same = plan.gradients == self._plan.gradients
    return capture_lib.capture(
      self._program, plan, weights, self._built if same else None
    )

  def capture_step(
    self, plan: plan_lib.RunPlan, weights: base.Values, state: base.Values
  ) -> capture_lib.Capture:
    """Captures a training step; see `Run`."""
    return step_capture.capture(self._program, plan, weights, state)

  def capture_initializers(
    self, plan: plan_lib.RunPlan
  ) -> Mapping[str, initializers.Initializer]:
    """Describes the initializers; see `Run`."""
    return initializers.capture(self._program, plan, self._built)


def _code_of(
  program: program_lib.Program,
) -> tuple[Hashable, list[Any]] | None:
  return fingerprint.of(
    {
      'build': program.build,
      'compute_loss': program.compute_loss,
      'behavior': program.behavior,
    }
  )
