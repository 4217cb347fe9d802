"""Failure messages and one-line summaries.

A message has the verdict in its first line, then the evidence (every failing
item, capped), and ends with what to do next.
"""

import decimal

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import draws, values, variables
from tf_equiv.compare import verdict as verdict_lib

_SIDES = ('TF1', 'TF2')
_MAX_ITEMS = 10
_MAX_FOLLOWING = 2
_MAX_BESIDE_OTHERS = 5
# Lines of a table of variables, and rows (of three lines) of a ledger, that
# are shared out among the sections.
_TABLE_LINES = 36
_LEDGER_ROWS = 6
_MAX_RENAMES = 12
_MAX_HINTS = 3
_MAX_DIFFERENCES = 5
_MAX_LONE = 3
# By so much the relative error must grow in an op for it to be named.
_MIN_GROWTH = 4.0
_ROUND_UP = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)


def failure(verdict: verdict_lib.Verdict) -> str:
  """Returns the message of a failed assertion."""
  where = f' ({verdict.conditions})' if verdict.conditions else ''
  lines = [f'{verdict.headline}{where}']
  if verdict.divergence is not None:
    lines += _divergence(verdict.divergence)
  table = verdict.table
  if table is not None and not table.passed and not verdict.comparisons:
    lines += _table(table)
  most = _MAX_BESIDE_OTHERS if verdict.comparisons else _MAX_ITEMS
  lines += ['  ' + line for line in verdict.evidence[:most]]
  lines += _more(verdict.evidence, most, indent='  ')
  if verdict.noise is not None:
    lines += _noise(verdict.noise)
  most = _MAX_BESIDE_OTHERS if verdict.divergence else _MAX_ITEMS
  if verdict.ledger is not None:
    lines += _ledger(verdict.ledger)
    most = _MAX_BESIDE_OTHERS
  for group in verdict.comparisons:
    found = _group(group, verdict.comparisons[group], most)
    lines += found
    # What comes after the first group that differs follows from it.
    most = _MAX_FOLLOWING if found else most
  lines += ['  ' + note for note in verdict.notes]
  lines += ['Next: ' + verdict.advice[0]] if verdict.advice else []
  lines += ['      ' + advice for advice in verdict.advice[1:]]
  return '\n'.join(lines)


def summary(verdict: verdict_lib.Verdict) -> str:
  """Returns one line: verdict, what was compared, largest difference."""
  counts = ', '.join(
    f'{count} {kind}'
    for kind, count in verdict.compared.items()
    if count and kind != 'loss'
  )
  parts = [f'{"pass" if verdict.passed else "FAIL"} {verdict.assertion}']
  if verdict.conditions:
    parts.append(f'({verdict.conditions})')
  line = ' '.join(parts) + ': ' + (verdict.headline or counts)
  largest = verdict.largest()
  if largest is not None:
    line += (
      f'; largest difference {_number(largest.difference)} of '
      f'{_number(largest.allowed)} allowed ({largest.name})'
    )
  if verdict.power:
    line += '; ' + verdict.power
  for note in verdict.notes:
    line += '; ' + note
  return f'{line}; {verdict.seconds:.1f} s'


def divergence(found: divergence_lib.Divergence) -> str:
  """Returns a text about a place where the sides part."""
  more = ['    ' + found.mistake] if found.mistake else []
  return '\n'.join(_divergence(found) + more)


def noise(found: divergence_lib.Noise) -> str:
  """Returns a text about how large rounding is, and where it grows."""
  return '\n'.join(_noise(found))


def _divergence(found: divergence_lib.Divergence) -> list[str]:
  lines = ['  first divergence:']
  for side, place in zip(_SIDES, (found.tf1, found.tf2), strict=True):
    if place is not None:
      lines.append(f'    {side} {place}{_of_line(place)}')
  lines += ['    ' + line for line in found.differences[:_MAX_DIFFERENCES]]
  for side, lone in zip(_SIDES, (found.only_tf1, found.only_tf2), strict=True):
    lines += [
      f'    only {side} {place}{_of_line(place)}' for place in lone[-_MAX_LONE:]
    ]
    lines += _more(lone, _MAX_LONE)
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
        _value(c.tf1_value),
        _value(c.tf2_value),
      )
    )
  differing, count = found.spread
  if count:
    real = '' if found.recorded else 'real: it remains in float64, and '
    lines.append(f'    {real}{differing} of {count} corresponding ops differ')
  if found.note:
    lines.append('    ' + found.note)
  if found.others:
    lines.append(
      '    also at %s'
      % ', '.join(str(other.tf1) for other in found.others[:_MAX_LONE])
    )
  return lines


