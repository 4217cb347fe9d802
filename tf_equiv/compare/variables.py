"""Matches the variables of the two sides by name."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import renames as renames_lib
from tf_equiv.core import arguments, errors
from tf_equiv.core.observation import VariableSpec

# TF1 name -> TF2 name, names, or None.
Rename = Callable[[str], object]
# Further names that a pattern of `ignored_variables` may match: of variables
# that are left out anyway. Functions return the names of those that other
# assertions have, and are only asked where a pattern matches nothing else.
Others = Sequence[str | Callable[[], Sequence[str]]]
_GLOBAL_STEP = re.compile(r'(?:^|/)global_step(?:_\d+)?$')
# TF1 name, TF1 value, TF2 name -> the value's part in the TF2 variable.
Convert = Callable[[str, np.ndarray, str], np.ndarray]


@dataclasses.dataclass
class VariableTable:
  """How the variables of the two sides correspond.

  Attributes:
    pairs: (TF1 variable, TF2 variable), a TF1 variable once for each TF2
      variable that it became, and a TF2 variable once for each TF1 variable
      that went into it.
    missing: (TF1 variable, TF2 name that it should have).
    extra: TF2 variables that no TF1 variable became.
    duplicates: names that several TF2 variables have.
    shapes: (TF1 variable, its shape after convert_variable, TF2 variable).
    dtypes: pairs with another dtype.
    trainable: pairs with another trainable flag.
    suggestion: what the missing variables may have become.
    untracked: TF2 variables that the model created but does not list.
  """

  pairs: list[tuple[VariableSpec, VariableSpec]]
  missing: list[tuple[VariableSpec, str]]
  extra: list[VariableSpec]
  duplicates: list[str]
  shapes: list[tuple[VariableSpec, tuple[int | None, ...], VariableSpec]]
  dtypes: list[tuple[VariableSpec, VariableSpec]]
  trainable: list[tuple[VariableSpec, VariableSpec]]
  untracked: list[VariableSpec]
  suggestion: renames_lib.RenameSuggestion = renames_lib.RenameSuggestion({})

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
    rows: list[tuple[Any, ...]] = [*self.shapes, *self.dtypes, *self.trainable]
    odd = {second.name for *_, second in rows}
    return sum(second.name not in odd for _, second in self.pairs)

  def tf1_names_of(self) -> dict[str, tuple[str, ...]]:
    """TF1 names for each TF2 name."""
    found: dict[str, tuple[str, ...]] = {}
    for first, second in self.pairs:
      found[second.name] = (*found.get(second.name, ()), first.name)
    return found


def match_variables(
  tf1: Sequence[VariableSpec],
  tf2: Sequence[VariableSpec],
  rename: Rename = str,
  convert: Convert | None = None,
  ignored: Sequence[str] = (),
  untracked: Sequence[VariableSpec] = (),
  others: Others = (),
) -> VariableTable:
  """Matches variables by name.

  Args:
    tf1: variables of the reference.
    tf2: variables of the candidate.
    rename: TF2 name of a TF1 variable, a tuple or list of names where one
      became several, None where it was dropped on purpose.
    convert: `convert_variable`; needed where several TF1 variables become one.
    ignored: regular expressions (`re.search`) of names on either side that
      are left out.
    untracked: variables that the TF2 model created but does not list.
    others: further names that a pattern of `ignored` may match.

  Returns:
    The table. A global step that only one side has is no variable of a model,
    and is left out.

  Raises:
    UsageError: if a pattern of `ignored` is invalid or matches nothing, or
      `rename` returns something else, or gives two TF1 variables one name
      without `convert` giving each a part of its own.
  """
  tf1, tf2 = _leave_out(ignored, tf1, tf2, others)
  by_name: dict[str, list[VariableSpec]] = {}
  for spec in tf2:
    by_name.setdefault(spec.name, []).append(spec)
  table = VariableTable(
    pairs=[],
    missing=[],
    extra=[],
    duplicates=sorted(n for n, specs in by_name.items() if len(specs) > 1),
    shapes=[],
    dtypes=[],
    trainable=[],
    untracked=list(untracked),
  )
  claimed: dict[str, list[VariableSpec]] = {}
  for first in tf1:
    names = _renamed(rename, first.name)
    if names is None:
      continue
    for name in names:
      claimed.setdefault(name, []).append(first)
      if name in by_name:
        _pair(table, first, by_name[name][0], convert)
      elif not is_global_step(first):
        table.missing.append((first, name))
  for name, sources in claimed.items():
    if len(sources) > 1:
      _check_parts(name, sources, by_name.get(name), convert)
  # What a layer keeps besides its weights need not correspond to anything.
  table.extra = [
    spec
    for spec in tf2
    if spec.tracked and spec.name not in claimed and not is_global_step(spec)
  ]
  table.suggestion = renames_lib.propose(
    [first for first, _ in table.missing], table.extra
  )
  return table


def is_global_step(spec: VariableSpec) -> bool:
  """Returns whether a variable counts training steps, by its name and type."""
  return is_counter(spec) and bool(_GLOBAL_STEP.search(spec.name))


def is_counter(spec: VariableSpec) -> bool:
  """Returns whether a variable can count: a whole number, not trained."""
  return (
    not spec.trainable
    and tuple(spec.shape) == ()
    and spec.dtype in ('int32', 'int64')
  )


def _check_parts(
  name: str,
  sources: Sequence[VariableSpec],
  targets: Sequence[VariableSpec] | None,
  convert: Convert | None,
) -> None:
  """Raises unless the TF1 variables fill different parts of the TF2 one."""
  taken = zeros_of(targets[0], bool) if targets else np.zeros((), bool)
  for source in sources:
    part = None
    if convert is not None and targets:
      ones = zeros_of(source, np.float32) + 1
      part = convert(source.name, ones, name) - convert(
        source.name, 0 * ones, name
      )
    if part is None or part.shape != taken.shape or np.any(taken & (part != 0)):
      raise errors.UsageError(
        'rename_variable gives %s the TF2 name %r. Where several TF1 variables '
        'become one, convert_variable must return for each an array of the '
        'shape of the TF2 variable%s, with the values in their place and zeros '
        'where the others go.'
        % (
          ' and '.join(repr(spec.name) for spec in sources),
          name,
          f' {list(targets[0].shape)}' if targets else '',
        )
      )
    taken = taken | (part != 0)


def compile_ignored(patterns: Sequence[str]) -> list[re.Pattern[str]]:
  """Returns the patterns of `ignored_variables` as regular expressions.

  Raises:
    UsageError: for a single string, for something else than several, and for
      what is no regular expression.
  """
  if isinstance(patterns, str):
    raise errors.UsageError(
      f'ignored_variables is the string {patterns!r}; expected a tuple of '
      f'regular expressions: ({patterns!r},).'
    )
  if not isinstance(patterns, (tuple, list, set, frozenset)):
    raise arguments.wrong(
      'ignored_variables', 'a tuple of regular expressions', patterns
    )
  expressions = []
  for pattern in patterns:
    try:
      expressions.append(re.compile(pattern))
    except (re.error, TypeError) as error:
      raise errors.UsageError(
        f'ignored_variables holds {pattern!r}, which is no regular '
        f'expression: {error}'
      ) from error
  return expressions


def _leave_out(
  patterns: Sequence[str],
  tf1: Sequence[VariableSpec],
  tf2: Sequence[VariableSpec],
  others: Others,
) -> tuple[list[VariableSpec], list[VariableSpec]]:
  """Returns the variables that no pattern matches, of TF1 and of TF2."""
  gone: set[int] = set()
  for expression in compile_ignored(patterns):
    hits = [s for s in (*tf1, *tf2) if expression.search(s.name)]
    if not hits and not any(
      expression.search(name)
      for names in others
      for name in (names() if callable(names) else (names,))
    ):
      close = difflib.get_close_matches(
        expression.pattern, {s.name for s in (*tf1, *tf2)}, n=3, cutoff=0.5
      )
      raise errors.UsageError(
        'The pattern %r of ignored_variables matches no variable of either '
        'side; it may be outdated or mistyped.%s'
        % (
          expression.pattern,
          f' Similar names: {", ".join(close)}.' if close else '',
        )
      )
    gone.update(map(id, hits))
  return (
    [spec for spec in tf1 if id(spec) not in gone],
    [spec for spec in tf2 if id(spec) not in gone],
  )


def _renamed(rename: Rename, name: str) -> list[str] | None:
  new: Any = rename(name)
  if new is None:
    return None
  if isinstance(new, str):
    return [new.split(':')[0]]
  is_list = isinstance(new, (tuple, list))
  if is_list and new and all(isinstance(n, str) for n in new):
    return [n.split(':')[0] for n in new]
  raise errors.UsageError(
    f'rename_variable({name!r}) returned {new!r}; expected a name, a tuple of '
    'names, or None for a variable that was dropped on purpose.'
  )


def _pair(
  table: VariableTable,
  first: VariableSpec,
  second: VariableSpec,
  convert: Convert | None,
) -> None:
  table.pairs.append((first, second))
  shape: tuple[int | None, ...] = tuple(first.shape)
  if convert is not None:
    # Zeros stand in for the value: only the shape is asked for.
    zeros = zeros_of(first, _array_dtype(first.dtype))
    shape = tuple(np.shape(convert(first.name, zeros, second.name)))
  if shape != tuple(second.shape):
    table.shapes.append((first, shape, second))
  elif first.dtype != second.dtype:
    table.dtypes.append((first, second))
  if first.trainable != second.trainable:
    table.trainable.append((first, second))


def zeros_of(spec: VariableSpec, dtype: Any) -> np.ndarray:
  """Returns zeros in the shape of a variable."""
  return np.zeros(tuple(size or 0 for size in spec.shape), dtype)


def _array_dtype(name: str) -> Any:
  """Returns the dtype of arrays that hold values of a TensorFlow dtype."""
  try:
    return np.dtype(name)
  except TypeError:  # A string or a resource.
    return np.dtype(object)
