"""Failure messages and one-line summaries.

A message has the verdict in its first line, then the evidence (every failing
item, capped), and ends with what to do next.
"""

from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import draws, rename_rules, values, variables
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import errors
from tf_equiv.core.draw import Draw
from tf_equiv.core.observation import VariableSpec
from tf_equiv.core.text import capped
from tf_equiv.report import (
  curve_text,
  metric_text,
  numbers,
  place_text,
  repair_text,
  wording,
)

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
_MAX_BRIEF = 2
# Group of the results of which a factor says most.
_LOSSES = 'regularization losses'
# By so much the relative error must grow in an op for it to be named.
_MIN_GROWTH = 4.0


def failure(
  verdict: verdict_lib.Verdict, sides: wording.Sides = wording.SIDES
) -> str:
  """Returns the message of a failed assertion.

  Args:
    verdict: of the assertion.
    sides: names of both sides.
  """
  where = f' ({verdict.conditions})' if verdict.conditions else ''
  lines = [f'{verdict.headline}{where}']
  if verdict.divergence is not None:
    lines += place_text.divergences(verdict)
  if verdict.outcome.curves is not None:
    lines += curve_text.lines(verdict.outcome.curves, sides)
  if verdict.outcome.metrics is not None:
    lines += metric_text.lines(verdict.outcome.metrics, sides)
  table = verdict.table
  if table is not None and not table.passed and not verdict.comparisons:
    lines += _table(table, sides)
  most = _MAX_BESIDE_OTHERS if verdict.comparisons else _MAX_ITEMS
  lines += ['  ' + line for line in capped(verdict.evidence, most)]
  if verdict.noise is not None:
    lines += place_text.noise_lines(verdict.noise)
  most = _MAX_BESIDE_OTHERS if verdict.divergence else _MAX_ITEMS
  if verdict.ledger is not None and verdict.diagnosis.draws_matter is not False:
    lines += _ledger(verdict.ledger, sides)
    most = _MAX_BESIDE_OTHERS
  for key, pairs in verdict.outcome.comparisons.items():
    found = _group(key, pairs, most, sides)
    lines += found
    # What comes after the first group that differs follows from it.
    most = _MAX_FOLLOWING if found else most
  lines += ['  ' + note for note in verdict.notes]
  lines += ['Next: ' + verdict.advice[0]] if verdict.advice else []
  lines += ['      ' + advice for advice in verdict.advice[1:]]
  start = '      ' if verdict.advice else 'Next: '
  more = repair_text.next_steps(verdict.divergences, verdict.proof)
  more += repair_text.reproductions(verdict.reproductions)
  for line in more:
    lines.append(start + line)
    start = '      '
  # Names come from files, too, and files may hold anything.
  return errors.printable('\n'.join(lines))


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
      f'; largest difference {numbers.number(largest.difference)} of '
      f'{numbers.number(largest.allowed)} allowed ({largest.name})'
    )
  if verdict.power:
    line += '; ' + verdict.power
  for note in verdict.notes:
    line += '; ' + note
  return f'{line}; {verdict.seconds:.1f} s'


def _group(
  key: Key,
  comparisons: Sequence[values.ValueComparison],
  most: int,
  sides: wording.Sides,
) -> list[str]:
  failed = [c for c in comparisons if not c.passed]
  if not failed:
    return []
  lines = [f'  {key.title}: {len(failed)} of {len(comparisons)} differ']
  if key.quantity is Quantity.INFERENCE_CHANGES:
    sides = ('before', 'after')
  # What has no numbers to compare is no matter of degree.
  failed.sort(key=lambda c: not c.problem)
  problems = sum(bool(c.problem) for c in failed)
  if most == _MAX_BESIDE_OTHERS:  # They take one line each.
    most = max(most, min(problems, _MAX_ITEMS))
  for comparison in failed[:most]:
    lines += ['    ' + line for line in _comparison(comparison, sides)]
  return lines + wording.more(failed, most)


def _comparison(c: values.ValueComparison, sides: wording.Sides) -> list[str]:
  if c.problem:
    return [f'{c.name}: {wording.problem(c.problem, sides)}']
  lines = [
    f'{c.name}  {c.dtype}{list(c.shape)}: {c.differing} of {c.count} elements '
    'differ'
  ]
  place = f'at {list(c.worst_index)} ' if c.worst_index else ''
  line = (
    f'  worst {place}{sides[0]} {numbers.value(c.tf1_value)}, {sides[1]} '
    f'{numbers.value(c.tf2_value)}'
  )
  if np.isnan(c.difference):
    line += '; NaN never equals anything unless equal_nan=True'
  elif c.rtol or c.atol:
    line += '; difference %s > %s allowed' % (
      numbers.number(c.difference),
      numbers.number(c.allowed),
    )
    if np.isfinite(c.needed_atol):
      line += f'; would pass with atol={numbers.number_up(c.needed_atol)}'
  elif c.dtype not in ('string', 'bool'):
    line += '; must be equal'
  note = wording.note(c.note, sides)
  return lines + [line] + (['  ' + note] if note else [])


