"""Runs both captured sides in double precision and finds where they diverge."""

import contextlib
import dataclasses
import logging
import time
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tf_equiv.compare.difference import Difference
from tf_equiv.core import random_value, text
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import (
  cells,
  computed,
  constant_rounding,
  description,
  draw_effect,
  epsilons,
  factors,
  replay,
  rounding,
  shards,
  single,
  stops,
)
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.diagnose.control_flow import descent, inlining
from tf_equiv.diagnose.result import Result, Results
from tf_equiv.diagnose.rules import table
from tf_equiv.diagnose.side import Side, Sides
from tf_equiv.tf1.capture import capture

_log = logging.getLogger('tf_equiv')
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

Labels = Sequence[capture.Label]


@dataclasses.dataclass(frozen=True)
class _Request:
  """What to search for; see `find`."""

  labels: Labels
  tf1_name_of: Mapping[str, str]
  same_draws: bool
  converted: Collection[str]
  floor: bool


def find(
  tf1: capture.Capture,
  tf2: capture.Capture,
  labels: Labels,
  tf1_name_of: Mapping[str, str],
  same_draws: bool = True,
  converted: Collection[str] = (),
  floor: bool = True,
) -> Result:
  """Finds the first op in which two captured computations diverge.

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
    The result.
  """
  start = time.time()
  request = _Request(labels, tf1_name_of, same_draws, converted, floor)

  def search(first: capture.Capture, second: capture.Capture) -> Result:
    return _search((first, second), request)[0]

  whole, sides = _search((tf1, tf2), request)
  result = descent.descend(whole, (tf1, tf2), search)
  if result.divergence is not None:
    result.divergence.seconds = time.time() - start
    return result
  sketcher = sketches_lib.Sketcher()
  roundings = [rounding.measure(side, labels, sketcher) for side in sides]
  result.single = tuple(each.results for each in roundings)
  result.divergence = single.overflow(
    sides, roundings, result.alignment.pairs
  ) or single.other_constant(sides, result.alignment, result.single)
  if result.divergence is not None:
    result.divergence.mistake = table.recognize(result.divergence)
    result.divergence.seconds = time.time() - start
    return result
  result.noise = rounding.explain(sides, roundings, result.alignment.pairs)
  return result


def _search(
  captures: tuple[capture.Capture, capture.Capture], request: _Request
) -> tuple[Result, Sides]:
  """Finds the first op in which two graphs diverge, loops being one op.

  Returns:
    (the result, both sides).
  """
  labels = request.labels
  with contextlib.ExitStack() as stack:
    sides = tuple(
      Side(
        captured,
        graph_lib.read(captured, labels, names),
        stack.enter_context(
          replay.Replay(captured, True, _names(captured, labels))
        ),
      )
      for captured, names in zip(
        captures, ({}, request.tf1_name_of), strict=True
      )
    )
    draws = share_draws(sides, request.same_draws)
    sketcher = sketches_lib.Sketcher()
    for side in sides:
      side.sketches, side.results = sketches_lib.of_run(
        side.run, side.captured, side.graph, labels, sketcher
      )
    results = sides[0].results, sides[1].results
    distances = {
      label: sketches_lib.distance(
        *(sketcher.sketch(side[label]) for side in results)
      )
      for label in labels
    }
    distance = max(distances.values(), default=0.0)
    is_precise = not any(side.run.fallbacks for side in sides)
    tolerance = _tolerance(distance, is_precise)
    zeros = _zeros(labels, results[0])
    failing = [
      label
      for label in labels
      if distances[label] > tolerance and label not in zeros
    ]
    if failing and distance <= constant_rounding.LARGEST:
      floors = constant_rounding.floors(
        sides, failing, request.converted, sketcher
      )
      failing = [label for label in failing if distances[label] > floors[label]]
    result = Result(None, distance, results)
    result.fixed = tuple(side.run.fixed for side in sides)
    result.alignment = alignment_lib.Alignment(
      tuple(side.graph for side in sides),
      tuple(side.sketches for side in sides),
      draws,
      tolerance,
      failing,
      request.converted,
    )
    result.draws_matter = draw_effect.reaches(sides, failing or labels)
    if failing:
      explain(result, sides, failing, request.tf1_name_of)
      errors = _errors(sides[0], labels, sketcher) if request.floor else {}
      result.divergence.layers = description.layers(
        result.alignment, sides, errors
      )
  return result, sides


