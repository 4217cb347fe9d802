"""How the outputs of both sides are brought into the same form."""

from collections.abc import Mapping
from typing import Any

# Shape (None where even the rank is not known) and dtype by path.
Outputs = Mapping[str, tuple[tuple[int | None, ...] | None, str]]
_NAME = 'outputs'


def describe(leaves: Any) -> Outputs:
  """Returns shape and dtype of tensors or arrays, by path.

  Args:
    leaves: (path, tensor) of each.
  """
  return {
    path: (
      _sizes(leaf.shape),
      getattr(leaf.dtype, 'name', None) or str(leaf.dtype),
    )
    for path, leaf in leaves
  }


def _sizes(shape: Any) -> tuple[int | None, ...] | None:
  if getattr(shape, 'rank', 0) is None:
    return None
  return tuple(shape)


def align(first: Outputs, second: Outputs, fixed: bool) -> tuple[str, str]:
  """Returns what to take of the outputs of each side, as code.

  Args:
    first: the outputs of TF1.
    second: those of TF2.
    fixed: whether those of TF1 must stay as they are.

  Returns:
    (code for TF1, code for TF2), in which `outputs` are the outputs; '' where
    they are taken as they are.
  """
  if set(first) == set(second):
    return '', ''
  if fixed:
    return '', _as(first, second)
  if set(second) == {''}:
    return _one(first, second['']), ''
  if set(first) == {''}:
    return '', _one(second, first[''])
  common = [
    path for path in first if path in second and _fit(first, second, path)
  ]
  if common and all(_is_key(path) for path in common):
    keys = ', '.join(f'{path[1:-1]}: {_NAME}{path}' for path in common)
    picked = '{%s}' % keys
    return (
      '' if len(common) == len(first) else picked,
      '' if len(common) == len(second) else picked,
    )
  if common:
    return f'{_NAME}{common[0]}', f'{_NAME}{common[0]}'
  for path, what in first.items():
    found = _one(second, what)
    if found:
      return f'{_NAME}{path}', found
  return '', ''


def _is_key(path: str) -> bool:
  """Returns whether a path is one key of a dict: "['logits']"."""
  return path.startswith("['") and path.count('[') == 1


def _fit(first: Outputs, second: Outputs, path: str) -> bool:
  return _same(first[path], second[path])


def _same(first: Any, second: Any) -> bool:
  if first[1] != second[1]:
    return False
  if first[0] is None or second[0] is None:
    return True
  return len(first[0]) == len(second[0]) and all(
    a is None or b is None or a == b
    for a, b in zip(first[0], second[0], strict=True)
  )


def _one(outputs: Outputs, wanted: Any) -> str:
  """Returns the first output that looks as wanted, as code."""
  for path, what in outputs.items():
    if path and _same(what, wanted):
      return _NAME + path
  return ''


def _as(first: Outputs, second: Outputs) -> str:
  """Returns the outputs of TF2 in the form of those of TF1, as code."""
  if not all(_is_key(path) for path in first):
    if set(first) == {''}:
      return _one(second, first[''])
    return ''
  entries, left = [], dict(second)
  for path, what in first.items():
    same = next((p for p, other in left.items() if _same(what, other)), None)
    if path in left:
      same = path
    if same is None:
      return ''
    del left[same]
    entries.append(f'{path[1:-1]}: {_NAME}{same}')
  return '{%s}' % ', '.join(entries)
