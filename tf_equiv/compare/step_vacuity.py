"""What agreeing training steps prove: whether training does anything."""

import dataclasses

import numpy as np

from tf_equiv.compare import vacuity, values
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib

_MAX_NOISE = 0.01
_MAX_NAMES = 4


def vacuous(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> str:
  """Says why the agreement of training steps proves nothing, '' if it does.

  Args:
    plan: what was run.
    tf1: the reference, with `steps`; its `jitter` is that of the first step.
    tf2: the candidate.

  Returns:
    The reason: the outputs or the loss of the first step are rounding noise,
    all gradients are zero, or the loss is the same in all steps.
  """
  plan = dataclasses.replace(plan, gradients=True)
  reason = vacuity.vacuous(plan, tf1, tf2)
  if reason:
    return 'in the first step, ' + reason
  first = tf1.steps[0]
  if first.loss is not None and observation.LOSS in tf1.jitter:
    moves = tf1.jitter[observation.LOSS]
    share = moves / (values.scale_of(np.asarray(first.loss)) or 1.0)
    if share > _MAX_NOISE:
      return (
        'the loss of the first step is rounding noise: it moves by '
        f'{share:.2g} of its size when the inputs move by one unit in the '
        'last place'
      )
  gradients = [
    gradient
    for step in tf1.steps
    for update in step.updates
    for gradient in update.gradients.values()
    if gradient is not None
  ]
  if gradients and not any(np.any(gradient) for gradient in gradients):
    return f'all gradients are zero in all {len(tf1.steps)} step(s)'
  losses = [step.loss for step in tf1.steps]
  if len(losses) > 1 and losses[0] is not None:
    if all(np.array_equal(loss, losses[0]) for loss in losses):
      return (
        f'the loss is the same in all {len(losses)} steps ({losses[0]:.6g}), '
        'so that it responds neither to the batches nor to the updates'
      )
  return ''


def describe(tf1: observation.Observation) -> str:
  """Says how many of the trained variables the steps change."""
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
  line = (
    f'the steps change {len(trained) - len(still)} of {len(trained)} trained '
    'variables'
  )
  if still:
    line += ', not ' + ', '.join(still[:_MAX_NAMES])
    if len(still) > _MAX_NAMES:
      line += f' and {len(still) - _MAX_NAMES} more'
  return line