def explain(
  result: Result,
  sides: Sides,
  failing: Labels,
  tf1_name_of: Mapping[str, str],
) -> None:
  """Adds the first divergence to a result.

  Args:
    result: the result; its `alignment` is known.
    sides: both sides.
    failing: labels of the results that differ.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
  """
  captures = tuple(side.captured for side in sides)
  result.graphs = tuple(side.graph for side in sides)
  frontiers = frontier_lib.find(*result.graphs, result.alignment, failing)
  # What is inlined was added last, and is what is looked into.
  frontiers.sort(key=lambda each: inlining.iteration_of(each.tf1.name) is None)
  divergence = description.describe(frontiers, sides, result.alignment, failing)
  divergence.layers = description.layers(result.alignment, sides, {})
  if frontiers:
    divergence.differences += _tested(frontiers[0], sides, result.alignment)
  divergence.differences += stops.describe(
    sides, result.alignment, failing, tf1_name_of
  )
  divergence.differences += cells.describe(divergence, captures, tf1_name_of)
  divergence.mistake = table.recognize(divergence)
  result.divergence = divergence
  result.frontier = frontiers[0] if frontiers else None


def _tested(
  front: frontier_lib.Frontier, sides: Sides, alignment: alignment_lib.Alignment
) -> list[Difference]:
  """Returns what the numbers around a divergence tell of its cause."""
  found: list[Difference] = []
  for describe in (
    lambda: factors.describe(front, sides, alignment),
    lambda: epsilons.describe(front, sides),
    lambda: computed.describe(front, sides, alignment),
    lambda: shards.describe(front, sides),
  ):
    try:
      found += [each for each in describe() if each not in found]
    except Exception as error:  # Which must not hide the place itself.
      _log.info('a cause could not be tested: %s', text.of_error(error))
  return found


def _names(captured: capture.Capture, labels: Labels) -> list[str]:
  return [captured.targets[label].name for label in labels]


def _zeros(labels: Labels, results: Results) -> set[capture.Label]:
  """Returns the gradients that are zero but for rounding."""
  sizes = {
    label: float(np.max(np.abs(results[label]), initial=0.0))
    for label in labels
    if label[0] == capture.GRADIENT
  }
  largest = max(sizes.values(), default=0.0)
  return {label for label, size in sizes.items() if size < _ZERO * largest}


def _tolerance(distance: float, is_precise: bool) -> float:
  """Returns up to which distance values agree.

  Args:
    distance: the largest distance of the results.
    is_precise: whether all ops compute in float64.
  """
  if not is_precise:
    return SINGLE
  return float(np.clip(distance * 1e-3, _TIGHT, _ROUNDED))


def share_draws(sides: Sides, same_draws: bool) -> dict[str, str]:
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


def kind_of(
  graph: graph_lib.Graph, tensor: str, value: np.ndarray
) -> tuple[str, str, tuple[int, ...]]:
  """Returns what two draws must have in common to correspond."""
  family = random_value.family_of(graph.draw_types[tensor])
  return family, value.dtype.name, value.shape


def _errors(
  side: Side, labels: Labels, sketcher: sketches_lib.Sketcher
) -> dict[str, float]:
  """Returns the relative rounding error of each op, if that is affordable."""
  computed = sum(s.size for found in side.sketches.values() for s in found)
  if 8 * computed > _MAX_FOR_NOISE:
    return {}
  return rounding.measure(side, labels, sketcher).errors
