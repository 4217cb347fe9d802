"""`rename_variable` and `convert_variable` as code."""

import re
from collections.abc import Sequence
from typing import Any

from tf_equiv.compare import rename_rules, renames


def ignored(tf1: Sequence[Any], tf2: Sequence[Any]) -> tuple[str, ...]:
  """Returns patterns of variables that are no part of the comparison.

  These are counters that TF1 alone has: whole numbers that are not trained.

  Args:
    tf1: descriptions of the variables of TF1.
    tf2: those of TF2.
  """
  names = {each.name for each in tf2}
  return tuple(
    f'^{re.escape(each.name)}$'
    for each in tf1
    if each.name not in names and _is_counter(each)
  )


def _is_counter(variable: Any) -> bool:
  return (
    not tuple(variable.shape)
    and not variable.trainable
    and variable.dtype in ('int32', 'int64')
  )


def suggest(
  tf1: Sequence[Any], tf2: Sequence[Any]
) -> renames.RenameSuggestion | None:
  """Returns what the variables are called in TF2, None if they keep names.

  Args:
    tf1: descriptions of the variables of TF1, without those that are ignored.
    tf2: those of TF2.
  """
  if {each.name for each in tf1} == {each.name for each in tf2}:
    return None
  return renames.suggest(tf1, tf2)


def rename_lines(
  suggestion: renames.RenameSuggestion, every: Sequence[str]
) -> list[str]:
  """Returns the body of `rename_variable`.

  Args:
    suggestion: the names.
    every: the names of all variables of TF1.
  """
  lines = rename_rules.lines(suggestion, every) or suggestion.lines()
  return [line.removeprefix('  ') for line in lines[1:]]


def convert_lines(
  suggestion: renames.RenameSuggestion, tf1: Sequence[Any], tf2: Sequence[Any]
) -> list[str]:
  """Returns the body of `convert_variable`; [] where shapes are the same."""
  shapes = {each.name: tuple(each.shape) for each in tf2}
  entries = [
    f'  {each.name!r}: {shapes[suggestion.names[each.name]]!r},'
    for each in tf1
    if each.name in suggestion.names
    and shapes[suggestion.names[each.name]] != tuple(each.shape)
  ]
  if not entries:
    return []
  return [
    '# Sizes of one come and go.',
    'shapes = {',
    *entries,
    '}',
    'return value.reshape(shapes.get(tf1_name, value.shape))',
  ]
