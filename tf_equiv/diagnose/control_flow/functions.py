"""What is inside of loops, branches and calls, in a form that can be run.

A body is a list of nodes that refer to its arguments by name. The functions of
control flow v2, and the frames of nodes that control flow v1 has in their
place (see `frames`), become the same.
"""

import dataclasses
import functools
from collections.abc import Mapping

import tensorflow as tf

from tf_equiv import compat

v1 = tf.compat.v1

WHILE = ('While', 'StatelessWhile')
IF = ('If', 'StatelessIf')
CASE = ('Case', 'StatelessCase')
CALL = ('PartitionedCall', 'StatefulPartitionedCall')
# Which input of an op it writes into a list of tensors, and the attribute that
# is its type.
_WRITES = {
  'TensorListSetItem': (2, 'element_dtype'),
  'TensorListPushBack': (1, 'element_dtype'),
  'TensorArrayWriteV3': (2, 'T'),
}

Functions = Mapping[str, 'tf.core.framework.function_pb2.FunctionDef']


@dataclasses.dataclass
class Body:
  """Nodes that compute results from arguments.

  Attributes:
    function: name of the function that holds them; '' for a v1 loop, whose
      nodes are those of the graph.
    nodes: they refer to each other as in a graph, and to arguments by name.
    arguments: names.
    results: references.
  """

  function: str
  nodes: list[v1.NodeDef]
  arguments: list[str]
  results: list[str]

  def written(self) -> list[str]:
    """Returns references to the numbers that it writes into lists."""
    found = []
    for node in self.nodes:
      position, key = _WRITES.get(node.op, (0, ''))
      if key and is_numeric(node.attr[key].type):
        found.append(node.input[position])
    return found


@dataclasses.dataclass
class Loop:
  """A while loop.

  Attributes:
    name: name of its op, or of its frame.
    types: enum of the type of each loop variable.
    initial: reference to the initial value of each.
    condition: has one result.
    body: has a result for each loop variable.
    readers: (name of the node, number of the input) by which each initial
      value comes in.
    exits: name of the node that gives the final value of each, where each
      variable has one of its own; '' for those that have none.
    variant: whether each loop variable may change.
  """

  name: str
  types: list[int]
  initial: list[str]
  condition: Body
  body: Body
  readers: list[tuple[str, int]]
  exits: list[str]

  @property
  def variant(self) -> list[bool]:
    """Whether each loop variable may change from turn to turn."""
    return [
      self._source(result) != argument
      for argument, result in zip(
        self.body.arguments, self.body.results, strict=True
      )
    ]

  @property
  def counter(self) -> int | None:
    """Number of a loop variable that goes up by one each turn, if any does."""
    producers = self._producers
    for i, result in enumerate(self.body.results):
      node = producers.get(self._source(result))
      if node is None or node.op not in ('Add', 'AddV2'):
        continue
      read = [self._source(ref) for ref in node.input[:2]]
      if self.body.arguments[i] in read and any(
        _is_one(producers[ref]) for ref in read if ref in producers
      ):
        return i
    return None

  @functools.cached_property
  def _producers(self) -> dict[str, v1.NodeDef]:
    return {node.name: node for node in self.body.nodes}

  def _source(self, ref: str) -> str:
    producers = self._producers
    while ref in producers and producers[ref].op == 'Identity':
      ref = producers[ref].input[0]
    return ref

  def final(self, i: int) -> str:
    """Returns the tensor with the last value of a loop variable."""
    if self.exits:
      return self.exits[i] + ':0' if self.exits[i] else ''
    return f'{self.name}:{i}'


def is_numeric(data_type: int) -> bool:
  """Tells whether tensors of a type hold numbers."""
  dtype = tf.as_dtype(data_type)
  return dtype.is_floating or dtype.is_integer or dtype.is_bool


def _is_one(node) -> bool:
  return (
    node.op == 'Const'
    and tf.as_dtype(node.attr['dtype'].type).is_integer
    and tf.make_ndarray(node.attr['value'].tensor).tolist() == 1
  )


def functions_of(graph_def: v1.GraphDef) -> Functions:
  """Returns the functions of a graph by name."""
  return {f.signature.name: f for f in graph_def.library.function}


def of_function(function, functions: Functions) -> Body:
  """Returns the body of a function.

  Args:
    function: a `FunctionDef`; its nodes refer to 'node:output:index'.
    functions: all functions of the graph, by name.
  """
  places = {}
  for node in function.node_def:
    if node.op in functions:
      definition = functions[node.op].signature
    else:
      definition = compat.op_definition(node.op)
    position = 0
    for arg in definition.output_arg:
      for i in range(_count(arg, node)):
        places[f'{node.name}:{arg.name}:{i}'] = _reference(node.name, position)
        position += 1
  nodes = []
  for node in function.node_def:
    copied = v1.NodeDef()
    copied.CopyFrom(node)
    copied.input[:] = [places.get(ref, ref) for ref in node.input]
    nodes.append(copied)
  results = [function.ret[arg.name] for arg in function.signature.output_arg]
  return Body(
    function.signature.name,
    nodes,
    [arg.name for arg in function.signature.input_arg],
    [places.get(ref, ref) for ref in results],
  )


def _count(arg, node) -> int:
  """Returns how many tensors an argument of an op stands for."""
  if arg.type_list_attr:
    return len(node.attr[arg.type_list_attr].list.type)
  return node.attr[arg.number_attr].i if arg.number_attr else 1


def _reference(name: str, output: int) -> str:
  return f'{name}:{output}' if output else name


def plain(ref: str) -> str:
  """Returns a reference as nodes write it: without ':0'."""
  return ref[:-2] if ref.endswith(':0') else ref


def name_of(ref: str) -> str:
  """Returns the name of the node that a reference is to."""
  return ref.lstrip('^').split(':')[0]


def while_loop(node: v1.NodeDef, functions: Functions) -> Loop:
  """Returns the loop of a While op."""
  count = len(node.attr['T'].list.type)
  initial = [ref for ref in node.input if not ref.startswith('^')]
  return Loop(
    node.name,
    list(node.attr['T'].list.type),
    initial,
    of_function(functions[node.attr['cond'].func.name], functions),
    of_function(functions[node.attr['body'].func.name], functions),
    [(node.name, i) for i in range(count)],
    [],
  )
