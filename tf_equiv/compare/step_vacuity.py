"""What agreeing training steps prove: whether training does anything."""

import dataclasses

import numpy as np

from tf_equiv.compare import vacuity, values
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib

_MAX_NOISE = 0.01


@dataclasses.dataclass(frozen=True)
class StepPower:
  """How many of the trained variables the steps change.

  Attributes:
    count: number of trained variables.
    still: names of those that no step changes.
  """

  count: int
  still: tuple[str, ...]


def find_vacuity(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> vacuity.Vacuity | None:
  """Returns why the agreement of training steps proves nothing.

  Args:
    plan: what was run.
    tf1: the reference, with `steps`; its `jitter` is that of the first step.
    tf2: the candidate.

  Returns:
    The reason: the outputs or the loss of the first step are rounding noise,
    all gradients are zero, or the loss is the same in all steps. None if the
    agreement proves something.
  """
  plan = dataclasses.replace(plan, gradients=True)
  found = vacuity.find_vacuity(plan, tf1, tf2)
  if found is not None:
    return dataclasses.replace(found, in_steps=True)
  first = tf1.steps[0]
  if first.loss is not None and observation.LOSS in tf1.jitter:
    moves = tf1.jitter[observation.LOSS]
    share = moves / (values.scale_of(np.asarray(first.loss)) or 1.0)
    if share > _MAX_NOISE:
      return vacuity.Vacuity(vacuity.Reason.NOISY_LOSS, value=share)
  gradients = [
    gradient
    for step in tf1.steps
    for update in step.updates
    for gradient in update.gradients.values()
    if gradient is not None
  ]
  if gradients and not any(np.any(gradient) for gradient in gradients):
    return vacuity.Vacuity(vacuity.Reason.ZERO_GRADIENTS, count=len(tf1.steps))
  losses = [step.loss for step in tf1.steps]
  if len(losses) > 1 and losses[0] is not None:
    known = [np.asarray(loss) for loss in losses if loss is not None]
    if all(np.array_equal(loss, losses[0]) for loss in known):
      return vacuity.Vacuity(
        vacuity.Reason.EQUAL_LOSSES, value=losses[0], count=len(losses)
      )
  return None


def step_power(tf1: observation.Observation) -> StepPower:
  """Returns how many of the trained variables the steps change."""
  before = tf1.weight_of()
  trained = [spec.name for spec in tf1.trainable() if spec.name in before]
  still = [
    name
    for name in trained
    if all(
      np.array_equal(step.variables.get(name, before[name]), before[name])
      for step in tf1.steps
    )
  ]
  return StepPower(len(trained), tuple(still))
