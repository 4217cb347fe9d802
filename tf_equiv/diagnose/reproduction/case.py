"""The ops of both sides at a place as one thing that can be run and reduced."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.compare import difference, repairs
from tf_equiv.compare.repairs import Change, ChangeKind
from tf_equiv.diagnose import float64
from tf_equiv.diagnose import graph as graph_lib

v1 = tf.compat.v1

# Relative difference from which on values differ, in the dtype of a program.
_TOLERANCES = {tf.float64: 1e-9, tf.float32: 1e-5}
_TOLERANCE = 2e-2
# Values that both sides read are one when they are as close as this.
_SAME = 1e-9
_FEED = 'tf_equiv_x%d'


@dataclasses.dataclass
class Case:
  """Both sides at a place.

  Attributes:
    tf1: the ops of TF1; what they read is placeholders.
    tf2: the ops of TF2.
    repaired: those with the repair, None where no repair is known.
    targets: names of the tensors to compare, of TF1 and TF2.
    feeds: values of the placeholders, by name.
    sources: what the placeholders stand for, by name.
    tolerance: up to which relative difference values agree.
    takes_tf1: whether the repair puts the ops of TF1 into TF2.
  """

  tf1: v1.GraphDef
  tf2: v1.GraphDef
  repaired: v1.GraphDef | None
  targets: tuple[str, str]
  feeds: dict[str, np.ndarray]
  sources: dict[str, repairs.Source]
  tolerance: float
  takes_tf1: bool = False

  @property
  def graphs(self) -> list[v1.GraphDef]:
    """The ops of TF1, TF2, and TF2 with the repair if there is one."""
    made = [self.tf1, self.tf2]
    return made if self.repaired is None else [*made, self.repaired]

  def target_of(self, index: int) -> str:
    """Returns the tensor that is compared, of one of `graphs`."""
    if index == 0 or (index == 2 and self.takes_tf1):
      return self.targets[0]
    return self.targets[1]

  @property
  def size(self) -> int:
    """Number of ops."""
    return sum(len(ops_of(graph)) for graph in (self.tf1, self.tf2))

  def values(self) -> list[np.ndarray]:
    """Returns what each of `graphs` computes."""
    return [
      run(graph, self.feeds, [self.target_of(i)])[0]
      for i, graph in enumerate(self.graphs)
    ]

  def differs(self) -> bool:
    """Returns whether the sides differ, and do not with the repair."""
    try:
      found = self.values()
    except (tf.errors.OpError, ValueError, TypeError):
      return False
    if not distance(found[0], found[1]) > self.tolerance:
      return False
    return all(distance(found[0], x) <= self.tolerance for x in found[2:])


def ops_of(graph_def: v1.GraphDef) -> list[v1.NodeDef]:
  """Returns the ops without the placeholders."""
  return [node for node in graph_def.node if node.op != 'Placeholder']


def of_excerpts(
  excerpts: tuple[repairs.Excerpt, repairs.Excerpt],
  repair: repairs.Repair | None,
) -> Case | None:
  """Returns the case of a place, None if it does not differ by itself.

  The dtypes are those of the program where the difference shows in them, and
  float64 otherwise. A repair with which the sides do not agree is left out.

  Args:
    excerpts: the ops of TF1 and TF2, with what they read.
    repair: what makes them agree, if that is known.
  """
  for changes in (() if repair is None else repair.changes, ()):
    wide = _joined(excerpts, changes, is_double=True)
    if not wide.differs():
      continue
    narrow = _joined(excerpts, changes, is_double=False)
    if distance(*wide.values()[:2]) > narrow.tolerance and narrow.differs():
      return narrow
    return wide
  return None


def _joined(
  excerpts: tuple[repairs.Excerpt, repairs.Excerpt],
  changes: Sequence[Change],
  is_double: bool,
) -> Case:
  """Returns both sides with what both read as one."""
  graphs = [v1.GraphDef.FromString(each.graph_def) for each in excerpts]
  case = Case(
    graphs[0], graphs[1], None, tuple(x.target for x in excerpts), {}, {}, 0.0
  )
  for graph, excerpt in zip(graphs, excerpts, strict=True):
    _name_feeds(case, graph, excerpt)
  if changes:
    _repair(case, changes)
  dtypes = {node.attr['dtype'].type for node in _placeholders(*case.graphs)}
  if is_double:
    rewritten = [float64.rewrite(graph) for graph in case.graphs]
    case.targets = tuple(
      each.tensors.get(name, name)
      for each, name in zip(rewritten, case.targets, strict=False)
    )
    graphs = [each.graph_def for each in rewritten]
    case.tf1, case.tf2 = graphs[:2]
    case.repaired = graphs[2] if graphs[2:] else None
    dtypes.discard(float64.FLOAT)
  case.tolerance = max(
    [
      _TOLERANCES.get(dtype, _TOLERANCE)
      for dtype in map(tf.as_dtype, dtypes)
      if dtype.is_floating
    ],
    default=_TOLERANCES[tf.float64],
  )
  for node in _placeholders(*case.graphs):
    dtype = tf.as_dtype(node.attr['dtype'].type).as_numpy_dtype
    case.feeds[node.name] = np.asarray(case.feeds[node.name]).astype(dtype)
  return case


def _placeholders(*graphs: v1.GraphDef) -> list[v1.NodeDef]:
  return [n for graph in graphs for n in graph.node if n.op == 'Placeholder']


def _name_feeds(
  case: Case, graph: v1.GraphDef, excerpt: repairs.Excerpt
) -> None:
  """Gives the placeholders of a side names that both sides share."""
  others = {
    node.name: node.attr['dtype'].type
    for node in _placeholders(*([case.tf1] if graph is case.tf2 else []))
  }
  names = {}
  for node in _placeholders(graph):
    value = excerpt.feeds[node.name + ':0']
    source = excerpt.sources.get(node.name + ':0', repairs.Source('', ''))
    same = [
      name
      for name, dtype in others.items()
      if dtype == node.attr['dtype'].type
      and case.sources[name].kind == source.kind
      and distance(case.feeds[name], value) <= _SAME
    ]
    names[node.name] = same[0] if same else _FEED % len(case.feeds)
    if not same:
      case.feeds[names[node.name]] = value
      case.sources[names[node.name]] = source
  for node in graph.node:
    node.name = names.get(node.name, node.name)
    for i, name in enumerate(node.input):
      node.input[i] = names.get(name, name)


def _repair(case: Case, changes: Sequence[Change]) -> None:
  """Makes the graph of TF2 with changes, if it can be made."""
  made = v1.GraphDef()
  made.CopyFrom(case.tf2)
  by_name = {node.name: node for node in made.node}
  for change in changes:
    node = by_name.get(change.op)
    if change.kind is ChangeKind.OP:
      read = {node.name for node in _placeholders(case.tf2)}
      if any(
        node.name not in read
        for node in _placeholders(case.tf1)
        if case.sources[node.name].kind != graph_lib.CONSTANT
      ):
        return
      made.CopyFrom(case.tf1)
      case.takes_tf1 = True
    elif node is None:
      return
    elif change.kind is ChangeKind.ATTRIBUTE:
      if not _set_attribute(case, node, change):
        return
    elif change.kind is ChangeKind.OPERAND_ORDER:
      inputs = list(node.input)
      node.input[:] = [inputs[i] for i in change.tf1]
    elif change.kind is ChangeKind.CONSTANT and change.operand is not None:
      old = next(n for n in made.node if n.name == node.input[change.operand])
      new = made.node.add()
      new.CopyFrom(old)
      new.name = _FEED % len(case.feeds)
      node.input[change.operand] = new.name
      value = _constant(case, change, old)
      case.feeds[new.name] = value
      case.sources[new.name] = repairs.Source(
        graph_lib.CONSTANT, 'of the repair'
      )
      new.attr['shape'].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    else:
      return
  case.repaired = made


def _set_attribute(case: Case, node: v1.NodeDef, change: Change) -> bool:
  """Gives an op an attribute as TF1 has it; returns whether it could."""
  for other in case.tf1.node:
    value = graph_lib.attributes_of(other).get(change.subject)
    if other.op == node.op and difference.plain(value) == change.tf1:
      node.attr[change.subject].CopyFrom(other.attr[change.subject])
      return True
  if node.attr[change.subject].WhichOneof('value') != 'f':
    return False
  node.attr[change.subject].f = change.tf1
  return True


def _constant(case: Case, change: Change, old: v1.NodeDef) -> np.ndarray:
  """Returns a constant of TF1, as exact as the program has it."""
  before = np.asarray(case.feeds[old.name])
  for node in _placeholders(case.tf1):
    value = np.asarray(case.feeds[node.name])
    if value.shape == before.shape and difference.plain(value) == change.tf1:
      return value.astype(before.dtype)
  value = np.asarray(change.tf1)
  if old.attr['dtype'].type == float64.FLOAT:
    value = value.astype(np.float32)
  value = value.astype(before.dtype)
  return np.broadcast_to(value, before.shape) if value.size == 1 else value


def run(
  graph_def: v1.GraphDef,
  feeds: Mapping[str, np.ndarray],
  tensors: Sequence[str],
) -> list[np.ndarray]:
  """Returns tensors of a graph in its own dtypes.

  Args:
    graph_def: the graph.
    feeds: values of its placeholders, by name; others are ignored.
    tensors: names of the tensors.
  """
  definition = v1.GraphDef()
  definition.CopyFrom(graph_def)
  used = {}
  for node in _placeholders(definition):
    value = feeds[node.name]
    used[node.name + ':0'] = value
    shape = tf.TensorShape(value.shape)
    node.attr['shape'].shape.CopyFrom(shape.as_proto())
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(definition, name='')
    config = v1.ConfigProto(use_per_session_threads=False)
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with v1.Session(graph=graph, config=config) as session:
      return session.run(list(tensors), used)


def distance(first: np.ndarray, second: np.ndarray) -> float:
  """Returns the largest difference over the largest finite magnitude."""
  first, second = np.asarray(first), np.asarray(second)
  if first.shape != second.shape:
    return float('inf')
  if first.dtype.kind not in 'fiubV' or second.dtype.kind not in 'fiubV':
    return 0.0 if np.array_equal(first, second) else float('inf')
  first, second = first.astype(np.float64), second.astype(np.float64)
  with np.errstate(invalid='ignore'):
    gap = np.abs(first - second)
  same = (first == second) | (np.isnan(first) & np.isnan(second))
  gap = np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))
  finite = [np.abs(x[np.isfinite(x)]) for x in (first, second)]
  scale = max(np.max(x, initial=0.0) for x in finite) or 1.0
  return float(np.max(gap, initial=0.0)) / float(scale)
