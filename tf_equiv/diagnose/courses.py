"""A run of a graph in parts, from within which later runs may go on."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.diagnose import partition

# Bytes of values that are handed on from part to part and kept.
_MAX_KEPT = 512 << 20


class Course:
  """A run in parts, and what each of them is handed on.

  Attributes:
    parts: the parts.
    starts: values that a part is handed on by those before it, by name.
    is_whole: whether they are known for all parts.
  """

  def __init__(self, parts: Sequence[partition.Part], remember: bool):
    self.parts, self.is_whole = parts, remember
    self.starts: list[dict[str, np.ndarray]] = [{} for _ in parts]
    self._part_of = {
      name: i for i, part in enumerate(parts) for name in part.ops
    }

  def part_of(self, tensor: str) -> int:
    """Returns the number of the part that computes a tensor."""
    return self._part_of.get(tensor.split(':')[0], 0)

  def begin(self, i: int, handed_on: Mapping[str, np.ndarray]) -> None:
    """Notes what a part is handed on, while that is not too much."""
    if not self.is_whole:
      return
    self.starts[i] = dict(handed_on)
    arrays = {id(x): x.nbytes for start in self.starts for x in start.values()}
    if sum(arrays.values()) > _MAX_KEPT:
      self.starts, self.is_whole = [{} for _ in self.parts], False
