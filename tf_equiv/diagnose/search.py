"""Runs both captured sides in double precision and says where they part."""

import contextlib
import dataclasses
import time
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import divergence, tolerances, values
from tf_equiv.core import random_value
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import constant_rounding, op_diff, replay
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import places as places_lib
from tf_equiv.diagnose import rounding as noise
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.diagnose.control_flow import descent
from tf_equiv.diagnose.rules import mistakes, recurrent
from tf_equiv.tf1.capture import capture

# Distances (see `sketches.distance`) up to which values agree in float64.
# Constants that were rounded to float32 in another way are 1e-8 apart.
_TIGHT, _ROUNDED = 1e-10, 1e-7
# With ops that only compute in float32.
SINGLE = 3e-6
# Bytes of values up to which the rounding of float32 is measured as well.
_MAX_FOR_NOISE = 4 << 30
# Gradients so far below the largest one are zero (that of a bias before a
# normalization or a softmax) but for rounding in float64.
_ZERO = 1e-12
_MAX_LONE = 8
_MAX_PLACES = 5
_LARGEST_CONSTANT = 64


@dataclasses.dataclass
class Found:
  """What was found.

  Attributes:
    divergence: the first place where the sides part; None if they agree in
      float64.
    distance: largest distance of the results in float64.
    precise: whether all ops computed in float64.
    results: for each side, values of the results in float64 by label.
    single: where nothing was found, for each side its results as its graph
      gives them in float32.
    noise: where nothing was found, where rounding grows.
    assigned: where nothing was found, the ops that assign what differs.
    recorded: whether TF2 was recorded as it ran, in float32.
    alignment: which ops correspond.
    frontier: the ops of the divergence.
    graphs: the ops of each side.
    fixed: for each side, values of random draws by name of the tensor.
  """

  divergence: divergence.Divergence | None
  distance: float
  precise: bool
  results: tuple[dict, dict]
  single: tuple[dict, dict] = ({}, {})
  noise: divergence.Noise | None = None
  assigned: divergence.Divergence | None = None
  recorded: bool = False
  alignment: alignment_lib.Alignment | None = None
  frontier: frontier_lib.Frontier | None = None
  graphs: tuple[graph_lib.Graph, graph_lib.Graph] | None = None
  fixed: tuple[dict, dict] = ({}, {})

  @property
  def is_real(self) -> bool:
    """Whether what was found cannot be rounding.

    In float64 it never is; else it must exceed by far what float32 rounds.
    """
    if self.divergence is None:
      return False
    return not self.recorded or self.distance > 100 * self.alignment.tolerance


@dataclasses.dataclass
class Side:
  """One side while it is looked into.

  Attributes:
    captured: its graph, as it was captured, or what was recorded of it.
    graph: the same as nodes.
    run: gives values, in float64 where it is a graph.
    sketches: of the outputs of each node.
    results: values of the results by label.
  """

  captured: Any
  graph: graph_lib.Graph
  run: Any
  sketches: dict[str, list] = dataclasses.field(default_factory=dict)
  results: dict = dataclasses.field(default_factory=dict)


def find(
  tf1: capture.Capture,
  tf2: capture.Capture,
  labels: Sequence[capture.Label],
  tf1_name_of: Mapping[str, str],
  same_draws: bool = True,
  converted: Collection[str] = (),
  floor: bool = True,
) -> Found:
  """Finds the first op in which two captured computations part.

  Args:
    tf1: the reference.
    tf2: the candidate.
    labels: results to look at; both sides have them.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
    same_draws: whether TF2 is to compute with the random numbers of TF1 where
      draws correspond.
    converted: TF1 names of the variables that `convert_variable` changed, and
      may have rounded.
    floor: whether to measure the rounding of float32 in TF1, too, where the
      difference is real and the values are not too many.

  Returns:
    What was found.
  """
  start, outermost = time.time(), []
  sketcher = sketches_lib.Sketcher()

  def search(first, second):
    found, sides = _search(
      (first, second), labels, tf1_name_of, same_draws, converted, floor
    )
    outermost.append(sides)
    del outermost[1:]
    return found

  found = descent.look(search(tf1, tf2), (tf1, tf2), search)
  if found.divergence is not None:
    found.divergence.seconds = time.time() - start
    return found
  (sides,) = outermost
  roundings = [noise.measure(side, labels, sketcher) for side in sides]
  found.single = tuple(each.results for each in roundings)
  found.noise = noise.explain(sides, roundings, found.alignment.pairs)
  return found


