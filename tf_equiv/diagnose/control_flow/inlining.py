"""Changes a captured graph: inlines functions.

The ops of loops, branches and calls are then ops of the graph like others,
which can be fetched and compared.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv.core.source_line import SourceLine
from tf_equiv.diagnose import handles
from tf_equiv.diagnose.control_flow import functions
from tf_equiv.tf1.capture import capture as capture_lib

v1 = tf.compat.v1

# Prefixes of the names of inlined ops.
ITERATION = 'tf_equiv_iteration_%d/'
CONDITION = 'tf_equiv_condition_%d/'
TAKEN = 'tf_equiv_taken/'
_MARK = re.compile(r'tf_equiv_(iteration_|condition_|taken)(\d*)/')


@dataclasses.dataclass
class InlinedCapture(capture_lib.Capture):
  """A capture in which functions are inlined.

  Attributes:
    origin: the capture that it was made from.
    made: for each inlined op, the function that holds it ('' for the graph
      itself), its name there, and the op that calls the function.
  """

  origin: Any = None
  made: dict[str, tuple[str, str, str]] = dataclasses.field(
    default_factory=dict
  )

  def line_of(self, op_name: str) -> SourceLine:
    """Returns the line of user code that made an op, empty if unknown."""
    if op_name not in self.made:
      return self.origin.line_of(op_name)
    function, name, caller = self.made[op_name]
    if not function:
      return self.origin.line_of(name)
    line = self.line_in(function, name)
    if not line.filename and caller in self._names():
      line = self.origin.line_of(caller)
    if line.filename:
      return line
    return capture_lib.layer_line(self.layer_lines, original_name(op_name))

  def line_in(self, function: str, op_name: str) -> SourceLine:
    """Returns the line that made an op of a function."""
    return self.origin.line_in(function, op_name)


def original_name(name: str) -> str:
  """Returns the name that an op had before it was inlined."""
  return _MARK.sub('', name)


def iteration_of(name: str) -> int | None:
  """Returns the iteration that an inlined op belongs to, counted from 1."""
  found = [int(n) for kind, n in _MARK.findall(name) if kind == 'iteration_']
  return found[0] + 1 if found else None


class _Definition:
  """A graph that can only be run."""

  def __init__(self, graph_def: v1.GraphDef, origin: Any):
    self._graph_def = graph_def
    self._origin = origin

  def as_graph_def(self) -> v1.GraphDef:
    return self._graph_def

  def get_collection(self, name: str) -> list[Any]:
    # What limits the runs of the graph that it was made of, limits its own.
    return self._origin.get_collection(name)


def _scoped(name: str, scope: str) -> str:
  """Puts a scope before a name, if the name does not have it."""
  plain = original_name(scope) + '/'
  if not scope or name.startswith(plain):
    name = name[len(plain) :] if scope else name
  return f'{scope}/{name}' if scope else name


class Writer:
  """A copy of a captured graph that is being changed."""

  def __init__(self, captured: capture_lib.Capture):
    self._captured = captured
    self.graph_def = captured.graph.as_graph_def()
    self.functions = functions.library_of(self.graph_def)
    self._nodes = {node.name: node for node in self.graph_def.node}
    self._made: dict[str, tuple[str, str, str]] = {}

  def node(self, name: str) -> v1.NodeDef:
    """Returns a node, which may be changed."""
    return self._nodes[name]

  def inline(
    self,
    function: functions.Function,
    prefix: str,
    scope: str,
    actual: Sequence[str],
    controls: Sequence[str] = (),
  ) -> Callable[[str], str]:
    """Adds the nodes of a function.

    Args:
      function: what to add.
      prefix: prefix of all names.
      scope: further prefix of the names of nodes that are not of a v1 loop.
      actual: reference to the value of each argument.
      controls: control inputs of what has no other input.

    Returns:
      A function that translates references in the inlined function.
    """
    now = dict(zip(function.arguments, actual, strict=True))
    inner = {
      node.name: prefix + _scoped(node.name, scope if function.name else '')
      for node in function.nodes
    }

    def moved(ref: str) -> str:
      if ref.startswith('^'):
        name = ref[1:]
        if name in inner:
          return '^' + inner[name]
        return '^' + functions.name_of(now.get(name, name))
      ref = functions.plain(ref)
      if ref in now:
        return now[ref]
      name, _, output = ref.partition(':')
      if name not in inner:
        return ref
      return f'{inner[name]}:{output}' if output else inner[name]

    for node in function.nodes:
      added = self._add(node, inner[node.name])
      added.input[:] = [moved(ref) for ref in node.input] or list(controls)
      if added.op.endswith('Enter'):  # Names tell frames apart.
        frame = prefix.encode() + added.attr['frame_name'].s
        added.attr['frame_name'].s = frame
      self._made[added.name] = function.name, node.name, scope
    return moved

  def _add(self, node: v1.NodeDef, name: str) -> v1.NodeDef:
    added = self.graph_def.node.add()
    added.CopyFrom(node)
    added.name = name
    if '_class' in added.attr:
      del added.attr['_class']  # Whatever it is placed with has moved.
    self._nodes[name] = added
    return added

  def identity(self, name: str, ref: str, data_type: int) -> str:
    """Adds an Identity; returns a reference to it."""
    node = v1.NodeDef(op='Identity', input=[ref])
    node.attr['T'].type = data_type
    self._add(node, name)
    return name

  def replace(
    self, name: str, refs: Sequence[str], types: Sequence[int]
  ) -> None:
    """Replaces a node by one that passes values through."""
    node = self._nodes[name]
    controls = [ref for ref in node.input if ref.startswith('^')]
    new = v1.NodeDef(name=name, op='IdentityN' if refs else 'NoOp')
    new.input.extend([*refs, *controls])
    if refs:
      new.attr['T'].list.type.extend(types)
    node.CopyFrom(new)

  def remove(self, names: set[str]) -> None:
    """Removes nodes that nothing reads any more."""
    kept = [node for node in self.graph_def.node if node.name not in names]
    copied = v1.GraphDef()
    copied.node.extend(kept)
    del self.graph_def.node[:]
    self.graph_def.node.extend(copied.node)
    self._nodes = {node.name: node for node in self.graph_def.node}

  def constant(self, name: str, value: int) -> str:
    """Adds an int32; returns a reference to it."""
    node = v1.NodeDef(op='Const')
    node.attr['dtype'].type = tf.int32.as_datatype_enum
    node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int32))
    self._add(node, name)
    return name

  def extract(self, tensors: set[str]) -> InlinedCapture:
    """Returns the subgraph that computes some tensors, only to be run."""
    names = sorted({functions.name_of(tensor) for tensor in tensors})
    subgraph = v1.graph_util.extract_sub_graph(self.graph_def, names)
    left, old = {node.name for node in subgraph.node}, self._captured
    return InlinedCapture(
      old.side,
      _Definition(subgraph, self._captured.graph),
      {},
      {k: v for k, v in old.feeds.items() if functions.name_of(k) in left},
      {},
      {k: v for k, v in old.variables.items() if k in left},
    )

  def capture(
    self,
    inputs: Iterable[tuple[str, str]] = (),
    feeds: Iterable[tuple[str, Any]] = (),
  ) -> InlinedCapture:
    """Returns the changed graph as a capture.

    Args:
      inputs: (tensor, path) of further inputs.
      feeds: (tensor, value) of what else is fed.
    """
    graph = tf.Graph()
    with graph.as_default():
      handles.add(self.graph_def, self._captured.variables)
      tf.import_graph_def(self.graph_def, name='')
    old = self._captured
    return InlinedCapture(
      old.side,
      graph,
      {
        label: graph.get_tensor_by_name(tensor.name)
        for label, tensor in old.targets.items()
      },
      {**old.feeds, **dict(feeds)},
      {**old.inputs, **dict(inputs)},
      old.variables,
      old.layer_lines,
      origin=old,
      made=self._made,
    )


def tensor(ref: str) -> str:
  """Returns the name of the tensor that a reference is to."""
  return ref if ':' in ref else ref + ':0'
