"""Recognizes what ops compute by their numbers, not by their names.

A layer that is written by hand has no name that tells what it is, and its parts
are those of many others. But what it computes of the same numbers can be
compared with formulas.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

_MAX_RANK = 4
_RTOL = 1e-6
# Formulas that are closer to each other on some numbers are not told apart.
_APART = 1e-5
_MAX_EPSILON = 0.5
_LEAST, _NOISE = 1e-8, 1e-12

Formula = Callable[[np.ndarray], np.ndarray]


def _erf(x: np.ndarray) -> np.ndarray:
  return np.vectorize(math.erf, otypes=[np.float64])(x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
  return 0.5 * (1 + np.tanh(0.5 * x))


def _softplus(x: np.ndarray) -> np.ndarray:
  return np.logaddexp(0, x)


# By the name that messages give them.
ACTIVATIONS: Mapping[str, Formula] = {
  'relu': lambda x: np.maximum(x, 0),
  'relu6': lambda x: np.clip(x, 0, 6),
  'leaky_relu(0.01)': lambda x: np.where(x < 0, 0.01 * x, x),
  'leaky_relu(0.1)': lambda x: np.where(x < 0, 0.1 * x, x),
  'leaky_relu(0.2)': lambda x: np.where(x < 0, 0.2 * x, x),
  'leaky_relu(0.3)': lambda x: np.where(x < 0, 0.3 * x, x),
  'elu': lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
  'selu': lambda x: (
    1.0507009873554805
    * np.where(x < 0, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), x)
  ),
  'softplus': _softplus,
  'softsign': lambda x: x / (1 + np.abs(x)),
  'tanh': np.tanh,
  'sigmoid': _sigmoid,
  'hard_sigmoid(0.2 x + 0.5)': lambda x: np.clip(0.2 * x + 0.5, 0, 1),
  'hard_sigmoid(relu6(x + 3) / 6)': lambda x: np.clip(x + 3, 0, 6) / 6,
  'swish': lambda x: x * _sigmoid(x),
  'gelu(sigmoid(1.702 x))': lambda x: x * _sigmoid(1.702 * x),
  'gelu(tanh)': lambda x: (
    0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
  ),
  'gelu(erf)': lambda x: 0.5 * x * (1 + _erf(x / np.sqrt(2))),
  'mish': lambda x: x * np.tanh(_softplus(x)),
}


def activations_of(
  x: np.ndarray, values: Mapping[str, np.ndarray]
) -> dict[str, str]:
  """Finds activations among what is computed of some numbers.

  Args:
    x: the numbers.
    values: what was computed, by name.

  Returns:
    Name of the value by that of the activation, for those that no other
    activation would give, too.
  """
  expected = {name: f(x) for name, f in ACTIVATIONS.items()}
  found: dict[str, str] = {}
  for key, value in values.items():
    if value.shape != x.shape:
      continue
    fits = [n for n, y in expected.items() if _gap(value, y) <= _RTOL]
    near = [n for n, y in expected.items() if _gap(value, y) <= _APART]
    if len(fits) == len(near) == 1:
      found.setdefault(fits[0], key)
  return found


def _gap(value: np.ndarray, expected: np.ndarray) -> float:
  scale = float(np.max(np.abs(expected), initial=0.0)) or 1.0
  return float(np.max(np.abs(value - expected), initial=0.0)) / scale


@dataclasses.dataclass(frozen=True)
class Normalization:
  """How some numbers are normalized.

  Attributes:
    statistic: what they are divided by the root of: 'variance', 'unbiased
      variance' or 'mean of squares'.
    axes: over which it is taken, without those of size one.
    epsilon: what is added to it.
    key: name of the first value that shows it.
  """

  statistic: str
  axes: tuple[int, ...]
  epsilon: float
  key: str


def normalization_of(
  x: np.ndarray, values: Mapping[str, np.ndarray]
) -> Normalization | None:
  """Finds a normalization in what is computed of some numbers.

  It shows in the variance with an epsilon, in its root, in one over that, or
  in the normalized numbers.

  Args:
    x: the numbers.
    values: what was computed, by name, in program order.

  Returns:
    The normalization; None if there is none, or if it is ambiguous.
  """
  if not 2 <= x.ndim <= _MAX_RANK:
    return None
  found: dict[tuple, Normalization] = {}
  for statistic, axes, spread, centered in _statistics(x):
    for key, value in values.items():
      epsilon = _epsilon(value, spread, centered, axes)
      if epsilon is not None:
        which = statistic, axes
        found.setdefault(which, Normalization(statistic, axes, epsilon, key))
  return next(iter(found.values())) if len(found) == 1 else None


def _statistics(
  x: np.ndarray,
) -> Iterator[tuple[str, tuple[int, ...], np.ndarray, np.ndarray]]:
  """Yields (statistic, axes, its values, what is divided by its root)."""
  wide = [i for i in range(x.ndim) if x.shape[i] > 1]
  for count in range(1, len(wide) + 1):
    for axes in itertools.combinations(wide, count):
      size = math.prod(x.shape[i] for i in axes)
      centered = x - x.mean(axes, keepdims=True)
      variance = np.mean(centered**2, axes, keepdims=True)
      if variance.size < 2:
        continue  # Any multiple of the numbers would do.
      yield 'variance', axes, variance, centered
      yield 'unbiased variance', axes, variance * size / (size - 1), centered
      squares = np.mean(x**2, axes, keepdims=True)
      if not np.allclose(squares, variance, rtol=1e-4, atol=0):
        yield 'mean of squares', axes, squares, x


def _epsilon(
  value: np.ndarray,
  spread: np.ndarray,
  centered: np.ndarray,
  axes: Sequence[int],
) -> float | None:
  """Returns the epsilon with which a value follows from a statistic."""
  if value.size == spread.size > 1:
    flat = value.reshape(spread.shape)
    with np.errstate(all='ignore'):
      # A variance alone shows no normalization, one over its root does.
      for made, least in ((flat, _LEAST), (1 / flat**2, 0.0)):
        epsilon = _constant(made - spread, spread, least)
        if epsilon is not None:
          return epsilon
    return None
  if value.size == centered.size and spread.size < centered.size:
    flat = value.reshape(centered.shape)
    power = np.sum(centered**2, tuple(axes), keepdims=True)
    if not np.all(power > 0):
      return None
    factor = np.sum(flat * centered, tuple(axes), keepdims=True) / power
    if not np.all(factor > 0) or _gap(flat, factor * centered) > _RTOL:
      return None
    return _constant(1 / factor**2 - spread, spread, 0.0)
  return None


def _constant(
  epsilons: np.ndarray, spread: np.ndarray, least: float
) -> float | None:
  """Returns what is the same everywhere, None if it is no epsilon.

  Args:
    epsilons: what was added to a statistic.
    spread: the statistic.
    least: an epsilon is larger than that, over the statistic.
  """
  scale = float(np.max(np.abs(spread)))
  if not np.all(np.isfinite(epsilons)) or not scale:
    return None
  if spread.size > 1 and float(np.ptp(spread)) < 1e-3 * scale:
    return None  # All would fit.
  epsilon = float(np.median(epsilons))
  if float(np.ptp(epsilons)) > max(1e-9 * scale, 1e-5 * abs(epsilon)):
    return None
  if not least * scale - _NOISE * scale <= epsilon <= _MAX_EPSILON * scale:
    return None
  return max(epsilon, 0.0)
