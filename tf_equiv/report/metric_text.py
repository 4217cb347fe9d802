"""Streaming metrics in words: headline, table, causes, notes."""

import numpy as np

from tf_equiv.compare import metrics as metrics_lib
from tf_equiv.compare.metrics import Cause, CauseKind, Stream
from tf_equiv.compare.outcome import Outcome
from tf_equiv.core.text import capped, listed
from tf_equiv.report import numbers

_MAX_NAMES = 4
_MAX_ROWS = 20
_MAX_CAUSES = 6


def headline(outcome: Outcome, sides: tuple[str, str]) -> str:
  """Returns the verdict of a failure in one line."""
  found = outcome.metrics
  assert found is not None
  first, *others = found.differing()
  batch = first.first or 0
  line = f'Metrics differ after batch {batch + 1} of {found.batches}: '
  line += f'{first.name} is {_pair(first, batch, sides)}'
  if others:
    names = listed((each.name for each in others), _MAX_NAMES)
    line += f' (so do: {names})'
  return line


def _pair(stream: Stream, batch: int, sides: tuple[str, str]) -> str:
  """Says what a metric is on both sides, or its elements that differ most."""
  comparison = stream.comparisons[batch]
  if comparison.problem is not None:
    shapes = (stream.tf1[batch], stream.tf2[batch])
    said = [f'{x.dtype.name}{list(x.shape)}' for x in map(np.asarray, shapes)]
    return f'{said[0]} in {sides[0]}, {said[1]} in {sides[1]}'
  index = comparison.worst_index
  first, second = (
    numbers.value(x) for x in (comparison.tf1_value, comparison.tf2_value)
  )
  nans = [
    bool(np.any(np.isnan(x))) if x.dtype.kind == 'f' else False
    for x in map(np.asarray, (stream.tf1[batch], stream.tf2[batch]))
  ]
  if all(nans):
    return f'NaN on both sides{_at(index)}'
  if any(nans):
    own, other = sides if nans[0] else sides[::-1]
    value = second if nans[0] else first
    return f'NaN in {own} alone{_at(index)}; it is {value} in {other}'
  return f'{first} in {sides[0]}, {second} in {sides[1]}{_at(index)}'


def _at(index: tuple[int, ...]) -> str:
  return f' at {list(index)}' if index else ''


def lines(found: metrics_lib.Found, sides: tuple[str, str]) -> list[str]:
  """Returns the lines below the headline of a failure."""
  if not found.differing():
    return []
  rows = []
  if found.outputs is not None:
    rows.append('  ' + _outputs(found.outputs))
  named = [(stream, each) for stream in found.streams for each in stream.causes]
  causes = [_cause(stream, each, found, sides) for stream, each in named]
  rows += ['  ' + line for line in capped(causes, _MAX_CAUSES)]
  return rows + _table(found, sides)


def notes(found: metrics_lib.Found) -> list[str]:
  """Returns what a reader should know of a pass, too."""
  rows = []
  forgiven = [each.name for each in found.streams if each.forgiven]
  if forgiven:
    rows.append(
      f'{listed(forgiven, _MAX_NAMES)}: equal where TF2 gets the outputs of '
      'TF1; the outputs agree within the tolerance, but some lie next to a '
      'threshold'
    )
  if not found.differing():
    if found.outputs is not None:
      rows.append(f'although the metrics agree, {_outputs(found.outputs)}')
    idle = [each.name for each in found.streams if each.is_zero]
    if idle and len(idle) < len(found.streams):
      names = listed(idle, _MAX_NAMES)
      rows.append(f'zero after all batches, which proves little: {names}')
  return rows


def _outputs(found: metrics_lib.OutputDifference) -> str:
  each = found.comparison
  line = f'the outputs differ in batch {found.batch + 1}: {each.name}'
  if each.problem is not None:
    return line
  return (
    f'{line}, {each.differing} of {each.count} elements, by up to '
    f'{numbers.number(each.difference)} of {numbers.number(each.allowed)} '
    'allowed'
  )


def _cause(
  stream: Stream,
  cause: Cause,
  found: metrics_lib.Found,
  sides: tuple[str, str],
) -> str:
  """Says with what a metric agrees, which was tried."""
  after = f'after all {found.batches} batch(es)'
  tried = f'{stream.name}: tried on these batches:'
  values = f'gives the values of {sides[0]} {after}'
  if cause.kind is CauseKind.OUTPUTS:
    return (
      f'{tried} fed with the outputs of {sides[0]}, the metric of {sides[1]} '
      f'{values}; the metric is the same, the outputs are not'
    )
  if cause.kind is CauseKind.STATE:
    return (
      f'{tried} a new {cause.metric} that adds up all batches {values}; that '
      f'of {sides[1]} is reset between the batches, or does not start anew'
    )
  if cause.kind is CauseKind.WEIGHTS:
    return f'{tried} without the weights, {cause.metric} {values}'
  if cause.kind is CauseKind.CLASS:
    return f'{tried} {cause.other} in place of {cause.metric} {values}'
  changes = ' and '.join(
    f'{c.argument}={c.new!r} in place of {c.old!r}' for c in cause.changes
  )
  return f'{tried} {cause.metric} with {changes} {values}'


def _table(found: metrics_lib.Found, sides: tuple[str, str]) -> list[str]:
  """Returns a row for each metric: its values after the last batch."""
  size = max(len('metric'), *(len(each.name) for each in found.streams))
  rows = [
    f'  after all {found.batches} batch(es):',
    f'    {"metric":{size}} {sides[0]:>13} {sides[1]:>13} {"difference":>11} '
    f'{"allowed":>11}  first differs',
  ]
  shown = []
  for stream in found.streams:
    first, last = stream.first, stream.comparisons[-1]
    word = 'nowhere' if first is None else f'batch {first + 1}'
    if stream.forgiven:
      word = 'nowhere, with the outputs of TF1'
    if last.problem is not None:
      shown.append(f'    {stream.name:{size}} {"another shape or dtype":>51}')
      continue
    cells = [numbers.value(x) for x in (last.tf1_value, last.tf2_value)]
    shown.append(
      f'    {stream.name:{size}} {cells[0]:>13} {cells[1]:>13} '
      f'{numbers.number(last.difference):>11} '
      f'{numbers.number(last.allowed):>11}  {word}'
      + (f', at {list(last.worst_index)}' if last.worst_index else '')
    )
  return rows + capped(shown, _MAX_ROWS)
