"""Captures both sides of what is diagnosed, as graphs or op by op."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.core import capture_errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.diagnose import sketches
from tf_equiv.references import base as references
from tf_equiv.tf1.capture import capture as tf1_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import eager_capture
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import step_capture as tf2_step_capture
from tf_equiv.tf2 import training as tf2_training

Labels = Sequence[tf1_capture.Label]
Captures = tuple[tf1_capture.Capture, tf1_capture.Capture]


@dataclasses.dataclass(frozen=True)
class Subject:
  """What it takes to run both sides again, and to look into them.

  Attributes:
    program: the TF2 side.
    plan: what was run.
    run: the run of the TF1 side.
    pairing: how the variables correspond; they do.
    forward: the forward pass of the TF2 side, if it was kept.
  """

  program: tf2_program.Program
  plan: plan_lib.RunPlan
  run: references.Run
  pairing: pairing_lib.Pairing
  forward: forward_lib.Forward | None = None

  @property
  def tf1(self) -> observation.Observation:
    """The observation of the TF1 side."""
    return self.run.result()

  @property
  def has_own_step(self) -> bool:
    """Whether the training step of TF2 is the user's own."""
    return self.program.train is not None

  def capture(
    self,
    labels: Labels = (),
    groups: Sequence[str] = (),
    step: int | None = None,
  ) -> Captures:
    """Captures the forward pass, with gradients and updates where wanted.

    Args:
      labels: results to look at.
      groups: groups of results to look at.
      step: number of the training step from whose state it starts.

    Returns:
      (capture of TF1, capture of TF2).

    Raises:
      CannotCaptureError, CannotTraceError: if that is not possible.
    """
    plan, weights = self._conditions(labels, groups, step)
    first = self.run.capture(plan, weights)
    second = tf2_capture.capture(
      self._forward(plan, step), plan, self.pairing.carry(weights)
    )
    return first, second

  def record(
    self,
    labels: Labels,
    groups: Sequence[str],
    step: int | None,
    sketcher: sketches.Sketcher,
  ) -> tuple[tf1_capture.Capture, eager_capture.Recording]:
    """Captures TF1, and records the ops of TF2 as they run.

    Args:
      labels: results to look at.
      groups: groups of results to look at.
      step: number of the training step from whose state it starts.
      sketcher: makes of each array what is kept of it.
    """
    plan, weights = self._conditions(labels, groups, step)
    first = self.run.capture(plan, weights)
    second = eager_capture.record(
      self._forward(plan, step),
      plan,
      self.pairing.carry(weights),
      sketcher.sketch,
    )
    return first, second

  def capture_step(self, labels: Labels, step: int) -> Captures:
    """Captures a training step, or its forward pass if that is all there is.

    Args:
      labels: results to look at.
      step: number of the training step.

    Raises:
      CannotCaptureError, CannotTraceError: if that is not possible.
    """
    try:
      return self._whole_step(step)
    except capture_errors.NotOneGraphError:
      raise
    except capture_errors.CaptureError:
      groups = {group for group, _ in labels}
      if self.has_own_step or groups - set(labels_lib.GROUPS):
        raise
      # Optimizers may do what cannot be traced, and a recording of TF1 has the
      # graph of the forward pass only.
      return self.capture(labels, step=step)

  def _whole_step(self, step: int) -> Captures:
    """Captures a training step, from the state in which it started."""
    batch = self.plan.batches[step]
    plan = dataclasses.replace(
      self.plan, weights=plan_lib.FIXED, batches=(), inputs=batch
    )
    weights = self.tf1.weight_of()
    state: Mapping[str, np.ndarray] = {}
    averages: Mapping[str, np.ndarray] = {}
    if step:
      before = self.tf1.steps[step - 1]
      weights, state = {**weights, **before.variables}, before.state
      averages = before.slots.get(observation.MOVING_AVERAGE, {})
    first = self.run.capture_step(plan, weights, state)
    candidate = tf2_training.prepare(self.program, plan)
    carried = self.pairing.carry(weights), self.pairing.carry(averages)
    second = tf2_step_capture.capture(candidate, batch, step, carried, self.tf1)
    return first, second

  def _forward(
    self, plan: plan_lib.RunPlan, step: int | None
  ) -> forward_lib.Forward:
    """Returns a forward pass of TF2, that which was kept where it serves."""
    reusable = step is None and plan.gradients == self.plan.gradients
    if self.forward is not None and reusable:
      return self.forward
    return tf2_capture.prepare(self.program, plan, self.tf1)

  def _conditions(
    self, labels: Labels, groups: Sequence[str], step: int | None
  ) -> tuple[plan_lib.RunPlan, dict[str, np.ndarray]]:
    """Returns the plan of a forward pass, and the weights it starts from."""
    asked = {group for group, _ in labels} | set(groups)
    plan = dataclasses.replace(
      self.plan,
      weights=plan_lib.FIXED,
      batches=(),
      updates=tf1_capture.UPDATED in asked,
      gradients=self.plan.gradients
      or bool(asked & {tf1_capture.TOTAL, tf1_capture.GRADIENT}),
    )
    weights = self.tf1.weight_of()
    if step is not None:
      plan = dataclasses.replace(plan, inputs=self.plan.batches[step])
      if step:
        weights = {**weights, **self.tf1.steps[step - 1].variables}
    return plan, weights
