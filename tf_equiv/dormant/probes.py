"""Other inputs and weights of the same shapes and dtypes, to be tried."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tf_equiv.compare.dormant import Change, Changed

# Values by path of the input, or by TF1 name of the variable.
Values = Mapping[str, np.ndarray]

_SEED = 20260301
# What a positive statistic is multiplied by is drawn from e to the power of so
# many standard normal deviates.
_SPREAD = 0.7


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
      if name in self.trained and _is_real(array) and array.size
    }


def is_binary(array: np.ndarray) -> bool:
  """Returns whether an array holds nothing but 0 and 1: it is a mask."""
  return bool(array.size and np.all((array == 0) | (array == 1)))


def _is_real(array: np.ndarray) -> bool:
  """Returns whether an array holds floating-point numbers."""
  return array.dtype.kind == 'f' or array.dtype.name == 'bfloat16'


def _is_one_hot(array: np.ndarray) -> bool:
  if array.ndim < 2 or array.shape[-1] < 2:
    return False
  return bool(np.all(array.sum(-1) == 1))


def numbers_of(inputs: Values) -> dict[str, np.ndarray]:
  """Returns the inputs that hold numbers of any size."""
  return {
    path: array
    for path, array in inputs.items()
    if _is_real(array) and array.size and not is_binary(array)
  }


def masks_of(inputs: Values) -> dict[str, np.ndarray]:
  """Returns the inputs that hold truth values."""
  return {
    path: array
    for path, array in inputs.items()
    if array.dtype.kind == 'b' or (_is_real(array) and is_binary(array))
  }


def whole_of(inputs: Values) -> dict[str, np.ndarray]:
  """Returns the inputs that hold whole numbers: ids, lengths, labels."""
  return {
    path: array
    for path, array in inputs.items()
    if array.dtype.kind in 'iu' and array.size
  }


def mild(base: Base) -> Iterator[Point]:
  """Yields the first probes, the likeliest first."""
  yield from _of_numbers(base, (4.0, 100.0))
  yield from _of_masks(base)
  yield from _of_whole_numbers(base)
  yield from _of_weights(base)


def further(base: Base, ids: Mapping[str, int]) -> Iterator[Point]:
  """Yields what else is tried where there is time.

  Args:
    base: what the sides agree on.
    ids: for inputs that look up rows of a table, the number of its rows.
  """
  yield from _of_numbers(base, (16.0, 1e3, 1e4, 1e-2, 1e-6, 1e-9))
  yield from _one_by_one(base)
  yield from _rounded(base)
  yield from _out_of_range(base, ids)
  for seed in (3, 4):
    for factor in (1.0, 10.0, 0.1):
      drawn = drawn_weights(base, factor, seed)
      if drawn.weights:
        yield drawn
  yield from _large_both(base)


def _changed(
  found: Values, function: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
  """Applies a function in float64, and returns to the dtype of each array."""
  results = {}
  for path, array in found.items():
    with np.errstate(all='ignore'):
      wide = function(np.asarray(array, np.float64))
      results[path] = np.asarray(wide).astype(array.dtype).reshape(array.shape)
  return results


def _magnitude(found: Values) -> float:
  return max(
    float(np.max(np.abs(x.astype(np.float64)))) for x in found.values()
  )


def _of_numbers(base: Base, factors: tuple[float, ...]) -> Iterator[Point]:
  found = numbers_of(base.inputs)
  if not found:
    return
  large = 3.0 * max(_magnitude(found), 1e-3)

  def point(what, value, function, generic=True):
    return Point(_changed(found, function), {}, (Change(what, value),), generic)

  for factor in factors:
    yield point(
      Changed.INPUTS_SCALED, factor, lambda x, factor=factor: x * factor
    )
  if 4.0 not in factors:
    return
  yield point(Changed.INPUTS_NEGATED, None, np.negative)
  yield point(Changed.INPUTS_SHIFTED, large, lambda x: x + large)
  yield point(Changed.INPUTS_SHIFTED, -large, lambda x: x - large)
  yield point(Changed.INPUTS_SCALED, 1e-3, lambda x: x * 1e-3)
  yield point(Changed.INPUTS_SCALED, -30.0, lambda x: x * -30.0)
  yield point(Changed.INPUTS_SET, 0, np.zeros_like, False)
  generator = np.random.default_rng(_SEED)
  yield point(
    Changed.INPUTS_DRAWN,
    None,
    lambda x: generator.normal(0, 1, x.shape) * max(np.std(x), 0.1),
  )


def _one_by_one(base: Base) -> Iterator[Point]:
  found = numbers_of(base.inputs)
  if len(found) < 2:
    return
  for path, array in found.items():
    for factor in (10.0, -10.0, 1e-3):
      yield Point(
        _changed({path: array}, lambda x, factor=factor: x * factor),
        {},
        (Change(Changed.INPUTS_SCALED, factor, path),),
      )
    yield Point(
      _changed({path: array}, np.zeros_like),
      {},
      (Change(Changed.INPUTS_SET, 0, path),),
      False,
    )


def _rounded(base: Base) -> Iterator[Point]:
  """Yields whole numbers, halves, ties, and rows of zeros."""
  found = numbers_of(base.inputs)
  if not found:
    return
  factor = 3.0 / max(_magnitude(found), 1e-30)
  for offset in (0.0, 0.5):
    yield Point(
      _changed(
        found,
        lambda x, offset=offset: np.floor(x * factor) + offset,
      ),
      {},
      (Change(Changed.INPUTS_ROUNDED, offset),),
      False,
    )
  for number in (1, -1, 1000):
    yield Point(
      _changed(found, lambda x, number=number: np.full_like(x, number)),
      {},
      (Change(Changed.INPUTS_SET, number),),
      False,
    )


def _of_masks(base: Base) -> Iterator[Point]:
  found = masks_of(base.inputs)
  generator = np.random.default_rng(_SEED + 1)
  hot = {p: x for p, x in found.items() if _is_one_hot(x)}
  rest = {p: x for p, x in found.items() if p not in hot}
  if hot:
    yield Point(
      {p: np.roll(x, 1, -1) for p, x in hot.items()},
      {},
      (Change(Changed.ROWS_SHIFTED),),
      False,
    )
  if not rest:
    return
  for share in (0.5, 0.2):
    drawn = {
      p: (generator.random(x.shape) < share).astype(x.dtype)
      for p, x in rest.items()
    }
    yield Point(drawn, {}, (Change(Changed.MASKS_DRAWN),), False)
  for number in (0, 1):
    yield Point(
      {p: np.full_like(x, number) for p, x in rest.items()},
      {},
      (Change(Changed.MASKS_SET, number),),
      False,
    )


def _of_whole_numbers(base: Base) -> Iterator[Point]:
  """Yields ids, lengths and labels in the range of those that were given."""
  found = whole_of(base.inputs)
  if not found:
    return
  generator = np.random.default_rng(_SEED + 2)
  for least in (0, 1):
    drawn = {
      p: generator.integers(
        min(int(x.min()), least), int(x.max()) + 1, x.shape
      ).astype(x.dtype)
      for p, x in found.items()
    }
    yield Point(drawn, {}, (Change(Changed.DISCRETE_DRAWN),), False)
  for path, array in found.items():
    for number in dict.fromkeys((0, int(array.max()), int(array.min()))):
      yield Point(
        {path: np.full_like(array, number)},
        {},
        (Change(Changed.DISCRETE_SET, number, path),),
        False,
      )


def _out_of_range(base: Base, ids: Mapping[str, int]) -> Iterator[Point]:
  """Yields ids that no table has, and numbers of any size."""
  for path, array in whole_of(base.inputs).items():
    numbers: list[int] = []
    if path in ids:
      numbers += [ids[path] - 1, ids[path]]
    if array.dtype.kind == 'i':
      numbers += [-1, -7]
    info = np.iinfo(array.dtype)
    numbers += [int(array.max()) + 1, int(array.max()) + 3]
    if path not in ids:
      numbers += [min(70000, int(info.max)), min(2**31 - 1, int(info.max))]
    for number in dict.fromkeys(numbers):
      if number > info.max:
        continue
      changed = np.array(array)
      changed.reshape(-1)[::2] = number
      yield Point(
        {path: changed},
        {},
        (Change(Changed.DISCRETE_SET, number, path),),
        False,
        is_valid=False,
      )


def drawn_weights(base: Base, factor: float, seed: int) -> Point:
  """Returns other weights; statistics stay positive.

  Args:
    base: what the sides agree on.
    factor: what the standard deviation of each is multiplied by.
    seed: of the generator.
  """
  generator = np.random.default_rng(_SEED + 10 + seed)
  weights = {}
  for name, array in base.weights.items():
    if not _is_real(array) or not array.size:
      continue
    wide = np.asarray(array, np.float64)
    if name not in base.trained:
      drawn = wide * np.exp(_SPREAD * generator.normal(size=wide.shape))
    else:
      spread = float(np.std(wide)) or 0.3 * float(np.max(np.abs(wide))) or 0.3
      # A scale of ones keeps its sign mostly, a bias of zeros has none.
      middle = float(np.mean(wide)) if np.ptp(wide) == 0 else 0.0
      drawn = factor * (middle + spread * generator.normal(size=wide.shape))
    weights[name] = np.asarray(drawn).astype(array.dtype)
  return Point({}, weights, (Change(Changed.WEIGHTS_DRAWN, factor),))


def _scaled_weights(base: Base, factor: float) -> dict[str, np.ndarray]:
  return _changed(base.weights_of_numbers(), lambda x: x * factor)


def _of_weights(base: Base) -> Iterator[Point]:
  for factor, seed in ((1.0, 0), (4.0, 1)):
    drawn = drawn_weights(base, factor, seed)
    if drawn.weights:
      yield drawn
  for factor in (4.0, 100.0, -1.0, 1e-3):
    weights = _scaled_weights(base, factor)
    if weights:
      change = Change(Changed.WEIGHTS_SCALED, factor)
      yield Point({}, weights, (change,))
  yield from _biases(base)
  yield from _counters(base)


def _biases(base: Base) -> Iterator[Point]:
  """Yields weights with which units are off, or on, for all inputs."""
  found = {n: x for n, x in base.weights_of_numbers().items() if x.ndim == 1}
  if not found:
    return
  reach = max(_magnitude(base.weights_of_numbers()), 1.0)
  reach *= max(_magnitude(numbers_of(base.inputs) or found), 1.0)
  for summand in (-30.0 * reach, 30.0 * reach):
    yield Point(
      {},
      _changed(found, lambda x, summand=summand: x + summand),
      (Change(Changed.BIASES_SHIFTED, summand),),
    )


def _counters(base: Base) -> Iterator[Point]:
  """Yields other values of whole numbers that a model keeps, such as steps."""
  found = {
    name: array
    for name, array in base.weights.items()
    if array.dtype.kind in 'iu' and array.size == 1
  }
  for number in (1, 10, 1000, 10**6) if found else ():
    yield Point(
      {},
      {name: np.full_like(array, number) for name, array in found.items()},
      (Change(Changed.STEP, number),),
    )


def _large_both(base: Base) -> Iterator[Point]:
  found = numbers_of(base.inputs)
  if not found or not base.weights:
    return
  for inputs, factor in ((10.0, 10.0), (0.1, 0.1), (100.0, 0.01)):
    yield Point(
      _changed(found, lambda x, inputs=inputs: x * inputs),
      _scaled_weights(base, factor),
      (
        Change(Changed.INPUTS_SCALED, inputs),
        Change(Changed.WEIGHTS_SCALED, factor),
      ),
    )


def jittered(base: Base, point: Point, relative: float) -> Point:
  """Returns a point beside another one.

  Args:
    base: what the point changes.
    point: the point.
    relative: by how much of itself each number is moved at most.
  """
  generator = np.random.default_rng(_SEED + 99)

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
      n: moved(x) if _is_real(x) and x.size else x for n, x in weights.items()
    },
  )