def _noise(found: divergence_lib.Noise) -> list[str]:
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
    f'  float32 itself errs by up to {_number(found.error)} in '
    f'{found.result}, whose values go up to {_number(found.scale)}'
  )
  return lines


def _group(
  group: str, comparisons: list[values.ValueComparison], most: int
) -> list[str]:
  failed = [c for c in comparisons if not c.passed]
  if not failed:
    return []
  lines = [f'  {group}: {len(failed)} of {len(comparisons)} differ']
  sides = ('before', 'after') if 'before and after' in group else _SIDES
  # What has no numbers to compare is no matter of degree.
  failed.sort(key=lambda c: not c.problem)
  problems = sum(bool(c.problem) for c in failed)
  if most == _MAX_BESIDE_OTHERS:  # They take one line each.
    most = max(most, min(problems, _MAX_ITEMS))
  for comparison in failed[:most]:
    lines += ['    ' + line for line in _comparison(comparison, sides)]
  return lines + _more(failed, most)


def _comparison(c: values.ValueComparison, sides=_SIDES) -> list[str]:
  if c.problem:
    return [f'{c.name}: {c.problem}']
  lines = [
    f'{c.name}  {c.dtype}{list(c.shape)}: {c.differing} of {c.count} elements '
    'differ'
  ]
  place = f'at {list(c.worst_index)} ' if c.worst_index else ''
  line = (
    f'  worst {place}{sides[0]} {_value(c.tf1_value)}, {sides[1]} '
    f'{_value(c.tf2_value)}'
  )
  if np.isnan(c.difference):
    line += '; NaN never equals anything unless equal_nan=True'
  elif c.rtol or c.atol:
    line += '; difference %s > %s allowed' % (
      _number(c.difference),
      _number(c.allowed),
    )
    if np.isfinite(c.needed_atol):
      line += f'; would pass with atol={number_up(c.needed_atol)}'
  elif c.dtype not in ('string', 'bool'):
    line += '; must be equal'
  return lines + [line] + (['  ' + c.note] if c.note else [])


