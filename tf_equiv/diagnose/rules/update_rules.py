"""Mistakes in the rule by which an optimizer updates, told by its numbers."""

import math
from collections.abc import Mapping

import numpy as np

from tf_equiv.core import text
from tf_equiv.diagnose import facts

# What an update may be off the formula; updates of float32 weights are not
# known more exactly.
_RTOL = 0.02
# Weights that are all the same fit any constant.
_LEAST_SPREAD = 0.05
_MAX_NAMES = 5


def bias_correction(found: facts.Updates) -> str:
  """One side alone corrects the bias of its moments."""
  if found.rate is None:
    return ''
  betas = [_hyperparameter(found, f'beta_{i}', f'beta{i}') for i in (1, 2)]
  if None in betas:
    betas = [0.9, 0.999]  # That it fits them proves them.
  correction = math.sqrt(1 - betas[1] ** found.step) / (
    1 - betas[0] ** found.step
  )
  if abs(correction - 1) < 2 * _RTOL:
    return ''
  fits = {}
  for name, first in found.tf1.items():
    fit = _fit(first, found.tf2[name], found.before[name])
    if fit is None:
      return ''
    fits[name] = fit
  factors = [factor for factor, _ in fits.values()]
  for side, wanted in ((1, correction), (0, 1 / correction)):
    if factors and all(abs(f / wanted - 1) <= _RTOL for f in factors):
      there, other = found.optimizers[side], found.optimizers[1 - side]
      return (
        f'The updates of TF2 are {wanted:.4g} times those of TF1, which is '
        f'{"" if side else "the inverse of "}sqrt(1 - beta_2^t) / '
        f'(1 - beta_1^t) for t = {found.step}: {there} of '
        f'TF{side + 1} corrects the bias of its moments, {other} of '
        f'TF{2 - side} does not. Use an optimizer that does as TF1.'
        + _surplus_decay(found, fits)
      )
  return ''


def _surplus_decay(found: facts.Updates, fits) -> str:
  """Names what TF2 decays, and TF1 does not, beside another difference."""
  decay = found.hyperparameters[1].get('weight_decay')
  if not isinstance(decay, float) or not decay or not found.rate:
    return ''
  # change2 = factor * change1 + rate * (factor * decay1 - decay2) * weights
  of_tf1 = {
    name: (rest / found.rate + decay) / factor
    for name, (factor, rest) in fits.items()
  }
  kept = [n for n, own in of_tf1.items() if abs(own / decay - 1) < 0.3]
  lone = sorted(n for n, own in of_tf1.items() if abs(own / decay) < 0.3)
  if not kept or not lone:
    return ''
  return (
    f' Besides, TF2 decays {text.listed(lone, _MAX_NAMES)}, which TF1 does not '
    '(exclude_from_weight_decay).'
  )


def lone_decay(found: facts.Updates) -> str:
  """One side decays variables more than the other."""
  factors = {}
  for name, first in found.tf1.items():
    weights = np.asarray(found.before[name], np.float64)
    gap = np.asarray(found.tf2[name], np.float64) - first
    factor = _multiple(gap, weights)
    if factor is None:
      return ''
    factors[name] = factor
  if not factors or found.rate == 0:
    return ''
  mean = float(np.mean(list(factors.values())))
  if any(abs(f / mean - 1) > 2.5 * _RTOL for f in factors.values()):
    return ''
  decay = abs(mean) / abs(found.rate or 1.0)
  known = any(
    isinstance(value, float) and value and abs(decay / value - 1) < _RTOL
    for of_side in found.hyperparameters
    for value in of_side.values()
  )
  sizes = np.concatenate(
    [np.abs(np.ravel(found.before[name])) for name in factors]
  )
  spread = np.ptp(sizes) > _LEAST_SPREAD * np.max(sizes)
  if not known and not spread:
    return _equal_decay(found, factors, decay)
  sides = ('TF2', 'TF1') if mean * (found.rate or 1) < 0 else ('TF1', 'TF2')
  names = text.listed(sorted(factors), _MAX_NAMES)
  others = f' ({found.agreeing} others agree)' if found.agreeing else ''
  return (
    f'{sides[0]} decays {names}{others} more than {sides[1]}: the updates '
    f'differ by {"the learning rate times " if found.rate else ""}{decay:.3g} '
    'times the weights. That is weight decay: check its strength, and which '
    'variables are excluded from it (exclude_from_weight_decay; a pattern must '
    'match the names that the variables have in TF2).'
  )


def _equal_decay(
  found: facts.Updates, factors: Mapping[str, float], decay: float
) -> str:
  """Tells of updates that are apart by the same number in all elements."""
  if not found.agreeing or not all(
    np.ptp(found.tf1[name]) > _LEAST_SPREAD * np.max(np.abs(found.tf1[name]))
    for name in factors
  ):
    return ''  # The gradients may be the same everywhere, too.
  names = text.listed(sorted(factors), _MAX_NAMES)
  rate = 'the learning rate times ' if found.rate else ''
  return (
    f'The updates of {names} ({found.agreeing} others agree) are apart by the '
    f'same number everywhere, whatever the gradients are: {rate}{decay:.3g} '
    'times the weights, which are all the same before this step. Weight decay '
    'would do so: compare which variables are excluded from it '
    "(exclude_from_weight_decay); with weights='fixed' the weights are not "
    'all the same, which tells more.'
  )


