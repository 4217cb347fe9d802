"""The nodes of an exported graph, to be rewritten before they are imported.

A tensor is written 'name:0' here, while a `NodeDef` writes it 'name'.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tf_equiv import compat

v1 = tf.compat.v1

# They say on which device an op runs, and what TensorFlow inferred of it when
# it was exported, which other versions infer otherwise.
_STALE_ATTRIBUTES = ('_class', '_output_shapes')
_LOOP_EDGE = 'NextIteration'
# Loops and conditionals put them before ops that there are already.
_ADDED_LATER = (_LOOP_EDGE, 'Switch', 'RefSwitch', 'Enter', 'RefEnter')
# Part of the names of nodes that were not in the export.
ADDED = '/tf_equiv_'
VARIABLE_OPS = ('VarHandleOp', 'VariableV2', 'Variable')


def full(ref: str) -> str:
  """Returns 'name:0' for 'name'; control inputs stay as they are."""
  return ref if ':' in ref or ref.startswith('^') else ref + ':0'


def node_of(ref: str) -> str:
  """Returns the name of the node of a tensor or control input."""
  return ref.lstrip('^').split(':')[0]


class Nodes:
  """The nodes of a graph by name, in the order of the graph.

  Attributes:
    by_name: the nodes.
    functions: names of the functions of the graph's library.
  """

  def __init__(self, graph_def: Any):
    """Copies the nodes, so that the export is not changed."""
    self._graph_def = graph_def
    self.functions = {f.signature.name: f for f in graph_def.library.function}
    self.by_name: dict[str, Any] = {}
    for node in graph_def.node:
      copied = v1.NodeDef()
      copied.CopyFrom(node)
      _refresh(copied)
      copied.input[:] = [full(ref) for ref in copied.input]
      self.by_name[copied.name] = copied

  def __contains__(self, name: str) -> bool:
    return name in self.by_name

  def __iter__(self):
    return iter(self.by_name.values())

  def __getitem__(self, name: str) -> Any:
    return self.by_name[name]

  def add(self, op_type: str, name: str, *inputs: str, **attrs: Any) -> str:
    """Adds a node; returns its first output."""
    node = v1.NodeDef(name=name, op=op_type, input=inputs)
    for key, value in attrs.items():
      if isinstance(value, tf.DType):
        node.attr[key].type = value.as_datatype_enum
      elif isinstance(value, tf.TensorShape):
        node.attr[key].shape.CopyFrom(value.as_proto())
      elif isinstance(value, bool):
        node.attr[key].b = value
      elif isinstance(value, str):
        node.attr[key].s = value.encode()
      else:
        node.attr[key].tensor.CopyFrom(value)
    self.by_name[name] = node
    return name + ':0'

  def graph_def(self) -> Any:
    """Returns the graph."""
    result = v1.GraphDef(
      versions=self._graph_def.versions, library=self._graph_def.library
    )
    for function in result.library.function:
      for node in function.node_def:
        _refresh(node)
    result.node.extend(self.by_name.values())
    return result

  def replace(self, tensors: Mapping[str, str]) -> None:
    """Lets all nodes read other tensors, 'name:0' by 'name:0'.

    Nothing waits any more for the nodes whose tensors are replaced.
    """
    gone = {'^' + node_of(ref) for ref in tensors}
    for node in self:
      if any(ref in tensors or ref in gone for ref in node.input):
        node.input[:] = [
          tensors.get(ref, ref) for ref in node.input if ref not in gone
        ]

  def forget_waits(self, tensors: Iterable[str]) -> None:
    """Lets no node wait for the nodes of tensors that are fed."""
    gone = {'^' + node_of(ref) for ref in tensors}
    for node in self:
      if any(ref in gone for ref in node.input):
        node.input[:] = [ref for ref in node.input if ref not in gone]

  def ancestors(
    self, refs: Iterable[str], cut: Iterable[str] = ()
  ) -> dict[str, Any]:
    """Returns the nodes that tensors or ops depend on, by name.

    Args:
      refs: tensors 'name:0' or ops '^name'.
      cut: tensors that are fed, behind which nothing is looked at.
    """
    cut, found, pending = set(cut), {}, list(refs)
    while pending:
      ref = pending.pop()
      name = node_of(ref)
      if ref in cut or name in found or name not in self.by_name:
        continue
      found[name] = self.by_name[name]
      pending.extend(found[name].input)
    return found

  def consumers(self) -> dict[str, list[Any]]:
    """Returns the nodes that read each node, by its name."""
    found: dict[str, list[Any]] = {}
    for node in self:
      for name in {node_of(ref) for ref in node.input}:
        found.setdefault(name, []).append(node)
    return found

  def in_order(self) -> list[Any]:
    """Returns the nodes so that each comes after those it reads."""
    done, found = set(), []
    for start in self:
      pending = [(start, False)]
      while pending:
        node, seen = pending.pop()
        if seen:
          found.append(node)
        elif node.name not in done:
          done.add(node.name)
          pending.append((node, True))
          if node.op != _LOOP_EDGE:
            names = [node_of(ref) for ref in node.input]
            pending.extend((self[n], False) for n in names if n in self)
    return found

  def is_in_order(self) -> bool:
    """Returns whether nodes come after those they read, as TF1 made them."""
    seen = set()
    for node in self:
      seen.add(node.name)
      for ref in node.input:
        name = node_of(ref)
        if ref.startswith('^'):
          continue  # It may have been added later.
        later = name not in seen and name in self
        if later and self[name].op not in _ADDED_LATER:
          return False
    return True

  def called(self, node: Any) -> list[Any]:
    """Returns the nodes of all functions that a node calls."""
    found, seen, pending = [], set(), [node]
    while pending:
      each = pending.pop()
      for name in _called_by(each) & set(self.functions) - seen:
        seen.add(name)
        inside = list(self.functions[name].node_def)
        found += inside
        pending += inside
    return found


def _called_by(node) -> set[str]:
  names = {node.op}
  for attr in node.attr.values():
    if attr.WhichOneof('value') == 'func':
      names.add(attr.func.name)
    names.update(func.name for func in attr.list.func)
  return names


def _refresh(node) -> None:
  node.device = ''
  for key in _STALE_ATTRIBUTES:
    if key in node.attr:
      del node.attr[key]


def constant(node: Any) -> Any:
  """Returns the value of a Const node as an array."""
  return tf.make_ndarray(node.attr['value'].tensor)


def is_known(op_type: str) -> bool:
  """Returns whether this TensorFlow has a type of op."""
  return compat.op_definition(op_type) is not None
