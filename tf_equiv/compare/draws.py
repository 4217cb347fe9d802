"""Compares the ledgers of random draws of the two sides."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_equiv.core.draw import Draw


@dataclasses.dataclass(frozen=True)
class LedgerDifference:
  """How the order of random draws differs.

  Attributes:
    moved: (TF1 draw, TF2 draw) that are the same draw at another place.
    replaced: (TF1 draw, TF2 draw) that initialize the same variable with
      another op or shape.
    only_tf1: draws that TF2 does not make.
    only_tf2: draws that TF1 does not make.
    tf1_count: number of draws of TF1.
    tf2_count: number of draws of TF2.
    repeated: whether all that differs is that TF2 makes draws again that TF1
      makes, too.
    initializers_first: whether the moved draws are those of the forward
      pass, and TF2 makes them after all its initializers.
  """

  moved: list[tuple[Draw, Draw]]
  replaced: list[tuple[Draw, Draw]]
  only_tf1: list[Draw]
  only_tf2: list[Draw]
  tf1_count: int
  tf2_count: int
  initializers_first: bool
  repeated: bool = False

  @property
  def changes_order(self) -> bool:
    """Whether other draws than the replaced ones get other numbers."""
    return bool(self.moved or self.only_tf1 or self.only_tf2)

  @property
  def changes_draws(self) -> bool:
    """Whether a side makes draws that the other one does not."""
    return bool(self.replaced or self.only_tf1 or self.only_tf2)

  def first(self) -> int | None:
    """Position of the first draw at which the ledgers part."""
    places = [min(a.index, b.index) for a, b in self.moved + self.replaced]
    places += [d.index for d in self.only_tf1 + self.only_tf2]
    return min(places) if places else None


def relevant_draws(
  tf1: Sequence[Draw],
  tf2: Sequence[Draw],
  tf1_names_of: Mapping[str, Sequence[str]],
  initial: bool,
) -> tuple[list[Draw], list[Draw]]:
  """Returns the draws of both sides that matter, with the names of TF1.

  Args:
    tf1: draws of the reference in program order.
    tf2: draws of the candidate in program order.
    tf1_names_of: names of the TF1 variables by that of the TF2 variable.
    initial: whether initial values are used; if not, the draws of the
      initializers are left out, and the others counted anew.

  Returns:
    The draws of TF1 and of TF2.
  """
  if initial:
    return list(tf1), [
      dataclasses.replace(
        d, variable=tf1_names_of.get(d.variable, (d.variable,))[0]
      )
      for d in tf2
    ]
  return _without_initial(tf1), _without_initial(tf2)


def _without_initial(draws: Sequence[Draw]) -> list[Draw]:
  """Leaves out the draws of initializers, and counts the others anew."""
  return [
    dataclasses.replace(draw, index=i)
    for i, draw in enumerate(d for d in draws if not d.variable)
  ]


def compare_ledgers(
  tf1: Sequence[Draw], tf2: Sequence[Draw]
) -> LedgerDifference | None:
  """Compares two ledgers.

  Draws correspond if op, shape and initialized variable are the same.

  Args:
    tf1: draws of the reference in program order.
    tf2: draws of the candidate in program order.

  Returns:
    The difference, or None if the sequences are the same.
  """
  if [d.key for d in tf1] == [d.key for d in tf2]:
    return None
  gone, come = _rearranged(tf1, tf2) or _unmatched(tf1, tf2)
  moved = _take_pairs(gone, come, lambda draw: draw.key)
  replaced = _take_pairs(gone, come, lambda draw: draw.variable or None)
  return LedgerDifference(
    moved=moved,
    replaced=replaced,
    only_tf1=gone,
    only_tf2=come,
    tf1_count=len(tf1),
    tf2_count=len(tf2),
    initializers_first=_initializers_first(tf1, tf2),
    repeated=bool(come)
    and not (gone or moved or replaced)
    and {d.key for d in come} <= {d.key for d in tf1},
  )


def _take_pairs(
  gone: list[Draw], come: list[Draw], key: Callable[[Draw], Any]
) -> list[tuple[Draw, Draw]]:
  """Removes and returns pairs of draws with equal keys that are not None."""
  pairs = []
  for draw in list(gone):
    for other in come:
      if key(draw) is not None and key(draw) == key(other):
        pairs.append((draw, other))
        gone.remove(draw)
        come.remove(other)
        break
  return pairs


def _unmatched(
  tf1: Sequence[Draw], tf2: Sequence[Draw]
) -> tuple[list[Draw], list[Draw]]:
  """Returns the draws that a longest common subsequence leaves over."""
  matcher = difflib.SequenceMatcher(
    None, [d.key for d in tf1], [d.key for d in tf2], autojunk=False
  )
  gone: list[Draw] = []
  come: list[Draw] = []
  for tag, i1, i2, j1, j2 in matcher.get_opcodes():
    if tag != 'equal':
      gone.extend(tf1[i1:i2])
      come.extend(tf2[j1:j2])
  return gone, come


def _rearranged(
  tf1: Sequence[Draw], tf2: Sequence[Draw]
) -> tuple[list[Draw], list[Draw]] | None:
  """Returns the draws of the forward pass that only changed their place.

  If both the initializers and the other draws are the same sequences, what
  happened is that the two are interleaved in another way, and the draws of
  the forward pass are the ones to name. Otherwise returns None.
  """
  initial1, initial2 = ([d.key for d in t if d.variable] for t in (tf1, tf2))
  others1, others2 = ([d for d in t if not d.variable] for t in (tf1, tf2))
  same_others = [d.key for d in others1] == [d.key for d in others2]
  if initial1 != initial2 or not same_others:
    return None
  gone: list[Draw] = []
  come: list[Draw] = []
  for a, b in zip(others1, others2, strict=True):
    if a.index != b.index:
      gone.append(a)
      come.append(b)
  return gone, come


def _initializers_first(tf1: Sequence[Draw], tf2: Sequence[Draw]) -> bool:
  def sorted_by_purpose(draws: Sequence[Draw]) -> bool:
    kinds = [bool(d.variable) for d in draws]
    return kinds == sorted(kinds, reverse=True)

  both = any(d.variable for d in tf2) and any(not d.variable for d in tf2)
  return both and sorted_by_purpose(tf2) and not sorted_by_purpose(tf1)