def _search(captures, labels, tf1_name_of, same_draws, converted, floor):
  """Finds the first op in which two graphs part, loops being one op.

  Returns:
    (what was found, both sides).
  """
  with contextlib.ExitStack() as stack:
    sides = tuple(
      Side(
        captured,
        graph_lib.read(captured, labels, names),
        stack.enter_context(
          replay.Replay(captured, True, _names(captured, labels))
        ),
      )
      for captured, names in zip(captures, ({}, tf1_name_of), strict=True)
    )
    draws = _share_draws(sides, same_draws)
    sketcher = sketches_lib.Sketcher()
    for side in sides:
      side.sketches, side.results = sketches_lib.of_run(
        side.run, side.captured, side.graph, labels, sketcher
      )
    results = sides[0].results, sides[1].results
    apart = {
      label: sketches_lib.distance(
        *(sketcher.sketch(side[label]) for side in results)
      )
      for label in labels
    }
    distance = max(apart.values(), default=0.0)
    precise = not any(side.run.fallbacks for side in sides)
    tolerance = _tolerance(distance, precise)
    nothing = _nothing(labels, results[0])
    failing = [
      label
      for label in labels
      if apart[label] > tolerance and label not in nothing
    ]
    if failing and distance <= constant_rounding.LARGEST:
      floors = constant_rounding.floors(sides, failing, converted, sketcher)
      failing = [label for label in failing if apart[label] > floors[label]]
    found = Found(None, distance, precise, results)
    found.fixed = tuple(side.run.fixed for side in sides)
    found.alignment = alignment_lib.Alignment(
      *(side.graph for side in sides),
      [side.sketches for side in sides],
      draws,
      tolerance,
      failing,
    )
    if failing:
      explain(found, sides, failing, tf1_name_of)
      errors = _errors(sides[0], labels, sketcher) if floor else {}
      found.divergence.layers = _layers(found.alignment, sides, errors)
  return found, sides


def explain(found, sides, failing, tf1_name_of) -> None:
  """Adds to what was found the first op that differs.

  Args:
    found: the `Found`; its `alignment` is known.
    sides: both sides.
    failing: labels of the results that differ.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
  """
  captures = tuple(side.captured for side in sides)
  found.graphs = tuple(side.graph for side in sides)
  places = frontier_lib.find(*found.graphs, found.alignment, failing)
  place = _explain(places, sides, found.alignment, failing)
  place.layers = _layers(found.alignment, sides, {})
  place.differences += recurrent.describe(place, captures, tf1_name_of)
  place.mistake = mistakes.recognize(place)
  found.divergence = place
  found.frontier = places[0] if places else None


def _names(captured, labels) -> list[str]:
  return [captured.targets[label].name for label in labels]


def _nothing(labels, results) -> set:
  """Gradients that are zero but for rounding, beside the largest one."""
  sizes = {
    label: float(np.max(np.abs(results[label]), initial=0.0))
    for label in labels
    if label[0] == capture.GRADIENT
  }
  largest = max(sizes.values(), default=0.0)
  return {label for label, size in sizes.items() if size < _ZERO * largest}


def _tolerance(distance: float, precise: bool) -> float:
  """What still counts as agreement when the results are `distance` apart."""
  if not precise:
    return SINGLE
  return float(np.clip(distance * 1e-3, _TIGHT, _ROUNDED))


def _share_draws(sides, same_draws) -> dict[str, str]:
  """Pairs the draws, and makes them repeatable and equal."""
  drawn = [
    dict(
      zip(
        side.graph.draws,
        side.run.fetch(side.graph.draws, drawn=True),
        strict=True,
      )
    )
    for side in sides
  ]
  waiting = defaultdict(deque)
  for name, value in drawn[1].items():
    waiting[kind_of(sides[1].graph, name, value)].append(name)
  pairs = {}
  for name, value in drawn[0].items():
    same = waiting[kind_of(sides[0].graph, name, value)]
    if same:
      pairs[name] = same.popleft()
  if same_draws:
    for first, second in pairs.items():
      if drawn[0][first].dtype.kind not in 'fV':
        continue  # The range of integers may be what differs.
      drawn[1][second] = drawn[0][first]
  for side, given in zip(sides, drawn, strict=True):
    side.run.fix(given)
  return pairs


def kind_of(graph, tensor, value) -> tuple[str, str, tuple[int, ...]]:
  """Returns what two draws must have in common to correspond."""
  family = random_value.family_of(graph.draw_types[tensor])
  return family, value.dtype.name, value.shape


def _errors(side, labels, sketcher) -> dict[str, float]:
  """Returns the relative rounding error of each op, if that is affordable."""
  computed = sum(s.size for found in side.sketches.values() for s in found)
  if 8 * computed > _MAX_FOR_NOISE:
    return {}
  return noise.measure(side, labels, sketcher).errors


