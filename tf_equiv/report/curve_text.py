"""Free training in words: headline, curves as text, notes."""

import math

import numpy as np

from tf_equiv.compare import envelopes, equivalence
from tf_equiv.compare.outcome import Outcome
from tf_equiv.core.text import listed
from tf_equiv.report import numbers

_MAX_NAMES = 4
_WIDTH, _HEIGHT = 60, 10
_MAX_ROWS = 8
# Where the spread of TF1 is this share of a value, little can be compared.
_LITTLE = 0.01


def headline(outcome: Outcome, sides: tuple[str, str]) -> str:
  """Returns the verdict of a failure in one line."""
  found = outcome.curves
  assert found is not None
  alone, own = found.of_tf2_alone, found.of_tf1
  leaves = found.leaves
  if alone is not None and (leaves is None or alone.step <= leaves.step):
    return (
      f'Training fails in {sides[1]} alone: its {alone.name} is '
      f'{_named(alone.value)} at {_place(found, alone.step)}, that of '
      f'{sides[0]} is not'
    )
  if leaves is not None:
    step, series = leaves.step, leaves.series
    times = series.times[step]
    line = (
      f'Training curves part at {_place(found, step)} in the {series.name}: '
      f'{sides[0]} {_value(series.tf1[step])}, '
      f'{sides[1]} {_value(series.tf2[step])}, '
      f'{numbers.number(times)} times what is allowed'
    )
    return line + (f' (so do: {", ".join(leaves.also)})' if leaves.also else '')
  if own is not None:
    before = 'nothing could be compared'
    if own.step:
      before = (
        f'only the {own.step} step(s) before could be compared, and they agree'
      )
    return (
      f'Training fails in {sides[0]} itself: its {own.name} is '
      f'{_named(own.value)} at {_place(found, own.step)}; {before}'
    )
  return _of_seeds(found.seeds, sides)


def _of_seeds(
  found: equivalence.Equivalence | None, sides: tuple[str, str]
) -> str:
  assert found is not None
  if math.isnan(found.margin):
    what = 'are not finite for some seeds'
    if found.decision is equivalence.Decision.DIFFERENT:
      what += ' on one side alone'
    return f'Final losses {what}; their means were not compared'
  if found.decision is equivalence.Decision.DIFFERENT:
    return (
      f'Final losses over {len(found.tf1)} seeds differ: that of {sides[1]} is '
      f'{_more(found.difference)} on average, more than the margin of '
      f'{numbers.number(found.margin)}'
    )
  return (
    f'Final losses over {len(found.tf1)} seeds do not decide whether both '
    f'sides train equally well: the mean difference is {_interval(found)}, the '
    f'margin is {numbers.number(found.margin)}'
  )


def lines(found: envelopes.Found, sides: tuple[str, str]) -> list[str]:
  """Returns the lines below the headline of a failure."""
  if found.leaves is None:
    shown = [each for each in found.series if each.name == 'loss']
    rows = _seed_lines(found.seeds, sides) if found.seeds else []
    if found.not_finite:
      rows += [
        f'  {n.side}: {n.name} is {_named(n.value)} from step '
        f'{_number(found, n.step)} on'
        for n in found.not_finite[:_MAX_NAMES]
      ]
      rows += _plot(found, shown[0], sides) if shown else []
    return rows
  step, series = found.leaves.step, found.leaves.series
  rows = [
    f'  allowed at step {_number(found, step)}: '
    f'{numbers.number(series.allowed[step])}; {sides[0]} trained from weights '
    'one unit in the last place away differs from itself by up to '
    f'{numbers.number(series.spread[step])} until there ({found.runs} runs), '
    f'and {found.factor:g} times that is allowed, but never less than the '
    'default tolerance'
  ]
  if found.located:
    counted = ', steps counted from start_step' if found.start_step else ''
    rows.append(f'  located{counted}: {found.located}')
  rows += _plot(found, series, sides)
  rows += _table(found, series, sides)
  if found.seeds is not None:
    rows += _seed_lines(found.seeds, sides)
  return rows


def notes(found: envelopes.Found) -> list[str]:
  """Returns what a reader should know of a pass, too."""
  rows = [_horizon(found)]
  loose = _loose(found)
  if loose is not None:
    rows.append(
      f'from step {_number(found, loose)} on TF1 differs from itself by more '
      f'than {_LITTLE:.0%} of the loss, so that little is proven there; '
      'seeds=20 compares how training ends'
    )
  if found.repeats:
    rows.append(
      'TF1 does not repeat itself: the same step from the same weights gives '
      f'losses that differ by up to {found.repeats:.2g} of their size within '
      f'{found.repeated} step(s); this is part of what TF2 may differ by'
    )
  if found.seeds is not None:
    rows.append(sentence(found.seeds))
  return rows


def sentence(found: equivalence.Equivalence) -> str:
  """Says for somebody in a hurry how training ends on both sides."""
  count = len(found.tf1)
  if math.isnan(found.margin):
    return f'over {count} seeds some final losses are not finite'
  mean = float(np.mean(found.tf1))
  share = abs(found.difference) / (abs(mean) or 1.0)
  what = (
    f'over {count} seeds the final loss of TF2 differs from that of TF1 by '
    f'{share:.2g} of its size on average (90 % interval: {_interval(found)}; '
    f'TF1 itself varies by {numbers.number(found.spread)} from seed to seed)'
  )
  end = {
    equivalence.Decision.EQUIVALENT: (
      'the new version ends where the old one does, to within '
      f'{found.share:g} times that variation (risk of error 5 %)'
    ),
    equivalence.Decision.DIFFERENT: (
      'the new version does not end where the old one does'
    ),
    equivalence.Decision.UNDECIDED: (
      f'too few seeds to tell; about {found.needed} would'
    ),
  }[found.decision]
  return f'{what}: {end}'


