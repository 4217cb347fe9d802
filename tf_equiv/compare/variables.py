"""Matches the variables of the two sides by name."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Sequence

import numpy as np

from tf_equiv.compare import renames as renames_lib
from tf_equiv.core import errors
from tf_equiv.core.observation import (
  MOVING_AVERAGE,
  StepObservation,
  VariableSpec,
)

# TF1 name -> TF2 name, names, or None.
Rename = Callable[[str], object]
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
    dropped: TF1 variables for which rename_variable returned None.
    ignored: variables that `ignored_variables` leaves out.
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
  dropped: list[VariableSpec]
  ignored: list[VariableSpec]
  duplicates: list[str]
  shapes: list[tuple[VariableSpec, tuple, VariableSpec]]
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
    rows = (*self.shapes, *self.dtypes, *self.trainable)
    odd = {row[-1].name for row in rows}
    return sum(second.name not in odd for _, second in self.pairs)

  def tf1_names_of(self) -> dict[str, tuple[str, ...]]:
    """TF1 names for each TF2 name."""
    found = {}
    for first, second in self.pairs:
      found[second.name] = (*found.get(second.name, ()), first.name)
    return found


def carried(
  table: VariableTable, convert: Convert, by_name: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Carries values of TF1 variables into the names and layouts of TF2.

  Where several TF1 variables became one, `convert` gives each an array of the
  size of the whole with zeros where the others go, and these are added up.

  Args:
    table: how the variables correspond.
    convert: `convert_variable`.
    by_name: values by TF1 name.

  Returns:
    Values by TF2 name, of those whose TF1 variables are all given.
  """
  found = {}
  for name, sources in table.tf1_names_of().items():
    if all(source in by_name for source in sources):
      parts = [convert(source, by_name[source], name) for source in sources]
      found[name] = parts[0] if len(parts) == 1 else sum(parts)
  return found


def carried_linearly(
  table: VariableTable, convert: Convert, by_name: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Carries gradients: of an affine conversion only the linear part counts."""
  dtypes = {second.name: first.dtype for first, second in table.pairs}
  # In float64, because the offset (a forget bias of one) would swallow the
  # digits of small gradients.
  wide = {name: np.asarray(v, np.float64) for name, v in by_name.items()}
  zeros = {name: np.zeros_like(value) for name, value in wide.items()}
  offsets = carried(table, convert, zeros)
  return {
    name: (value - offsets[name]).astype(dtypes[name])
    for name, value in carried(table, convert, wide).items()
  }


def carried_state(
  table: VariableTable, convert: Convert, step: StepObservation
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
  """Carries what a training step left behind.

  Args:
    table: how the variables correspond.
    convert: `convert_variable`.
    step: what TF1 did.

  Returns:
    Values of the variables by TF2 name, and of the slots by meaning and name.
  """
  slots = {}
  for meaning, by_name in step.slots.items():
    carry = carried if meaning == MOVING_AVERAGE else carried_linearly
    slots[meaning] = carry(table, convert, by_name)
  return carried(table, convert, step.variables), slots


def match_variables(
  tf1: Sequence[VariableSpec],
  tf2: Sequence[VariableSpec],
  rename: Rename = lambda name: name,
  converted_shape: Callable[[VariableSpec, VariableSpec], tuple] = (
    lambda first, second: first.shape
  ),
  ignored: Sequence[str] = (),
  untracked: Sequence[VariableSpec] = (),
  others: Sequence[str] = (),
  convert: Convert | None = None,
  flags: bool = True,
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
    convert: `convert_variable`; needed where several TF1 variables become one.
    others: further names that a pattern of `ignored` may match: of variables
      that are left out anyway.
    flags: whether trainable flags are known on both sides.

  Returns:
    The table.

  Raises:
    UsageError: if a pattern of `ignored` is invalid or matches nothing, or
      `rename` returns something else, or gives two TF1 variables one name
      without `convert` giving each a part of its own.
  """
  left_out, tf1, tf2 = _leave_out(ignored, tf1, tf2, others)
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
    untracked=list(untracked),
  )
  claimed = {}
  for first in tf1:
    names = _renamed(rename, first.name)
    if names is None:
      table.dropped.append(first)
      continue
    for name in names:
      claimed.setdefault(name, []).append(first)
      if name in by_name:
        _pair(table, first, by_name[name][0], converted_shape)
      else:
        table.missing.append((first, name))
  for name, sources in claimed.items():
    if len(sources) > 1:
      _check_parts(name, sources, by_name.get(name), convert)
  if not flags:
    table.trainable = []
  table.extra = [spec for spec in tf2 if spec.name not in claimed]
  table.suggestion = renames_lib.propose(
    [first for first, _ in table.missing], table.extra
  )
  return table


def _check_parts(name, sources, targets, convert) -> None:
  """Raises unless the TF1 variables fill different parts of the TF2 one."""
  taken = np.zeros(targets[0].shape, bool) if targets else None
  for source in sources:
    part = None
    if convert is not None and targets:
      ones = np.ones(source.shape, np.float32)
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
    taken |= part != 0


def compile_ignored(patterns: Sequence[str]) -> list[re.Pattern]:
  """Returns the patterns of `ignored_variables` as regular expressions.

  Raises:
    UsageError: for a single string, and for what is no regular expression.
  """
  if isinstance(patterns, str):
    raise errors.UsageError(
      f'ignored_variables is the string {patterns!r}; expected a tuple of '
      f'regular expressions: ({patterns!r},).'
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


def _leave_out(patterns, tf1, tf2, others):
  """Returns (left out, rest of tf1, rest of tf2)."""
  left_out = []
  for expression in compile_ignored(patterns):
    hits = [s for s in (*tf1, *tf2) if expression.search(s.name)]
    if not hits and not any(expression.search(name) for name in others):
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
    f'rename_variable({name!r}) returned {new!r}; expected a name, a tuple of '
    'names, or None for a variable that was dropped on purpose.'
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
