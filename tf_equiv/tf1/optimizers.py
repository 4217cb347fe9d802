"""Optimizers of `tf.compat.v1.train`, described by what their parts mean."""

import dataclasses
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.compat import optimizers

v1 = tf.compat.v1

GRADIENT_DESCENT = 'gradient descent'
MOMENTUM = 'momentum'
ADAM = 'adam'
RMSPROP = 'rmsprop'
ADAGRAD = 'adagrad'
ADADELTA = 'adadelta'
FTRL = 'ftrl'
OTHER = 'other'

_OF_ADAM = (
  {'beta1': 'beta_1', 'beta2': 'beta_2', 'epsilon': 'epsilon'},
  {'m': 'first moment', 'v': 'second moment'},
)
# Attributes that are no hyperparameters.
_NO_HYPERPARAMETERS = frozenset(
  (
    'use_locking',
    'use_own_namescope_for_non_slot_vars',
    'learning_rate',
    'lr',
    'built',
    'self_setattr_tracking',
    'current_learning_rate',
    'jit_compile',
    'run_with_dtensor',
    'is_legacy_optimizer',
    'distribution_strategy',
  )
)
# (class, kind, constructor argument -> hyperparameter, slot -> meaning); the
# first that is among an optimizer's classes counts.
_KNOWN = (
  # These of tf.contrib.opt derive from AdamOptimizer.
  ('NadamOptimizer', 'nadam') + _OF_ADAM,
  ('AdamWOptimizer', 'adamw') + _OF_ADAM,
  (
    'AdaMaxOptimizer',
    'adamax',
    _OF_ADAM[0],
    {'m': 'first moment', 'v': 'infinity norm'},
  ),
  ('GradientDescentOptimizer', GRADIENT_DESCENT, {}, {}),
  (
    'MomentumOptimizer',
    MOMENTUM,
    {'momentum': 'momentum', 'use_nesterov': 'nesterov'},
    {'momentum': 'momentum'},
  ),
  ('AdamOptimizer', ADAM) + _OF_ADAM,
  (
    'RMSPropOptimizer',
    RMSPROP,
    {
      'decay': 'rho',
      'momentum': 'momentum',
      'epsilon': 'epsilon',
      'centered': 'centered',
    },
    {'rms': 'mean square', 'mg': 'mean gradient', 'momentum': 'momentum'},
  ),
  (
    'AdagradOptimizer',
    ADAGRAD,
    {'initial_accumulator_value': 'initial_accumulator_value'},
    {'accumulator': 'accumulator'},
  ),
  (
    'AdadeltaOptimizer',
    ADADELTA,
    {'rho': 'rho', 'epsilon': 'epsilon'},
    {'accum': 'accumulated gradient', 'accum_update': 'accumulated update'},
  ),
  (
    'FtrlOptimizer',
    FTRL,
    {
      'learning_rate_power': 'learning_rate_power',
      'initial_accumulator_value': 'initial_accumulator_value',
      'l1_regularization_strength': 'l1',
      'l2_regularization_strength': 'l2',
      'l2_shrinkage_regularization_strength': 'l2_shrinkage',
      'beta': 'beta',
    },
    {'accum': 'accumulator', 'linear': 'linear'},
  ),
)


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
  """An optimizer without its state.

  Attributes:
    name: name of its class.
    kind: which algorithm it is, e.g. 'adam'; 'other' if not known.
    hyperparameters: those that are known, but for the learning rate, by the
      names of Keras.
  """

  name: str
  kind: str
  hyperparameters: Dict[str, Any]


def is_v1_optimizer(optimizer: Any) -> bool:
  """Returns whether it is an optimizer of `tf.compat.v1.train`."""
  return optimizers.is_v1(optimizer)


def _lists_slots(optimizer: Any) -> bool:
  """Returns whether it tells its slots as those of `tf.compat.v1.train` do."""
  return is_v1_optimizer(optimizer) or getattr(
    optimizer, 'stands_for_v1', False
  )


def describe(optimizer: Any, own: bool = False) -> OptimizerSpec:
  """Describes an optimizer; tensors that cannot be read are left out.

  Args:
    optimizer: the optimizer.
    own: whether it computes the update itself, so that its algorithm is not
      known. Its numbers are then called as its attributes are.
  """
  _, kind, arguments, _ = _known(optimizer)
  if own or kind == OTHER:
    numbers = numbers_of(optimizer)
    return OptimizerSpec(type(optimizer).__name__, OTHER, numbers)
  hyperparameters = {}
  for argument, name in arguments.items():
    value = plain(optimizers.v1_attribute(optimizer, argument))
    if value is not None:
      hyperparameters[name] = value
  return OptimizerSpec(type(optimizer).__name__, kind, hyperparameters)


def numbers_of(optimizer: Any) -> Dict[str, Any]:
  """Returns the numbers and flags among the attributes of an optimizer.

  Leading underscores are left out; so are learning rates, which are compared
  by themselves.
  """
  found = {}
  for name, value in sorted(getattr(optimizer, '__dict__', {}).items()):
    name = name.lstrip('_')
    number = None if isinstance(value, tf.Variable) else plain(value)
    if number is not None and name not in _NO_HYPERPARAMETERS:
      found.setdefault(name, number)
  return found


def plain(value: Any) -> Any:
  """Returns a number or flag as Python has it, None for what is neither."""
  if hasattr(value, 'numpy') and tf.executing_eagerly():
    value = value.numpy()  # A tensor or a variable.
  elif compat.is_tensor(value):
    value = compat.get_static_value(value)
  if isinstance(value, (bool, np.bool_)):
    return bool(value)
  if isinstance(value, (int, float, np.number)):
    return float(value)
  if isinstance(value, np.ndarray) and value.shape == ():
    return plain(value[()])
  return None


def slots_of(optimizer: Any, variable: Any) -> Dict[str, Any]:
  """Returns the slots of a variable by what they mean.

  The `momentum` of RMSProp without momentum, which only holds the last update,
  is left out.
  """
  if not _lists_slots(optimizer):
    return {}
  meanings = _known(optimizer)[3]
  without = describe(optimizer).hyperparameters.get('momentum') == 0.0
  found = {}
  for name in optimizer.get_slot_names():
    slot = optimizer.get_slot(variable, name)
    if slot is not None and not (without and name == 'momentum'):
      found[meanings.get(name, name)] = slot
  return found


def name_of_slot(optimizer: Any, meaning: str) -> str:
  """Returns what an optimizer calls the slot of a meaning."""
  names = {means: name for name, means in _known(optimizer)[3].items()}
  return names.get(meaning, meaning)


def all_variables_of(optimizer: Any, variable: Any) -> List[Any]:
  """Returns all slots of a variable that an optimizer of v1 lists."""
  if not _lists_slots(optimizer):
    return []
  slots = [optimizer.get_slot(variable, n) for n in optimizer.get_slot_names()]
  return [slot for slot in slots if slot is not None]


def other_variables_of(optimizer: Any) -> List[Any]:
  """Returns what the optimizer keeps besides slots: powers of beta."""
  return optimizers.v1_other_variables(optimizer)


def learning_rate_of(optimizer: Any) -> Optional[Any]:
  """Returns the tensor or number that the update reads, None if unknown."""
  return optimizers.v1_learning_rate(optimizer)


def _known(optimizer):
  names = [cls.__name__ for cls in type(optimizer).__mro__]
  for entry in _KNOWN:
    if entry[0] in names:
      return entry
  return type(optimizer).__name__, OTHER, {}, {}
