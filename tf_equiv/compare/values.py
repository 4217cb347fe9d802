"""Compares arrays of any dtype, in chunks, and says where they differ."""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import tolerances

# Elements compared at a time; bounds the memory for the float64 copies.
_CHUNK = 1 << 22

# Backpropagation sums in another order in eager execution than in a graph.
# For ResNet-50 (v1, v2; batches of 2 and 4) the gradients differ by up to 0.65
# of what is allowed for values, so they get this multiple of it.
_GRADIENT_SLACK = 5.0


class ProblemKind(enum.Enum):
  """Why a pair has no numbers to compare."""

  DTYPE = 'dtype'
  SHAPE = 'shape'
  # One side has it, the other has not.
  NO_GRADIENT = 'gradient'
  NO_LOSS = 'loss'
  NO_REGULARIZATION = 'regularization loss'
  NOT_TRAINABLE = 'trainable'
  UNEXPECTED_UPDATE = 'trainable, and updated by the forward pass'
  # Of two models, built one after the other.
  NOT_REBUILT = 'variable of the model that is built anew'
  # How often a training step trains it.
  TIMES_TRAINED = 'times trained'


@dataclasses.dataclass(frozen=True)
class Problem:
  """Why a pair has no numbers to compare.

  Attributes:
    kind: what the sides do not have in common.
    tf1: the dtype, shape or number of TF1; for what one side alone has, whether
      TF1 does.
    tf2: the same of TF2.
  """

  kind: ProblemKind
  tf1: Any = True
  tf2: Any = True


@dataclasses.dataclass(frozen=True)
class Change:
  """How a step changed a variable on both sides.

  Attributes:
    tf1: largest change in TF1, 0 if there is none.
    tf2: the same of TF2.
    factor: by what the change of TF1 is to be multiplied to give that of TF2;
      None if there is no such number.
    in_forward: whether not a step changed it, but a forward pass alone.
  """

  tf1: float
  tf2: float
  factor: float | None = None
  in_forward: bool = False


@dataclasses.dataclass(frozen=True)
class Assigned:
  """Who changed a variable: the line that assigns it, in words."""

  by: str


@dataclasses.dataclass(frozen=True)
class ValueComparison:
  """The comparison of one pair of arrays.

  Attributes:
    name: what was compared, e.g. "outputs['logits']".
    passed: whether all elements agree.
    shape: shape of both.
    dtype: name of the dtype of both.
    count: number of elements.
    differing: number of elements outside of the tolerance.
    worst_index: index of the worst element, whose difference is the largest
      multiple of what is allowed for it; () for scalars.
    tf1_value: TF1's value there.
    tf2_value: TF2's value there.
    difference: absolute difference there, NaN where one side is NaN.
    allowed: what was allowed at the worst element.
    needed_atol: an absolute tolerance with which all would have passed.
    rtol: relative tolerance that was used.
    atol: absolute tolerance that was used.
    problem: for pairs that have no numbers to compare: why.
    note: what else is known of the difference.
    order: position in forward order, where known, else -1.
  """

  name: str
  passed: bool
  shape: tuple[int, ...] = ()
  dtype: str = ''
  count: int = 0
  differing: int = 0
  worst_index: tuple[int, ...] = ()
  tf1_value: Any = None
  tf2_value: Any = None
  difference: float = 0.0
  allowed: float = 0.0
  needed_atol: float = 0.0
  rtol: float = 0.0
  atol: float = 0.0
  problem: Problem | None = None
  note: Change | Assigned | None = None
  order: int = -1


def dtype_name(array: np.ndarray) -> str:
  """Returns the name of a dtype; text of any length is 'string'."""
  return 'string' if array.dtype.kind in 'OSU' else array.dtype.name


def scale_of(array: np.ndarray | None) -> float:
  """Returns the largest finite magnitude, 0 for empty or not numeric."""
  if array is None or array.size == 0 or not is_inexact(array):
    return 0.0
  largest = 0.0
  flat = array.reshape(-1)
  for start in range(0, flat.size, _CHUNK):
    part = np.abs(_widen(flat[start : start + _CHUNK]))
    part = part[np.isfinite(part)]
    if part.size:
      largest = max(largest, float(part.max()))
  return largest


