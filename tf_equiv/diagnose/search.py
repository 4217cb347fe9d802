"""Runs both captured sides in double precision and finds where they diverge."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare.difference import Difference
from tf_equiv.core import text
from tf_equiv.diagnose import (
  agreement,
  assignments,
  cells,
  computed,
  description,
  draw_effect,
  epsilons,
  factors,
  replay,
  rounding,
  shards,
  shared_draws,
  single,
  stops,
)
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.diagnose.control_flow import descent, inlining
from tf_equiv.diagnose.repairs import hunt
from tf_equiv.diagnose.result import Result
from tf_equiv.diagnose.rules import table
from tf_equiv.diagnose.side import Side, Sides
from tf_equiv.tf1.capture import capture

_log = logging.getLogger('tf_equiv')
# Bytes of values up to which the rounding of float32 is measured as well.
_MAX_FOR_NOISE = 4 << 30
# What is no further apart is no fault that float32 shows, behind a place where
# numbers were given that may be rounded in another way.
_VISIBLE = 3e-7

Labels = Sequence[capture.Label]


@dataclasses.dataclass(frozen=True)
class _Request:
  """What to search for; see `find`."""

  labels: Labels
  tf1_name_of: Mapping[str, str]
  further: Labels | None
  converted: Collection[str]
  floor: bool


def find(
  tf1: capture.Capture,
  tf2: capture.Capture,
  labels: Labels,
  tf1_name_of: Mapping[str, str],
  further: Labels | None = None,
  converted: Collection[str] = (),
  floor: bool = True,
) -> Result:
  """Finds the first op in which two captured computations diverge.

  Args:
    tf1: the reference.
    tf2: the candidate.
    labels: results to look at; both sides have them.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
    further: other results that are looked at when the former agree, while all
      places are looked for; None to look for the first place only.
    converted: TF1 names of the variables that `convert_variable` changed, and
      may have rounded.
    floor: whether to measure the rounding of float32 in TF1, too, where the
      difference is real and the values are not too many.

  Returns:
    The result.
  """
  start = time.time()
  request = _Request(labels, tf1_name_of, further, converted, floor)
  with contextlib.ExitStack() as stack:
    whole, sides = _search((tf1, tf2), request, stack)
    result = descent.descend(whole, (tf1, tf2), _searcher(request, {}))
    if further is not None and (further or result.divergence is not None):
      _go_on(result, sides, request, stack)
    if result.divergence is not None:
      result.divergence.seconds = time.time() - start
    if result.divergence is not None or result.places:
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


def _searcher(
  request: _Request, given: Mapping[str, np.ndarray]
) -> Callable[[capture.Capture, capture.Capture], Result]:
  """Returns a function that searches two captures for the first place.

  Args:
    request: what to search for.
    given: values that tensors of TF2 are given, by name.
  """
  request = dataclasses.replace(request, further=None)

  def search(first: capture.Capture, second: capture.Capture) -> Result:
    with contextlib.ExitStack() as stack:
      return _search((first, second), request, stack, given)[0]

  return search


def _search(
  captures: tuple[capture.Capture, capture.Capture],
  request: _Request,
  stack: contextlib.ExitStack,
  given: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> tuple[Result, Sides]:
  """Finds the first op in which two graphs diverge, loops being one op.

  Args:
    captures: the graphs.
    request: what to search for.
    stack: closes the sessions of both sides.
    given: values that tensors of TF2 are given, by name.

  Returns:
    (the result, both sides).
  """
  labels = request.labels
  everything = [*labels, *(request.further or ())]
  sides = tuple(
    Side(
      captured,
      graph_lib.read(captured, labels, names),
      stack.enter_context(
        replay.Replay(captured, True, _names(captured, everything))
      ),
    )
    for captured, names in zip(captures, ({}, request.tf1_name_of), strict=True)
  )
  draws = shared_draws.share(sides, everything, request.tf1_name_of)
  sides[1].run.fix(dict(given))
  sketcher = sketches_lib.Sketcher()
  remember = request.further is not None
  for side in sides:
    side.sketches, side.results = sketches_lib.of_run(
      side.run, side.captured, side.graph, labels, sketcher, remember
    )
  results = sides[0].results, sides[1].results
  judged = agreement.judge(sides, labels, request.converted, sketcher)
  result = Result(None, judged.distance, results)
  result.fixed = tuple(side.run.fixed for side in sides)
  result.alignment = alignment_lib.Alignment(
    tuple(side.graph for side in sides),
    tuple(side.sketches for side in sides),
    draws,
    judged.tolerance,
    judged.failing,
    request.converted,
  )
  result.draws_matter = draw_effect.reaches(sides, judged.failing or labels)
  if judged.failing:
    explain(result, sides, judged.failing, request.tf1_name_of)
    errors = _errors(sides[0], labels, sketcher) if request.floor else {}
    result.divergence.layers = description.layers(
      result.alignment, sides, errors
    )
  return result, sides


def _go_on(
  result: Result, sides: Sides, request: _Request, stack: contextlib.ExitStack
) -> None:
  """Looks for all other places, and for repairs."""
  # What it reads and sketches besides must not reach those who come after.
  sides = tuple(
    dataclasses.replace(side, sketches=dict(side.sketches)) for side in sides
  )
  sketcher = sketches_lib.Sketcher()
  captures = tuple(side.captured for side in sides)
  names = request.tf1_name_of

  def judge(labels: Labels) -> tuple[list[capture.Label], float]:
    found = agreement.judge(
      sides, labels, request.converted, sketcher, _VISIBLE
    )
    return found.failing, found.tolerance

  def describe(
    found: frontier_lib.Frontier,
    alignment: alignment_lib.Alignment,
    failing: Labels,
  ) -> divergence_lib.Divergence:
    new = Result(None, 0.0, ({}, {}))
    new.alignment = alignment
    new.fixed = tuple(side.run.fixed for side in sides)
    explain_frontiers(new, sides, [found], failing, names)
    searched = dataclasses.replace(request, labels=failing)
    given = {
      name: x
      for name, x in sides[1].run.fixed.items()
      if name not in sides[1].graph.draws
    }
    inner = descent.descend(new, captures, _searcher(searched, given))
    place = inner.divergence
    place.layers = []
    label = _first_behind(sides[0].graph, found.tf1.name, failing)
    place.group = label[0]
    if label[0] in labels_lib.ASSIGNED:
      place.differences[:0] = assignments.describe(captures, label)
      place.mistake = table.recognize(place)
    return place

  def reopen(
    graph_def: tf.compat.v1.GraphDef, loose: Collection[str]
  ) -> replay.Replay:
    labels = [*request.labels, *(request.further or ())]
    wanted = _names(captures[1], labels)
    return stack.enter_context(
      replay.Replay(captures[1], True, wanted, loose, graph_def)
    )

  hunting = hunt.Hunt(
    sides,
    result.alignment.draws,
    sketcher,
    hunt.Means(judge, describe, reopen, dict(names), request.converted),
  )
  try:
    hunting.go_on(result, request.labels, request.further or ())
  except Exception as error:  # Graphs of users may hold anything.
    _log.info('looking for further places failed', exc_info=True)
    result.problem = text.of_error(error)
    # The latter where a graph is read again in which shapes do not fit.
    if isinstance(error, (tf.errors.OpError, ValueError)):
      result.problem = (
        'what lies behind those told cannot be computed with the values of TF1'
      )


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
  result.graphs = tuple(side.graph for side in sides)
  frontiers = frontier_lib.find(*result.graphs, result.alignment, failing)
  # What is inlined was added last, and is what is looked into.
  frontiers.sort(key=lambda each: inlining.iteration_of(each.tf1.name) is None)
  explain_frontiers(result, sides, frontiers, failing, tf1_name_of)


def explain_frontiers(
  result: Result,
  sides: Sides,
  frontiers: Sequence[frontier_lib.Frontier],
  failing: Labels,
  tf1_name_of: Mapping[str, str],
) -> None:
  """Adds the first of some divergences to a result.

  Args:
    result: the result; its `alignment` is known.
    sides: both sides.
    frontiers: the ops of the divergences.
    failing: labels of the results that differ.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
  """
  captures = tuple(side.captured for side in sides)
  result.graphs = tuple(side.graph for side in sides)
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


def _first_behind(
  graph: graph_lib.Graph, name: str, labels: Labels
) -> capture.Label:
  """Returns the first of some results that is computed from a node."""
  for label in labels:
    result = graph.results[label]
    if result.kind == graph_lib.NODE and name in graph.ancestors([result.key]):
      return label
  return labels[0]


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


def _errors(
  side: Side, labels: Labels, sketcher: sketches_lib.Sketcher
) -> dict[str, float]:
  """Returns the relative rounding error of each op, if that is affordable."""
  computed = sum(s.size for found in side.sketches.values() for s in found)
  if 8 * computed > _MAX_FOR_NOISE:
    return {}
  return rounding.measure(side, labels, sketcher).errors
