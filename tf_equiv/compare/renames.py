"""Proposes which TF2 variable a TF1 variable became, where names differ."""

import dataclasses
import numbers
import re
from collections.abc import Sequence
from typing import Any

from tf_equiv.core import arguments

_SYNONYMS = {
  'weights': 'kernel',
  'weight': 'kernel',
  'w': 'kernel',
  'biases': 'bias',
  'b': 'bias',
  'embeddings': 'embedding',
  'running': 'moving',
  'var': 'variance',
  'batchnorm': 'bn',
  'batchnormalization': 'bn',
  'norm': 'bn',
  'normalization': 'bn',
  'fc': 'dense',
  'logits': 'output',
  'classifier': 'output',
}
_VARIABLES = 'variables with name and shape, or a dict of shapes by name'
_SAME_LAYER = 2.0
_SURE = 0.5


@dataclasses.dataclass(frozen=True)
class RenameSuggestion:
  """A proposal for `rename_variable`; `str()` gives it ready to paste.

  Example:
    >>> print(suggest_renames(
    ...     {'net/fc/weights': (3, 4)}, {'dense/kernel': (3, 4)}))
    def rename_variable(self, tf1_name):
      return {
        'net/fc/weights': 'dense/kernel',
      }.get(tf1_name, tf1_name)

  Attributes:
    names: TF2 name for each TF1 name.
    unsure: TF1 names that had several candidates of their shape which no name
      told apart: there only the order of creation speaks.
    hints: what else the shapes tell, e.g. that a kernel was split.
    unmatched: TF1 names for which nothing was found.
  """

  names: dict[str, str]
  unsure: tuple[str, ...] = ()
  hints: tuple[str, ...] = ()
  unmatched: tuple[str, ...] = ()

  def lines(self) -> list[str]:
    """Returns the method as lines."""
    lines = ['def rename_variable(self, tf1_name):', '  return {']
    for tf1_name, tf2_name in self.names.items():
      mark = '  # by order only' if tf1_name in self.unsure else ''
      lines.append(f'    {tf1_name!r}: {tf2_name!r},{mark}')
    return lines + ['  }.get(tf1_name, tf1_name)']

  def __str__(self) -> str:
    lines = self.lines() if self.names else ['# No variable fits another.']
    lines += ['# No match: %s' % name for name in self.unmatched]
    return '\n'.join(lines + ['# %s' % hint for hint in self.hints])


def suggest(tf1: Any, tf2: Any) -> RenameSuggestion:
  """Proposes a mapping of variables; see `tf_equiv.suggest_renames`."""
  tf1, tf2 = _entries(tf1, 'tf1'), _entries(tf2, 'tf2')
  common = {v.name for v in tf1} & {v.name for v in tf2}
  return propose(
    [v for v in tf1 if v.name not in common],
    [v for v in tf2 if v.name not in common],
  )


@dataclasses.dataclass(frozen=True)
class _Entry:
  name: str
  shape: tuple[int | None, ...]
  dtype: str


def _entries(variables: Any, side: str) -> list[_Entry]:
  if isinstance(variables, dict):
    return [_entry(side, n, s, '') for n, s in variables.items()]
  if isinstance(variables, (str, bytes)) or not hasattr(variables, '__iter__'):
    raise arguments.wrong(side, _VARIABLES, variables)
  found = []
  for variable in variables:
    name = getattr(variable, 'path', None) or getattr(variable, 'name', None)
    dtype = getattr(variable, 'dtype', '')
    shape = getattr(variable, 'shape', None)
    found.append(_entry(side, name, shape, getattr(dtype, 'name', str(dtype))))
  return found


def _entry(side: str, name: Any, shape: Any, dtype: str) -> _Entry:
  try:
    sizes = tuple(shape)
  except (TypeError, ValueError):
    sizes = ('unknown',)
  if (
    not isinstance(name, str)
    or isinstance(shape, str)
    or not all(n is None or isinstance(n, numbers.Integral) for n in sizes)
  ):
    raise arguments.wrong(
      side, _VARIABLES, f'the name {name!r} with the shape {shape!r}'
    )
  return _Entry(name.split(':')[0], sizes, dtype)


# Variables that are not paired yet, by their position.
_Free = list[tuple[int, Any]]


