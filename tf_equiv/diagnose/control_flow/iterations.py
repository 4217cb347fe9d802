"""Walks through the turns of two loops, and finds the first that differs."""

import dataclasses

import numpy as np

from tf_equiv.diagnose import replay, sketches
from tf_equiv.diagnose.control_flow import functions, inlining, unrolling
from tf_equiv.tf1.capture import capture

# So many turns are written out, the next number where all before agree.
_STAGES = (8, 64, 512)
# Ops that are written out at most.
_MAX_OPS = 12000


@dataclasses.dataclass
class Walk:
  """What a loop holds after each turn.

  Attributes:
    count: how many turns it makes; None if it does not count them, and makes
      more than were walked.
    states: for each turn, the loop variables before it, and the last ones; None
      for those that are not compared.
    written: for each turn, what it writes into lists.
  """

  count: int | None
  states: list[list[np.ndarray | None]]
  written: list[list[np.ndarray]]

  def tracks(self) -> dict[tuple[str, int], list[np.ndarray]]:
    """Returns what each turn leaves, by ('state' or 'written', position)."""
    found = {}
    for i in range(len(self.states[0])):
      if self.states[0][i] is not None:
        found['state', i] = [state[i] for state in self.states[1:]]
    if self.written:
      for i in range(len(self.written[0])):
        found['written', i] = [written[i] for written in self.written]
    return found


def stages(*loops: functions.Loop) -> list[int]:
  """Returns how many turns of loops to walk, first few, then more."""
  most = _MAX_OPS // max(1, *(len(loop.body.nodes) for loop in loops))
  return sorted({max(1, min(length, most)) for length in _STAGES})


def total(
  captured: capture.Capture, loop: functions.Loop, fixed: dict[str, np.ndarray]
) -> int | None:
  """Returns how many turns a loop makes, None if it does not count them.

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


def walk(
  captured: capture.Capture,
  loop: functions.Loop,
  fixed: dict[str, np.ndarray],
  length: int,
  count: int | None,
) -> Walk:
  """Runs turns of a loop in double precision and keeps what it holds.

  Args:
    captured: the graph.
    loop: a loop of it.
    fixed: values of the random draws before it, by name of the tensor.
    length: how many turns to run at most.
    count: how many turns it makes, None if that is not known.

  Returns:
    What it holds after each turn.
  """
  if count is not None:
    length = min(length, count)
  written_out = unrolling.unroll(captured, loop, max(1, length), only=True)
  with replay.Replay(written_out.capture, double=True) as run:
    run.fix(fixed)
    if count is None:
      count = _count(run, written_out.conditions)
      length = length if count is None else count
    return _observed(run, written_out, count, length)


def _count(run, conditions) -> int | None:
  """Returns how many turns run, None if all that are written out do."""
  known, size = 0, 1
  while known < len(conditions):
    part = conditions[known : known + size]
    try:
      values = run.fetch(part)
    except Exception:  # A turn that does not run may read what is not there.
      if size == 1:
        return known
      size = 1
      continue
    for i, value in enumerate(values):
      if not bool(value):
        return known + i
    known, size = known + len(part), size * 2
  return None


def _observed(run, written_out, count, length) -> Walk:
  states = written_out.states[: length + 1]
  written = written_out.written[:length]
  names = {name for turn in (*states, *written) for name in turn if name}
  names = sorted(names)
  values = dict(zip(names, run.fetch(names), strict=True))
  return Walk(
    count,
    [[values.get(name) for name in state] for state in states],
    [[values[name] for name in turn] for turn in written],
  )


def suspects(first: Walk, second: Walk, tolerance: float) -> list[int]:
  """Returns the turns that may be the first to differ, counted from 0.

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


def _pairs(first, second, tolerance):
  """Pairs what two loops hold; yields (key, key, number of equal turns)."""
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


def _agreement(track, other, tolerance):
  length, gap = 0, 0.0
  for a, b in zip(track, other, strict=False):
    gap = sketches.distance(a, b)
    if not gap <= tolerance:
      break
    length += 1
  return length, gap


def at(captures, loops, walks, turn: int, tolerance: float):
  """Writes out a turn of two loops.

  Args:
    captures: the graph of each side.
    loops: its loop.
    walks: what that holds.
    turn: number of the turn, counted from 0.
    tolerance: up to which values are equal.

  Returns:
    The captures. What the turn begins with are inputs there.
  """
  given = [{}, {}]
  if turn:
    titles = [_titles(walks, turn, tolerance, loops, side) for side in (0, 1)]
    given = [
      {i: (title, walk.states[turn][i]) for i, title in titles[side].items()}
      for side, walk in enumerate(walks)
    ]
  return tuple(
    unrolling.unroll(captured, loop, turn + 1, given=mine).capture
    for captured, loop, mine in zip(captures, loops, given, strict=True)
  )


def _titles(walks, turn, tolerance, loops, side) -> dict[int, str]:
  """Names the loop variables of a side, those that correspond alike."""
  tracks = [
    {
      key: values[:turn]
      for key, values in walk.tracks().items()
      if key[0] == 'state'
    }
    for walk in walks
  ]
  names = {}
  for a, b, length in _pairs(*tracks, tolerance):
    if length == turn:
      names[(a, b)[side][1]] = f' of the iteration ({a[1]})'
  lists = 0
  for i, changes in enumerate(loops[side].variant):
    if changes and i not in names:
      if walks[side].states[turn][i] is None:
        names[i], lists = f' of the iteration (list {lists})', lists + 1
      else:
        names[i] = f' of the iteration ({("TF1", "TF2")[side]}, {i})'
  return names
