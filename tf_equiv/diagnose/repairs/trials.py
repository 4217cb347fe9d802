"""Tries which change of the TF2 side makes a place agree with TF1.

A trial runs the ops from the last agreement up to the place alone, with what
they read in TF2, and one thing as it is in TF1. What was tried is a repair if
the place then computes what it computes in TF1.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.compare import difference, repairs
from tf_equiv.compare.repairs import Change, ChangeKind
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import op_diff
from tf_equiv.diagnose.repairs import excerpts

v1 = tf.compat.v1

# So many trials are made at a place, and so many numbers are tried.
_MAX_TRIALS = 32
_MAX_NUMBERS = 5
# So many ops are put in or left out.
_MAX_OPS = 16
# So few numbers may agree by chance.
_FEW = 4


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
class _Trial:
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


def find(region: Region, ops: bool = True) -> repairs.Repair | None:
  """Returns the smallest change that makes a place agree.

  Args:
    region: the ops around it.
    ops: whether other ops are tried, too, after other attributes, constants
      and orders of operands.

  Returns:
    The repair, None if nothing that was tried makes it agree.
  """
  tried = itertools.islice(_trials(region), _MAX_TRIALS)
  for trial in itertools.chain(tried, _of_types(region) if ops else ()):
    gap = _gap(region, trial)
    if gap <= region.tolerance:
      return repairs.Repair(trial.changes, gap)
  return None


@dataclasses.dataclass(frozen=True)
class Part:
  """A repair after which an op before the place agrees.

  Attributes:
    repair: the repair.
    tf1: name of the op in TF1.
    tf2: name of the op in TF2.
  """

  repair: repairs.Repair
  tf1: str
  tf2: str


def find_part(region: Region, wanted: dict[str, np.ndarray]) -> Part | None:
  """Returns a change with which ops agree that are not yet the place.

  Args:
    region: the ops around the place.
    wanted: what the ops of TF1 before it compute, by name.

  Returns:
    The repair with which the last of them agrees, None if there is none.
  """
  wanted = {name: x for name, x in wanted.items() if x.size >= _FEW}
  nodes = [n for n in region.tf2.nodes if len(n.outputs) == 1]
  known = _values(region, nodes, _Trial(()))
  for trial in itertools.islice(_of_parts(region), _MAX_TRIALS):
    found = _values(region, nodes, trial)
    for name, value in reversed(wanted.items()):
      for node in reversed(nodes):
        if node.name not in found or node.name not in known:
          continue
        gap = distance(value, found[node.name])
        before = distance(value, known[node.name])
        if gap <= region.tolerance < before:
          return Part(repairs.Repair(trial.changes, gap), name, node.name)
  return None


def _of_parts(region: Region) -> Iterator[_Trial]:
  yield from _of_op(region)
  yield from _of_numbers(region)
  yield from _several_numbers(region)


def _values(
  region: Region, nodes: Sequence[graph_lib.Node], trial: _Trial
) -> dict[str, np.ndarray]:
  """Returns what ops of TF2 compute with a change."""
  side = region.tf2
  try:
    found = excerpts.run(
      trial.graph_def or side.graph_def,
      {**side.feeds, **trial.feeds},
      [node.name + ':0' for node in nodes],
    )
  except (tf.errors.OpError, ValueError, TypeError):
    return {}
  return {name.partition(':')[0]: value for name, value in found.items()}


def distance(first: np.ndarray, second: np.ndarray) -> float:
  """Returns the root mean square of a difference over the largest value."""
  first, second = np.asarray(first), np.asarray(second)
  if first.shape != second.shape:
    return float('inf')
  if not first.size:
    return 0.0
  first, second = first.astype(np.float64), second.astype(np.float64)
  gap = np.where(first == second, 0.0, first - second)
  scale = max(np.max(np.abs(first)), np.max(np.abs(second))) or 1.0
  found = float(np.sqrt(np.mean(np.square(gap / scale))))
  return found if np.isfinite(found) else float('inf')


def _gap(region: Region, trial: _Trial) -> float:
  """Returns how far the place is from TF1 with a change."""
  side = region.tf1 if trial.is_of_tf1 else region.tf2
  feeds = {**side.feeds, **trial.feeds}
  definition = trial.graph_def or side.graph_def
  try:
    found = excerpts.run(definition, feeds, [side.tensor])[side.tensor]
  except (tf.errors.OpError, ValueError, TypeError):  # It does not fit.
    return float('inf')
  return distance(region.wanted, found)


def _trials(region: Region) -> Iterator[_Trial]:
  """Yields what to try, the smallest and most usual changes first."""
  single = list(_of_op(region))
  yield from single
  if len(single) > 1:
    yield from filter(None, [_together(region, single)])
  yield from _orders(region)
  numbers = list(_of_numbers(region))
  yield from numbers
  yield from _several_numbers(region)


def _of_op(region: Region) -> Iterator[_Trial]:
  """Yields each attribute and constant in which the two ops differ."""
  for first, second in _same_ops(region):
    for key in op_diff.telling_attributes(first, second):
      changed = v1.GraphDef()
      changed.CopyFrom(region.tf2.graph_def)
      _set_attribute(region, changed, (first.name, second.name), key)
      yield _Trial(
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
      yield _Trial(
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


def _together(region: Region, trials: Sequence[_Trial]) -> _Trial:
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
  return _Trial(tuple(made), changed, feeds)


def _orders(region: Region) -> Iterator[_Trial]:
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
  yield _Trial(
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
      if isinstance(value, float) and op_diff.is_telling(key):
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


def _of_numbers(region: Region) -> Iterator[_Trial]:
  """Yields each number that TF2 alone has, replaced by one of TF1."""
  lone, wanted = _lone_numbers(region)
  for number in lone:
    for value in wanted:
      yield _with_number(region, [(number, value)])


def _several_numbers(region: Region) -> Iterator[_Trial]:
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
) -> _Trial:
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
  return _Trial(tuple(made), changed, feeds)


def _of_types(region: Region) -> Iterator[_Trial]:
  """Yields the ops of TF1 in place of those of TF2, if these are few."""
  if max(len(region.tf1.nodes), len(region.tf2.nodes)) > _MAX_OPS:
    return
  feeds = {}
  for name, operand in region.tf1.sources.items():
    if operand.kind == graph_lib.CONSTANT:
      continue
    others = [theirs for theirs, mine in region.pairs.items() if mine == name]
    if not others:
      return  # TF2 does not read it here.
    feeds[name] = region.tf2.feeds[others[0]]
  first, second = region.ends()
  types = [
    [
      n.op_type
      for n in side.nodes
      if n is not end
      or first.family != end.family
      or second.family != end.family
    ]
    for side, end in ((region.tf1, first), (region.tf2, second))
  ]
  names = [n.name for n in region.tf2.nodes]
  yield _Trial(
    (
      Change(
        ChangeKind.OP,
        names[0] if types[1] else second.name,
        '',
        tuple(types[0]),
        tuple(types[1]),
      ),
    ),
    None,
    feeds,
    is_of_tf1=True,
  )


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
  return first.shape == second.shape and np.array_equal(first, second)
