"""Trains the TF1 side freely, and again from weights one unit away.

The graph is built once. A step that draws no random numbers runs in one session
for the whole training; for others each step has a session of its own, so that
all steps make the same draws, as they do on the TF2 side.
"""

import logging
import time
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow as tf

from tf_equiv.core import curves, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import (
  random_values,
  runner,
  step_graph,
  training,
)

v1 = tf.compat.v1
_log = logging.getLogger('tf_equiv')
# So many steps run twice, to see whether the side repeats itself.
_REPEATED = 5


def run(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  step: Optional[step_graph.Step] = None,
):
  """Trains freely, `plan.free_runs` + 1 times.

  Args:
    program: the user's TF1 code.
    plan: what to run; it has `batches` and `free_runs`.
    step: the graph of its training step, if there is one already.

  Returns:
    An `Observation` with `curves`. Its `weights` are the values before the
    first step; it has no `steps`.

  Raises:
    UsageError: if a template method returns something unusable.
    EnvironmentSetupError, ModelCodeError: if the code cannot run here.
  """
  if step is None:
    step = step_graph.build(program, plan)
  observed = training.describe(step)
  start = time.time()
  with program.behavior.active(), step.graph.as_default():
    values = training.initial_values(program, plan, step, observed)
    trainer = _Trainer(step, plan.batches)
    base = trainer.train(values, 'itself')
    observed.random_values = trainer.random_values
    observed.outputs = trainer.outputs
    again = trainer.train(values, 'again', _REPEATED)
    nudged = [
      trainer.train(_nudged(step, values, i), f'one unit away, {i + 1}')
      for i in range(plan.free_runs)
    ]
    observed.curves = curves.Curves(base, nudged, again)
  observed.seconds['TF1 run'] = time.time() - start
  return observed


class _Trainer:
  """Trains again and again."""

  def __init__(self, step: step_graph.Step, batches: Any):
    self._step, self._batches = step, batches
    self._draws = any(phase.random_ops for phase in step.phases)
    self._slots = training.slot_names(step)
    self.random_values: List[Any] = []
    self.outputs: List[Any] = []

  def train(
    self, values: List[np.ndarray], which: str, most: Optional[int] = None
  ) -> curves.Curve:
    """Trains from values of all variables; returns the curve."""
    step = self._step
    model = {variable.op.name for variable in step.model}
    recorder = curves.Recorder(
      {
        variable.op.name: value
        for variable, value in zip(step.variables, values)
        if variable.op.name in model
      }
    )
    session = None if self._draws else self._session(values)
    batches = self._batches[:most]
    try:
      for i, batch in enumerate(batches):
        _log.info(
          'TF1 (%s): training step %d of %d', which, i + 1, len(batches)
        )
        feed = step.feed(batch)
        found: Dict[str, Any] = {}
        for phase in step.phases:
          if session is None:
            results, values = training.run_phase(step, phase, feed, values)
          else:
            results = training.run_in(session, phase, feed)
          training.merge(found, results)
        if session is not None:
          values = session.run(step.variables)
        observed = self._observe(found, values)
        recorder.add(observed)
        self.outputs = self.outputs or observed.outputs
        if not self.random_values:
          self.random_values = random_values.observe(
            found['random ops'], found.get('draws', [])
          )
    finally:
      if session is not None:
        session.close()
    return recorder.curve()

  def _observe(self, found, values) -> observation.StepObservation:
    """Returns what of a step its curve is made of."""
    step = self._step
    by_name = {v.op.name: value for v, value in zip(step.variables, values)}
    updates = []
    for update, gradients, rate in zip(
      found['updates'], found['gradients'], found['rates']
    ):
      present = iter(gradients)
      updates.append(
        observation.UpdateObservation(
          None,
          {
            variable.op.name: None if gradient is None else next(present)
            for variable, gradient in zip(update.variables, update.gradients)
          },
          rate[0] if rate else None,
        )
      )
    return observation.StepObservation(
      outputs=[(p, np.asarray(v)) for p, v in found['outputs'].items()],
      loss=found.get('loss'),
      updates=updates,
      variables={v.op.name: by_name[v.op.name] for v in step.model},
      slots={
        meaning: {name: by_name[slot] for name, slot in slots.items()}
        for meaning, slots in self._slots.items()
      },
    )

  def _session(self, values):
    step = self._step
    session = v1.Session(
      graph=step.graph, config=runner.session_config(step.graph)
    )
    runner.assign(session, step.variables, values)
    session.run(step.others)
    return session


def _nudged(step, values, index: int) -> List[np.ndarray]:
  """Moves each weight of the model by one unit in the last place."""
  generator = np.random.RandomState(index)
  model = {variable.op.name for variable in step.model}
  return [
    one_unit_away(value, generator) if variable.op.name in model else value
    for variable, value in zip(step.variables, values)
  ]


def one_unit_away(value: Any, generator: Any) -> np.ndarray:
  """Moves floating-point numbers by one unit, up or down at random."""
  array = np.asarray(value)
  up = generator.uniform(size=array.shape) < 0.5
  if array.dtype.kind == 'f':
    limit = np.where(up, np.inf, -np.inf).astype(array.dtype)
    return np.nextafter(array, limit)
  if array.dtype.name == 'bfloat16':
    bits = array.view(np.uint16)
    # Sign and magnitude: one more bit is away from zero.
    moved = np.where((bits & 0x7FFF) == 0, bits, bits + np.where(up, 1, -1))
    return moved.astype(np.uint16).view(array.dtype)
  return array
