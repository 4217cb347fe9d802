"""Rewrites a graph so that it computes in double precision.

Rounding errors then all but vanish: what still differs between two graphs is
a difference of the computations. No code of the user needs to support float64,
because the finished graph is rewritten. Variables, constants and inputs keep
the values that float32 gave them.

Random numbers are drawn as before and then cast. An op without a double kernel
computes in float32 between two casts, and is listed in `fallbacks`.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import random_value
from tf_equiv.diagnose import fused_batch_norm

v1 = tf.compat.v1

# What only reads a variable, by the type of its handle.
_READS = {
  'VarHandleOp': (
    'ReadVariableOp',
    'ResourceGather',
    'VariableShape',
    'VarIsInitializedOp',
  ),
  'VariableV2': ('Identity',),
  'Variable': ('Identity',),
}
# Functions of Python return what they were written for.
_OF_PYTHON = ('PyFunc', 'PyFuncStateless', 'EagerPyFunc')
# They have a kernel for doubles, but compute in float32 inside.
_SINGLE_INSIDE = (
  'ResizeBilinear',
  'ResizeBilinearGrad',
  'ResizeBicubic',
  'ResizeBicubicGrad',
  'ResizeArea',
  'CTCLoss',
  'CTCLossV2',
)
FLOAT, DOUBLE = tf.float32.as_datatype_enum, tf.float64.as_datatype_enum


@dataclasses.dataclass
class Rewritten:
  """A graph in double precision.

  Attributes:
    graph_def: the graph.
    tensors: name of the tensor that now holds what a tensor held, where it is
      another.
    fallbacks: types of ops that still compute in float32.
  """

  graph_def: v1.GraphDef
  tensors: dict[str, str]
  fallbacks: set[str]


def unchanged_variables(graph_def: v1.GraphDef) -> set[str]:
  """Returns the names of the variables that nothing but reads them."""
  variables = {
    node.name: _READS[node.op] for node in graph_def.node if node.op in _READS
  }
  changed = set()
  for node in graph_def.node:
    for ref in node.input:
      name = ref.split(':')[0]
      if name in variables and node.op not in variables[name]:
        changed.add(name)
  return set(variables) - changed


def rewrite(
  graph_def: v1.GraphDef, unchanged: Collection[str] = ()
) -> Rewritten:
  """Rewrites a graph and the functions that it calls.

  Args:
    graph_def: the graph; it is not changed.
    unchanged: names of the variables that nothing but reads them. They stay
      float32, and what is read is cast, so that no wide copy of all variables
      is in memory.

  Returns:
    The rewritten graph.
  """
  result = v1.GraphDef()
  result.versions.CopyFrom(graph_def.versions)
  result.library.CopyFrom(graph_def.library)
  functions = {f.signature.name: f.signature for f in result.library.function}
  fallbacks = set()
  for signature in functions.values():
    for arg in (*signature.input_arg, *signature.output_arg):
      if arg.type == FLOAT:
        arg.type = DOUBLE
  for function in result.library.function:
    rewriter = Rewriter(
      function.node_def, functions, fallbacks, is_function=True
    )
    nodes = rewriter.rewritten()
    del function.node_def[:]
    function.node_def.extend(nodes)
    for key, ref in function.ret.items():
      function.ret[key] = rewriter.now(ref)
  rewriter = Rewriter(
    graph_def.node, functions, fallbacks, is_function=False, narrow=unchanged
  )
  result.node.extend(rewriter.rewritten())
  tensors = {
    ref: rewriter.now(ref) for ref in rewriter.moved if not ref.startswith('^')
  }
  return Rewritten(result, tensors, fallbacks)


class Rewriter:
  """Rewrites the nodes of a graph or of a function.

  Attributes:
    moved: reference to what a tensor became, where it is another.
  """

  def __init__(
    self,
    nodes: Iterable[v1.NodeDef],
    functions: Mapping[str, Any],
    fallbacks: set[str],
    is_function: bool,
    narrow: Collection[str] = (),
  ):
    self._narrow = narrow
    self._nodes, self._functions = nodes, functions
    self._fallbacks, self._is_function = fallbacks, is_function
    self._new = []
    self.moved: dict[str, str] = {}

  def rewritten(self) -> list[v1.NodeDef]:
    """Returns the nodes in double precision."""
    for node in self._nodes:
      self._rewrite(node)
    names = {node.name for node in self._new}
    for node in self._new:
      if '/tf_equiv_keep' not in node.name:
        inputs = [
          self.now(self._full(ref), ref)
          for ref in node.input
          # What became several nodes has none that can be waited for.
          if not ref.startswith('^') or ref[1:] in names
        ]
        del node.input[:]
        # The same op may stand for several that are waited for.
        node.input.extend(
          ref
          for i, ref in enumerate(inputs)
          if not ref.startswith('^') or ref not in inputs[:i]
        )
    return self._new

  def now(self, ref: str, default: str = '') -> str:
    """Returns what a reference became."""
    if ref not in self.moved:
      return default or ref
    return self.now(self.moved[ref])

  def _full(self, ref: str) -> str:
    if ref.startswith('^') or ':' in ref or self._is_function:
      return ref
    return ref + ':0'

  def _move(self, references: dict[str, str]) -> None:
    for old, new in references.items():
      self.moved[old] = self._full(new)

  def _replace(self, node: v1.NodeDef, references: dict[str, str]) -> None:
    """Lets other nodes stand for one, also for what waits for it to run."""
    self._move(references)
    last = next(iter(references.values())).split(':')[0]
    self.moved['^' + node.name] = '^' + last
    waits_for = [ref for ref in node.input if ref.startswith('^')]
    made = {
      ref.split(':')[0]
      for ref in references.values()
      if ref.startswith(node.name + '/')
    }
    for new in self._new if waits_for else ():
      if new.name in made:
        new.input.extend(waits_for)

  def ref(self, name: str, op_type: str, index: int = 0) -> str:
    """Returns a reference to an output of a node.

    Args:
      name: name of the node.
      op_type: its type; it has but single tensors as outputs.
      index: number of the output.
    """
    if not self._is_function:
      return f'{name}:{index}'
    definition = compat.op_definition(op_type)
    return f'{name}:{definition.output_arg[index].name}:0'

  def add(self, op_type: str, name: str, *inputs: str, **attrs) -> str:
    """Adds a node; returns a reference to its first output."""
    node = v1.NodeDef(name=name, op=op_type, input=inputs)
    for key, value in attrs.items():
      _set_attr(node.attr[key], value)
    self._new.append(node)
    return self.ref(name, op_type)

  def constant(self, name: str, value: Any) -> str:
    """Adds a constant; returns a reference to it."""
    array = np.asarray(value)
    return self.add('Const', name, dtype=tf.as_dtype(array.dtype), value=array)

  def _rewrite(self, node: v1.NodeDef) -> None:
    node = _copy(node)
    for ops, expand in (
      (fused_batch_norm.FORWARD, fused_batch_norm.expand),
      (fused_batch_norm.GRADIENT, fused_batch_norm.expand_gradient),
    ):
      if node.op in ops and _is_float(node):
        self._replace(node, expand(self, node))
        return
    definition = self._functions.get(node.op) or compat.op_definition(node.op)
    if definition is None or not _has_floats(node, definition):
      self._new.append(node)
      return
    if node.name in self._narrow:
      self._new.append(node)
      return
    if node.input and node.input[0].split(':')[0] in self._narrow:
      self._keep(node, [], _types(definition.output_arg, node))
      return
    if node.op in _SINGLE_INSIDE:
      self._fallbacks.add(node.op)
    draws = bool(random_value.family_of(node.op))
    changed = _widened(node)
    if not draws and _has_kernel(changed):
      node = changed  # What is float32 now always is, a size say.
    elif not draws:
      self._fallbacks.add(node.op)
    self._keep(
      node,
      _types(definition.input_arg, node),
      _types(definition.output_arg, node),
    )

  def _keep(
    self,
    node: v1.NodeDef,
    inputs: Sequence[tuple[str, int, int]],
    outputs: Sequence[tuple[str, int, int]],
  ) -> None:
    """Adds a node of which some inputs and outputs stay float32."""
    position = 0
    for i, (_, _, data_type) in enumerate(inputs):
      if data_type == FLOAT and not node.input[i].startswith('^'):
        cast = f'{node.name}/tf_equiv_in{i}'
        self.add('Cast', cast, node.input[i], SrcT=tf.float64, DstT=tf.float32)
        node.input[i] = self.ref(cast, 'Cast')
    self._new.append(node)
    for arg, index, data_type in outputs:
      if data_type == FLOAT:
        if self._is_function:
          old = f'{node.name}:{arg}:{index}'
        else:
          old = f'{node.name}:{position}'
        cast = f'{node.name}/tf_equiv_keep{position}'
        self.moved[old] = self.add(
          'Cast', cast, old, SrcT=tf.float32, DstT=tf.float64
        )
      position += 1


def _copy(node: v1.NodeDef) -> v1.NodeDef:
  copied = v1.NodeDef()
  copied.CopyFrom(node)
  for key in [key for key in copied.attr if key.startswith('_')]:
    del copied.attr[key]  # Colocation and shapes; they no longer hold.
  return copied


def _is_float(node: v1.NodeDef) -> bool:
  return node.attr['T'].type == FLOAT


def _has_floats(node: v1.NodeDef, definition: Any) -> bool:
  for attr in node.attr.values():
    if attr.type == FLOAT or FLOAT in attr.list.type:
      return True
  return any(
    arg.type == FLOAT for arg in (*definition.input_arg, *definition.output_arg)
  )


def _widened(node: v1.NodeDef) -> v1.NodeDef:
  """Returns a copy with double instead of float in all attributes."""
  changed = v1.NodeDef()
  changed.CopyFrom(node)
  for attr in changed.attr.values():
    if attr.type == FLOAT:
      attr.type = DOUBLE
    for i, data_type in enumerate(attr.list.type):
      if data_type == FLOAT:
        attr.list.type[i] = DOUBLE
    if attr.HasField('tensor') and attr.tensor.dtype == FLOAT:
      array = tf.make_ndarray(attr.tensor).astype(np.float64)
      attr.tensor.CopyFrom(tf.make_tensor_proto(array))
  return changed


def _has_kernel(node: v1.NodeDef) -> bool:
  if node.op in _OF_PYTHON:
    return False
  kernels = compat.cpu_kernels(node.op)
  if not kernels:  # A function, or an op of control flow.
    return True
  for constraints in kernels:
    if all(
      node.attr[name].type in allowed or not node.attr[name].type
      for name, allowed in constraints.items()
      if allowed
    ):
      return True
  return False


def _types(
  arguments: Iterable[Any], node: v1.NodeDef
) -> list[tuple[str, int, int]]:
  """Returns (name of the argument, index in it, type) of each tensor."""
  found = []
  for arg in arguments:
    if arg.type_list_attr:
      types = list(node.attr[arg.type_list_attr].list.type)
    else:
      data_type = node.attr[arg.type_attr].type if arg.type_attr else arg.type
      count = node.attr[arg.number_attr].i if arg.number_attr else 1
      types = [data_type] * count
    found += [(arg.name, i, data_type) for i, data_type in enumerate(types)]
  return found


def _set_attr(attr: Any, value: Any) -> None:
  if isinstance(value, bool):
    attr.b = value
  elif isinstance(value, int):
    attr.i = value
  elif isinstance(value, tf.DType):
    attr.type = value.as_datatype_enum
  else:
    attr.tensor.CopyFrom(tf.make_tensor_proto(value))
