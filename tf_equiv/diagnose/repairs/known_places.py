"""The places that a hunt knows, and what follows from them."""

import dataclasses

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Kind
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose.control_flow import inlining
from tf_equiv.diagnose.repairs import causes, examination
from tf_equiv.diagnose.side import Sides


@dataclasses.dataclass
class Place:
  """A place that was found.

  Attributes:
    phase: number of the phase in which it was found.
    position: of its op in TF1.
    place: what is told of it.
    ends: for each side, name of the op where they part.
    covered: for each side, names of the ops that belong to it.
  """

  phase: int
  position: int
  place: divergence.Divergence
  ends: tuple[str, str]
  covered: tuple[set[str], set[str]]


class KnownPlaces:
  """The places that were found so far.

  Attributes:
    found: the places, in the order in which they were found.
  """

  def __init__(self, sides: Sides):
    """Starts without any."""
    self.found: list[Place] = []
    self._sides = sides

  def ordered(self) -> list[Place]:
    """Returns the places in the order of the computation."""
    return sorted(self.found, key=lambda each: (each.phase, each.position))

  def has(self, place: divergence.Divergence) -> bool:
    """Returns whether a place tells of the same as one that is known."""
    return any(causes.are_one(place, known.place) for known in self.found)

  def precede(self, frontier: frontier_lib.Frontier) -> bool:
    """Returns whether ops are gradients of a known place."""
    return any(
      self._follows(i, covered_by(frontier)[i], known.covered[i])
      for known in self.found
      for i in (0, 1)
    )

  def explain(
    self,
    finding: examination.Finding,
    covered: tuple[set[str], set[str]],
  ) -> bool:
    """Returns whether a place follows from one that is known."""
    found = finding.frontier
    lone = (
      {node.name for node in found.only_tf1},
      {node.name for node in found.only_tf2},
    )
    if finding.repair is None and self._is_behind_unexplained(finding):
      return True
    for known in self.found:
      for i in (0, 1):
        mine = {inlining.original_name(n) for n in covered[i]}
        theirs = {inlining.original_name(n) for n in known.covered[i]}
        if mine & theirs & ({inlining.original_name(n) for n in lone[i]}):
          return True
        if any(inlining.iteration_of(n) for n in covered[i]) and mine & theirs:
          return True
        if self._follows(i, covered[i], theirs):
          return True
        if not lone[1 - i] and self._reads_alike(i, lone[i], known.place):
          return True
    return False

  def _reads_alike(
    self, side: int, lone: set[str], known: divergence.Divergence
  ) -> bool:
    """Returns whether gradients are those of what one side alone reads.

    Args:
      side: number of the side.
      lone: names of the ops that it alone has.
      known: a place where it alone may read variables.
    """
    if not lone or not all(map(causes.is_gradient, lone)):
      return False
    nodes = self._sides[side].graph.nodes
    read = set().union(
      *(nodes[name].variables for name in lone if name in nodes)
    )
    return any(
      each.kind is Kind.READS
      and each.side == ('TF1', 'TF2')[side]
      and read <= set(each.one_sided)
      for each in known.differences
      if read
    )

  def _is_behind_unexplained(self, finding: examination.Finding) -> bool:
    """Returns whether a place without repair is behind another such place.

    Of what is wired in another way, one place is enough.
    """
    ends = finding.frontier.tf1.name, finding.frontier.tf2.name
    for i, side in enumerate(self._sides):
      before = side.graph.ancestors([ends[i]])
      for known in self.found:
        if known.place.repair is None and known.covered[i] & before:
          return True
    return False

  def _follows(self, side: int, names: set[str], known: set[str]) -> bool:
    """Returns whether ops are the gradients of ops of a known place."""
    captured, graph = self._sides[side].captured, self._sides[side].graph
    scopes = {causes.scope_of(each) for each in known} - {''}
    gradients = {name for name in names if causes.is_gradient(name)}
    for name in list(gradients):
      if name in graph.nodes:
        gradients.update(filter(causes.is_gradient, graph.nodes[name].parents))
    for name in gradients:
      if causes.scope_of(causes.without_tape(name)) in scopes:
        return True
      try:
        forward = captured.forward_op(name)
      except Exception:  # It was inlined.
        continue
      if forward and (forward in known or causes.scope_of(forward) in scopes):
        return True
    return False


def covered_by(found: frontier_lib.Frontier) -> tuple[set[str], set[str]]:
  """Returns for each side the names of the ops of a place."""
  return (
    {node.name for node in (found.tf1, *found.only_tf1)},
    {node.name for node in (found.tf2, *found.only_tf2)},
  )
