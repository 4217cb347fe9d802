"""Looks inside of loops, branches and calls for the op at fault.

Where the first divergence is in a loop or a branch, its body is written out in
line, and the graphs are searched again: the branch that is taken, and of a
loop the first turn that ends with other values.
"""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import replay
from tf_equiv.diagnose.control_flow import (
  branches,
  functions,
  inlining,
  iterations,
  unrolling,
  v1_frames,
)
from tf_equiv.diagnose.rules import mistakes, recurrent
from tf_equiv.tf1.capture import capture

_log = logging.getLogger('tf_equiv')
_SIDES = ('TF1', 'TF2')
# So deep are control structures looked into, and so many turns are tried.
_DEEPEST, _MAX_TRIED = 8, 3
# Ops that put the outputs of the turns of a loop together.
_STACKS = ('TensorListStack', 'TensorArrayGatherV3')
# A loop that the other side has not is written out up to this many ops.
_MAX_WRITTEN = 3000

Captures = tuple[capture.Capture, capture.Capture]


@dataclasses.dataclass
class _Step:
  """One level further inside.

  Attributes:
    captures: the graphs with what was written out.
    found: where they part.
    text: what was looked into.
  """

  captures: Captures
  found: Any
  text: str


def look(found: Any, captures: Captures, search: Callable) -> Any:
  """Goes on inside of the loop or branch in which two graphs part.

  Args:
    found: the `finder.Found` of the two graphs.
    captures: the graphs.
    search: finds where two captures part; returns a `finder.Found`.

  Returns:
    What was found inside, or what was given where nothing more can be said.
  """
  texts, outer, entered, problem = [], found, set(), ''
  for _ in range(_DEEPEST):
    if found.frontier is None:
      break
    try:
      step = _into_branches(found, captures, search)
      step = step or _into_loops(found, captures, search, entered)
    except Exception as error:  # Graphs of users may hold anything.
      _log.info('looking inside failed', exc_info=True)
      lines = str(error).strip().splitlines()
      problem = (
        f'it could not be looked inside ({type(error).__name__}: '
        f'{lines[0] if lines else ""})'
      )
      break
    if step is None:
      break
    if step.text:
      texts.append(step.text)
    captures, found = step.captures, step.found
  if found.divergence is not None and problem:
    found.divergence.note = problem
  if entered:
    _name_step(found, captures)
  if found is outer:
    return outer
  _let_lone_ops_speak(found)
  _clean(found.divergence)
  if texts:
    found.divergence.differences.insert(0, ', '.join(reversed(texts)))
  _keep_evidence(found.divergence, outer.divergence)
  return dataclasses.replace(
    outer, divergence=found.divergence, frontier=found.frontier
  )


def _name_step(found, captures) -> None:
  """Says at which step the outputs of a loop part that was not seen inside."""
  front, alignment = found.frontier, found.alignment
  if not all(isinstance(each, capture.Capture) for each in captures):
    return
  if any(inlining.turn_of(node.name) for node in (front.tf1, front.tf2)):
    return
  for name, node in found.graphs[0].nodes.items():
    gap = alignment.distance(name) if node.op_type in _STACKS else None
    if gap is None or not alignment.tolerance < gap < np.inf:
      continue
    other = found.graphs[1].nodes[alignment.pairs[name]]
    mine, theirs = (
      _fetch(captured, [each.outputs[0]], fixed)[each.outputs[0]]
      for captured, each, fixed in zip(
        captures, (node, other), found.fixed, strict=True
      )
    )
    gaps = np.abs(mine - theirs).reshape(len(mine), -1).max(axis=1)
    apart = gaps > alignment.tolerance * max(np.abs(mine).max(), 1e-300)
    found.divergence.differences.insert(
      0,
      'the outputs of the loop first differ at step '
      f'{int(np.argmax(apart)) + 1} of {len(mine)}',
    )
    return


def _region(found, captures, side: int) -> list[graph_lib.Node]:
  """Nodes from the last agreement up to where the sides part, in order."""
  graph, alignment = found.graphs[side], found.alignment
  node = (found.frontier.tf1, found.frontier.tf2)[side]
  agreeing = {name for name in alignment.pairs if alignment.agrees(name)}
  if side:
    agreeing = {alignment.pairs[name] for name in agreeing}
  pending, seen = [node.name], set()
  while pending:
    name = pending.pop()
    if name not in seen:
      seen.add(name)
      pending += [p for p in graph.nodes[name].parents if p not in agreeing]
  return [node for name, node in graph.nodes.items() if name in seen]