def is_inexact(array: np.ndarray) -> bool:
  """Returns whether an array holds floating-point or complex numbers.

  That includes bfloat16 and the float8 types of ml_dtypes, which NumPy itself
  does not know.
  """
  return array.dtype.kind in 'fc' or array.dtype.name.startswith(
    ('bfloat', 'float')
  )


def compare_arrays(
  name: str,
  tf1: np.ndarray,
  tf2: np.ndarray,
  tolerance: tolerances.Tolerance,
  group_scale: float = 0.0,
  order: int = -1,
  extra: np.ndarray | None = None,
) -> ValueComparison:
  """Compares two arrays.

  Args:
    name: what they are.
    tf1: the reference.
    tf2: the candidate.
    tolerance: what may differ.
    group_scale: scale of the group that the pair belongs to; see
      `tolerances.Tolerance.resolve`.
    order: position in forward order.
    extra: what each element may differ by in addition, an array of the same
      shape.

  Returns:
    The comparison. Another shape or dtype is a difference of its own kind,
    and no number is compared then.
  """
  tf1, tf2 = np.asarray(tf1), np.asarray(tf2)
  for kind, a, b in (
    (ProblemKind.DTYPE, dtype_name(tf1), dtype_name(tf2)),
    (ProblemKind.SHAPE, tf1.shape, tf2.shape),
  ):
    if a != b:
      return ValueComparison(
        name, False, problem=Problem(kind, a, b), order=order
      )
  if is_inexact(tf1):
    return _compare_inexact(
      name, tf1, tf2, tolerance, group_scale, order, extra
    )
  return _compare_exact(name, tf1, tf2, order)


def update_tolerance(
  before: np.ndarray, after: np.ndarray, tolerance: tolerances.Tolerance
) -> tolerances.Tolerance:
  """Returns the tolerance for a variable that was updated.

  What counts is the change, not the value: a moving variance near one changes
  by a thousandth. A change is only as exact as `1 - momentum`, which float32
  rounds by 6e-8, that is 2e-4 of it for a momentum of 0.9997. Allowed are
  8192 times the precision of the dtype (1e-3 for float32, at most 0.05) of the
  largest change, and four times the precision of the largest value.

  Args:
    before: the reference's value before the update.
    after: the reference's value after it.
    tolerance: what the caller asked for; its `atol` has precedence.

  Returns:
    A tolerance with an absolute `atol`.
  """
  if tolerance.atol is not None or after.dtype.kind != 'f':
    return tolerance
  precision = float(np.finfo(after.dtype).eps)
  change = scale_of(_widen(after) - _widen(before))
  atol = min(8192 * precision, 0.05) * change + 4 * precision * scale_of(after)
  return dataclasses.replace(tolerance, atol=atol)


def _compare_inexact(
  name: str,
  tf1: np.ndarray,
  tf2: np.ndarray,
  tolerance: tolerances.Tolerance,
  group_scale: float,
  order: int,
  extra: np.ndarray | None,
) -> ValueComparison:
  dtype = dtype_name(tf1)
  rtol, atol = tolerance.resolve(dtype, scale_of(tf1), group_scale)
  flat1, flat2 = tf1.reshape(-1), tf2.reshape(-1)
  flat_extra = None if extra is None else extra.reshape(-1)
  differing, worst, worst_ratio, needed = 0, None, -np.inf, 0.0
  for start in range(0, flat1.size, _CHUNK):
    a, b = flat1[start : start + _CHUNK], flat2[start : start + _CHUNK]
    if flat_extra is None and np.array_equal(a, b):
      if worst is None:
        worst_ratio, worst = 0.0, (start, 0.0, _allowed(a[0], rtol, atol))
      continue
    a, b = _widen(a), _widen(b)
    with np.errstate(invalid='ignore', over='ignore', divide='ignore'):
      difference = np.abs(a - b)
      relative = rtol * np.abs(a)
      difference[a == b] = 0.0  # equal infinities
      if tolerance.equal_nan:
        difference[np.isnan(a) & np.isnan(b)] = 0.0
      relative = np.where(np.isfinite(relative), relative, 0.0)
      if flat_extra is not None:
        relative = relative + _widen(flat_extra[start : start + _CHUNK])
      allowed = relative + atol
      ratio = np.where(difference == 0.0, 0.0, difference / allowed)
      shortfall = difference - relative
      # The rounding of this difference and of the sum that it goes into.
      shortfall += np.where(relative > 0, difference, 0.0) * 2.0**-51
    ratio[np.isnan(ratio)] = np.inf
    differing += int(np.count_nonzero(~(difference <= allowed)))
    i = int(np.argmax(ratio))
    if ratio[i] > worst_ratio:
      worst_ratio = float(ratio[i])
      worst = (start + i, float(difference[i]), float(allowed[i]))
    needed = max(needed, float(np.max(shortfall, initial=0.0)))
    if np.isnan(shortfall).any():
      needed = np.inf
  if worst is None:  # an empty array
    worst = (0, 0.0, atol)
  index, difference, allowed = worst
  return ValueComparison(
    name=name,
    passed=differing == 0,
    shape=tf1.shape,
    dtype=dtype,
    count=tf1.size,
    differing=differing,
    worst_index=_unravel(index, tf1.shape),
    tf1_value=flat1[index] if tf1.size else None,
    tf2_value=flat2[index] if tf1.size else None,
    difference=difference,
    allowed=allowed,
    needed_atol=needed,
    rtol=rtol,
    atol=atol,
    order=order,
  )


