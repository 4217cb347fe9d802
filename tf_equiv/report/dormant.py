"""Sentences about dormant differences, and about the search for them."""

from collections.abc import Callable
from typing import Any

from tf_equiv.compare.dormant import Change, Changed, Examination, Witness
from tf_equiv.core.text import capped, listed

_MAX_NAMES = 3


def headline(found: Witness, sides: tuple[str, str]) -> str:
  """Returns the verdict in one line."""
  what = {
    'outputs': 'outputs differ',
    'regularization losses': 'regularization losses differ',
    'loss': 'the loss differs',
    'learning rate': 'learning rates differ',
    'gradients': 'gradients differ',
    'updated variables': 'updated variables differ',
  }.get(found.result[0], 'the results differ')
  if found.failing_side:
    what = f'{found.failing_side} alone cannot compute'
  return (
    f'Dormant difference: {what} {changes(found)}, though {sides[0]} and '
    f'{sides[1]} agree as they were compared'
  )


def changes(found: Witness) -> str:
  """Returns under what the sides differ, in words."""
  return ' and '.join(_change(each) for each in found.changes)


def evidence(found: Witness, sides: tuple[str, str]) -> list[str]:
  """Returns the lines about a witness."""
  lines = [f'witness: {changes(found)}: {_values(found, sides)}']
  if found.precision != 'float64':
    lines.append(
      f'in float64 the sides agree there: it is {found.precision} that one of '
      'them cannot do with'
    )
  lines.append(
    'both sides were run again with it, and differ'
    if found.is_rerun
    else 'found in the captured graphs of both sides, which were not run again'
  )
  if found.saved:
    lines.append(f'the witness is saved in {found.saved}')
  return lines


def notes(found: Examination) -> list[str]:
  """Returns what a reader of a pass should know of the search."""
  lines = [summary(found)] if found.is_thorough and found.probes else []
  if found.obstacle:
    few = 'no further' if found.probes else 'no'
    lines.append(f'{few} dormant differences were looked for: {found.obstacle}')
  refused = [
    f'{_change(each.change)} ({each.side or "the sides"} '
    f'{"cannot run" if each.error else "cannot be compared"}'
    f'{": " + each.error if each.error else ""})'
    for each in found.refusals
  ]
  if refused:
    lines.append('not compared ' + '; '.join(capped(refused, _MAX_NAMES)))
  return lines


def summary(found: Examination) -> str:
  """Returns what a thorough search has done, in one line."""
  line = f'{found.probes} probes tell the sides apart nowhere'
  names = [first or second for first, second in found.suspects]
  if names:
    line += (
      f'; written otherwise, but alike in all of them: '
      f'{listed(names, _MAX_NAMES)}'
    )
  return line


def _values(found: Witness, sides: tuple[str, str]) -> str:
  if found.failing_side:
    return f'{found.failing_side} cannot compute: {found.error}'
  first, second = found.places
  values = found.place_values
  name = first or second
  if values is None or not name:
    values = found.tf1_value, found.tf2_value
    first = second = found.result[1] or 'the result'
    name = first
  if values == (None, None):
    return 'the sides differ'
  if first and second and first != second:
    return (
      f'{first} gives {_number(values[0])} in {sides[0]}, {second} gives '
      f'{_number(values[1])} in {sides[1]}'
    )
  return (
    f'{name} gives {_number(values[0])} in {sides[0]}, '
    f'{_number(values[1])} in {sides[1]}'
  )


def _number(value: Any) -> str:
  try:
    return f'{float(value):.4g}'
  except (TypeError, ValueError):
    return str(value)


def _change(found: Change) -> str:
  return _WORDS[found.what](found, f'inputs{found.subject}')


def _scaled(found: Change, name: str) -> str:
  factor = found.value
  if factor < 0:
    return f'with {name} {abs(factor):g} times as large, of the other sign'
  if factor >= 1:
    return f'with {name} {factor:g} times as large'
  return f'with {name} {1 / factor:g} times as small'


def _rounded(found: Change, name: str) -> str:
  if found.value:
    return f'with {name} that lie halfway between whole numbers'
  return f'with {name} that are whole numbers'


def _weights_scaled(found: Change, unused_name: str) -> str:
  return _scaled(Change(found.what, found.value), 'weights')


def _weights_drawn(found: Change, unused_name: str) -> str:
  if found.value == 1:
    return 'with other weights'
  return f'with other weights, {found.value:g} times as large'


_WORDS: dict[Changed, Callable[[Change, str], str]] = {
  Changed.INPUTS_SCALED: _scaled,
  Changed.INPUTS_SHIFTED: lambda c, name: f'with {c.value:.3g} added to {name}',
  Changed.INPUTS_NEGATED: lambda c, name: f'with {name} of the other sign',
  Changed.INPUTS_SET: lambda c, name: f'with {name} that are all {c.value:g}',
  Changed.INPUTS_ROUNDED: _rounded,
  Changed.INPUTS_DRAWN: lambda c, name: f'with other {name}',
  Changed.DISCRETE_DRAWN: lambda c, name: f'with other whole numbers in {name}',
  Changed.DISCRETE_SET: lambda c, name: f'with {c.value} in {name}',
  Changed.MASKS_DRAWN: lambda c, name: f'with other zeros and ones in {name}',
  Changed.MASKS_SET: lambda c, name: (
    f'with {"an empty" if not c.value else "a full"} mask in {name}'
  ),
  Changed.ROWS_SHIFTED: lambda c, name: f'with other one-hot rows in {name}',
  Changed.WEIGHTS_DRAWN: _weights_drawn,
  Changed.WEIGHTS_SCALED: _weights_scaled,
  Changed.BIASES_SHIFTED: lambda c, name: (
    f'with {c.value:.3g} added to the weights of one axis'
  ),
  Changed.BATCH: lambda c, name: f'with a batch of {c.value}',
  Changed.SIZE: lambda c, name: (
    f'with {c.value[1]} in place of {c.value[0]} along axis {c.subject}'
  ),
  Changed.STEP: lambda c, name: f'at step {c.value}',
  Changed.GRADIENTS_SCALED: lambda c, name: (
    f'with gradients {c.value:g} times as large before clipping'
  ),
  Changed.GIVEN: lambda c, name: f'with number {c.value} of make_probes',
}