def _into_branches(found, captures, search) -> _Step | None:
  """Writes out the branches that are taken, and calls."""
  new, texts = list(captures), []
  for side in (0, 1):
    if not isinstance(captures[side], capture.Capture):
      continue  # What was recorded as it ran has no control flow.
    nodes = _region(found, captures, side)
    made, text = _taken(captures[side], nodes, found.fixed[side])
    if made is not None:
      new[side] = made
      texts += [f'{_SIDES[side]} {text}'] if text else []
  if new == list(captures):
    return None
  again = search(*new)
  if again.divergence is None or again.frontier is None:
    return None
  text = f'in the branch that is taken ({"; ".join(texts)})' if texts else ''
  return _Step(tuple(new), again, text)


def _taken(captured, nodes, fixed):
  """Returns the capture with branches of a region written out, if it has any.

  Returns:
    (capture or None, which branches are taken).
  """
  names = [
    node.name
    for node in nodes
    if node.op_type in functions.IF + functions.CASE + functions.CALL
  ]
  in_v1 = any(node.nested or node.op_type == 'Merge' for node in nodes)
  if not names and not in_v1:
    return None, ''
  graph_def = captured.graph.as_graph_def()
  known = {node.name: node for node in graph_def.node}
  if names:
    readers = {name: branches.reader_of(known[name]) for name in names}
    values = _fetch(captured, sorted(set(readers.values()) - {''}), fixed)
    choices = {name: values.get(readers[name]) for name in names}
    made, ways = branches.taken(captured, choices)
    return made, ', '.join(
      f'{inlining.original_name(name)}: {way}' for name, way in ways.items()
    )
  if in_v1:
    hidden = v1_frames.nested(captured.graph.get_operations())
    switches = {  # The inner ones follow when the outer ones are gone.
      name: ref
      for name, ref in v1_frames.predicates(graph_def).items()
      if functions.name_of(ref) not in hidden
    }
    if switches:
      tensors = sorted({inlining.tensor(ref) for ref in switches.values()})
      values = _fetch(captured, tensors, fixed)
      chosen = {
        name: bool(values[inlining.tensor(ref)])
        for name, ref in switches.items()
      }
      made = branches.pruned(captured, chosen)
      return made, ', '.join(
        f'{inlining.original_name(name)}: {str(chosen[switch]).lower()}'
        for name, switch in sorted(_conditionals(known, switches).items())
        if any(node.name.startswith(name + '/') for node in nodes)
      )
  return None, ''


def _fetch(captured, tensors, fixed):
  if not tensors:
    return {}
  with replay.Replay(captured, double=True) as run:
    run.fix(fixed)
    return dict(zip(tensors, run.fetch(tensors), strict=True))


def _into_loops(found, captures, search, entered) -> _Step | None:
  """Looks into the loops on the way, each with its counterpart."""
  loops = [_loops(found, captures, side) for side in (0, 1)]
  for gradients in (False, True):
    pairs = zip(
      *([x for x in some if _is_gradient(x) == gradients] for some in loops),
      strict=False,
    )
    for pair in pairs:
      names = tuple(loop.name for loop in pair)
      if names not in entered:
        entered.add(names)
        step = _into_both(found, captures, pair, search)
        if step is not None:
          return step
  for side in (0, 1):
    for loop in loops[side]:
      if loops[1 - side] or _is_gradient(loop):
        break
      if not found.alignment.has_equals(side, [loop.name, *loop.exits]):
        entered.add(loop.name)
        return _into_one(found, captures, side, loop, search)
  return None


def _loops(found, captures, side: int) -> list[functions.Loop]:
  names = [
    node.name
    for node in _region(found, captures, side)
    if node.op_type in (*functions.WHILE, 'Exit') or node.nested
  ]
  return unrolling.loops_among(captures[side], names) if names else []


def _is_gradient(loop: functions.Loop) -> bool:
  return 'grad' in loop.name


def _into_both(found, captures, loops, search) -> _Step | None:
  """Looks into the first turn after which two loops hold other values."""
  arguments = list(zip(captures, loops, found.fixed, strict=True))
  counts = [iterations.total(*each) for each in arguments]
  tolerance, tried = found.alignment.tolerance, set()
  for length in iterations.stages(*loops):
    walks = [
      iterations.walk(*each, length, count)
      for each, count in zip(arguments, counts, strict=True)
    ]
    counts = [walk.count for walk in walks]
    for turn in iterations.suspects(*walks, tolerance):
      if turn in tried or len(tried) == _MAX_TRIED:
        continue
      tried.add(turn)
      new = iterations.at(captures, loops, walks, turn, tolerance)
      again = search(*new)
      if again.frontier is not None and _is_in_turn(again, turn, loops):
        return _Step(new, again, _in_turn(turn, loops, counts))
    if any(count is not None and count <= length for count in counts):
      break
  if None not in counts and counts[0] != counts[1]:
    found.divergence.differences.insert(
      0, 'iterations of the loop: TF1 %d, TF2 %d' % tuple(counts)
    )
  return None


