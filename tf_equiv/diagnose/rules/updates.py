"""Mistakes with optimizers, recognized by the numbers of the steps."""

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Kind
from tf_equiv.compare.optimizers import OptimizerDifference
from tf_equiv.diagnose import facts

_RTOL = 1e-4
# What its epsilon is by default in TF1 and in Keras.
_OF_ADAM = (1e-8, 1e-7)


def decoupled_decay(found: OptimizerDifference) -> str:
  """TF2 decays the weights in the optimizer."""
  if found.difference.name != 'weight_decay':
    return ''
  return (
    'TF2 decays the weights in the optimizer '
    f'(weight_decay={found.difference.tf2_value:g} of {found.tf2}, decoupled '
    'from the gradients), TF1 does not: leave it out, or drop the L2 '
    'regularization that it is to replace on both sides.'
  )


def optimizer_epsilon(found: OptimizerDifference) -> str:
  """The epsilons of the optimizers differ."""
  mine, theirs = found.difference.tf1_value, found.difference.tf2_value
  if found.difference.name != 'epsilon':
    return ''
  why = ''
  if found.tf1 == 'AdamOptimizer' and (mine, theirs) == _OF_ADAM:
    why = 'tf.compat.v1.train.AdamOptimizer defaults to 1e-8, Keras to 1e-7; '
  return (
    f'The epsilon of the optimizer is {mine} in TF1 and {theirs} in TF2: {why}'
    f'pass epsilon={mine} to {found.tf2}.'
  )


def other_algorithm(found: OptimizerDifference) -> str:
  """The optimizers are different algorithms."""
  if found.difference.name != 'kind':
    return ''
  return (
    f'TF1 trains by {found.difference.tf1_value}, TF2 by '
    f'{found.difference.tf2_value}: use the optimizer of TF2 that is the '
    'same algorithm, with its hyperparameters (docs/optimizers.md).'
  )


def other_hyperparameter(found: OptimizerDifference) -> str:
  """A hyperparameter that TF1 has, too, differs."""
  name, mine = found.difference.name, found.difference.tf1_value
  if mine is None:
    return ''
  return (
    f'The optimizers differ in {name} ({mine} in TF1, '
    f'{found.difference.tf2_value} in TF2): pass {name}={mine} to {found.tf2}.'
  )


def reordered_updates(found: divergence.Divergence) -> str:
  """The optimizers run in another order."""
  if not any(d.kind is Kind.UPDATE_ORDER for d in found.differences):
    return ''
  return (
    'The optimizers run in another order, so that the later one sees other '
    'weights: update in the order of TF1.'
  )


def shifted_rate(found: facts.Rates) -> str:
  """The rate of TF2 is that of TF1 at another step."""
  tf1, tf2 = found.tf1, found.tf2
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


def scaled_gradients(found: facts.Gradients) -> str:
  """All gradients are multiples of those of the other side."""
  if not found.tf1 or found.trained < 2:
    return ''
  ratios = []
  for name, first in found.tf1.items():
    second = found.tf2.get(name)
    if second is None or np.shape(first) != np.shape(second):
      return ''
    ratio = _ratio(np.asarray(first), np.asarray(second))
    if ratio is None:
      return ''
    ratios.append(ratio)
  # A gradient that is zero on both sides is a multiple, too.
  if len(ratios) < 2 or np.ptp(ratios) > _RTOL * abs(ratios[0]):
    return ''
  text = f'All gradients of TF2 are {ratios[0]:.4g} times those of TF1'
  if found.losses is None:
    return (
      f'{text}: what train_tf1 and train_tf2 differentiate has another weight '
      'or reduction, or the gradients are multiplied afterwards.'
    )
  first, second = found.losses
  if first and np.isclose(second / first, ratios[0], rtol=_RTOL):
    return f'{text}, and so is the loss: it has another weight or reduction.'
  if np.isclose(first, second, rtol=_RTOL):
    return (
      f'{text}, although the losses agree: the gradients are multiplied '
      'afterwards (scaling, clipping by a norm), or the loss has another '
      'weight where its value does not show it (tf.stop_gradient).'
    )
  return f'{text}.'


def _ratio(first: np.ndarray, second: np.ndarray) -> float | None:
  first, second = (x.astype(np.float64).reshape(-1) for x in (first, second))
  power = float(first @ first)
  if not power or not np.isfinite(power):
    return None
  ratio = float(first @ second) / power
  rest = np.max(np.abs(second - ratio * first), initial=0.0)
  return ratio if rest <= _RTOL * np.max(np.abs(second)) else None


def lone_regularization(found: facts.Gradients) -> str:
  """Gradients differ by a multiple of the weights."""
  factors = []
  for name, first in found.tf1.items():
    value, second = found.weights.get(name), found.tf2.get(name)
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
  if there == 'TF1' and found.decay:
    text += (
      f' The weight_decay={found.decay:g} of the TF2 optimizer is decoupled '
      'from the gradients and no substitute: add the losses of the model.'
    )
  return text
