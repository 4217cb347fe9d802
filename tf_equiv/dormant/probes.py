"""Other inputs and weights of the same shapes and dtypes, to be tried."""

from collections.abc import Iterator, Mapping

import numpy as np

from tf_equiv.compare.dormant import Change, Changed
from tf_equiv.dormant import points as points_lib

_SEED = 20260301
# What a positive statistic is multiplied by is drawn from e to the power of so
# many standard normal deviates.
_SPREAD = 0.7


def mild(base: points_lib.Base) -> Iterator[points_lib.Point]:
  """Yields the first probes, the likeliest first."""
  yield from _of_numbers(base, (4.0, 100.0))
  yield from _of_masks(base)
  yield from _of_whole_numbers(base)
  yield from _of_weights(base)


def further(
  base: points_lib.Base, ids: Mapping[str, int]
) -> Iterator[points_lib.Point]:
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


def _of_numbers(
  base: points_lib.Base, factors: tuple[float, ...]
) -> Iterator[points_lib.Point]:
  found = points_lib.numbers_of(base.inputs)
  if not found:
    return
  large = 3.0 * max(points_lib.magnitude(found), 1e-3)

  def point(what, value, function, generic=True):
    return points_lib.Point(
      points_lib.changed(found, function), {}, (Change(what, value),), generic
    )

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


def _one_by_one(base: points_lib.Base) -> Iterator[points_lib.Point]:
  found = points_lib.numbers_of(base.inputs)
  if len(found) < 2:
    return
  for path, array in found.items():
    for factor in (10.0, -10.0, 1e-3):
      yield points_lib.Point(
        points_lib.changed({path: array}, lambda x, factor=factor: x * factor),
        {},
        (Change(Changed.INPUTS_SCALED, factor, path),),
      )
    yield points_lib.Point(
      points_lib.changed({path: array}, np.zeros_like),
      {},
      (Change(Changed.INPUTS_SET, 0, path),),
      False,
    )


def _rounded(base: points_lib.Base) -> Iterator[points_lib.Point]:
  """Yields whole numbers, halves, ties, and rows of zeros."""
  found = points_lib.numbers_of(base.inputs)
  if not found:
    return
  factor = 3.0 / max(points_lib.magnitude(found), 1e-30)
  for offset in (0.0, 0.5):
    yield points_lib.Point(
      points_lib.changed(
        found,
        lambda x, offset=offset: np.floor(x * factor) + offset,
      ),
      {},
      (Change(Changed.INPUTS_ROUNDED, offset),),
      False,
    )
  for number in (1, -1, 1000):
    yield points_lib.Point(
      points_lib.changed(
        found, lambda x, number=number: np.full_like(x, number)
      ),
      {},
      (Change(Changed.INPUTS_SET, number),),
      False,
    )


def _of_masks(base: points_lib.Base) -> Iterator[points_lib.Point]:
  found = points_lib.masks_of(base.inputs)
  generator = np.random.default_rng(_SEED + 1)
  hot = {p: x for p, x in found.items() if points_lib.is_one_hot(x)}
  rest = {p: x for p, x in found.items() if p not in hot}
  if hot:
    yield points_lib.Point(
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
    yield points_lib.Point(drawn, {}, (Change(Changed.MASKS_DRAWN),), False)
  for number in (0, 1):
    yield points_lib.Point(
      {p: np.full_like(x, number) for p, x in rest.items()},
      {},
      (Change(Changed.MASKS_SET, number),),
      False,
    )


def _of_whole_numbers(base: points_lib.Base) -> Iterator[points_lib.Point]:
  """Yields ids, lengths and labels in the range of those that were given."""
  found = points_lib.whole_of(base.inputs)
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
    yield points_lib.Point(drawn, {}, (Change(Changed.DISCRETE_DRAWN),), False)
  for path, array in found.items():
    for number in dict.fromkeys((0, int(array.max()), int(array.min()))):
      yield points_lib.Point(
        {path: np.full_like(array, number)},
        {},
        (Change(Changed.DISCRETE_SET, number, path),),
        False,
      )


def _out_of_range(
  base: points_lib.Base, ids: Mapping[str, int]
) -> Iterator[points_lib.Point]:
  """Yields ids that no table has, and numbers of any size."""
  for path, array in points_lib.whole_of(base.inputs).items():
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
      yield points_lib.Point(
        {path: changed},
        {},
        (Change(Changed.DISCRETE_SET, number, path),),
        False,
        is_valid=False,
      )


def drawn_weights(
  base: points_lib.Base, factor: float, seed: int
) -> points_lib.Point:
  """Returns other weights; statistics stay positive.

  Args:
    base: what the sides agree on.
    factor: what the standard deviation of each is multiplied by.
    seed: of the generator.
  """
  generator = np.random.default_rng(_SEED + 10 + seed)
  weights = {}
  for name, array in base.weights.items():
    if not points_lib.is_real(array) or not array.size:
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
  return points_lib.Point({}, weights, (Change(Changed.WEIGHTS_DRAWN, factor),))


def _scaled_weights(
  base: points_lib.Base, factor: float
) -> dict[str, np.ndarray]:
  return points_lib.changed(base.weights_of_numbers(), lambda x: x * factor)


def _of_weights(base: points_lib.Base) -> Iterator[points_lib.Point]:
  for factor, seed in ((1.0, 0), (4.0, 1)):
    drawn = drawn_weights(base, factor, seed)
    if drawn.weights:
      yield drawn
  for factor in (4.0, 100.0, -1.0, 1e-3):
    weights = _scaled_weights(base, factor)
    if weights:
      change = Change(Changed.WEIGHTS_SCALED, factor)
      yield points_lib.Point({}, weights, (change,))
  yield from _biases(base)
  yield from _counters(base)


def _biases(base: points_lib.Base) -> Iterator[points_lib.Point]:
  """Yields weights with which units are off, or on, for all inputs."""
  found = {n: x for n, x in base.weights_of_numbers().items() if x.ndim == 1}
  if not found:
    return
  reach = max(points_lib.magnitude(base.weights_of_numbers()), 1.0)
  reach *= max(
    points_lib.magnitude(points_lib.numbers_of(base.inputs) or found), 1.0
  )
  for summand in (-30.0 * reach, 30.0 * reach):
    yield points_lib.Point(
      {},
      points_lib.changed(found, lambda x, summand=summand: x + summand),
      (Change(Changed.BIASES_SHIFTED, summand),),
    )


def _counters(base: points_lib.Base) -> Iterator[points_lib.Point]:
  """Yields other values of whole numbers that a model keeps, such as steps."""
  found = {
    name: array
    for name, array in base.weights.items()
    if array.dtype.kind in 'iu' and array.size == 1
  }
  for number in (1, 10, 1000, 10**6) if found else ():
    yield points_lib.Point(
      {},
      {name: np.full_like(array, number) for name, array in found.items()},
      (Change(Changed.STEP, number),),
    )


def _large_both(base: points_lib.Base) -> Iterator[points_lib.Point]:
  found = points_lib.numbers_of(base.inputs)
  if not found or not base.weights:
    return
  for inputs, factor in ((10.0, 10.0), (0.1, 0.1), (100.0, 0.01)):
    yield points_lib.Point(
      points_lib.changed(found, lambda x, inputs=inputs: x * inputs),
      _scaled_weights(base, factor),
      (
        Change(Changed.INPUTS_SCALED, inputs),
        Change(Changed.WEIGHTS_SCALED, factor),
      ),
    )
