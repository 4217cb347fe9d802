"""What to run: the same plan drives both sides."""

import dataclasses
from typing import Any, Tuple

import numpy as np

from tf_equiv.core import arguments, errors, nest
from tf_equiv.core.seed_mode import SeedMode

FIXED = 'fixed'
SEEDED = 'seeded'

# Kinds of NumPy arrays that TensorFlow has a type for: bool, signed and
# unsigned integers, floats, complex numbers, bytes and text. 'V' is what
# bfloat16 of ml_dtypes reports.
_KINDS = 'biufcSUV'


@dataclasses.dataclass(frozen=True)
class RunPlan:
  """One run of a model.

  Attributes:
    inputs: nest of `np.ndarray`, fed to the model.
    training: the training flag given to the model.
    weights: 'fixed' (set by the test case) or 'seeded' (drawn by the model's
      own initializers).
    seed_mode: how random ops are seeded.
    seed: the graph-level seed.
    gradients: whether to collect the loss and its gradients.
    input_gradients: whether the gradients with respect to the inputs belong to
      them.
    updates: whether to collect the variables that a training pass updates.
    batches: inputs of each training step; without any, only the forward pass
      runs. `inputs` is the first of them, and all have the same shapes and
      dtypes.
    start_step: how many steps the counters have counted before the first one.
    free_runs: if positive, the steps go on from their own state, and TF1
      trains that often again from weights one unit in the last place away;
      otherwise each step starts from the state in which TF1 left the one
      before.
    metrics: whether the batches are no training steps, but forward passes from
      the same weights, after each of which the metrics are read.
  """

  inputs: Any
  training: bool = False
  weights: str = FIXED
  seed_mode: SeedMode = SeedMode.CONSTANT
  seed: int = 42
  gradients: bool = False
  input_gradients: bool = False
  updates: bool = False
  batches: Tuple[Any, ...] = ()
  start_step: int = 0
  free_runs: int = 0
  metrics: bool = False

  def describe(self) -> str:
    """Returns in a few words what is run."""
    parts = [
      'training' if self.training else 'inference',
      'fixed weights' if self.weights == FIXED else 'initial weights',
    ]
    if self.weights == SEEDED or self.training:
      parts.append(f'seed_mode={self.seed_mode.value}')
    if self.batches:
      what = 'batches' if self.metrics else 'steps'
      parts.append(f'{what}={len(self.batches)}')
    if self.start_step:
      parts.append(f'start_step={self.start_step}')
    if self.free_runs:
      parts.append('trained freely')
    return ', '.join(parts)


def check_inputs(inputs: Any, origin: str = 'make_inputs()') -> Any:
  """Checks that inputs are a nest of NumPy arrays that TensorFlow takes.

  Args:
    inputs: what the test case returned.
    origin: name of what returned it, for the message.

  Returns:
    The inputs; NumPy scalars become arrays of rank 0.

  Raises:
    UsageError: if there is no array at all, or a leaf is something else (a
      Python number, a tensor, an array of objects).
  """
  leaves = nest.flatten(inputs)
  if not leaves:
    raise errors.UsageError(
      f'{origin} returned {inputs!r}, which holds no array. Return a NumPy '
      'array, or a list, tuple or dict of arrays.'
    )
  return nest.map_leaves(
    lambda path, leaf: _check_leaf(origin + path, leaf), inputs
  )


def check_batch(batch: Any, inputs: Any, origin: str) -> Any:
  """Checks that a batch is what the first one is, but for the values.

  Args:
    batch: what the test case returned for a training step.
    inputs: the checked batch of the first step.
    origin: name of what returned the batch, for the message.

  Returns:
    The batch; NumPy scalars become arrays of rank 0.

  Raises:
    UsageError: if it is no nest of arrays, or another nest, or has other
      shapes or dtypes: the graph is built once for all steps.
  """
  batch = check_inputs(batch, origin)
  wanted, given = dict(nest.flatten(inputs)), dict(nest.flatten(batch))
  different = sorted(set(wanted) ^ set(given))
  if different:
    raise errors.UsageError(
      '%s and make_batch(0) return different nests: only one of them has %s. '
      'Give every batch the same structure.'
      % (origin, ', '.join('batch' + path for path in different))
    )
  for path, array in wanted.items():
    if (array.shape, array.dtype) != (given[path].shape, given[path].dtype):
      raise errors.UsageError(
        f'{origin}{path} is {given[path].dtype}{list(given[path].shape)}, but '
        f'make_batch(0) gives {array.dtype}{list(array.shape)} there. The '
        'graph is built once for all steps: give every batch the same shapes '
        'and dtypes.'
      )
  return batch


def _check_leaf(where: str, leaf: Any) -> np.ndarray:
  if isinstance(leaf, np.generic):
    leaf = np.asarray(leaf)
  if not isinstance(leaf, np.ndarray):
    if isinstance(leaf, (bool, int, float, complex, str, bytes)):
      advice = 'wrap plain numbers and text: np.array(..., dtype)'
    elif hasattr(leaf, 'graph') or hasattr(leaf, 'numpy'):
      advice = (
        'a tensor belongs to one side only; return the NumPy array behind it'
      )
    else:
      advice = 'convert it with np.asarray'
    raise errors.UsageError(
      f'{where} is a {type(leaf).__name__}; expected a NumPy array, because '
      f'the same values are fed to both sides ({advice}).'
    )
  if leaf.dtype.kind not in _KINDS and not _holds_only_text(leaf):
    raise errors.UsageError(
      f'{where} is an array of dtype {leaf.dtype}, which TensorFlow has no '
      'type for. Ragged lists of numbers become such arrays; pad them, or '
      'give several arrays.'
    )
  return leaf


def _holds_only_text(array: np.ndarray) -> bool:
  return array.dtype == object and all(
    isinstance(item, (str, bytes)) for item in array.ravel()
  )


def check_training(training: Any) -> bool:
  """Returns the flag if it is a bool, else raises `UsageError`."""
  return arguments.check_bool(training, 'training')