def _allowed(value: Any, rtol: float, atol: float) -> float:
  relative = rtol * abs(_widen(value))
  return float(relative if np.isfinite(relative) else 0.0) + atol


def _compare_exact(
  name: str, tf1: np.ndarray, tf2: np.ndarray, order: int
) -> ValueComparison:
  unequal = _as_comparable(tf1) != _as_comparable(tf2)
  places = np.flatnonzero(unequal)
  index = int(places[0]) if places.size else 0
  difference = 0.0
  flat1, flat2 = tf1.reshape(-1), tf2.reshape(-1)
  if places.size and tf1.dtype.kind in 'iu':
    a, b = flat1[places], flat2[places]
    # Modulo 2**64 the gap is exact for all integer types.
    gaps = np.where(a > b, a, b).astype(np.uint64)
    gaps -= np.where(a > b, b, a).astype(np.uint64)
    worst = int(np.argmax(gaps))
    index, difference = int(places[worst]), float(gaps[worst])
  elif places.size:
    difference = 1.0
  return ValueComparison(
    name=name,
    passed=not places.size,
    shape=tf1.shape,
    dtype=dtype_name(tf1),
    count=tf1.size,
    differing=int(places.size),
    worst_index=_unravel(index, tf1.shape),
    tf1_value=flat1[index] if tf1.size else None,
    tf2_value=flat2[index] if tf1.size else None,
    difference=difference,
    needed_atol=np.inf if places.size else 0.0,
    order=order,
  )


def compare_gradients(
  names: Sequence[str],
  tf1: Sequence[np.ndarray | None],
  tf2: Sequence[np.ndarray | None],
  tolerance: tolerances.Tolerance,
) -> list[ValueComparison]:
  """Compares gradients as one group.

  Args:
    names: name of the variable behind each pair.
    tf1: gradients of the reference; None where not connected to the loss.
    tf2: gradients of the candidate.
    tolerance: what may differ.

  Returns:
    One comparison for each pair. A gradient that is None on one side only is
    a difference.
  """
  tolerance = dataclasses.replace(
    tolerance, slack=tolerance.slack * _GRADIENT_SLACK
  )
  group_scale = max((scale_of(gradient) for gradient in tf1), default=0.0)
  found = []
  for name, a, b in zip(names, tf1, tf2, strict=True):
    if a is None and b is None:
      continue
    if a is None or b is None:
      problem = Problem(ProblemKind.NO_GRADIENT, a is not None, b is not None)
      found.append(ValueComparison(name, False, problem=problem))
      continue
    found.append(compare_arrays(name, a, b, tolerance, group_scale))
  return found


def _widen(array: np.ndarray) -> np.ndarray:
  if array.dtype.kind == 'c':
    return array.astype(np.complex128)
  return array.astype(np.float64)


def _as_comparable(array: np.ndarray) -> np.ndarray:
  """Text as bytes, so that 'a' and b'a' are equal; one dimension."""
  flat = array.reshape(-1)
  if array.dtype.kind not in 'OSU':
    return flat
  encoded = [
    item.encode('utf-8') if isinstance(item, str) else bytes(item)
    for item in flat.tolist()
  ]
  result = np.empty(len(encoded), dtype=object)
  result[:] = encoded
  return result


def _unravel(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
  if not shape or 0 in shape:
    return ()
  return tuple(int(i) for i in np.unravel_index(index, shape))
