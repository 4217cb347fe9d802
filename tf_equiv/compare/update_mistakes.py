"""Classic mistakes with optimizers, recognized by the numbers of the steps.

Each function names a mistake, and the usual remedy, only where the numbers fit
it, and returns '' otherwise.
"""

from collections.abc import Mapping, Sequence

import numpy as np

_RTOL = 1e-4


def of_hyperparameters(found: Sequence[tuple]) -> str:
  """Names the hyperparameter that differs.

  Args:
    found: (name of the TF1 optimizer, name of the TF2 optimizer,
      `HyperparameterDifference`).
  """
  for _, second, difference in found:
    values = difference.name, difference.tf1_value, difference.tf2_value
    if difference.name == 'weight_decay':
      return (
        'TF2 decays the weights in the optimizer '
        f'(weight_decay={difference.tf2_value:g} of {second}, decoupled from '
        'the gradients), TF1 does not: leave it out, or drop the L2 '
        'regularization that it is to replace on both sides.'
      )
    if difference.name == 'epsilon':
      return (
        'The epsilon of the optimizer is %s in TF1 and %s in TF2: '
        'tf.compat.v1.train.AdamOptimizer defaults to 1e-8, Keras to 1e-7; '
        'pass epsilon=%s to %s.' % (*values[1:], difference.tf1_value, second)
      )
    if difference.name == 'kind':
      return (
        'TF1 trains by %s, TF2 by %s: use the optimizer of TF2 that is the '
        'same algorithm, with its hyperparameters (docs/optimizers.md).'
        % values[1:]
      )
    if difference.tf1_value is not None:
      return (
        'The optimizers differ in %s (%s in TF1, %s in TF2): pass %s=%s to %s.'
        % (*values, difference.name, difference.tf1_value, second)
      )
  return ''


def of_rates(tf1: Sequence[float], tf2: Sequence[float]) -> str:
  """Tells whether the rate of TF2 is that of TF1 at another step.

  Args:
    tf1: learning rate of each step.
    tf2: the same of TF2.
  """
  if len(tf1) != len(tf2) or len(tf1) < 3 or len(set(tf1)) < 2:
    return ''
  for ahead, mine, theirs in (
    ('ahead of', tf1[1:], tf2[:-1]),
    ('behind', tf1[:-1], tf2[1:]),
  ):
    if len(set(mine)) > 1 and np.allclose(mine, theirs, rtol=_RTOL, atol=0):
      return (
        f'The learning rate of TF2 is one step {ahead} that of TF1: TF1 '
        'counts the global step before the update, from 0, as the iterations '
        'of Keras do (boundaries belong to the step that they name).'
      )
  return ''


def of_gradients(
  weights: Mapping[str, np.ndarray],
  tf1: Mapping[str, np.ndarray],
  tf2: Mapping[str, np.ndarray],
  decay: float | None,
) -> str:
  """Tells whether gradients differ by a multiple of the weights.

  Args:
    weights: values of the variables before the step.
    tf1: gradients that differ, by name of the variable.
    tf2: the same of TF2.
    decay: weight decay of the TF2 optimizer, None if it has none.
  """
  factors = []
  for name, first in tf1.items():
    value, second = weights.get(name), tf2.get(name)
    if value is None or second is None or np.shape(first) != np.shape(value):
      return ''
    gap = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    wide = np.asarray(value, np.float64)
    power = float(np.sum(wide * wide))
    if power == 0 or gap.size < 2:
      return ''
    factor = float(np.sum(gap * wide)) / power
    rest = np.max(np.abs(gap - factor * wide))
    if rest > 1e-3 * np.max(np.abs(gap)):
      return ''
    factors.append(factor)
  if not factors or np.ptp(factors) > 1e-3 * abs(factors[0]):
    return ''
  there = 'TF1' if factors[0] > 0 else 'TF2'
  text = (
    f'The gradients differ by {abs(factors[0]):.4g} times the weights: the '
    f'loss of {there} has an L2 regularization that the other lacks.'
  )
  if there == 'TF1' and decay:
    text += (
      f' The weight_decay={decay:g} of the TF2 optimizer is decoupled from '
      'the gradients and no substitute: add the losses of the model.'
    )
  return text
