"""Writes out turns of a loop in line."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tf_equiv.diagnose.control_flow import functions, inlining, v1_frames
from tf_equiv.tf1.capture import capture as capture_lib


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

  capture: inlining.Unfolded
  conditions: list[str]
  states: list[list[str]]
  written: list[list[str]]


def loops_among(
  captured: capture_lib.Capture, names: Sequence[str]
) -> list[functions.Loop]:
  """Returns the loops that ops belong to, in order.

  Args:
    captured: the graph.
    names: While ops, ops in the frame of a v1 loop, and others.
  """
  writer, found, owners = inlining.Writer(captured), {}, {}
  for loop in v1_frames.frames_of(writer.graph_def).values():
    owners.update((node.name, loop) for node in loop.body.nodes)
    owners.update((name, loop) for name in loop.exits)
  for name in names:
    node = writer.node(name)
    if node.op in functions.WHILE:
      found[name] = functions.while_loop(node, writer.functions)
    elif name in owners:
      found[owners[name].name] = owners[name]
  return list(found.values())


def unroll(
  captured: capture_lib.Capture,
  loop: functions.Loop,
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
  writer, inputs, feeds = inlining.Writer(captured), [], []
  variant = loop.variant
  numeric = [functions.is_numeric(t) for t in loop.types]
  state, conditions, written = list(loop.initial), [], []
  controls = _controls(writer, loop)
  states = []

  def note():
    states.append(
      [
        inlining.tensor(ref) if ok and changes else ''
        for ref, ok, changes in zip(state, numeric, variant, strict=True)
      ]
    )

  for turn in range(count):
    if given and turn == count - 1:
      for i, (title, value) in given.items():
        name = f'{inlining.TURN % turn}{loop.name}/argument_{i}'
        state[i] = writer.identity(name, state[i], loop.types[i])
        inputs.append((inlining.tensor(name), title))
        if value is not None:
          feeds.append((inlining.tensor(name), value))
    note()
    moved = writer.inline(
      loop.condition, inlining.CONDITION % turn, loop.name, state, controls
    )
    conditions.append(inlining.tensor(moved(loop.condition.results[0])))
    moved = writer.inline(
      loop.body, inlining.TURN % turn, loop.name, state, controls
    )
    written.append([inlining.tensor(moved(ref)) for ref in loop.body.written()])
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
