"""Writes out loops, branches and calls of a captured graph in line.

What they hold are then ops of the graph like others, which can be fetched and
compared. Only what runs is written out: the branch that is taken, and the
turns of a loop that are asked for.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv.locate import bodies
from tf_equiv.tf1 import capture as capture_lib
from tf_equiv.tf1 import source

v1 = tf.compat.v1

_TURN = 'tf_equiv_turn_%d/'
_CONDITION = 'tf_equiv_condition_%d/'
_TAKEN = 'tf_equiv_taken/'
_MARK = re.compile(r'tf_equiv_(turn_|condition_|taken)(\d*)/')


@dataclasses.dataclass
class Unfolded(capture_lib.Capture):
  """A capture in which something is written out.

  Attributes:
    origin: the capture that it was made from.
    made: for each op that was written out, the function that holds it ('' for
      the graph itself), its name there, and the op that calls the function.
  """

  origin: Any = None
  made: dict[str, tuple[str, str, str]] = dataclasses.field(
    default_factory=dict
  )

  def line_of(self, op_name: str) -> source.SourceLine:
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

  def line_in(self, function: str, op_name: str) -> source.SourceLine:
    """Returns the line that made an op of a function."""
    return self.origin.line_in(function, op_name)


@dataclasses.dataclass
class Turns:
  """Turns of a loop that are written out.

  Attributes:
    capture: the graph with them.
    conditions: tensor that tells whether each turn runs.
    states: tensors of the loop variables before each turn and after the last;
      '' for those that have no numbers, or never change.
    written: tensors of what each turn writes into lists.
  """

  capture: Unfolded
  conditions: list[str]
  states: list[list[str]]
  written: list[list[str]]


def original_name(name: str) -> str:
  """Returns the name that an op had before it was written out."""
  return _MARK.sub('', name)


def turn_of(name: str) -> int | None:
  """Returns the turn of a loop that an op belongs to, counted from 1."""
  turns = [int(n) for kind, n in _MARK.findall(name) if kind == 'turn_']
  return turns[0] + 1 if turns else None


class _Definition:
  """A graph that can only be run."""

  def __init__(self, graph_def: v1.GraphDef):
    self._graph_def = graph_def

  def as_graph_def(self) -> v1.GraphDef:
    return self._graph_def


def _scoped(name: str, scope: str) -> str:
  """Puts a scope before a name, if the name does not have it."""
  plain = original_name(scope) + '/'
  if not scope or name.startswith(plain):
    name = name[len(plain) :] if scope else name
  return '%s/%s' % (scope, name) if scope else name


class Writer:
  """A copy of a captured graph that is being changed."""

  def __init__(self, captured: capture_lib.Capture):
    self._captured = captured
    self.graph_def = captured.graph.as_graph_def()
    self.functions = bodies.functions_of(self.graph_def)
    self._nodes = {node.name: node for node in self.graph_def.node}
    self._made: dict[str, tuple[str, str, str]] = {}

  def node(self, name: str) -> v1.NodeDef:
    """Returns a node, which may be changed."""
    return self._nodes[name]

  def inline(
    self,
    body: bodies.Body,
    prefix: str,
    scope: str,
    actual: Sequence[str],
    controls: Sequence[str] = (),
  ) -> Callable[[str], str]:
    """Adds the nodes of a body.

    Args:
      body: what to add.
      prefix: is put before all names.
      scope: is put before the names of the nodes of a function.
      actual: reference to the value of each argument.
      controls: control inputs of what has no other input.

    Returns:
      A function that tells what a reference in the body has become.
    """
    now = dict(zip(body.arguments, actual, strict=True))
    inner = {
      node.name: prefix + _scoped(node.name, scope if body.function else '')
      for node in body.nodes
    }

    def moved(ref):
      if ref.startswith('^'):
        name = ref[1:]
        if name in inner:
          return '^' + inner[name]
        return '^' + bodies.name_of(now.get(name, name))
      ref = bodies.plain(ref)
      if ref in now:
        return now[ref]
      name, _, output = ref.partition(':')
      if name not in inner:
        return ref
      return '%s:%s' % (inner[name], output) if output else inner[name]

    for node in body.nodes:
      added = self._add(node, inner[node.name])
      added.input[:] = [moved(ref) for ref in node.input] or list(controls)
      if added.op.endswith('Enter'):  # Frames are told apart by their names.
        frame = prefix.encode() + added.attr['frame_name'].s
        added.attr['frame_name'].s = frame
      self._made[added.name] = body.function, node.name, scope
    return moved

  def _add(self, node, name: str) -> v1.NodeDef:
    added = self.graph_def.node.add()
    added.CopyFrom(node)
    added.name = name
    if '_class' in added.attr:
      del added.attr['_class']  # Whatever it is placed with has moved.
    self._nodes[name] = added
    return added

  def identity(self, name: str, ref: str, data_type: int) -> str:
    """Adds an op that hands on; returns a reference to it."""
    node = v1.NodeDef(op='Identity', input=[ref])
    node.attr['T'].type = data_type
    self._add(node, name)
    return name

  def replace(self, name: str, refs: Sequence[str], types: Sequence[int]):
    """Replaces a node by one that hands on values."""
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

  def part(self, tensors: set[str]) -> Unfolded:
    """Returns what some tensors take to compute, to be run only."""
    names = sorted({bodies.name_of(tensor) for tensor in tensors})
    part = v1.graph_util.extract_sub_graph(self.graph_def, names)
    left, old = {node.name for node in part.node}, self._captured
    return Unfolded(
      old.side,
      _Definition(part),
      {},
      {k: v for k, v in old.feeds.items() if bodies.name_of(k) in left},
      {},
      {k: v for k, v in old.variables.items() if k in left},
    )

  def capture(self, inputs=(), feeds=()) -> Unfolded:
    """Returns the changed graph as a capture.

    Args:
      inputs: (tensor, path) of further inputs.
      feeds: (tensor, value) of what else is fed.
    """
    graph = tf.Graph()
    with graph.as_default():
      tf.import_graph_def(self.graph_def, name='')
    old = self._captured
    return Unfolded(
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


def loops_among(
  captured: capture_lib.Capture, names: Sequence[str]
) -> list[bodies.Loop]:
  """Returns the loops that ops belong to, in order.

  Args:
    captured: the graph.
    names: While ops, ops in the frame of a v1 loop, and others.
  """
  writer, found = Writer(captured), {}
  frames = bodies.frames_of(writer.graph_def)
  owners = {}
  for loop in frames.values():
    owners.update((node.name, loop) for node in loop.body.nodes)
    owners.update((name, loop) for name in loop.exits)
  for name in names:
    node = writer.node(name)
    if node.op in bodies.WHILE:
      found[name] = bodies.while_loop(node, writer.functions)
    elif name in owners:
      found[owners[name].name] = owners[name]
  return list(found.values())


def turns(
  captured: capture_lib.Capture,
  loop: bodies.Loop,
  count: int,
  whole: bool = False,
  only: bool = False,
  given: dict[int, tuple[str, Any]] | None = None,
) -> Turns:
  """Writes out the first turns of a loop.

  Args:
    captured: the graph.
    loop: a loop of it.
    count: how many turns; what is left of the loop follows them.
    whole: whether nothing is left of it.
    only: whether all else is left out, the results included; the graph can be
      run then, and nothing else.
    given: for loop variables before the last turn, what they are called and
      their value (None for those without numbers); they are inputs then, and
      what leads to them is not looked at.

  Returns:
    The graph with the turns.
  """
  writer, inputs, feeds = Writer(captured), [], []
  variant = loop.variant
  numeric = [bodies.is_numeric(t) for t in loop.types]
  state, conditions, written = list(loop.initial), [], []
  controls = _controls(writer, loop)
  states = []

  def note():
    states.append(
      [
        tensor(ref) if ok and changes else ''
        for ref, ok, changes in zip(state, numeric, variant, strict=True)
      ]
    )

  for turn in range(count):
    if given and turn == count - 1:
      for i, (title, value) in given.items():
        name = '%s%s/argument_%d' % (_TURN % turn, loop.name, i)
        state[i] = writer.identity(name, state[i], loop.types[i])
        inputs.append((tensor(name), title))
        if value is not None:
          feeds.append((tensor(name), value))
    note()
    moved = writer.inline(
      loop.condition, _CONDITION % turn, loop.name, state, controls
    )
    conditions.append(tensor(moved(loop.condition.results[0])))
    moved = writer.inline(loop.body, _TURN % turn, loop.name, state, controls)
    written.append([tensor(moved(ref)) for ref in loop.body.written()])
    state = [moved(ref) for ref in loop.body.results]
  note()
  if only:
    names = {name for turn in (*states, *written) for name in turn if name}
    made = writer.part({*names, *conditions})
    return Turns(made, conditions, states, written)
  if whole:
    _leave(writer, loop, state)
  else:
    for (name, i), ref in zip(loop.readers, state, strict=True):
      writer.node(name).input[i] = ref
  made = writer.capture(inputs, feeds)
  return Turns(made, conditions, states, written)


def _controls(writer, loop) -> list[str]:
  name = loop.readers[0][0] if loop.readers else ''
  return [ref for ref in writer.node(name).input if ref.startswith('^')]


def _leave(writer, loop, state) -> None:
  if not loop.exits:
    writer.replace(loop.name, state, loop.types)
    return
  for name, ref, data_type in zip(loop.exits, state, loop.types, strict=True):
    if name:
      writer.replace(name, [ref], [data_type])


def tensor(ref: str) -> str:
  """Returns the name of the tensor that a reference is to."""
  return ref if ':' in ref else ref + ':0'


def branch_reader(node: v1.NodeDef) -> str:
  """Returns the tensor that tells which branch a node takes, '' if none."""
  if node.op in bodies.IF or node.op in bodies.CASE:
    return tensor(node.input[0])
  return ''


def taken(
  captured: capture_lib.Capture, choices: dict[str, Any]
) -> tuple[Unfolded, dict[str, str]]:
  """Writes out branches and calls.

  Args:
    captured: the graph.
    choices: for each If, Case or call, by name, the value that tells which
      branch it takes (None for a call).

  Returns:
    The graph, and for each If and Case the branch that it takes.
  """
  writer, names = Writer(captured), {}
  for name, value in choices.items():
    node = v1.NodeDef()
    node.CopyFrom(writer.node(name))
    arguments = [ref for ref in node.input if not ref.startswith('^')]
    controls = [ref for ref in node.input if ref.startswith('^')]
    if node.op in bodies.IF:
      key = 'then_branch' if bool(value) else 'else_branch'
      function, names[name] = node.attr[key].func.name, str(bool(value)).lower()
      arguments = arguments[1:]
    elif node.op in bodies.CASE:
      branches = node.attr['branches'].list.func
      # What is out of range takes the last branch.
      index = int(value) if 0 <= int(value) < len(branches) else -1
      function = branches[index].name
      names[name] = 'branch %d' % (index % len(branches))
      arguments = arguments[1:]
    else:
      function = node.attr['f'].func.name
    body = bodies.of_function(writer.functions[function], writer.functions)
    moved = writer.inline(body, _TAKEN, name, arguments, controls)
    writer.replace(
      name,
      [moved(ref) for ref in body.results],
      list(node.attr['Tout'].list.type),
    )
  return writer.capture(), names


def pruned(captured: capture_lib.Capture, values: dict[str, bool]) -> Unfolded:
  """Takes away the branches of v1 conditionals that do not run.

  Args:
    captured: the graph.
    values: the predicate of each Switch, by its name.

  Returns:
    The graph, in which those Switch and Merge ops hand on what is taken.
  """
  writer = Writer(captured)
  dead: set[str] = set()
  for node in _topological(writer.graph_def):
    name = node.name
    if name in values:
      dead.add('%s:%d' % (name, 0 if values[name] else 1))
      continue
    refs = [bodies.plain(r) for r in node.input]
    if node.op in ('Merge', 'RefMerge') and not any(
      'NextIteration' in writer.node(bodies.name_of(r)).op for r in refs
    ):
      alive = [i for i, r in enumerate(refs) if not _is_dead(r, dead)]
      if alive and len(alive) < len(refs):
        index = alive[0]
        which = writer.constant('%s/tf_equiv_index' % name, index)
        types = [node.attr['T'].type, tf.int32.as_datatype_enum]
        writer.replace(name, [refs[index], which], types)
      elif not alive:
        dead.add(name)
    elif any(_is_dead(r, dead) for r in refs):
      dead.add(name)
  for name in values:
    node = writer.node(name)
    types = [node.attr['T'].type] * 2
    data = node.input[0]
    writer.replace(name, [data, data], types)
  writer.remove({name for name in dead if ':' not in name})
  return writer.capture()


def _is_dead(ref: str, dead: set[str]) -> bool:
  name = bodies.name_of(ref)
  if name in dead:
    return True
  return not ref.startswith('^') and (
    (ref if ':' in ref else ref + ':0') in dead
  )


def _topological(graph_def) -> list[v1.NodeDef]:
  nodes = {node.name: node for node in graph_def.node}
  done, order = set(), []
  for first in list(graph_def.node):
    pending = [first.name]
    while pending:
      node = nodes[pending[-1]]
      before = [
        bodies.name_of(ref)
        for ref in node.input
        if nodes[bodies.name_of(ref)].op != 'NextIteration'
      ]
      missing = [name for name in before if name not in done]
      if missing:
        pending.extend(missing)
        continue
      pending.pop()
      if node.name not in done:
        done.add(node.name)
        order.append(node)
  return order
