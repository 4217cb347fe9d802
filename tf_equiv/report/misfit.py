"""Sentences about a checkpoint that does not fit a model."""

from tf_equiv.compare import variables
from tf_equiv.core.observation import VariableSpec
from tf_equiv.core.text import capped

_MAX_ROWS = 10


def headline(table: variables.VariableTable, path: str, what: str) -> str:
  """Returns the headline for a checkpoint that does not fit, '' if it does.

  Args:
    table: of `checkpoints.contents.fit`.
    path: the checkpoint.
    what: what it should fit, e.g. 'the TF1 model'.
  """
  counts = (
    (len(table.missing), 'missing'),
    (len(table.shapes), 'of another shape'),
    (len(table.dtypes), 'of another dtype'),
    (len(table.extra), 'unused'),
  )
  problems = ', '.join(f'{n} {kind}' for n, kind in counts if n)
  if not problems:
    return ''
  return f'Checkpoint {path!r} does not fit {what}: {problems}'


def describe(table: variables.VariableTable) -> list[str]:
  """Returns a table of what does not fit, one text for each kind."""
  likely = table.suggestion.names
  sections = (
    (
      'variables missing from the checkpoint',
      [_row(s) + _arrow(likely.get(s.name)) for s, _ in table.missing],
    ),
    (
      'another shape',
      [
        f'{a.name}: model {list(shape)}, checkpoint {list(b.shape)}'
        for a, shape, b in table.shapes
      ],
    ),
    (
      'another dtype',
      [
        f'{a.name}: model {a.dtype}, checkpoint {b.dtype}'
        for a, b in table.dtypes
      ],
    ),
    ('unused in the checkpoint', [_row(s) for s in table.extra]),
  )
  return [
    '\n    '.join([title + ':', *capped(sorted(rows), _MAX_ROWS)])
    for title, rows in sections
    if rows
  ]


def _row(spec: VariableSpec) -> str:
  return f'{spec.name}  {spec.dtype}{list(spec.shape)}'


def _arrow(likely: str | None) -> str:
  return f' -> {likely}?' if likely else ''
