"""What may be changed in the TF2 side for a place to agree with TF1."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.compare import difference
from tf_equiv.compare.repairs import Change, ChangeKind
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import op_diff
from tf_equiv.diagnose.repairs import excerpts

v1 = tf.compat.v1

# So many numbers are tried.
_MAX_NUMBERS = 5


@dataclasses.dataclass(frozen=True)
class Region:
  """The ops from the last agreement up to a place, on both sides.

  Attributes:
    tf1: the ops of TF1.
    tf2: the ops of TF2.
    pairs: placeholder of TF1 by that of TF2 that reads what corresponds.
    wanted: what the place computes in TF1.
    tolerance: distance up to which values agree.
  """

  tf1: excerpts.Excerpt
  tf2: excerpts.Excerpt
  pairs: dict[str, str]
  wanted: np.ndarray
  tolerance: float

  def ends(self) -> tuple[graph_lib.Node, graph_lib.Node]:
    """Returns the op of the place on both sides."""
    return tuple(
      next(node for node in side.nodes if node.name == side.target)
      for side in (self.tf1, self.tf2)
    )


@dataclasses.dataclass
class Trial:
  """A change that is tried.

  Attributes:
    changes: the changes.
    graph_def: the changed ops; None for those of TF2.
    feeds: what they read; those of TF2 where it is not here.
    is_of_tf1: whether the ops of TF1 run, with what TF2 reads.
  """

  changes: tuple[Change, ...]
  graph_def: v1.GraphDef | None = None
  feeds: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  is_of_tf1: bool = False


def of_region(region: Region) -> Iterator[Trial]:
  """Yields what to try, the smallest and most usual changes first."""
  single = list(of_op(region))
  yield from single
  if len(single) > 1:
    yield from filter(None, [_together(region, single)])
  yield from _orders(region)
  numbers = list(_of_numbers(region))
  yield from numbers
  yield from _several_numbers(region)


def of_parts(region: Region) -> Iterator[Trial]:
  """Yields the changes that may mend one of several faults."""
  yield from of_op(region)
  yield from _of_numbers(region)
  yield from _several_numbers(region)


def of_op(region: Region) -> Iterator[Trial]:
  """Yields each attribute and constant in which the two ops differ."""
  for first, second in _same_ops(region):
    for key in op_diff.telling_attributes(first, second):
      changed = v1.GraphDef()
      changed.CopyFrom(region.tf2.graph_def)
      _set_attribute(region, changed, (first.name, second.name), key)
      yield Trial(
        (
          Change(
            ChangeKind.ATTRIBUTE,
            second.name,
            key,
            difference.plain(first.attributes[key]),
            difference.plain(second.attributes[key]),
          ),
        ),
        changed,
      )
    mine, theirs = (
      [i for i, o in enumerate(n.operands) if o.kind == graph_lib.CONSTANT]
      for n in (first, second)
    )
    for i, j in zip(mine, theirs, strict=False):
      value = region.tf1.feed_of(first.name, i)
      other = region.tf2.feed_of(second.name, j)
      if value is None or other is None or _equal(value, other):
        continue
      yield Trial(
        (
          Change(
            ChangeKind.CONSTANT,
            second.name,
            '',
            difference.plain(value),
            difference.plain(other),
            j,
          ),
        ),
        None,
        {region.tf2.operands[second.name, j]: value.astype(other.dtype)},
      )


def _same_ops(
  region: Region,
) -> list[tuple[graph_lib.Node, graph_lib.Node]]:
  """Returns the ops of the place, and pairs of ops before it by their type."""
  first, second = region.ends()
  found = [(first, second)] if first.family == second.family else []
  for each in region.tf1.nodes:
    others = [
      n for n in region.tf2.nodes if n.family == each.family and n is not second
    ]
    alike = [n for n in region.tf1.nodes if n.family == each.family]
    if each is not first and len(others) == 1 and len(alike) == 1:
      found.append((each, others[0]))
  return found


def _set_attribute(
  region: Region,
  changed: v1.GraphDef,
  names: tuple[str, str],
  key: str,
) -> None:
  mine = next(n for n in region.tf1.graph_def.node if n.name == names[0])
  theirs = next(n for n in changed.node if n.name == names[1])
  theirs.attr[key].CopyFrom(mine.attr[key])


def _together(region: Region, trials: Sequence[Trial]) -> Trial:
  """Returns several changes as one."""
  changed = v1.GraphDef()
  changed.CopyFrom(region.tf2.graph_def)
  made: list[Change] = []
  feeds: dict[str, np.ndarray] = {}
  for trial in trials:
    made += trial.changes
    feeds.update(trial.feeds)
    for each in trial.changes:
      if each.kind is ChangeKind.ATTRIBUTE:
        (theirs,) = (n for n in trial.graph_def.node if n.name == each.op)
        (mine,) = (n for n in changed.node if n.name == each.op)
        mine.attr[each.subject].CopyFrom(theirs.attr[each.subject])
  return Trial(tuple(made), changed, feeds)


def _orders(region: Region) -> Iterator[Trial]:
  """Yields the operands in the order of TF1."""
  first, second = region.ends()
  if first.family != second.family:
    return
  if len(first.operands) != len(second.operands):
    return
  inverse = {theirs: mine for theirs, mine in region.pairs.items()}
  mine = [region.tf1.operands.get((first.name, i)) for i in _range(first)]
  theirs = [region.tf2.operands.get((second.name, i)) for i in _range(second)]
  order = []
  for i, name in enumerate(mine):
    if first.operands[i].kind == graph_lib.CONSTANT:
      order.append(i)
      continue
    free = [
      j
      for j, other in enumerate(theirs)
      if j not in order and inverse.get(other) == name and name is not None
    ]
    if not free:
      return
    order.append(free[0])
  if order == sorted(order) or len(set(order)) != len(order):
    return
  changed = v1.GraphDef()
  changed.CopyFrom(region.tf2.graph_def)
  (node,) = (n for n in changed.node if n.name == second.name)
  inputs = list(node.input)
  del node.input[:]
  node.input.extend(inputs[j] for j in order)
  yield Trial(
    (
      Change(
        ChangeKind.OPERAND_ORDER,
        second.name,
        '',
        tuple(order),
        tuple(range(len(order))),
      ),
    ),
    changed,
  )


def _range(node: graph_lib.Node) -> range:
  return range(len(node.operands))


@dataclasses.dataclass(frozen=True)
class _Number:
  """A number that an op of TF2 computes with.

  Attributes:
    value: the number.
    op: name of the op.
    attribute: name of the attribute that it is, '' for an operand.
    operand: number of the operand.
    feed: name of the placeholder that it is.
  """

  value: float
  op: str
  attribute: str = ''
  operand: int | None = None
  feed: str = ''


def _numbers_of(side: excerpts.Excerpt) -> list[_Number]:
  """Returns the numbers that the ops of a side compute with."""
  found = []
  for node in side.nodes:
    for key, value in node.attributes.items():
      # How statistics are averaged tells where these are the result.
      is_telling = op_diff.is_telling(key) or bool(side.output)
      if isinstance(value, float) and is_telling:
        found.append(_Number(value, node.name, key))
    for i, operand in enumerate(node.operands):
      value = side.feed_of(node.name, i)
      if operand.kind != graph_lib.CONSTANT or value is None:
        continue
      if value.size == 1 and value.dtype.kind == 'f':
        found.append(
          _Number(
            difference.plain(value.reshape(-1)[0]),
            node.name,
            '',
            i,
            side.operands[node.name, i],
          )
        )
  return found


def _lone_numbers(region: Region) -> tuple[list[_Number], list[float]]:
  """Returns the numbers of TF2 that TF1 has not, and the other way round."""
  mine, theirs = _numbers_of(region.tf1), _numbers_of(region.tf2)
  texts = [{f'{x.value:.7g}' for x in side} for side in (mine, theirs)]
  lone = [x for x in theirs if f'{x.value:.7g}' not in texts[0]]
  wanted = dict.fromkeys(
    x.value for x in mine if f'{x.value:.7g}' not in texts[1]
  )
  return lone[: 2 * _MAX_NUMBERS], list(wanted)[:_MAX_NUMBERS]


def _of_numbers(region: Region) -> Iterator[Trial]:
  """Yields each number that TF2 alone has, replaced by one of TF1."""
  lone, wanted = _lone_numbers(region)
  for number in lone:
    for value in wanted:
      yield _with_number(region, [(number, value)])


def _several_numbers(region: Region) -> Iterator[Trial]:
  """Yields all numbers of TF2 with one value replaced by one of TF1."""
  lone, wanted = _lone_numbers(region)
  by_value: dict[str, list[_Number]] = {}
  for number in lone:
    by_value.setdefault(f'{number.value:.7g}', []).append(number)
  for numbers in by_value.values():
    if len(numbers) > 1:
      for value in wanted:
        yield _with_number(region, [(x, value) for x in numbers])
  if len(by_value) == len(wanted) == 2:
    groups = list(by_value.values())
    for values in itertools.permutations(wanted):
      yield _with_number(
        region,
        [
          (x, value)
          for group, value in zip(groups, values, strict=True)
          for x in group
        ],
      )


def _with_number(
  region: Region, replaced: Sequence[tuple[_Number, float]]
) -> Trial:
  changed = v1.GraphDef()
  changed.CopyFrom(region.tf2.graph_def)
  made, feeds = [], {}
  for number, value in replaced:
    if number.attribute:
      (node,) = (n for n in changed.node if n.name == number.op)
      node.attr[number.attribute].f = value
      kind = ChangeKind.ATTRIBUTE
    else:
      old = region.tf2.feeds[number.feed]
      # As exact as float32 gives it to the program.
      exact = np.float32(value) if old.dtype.itemsize > 2 else value
      feeds[number.feed] = np.full(old.shape, exact, old.dtype)
      kind = ChangeKind.CONSTANT
    made.append(
      Change(
        kind,
        number.op,
        number.attribute,
        value,
        number.value,
        number.operand,
      )
    )
  return Trial(tuple(made), changed, feeds)


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
  return first.shape == second.shape and np.array_equal(first, second)
