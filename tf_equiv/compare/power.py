"""What an agreement proves: whether the compared values mean anything."""

import numpy as np

from tf_equiv.compare import values
from tf_equiv.tf1 import observation as observation_lib

# Share of the outputs that may move when the inputs move by one unit in the
# last place. Random-normal inputs give 2e-6 on Inception-ResNet-v2 in training
# mode, an image of ones 7e-2.
_MOST_NOISE = 0.01
# A variable counts if it moves the outputs by more than what is allowed to
# differ, in units of the largest output.
_LEAST_EFFECT = 1e-5
_MOST_NAMES = 4

ADVICE = (
  'Use random inputs (make_inputs) instead of constant ones, a batch larger '
  'than one, or other weights (reset_weights). If the outputs are meant to be '
  'so, pass allow_vacuous=True.'
)


def vacuous(
  tf1: observation_lib.Observation,
  tf2: observation_lib.Observation,
  gradients: bool = False,
) -> str:
  """Says why an agreement of the outputs proves nothing, '' if it does.

  Args:
    tf1: the reference.
    tf2: the candidate.
    gradients: whether gradients were compared as well, which say more than
      constant outputs do.

  Returns:
    The reason: all floating-point outputs are constant, one of them is
    rounding noise, or none responds to a variable.
  """
  outputs = {
    path: np.asarray(value)
    for path, value in tf1.outputs
    if values.is_inexact(np.asarray(value)) and np.size(value)
  }
  if not outputs or any(np.isnan(x).any() for x in outputs.values()):
    return ''
  constant = all(x.size > 1 and not np.ptp(x) for x in outputs.values())
  if constant and not gradients:
    value = next(iter(outputs.values())).reshape(-1)[0]
    return 'all elements of the outputs are equal (%.6g)' % value
  noise = noisy(tf1)
  if noise:
    path = next(iter(noise))
    return (
      '%d of %d outputs are rounding noise, first outputs%s: it moves by %.2g '
      'of its size when the inputs move by one unit in the last place'
      % (len(noise), len(outputs), path, noise[path])
    )
  effects = tf2.sensitivity
  silent = effects and not any(x > _LEAST_EFFECT for x in effects.values())
  if silent and not gradients:
    return 'the outputs respond to none of the %d trained variables' % len(
      effects
    )
  return ''


def noisy(tf1: observation_lib.Observation) -> dict[str, float]:
  """Returns by which share of their size the outputs that are noise move."""
  found = {
    path: tf1.jitter[path] / (values.scale_of(np.asarray(value)) or 1.0)
    for path, value in tf1.outputs
    if path in tf1.jitter
  }
  return {path: share for path, share in found.items() if share > _MOST_NOISE}


def describe(tf2: observation_lib.Observation) -> str:
  """Says how many variables the outputs respond to, '' if not measured."""
  effects = tf2.sensitivity
  if not effects:
    return ''
  silent = sorted(n for n, x in effects.items() if not x > _LEAST_EFFECT)
  line = 'outputs respond to %d of %d trained variables' % (
    len(effects) - len(silent),
    len(effects),
  )
  if silent:
    line += ', not to ' + ', '.join(silent[:_MOST_NAMES])
    if len(silent) > _MOST_NAMES:
      line += ' and %d more' % (len(silent) - _MOST_NAMES)
  return line
