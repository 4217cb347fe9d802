"""Mistakes with sequences of different lengths, recognized by the outputs."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tf_equiv.diagnose import facts

_RTOL = 1e-5
# As little is the sum of what differs in steps that agree.
_SMALL = 1e-6


@dataclasses.dataclass(frozen=True)
class _Padding:
  """What one side alone does in the steps after the end of a sequence.

  Attributes:
    side: 0 if TF1 has zeros there, 1 if TF2 has.
    repeats: whether the other side repeats what it gave at the last step.
  """

  side: int
  repeats: bool


def padded_steps(found: facts.Outputs) -> str:
  """Steps after the end are zero on one side, and repeated on the other."""
  all_found = _all(found)
  if not all_found or not all(each.repeats for each in all_found):
    return ''
  there, other = ('TF1', 'TF2')[:: 1 if not all_found[0].side else -1]
  text = (
    f'The steps after the end of a sequence are zero in {there}, and repeat '
    f'the last output in {other}'
  )
  if there == 'TF1':
    text += ': pass zero_output_for_mask=True to the layer of Keras, which '
    text += 'repeats otherwise'
  return text + '.'


def lost_lengths(found: facts.Outputs) -> str:
  """One side alone ends sequences where they end."""
  all_found = _all(found)
  if not all_found or any(each.repeats for each in all_found):
    return ''
  there, other = ('TF1', 'TF2')[:: 1 if not all_found[0].side else -1]
  return (
    f'The outputs of {there} are zero after the end of each sequence, those of '
    f'{other} go on: the lengths (sequence_length, a mask) do not reach the '
    f'layer in {other}; hand them on.'
  )


def _all(found: facts.Outputs) -> list[_Padding]:
  """Returns the padding of each output that has steps, if all have one."""
  result: list[_Padding] = []
  for path, first in found.tf1.items():
    second = found.tf2.get(path)
    if second is None or np.ndim(first) < 3 or np.shape(first) != second.shape:
      continue
    each = list(_paddings(np.asarray(first), np.asarray(second)))
    # With sorted lengths, batch and time look alike; only time is repeated.
    result += sorted(each, key=lambda padding: not padding.repeats)[:1]
  return result if len({each.side for each in result}) == 1 else []


def _paddings(first: np.ndarray, second: np.ndarray) -> Iterator[_Padding]:
  """Yields the padding of an output, for either order of batch and time."""
  if first.dtype.kind != 'f':
    return
  for turned in (False, True):
    sides = [np.swapaxes(x, 0, 1) if turned else x for x in (first, second)]
    for side in (0, 1):
      found = _padding(sides[side], sides[1 - side], side)
      if found is not None:
        yield found


def _padding(
  zeros: np.ndarray, other: np.ndarray, side: int
) -> _Padding | None:
  """Returns what is after the end, if that is what differs.

  Args:
    zeros: outputs that may be zero after the end: batch, time, features.
    other: those of the other side.
    side: number of the side with zeros.
  """
  batch, steps = zeros.shape[:2]
  flat = zeros.reshape(batch, steps, -1), other.reshape(batch, steps, -1)
  scale = float(np.max(np.abs(other), initial=0.0))
  lengths, repeats = [], True
  for mine, theirs in zip(*flat, strict=True):
    live = np.flatnonzero(np.any(mine != 0, axis=-1))
    length = int(live[-1]) + 1 if live.size else 0
    if live.size < length:
      return None  # There are zeros before the end, too.
    gaps = np.max(np.abs(mine - theirs), axis=-1, initial=0.0)
    if length == steps:
      if np.max(gaps, initial=0.0) > _RTOL * scale:
        return None  # It differs without an end.
      continue
    after = theirs[length:]
    if not np.all(np.any(np.abs(after) > _SMALL * scale, axis=-1)):
      return None
    lengths.append(length)
    last = theirs[length - 1] if length else np.zeros_like(after[0])
    agrees = length > 0 and gaps[length - 1] <= _RTOL * scale
    same = np.max(np.abs(after - last), initial=0.0) <= _RTOL * scale
    repeats = repeats and bool(agrees and same)
  if not any(lengths) or (len(lengths) == batch and len(set(lengths)) == 1):
    return None  # All end at the same step, as after a cut.
  return _Padding(side, repeats)
