"""What is inside of loops, branches and calls, in a form that can be run.

A body is a list of nodes that refer to its arguments by name. The functions of
control flow v2, and the frames of nodes that control flow v1 has in their
place, become the same.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tf_equiv import compat

v1 = tf.compat.v1

WHILE = ('While', 'StatelessWhile')
IF = ('If', 'StatelessIf')
CASE = ('Case', 'StatelessCase')
CALL = ('PartitionedCall', 'StatefulPartitionedCall')
# What holds the turns of a v1 loop together; each may begin with 'Ref'.
_FRAME = ('Enter', 'Merge', 'Switch', 'NextIteration', 'Exit', 'LoopCond')
# What TensorFlow adds to the name of a loop for that of its frame.
_CONTEXT = re.compile(r'/while_context(_\d+)?$')
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
    return '%s:%d' % (self.name, i)


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
        places['%s:%s:%d' % (node.name, arg.name, i)] = _reference(
          node.name, position
        )
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
  return '%s:%d' % (name, output) if output else name


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


def frames_of(graph_def: v1.GraphDef) -> dict[str, Loop]:
  """Returns the outermost loops of control flow v1, by name of their frame."""
  nodes = {node.name: node for node in graph_def.node}
  inside = _frames(graph_def.node, nodes)
  members: dict[str, list[v1.NodeDef]] = {}
  for node in graph_def.node:
    stack = inside[node.name]
    if stack:
      members.setdefault(stack[0], []).append(node)
  return {
    frame: _frame(frame, found, nodes, inside)
    for frame, found in members.items()
  }


def _frames(order, nodes) -> dict[str, tuple[str, ...]]:
  """Returns the frames that each node is in, the outermost first.

  The Exit of a loop counts to the frame.
  """
  found: dict[str, tuple[str, ...]] = {}
  for first in order:
    pending = [first.name]
    while pending:
      node = nodes[pending[-1]]
      # A Merge is in the frame of its Enter, so that there is no cycle.
      refs = node.input[:1] if node.op.endswith('Merge') else node.input
      before = [name_of(ref) for ref in refs]
      missing = [name for name in before if name not in found]
      if missing:
        pending.extend(missing)
        continue
      stack: tuple[str, ...] = ()
      for name in before:
        left = nodes[name].op.endswith('Exit')
        stack = max(stack, found[name][:-1] if left else found[name], key=len)
      if node.op.endswith('Enter'):
        stack += (node.attr['frame_name'].s.decode(),)
      found[node.name] = stack
      pending.pop()
  return found


def _frame(frame, members, nodes, inside) -> Loop:
  """Returns the loop of the nodes of a frame."""
  own = [node for node in members if len(inside[node.name]) == 1]
  kinds = {kind: [] for kind in _FRAME}
  for node in own:
    kind = node.op[3:] if node.op.startswith('Ref') else node.op
    if kind in kinds:
      kinds[kind].append(node)
  condition = kinds['LoopCond'][0]
  merges = {
    name_of(node.input[0]): node
    for node in kinds['Merge']
    if nodes[name_of(node.input[0])].op.endswith('Enter')
    and name_of(node.input[0]) in {e.name for e in kinds['Enter']}
  }
  switches = {
    name_of(node.input[0]): node
    for node in kinds['Switch']
    if name_of(node.input[1]) == condition.name
  }
  exits = {
    name_of(node.input[0]): node
    for node in kinds['Exit']
    if name_of(node.input[0]) in {s.name for s in switches.values()}
  }
  known, dropped = {}, {condition.name}
  loop = Loop(
    _CONTEXT.sub('', frame),
    [],
    [],
    Body('', [], [], []),
    Body('', [], [], []),
    [],
    [],
  )
  # Loop variables first, in their order.
  for enter in sorted(kinds['Enter'], key=lambda n: n.name not in merges):
    argument = enter.name
    loop.types.append(enter.attr['T'].type)
    loop.initial.append(enter.input[0])
    loop.readers.append((enter.name, 0))
    loop.body.arguments.append(argument)
    dropped.add(enter.name)
    result, leaving = argument, None
    merge = merges.get(enter.name)
    if merge is not None:
      switch = switches.get(merge.name)
      again = nodes[name_of(merge.input[1])]
      known[merge.name] = argument
      dropped |= {merge.name, again.name}
      result = again.input[0]
      if switch is not None:
        known[switch.name + ':1'] = argument
        leaving = exits.get(switch.name)
        dropped.add(switch.name)
    if leaving is not None:
      dropped.add(leaving.name)
    loop.exits.append(leaving.name if leaving is not None else '')
    loop.body.results.append(result)
  for node in members:
    if node.name not in dropped:
      copied = v1.NodeDef()
      copied.CopyFrom(node)
      copied.input[:] = [_known(ref, known) for ref in node.input]
      loop.body.nodes.append(copied)
  loop.body.results[:] = [_known(ref, known) for ref in loop.body.results]
  loop.condition = Body(
    '',
    loop.body.nodes,
    loop.body.arguments,
    [_known(condition.input[0], known)],
  )
  return loop


def _known(ref: str, known) -> str:
  if ref.startswith('^'):
    name = ref[1:]
    for inner in (name, name + ':1'):
      if inner in known:
        return '^' + known[inner]
    return ref
  return known.get(plain(ref), ref)


def predicates(graph_def: v1.GraphDef) -> dict[str, str]:
  """Returns the predicate of each v1 conditional outside of loops.

  Args:
    graph_def: the graph.

  Returns:
    Reference to the predicate, by name of the Switch.
  """
  nodes = {node.name: node for node in graph_def.node}
  inside = _frames(graph_def.node, nodes)
  return {
    node.name: node.input[1]
    for node in graph_def.node
    if node.op in ('Switch', 'RefSwitch') and not inside[node.name]
  }


def nested(ops: Sequence[tf.Operation]) -> set[str]:
  """Returns the ops that are in a loop or conditional of control flow v1.

  Those cannot be fetched. It is read off the structure, because a graph that
  was imported does not know it.

  Args:
    ops: ops of a graph; their ancestors count, too.
  """
  if not any(op.type.endswith(('Enter', 'Switch')) for op in ops):
    return set()
  stacks: dict[str, tuple[str, ...]] = {}
  for first in ops:
    pending = [first]
    while pending:
      op = pending[-1]
      before = [t.op for t in op.inputs] + list(op.control_inputs)
      before = [b for b in before if not b.type.endswith('NextIteration')]
      missing = [b for b in before if b.name not in stacks]
      if missing:
        pending.extend(missing)
        continue
      outer = max((stacks[b.name] for b in before), key=len, default=())
      stacks[op.name] = _stack(op, outer)
      pending.pop()
  return {name for name, stack in stacks.items() if stack}


def _stack(op, outer: tuple[str, ...]) -> tuple[str, ...]:
  """Returns the loops and conditionals that an op is in.

  Args:
    op: the op.
    outer: those of what it reads.
  """
  if op.type.endswith('Enter'):
    return (*outer, 'frame')
  if op.type.endswith('Switch') and op.inputs[1].op.type != 'LoopCond':
    return (*outer, 'branch')
  if op.type.endswith('Exit') or (
    op.type.endswith('Merge') and outer[-1:] == ('branch',)
  ):
    return outer[:-1]
  return outer
