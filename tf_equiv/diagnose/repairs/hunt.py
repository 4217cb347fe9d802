"""Goes on with a search behind each place that was found.

At a place where the sides part, the graph of TF2 is given the values of TF1,
what lies behind is computed again, and the search goes on from there, until the
results agree, or nothing that differs can be told apart any more.
"""

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.diagnose.repairs import (
  causes,
  examination,
  known_places,
  proofs,
  shapes,
)
from tf_equiv.diagnose.result import Result
from tf_equiv.diagnose.side import Sides
from tf_equiv.tf1.capture import capture

_log = logging.getLogger('tf_equiv')
# So often the search goes on, and so many places are told apart.
_MAX_ROUNDS = 60
_MAX_PLACES = 60

Labels = Sequence[capture.Label]


@dataclasses.dataclass(frozen=True)
class Means:
  """What a hunt needs of the search that it goes on with.

  Attributes:
    judge: returns the labels of the results that differ, and the tolerance.
    describe: describes a place, given its ops, which ops correspond, and the
      results that differ.
    reopen: returns a new run of a graph of TF2, in which some ops, given by
      name, take values of any shape.
    names: TF1 name of the variable by that of the TF2 variable.
    converted: TF1 names of the variables that were converted.
  """

  judge: Callable[[Labels], tuple[list[capture.Label], float]]
  describe: Callable[
    [frontier_lib.Frontier, alignment_lib.Alignment, Labels],
    divergence.Divergence,
  ]
  reopen: Callable[[Any, Collection[str]], Any]
  names: dict[str, str]
  converted: Collection[str] = ()


