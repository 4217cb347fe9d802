"""Writes out turns of a loop in line."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tf_equiv.locate import bodies, frames, unfold
from tf_equiv.tf1 import capture as capture_lib


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

  capture: unfold.Unfolded
  conditions: list[str]
  states: list[list[str]]
  written: list[list[str]]


def loops_among(
  captured: capture_lib.Capture, names: Sequence[str]
) -> list[bodies.Loop]:
  """Returns the loops that ops belong to, in order.

  Args:
    captured: the graph.
    names: While ops, ops in the frame of a v1 loop, and others.
  """
  writer, found, owners = unfold.Writer(captured), {}, {}
  for loop in frames.frames_of(writer.graph_def).values():
    owners.update((node.name, loop) for node in loop.body.nodes)
    owners.update((name, loop) for name in loop.exits)
  for name in names:
    node = writer.node(name)
    if node.op in bodies.WHILE:
      found[name] = bodies.while_loop(node, writer.functions)
    elif name in owners:
      found[owners[name].name] = owners[name]
  return list(found.values())


def unroll(
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
  writer, inputs, feeds = unfold.Writer(captured), [], []
  variant = loop.variant
  numeric = [bodies.is_numeric(t) for t in loop.types]
  state, conditions, written = list(loop.initial), [], []
  controls = _controls(writer, loop)
  states = []

  def note():
    states.append(
      [
        unfold.tensor(ref) if ok and changes else ''
        for ref, ok, changes in zip(state, numeric, variant, strict=True)
      ]
    )

  for turn in range(count):
    if given and turn == count - 1:
      for i, (title, value) in given.items():
        name = '%s%s/argument_%d' % (unfold.TURN % turn, loop.name, i)
        state[i] = writer.identity(name, state[i], loop.types[i])
        inputs.append((unfold.tensor(name), title))
        if value is not None:
          feeds.append((unfold.tensor(name), value))
    note()
    moved = writer.inline(
      loop.condition, unfold.CONDITION % turn, loop.name, state, controls
    )
    conditions.append(unfold.tensor(moved(loop.condition.results[0])))
    moved = writer.inline(
      loop.body, unfold.TURN % turn, loop.name, state, controls
    )
    written.append([unfold.tensor(moved(ref)) for ref in loop.body.written()])
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
