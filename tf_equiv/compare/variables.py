"""Matches the variables of the two sides by name."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Sequence

from tf_equiv.tf1 import errors
from tf_equiv.tf1.observation import VariableSpec

# TF1 name -> TF2 name, names, or None.
Rename = Callable[[str], object]


@dataclasses.dataclass
class VariableTable:
  """How the variables of the two sides correspond.

  Attributes:
    pairs: (TF1 variable, TF2 variable), a TF1 variable once for each TF2
      variable that it became.
    missing: (TF1 variable, TF2 name that it should have).
    extra: TF2 variables that no TF1 variable became.
    dropped: TF1 variables for which rename_variable returned None.
    ignored: variables that `ignored_variables` leaves out.
    duplicates: names that several TF2 variables have.
    shapes: (TF1 variable, its shape after convert_variable, TF2 variable).
    dtypes: pairs with another dtype.
    trainable: pairs with another trainable flag.
    renames: likely (TF1 name, TF2 name) among missing and extra.
    untracked: TF2 variables that the model created but does not list.
  """

  pairs: list[tuple[VariableSpec, VariableSpec]]
  missing: list[tuple[VariableSpec, str]]
  extra: list[VariableSpec]
  dropped: list[VariableSpec]
  ignored: list[VariableSpec]
  duplicates: list[str]
  shapes: list[tuple[VariableSpec, tuple, VariableSpec]]
  dtypes: list[tuple[VariableSpec, VariableSpec]]
  trainable: list[tuple[VariableSpec, VariableSpec]]
  renames: list[tuple[str, str]]
  untracked: list[VariableSpec]

  @property
  def passed(self) -> bool:
    """Whether everything corresponds."""
    return not (self.blocks_values or self.trainable)

  @property
  def blocks_values(self) -> bool:
    """Whether values cannot be carried from one side to the other."""
    return bool(
      self.missing
      or self.extra
      or self.duplicates
      or self.shapes
      or self.dtypes
    )

  def agreeing(self) -> int:
    """Number of pairs that agree in shape, dtype and trainable flag."""
    rows = (*self.shapes, *self.dtypes, *self.trainable)
    odd = {row[-1].name for row in rows}
    return sum(second.name not in odd for _, second in self.pairs)

  def tf1_name_of(self) -> dict[str, str]:
    """TF1 name for each TF2 name."""
    return {second.name: first.name for first, second in self.pairs}


def match_variables(
  tf1: Sequence[VariableSpec],
  tf2: Sequence[VariableSpec],
  rename: Rename = lambda name: name,
  converted_shape: Callable[[VariableSpec, VariableSpec], tuple] = (
    lambda first, second: first.shape
  ),
  ignored: Sequence[str] = (),
  untracked: Sequence[VariableSpec] = (),
) -> VariableTable:
  """Matches variables by name.

  Args:
    tf1: variables of the reference.
    tf2: variables of the candidate.
    rename: TF2 name of a TF1 variable, a tuple or list of names where one
      became several, None where it was dropped on purpose.
    converted_shape: shape that a TF1 value has for a TF2 variable.
    ignored: regular expressions (`re.search`) of names on either side that
      are left out.
    untracked: variables that the TF2 model created but does not list.

  Returns:
    The table.

  Raises:
    UsageError: if a pattern of `ignored` is invalid or matches nothing, or
      `rename` returns something else, or gives two TF1 variables one name.
  """
  left_out, tf1, tf2 = _leave_out(ignored, tf1, tf2)
  by_name = {}
  for spec in tf2:
    by_name.setdefault(spec.name, []).append(spec)
  table = VariableTable(
    pairs=[],
    missing=[],
    extra=[],
    dropped=[],
    ignored=left_out,
    duplicates=sorted(n for n, specs in by_name.items() if len(specs) > 1),
    shapes=[],
    dtypes=[],
    trainable=[],
    renames=[],
    untracked=list(untracked),
  )
  claimed = {}
  for first in tf1:
    names = _renamed(rename, first.name)
    if names is None:
      table.dropped.append(first)
      continue
    for name in names:
      if name in claimed:
        raise errors.UsageError(
          'rename_variable gives both %r and %r the TF2 name %r; each TF2 '
          'variable comes from one TF1 variable.'
          % (claimed[name], first.name, name)
        )
      claimed[name] = first.name
      if name in by_name:
        _pair(table, first, by_name[name][0], converted_shape)
      else:
        table.missing.append((first, name))
  table.extra = [spec for spec in tf2 if spec.name not in claimed]
  table.renames = _likely_renames(table)
  return table


def _leave_out(patterns, tf1, tf2):
  """Returns (left out, rest of tf1, rest of tf2)."""
  if isinstance(patterns, str):
    raise errors.UsageError(
      'ignored_variables is the string %r; expected a tuple of regular '
      'expressions: (%r,).' % (patterns, patterns)
    )
  left_out = []
  for pattern in patterns:
    try:
      expression = re.compile(pattern)
    except (re.error, TypeError) as error:
      raise errors.UsageError(
        'ignored_variables holds %r, which is no regular expression: %s'
        % (pattern, error)
      ) from error
    hits = [s for s in (*tf1, *tf2) if expression.search(s.name)]
    if not hits:
      close = difflib.get_close_matches(
        expression.pattern, {s.name for s in (*tf1, *tf2)}, n=3, cutoff=0.5
      )
      raise errors.UsageError(
        'The pattern %r of ignored_variables matches no variable of either '
        'side; it may be outdated or mistyped.%s'
        % (pattern, ' Similar names: %s.' % ', '.join(close) if close else '')
      )
    left_out.extend(hits)
  gone = {id(spec) for spec in left_out}
  return (
    list({id(s): s for s in left_out}.values()),
    [spec for spec in tf1 if id(spec) not in gone],
    [spec for spec in tf2 if id(spec) not in gone],
  )


def _renamed(rename, name: str):
  new = rename(name)
  if new is None:
    return None
  if isinstance(new, str):
    return [new.split(':')[0]]
  is_list = isinstance(new, (tuple, list))
  if is_list and new and all(isinstance(n, str) for n in new):
    return [n.split(':')[0] for n in new]
  raise errors.UsageError(
    'rename_variable(%r) returned %r; expected a name, a tuple of names, or '
    'None for a variable that was dropped on purpose.' % (name, new)
  )


def _pair(table, first, second, converted_shape) -> None:
  table.pairs.append((first, second))
  shape = tuple(converted_shape(first, second))
  if shape != tuple(second.shape):
    table.shapes.append((first, shape, second))
  elif first.dtype != second.dtype:
    table.dtypes.append((first, second))
  if first.trainable != second.trainable:
    table.trainable.append((first, second))


def _likely_renames(table: VariableTable) -> list[tuple[str, str]]:
  """Pairs missing with extra variables of the same shape by similar names."""
  found, free = [], list(table.extra)
  for first, wanted in table.missing:
    fits = [
      spec
      for spec in free
      if spec.shape == first.shape and spec.dtype == first.dtype
    ]
    if not fits:
      continue
    best = max(fits, key=lambda spec: _similarity(wanted, spec.name))
    if len(fits) == 1 or _similarity(wanted, best.name) > 0.5:
      found.append((first.name, best.name))
      free.remove(best)
  return found


def _similarity(a: str, b: str) -> float:
  return difflib.SequenceMatcher(None, a, b).ratio()
