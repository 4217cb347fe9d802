"""Rules that say in one line what variables are called in TF2."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from tf_equiv.compare import renames

# More names than these are no rule.
_MAX_REPLACEMENTS = 2
# Longer code is written in several lines.
_MAX_CODE = 66
_MARGIN = '  '
# A rule as code, and as a function.
_Named = tuple[str, Callable[[str], str]]


@dataclasses.dataclass(frozen=True)
class Rule:
  """What is done to a name.

  Attributes:
    code: the expression of the new name, in which `tf1_name` is the old one.
    names: the new names by the old ones.
  """

  code: str
  names: Mapping[str, str]


def fit(names: Mapping[str, str], others: Sequence[str] = ()) -> Rule | None:
  """Returns a rule that gives all names, and leaves all others alone.

  Args:
    names: new names by old ones, two at least.
    others: names that are to stay as they are.

  Returns:
    The rule, None if none fits.
  """
  if len(names) < 2:
    return None
  wanted = {**{name: name for name in others}, **names}
  for code, function in _rules(wanted):
    if all(function(old) == new for old, new in wanted.items()):
      return Rule(code, dict(names))
  return None


def _rules(names: Mapping[str, str]) -> Iterator[_Named]:
  """Yields (code, function) of rules that may fit."""
  yield from _prefixes(names)
  yield from _cases()
  replacements = _replacements(names)
  if replacements:
    yield _replacing(replacements)


def _prefixes(names: Mapping[str, str]) -> Iterator[_Named]:
  """Yields rules about the beginning of names, 'net/' for 'native/'."""
  changed = {old: new for old, new in names.items() if old != new}
  pairs = {_without_common_end(old, new) for old, new in changed.items()}
  if len(pairs) == 1:
    ((old, new),) = pairs
    if old and new:
      yield (
        f'tf1_name.replace({old!r}, {new!r}, 1)',
        lambda name: name.replace(old, new, 1),
      )
    elif old:
      yield (
        f'tf1_name.removeprefix({old!r})',
        lambda name: name.removeprefix(old),
      )
    elif new:
      yield f'{new!r} + tf1_name', lambda name: new + name


def _without_common_end(old: str, new: str) -> tuple[str, str]:
  """Returns the different beginnings of two names, whole parts of them."""
  first, second = old.split('/'), new.split('/')
  while first and second and first[-1] == second[-1]:
    first.pop()
    second.pop()
  return (
    ''.join(f'{part}/' for part in first),
    ''.join(f'{part}/' for part in second),
  )


def _cases() -> Iterator[_Named]:
  """Yields rules about capitals."""

  def snake(name: str) -> str:
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()

  yield 'tf1_name.lower()', str.lower
  yield (
    "re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', tf1_name).lower()",
    snake,
  )


def _replacements(names: Mapping[str, str]) -> list[tuple[str, str]]:
  """Returns the parts of names that have others in TF2, [] if it varies.

  A part is what is between slashes, or the whole beginning of names.
  """
  found: dict[str, str] = {}
  ends: dict[str, str] = {}
  starts: set[tuple[str, str]] = set()
  for old, new in names.items():
    first, second = old.split('/'), new.split('/')
    while first and second and first[-1] == second[-1]:
      first.pop()
      second.pop()
    if first and second and len(first) == len(old.split('/')):
      # The last part is another.
      if ends.setdefault('/' + first[-1], '/' + second[-1]) != '/' + second[-1]:
        return []
      first.pop()
      second.pop()
    while first and second and first[-1] == second[-1]:
      first.pop()
      second.pop()
    common = os.path.commonprefix([first, second])
    first, second = first[len(common) :], second[len(common) :]
    if len(first) == len(second):
      for a, b in zip(first, second, strict=True):
        if found.setdefault(a, b) != b:
          return []
    elif not common:
      starts.add(
        (''.join(f'{x}/' for x in first), ''.join(f'{x}/' for x in second))
      )
    else:
      return []
  parts = [*starts, *((f'{a}/', f'{b}/') for a, b in found.items() if a != b)]
  parts += [pair for pair in ends.items() if pair[0] != pair[1]]
  return parts if 0 < len(parts) <= _MAX_REPLACEMENTS else []


def _replacing(pairs: Sequence[tuple[str, str]]) -> _Named:
  """Returns the rule that replaces parts one after another."""

  def function(name: str) -> str:
    for old, new in pairs:
      name = name.replace(old, new, 1) if old else new + name
    return name

  code = 'tf1_name'
  for old, new in pairs:
    if old:
      code += f'.replace({old!r}, {new!r}, 1)'
    else:
      code = f'({new!r} + {code})'
  return code, function


def lines(
  suggestion: renames.RenameSuggestion, every: Sequence[str] = ()
) -> list[str] | None:
  """Returns `rename_variable` as lines where a rule fits, else None.

  Args:
    suggestion: the names.
    every: the names of all variables of TF1; those that the suggestion does
      not have are to stay as they are.
  """
  names = suggestion.names
  rest = [
    name
    for name in every
    if name not in names and name not in suggestion.unmatched
  ]
  rule = fit(names, rest)
  if rule is None:
    return None
  found = ['def rename_variable(self, tf1_name):']
  if rule.code.startswith('re.'):
    found.append(_MARGIN + 'import re')
  if suggestion.unsure:
    found.append(
      f'{_MARGIN}# By order only: {len(suggestion.unsure)} of {len(names)}.'
    )
  if len(rule.code) <= _MAX_CODE or ').replace(' not in rule.code:
    return [*found, f'{_MARGIN}return {rule.code}']
  first, *others = rule.code.split(').replace(')
  parts = [first, *(f'.replace({each}' for each in others)]
  parts = [*(f'{part})' for part in parts[:-1]), parts[-1]]
  return [
    *found,
    f'{_MARGIN}return (',
    *(f'{_MARGIN * 2}{part}' for part in parts),
    f'{_MARGIN})',
  ]
