"""Looks into the first iteration in which two loops differ."""

from collections.abc import Sequence

from tf_equiv.compare import difference
from tf_equiv.diagnose.control_flow import (
  functions,
  inlining,
  iterations,
  level,
  unrolling,
)
from tf_equiv.diagnose.result import Result

# So many iterations are tried.
_MAX_TRIED = 3
# A loop that the other side has not is unrolled up to this many ops.
_MAX_UNROLLED = 3000

Loops = Sequence[functions.Loop]


def descend(
  result: Result,
  captures: level.Captures,
  search: level.Search,
  entered: set,
) -> level.Level | None:
  """Looks into the loops before a divergence, each with its counterpart.

  Args:
    result: what was found.
    captures: the graphs in which it was found.
    search: finds where two captures diverge.
    entered: loops that were looked into before; new ones are added.

  Returns:
    What is found there; None if there is no loop to look into.
  """
  loops = [_loops(result, captures, side) for side in (0, 1)]
  for gradients in (False, True):
    pairs = zip(
      *([x for x in some if _is_gradient(x) == gradients] for some in loops),
      strict=False,
    )
    for pair in pairs:
      names = tuple(loop.name for loop in pair)
      if names not in entered:
        entered.add(names)
        found = _into_both(result, captures, pair, search)
        if found is not None:
          return found
  for side in (0, 1):
    for loop in loops[side]:
      if loops[1 - side] or _is_gradient(loop):
        break
      if not result.alignment.has_equals(side, [loop.name, *loop.exits]):
        entered.add(loop.name)
        return _into_one(result, captures, side, loop, search)
  return None


def _loops(result: Result, captures: level.Captures, side: int) -> Loops:
  names = [
    node.name
    for node in level.region(result, side)
    if node.op_type in (*functions.WHILE, 'Exit') or node.nested
  ]
  return unrolling.loops_among(captures[side], names) if names else []


def _is_gradient(loop: functions.Loop) -> bool:
  return 'grad' in loop.name


def _into_both(
  result: Result, captures: level.Captures, loops: Loops, search: level.Search
) -> level.Level | None:
  """Looks into the first iteration after which two loops differ."""
  arguments = list(zip(captures, loops, result.fixed, strict=True))
  counts = [iterations.count(*each) for each in arguments]
  tolerance, tried = result.alignment.tolerance, set()
  for length in iterations.stages(*loops):
    traces = [
      iterations.trace(*each, length, count)
      for each, count in zip(arguments, counts, strict=True)
    ]
    counts = [trace.count for trace in traces]
    for i in iterations.suspects(*traces, tolerance):  # type: ignore[call-arg]
      if i in tried or len(tried) == _MAX_TRIED:
        continue
      tried.add(i)
      new = iterations.inline(captures, loops, traces, i, tolerance)
      again = search(*new)
      if again.frontier is not None and _is_in_iteration(again, i, loops):
        return level.Level(new, again, _in_iteration(i, loops, counts))
    if any(count is not None and count <= length for count in counts):
      break
  if None not in counts and counts[0] != counts[1]:
    result.divergence.differences.insert(
      0, difference.Difference(difference.Kind.ITERATIONS, '', *counts)
    )
  return None


def _is_in_iteration(result: Result, iteration: int, loops: Loops) -> bool:
  """Returns whether a divergence is in an iteration, and not after it."""
  front = result.frontier
  nodes = [front.tf1, front.tf2]
  if not _is_gradient(loops[0]):  # Their ops are written in many ways.
    nodes += [*front.only_tf1, *front.only_tf2]
  return any(inlining.iteration_of(n.name) == iteration + 1 for n in nodes)


def _in_iteration(
  iteration: int, loops: Loops, counts: Sequence[int | None]
) -> str:
  names = [inlining.original_name(loop.name) for loop in loops]
  totals = ['' if count is None else f' of {count}' for count in counts]
  if totals[0] == totals[1]:
    start = f'in iteration {iteration + 1}{totals[0]} of'
    if names[0] == names[1]:
      return f'{start} {names[0]}'
    return f'{start} TF1 {names[0]}, TF2 {names[1]}'
  return (
    f'in iteration {iteration + 1} (TF1 {names[0]}{totals[0]}, TF2 '
    f'{names[1]}{totals[1]})'
  )


def _into_one(
  result: Result,
  captures: level.Captures,
  side: int,
  loop: functions.Loop,
  search: level.Search,
) -> level.Level | None:
  """Unrolls all of a loop that the other side has in another form."""
  captured, fixed = captures[side], result.fixed[side]
  count = iterations.count(captured, loop, fixed)
  if count is None:
    length = iterations.stages(loop)[-1]
    count = iterations.trace(captured, loop, fixed, length, None).count
  if count is None or count * len(loop.body.nodes) > _MAX_UNROLLED:
    return None
  new = list(captures)
  new[side] = unrolling.unroll(captured, loop, count, whole=True).capture
  again = search(*new)
  if again.frontier is None:
    return None
  node = (again.frontier.tf1, again.frontier.tf2)[side]
  iteration = inlining.iteration_of(node.name)
  text = ''
  if iteration is not None:
    text = (
      f'in iteration {iteration} of {count} of {level.SIDES[side]} '
      f'{inlining.original_name(loop.name)}, which {level.SIDES[1 - side]} '
      'computes without a loop'
    )
  return level.Level(tuple(new), again, text)
