"""The loops and conditionals of control flow v1, read off the graph.

They have no functions: nodes of certain types lead values into a frame, round
and out of it. None of what is inside can be fetched.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from tf_equiv.diagnose import walks
from tf_equiv.diagnose.control_flow import functions

v1 = tf.compat.v1

# What holds the iterations of a v1 loop together; each may begin with 'Ref'.
_FRAME = ('Enter', 'Merge', 'Switch', 'NextIteration', 'Exit', 'LoopCond')
# What TensorFlow adds to the name of a loop for that of its frame.
_CONTEXT = re.compile(r'/while_context(_\d+)?$')


def frames_of(graph_def: v1.GraphDef) -> dict[str, functions.Loop]:
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


def _frames(
  order: Iterable[v1.NodeDef], nodes: Mapping[str, v1.NodeDef]
) -> dict[str, tuple[str, ...]]:
  """Returns the frames that each node is in, the outermost first.

  The Exit of a loop counts to the frame.
  """
  found: dict[str, tuple[str, ...]] = {}

  def before(name: str) -> list[str]:
    node = nodes[name]
    # A Merge is in the frame of its Enter, so that there is no cycle.
    refs = node.input[:1] if node.op.endswith('Merge') else node.input
    return [functions.name_of(ref) for ref in refs]

  for name in walks.in_order([node.name for node in order], before):
    stack: tuple[str, ...] = ()
    for other in before(name):
      left = nodes[other].op.endswith('Exit')
      stack = max(stack, found[other][:-1] if left else found[other], key=len)
    if nodes[name].op.endswith('Enter'):
      stack += (nodes[name].attr['frame_name'].s.decode(),)
    found[name] = stack
  return found


def _frame(
  frame: str,
  members: Sequence[v1.NodeDef],
  nodes: Mapping[str, v1.NodeDef],
  inside: Mapping[str, tuple[str, ...]],
) -> functions.Loop:
  """Returns the loop of the nodes of a frame."""
  own = [node for node in members if len(inside[node.name]) == 1]
  kinds = {kind: [] for kind in _FRAME}
  for node in own:
    kind = node.op[3:] if node.op.startswith('Ref') else node.op
    if kind in kinds:
      kinds[kind].append(node)
  condition = kinds['LoopCond'][0]
  merges = {
    functions.name_of(node.input[0]): node
    for node in kinds['Merge']
    if nodes[functions.name_of(node.input[0])].op.endswith('Enter')
    and functions.name_of(node.input[0]) in {e.name for e in kinds['Enter']}
  }
  switches = {
    functions.name_of(node.input[0]): node
    for node in kinds['Switch']
    if functions.name_of(node.input[1]) == condition.name
  }
  exits = {
    functions.name_of(node.input[0]): node
    for node in kinds['Exit']
    if functions.name_of(node.input[0]) in {s.name for s in switches.values()}
  }
  known, dropped = {}, {condition.name}
  loop = functions.Loop(
    _CONTEXT.sub('', frame),
    [],
    [],
    functions.Function('', [], [], []),
    functions.Function('', [], [], []),
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
      again = nodes[functions.name_of(merge.input[1])]
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
  loop.condition = functions.Function(
    '',
    loop.body.nodes,
    loop.body.arguments,
    [_known(condition.input[0], known)],
  )
  return loop


def _known(ref: str, known: Mapping[str, str]) -> str:
  if ref.startswith('^'):
    name = ref[1:]
    for inner in (name, name + ':1'):
      if inner in known:
        return '^' + known[inner]
    return ref
  return known.get(functions.plain(ref), ref)


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

  def before(op: tf.Operation) -> list[tf.Operation]:
    read = [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return [other for other in read if not other.type.endswith('NextIteration')]

  for op in walks.in_order(ops, before, lambda op: op.name):
    outer = max((stacks[b.name] for b in before(op)), key=len, default=())
    stacks[op.name] = _stack(op, outer)
  return {name for name, stack in stacks.items() if stack}


def _stack(op: tf.Operation, outer: tuple[str, ...]) -> tuple[str, ...]:
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