def _table(table: variables.VariableTable) -> list[str]:
  sections = []
  likely = table.suggestion.names

  def section(title, rows):
    if rows:
      sections.append((title, rows))

  section(
    'missing in TF2',
    sorted(
      _missing_row(spec, wanted, likely.get(spec.name))
      for spec, wanted in table.missing
    ),
  )
  section(
    'extra in TF2',
    sorted(f'{s.name}  {s}{_at(s)}' for s in table.extra),
  )
  section('several TF2 variables have the name', table.duplicates)
  section(
    'another shape',
    sorted(
      '%s: TF1 %s, TF2 %s%s%s'
      % (
        second.name,
        list(shape),
        list(second.shape),
        _transposed(shape, second),
        _at_both(first, second),
      )
      for first, shape, second in table.shapes
    ),
  )
  section(
    'another dtype',
    sorted(
      f'{b.name}: TF1 {a.dtype}, TF2 {b.dtype}{_at_both(a, b)}'
      for a, b in table.dtypes
    ),
  )
  section(
    'another trainable flag',
    sorted(
      f'{b.name}: TF1 trainable={a.trainable}, TF2 '
      f'trainable={b.trainable}{_at_both(a, b)}'
      for a, b in table.trainable
    ),
  )
  section(
    'created by TF2, but not among the variables of the model',
    sorted(f'{s.name}  {s}{_at(s)}' for s in table.untracked),
  )
  lines = [f'  {table.agreeing()} variable(s) agree.']
  renames = _renames(table.suggestion)
  left = max(_TABLE_LINES - len(renames), _TABLE_LINES // 2)
  most = min(_MAX_ITEMS, left // max(len(sections), 1))
  return lines + _sections(sections, most) + renames


def _renames(suggestion) -> list[str]:
  if not suggestion.names:
    lines = []
  else:
    lines = ['  likely renames, by shape, name and order, ready to paste:']
    lines += ['    ' + line for line in suggestion.lines(_MAX_RENAMES)]
  return lines + ['  hint: ' + h for h in suggestion.hints[:_MAX_HINTS]]


def _sections(sections, most: int) -> list[str]:
  lines = []
  for title, rows in sections:
    lines.append(f'  {title}:')
    lines += ['    ' + row for row in rows[:most]]
    lines += _more(rows, most)
  return lines


def _missing_row(spec, wanted, likely) -> str:
  row = f'{spec.name}  {spec}'
  if wanted != spec.name:
    row += f'  (expected as {wanted})'
  return row + (f'  -> {likely}?' if likely else '') + _at(spec)


def _transposed(shape, second) -> str:
  turned = tuple(reversed(shape)) == tuple(second.shape)
  return '  (transposed)' if turned and len(shape) > 1 else ''


def _at(spec) -> str:
  return f'  at {spec.line}' if spec.line.filename else ''


def _at_both(first, second) -> str:
  """Says where TF2 makes a variable, and TF1, if that is another line."""
  text = _at(second)
  if first.line.filename and str(first.line) != str(second.line):
    text += f'; in TF1 at {first.line}'
  return text


def _of_line(place: divergence_lib.Place) -> str:
  return '  at ' + place.line if place.line else ''


def _ledger(ledger: draws.LedgerDifference) -> list[str]:
  lines = [
    f'  random draws: TF1 makes {ledger.tf1_count}, TF2 makes '
    f'{ledger.tf2_count}; the first difference is draw {ledger.first()}'
  ]
  sections = (
    ('same draw at another place', [_pair(*pair) for pair in ledger.moved]),
    (
      'another draw for the variable',
      [_pair(*pair) for pair in ledger.replaced],
    ),
    (
      'only in TF1',
      [f'draw {d.index}: {d}\n      {d.line}' for d in ledger.only_tf1],
    ),
    (
      'only in TF2',
      [f'draw {d.index}: {d}\n      {d.line}' for d in ledger.only_tf2],
    ),
  )
  sections = [(title, rows) for title, rows in sections if rows]
  most = max(2, _LEDGER_ROWS // max(len(sections), 1))
  return lines + _sections(sections, most)


def _pair(a, b) -> str:
  if a.key == b.key:
    head = f'{a}: TF1 draw {a.index}, TF2 draw {b.index}'
  else:
    head = f'TF1 draw {a.index}: {a}; TF2 draw {b.index}: {b}'
  return head + f'\n      TF1 {a.line}\n      TF2 {b.line}'


def _more(rows, most: int, indent: str = '    ') -> list[str]:
  hidden = len(rows) - most
  return [f'{indent}... and {hidden} more'] if hidden > 0 else []


def _number(value: float) -> str:
  return f'{value:.3g}'


def rounded_up(value: float) -> str:
  """Returns a number that is not less than a value, in two digits."""
  context = decimal.Context(prec=2, rounding=decimal.ROUND_CEILING)
  return '%.2g' % context.create_decimal_from_float(float(value))


def number_up(value: float) -> str:
  """Rounds up to three digits, so that the printed number really passes."""
  return '%.3g' % _ROUND_UP.create_decimal_from_float(float(value))


def _value(value) -> str:
  if isinstance(value, (str, bytes)):
    # Not the np.str_(...) of NumPy 2.
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    return shown if len(shown) <= 40 else shown[:37] + '...'
  if isinstance(value, (float, np.floating)) or hasattr(value, 'dtype'):
    if getattr(value, 'dtype', np.dtype(float)).kind in 'biu':
      return str(value)
    if getattr(value, 'dtype', np.dtype(float)).kind == 'c':
      return f'{value.real:.9g}{value.imag:+.9g}j'
    return f'{float(value):.9g}'
  return str(value)
