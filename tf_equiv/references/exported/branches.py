"""Takes the branches of TF1's conditionals whose condition is known.

`tf.cond(is_training, ...)` in TF1 makes Switch and Merge ops, behind which
single values cannot be fetched. Once `is_training` is fed with a constant, the
graph is rewritten to what it then computes, so that random draws, moving
statistics and all values inside can be seen.
"""

import dataclasses
from collections.abc import Callable, Iterable

import tensorflow as tf

from tf_equiv.references.exported import nodes as nodes_lib

_NOWHERE = ''
_SWITCHES = ('Switch', 'RefSwitch')
_MERGES = ('Merge', 'RefMerge')
_NEXT = ('NextIteration', 'RefNextIteration')
_HANDING_ON = ('Identity', 'PlaceholderWithDefault', 'StopGradient')
_LOGICAL: dict[str, Callable[..., bool]] = {
  'LogicalNot': lambda a: not a,
  'LogicalAnd': lambda a, b: a and b,
  'LogicalOr': lambda a, b: a or b,
}


@dataclasses.dataclass
class Taken:
  """What became of the tensors and nodes of a graph.

  Attributes:
    moved: tensor in the place of one that is gone.
    nodes: node in the place of one that is gone, for those who wait for it.
    dead: nodes of branches that are not taken.
  """

  moved: dict[str, str] = dataclasses.field(default_factory=dict)
  nodes: dict[str, str] = dataclasses.field(default_factory=dict)
  dead: set[str] = dataclasses.field(default_factory=set)

  def now(self, ref: str) -> str:
    """Returns what a tensor or control input became, '' if it is dead."""
    if ref.startswith('^'):
      name = ref[1:]
      while name in self.nodes:
        name = self.nodes[name]
      return _NOWHERE if name in self.dead else '^' + name
    while ref in self.moved:
      ref = self.moved[ref]
    return _NOWHERE if nodes_lib.node_of(ref) in self.dead else ref


def take(nodes: nodes_lib.Nodes, fed: Iterable[str] = ()) -> Taken:
  """Rewrites the conditionals whose condition is a constant.

  Args:
    nodes: the graph; it is changed.
    fed: tensors whose values are not those that the graph gives them.

  Returns:
    What became of its tensors.
  """
  taker = _Taker(nodes, fed)
  for node in nodes.in_order():
    taker.visit(node)
  taker.finish()
  return taker.taken


class _Taker:
  def __init__(self, nodes, fed):
    self._nodes, self._fed = nodes, set(fed)
    self._values: dict[str, bool] = {}
    self._read = {ref for node in nodes for ref in node.input}
    self.taken = Taken()

  def visit(self, node) -> None:
    now = [self.taken.now(ref) for ref in node.input]
    data = [
      ref for ref, old in zip(now, node.input, strict=True) if old[0] != '^'
    ]
    if node.op in _MERGES:
      self._visit_merge(node, data)
    elif not all(now):
      self._drop(node)
    elif node.op in _SWITCHES and data[1] in self._values:
      chosen = int(self._values[data[1]])
      self.taken.moved[f'{node.name}:{chosen}'] = data[0]
      dead = f'{node.name}/tf_equiv_not_taken'
      self.taken.dead.add(dead)
      self.taken.moved[f'{node.name}:{1 - chosen}'] = dead + ':0'
      self.taken.nodes[node.name] = nodes_lib.node_of(data[0])
      del self._nodes.by_name[node.name]
    else:
      self._evaluate(node, data)

  def _visit_merge(self, node, data) -> None:
    live = [ref for ref in data if ref]
    loop = any(
      nodes_lib.node_of(ref) in self._nodes
      and self._nodes[nodes_lib.node_of(ref)].op in _NEXT
      for ref in live
    )
    if not live or (loop and not data[0]):
      self._drop(node)
    elif len(live) == 1 and len(data) > 1 and not loop:
      self.taken.moved[node.name + ':0'] = live[0]
      self.taken.nodes[node.name] = nodes_lib.node_of(live[0])
      if live[0] in self._values:
        self._values[node.name + ':0'] = self._values[live[0]]
      del self._nodes.by_name[node.name]
      if node.name + ':1' in self._read:
        self.taken.moved[node.name + ':1'] = self._nodes.add(
          'Const',
          node.name + '/tf_equiv_index',
          dtype=tf.int32,
          value=tf.make_tensor_proto(data.index(live[0]), tf.int32),
        )

  def _evaluate(self, node, data) -> None:
    first, value = node.name + ':0', None
    if first in self._fed:
      return
    given = [self._values.get(ref) for ref in data]
    if node.op == 'Const':
      if node.attr['dtype'].type == tf.bool.as_datatype_enum:
        array = nodes_lib.constant(node)
        value = bool(array) if array.shape == () else None
    elif node.op in _HANDING_ON and given:
      value = given[0]
    elif node.op in _LOGICAL and None not in given:
      value = _LOGICAL[node.op](*given)
    if value is not None:
      self._values[first] = value

  def _drop(self, node) -> None:
    self.taken.dead.add(node.name)
    self._nodes.by_name.pop(node.name, None)

  def finish(self) -> None:
    """Lets the nodes that are left read what there is."""
    changed = True
    while changed:  # A loop in a dead branch reads itself.
      changed = False
      for node in list(self._nodes):
        now = [self.taken.now(ref) for ref in node.input]
        if node.op in _MERGES:
          changed = changed or not any(now)
          if not any(now):
            self._drop(node)
        elif not all(now):
          self._drop(node)
          changed = True
    for node in self._nodes:
      now = [self.taken.now(ref) for ref in node.input]
      data = [ref for ref in now if ref[:1] != '^']
      waits = [ref for ref in now if ref[:1] == '^']
      node.input[:] = data + list(dict.fromkeys(waits))