def propose(tf1: Sequence[Any], tf2: Sequence[Any]) -> RenameSuggestion:
  """Pairs variables that have `name`, `shape` and `dtype`."""
  free1, free2 = list(enumerate(tf1)), list(enumerate(tf2))
  found: dict[int, str] = {}
  layers: dict[str, str] = {}
  unsure: set[str] = set()
  squeezed: list[str] = []
  similarities: dict[tuple[str, str], float] = {}
  is_exact = True
  while True:
    scored = _scores(free1, free2, layers, similarities, is_exact)
    if not is_exact:  # Too little speaks for a guess.
      scored = [entry for entry in scored if entry[-1]]
    if not scored:
      if not is_exact:
        break
      is_exact = False
      continue
    scored.sort(key=lambda entry: (entry[0], entry[1], -entry[2]), reverse=True)
    # All that is certain at once; else one guess, after which its neighbours
    # may be certain.
    accepted = [entry for entry in scored if entry[-1]] or scored[:1]
    taken = set()
    for _, _, i, j, sure in accepted:
      if j in taken:
        continue
      taken.add(j)
      found[i] = tf2[j].name
      if tuple(tf1[i].shape) != tuple(tf2[j].shape):
        squeezed.append(_squeezed_hint(tf1[i], tf2[j]))
      if not sure:
        unsure.add(tf1[i].name)
      layers.setdefault(_layer(tf1[i].name), _layer(tf2[j].name))
    free1 = [(k, v) for k, v in free1 if k not in found]
    free2 = [(k, v) for k, v in free2 if k not in taken]
  return RenameSuggestion(
    names={tf1[i].name: found[i] for i in sorted(found)},
    unsure=tuple(sorted(unsure)),
    hints=(
      *squeezed,
      *_hints([v for _, v in free1], [v for _, v in free2]),
    ),
    unmatched=tuple(v.name for _, v in free1),
  )


def _scores(
  free1: _Free,
  free2: _Free,
  layers: dict[str, str],
  similarities: dict[tuple[str, str], float],
  is_exact: bool,
) -> list[tuple[float, int, int, int, bool]]:
  """Scores the best pair of each: (score, minus distance, i, j, is sure).

  Args:
    free1: variables of TF1 that are not paired yet.
    free2: those of TF2.
    layers: TF2 layer by that of TF1, as far as they are known.
    similarities: of names, as far as they are known; more are added.
    is_exact: whether shapes must be the same, and not only but for dimensions
      of size one.
  """
  groups: dict[Any, tuple[list[tuple[int, str]], list[tuple[int, str]]]] = {}
  for side, free in enumerate((free1, free2)):
    for i, variable in free:
      shape = tuple(variable.shape)
      key = shape if is_exact else _squeezed(shape), variable.dtype
      groups.setdefault(key, ([], []))[side].append((i, variable.name))
  scored, taken = [], set(layers.values())
  for first, second in groups.values():
    unique = len(first) == len(second) == 1
    for rank, (i, a) in enumerate(first):
      candidates = []
      for other, (j, b) in enumerate(second):
        if (a, b) not in similarities:
          similarities[a, b] = _similarity(a, b)
        score = similarities[a, b]
        target = layers.get(_layer(a))
        if target is not None:
          score += _SAME_LAYER if target == _layer(b) else -_SAME_LAYER
        elif _layer(b) in taken:
          score -= _SAME_LAYER
        candidates.append((score, -abs(rank - other), j))
      if not candidates:
        continue
      candidates.sort(key=lambda c: (c[0], c[1], -c[2]), reverse=True)
      score, near, j = candidates[0]
      rival = candidates[1][0] if len(candidates) > 1 else -9.0
      sure = unique or (score > rival + 0.05 and score > _SURE)
      # With surplus candidates the order says nothing.
      if sure or len(first) == len(second):
        scored.append((score, near, i, j, sure))
  return scored


def _squeezed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
  return tuple(size for size in shape if size != 1)


def _squeezed_hint(first: Any, second: Any) -> str:
  return (
    f'{first.name} {list(first.shape)} fits {second.name} '
    f'{list(second.shape)} but for dimensions of size one: return '
    f'value.reshape({tuple(second.shape)}) from convert_variable.'
  )


def _similarity(a: str, b: str) -> float:
  """How many words two names have in common, the last counting most."""
  first, second = _words(a), _words(b)
  if not first or not second:
    return 0.0
  common = len(set(first) & set(second))
  score = common / max(len(set(first)), len(set(second)))
  if first[-1] != second[-1]:
    score -= 0.5
  return score


def _words(name: str) -> list[str]:
  words = re.findall(
    r'[a-z]+|\d+', re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower()
  )
  return [_SYNONYMS.get(word, word) for word in words]


def _layer(name: str) -> str:
  return name.rpartition('/')[0]


def _hints(tf1: Sequence[Any], tf2: Sequence[Any]) -> list[str]:
  hints = []
  shapes = [tuple(v.shape) for v in tf2]
  for variable in tf1:
    shape = tuple(variable.shape)
    if len(shape) == 2 and shape[1] % 4 == 0:
      units = shape[1] // 4
      if (shape[0] - units, shape[1]) in shapes and (units, shape[1]) in shapes:
        hints.append(
          f'{variable.name} has the shape of an LSTM cell that was split: use '
          'tf_equiv.converters.LSTM.'
        )
        continue
    if len(shape) > 1 and shape[::-1] != shape and shape[::-1] in shapes:
      name = tf2[shapes.index(shape[::-1])].name
      hints.append(
        f'{variable.name} fits {name} transposed: return value.T from '
        'convert_variable.'
      )
  return hints
