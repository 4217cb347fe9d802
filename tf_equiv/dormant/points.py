"""Inputs and weights that are tried, and what kinds of them there are."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from tf_equiv.compare.dormant import Change

# Values by path of the input, or by TF1 name of the variable.
Values = Mapping[str, np.ndarray]

_SEED = 20260400


@dataclasses.dataclass(frozen=True)
class Point:
  """Inputs and weights that are tried.

  Attributes:
    inputs: those that are changed, by path.
    weights: those that are changed, by TF1 name.
    changes: what is changed, in words of records.
    is_generic: whether the numbers avoid kinks and ties, where subgradients
      differ and rounding decides.
    is_valid: whether all inputs stay in the range of those that were given.
  """

  inputs: Values = dataclasses.field(default_factory=dict)
  weights: Values = dataclasses.field(default_factory=dict)
  changes: tuple[Change, ...] = ()
  is_generic: bool = True
  is_valid: bool = True


@dataclasses.dataclass(frozen=True)
class Base:
  """What the sides agree on.

  Attributes:
    inputs: by path.
    weights: by TF1 name.
    trained: names of the variables that are trained.
  """

  inputs: Values
  weights: Values
  trained: frozenset[str] = frozenset()

  def weights_of_numbers(self) -> dict[str, np.ndarray]:
    """Returns the weights that are trained."""
    return {
      name: array
      for name, array in self.weights.items()
      if name in self.trained and is_real(array) and array.size
    }


def is_binary(array: np.ndarray) -> bool:
  """Returns whether an array holds nothing but 0 and 1: it is a mask."""
  return bool(array.size and np.all((array == 0) | (array == 1)))


def is_real(array: np.ndarray) -> bool:
  """Returns whether an array holds floating-point numbers."""
  return array.dtype.kind == 'f' or array.dtype.name == 'bfloat16'


def is_one_hot(array: np.ndarray) -> bool:
  """Returns whether each row of an array holds one 1, and else 0."""
  if array.ndim < 2 or array.shape[-1] < 2:
    return False
  return bool(np.all(array.sum(-1) == 1))


def numbers_of(inputs: Values) -> dict[str, np.ndarray]:
  """Returns the inputs that hold numbers of any size."""
  return {
    path: array
    for path, array in inputs.items()
    if is_real(array) and array.size and not is_binary(array)
  }


def masks_of(inputs: Values) -> dict[str, np.ndarray]:
  """Returns the inputs that hold truth values."""
  return {
    path: array
    for path, array in inputs.items()
    if array.dtype.kind == 'b' or (is_real(array) and is_binary(array))
  }


def whole_of(inputs: Values) -> dict[str, np.ndarray]:
  """Returns the inputs that hold whole numbers: ids, lengths, labels."""
  return {
    path: array
    for path, array in inputs.items()
    if array.dtype.kind in 'iu' and array.size
  }


def changed(
  found: Values, function: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
  """Applies a function in float64, and returns to the dtype of each array."""
  results = {}
  for path, array in found.items():
    with np.errstate(all='ignore'):
      wide = function(np.asarray(array, np.float64))
      results[path] = np.asarray(wide).astype(array.dtype).reshape(array.shape)
  return results


def magnitude(found: Values) -> float:
  """Returns the largest absolute number of some arrays."""
  return max(
    float(np.max(np.abs(x.astype(np.float64)))) for x in found.values()
  )


def jittered(base: Base, point: Point, relative: float) -> Point:
  """Returns a point beside another one.

  Args:
    base: what the point changes.
    point: the point.
    relative: by how much of itself each number is moved at most.
  """
  generator = np.random.default_rng(_SEED)

  def moved(array: np.ndarray) -> np.ndarray:
    wide = np.asarray(array, np.float64)
    step = relative * generator.uniform(-1, 1, wide.shape)
    return np.asarray(wide * (1 + step)).astype(array.dtype)

  inputs = {**base.inputs, **point.inputs}
  weights = {**base.weights, **point.weights}
  return dataclasses.replace(
    point,
    inputs={
      p: moved(x) if p in numbers_of(inputs) else x for p, x in inputs.items()
    },
    weights={
      n: moved(x) if is_real(x) and x.size else x for n, x in weights.items()
    },
  )
