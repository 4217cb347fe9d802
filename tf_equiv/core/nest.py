"""Nested structures: flattened by path, described, and rebuilt.

A path is written as Python would index it, `outputs[1]['Logits']`. Lists and
tuples count as the same kind of sequence, because wrappers on either side
convert between them; a mapping is not a sequence, and None is a leaf that
must be None on the other side too.
"""

import collections
import dataclasses
import enum
import numbers
from typing import Any, Callable, List, Optional, Tuple

try:
  from collections.abc import Mapping
except ImportError:  # pragma: no cover
  from collections import Mapping

MAPPING = 'mapping'
SEQUENCE = 'sequence'
NONE = 'None'
LEAF = 'leaf'


@dataclasses.dataclass(frozen=True)
class Structure:
  """What a nested structure looks like, without its values.

  Attributes:
    kind: 'mapping', 'sequence', 'None' or 'leaf'.
    keys: keys of a mapping in iteration order, positions of a sequence.
    children: structures of the items, in the order of `keys`.
    ordered: whether the mapping promises an order (`OrderedDict`).
    type_name: name of the Python type, for messages.
  """

  kind: str
  keys: Tuple[Any, ...] = ()
  children: Tuple['Structure', ...] = ()
  ordered: bool = False
  type_name: str = ''


def children_of(value: Any) -> Optional[List[Tuple[Any, Any]]]:
  """Returns (key, item) of a mapping or sequence, None for anything else."""
  if isinstance(value, Mapping):
    return list(value.items())
  if isinstance(value, (list, tuple)):
    return list(enumerate(value))
  return None


def describe(value: Any) -> Structure:
  """Returns the `Structure` of a nested value."""
  type_name = type(value).__name__
  if value is None:
    return Structure(NONE, type_name='None')
  items = children_of(value)
  if items is None:
    return Structure(LEAF, type_name=type_name)
  return Structure(
    MAPPING if isinstance(value, Mapping) else SEQUENCE,
    tuple(key for key, _ in items),
    tuple(describe(item) for _, item in items),
    isinstance(value, collections.OrderedDict),
    type_name,
  )


def flatten(value: Any, path: str = '') -> List[Tuple[str, Any]]:
  """Returns (path, leaf) of every leaf that is not None, in order."""
  if value is None:
    return []
  items = children_of(value)
  if items is None:
    return [(path, value)]
  found = []
  for key, item in items:
    found.extend(flatten(item, path + _index(key)))
  return found


def map_leaves(function: Callable[[str, Any], Any], value: Any, path: str = ''):
  """Returns the same structure with `function(path, leaf)` for each leaf.

  Lists, tuples, named tuples and `OrderedDict` stay what they are; any other
  mapping becomes a dict.
  """
  if value is None:
    return None
  items = children_of(value)
  if items is None:
    return function(path, value)
  mapped = [
    (key, map_leaves(function, item, path + _index(key))) for key, item in items
  ]
  if isinstance(value, Mapping):
    if isinstance(value, collections.OrderedDict):
      return collections.OrderedDict(mapped)
    return dict(mapped)
  values = [item for _, item in mapped]
  if hasattr(value, '_fields'):
    return type(value)(*values)
  return tuple(values) if isinstance(value, tuple) else values


def _index(key: Any) -> str:
  """Writes an index so that equal keys give equal paths."""
  if isinstance(key, enum.Enum):
    key = key.value
  elif isinstance(key, numbers.Integral) and not isinstance(key, bool):
    key = int(key)
  return f'[{key!r}]'
