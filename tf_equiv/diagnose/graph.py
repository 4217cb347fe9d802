"""A captured graph as plain data: the ops that compute, and their operands.

Ops that only pass values through are left out; what an op reads is either
another node, an input, a variable, a random draw or a constant.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.compare import difference
from tf_equiv.core import random_value
from tf_equiv.diagnose import walks
from tf_equiv.diagnose.control_flow import v1_frames
from tf_equiv.tf1.capture import capture

NODE, INPUT, VARIABLE, RANDOM, CONSTANT = (
  'node',
  'input',
  'variable',
  'random',
  'constant',
)

PASS_THROUGH = (
  'Identity',
  'StopGradient',
  'PreventGradient',
  'ReadVariableOp',
  'Snapshot',
  'EnsureShape',
  'CheckNumerics',
  'PlaceholderWithDefault',
  'IdentityN',
)
# Their results depend on the data only by its shape.
OF_SHAPES = ('Shape', 'ShapeN', 'Size', 'Rank', 'ZerosLike', 'OnesLike')
_VARIABLES = ('VarHandleOp', 'VariableV2', 'Variable')
# Only the first output means the same in all modes and versions.
FIRST_OUTPUT = re.compile('FusedBatchNorm')
_WRITING = (
  'TensorArrayV3',
  'TensorArrayWriteV3',
  'TensorArrayScatterV3',
  'TensorArraySplitV3',
)
_VERSION = re.compile(r'V\d$')
_SYNONYMS = {
  'Div': 'RealDiv',
  'BiasAdd': 'Add',
  'StatelessWhile': 'While',
  'StatelessIf': 'If',
}


@dataclasses.dataclass(frozen=True)
class Operand:
  """Something that an op reads.

  Attributes:
    kind: NODE, INPUT, VARIABLE, RANDOM or CONSTANT.
    key: name of the node or variable, path of the input, or name of the
      tensor.
    output: which output of the node.
    tensor: name of the tensor that is read.
  """

  kind: str
  key: str
  output: int = 0
  tensor: str = ''


@dataclasses.dataclass
class Body:
  """What is inside of a loop or branch.

  Attributes:
    types: how many ops there are of each type, without those that only pass
      values through.
    numbers: how often each floating-point constant is there.
  """

  types: Counter
  numbers: Counter


@dataclasses.dataclass
class Node:
  """An op that computes with data.

  Attributes:
    name: its full name.
    op_type: its type.
    position: in program order.
    shape: static shape of its first output, None if the rank is not known.
    dtype: of its first output.
    operands: what it reads, in order.
    attributes: plain values by name.
    outputs: names of the tensors that can be compared.
    nested: whether it is inside a loop or a branch of TF1, where it cannot be
      fetched.
    body: what the functions hold that it runs, for a loop or a branch.
    opaque: whether it has outputs that cannot be compared, e.g. the lists that
      a loop fills.
  """

  name: str
  op_type: str
  position: int
  shape: tuple | None
  dtype: str
  operands: list[Operand]
  attributes: dict[str, Any]
  outputs: list[str]
  nested: bool = False
  body: 'Body | None' = None
  opaque: bool = False

  @property
  def family(self) -> str:
    """The type without its version."""
    plain = _VERSION.sub('', self.op_type)
    return _SYNONYMS.get(plain, plain)

  @property
  def variables(self) -> frozenset[str]:
    """The variables that it reads directly."""
    return frozenset(o.key for o in self.operands if o.kind == VARIABLE)

  @property
  def parents(self) -> list[str]:
    """The nodes that it reads."""
    return [o.key for o in self.operands if o.kind == NODE]


@dataclasses.dataclass
class Graph:
  """The nodes that some results depend on.

  Attributes:
    nodes: by name, in program order.
    results: operand of each result, by label.
    draws: tensor of each random draw outside of loops, in program order.
    draw_types: type of the op of each of them.
    stopped: name of each StopGradient op by the name of the node it reads.
    draws_in_loops: whether there are random draws inside a loop of TF1.
  """

  nodes: dict[str, Node]
  results: dict[capture.Label, Operand]
  draws: list[str]
  draw_types: dict[str, str]
  stopped: dict[str, str]
  draws_in_loops: bool = False

  def ancestors(
    self, names: Iterable[str], stop: Container[str] = ()
  ) -> set[str]:
    """Returns nodes and all that they are computed from.

    Args:
      names: names of the nodes.
      stop: names of nodes that are neither returned nor passed.
    """
    parents = lambda name: self.nodes[name].parents  # noqa: E731
    return set(walks.ancestors(names, parents, stop=stop))

  def before(self, name: str, stop: Container[str] = ()) -> set[str]:
    """Returns all that a node is computed from, without the node itself."""
    return self.ancestors(self.nodes[name].parents, stop) - {name}


def read(
  captured: capture.Capture,
  labels: Sequence[capture.Label],
  variable_names: Mapping[str, str],
) -> Graph:
  """Reads the part of a graph that some results depend on.

  Args:
    captured: the graph.
    labels: the results.
    variable_names: TF1 name of a variable by its name on this side.

  Returns:
    The graph as plain data.
  """
  reader = _Reader(captured, variable_names)
  return reader.read([captured.targets[label] for label in labels], labels)


class _Reader:
  def __init__(
    self, captured: capture.Capture, variable_names: Mapping[str, str]
  ):
    self._captured, self._names = captured, variable_names
    self._depends: dict[str, bool] = {}
    self._functions: dict[str, Any] | None = None
    self._nested: set[str] = set()

  def read(
    self, tensors: Sequence[tf.Tensor], labels: Sequence[capture.Label]
  ) -> Graph:
    ops = self._ancestors([t.op for t in tensors])
    self._nested = v1_frames.nested(ops)
    known = -1
    # In control flow v1, ops may read what was made later.
    while known < sum(self._depends.values()):
      known = sum(self._depends.values())
      for op in ops:
        self._depends[op.name] = self._depends_on_data(op)
    nodes, draws, stopped, inside = {}, {}, {}, False
    for op in ops:
      if op.type == 'StopGradient':
        read = self._operand(op.inputs[0])
        if read.kind == NODE:
          stopped[read.key] = op.name
      if random_value.family_of(op.type):
        if op.name not in self._nested:
          draws[op.outputs[0].name] = op.type
        inside = inside or op.name in self._nested
      elif self._is_node(op):
        node = self._node(op)
        nodes[node.name] = node
        if node.body is not None and node.body.types['StopGradient']:
          stopped[node.name] = node.name
    results = {
      label: self._operand(tensor)
      for label, tensor in zip(labels, tensors, strict=True)
    }
    return Graph(nodes, results, list(draws), draws, stopped, inside)

  def _ancestors(self, roots: Iterable[tf.Operation]) -> list[tf.Operation]:
    def before(op: tf.Operation) -> list[tf.Operation]:
      if op.outputs and op.outputs[0].name in self._captured.inputs:
        return []
      return [tensor.op for tensor in op.inputs]

    found = walks.ancestors(roots, before, lambda op: op.name)
    return sorted(found, key=compat.op_position)

  def _is_source(self, op: tf.Operation) -> bool:
    tensor = op.outputs[0].name if op.outputs else ''
    return (
      op.name in self._captured.variables
      or tensor in self._captured.inputs
      or bool(random_value.family_of(op.type))
    )

  def _depends_on_data(self, op: tf.Operation) -> bool:
    if self._is_source(op):
      return True
    if op.type in OF_SHAPES:
      return False
    return any(self._depends.get(t.op.name, False) for t in op.inputs)

  def _is_node(self, op: tf.Operation) -> bool:
    return (
      self._depends[op.name]
      and not self._is_source(op)
      and op.type not in PASS_THROUGH
      and bool(op.outputs)
    )

  def _operand(self, tensor: tf.Tensor) -> Operand:
    first, op = tensor, tensor.op
    while op.type in PASS_THROUGH and not self._is_source(op) and op.inputs:
      index = tensor.value_index if op.type == 'IdentityN' else 0
      tensor = op.inputs[index]
      op = tensor.op
    if op.name in self._captured.variables:
      name = self._captured.variables[op.name][0]
      return Operand(VARIABLE, self._names.get(name, name), 0, first.name)
    if op.outputs[0].name in self._captured.inputs:
      path = self._captured.inputs[op.outputs[0].name]
      return Operand(INPUT, path, 0, first.name)
    if random_value.family_of(op.type):
      return Operand(RANDOM, op.outputs[0].name, 0, first.name)
    if not self._depends.get(op.name):
      return Operand(CONSTANT, tensor.name, 0, first.name)
    return Operand(NODE, op.name, tensor.value_index, first.name)

  def _node(self, op: tf.Operation) -> Node:
    first = op.outputs[0]
    shape = None if first.shape.rank is None else tuple(first.shape.as_list())
    nested = op.name in self._nested
    outputs = op.outputs
    if FIRST_OUTPUT.match(op.type):
      # The gradient has those of the image, the scale and the offset.
      outputs = outputs[:3] if 'Grad' in op.type else outputs[:1]
    numeric = [
      t.name
      for t in outputs
      if t.dtype.is_floating or t.dtype.is_integer or t.dtype.is_bool
    ]
    return Node(
      op.name,
      op.type,
      compat.op_position(op),
      shape,
      first.dtype.base_dtype.name,
      [self._operand(t) for t in op.inputs],
      attributes_of(op.node_def),
      [] if nested else numeric,
      nested,
      self._body(op),
      any(_is_list(t) for t in op.outputs),
    )

  def _body(self, op: tf.Operation) -> Body | None:
    names = []
    for attr in op.node_def.attr.values():
      if attr.WhichOneof('value') == 'func':
        names.append(attr.func.name)
      names += [function.name for function in attr.list.func]
    if not names:
      return None
    if self._functions is None:
      library = self._captured.graph.as_graph_def().library
      self._functions = {f.signature.name: f for f in library.function}
    body = Body(Counter(), Counter())
    for name in names:
      if name in self._functions:
        _count(self._functions[name].node_def, body)
    return body


def _is_list(tensor: tf.Tensor) -> bool:
  """Returns whether a tensor stands for a list of tensors.

  In control flow v1 that is the number by which the accesses to a TensorArray
  are ordered.
  """
  if tensor.dtype == tf.variant:
    return True
  if tensor.dtype != tf.float32 or tensor.shape.rank:
    return False
  if tensor.op.type in _WRITING:
    return True
  return any(
    op.type.startswith('TensorArray') and op.inputs[-1].name == tensor.name
    for op in tensor.consumers()
  )


def _count(node_defs: Iterable[tf.compat.v1.NodeDef], body: Body) -> None:
  for node in node_defs:
    if node.op != 'Const':
      if node.op == 'StopGradient' or node.op not in (*PASS_THROUGH, 'NoOp'):
        body.types[_VERSION.sub('', node.op)] += 1
      continue
    tensor = node.attr['value'].tensor
    if tf.as_dtype(tensor.dtype).is_floating:
      array = tf.make_ndarray(tensor)
      if array.size == 1:
        body.numbers[difference.plain(array.reshape(-1)[0])] += 1


def attributes_of(node_def: tf.compat.v1.NodeDef) -> dict[str, Any]:
  """Returns the attributes of an op that are plain values."""
  found = {}
  for key, attr in node_def.attr.items():
    kind = attr.WhichOneof('value')
    if key.startswith('_') or kind in (None, 'tensor', 'func', 'type'):
      continue
    if kind == 's':
      found[key] = attr.s.decode('utf-8', 'replace')
    elif kind == 'list':
      items = attr.list.i or attr.list.f
      found[key] = list(items) or [s.decode() for s in attr.list.s]
    elif kind == 'f':
      found[key] = difference.plain(attr.f)
    elif kind == 'shape':
      found[key] = str(tf.TensorShape(attr.shape))
    else:
      found[key] = getattr(attr, kind)
  return found
