"""Compares optimizers by their hyperparameters. Knows no TensorFlow."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from tf_equiv.core import errors

# Kind of an optimizer that is not known.
OTHER = 'other'

# Hyperparameters that appear in the same place of the same formula on both
# sides, by kind of optimizer.
_COMMON = {
  'momentum': ('momentum', 'nesterov'),
  'adam': ('beta_1', 'beta_2', 'epsilon'),
  'rmsprop': ('rho', 'momentum', 'epsilon', 'centered'),
  'adagrad': ('initial_accumulator_value',),
  'adadelta': ('rho', 'epsilon'),
  'ftrl': (
    'learning_rate_power',
    'initial_accumulator_value',
    'l1',
    'l2',
    'l2_shrinkage',
    'beta',
  ),
}
_COMMON.update({kind: _COMMON['adam'] for kind in ('adamw', 'nadam', 'adamax')})
# What Keras adds, which in TF1 is off.
_ADDED = {
  'weight_decay': 0.0,
  'amsgrad': False,
  'adaptive_epsilon': False,
  'ema_momentum': None,
  'ema_overwrite_frequency': None,
  'gradient_accumulation_steps': None,
}
# What an update may differ by without being a difference.
_RTOL = 1e-6


@dataclasses.dataclass(frozen=True)
class HyperparameterDifference:
  """A hyperparameter that differs.

  Attributes:
    name: its name in Keras, or 'kind' for another algorithm.
    tf1_value: its value in TF1, None where it has none.
    tf2_value: its value in TF2.
    algorithm: kind of both optimizers, where its meaning depends on it.
  """

  name: str
  tf1_value: Any
  tf2_value: Any
  algorithm: str = ''


@dataclasses.dataclass(frozen=True)
class OptimizerDifference:
  """A hyperparameter in which two corresponding optimizers differ.

  Attributes:
    tf1: name of the optimizer of TF1.
    tf2: name of that of TF2.
    difference: the hyperparameter.
  """

  tf1: str
  tf2: str
  difference: HyperparameterDifference


@dataclasses.dataclass(frozen=True)
class LoneSlot:
  """Slots that the optimizers of one side alone keep.

  Attributes:
    meaning: what they hold.
    side: 0 for TF1, 1 for TF2.
  """

  meaning: str
  side: int


@dataclasses.dataclass(frozen=True)
class LoneSlots:
  """All slots that the optimizers of one side alone keep."""

  slots: tuple[LoneSlot, ...]


def compare_specs(tf1: Any, tf2: Any) -> list[HyperparameterDifference]:
  """Compares two `OptimizerSpec`.

  Args:
    tf1: the reference.
    tf2: the candidate.

  Returns:
    The differences, sorted by name. Only hyperparameters that mean the same on
    both sides count; clipping does not, because it may also be done outside of
    the optimizer. Momentum without momentum is gradient descent.
  """
  kinds = [kind_of(spec) for spec in (tf1, tf2)]
  if OTHER in kinds:
    return []
  if kinds[0] != kinds[1]:
    return [HyperparameterDifference('kind', *kinds)]
  first, second = tf1.hyperparameters, tf2.hyperparameters
  found = [
    HyperparameterDifference(name, first[name], second[name], kinds[0])
    for name in _COMMON.get(kinds[0], ())
    if name in first
    and name in second
    and not _equal(first[name], second[name])
  ]
  if kinds[0] == 'adagrad' and _matters_for_adagrad(first, second):
    found.append(
      HyperparameterDifference(
        'epsilon', first.get('epsilon'), second['epsilon']
      )
    )
  for name, off in _ADDED.items():
    value = second.get(name)
    if value is not None and value != off and first.get(name) != value:
      found.append(HyperparameterDifference(name, first.get(name), value))
  return sorted(found, key=lambda difference: difference.name)


def compare_renamed(
  tf1: Any, tf2: Any, rename: Callable[[str], object]
) -> tuple[list[HyperparameterDifference], int]:
  """Compares two `OptimizerSpec`, one of which is not known.

  Args:
    tf1: the reference.
    tf2: the candidate.
    rename: `rename_hyperparameter`.

  Returns:
    The differences, sorted by name, and the number of hyperparameters that
    were compared.

  Raises:
    UsageError: if `rename` names a hyperparameter that TF2 does not have.
  """
  found, count = [], 0
  for name, value in sorted(tf1.hyperparameters.items()):
    new = rename(name)
    if new is None:
      continue
    if new not in tf2.hyperparameters:
      known = ', '.join(sorted(tf2.hyperparameters)) or 'none'
      raise errors.UsageError(
        f'rename_hyperparameter({name!r}) returned {new!r}, which {tf2.name} '
        f'does not have as a number. It has: {known}.'
      )
    count += 1
    other = tf2.hyperparameters[str(new)]
    if not _equal(value, other):
      found.append(HyperparameterDifference(str(new), value, other))
  return found, count


def kind_of(spec: Any) -> str:
  """Returns the kind of an optimizer; without momentum it is another one."""
  if spec.kind == 'momentum' and not spec.hyperparameters.get('momentum', 1):
    return 'gradient descent'
  return str(spec.kind)


def _matters_for_adagrad(
  first: Mapping[str, Any], second: Mapping[str, Any]
) -> bool:
  """Returns whether the epsilon that only Keras has changes an update.

  Keras divides by sqrt(accumulator + epsilon), TF1 by sqrt(accumulator); the
  accumulator only grows. The default of 1e-7 does not matter beside 0.1.
  """
  epsilon = second.get('epsilon')
  accumulator = second.get('initial_accumulator_value')
  if epsilon is None or accumulator is None or 'epsilon' in first:
    return False
  return bool(epsilon > 2 * _RTOL * accumulator > 0)


def _equal(first: Any, second: Any) -> bool:
  numbers = isinstance(first, (int, float)) and isinstance(second, (int, float))
  if numbers and not isinstance(first, bool) and not isinstance(second, bool):
    return math.isclose(first, second, rel_tol=_RTOL)
  return bool(first == second)