def _explain(places, sides, alignment, failing):
  """Turns places into what a reader needs to know of them."""
  places = places[:_MAX_PLACES]
  constants = _constants(sides, places)
  outputs = _outputs(sides, places)
  made = [
    _place(found, sides, alignment, constants, outputs) for found in places
  ]
  first = made[0] if made else _results_only(sides, failing[0])
  if failing[0][0] in (capture.GRADIENT, capture.INPUT_GRADIENT):
    first.differences += _stopped(sides, alignment)
  first.others = made[1:]
  first.group = failing[0][0]
  return first


def _stopped(sides, alignment) -> list[str]:
  """Says which gradients are stopped on one side only."""
  lines = []
  for i, side in enumerate(sides):
    paired = alignment.pairs if i == 0 else alignment.inverse
    for read, name in side.graph.stopped.items():
      others = sides[1 - i].graph.stopped
      if not others or (read in paired and paired[read] not in others):
        lines.append(
          f'only {side.captured.side} stops the gradient of {read}: {name} at '
          f'{side.captured.line_of(name)}'
        )
  return lines


def results(captures, label) -> divergence.Divergence:
  """Returns the ops that compute a result on both sides."""
  return divergence.Divergence(
    *(
      places_lib.place_of(captured, op.name, op.type)
      for captured in captures
      for op in [captured.targets[label].op]
    )
  )


def _results_only(sides, label):
  """Says at least what computes a result that differs."""
  found = []
  for side in sides:
    result = side.graph.results[label]
    if result.kind == graph_lib.NODE:
      found.append(_at(side.captured, side.graph.nodes[result.key]))
    else:
      found.append(divergence.Place(result.key, result.kind))
  return divergence.Divergence(
    *found, note='no op before the result itself could be told apart'
  )


def _place(found, sides, alignment, constants, outputs):
  nodes = found.tf1, *found.only_tf1
  variables = sorted(set().union(*(n.variables for n in nodes)))
  first, second = (side.captured for side in sides)
  return divergence.Divergence(
    _at(first, found.tf1),
    _at(second, found.tf2),
    _compare(found, outputs),
    op_diff.describe(found, alignment, constants),
    [_at(first, n) for n in found.only_tf1[-_MAX_LONE:]],
    [_at(second, n) for n in found.only_tf2[-_MAX_LONE:]],
    tuple(variables),
  )


def _at(captured, node) -> divergence.Place:
  return places_lib.place_of(captured, node.name, node.op_type)


def _constants(sides, places):
  """Returns for each side a function that gives the value of a constant."""
  found = []
  for i, side in enumerate(sides):
    names = {
      o.key
      for place in places
      for node in _nodes_of(place)[i]
      if not node.nested and node.op_type not in ('Exit', 'Merge')
      for o in node.operands
      if o.kind == graph_lib.CONSTANT
      and side.run.is_small(o.key, _LARGEST_CONSTANT)
    }
    found.append(_fetched(side, sorted(names)).get)
  return tuple(found)


def _outputs(sides, places):
  """Returns for each side the values of the ops that differ."""
  return [
    _fetched(
      side, [t for place in places for t in (place.tf1, place.tf2)[i].outputs]
    )
    for i, side in enumerate(sides)
  ]


def _nodes_of(place):
  return (place.tf1, *place.only_tf1), (place.tf2, *place.only_tf2)


def _fetched(side, names):
  return dict(zip(names, side.run.fetch(names), strict=True))


def _compare(found, outputs):
  """Compares the first output that differs, if there is one."""
  a, b = found.tf1, found.tf2
  compared = None
  for mine, theirs in zip(a.outputs, b.outputs, strict=False):
    arrays = outputs[0][mine], outputs[1][theirs]
    compared = values.compare_arrays(a.name, *arrays, tolerances.Tolerance())
    if not compared.passed:
      return dataclasses.replace(compared, dtype=a.dtype)
  return None


def _layers(alignment, sides, floor):
  layers = []
  for name, node in sides[0].graph.nodes.items():
    distance = alignment.distance(name)
    if distance is None or not sides[0].sketches[name]:
      continue
    sketch = sides[0].sketches[name][0]
    layers.append(
      divergence.LayerError(
        name,
        alignment.pairs[name],
        node.op_type,
        sketch.shape,
        distance * sketch.magnitude,
        alignment.tolerance * sketch.magnitude,
        sketch.magnitude,
        floor[name] * sketch.magnitude if name in floor else None,
      )
    )
  return layers
