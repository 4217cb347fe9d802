"""Walks over a graph, from what is computed to what it is computed from."""

from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
Before = Callable[[Item], Iterable[Item]]
Key = Callable[[Item], Hashable]


def _itself(item: Item) -> Item:
  return item


def ancestors(
  start: Iterable[Item],
  before: Before,
  key: Key = _itself,
  stop: Container[Hashable] = (),
) -> Iterator[Item]:
  """Yields items and all that they are computed from, each once.

  Args:
    start: the first items; they are yielded, too.
    before: returns what an item is computed from.
    key: returns what identifies an item.
    stop: keys of items that are neither yielded nor passed.
  """
  pending, seen = list(start), set()
  while pending:
    item = pending.pop()
    name = key(item)
    if name not in seen and name not in stop:
      seen.add(name)
      yield item
      pending.extend(before(item))


def in_order(
  start: Iterable[Item], before: Before, key: Key = _itself
) -> Iterator[Item]:
  """Yields items and what they are computed from, which comes first.

  Args:
    start: the last items.
    before: returns what an item is computed from; there are no cycles.
    key: returns what identifies an item.
  """
  done = set()
  for first in start:
    pending = [first]
    while pending:
      item = pending[-1]
      missing = [x for x in before(item) if key(x) not in done]
      if missing:
        pending.extend(missing)
        continue
      pending.pop()
      if key(item) not in done:
        done.add(key(item))
        yield item
