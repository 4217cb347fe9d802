"""Other batch sizes, image sizes and lengths of the same inputs."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from tf_equiv.compare.dormant import Change, Changed
from tf_equiv.core import nest

# The second and last axis, if shorter, is of channels, or pairs of something.
_LEAST = 3
_MAX_GROUPS = 4


@dataclasses.dataclass(frozen=True)
class Sized:
  """Inputs of another size.

  Attributes:
    inputs: the nest.
    change: what is other.
  """

  inputs: Any
  change: Change


def others(inputs: Any) -> Iterator[Sized]:
  """Yields the inputs with other batch sizes, then with other sizes.

  Args:
    inputs: nest of arrays.
  """
  leaves = [np.asarray(leaf) for _, leaf in nest.flatten(inputs)]
  counts = Counter(leaf.shape[0] for leaf in leaves if leaf.ndim)
  if not counts:
    return
  (batch, _) = counts.most_common(1)[0]
  for size in dict.fromkeys((1, batch + 1)):
    if size != batch:
      yield Sized(_resized(inputs, 0, batch, size), Change(Changed.BATCH, size))
  groups: dict[tuple[int, int], None] = {}
  for leaf in leaves:
    # The last axis of what has several is that of the channels.
    last = leaf.ndim if leaf.ndim == 2 else leaf.ndim - 1
    for axis in range(1, last):
      if leaf.shape[axis] >= (_LEAST if leaf.ndim == 2 else 1):
        groups[axis, leaf.shape[axis]] = None
  for axis, size in list(groups)[:_MAX_GROUPS]:
    yield Sized(
      _resized(inputs, axis, size, size + 1),
      Change(Changed.SIZE, (size, size + 1), str(axis)),
    )


def _resized(inputs: Any, axis: int, old: int, new: int) -> Any:
  """Returns inputs of which one axis has another size.

  Args:
    inputs: nest of arrays.
    axis: which axis.
    old: its size; arrays where it has another are left alone.
    new: its new size; rows are repeated in another order.
  """
  generator = np.random.default_rng(20260303)

  def resized(unused_path: str, leaf: np.ndarray) -> np.ndarray:
    leaf = np.asarray(leaf)
    if leaf.ndim <= axis or leaf.shape[axis] != old:
      return leaf
    if new <= old:
      return np.take(leaf, range(new), axis)
    more = np.take(leaf, [0] * (new - old), axis)
    if leaf.dtype.kind == 'f' and not np.all((leaf == 0) | (leaf == 1)):
      spread = float(np.std(leaf)) or 1.0
      more = more + spread * generator.normal(size=more.shape)
    return np.concatenate([leaf, more.astype(leaf.dtype)], axis)

  return nest.map_leaves(resized, inputs)