def _is_in_turn(found, turn, loops) -> bool:
  """Tells whether what was found is in a turn, and not behind it."""
  front = found.frontier
  nodes = [front.tf1, front.tf2]
  if not _is_gradient(loops[0]):  # Their ops are written in many ways.
    nodes += [*front.only_tf1, *front.only_tf2]
  return any(inlining.turn_of(node.name) == turn + 1 for node in nodes)


def _let_lone_ops_speak(found) -> None:
  """Names the last op of each side where the pair is what is left of a loop."""
  front, place = found.frontier, found.divergence
  if any(inlining.turn_of(node.name) for node in (front.tf1, front.tf2)):
    return
  if any(inlining.turn_of(n.name) for n in (*front.only_tf1, *front.only_tf2)):
    place.tf1 = place.only_tf1.pop() if place.only_tf1 else place.tf1
    place.tf2 = place.only_tf2.pop() if place.only_tf2 else place.tf2
    place.comparison = None


def _in_turn(turn, loops, counts) -> str:
  names = [inlining.original_name(loop.name) for loop in loops]
  counts = ['' if count is None else f' of {count}' for count in counts]
  if counts[0] == counts[1]:
    if names[0] == names[1]:
      return f'in iteration {turn + 1}{counts[0]} of {names[0]}'
    return 'in iteration %d%s of TF1 %s, TF2 %s' % (turn + 1, counts[0], *names)
  return (
    f'in iteration {turn + 1} (TF1 {names[0]}{counts[0]}, TF2 '
    f'{names[1]}{counts[1]})'
  )


def _into_one(found, captures, side, loop, search) -> _Step | None:
  """Writes out all of a loop that the other side has in another form."""
  count = iterations.total(captures[side], loop, found.fixed[side])
  if count is None:
    length = iterations.stages(loop)[-1]
    walk = iterations.walk(
      captures[side], loop, found.fixed[side], length, None
    )
    count = walk.count
  if count is None or count * len(loop.body.nodes) > _MAX_WRITTEN:
    return None
  new = list(captures)
  new[side] = unrolling.unroll(captures[side], loop, count, whole=True).capture
  again = search(*new)
  if again.frontier is None:
    return None
  node = (again.frontier.tf1, again.frontier.tf2)[side]
  turn = inlining.turn_of(node.name)
  text = ''
  if turn is not None:
    text = (
      f'in iteration {turn} of {count} of {_SIDES[side]} '
      f'{inlining.original_name(loop.name)}, which {_SIDES[1 - side]} '
      'computes without a loop'
    )
  return _Step(tuple(new), again, text)


def _conditionals(known, switches) -> dict[str, str]:
  """Returns the Switch of the predicate itself, by name of the conditional."""
  return {
    name.rpartition('/')[0]: name
    for name, predicate in switches.items()
    if known[name].input[0] == predicate
  }


def _clean(found: divergence.Divergence) -> None:
  """Gives ops the names that they had before they were written out."""
  for each in (found, *found.others):
    each.tf1, each.tf2 = _renamed(each.tf1), _renamed(each.tf2)
    each.only_tf1 = [_renamed(place) for place in each.only_tf1]
    each.only_tf2 = [_renamed(place) for place in each.only_tf2]
    lines = [inlining.original_name(line) for line in each.differences]
    each.differences = list(dict.fromkeys(lines))
    if each.comparison is not None:
      each.comparison = dataclasses.replace(
        each.comparison, name=inlining.original_name(each.comparison.name)
      )
  found.layers = [
    dataclasses.replace(
      layer, tf1=_with_turn(layer.tf1), tf2=_with_turn(layer.tf2)
    )
    for layer in found.layers
  ]


def _renamed(place: divergence.Place | None) -> divergence.Place | None:
  if place is None:
    return None
  return dataclasses.replace(place, name=inlining.original_name(place.name))


def _with_turn(name: str) -> str:
  turn, plain = inlining.turn_of(name), inlining.original_name(name)
  return plain if turn is None else f'{plain} (iteration {turn})'


def _keep_evidence(found, outer) -> None:
  """Keeps what is known of the loop as a whole, and looks for the mistake."""
  kept = [
    line
    for line in outer.differences
    if recurrent.is_evidence(line) and line not in found.differences
  ]
  found.differences[1:1] = kept  # After what was looked into.
  whole = dataclasses.replace(
    found, variables=tuple(sorted({*found.variables, *outer.variables}))
  )
  found.mistake = mistakes.recognize(whole)
