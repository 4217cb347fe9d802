"""The loops and conditionals of control flow v1, read off the graph.

They have no functions: nodes of certain types lead values into a frame, round
and out of it. None of what is inside can be fetched.
"""

import re
from collections.abc import Sequence

import tensorflow as tf

from tf_equiv.diagnose.control_flow import functions

v1 = tf.compat.v1

# What holds the turns of a v1 loop together; each may begin with 'Ref'.
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
      before = [functions.name_of(ref) for ref in refs]
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


def _frame(frame, members, nodes, inside) -> functions.Loop:
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
    functions.Body('', [], [], []),
    functions.Body('', [], [], []),
    [],
    [],
  )
  # bodies.Loop variables first, in their order.
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
  loop.condition = functions.Body(
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
