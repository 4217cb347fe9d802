"""Traces the iterations of two loops, and finds the first that differs."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.diagnose import replay, sketches
from tf_equiv.diagnose.control_flow import functions, inlining, unrolling
from tf_equiv.tf1.capture import capture

Key = tuple[str, int]
Tracks = Mapping[Key, Sequence[np.ndarray]]

# So many iterations are inlined, the next number where all before agree.
_STAGES = (8, 64, 512)
# Ops that are inlined at most.
_MAX_OPS = 12000


@dataclasses.dataclass
class Trace:
  """What a loop holds after each iteration.

  Attributes:
    count: how many iterations it has; None if it does not count them, and has
      more than were traced.
    states: for each iteration, the loop variables before it, and the last ones;
      None for those that are not compared.
    written: for each iteration, what it writes into lists.
  """

  count: int | None
  states: list[list[np.ndarray | None]]
  written: list[list[np.ndarray]]

  def tracks(self) -> dict[Key, list[np.ndarray]]:
    """Returns what iterations leave, by ('state' or 'written', position)."""
    found = {}
    for i in range(len(self.states[0])):
      if self.states[0][i] is not None:
        found['state', i] = [state[i] for state in self.states[1:]]
    if self.written:
      for i in range(len(self.written[0])):
        found['written', i] = [written[i] for written in self.written]
    return found


def stages(*loops: functions.Loop) -> list[int]:
  """Returns how many iterations of loops to trace, first few, then more."""
  most = _MAX_OPS // max(1, *(len(loop.body.nodes) for loop in loops))
  return sorted({max(1, min(length, most)) for length in _STAGES})


def count(
  captured: capture.Capture, loop: functions.Loop, fixed: dict[str, np.ndarray]
) -> int | None:
  """Returns how many iterations a loop has, None if it does not count them.

  Args:
    captured: the graph.
    loop: a loop of it.
    fixed: values of the random draws before it, by name of the tensor.
  """
  counter = loop.counter
  if counter is None or not loop.final(counter):
    return None
  tensors = [inlining.tensor(loop.initial[counter]), loop.final(counter)]
  with replay.Replay(captured, double=True) as run:
    run.fix(fixed)
    first, last = run.fetch(tensors)
  return int(last) - int(first)


def trace(
  captured: capture.Capture,
  loop: functions.Loop,
  fixed: dict[str, np.ndarray],
  length: int,
  count: int | None,
) -> Trace:
  """Runs iterations of a loop in double precision and keeps what it holds.

  Args:
    captured: the graph.
    loop: a loop of it.
    fixed: values of the random draws before it, by name of the tensor.
    length: how many iterations to run at most.
    count: how many it has, None if that is not known.

  Returns:
    What it holds after each iteration.
  """
  if count is not None:
    length = min(length, count)
  unrolled = unrolling.unroll(captured, loop, max(1, length), only=True)
  with replay.Replay(unrolled.capture, double=True) as run:
    run.fix(fixed)
    if count is None:
      count = _count(run, unrolled.conditions)
      length = length if count is None else count
    return _observed(run, unrolled, count, length)


def _count(run: replay.Replay, conditions: Sequence[str]) -> int | None:
  """Returns how many iterations run, None if all that are inlined do."""
  known, size = 0, 1
  while known < len(conditions):
    some = conditions[known : known + size]
    try:
      values = run.fetch(some)
    except Exception:  # One that does not run may read what is not there.
      if size == 1:
        return known
      size = 1
      continue
    for i, value in enumerate(values):
      if not bool(value):
        return known + i
    known, size = known + len(some), size * 2
  return None


def _observed(
  run: replay.Replay,
  unrolled: unrolling.Unrolled,
  count: int | None,
  length: int,
) -> Trace:
  states = unrolled.states[: length + 1]
  written = unrolled.written[:length]
  names = {name for each in (*states, *written) for name in each if name}
  names = sorted(names)
  values = dict(zip(names, run.fetch(names), strict=True))
  return Trace(
    count,
    [[values.get(name) for name in state] for state in states],
    [[values[name] for name in each] for each in written],
  )


def suspects(first: Trace, second: Trace, tolerance: float) -> list[int]:
  """Returns the iterations that may be the first to differ, counted from 0.

  Which loop variable of one side is which of the other is not known, and
  found by how long they agree.
  """
  return sorted(
    {
      length
      for _, _, length in _pairs(first.tracks(), second.tracks(), tolerance)
      if length < min(len(first.written), len(second.written))
    }
  )


def _pairs(
  first: Tracks, second: Tracks, tolerance: float
) -> list[tuple[Key, Key, int]]:
  """Pairs what two loops hold.

  Returns:
    (key, key, number of equal iterations) of each pair.
  """
  sketcher = sketches.Sketcher()
  mine, theirs = (
    {key: [sketcher.sketch(x) for x in track] for key, track in side.items()}
    for side in (first, second)
  )
  scored = []
  for i, (a, track) in enumerate(mine.items()):
    for j, (b, other) in enumerate(theirs.items()):
      if not track or not other or track[0].shape != other[0].shape:
        continue
      length, gap = _agreement(track, other, tolerance)
      scored.append((-length, a[0] != b[0], gap, abs(i - j), a, b))
  used, pairs = set(), []
  for length, _, _, _, a, b in sorted(scored):
    if (0, a) not in used and (1, b) not in used:
      used |= {(0, a), (1, b)}
      pairs.append((a, b, -length))
  return pairs


def _agreement(
  track: Sequence[sketches.Sketch],
  other: Sequence[sketches.Sketch],
  tolerance: float,
) -> tuple[int, float]:
  """Returns how many iterations agree, and how far the next one is off."""
  length, gap = 0, 0.0
  for a, b in zip(track, other, strict=False):
    gap = sketches.distance(a, b)
    if not gap <= tolerance:
      break
    length += 1
  return length, gap


def inline(
  captures: Sequence[capture.Capture],
  loops: Sequence[functions.Loop],
  traces: Sequence[Trace],
  iteration: int,
  tolerance: float,
) -> tuple[inlining.InlinedCapture, inlining.InlinedCapture]:
  """Inlines an iteration of two loops.

  Args:
    captures: the graph of each side.
    loops: its loop.
    traces: what that holds.
    iteration: its number, counted from 0.
    tolerance: up to which values are equal.

  Returns:
    The captures. What the iteration begins with are inputs there.
  """
  given = [{}, {}]
  if iteration:
    titles = [
      _titles(traces, iteration, tolerance, loops, side) for side in (0, 1)
    ]
    given = [
      {
        i: (title, each.states[iteration][i])
        for i, title in titles[side].items()
      }
      for side, each in enumerate(traces)
    ]
  return tuple(
    unrolling.unroll(captured, loop, iteration + 1, given=mine).capture
    for captured, loop, mine in zip(captures, loops, given, strict=True)
  )


def _titles(
  traces: Sequence[Trace],
  iteration: int,
  tolerance: float,
  loops: Sequence[functions.Loop],
  side: int,
) -> dict[int, str]:
  """Names the loop variables of a side, those that correspond alike."""
  tracks = [
    {
      key: values[:iteration]
      for key, values in each.tracks().items()
      if key[0] == 'state'
    }
    for each in traces
  ]
  names = {}
  for a, b, length in _pairs(*tracks, tolerance):  # type: ignore[call-arg]
    if length == iteration:
      names[(a, b)[side][1]] = f' of the iteration ({a[1]})'
  lists = 0
  for i, changes in enumerate(loops[side].variant):
    if changes and i not in names:
      if traces[side].states[iteration][i] is None:
        names[i], lists = f' of the iteration (list {lists})', lists + 1
      else:
        names[i] = f' of the iteration ({("TF1", "TF2")[side]}, {i})'
  return names