def _horizon(found: envelopes.Found) -> str:
  runs = f'{found.runs} more run(s) from weights one unit away'
  if found.horizon >= found.steps:
    return (
      f'TF1 agrees with itself to {envelopes.PREDICTABLE:g} in all '
      f'{found.steps} steps ({runs})'
    )
  return (
    f'TF1 agrees with itself to {envelopes.PREDICTABLE:g} up to step '
    f'{_number(found, found.horizon - 1)} ({runs})'
    if found.horizon
    else f'TF1 does not agree with itself to {envelopes.PREDICTABLE:g} in any '
    f'step ({runs})'
  )


def _loose(found: envelopes.Found) -> int | None:
  """Returns the first step from which little can be compared."""
  for each in found.series:
    if each.name == 'loss':
      wide = np.flatnonzero(each.spread > _LITTLE * np.abs(each.tf1))
      return int(wide[0]) if wide.size else None
  return None


def _number(found: envelopes.Found, step: int) -> int:
  """Returns the number of a step as users count: from 1, or `start_step`."""
  return found.start_step + step + 1


def _place(found: envelopes.Found, step: int) -> str:
  """Says which step of how many it is."""
  number, first = _number(found, step), _number(found, 0)
  if not found.start_step:
    return f'step {number} of {found.steps}'
  return f'step {number} ({first} to {_number(found, found.steps - 1)})'


def _named(value: float) -> str:
  return 'NaN' if math.isnan(value) else f'{value:g}'


def _value(value: float) -> str:
  return f'{value:.6g}'


def _more(difference: float) -> str:
  return (
    f'{numbers.number(abs(difference))} '
    f'{"higher" if difference > 0 else "lower"}'
  )


def _interval(found: equivalence.Equivalence) -> str:
  return f'{numbers.number(found.low)} to {numbers.number(found.high)}'


def _seed_lines(
  found: equivalence.Equivalence, sides: tuple[str, str]
) -> list[str]:
  rows = [f'  {sentence(found)}']
  for name, losses in zip(sides, (found.tf1, found.tf2), strict=True):
    shown = listed(map(_value, losses), 10)
    rows.append(f'  final losses of {name}: {shown}')
  return rows


def _table(
  found: envelopes.Found, series: envelopes.Series, sides: tuple[str, str]
) -> list[str]:
  """Returns the steps around the one at which the curves part."""
  assert found.leaves is not None
  step, last = found.leaves.step, found.steps - 1
  wanted = {0, step // 2, step - 1, step, step + 1, (step + last) // 2, last}
  rows = [
    f'  {"step":>6} {sides[0]:>13} {sides[1]:>13} {"difference":>11} '
    f'{"allowed":>11} {"times":>8}'
  ]
  for i in sorted(i for i in wanted if 0 <= i <= last)[:_MAX_ROWS]:
    rows.append(
      f'  {_number(found, i):>6} {_value(series.tf1[i]):>13} '
      f'{_value(series.tf2[i]):>13} '
      f'{numbers.number(series.differences[i]):>11} '
      f'{numbers.number(series.allowed[i]):>11} '
      f'{numbers.number(series.times[i]):>8}'
    )
  return rows


def _plot(
  found: envelopes.Found, series: envelopes.Series, sides: tuple[str, str]
) -> list[str]:
  """Draws both curves: 1 and 2 where one of them is, # where both are."""
  values = np.stack([series.tf1, series.tf2])
  finite = values[np.isfinite(values)]
  if not finite.size or found.steps < 2:
    return []
  low, high = float(np.min(finite)), float(np.max(finite))
  if low == high:
    return []
  width = min(_WIDTH, found.steps)
  grid = [[' '] * width for _ in range(_HEIGHT)]

  def row_of(value: float) -> int | None:
    if not math.isfinite(value):
      return None
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return _HEIGHT - 1 - round(share * (_HEIGHT - 1))

  for column in range(width):
    i = round(column * (found.steps - 1) / max(width - 1, 1))
    center, allowed = float(series.tf1[i]), float(series.allowed[i])
    edges = (row_of(center + allowed), row_of(center - allowed))
    if edges[0] is not None and edges[1] is not None:
      for row in range(edges[0], edges[1] + 1):
        grid[row][column] = '.'
    places = [row_of(float(x[i])) for x in (series.tf1, series.tf2)]
    for place, mark in zip(places, '12', strict=True):
      if place is not None:
        grid[place][column] = '#' if places[0] == places[1] else mark
  labels = [_value(high)] + [''] * (_HEIGHT - 2) + [_value(low)]
  size = max(map(len, labels))
  drawn = [
    f'    {label:>{size}} |{"".join(row).rstrip()}'
    for label, row in zip(labels, grid, strict=True)
  ]
  first, last = _number(found, 0), _number(found, found.steps - 1)
  mark = ''
  if found.leaves is not None and width > 1:
    at = round(found.leaves.step * (width - 1) / max(found.steps - 1, 1))
    mark = ' ' * at + '^'
  return [
    f'  {series.name} (1: {sides[0]}, 2: {sides[1]}, #: both, .: allowed)',
    *drawn,
    *([f'    {"":>{size}}  {mark}'] if mark else []),
    f'    {"":>{size}}  step {first} to {last}'
    + (f', ^ at {_number(found, found.leaves.step)}' if found.leaves else ''),
  ]