class Hunt:
  """A search for all places."""

  def __init__(
    self,
    sides: Sides,
    draws: dict[str, str],
    sketcher: sketches_lib.Sketcher,
    means: Means,
  ):
    """Takes both sides after the first search.

    Args:
      sides: both sides, whose runs are remembered.
      draws: which random draws correspond.
      sketcher: makes the sketches.
      means: what it needs of the search.
    """
    self._sides, self._draws = sides, draws
    self._sketcher, self._means = sketcher, means
    self._definitions = tuple(
      side.captured.graph.as_graph_def() for side in sides
    )
    self._known = known_places.KnownPlaces(sides)
    self._seen: set[tuple[str, str]] = set()
    self._labels: list[capture.Label] = []
    self._rounds = 0
    self._followed = 0
    self._loose: set[str] = set()
    self._loosened: set[str] = set()
    self._phase = 0

  def go_on(self, first: Result, labels: Labels, further: Labels) -> None:
    """Finds all places; adds them and the proof to a result.

    Args:
      first: what was found of the first place.
      labels: results that the search looked at.
      further: others to look at after them.
    """
    try:
      self._look(first, labels, further)
    finally:
      places = [each.place for each in self._known.ordered()]
      if first.divergence is not None and first.divergence in places:
        places.remove(first.divergence)
        places.insert(0, first.divergence)
      first.places = places
    failing, _ = self._means.judge(self._labels)
    first.proof = proofs.prove(
      [known.place for known in self._known.found],
      tuple(side.results for side in self._sides),
      self._labels,
      failing,
      self._followed,
    )

  def _look(self, first: Result, labels: Labels, further: Labels) -> None:
    """Looks at results, then at others."""
    self._labels = list(labels)
    failing, _ = self._means.judge(labels)
    self._clear(labels, failing, first.alignment, first.divergence)
    rest = [label for label in further if label not in self._labels]
    for group in _phases(rest):
      self._phase += 1
      self._labels += group
      self._read(group)
      failing, _ = self._means.judge(group)
      if failing:
        self._sketch()
        self._clear(self._labels, failing, None, None)

  def _clear(
    self,
    labels: Labels,
    failing: Labels,
    alignment: alignment_lib.Alignment | None,
    first: divergence.Divergence | None,
  ) -> None:
    """Finds place after place until results agree.

    Args:
      labels: the results.
      failing: those that differ.
      alignment: which ops correspond, where that is known already.
      first: the first place, where it is known already.
    """
    while failing and self._rounds < _MAX_ROUNDS:
      self._rounds += 1
      if alignment is None:
        alignment = self._aligned(failing)
      frontiers = [
        found
        for found in frontier_lib.find(
          self._sides[0].graph, self._sides[1].graph, alignment, failing
        )
        if (found.tf1.name, found.tf2.name) not in self._seen
      ]
      frontiers = self._following(frontiers) or frontiers
      patches = self._examine(frontiers, alignment, failing, first)
      first = None
      if not patches:
        break
      self._give(patches)
      failing, _ = self._means.judge(labels)
      alignment = None

  def _following(
    self, frontiers: Sequence[frontier_lib.Frontier]
  ) -> list[frontier_lib.Frontier]:
    """Returns the gradients of known places, which come before others.

    While they differ, gradients behind them may agree by chance, by a factor
    that both sides have in other places.
    """
    return [found for found in frontiers if self._known.precede(found)]

  def _aligned(self, failing: Labels) -> alignment_lib.Alignment:
    _, tolerance = self._means.judge(failing)
    return alignment_lib.Alignment(
      tuple(side.graph for side in self._sides),
      tuple(side.sketches for side in self._sides),
      self._draws,
      tolerance,
      failing,
      self._means.converted,
    )

  def _examine(
    self,
    frontiers: Sequence[frontier_lib.Frontier],
    alignment: alignment_lib.Alignment,
    failing: Labels,
    first: divergence.Divergence | None,
  ) -> dict[str, np.ndarray]:
    """Lists the places of a round, and returns what is given to TF2."""
    examiner = examination.Examiner(
      self._sides, self._definitions, alignment, self._outputs(failing)
    )
    patches: dict[str, np.ndarray] = {}
    for found in frontiers:
      self._seen.add((found.tf1.name, found.tf2.name))
      try:
        findings = examiner.examine(found)
      except Exception:  # Graphs of users may hold anything.
        _log.info('a place could not be examined', exc_info=True)
        findings = [examination.Finding(found)]
      for finding in findings:
        given = self._fitting(finding.patches)
        given.update(self._of_results(finding.frontier, failing))
        patches.update(given)
        if not self._list(finding, alignment, failing, first):
          continue
        first = None
        self._known.found[-1].place.given = bool(given)
    return patches

  def _outputs(self, failing: Labels) -> examination.Outputs:
    """Returns which outputs of ops are results, where not the first."""
    first, second = (side.graph.results for side in self._sides)
    pairs = [(first[label], second[label]) for label in failing]
    return {
      (a.key, b.key): (a.output, b.output)
      for a, b in pairs
      if a.output or b.output
    }

  def _of_results(
    self, found: frontier_lib.Frontier, failing: Labels
  ) -> dict[str, np.ndarray]:
    """Returns the results that a pair of ops makes at different outputs."""
    first, second = self._sides
    patches = {}
    for label in failing:
      a, b = first.graph.results[label], second.graph.results[label]
      if (a.key, b.key) != (found.tf1.name, found.tf2.name):
        continue
      if a.output != b.output:
        (value,) = first.run.fetch([first.captured.targets[label].name])
        name = second.captured.targets[label].name
        if second.run.takes(name, value):
          patches[name] = value
    return patches

  def _fitting(self, patches: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    run = self._sides[1].run
    loose = {
      name.split(':')[0]
      for name, value in patches.items()
      if not run.takes(name, value) and self._is_alone(name)
    }
    self._loose |= loose
    return {
      name: value
      for name, value in patches.items()
      if name.split(':')[0] in loose or run.takes(name, value)
    }

  def _is_alone(self, tensor: str) -> bool:
    """Returns whether a tensor is all that an op of TF2 gives."""
    try:
      op = self._sides[1].captured.graph.get_operation_by_name(
        tensor.split(':')[0]
      )
    except KeyError:  # It was inlined.
      return tensor.endswith(':0')
    return len(op.outputs) == 1

  def _list(
    self,
    finding: examination.Finding,
    alignment: alignment_lib.Alignment,
    failing: Labels,
    first: divergence.Divergence | None,
  ) -> bool:
    """Lists a place, unless it is a consequence of one that is known."""
    found = finding.frontier
    covered = known_places.covered_by(found)
    if first is None and self._known.explain(finding, covered):
      self._followed += finding.repair is None
      return False
    if len(self._known.found) >= _MAX_PLACES:
      return False
    place = first or self._means.describe(found, alignment, failing)
    place.repair, place.tried = finding.repair, True
    if first is None and self._known.has(place):
      self._followed += finding.repair is None
      return False
    place.excerpts, place.is_large = finding.excerpts, finding.is_large
    ends = found.tf1.name, found.tf2.name
    self._known.found.append(
      known_places.Place(self._phase, found.tf1.position, place, ends, covered)
    )
    return True

  def _give(self, patches: dict[str, np.ndarray]) -> None:
    """Gives values to TF2, and computes what lies behind them."""
    side = self._sides[1]
    if self._loose - self._loosened:
      self._loosened |= self._loose
      self._reopen(patches)
      side.sketches, side.results = sketches_lib.of_run(
        side.run,
        side.captured,
        side.graph,
        self._labels,
        self._sketcher,
        True,
      )
      return
    side.run.fix(patches)
    reached = _behind(side.graph, patches)
    targets = {
      label: side.captured.targets[label].name
      for label in self._labels
      if side.graph.results[label].kind == graph_lib.NODE
    }
    sketches, results = sketches_lib.of_rerun(
      side.run,
      list(patches),
      [node for node in reached if node.name in side.sketches],
      targets,
      self._sketcher,
    )
    side.sketches.update(sketches)
    side.results = {**side.results, **results}

  def _read(self, labels: Labels) -> None:
    """Reads what further results depend on, and fetches them."""
    self._reshape()
    for side, names in zip(self._sides, ({}, self._means.names), strict=True):
      side.graph = graph_lib.read(side.captured, self._labels, names)
      tensors = [side.captured.targets[label].name for label in labels]
      values = side.run.fetch(tensors)
      side.results = {
        **side.results,
        **dict(zip(labels, values, strict=True)),
      }

  def _reshape(self) -> None:
    """Gives the gradients of TF2 the shapes that places were given."""
    side = self._sides[1]
    values = shapes.constants(side) if self._loosened else {}
    places = [known.ends for known in self._known.found]
    attributes = shapes.attributes(self._sides, places) if values else {}
    if values or attributes:
      first, second = self._definitions
      self._definitions = first, shapes.changed(second, values, attributes)
      self._reopen({})

  def _reopen(self, values: dict[str, np.ndarray]) -> None:
    """Runs TF2 anew, with tensors that take values of any shape."""
    side = self._sides[1]
    given = dict(side.run.fixed)
    side.run = self._means.reopen(self._definitions[1], self._loosened)
    side.run.fix({**given, **values})

  def _sketch(self) -> None:
    """Sketches the nodes that are not sketched yet."""
    for side in self._sides:
      new = {
        name: node
        for name, node in side.graph.nodes.items()
        if name not in side.sketches
      }
      part = dataclasses.replace(side.graph, nodes=new)
      sketches, _ = sketches_lib.of_run(
        side.run, side.captured, part, self._labels, self._sketcher, True
      )
      side.sketches.update(sketches)


def _phases(labels: Labels) -> list[Labels]:
  """Returns results in the order in which to look at them."""
  backward = [label for label in labels if label[0] in causes.BACKWARD]
  forward = [label for label in labels if label[0] not in causes.BACKWARD]
  return [group for group in (forward, backward) if group]


def _behind(
  graph: graph_lib.Graph, tensors: dict[str, np.ndarray]
) -> list[graph_lib.Node]:
  """Returns the nodes that have given outputs, or are computed from them."""
  reached = {name.split(':')[0] for name in tensors}
  found = []
  for name, node in graph.nodes.items():
    if name in reached or any(parent in reached for parent in node.parents):
      reached.add(name)
      found.append(node)
  return found