def _table(table: variables.VariableTable, sides: wording.Sides) -> list[str]:
  first_side, second_side = sides
  sections: list[tuple[str, Sequence[str]]] = []
  likely = table.suggestion.names

  def section(title: str, rows: Sequence[str]) -> None:
    if rows:
      sections.append((title, rows))

  section(
    f'missing in {second_side}',
    sorted(
      _missing_row(spec, wanted, likely.get(spec.name))
      for spec, wanted in table.missing
    ),
  )
  section(
    f'extra in {second_side}',
    sorted(f'{s.name}  {s}{_at(s)}' for s in table.extra),
  )
  section(f'several {second_side} variables have the name', table.duplicates)
  section(
    'another shape',
    sorted(
      f'{second.name}: {first_side} {list(shape)}, {second_side} '
      f'{list(second.shape)}{_transposed(shape, second)}'
      f'{_at_both(first, second, sides)}'
      for first, shape, second in table.shapes
    ),
  )
  section(
    'another dtype',
    sorted(
      f'{b.name}: {first_side} {a.dtype}, {second_side} {b.dtype}'
      f'{_at_both(a, b, sides)}'
      for a, b in table.dtypes
    ),
  )
  section(
    'another trainable flag',
    sorted(
      f'{b.name}: {first_side} trainable={a.trainable}, {second_side} '
      f'trainable={b.trainable}{_at_both(a, b, sides)}'
      for a, b in table.trainable
    ),
  )
  section(
    f'created by {second_side}, but not among the variables of the model',
    sorted(f'{s.name}  {s}{_at(s)}' for s in table.untracked),
  )
  lines = [f'  {table.agreeing()} variable(s) agree.']
  renames = _renames(table)
  left = max(_TABLE_LINES - len(renames), _TABLE_LINES // 2)
  most = min(_MAX_ITEMS, left // max(len(sections), 1))
  return lines + _sections(sections, most) + renames


def _renames(table: variables.VariableTable) -> list[str]:
  suggestion = table.suggestion
  rule = None
  if all(first.name == second.name for first, second in table.pairs):
    names = [first.name for first, _ in table.pairs]
    rule = rename_rules.lines(suggestion, names)
  count, lines = len(suggestion.names), []
  if rule is not None or 0 < count <= _MAX_RENAMES:
    lines = ['  likely renames, by shape, name and order, ready to paste:']
    lines += ['    ' + line for line in rule or suggestion.lines()]
  elif count:
    lines = [
      f'  likely renames for {count} variables, ready to paste: '
      'print(tf_equiv.suggest_renames(self))'
    ]
  return lines + ['  hint: ' + h for h in suggestion.hints[:_MAX_HINTS]]


def _sections(
  sections: Sequence[tuple[str, Sequence[str]]], most: int
) -> list[str]:
  lines: list[str] = []
  for title, rows in sections:
    lines.append(f'  {title}:')
    lines += ['    ' + row for row in capped(rows, most)]
  return lines


def _missing_row(spec: VariableSpec, wanted: str, likely: str | None) -> str:
  row = f'{spec.name}  {spec}'
  if wanted != spec.name:
    row += f'  (expected as {wanted})'
  return row + (f'  -> {likely}?' if likely else '') + _at(spec)


def _transposed(shape: tuple[int | None, ...], second: VariableSpec) -> str:
  turned = tuple(reversed(shape)) == tuple(second.shape)
  return '  (transposed)' if turned and len(shape) > 1 else ''


def _at(spec: VariableSpec) -> str:
  return f'  at {spec.line}' if spec.line.filename else ''


def _at_both(
  first: VariableSpec, second: VariableSpec, sides: wording.Sides
) -> str:
  """Says where TF2 makes a variable, and TF1, if that is another line."""
  text = _at(second)
  if first.line.filename and str(first.line) != str(second.line):
    text += f'; in {sides[0]} at {first.line}'
  return text


def _ledger(ledger: draws.LedgerDifference, sides: wording.Sides) -> list[str]:
  first_side, second_side = sides
  lines = [
    f'  random draws: {first_side} makes {ledger.tf1_count}, {second_side} '
    f'makes {ledger.tf2_count}; the first difference is draw {ledger.first()}'
  ]
  sections = [
    (
      'same draw at another place',
      [_pair(*pair, sides) for pair in ledger.moved],
    ),
    (
      'another draw for the variable',
      [_pair(*pair, sides) for pair in ledger.replaced],
    ),
    (
      f'only in {first_side}',
      [f'draw {d.index}: {d}\n      {d.line}' for d in ledger.only_tf1],
    ),
    (
      f'only in {second_side}',
      [f'draw {d.index}: {d}\n      {d.line}' for d in ledger.only_tf2],
    ),
  ]
  sections = [(title, rows) for title, rows in sections if rows]
  most = max(2, _LEDGER_ROWS // max(len(sections), 1))
  return lines + _sections(sections, most)


def _pair(a: Draw, b: Draw, sides: wording.Sides) -> str:
  first, second = sides
  if a.key == b.key:
    head = f'{a}: {first} draw {a.index}, {second} draw {b.index}'
  else:
    head = f'{first} draw {a.index}: {a}; {second} draw {b.index}: {b}'
  return head + f'\n      {first} {a.line}\n      {second} {b.line}'
