"""Places where the sides part, and where rounding grows, in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import repairs
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.compare.difference import Kind
from tf_equiv.report import differences, numbers, repair_text, wording

_MAX_PLACES = 10
_MAX_DIFFERENCES = 5
_MAX_LONE = 4
_MAX_BRIEF = 2
# Group of the results of which a factor says most.
_LOSSES = 'regularization losses'
# By so much the relative error must grow in an op for it to be named.
_MIN_GROWTH = 4.0


def divergence(found: divergence_lib.Divergence) -> str:
  """Returns a text about a place where the sides part."""
  more = ['    ' + found.mistake] if found.mistake else []
  return '\n'.join(_divergence(found) + more)


def noise(found: divergence_lib.Noise) -> str:
  """Returns a text about how large rounding is, and where it grows."""
  return '\n'.join(noise_lines(found))


def divergences(verdict: verdict_lib.Verdict) -> list[str]:
  """Returns all places, the first one in full."""
  first, *others = verdict.divergences
  count = len(verdict.divergences)
  proof = verdict.proof
  lines = _divergence(first, proof, f': 1 of {count}' if others else ':')
  rows = [
    _further(number, each, proof) for number, each in enumerate(others, start=2)
  ]
  shown = rows[: _MAX_PLACES - 1]
  lines += [line for row in shown for line in row]
  lines += wording.more(rows, _MAX_PLACES - 1)
  if proof is not None:
    lines.append('  ' + repair_text.proof(proof))
  return lines


def _further(
  number: int,
  found: divergence_lib.Divergence,
  proof: repairs.Proof | None,
) -> list[str]:
  """Returns a further place, more briefly than the first."""
  lines = []
  for side, place in zip(wording.SIDES, (found.tf1, found.tf2), strict=True):
    if place is not None:
      lines.append(f'{side} {place}{_of_line(place)}')
  if found.mistake:
    lines.append(found.mistake)
  else:
    lines += [
      differences.describe(each) for each in found.differences[:_MAX_BRIEF]
    ]
    lone = [
      f'only {side} {place}{_of_line(place)}'
      for side, places in zip(
        wording.SIDES, (found.only_tf1, found.only_tf2), strict=True
      )
      for place in places[-1:]
    ]
    lines += lone
  lines += _factor(found)
  lines += [text for text in [repair_text.repair(found, proof)] if text]
  head = f'  {number}. '
  return [
    (head if not i else ' ' * len(head)) + line for i, line in enumerate(lines)
  ]


def _factor(found: divergence_lib.Divergence) -> list[str]:
  """Says how many times TF1 a single number of TF2 is."""
  c = found.comparison
  if c is None or c.problem or c.count != 1 or not c.tf1_value:
    return []
  factor = float(c.tf2_value) / float(c.tf1_value)
  if not np.isfinite(factor) or not 1e-3 < abs(factor) < 1e3:
    return []
  return [f'TF2 is {factor:.3f} times TF1']


def _divergence(
  found: divergence_lib.Divergence,
  proof: repairs.Proof | None = None,
  number: str = ':',
) -> list[str]:
  lines = ['  first divergence' + number]
  for side, place in zip(wording.SIDES, (found.tf1, found.tf2), strict=True):
    if place is not None:
      lines.append(f'    {side} {place}{_of_line(place)}')
  told = [
    each
    for each in found.differences
    if each.kind is not Kind.HYPERPARAMETER  # They are in the evidence.
  ]
  lines += [
    '    ' + differences.describe(each) for each in told[:_MAX_DIFFERENCES]
  ]
  for side, lone in zip(
    wording.SIDES, (found.only_tf1, found.only_tf2), strict=True
  ):
    lines += [
      f'    only {side} {place}{_of_line(place)}' for place in _ends(lone)
    ]
    lines += wording.more(lone, _MAX_LONE)
  if found.comparison is not None and not found.comparison.problem:
    c = found.comparison
    lines.append(
      '    %s%s: %d of %d elements differ, worst%s TF1 %s, TF2 %s'
      % (
        c.dtype,
        list(c.shape),
        c.differing,
        c.count,
        f' at {list(c.worst_index)}' if c.worst_index else '',
        numbers.value(c.tf1_value),
        numbers.value(c.tf2_value),
      )
    )
  differing, count = found.spread
  if count:
    real = '' if found.recorded else 'real: it remains in float64, and '
    lines.append(f'    {real}{differing} of {count} corresponding ops differ')
  if found.group == _LOSSES:
    lines += ['    ' + line for line in _factor(found)]
  text = repair_text.repair(found, proof)
  if text:
    lines.append('    ' + text)
  if found.note:
    lines.append('    ' + found.note)
  if found.others and not found.tried:
    lines.append(
      '    also at %s'
      % ', '.join(str(other.tf1) for other in found.others[:_MAX_LONE])
    )
  return lines


def _ends(lone: Sequence[Any]) -> list[Any]:
  """Returns where ops of one side begin, and those before the place."""
  if len(lone) <= _MAX_LONE:
    return list(lone)
  return [lone[0], *lone[1 - _MAX_LONE :]]


def noise_lines(found: divergence_lib.Noise) -> list[str]:
  """Returns the lines of a message about rounding."""
  lines = []
  if found.place is not None and found.factor >= _MIN_GROWTH:
    lines.append(
      '  rounding grows %s-fold in %s at %s%s'
      % (
        f'{found.factor:.3g}' if found.factor < 1e3 else f'{found.factor:.0e}',
        found.side,
        found.place,
        _of_line(found.place),
      )
    )
  else:
    lines.append('  rounding adds up over many ops; none makes it grow alone')
  lines.append(
    f'  float32 itself errs by up to {numbers.number(found.error)} in '
    f'{found.result}, whose values go up to {numbers.number(found.scale)}'
  )
  return lines


def _of_line(place: divergence_lib.Place) -> str:
  return '  at ' + place.line if place.line else ''