def coupled_decay(found: facts.FirstMoments) -> str:
  """One side adds weight decay to the gradient inside of the optimizer."""
  factors = []
  for name, first in found.tf1.items():
    weights = np.asarray(found.weights[name], np.float64)
    gap = np.asarray(found.tf2[name], np.float64) - first
    factor = _multiple(gap, weights)
    if factor is None or np.ptp(np.abs(weights)) <= _LEAST_SPREAD * np.max(
      np.abs(weights)
    ):
      return ''
    factors.append(factor)
  if not factors or any(abs(f / factors[0] - 1) > 2.5 * _RTOL for f in factors):
    return ''
  there, other = ('TF2', 'TF1') if factors[0] > 0 else ('TF1', 'TF2')
  size = abs(factors[0])
  strength = ''
  if found.beta is not None and found.beta < 1:
    strength = f', that is (1 - beta_1) times {size / (1 - found.beta):.3g}'
  return (
    f'The first moments differ by {size:.3g} times the weights{strength}: '
    f'{there} adds weight decay to the gradient inside of the optimizer (L2, '
    f'coupled), {other} does not. Decoupled weight decay is subtracted from '
    'the weights after the moments are taken.'
  )


def scaled_loss(found: facts.ScalarLosses) -> str:
  """A loss of one's own is a multiple of that of TF1."""
  pairs = [(a, b) for a, b in zip(found.tf1, found.tf2, strict=True) if a]
  factors = [b / a for a, b in pairs]
  if not factors or any(abs(f / factors[0] - 1) > 1e-4 for f in factors):
    return ''
  factor = factors[0]
  if abs(factor - 1) < 1e-3:
    return ''
  number = factor if factor > 1 else 1 / factor if factor else 0
  if abs(number - round(number)) > 1e-3 * number:
    shown = f'{factor:.4g} times'
  else:
    shown = (
      f'{round(number)} times' if factor > 1 else f'1/{round(number)} times'
    )
  names = text.listed([n for n in found.names if n] or ['the loss'], _MAX_NAMES)
  sentence = f'In TF2 {names} is {shown} that of TF1'
  if len(pairs) > 1:
    sentence += ' in all steps'
  if found.gradients is not None and abs(found.gradients / factor - 1) < 1e-3:
    sentence += ', and so are the gradients'
  size = round(number)
  if size in found.sizes and abs(number - size) <= 1e-3 * number:
    mean, total = ('TF2', 'TF1') if factor < 1 else ('TF1', 'TF2')
    return (
      f'{sentence}; the batch has {size} examples: a sum over it in {total}, a '
      f'mean in {mean} (reduce_sum against reduce_mean, or the reduction of '
      'the loss).'
    )
  return f'{sentence}: look for a weight, or another reduction.'


def _multiple(
  values: np.ndarray, base: np.ndarray, rtol: float = _RTOL
) -> float | None:
  """Returns the number that values are times a base, None if there is none."""
  values, base = np.asarray(values, np.float64), np.asarray(base, np.float64)
  power = float(np.sum(base * base))
  if values.shape != base.shape or not power or not np.any(values):
    return None
  factor = float(np.sum(values * base)) / power
  rest = float(np.max(np.abs(values - factor * base)))
  # The values are differences of weights in float32.
  if rest > rtol * float(np.max(np.abs(values))):
    return None
  return factor


def _fit(
  first: np.ndarray, second: np.ndarray, weights: np.ndarray
) -> tuple[float, float] | None:
  """Fits second = factor * first + rest * weights; None if that fits not."""
  columns = [np.ravel(x).astype(np.float64) for x in (first, weights)]
  target = np.ravel(second).astype(np.float64)
  if target.size < 2 or not np.any(columns[0]) or not np.any(target):
    return None
  if target.size < 4 or not np.any(columns[1]):
    factor = _multiple(target, columns[0])
    return None if factor is None else (factor, 0.0)
  matrix = np.stack(columns, axis=1)
  solution = np.linalg.lstsq(matrix, target, rcond=None)[0]
  rest = np.max(np.abs(matrix @ solution - target))
  if rest > _RTOL * np.max(np.abs(target)):
    return None
  return float(solution[0]), float(solution[1])


def _hyperparameter(found: facts.Updates, *names: str) -> float | None:
  """Returns a hyperparameter of either side, None if none has it."""
  for of_side in found.hyperparameters:
    for name in names:
      value = of_side.get(name)
      if isinstance(value, float) and 0 < value < 1:
        return value
  return None
