"""Ops that are to be left out, put in, or replaced by those of TF1."""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tf_equiv.compare.repairs import Change, ChangeKind
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import op_diff
from tf_equiv.diagnose.repairs import candidates, excerpts

v1 = tf.compat.v1

# What is closer than this may be the same.
_NEAR = 1e-5
# So many ops are left out, or put in.
_MAX_OPS = 16


def of_ends(region: candidates.Region) -> Iterator[candidates.Trial]:
  """Yields the ops of TF2 without the last ones, or with those of TF1 as well.

  Args:
    region: the ops around a place.
  """
  if max(len(region.tf1.nodes), len(region.tf2.nodes)) > _MAX_OPS:
    return
  values = _values(region.tf2)
  yield from _left_out(region, values)
  own = values.get(region.tf2.tensor)
  if own is not None:
    yield from _put_in(region, own)


def of_types(region: candidates.Region) -> Iterator[candidates.Trial]:
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
  if not any(types):  # One op on both sides, that does something else.
    types = [[first.op_type], [second.op_type]]
  # The op itself is kept, with the attributes and constants of TF1.
  own = [
    change
    for trial in (
      candidates.of_op(region) if first.op_type == second.op_type else ()
    )
    for change in trial.changes
    if change.op == second.name
  ]
  yield candidates.Trial(
    (
      Change(
        ChangeKind.OP,
        names[0] if types[1] else second.name,
        '',
        tuple(types[0]),
        tuple(types[1]),
      ),
      *own,
    ),
    None,
    feeds,
    is_of_tf1=True,
  )


def of_lone_ops(region: candidates.Region) -> Iterator[candidates.Trial]:
  """Yields the ops that TF1 has before the place, before the op of TF2."""
  first, second = region.ends()
  if first.op_type != second.op_type:
    return
  theirs = next(n for n in region.tf2.graph_def.node if n.name == second.name)
  for trial in of_types(region):
    changed = v1.GraphDef()
    changed.CopyFrom(region.tf1.graph_def)
    mine = next(n for n in changed.node if n.name == first.name)
    for key in op_diff.telling_attributes(first, second):
      mine.attr[key].CopyFrom(theirs.attr[key])
    feeds = dict(trial.feeds)
    for i, operand in enumerate(first.operands[: len(second.operands)]):
      other = region.tf2.feed_of(second.name, i)
      if operand.kind == graph_lib.CONSTANT and other is not None:
        feeds[region.tf1.operands[first.name, i]] = other
    yield candidates.Trial(trial.changes[:1], changed, feeds, is_of_tf1=True)


def _values(side: excerpts.Excerpt) -> dict[str, np.ndarray]:
  """Returns what the ops of a side read and compute, by name of the tensor."""
  names = [f'{n.name}:0' for n in side.nodes if len(n.outputs) == 1]
  try:
    found = excerpts.run(side.graph_def, side.feeds, names)
  except (tf.errors.OpError, ValueError, TypeError):
    return {}
  read = {
    f'{name}:0': value
    for name, value in side.feeds.items()
    if side.sources[name].kind != graph_lib.CONSTANT
  }
  return {**read, **found}


def _near(first: np.ndarray, second: np.ndarray) -> bool:
  if first.shape != second.shape or first.dtype.kind != second.dtype.kind:
    return False
  if first.dtype.kind != 'f':
    return bool(np.array_equal(first, second))
  scale = np.max(np.abs(first), initial=0.0)
  gap = np.max(np.abs(first - second), initial=0.0)
  return bool(gap <= _NEAR * scale)


def _left_out(
  region: candidates.Region, values: Mapping[str, np.ndarray]
) -> Iterator[candidates.Trial]:
  """Yields what TF2 has computed already before its last ops."""
  side = region.tf2
  for tensor, value in values.items():
    if tensor == side.tensor or not _near(region.wanted, value):
      continue
    start = tensor.partition(':')[0]
    rest = _behind(side, start)
    changed = v1.GraphDef()
    changed.CopyFrom(side.graph_def)
    (node,) = (n for n in changed.node if n.name == side.target)
    dtype = _dtype_of(side, start)
    node.Clear()
    node.name, node.op = side.target, 'Identity'
    node.input.append(start)
    node.attr['T'].type = dtype.as_datatype_enum
    types = tuple(n.op_type for n in rest)
    yield candidates.Trial(
      (Change(ChangeKind.OP, side.target, '', (), types),), changed
    )


def _dtype_of(side: excerpts.Excerpt, name: str) -> tf.DType:
  for node in side.nodes:
    if node.name == name:
      return tf.as_dtype(node.dtype)
  (node,) = (n for n in side.graph_def.node if n.name == name)
  return tf.as_dtype(node.attr['dtype'].type)


def _behind(side: excerpts.Excerpt, start: str) -> list[graph_lib.Node]:
  """Returns the ops that are computed from an op, or from what is read."""
  reached, found = {start}, []
  for node in side.nodes:
    read = [
      side.operands.get((node.name, i), operand.key)
      for i, operand in enumerate(node.operands)
    ]
    if reached.intersection(read):
      reached.add(node.name)
      found.append(node)
  return found


def _put_in(
  region: candidates.Region, own: np.ndarray
) -> Iterator[candidates.Trial]:
  """Yields the last ops of TF1, on what TF2 computes at its end."""
  side = region.tf1
  known = {mine: theirs for theirs, mine in region.pairs.items()}
  feeds, starts = {}, []
  for name, operand in side.sources.items():
    if operand.kind == graph_lib.CONSTANT:
      continue
    if name in known:
      feeds[name] = region.tf2.feeds[known[name]]
    elif _near(side.feeds[name], own):
      feeds[name] = own
      starts.append(name)
    else:
      return
  if not starts:
    return
  types = tuple(
    dict.fromkeys(n for start in starts for n in _names(side, start))
  )
  by_name = {node.name: node.op_type for node in side.nodes}
  yield candidates.Trial(
    (
      Change(
        ChangeKind.OP_AFTER,
        region.tf2.target,
        '',
        tuple(by_name[name] for name in types),
      ),
    ),
    None,
    feeds,
    is_of_tf1=True,
  )


def _names(side: excerpts.Excerpt, start: str) -> list[str]:
  return [node.name for node in _behind(side, start)]
