"""Finds which ops of two graphs correspond.

Values are the strongest witness, because a rewrite keeps few names: what
holds the same numbers corresponds. What is left corresponds if it has the same
type, and reads the same variables or corresponding operands, or has the same
name.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tf_equiv.diagnose import gates, graph
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.tf1.capture import capture

Sketches = Mapping[str, Sequence[sketches_lib.Sketch]]

# Evidence for a pair. A pair of ops whose values differ needs more than a
# common type.
_FAMILY = 3.0
_VARIABLES = 4.0
_OPERANDS = 3.0
_MIN_SCORE = 4.0
# Evidence against it: of the gates of a cell, one side may compute several in
# one op. Rows of a table that one side alone looks up (what is masked, or each
# row once) are another value, whatever the op is called.
_OTHER_SIZE, _OTHER_ROWS = 5.0, 10.0
_FUSED = ('MatMul', 'Add')
# Ops that compute nothing of their own: what they read tells what they are.
_OTHER_INPUT = 3.0
_MOVING = (
  'Cast',
  'ExpandDims',
  'Gather',
  'GatherNd',
  'GatherV2',
  'Reshape',
  'Slice',
  'Squeeze',
  'StridedSlice',
  'Tile',
  'Transpose',
)
_GATHERING = ('Gather', 'GatherV2', 'GatherNd', 'ResourceGather')
# So few numbers may agree by chance.
_FEW = 8
# Ops that split a value.
_SPLITTING = ('Split', 'SplitV', 'Unpack')
_COUNTER = re.compile(r'_\d+$')


class Alignment:
  """Which nodes of two graphs correspond, and which pairs agree.

  Attributes:
    pairs: name of the TF2 node by that of the TF1 node.
    inverse: the other way round.
    draws: tensor of the TF2 draw by that of the TF1 draw.
    sketches: for each side, sketches of a node's outputs by its name.
  """

  def __init__(
    self,
    graphs: tuple[graph.Graph, graph.Graph],
    sketches: tuple[Sketches, Sketches],
    draws: Mapping[str, str],
    tolerance: float,
    failing: Sequence[capture.Label],
    converted: Collection[str] = (),
  ):
    """Aligns two graphs.

    Args:
      graphs: of TF1 and TF2.
      sketches: for each side, sketches of a node's outputs by its name.
      draws: which random draws correspond.
      tolerance: distance up to which values agree.
      failing: labels of results that differ, though it be in order only.
      converted: TF1 names of the variables that `convert_variable` changed.
    """
    tf1, tf2 = self._tf1, self._tf2 = graphs
    self._strict = {tf1.results[label].key for label in failing}
    self.sketches, self.tolerance = sketches, tolerance
    self.draws = draws
    self._gates = gates.in_one(tf1, converted)
    self.pairs: dict[str, str] = {}
    self.inverse: dict[str, str] = {}
    self._by_value()
    self._by_structure()
    self._by_readers()
    for label, first in tf1.results.items():
      second = tf2.results[label]
      if first.kind == second.kind == graph.NODE:
        if first.key not in self.pairs and second.key not in self.inverse:
          self._add(first.key, second.key)

  def _add(self, first: str, second: str) -> None:
    self.pairs[first] = second
    self.inverse[second] = first

  def distance(self, first: str) -> float | None:
    """Returns how far a TF1 node is from its counterpart, None if unknown.

    It is not known where numbers agree, but not all outputs are numbers, and
    where they are gates that `convert_variable` has put into another order.
    """
    distance = self._distance_of_numbers(first)
    if first in self._gates and distance is not None:
      return distance if distance <= self.tolerance else None
    if distance is not None and distance <= self.tolerance:
      return None if self._tf1.nodes[first].opaque else distance
    return distance

  def agreeing(self, side: int) -> set[str]:
    """Returns the nodes that have a counterpart with equal values.

    Args:
      side: 0 for nodes of TF1, 1 for those of TF2.
    """
    names = {name for name in self.pairs if self.agrees(name)}
    return {self.pairs[name] for name in names} if side else names

  def has_equals(self, side: int, names: list[str]) -> bool:
    """Returns whether the other side has all outputs of some nodes.

    Args:
      side: 0 for nodes of TF1, 1 for those of TF2.
      names: names of the nodes.
    """
    others = [s for found in self.sketches[1 - side].values() for s in found]
    mine = [
      sketch
      for name in names
      for sketch in self.sketches[side].get(name, ())
      if sketch.size > 1
    ]
    return bool(mine) and all(
      any(sketches_lib.distance(a, b) <= self.tolerance for b in others)
      for a in mine
    )

  def _distance_of_numbers(self, first: str) -> float | None:
    second = self.pairs.get(first)
    if second is None:
      return None
    mine, theirs = self.sketches[0][first], self.sketches[1][second]
    if not mine or len(mine) != len(theirs):
      return None if mine == theirs else float('inf')
    in_order = self._must_be_in_order(first, second)
    if not in_order and self._tf1.nodes[first].family in _SPLITTING:
      theirs = self._matched(mine, theirs)
    return max(
      0.0
      if not in_order and sketches_lib.rearranged(a, b, self.tolerance)
      else sketches_lib.distance(a, b)
      for a, b in zip(mine, theirs, strict=True)
    )

  def _matched(
    self,
    mine: Sequence[sketches_lib.Sketch],
    theirs: Sequence[sketches_lib.Sketch],
  ) -> list[sketches_lib.Sketch]:
    """Orders what a value was split into as on the other side."""
    left, ordered = list(theirs), []
    for sketch in mine:
      gaps = [sketches_lib.distance(sketch, other) for other in left]
      ordered.append(left.pop(gaps.index(min(gaps))))
    return ordered

  def _must_be_in_order(self, first: str, second: str) -> bool:
    """Returns whether another order of the numbers is a difference.

    That is so for results, and for ops that read the same.
    """
    a, b = self._tf1.nodes[first], self._tf2.nodes[second]
    if first in self._strict:
      return True
    if a.family in _GATHERING and self._have_other_shapes(first, second):
      return False  # The same rows, in another layout.
    known = [o for o in a.operands if o.kind != graph.CONSTANT]
    return a.family == b.family and all(
      not (o.kind == graph.NODE and self.is_rearranged(o.key))
      and any(self.same_operand(o, other) for other in b.operands)
      for o in known
    )

  def _have_other_shapes(self, first: str, second: str) -> bool:
    mine, theirs = self.sketches[0][first], self.sketches[1][second]
    return bool(mine and theirs) and mine[0].shape != theirs[0].shape

  def is_rearranged(self, first: str) -> bool:
    """Returns whether a node and its counterpart differ in order only."""
    second = self.pairs.get(first)
    if second is None:
      return False
    return any(
      sketches_lib.distance(a, b) > self.tolerance
      and sketches_lib.rearranged(a, b, self.tolerance)
      for a, b in zip(
        self.sketches[0][first], self.sketches[1][second], strict=False
      )
    )

  def agrees(self, first: str) -> bool:
    """Returns whether a TF1 node has a counterpart with equal values."""
    distance = self.distance(first)
    return distance is not None and distance <= self.tolerance

  def same_operand(self, a: graph.Operand, b: graph.Operand) -> bool:
    """Returns whether two operands correspond; constants never do here."""
    if a.kind != b.kind:
      return False
    if a.kind == graph.NODE:
      return self.pairs.get(a.key) == b.key and a.output == b.output
    if a.kind == graph.RANDOM:
      return self.draws.get(a.key) == b.key
    return a.kind != graph.CONSTANT and a.key == b.key

  def _by_value(self) -> None:
    groups = defaultdict(list)
    for name, found in self.sketches[1].items():
      if found:
        groups[len(found), found[0].shape].append((name, found[0]))
    by_shape = {shape: _Group(group) for shape, group in groups.items()}
    for name, mine in self.sketches[0].items():
      shape = (len(mine), mine[0].shape) if mine else None
      if shape not in by_shape:
        continue
      node = self._tf1.nodes[name]
      best, best_score = None, -1.0
      weak = mine[0].is_constant or mine[0].size < _FEW
      for other in by_shape[shape].near(mine[0], self.tolerance):
        if other in self.inverse:
          continue
        score = self._score(node, self._tf2.nodes[other])
        if score > best_score and not (weak and score < _MIN_SCORE):
          best, best_score = other, score
      if best is not None:
        self._add(name, best)

  def _by_structure(self) -> None:
    by_trait = defaultdict(list)
    for i, (name, node) in enumerate(self._tf2.nodes.items()):
      if name not in self.inverse:
        for trait in self._traits(node, second=True):
          by_trait[trait].append((-i, name))
    for name, node in self._tf1.nodes.items():
      if name in self.pairs:
        continue
      others = {
        (-i, other)
        for trait in self._traits(node)
        for i, other in by_trait.get(trait, ())
        if other not in self.inverse
        and self._tf2.nodes[other].nested == node.nested
      }
      scored = [
        (self._score(node, self._tf2.nodes[other]), -i, other)
        for i, other in others
      ]
      if scored:
        score, _, other = max(scored)
        if score >= _MIN_SCORE:
          self._add(name, other)

  def _by_readers(self) -> None:
    """Pairs what ops that correspond read at the same position."""
    waiting = list(self.pairs.items())
    while waiting:
      first, second = waiting.pop()
      a, b = self._tf1.nodes[first], self._tf2.nodes[second]
      mine, theirs = (
        [o for o in node.operands if o.kind != graph.CONSTANT]
        for node in (a, b)
      )
      if a.family != b.family or len(mine) != len(theirs):
        continue
      for x, y in zip(mine, theirs, strict=True):
        if x.kind == y.kind == graph.NODE and self._may_be_same(x.key, y.key):
          self._add(x.key, y.key)
          waiting.append((x.key, y.key))

  def _may_be_same(self, first: str, second: str) -> bool:
    """Returns whether two ops that are not paired yet do the same."""
    if first in self.pairs or second in self.inverse:
      return False
    a, b = self._tf1.nodes[first], self._tf2.nodes[second]
    return (
      a.family == b.family
      and a.shape == b.shape
      and a.variables == b.variables
      and a.nested == b.nested
    )

  def _traits(self, node: graph.Node, second: bool = False) -> list[tuple]:
    """Returns what two nodes of a pair may have in common.

    Args:
      node: the node.
      second: whether it is of TF2; of TF1 it is translated.
    """
    family = node.family
    parts = node.name.split('/')
    traits = [(family, _COUNTER.sub('', parts[-1]), *parts[-2:-1])]
    if node.variables:
      traits.append((family, node.variables))
    for o in node.operands:
      key = o.key
      if o.kind == graph.CONSTANT:
        continue
      if not second and o.kind == graph.NODE:
        key = self.pairs.get(key)
      elif not second and o.kind == graph.RANDOM:
        key = self.draws.get(key)
      if key is not None:
        traits.append((family, o.kind, key, o.output))
    return traits

  def _read_others(self, a: graph.Node, b: graph.Node) -> bool:
    """Returns whether both read what corresponds to something else."""
    mine = [o.key for o in a.operands if o.kind == graph.NODE]
    theirs = [o.key for o in b.operands if o.kind == graph.NODE]
    return (
      bool(mine and theirs)
      and all(key in self.pairs for key in mine)
      and all(key in self.inverse for key in theirs)
    )

  def _score(self, a: graph.Node, b: graph.Node) -> float:
    """Returns how much speaks for a pair of nodes."""
    score = _FAMILY if a.family == b.family else 0.0
    if a.variables and b.variables:
      score += _VARIABLES if a.variables == b.variables else -_VARIABLES
    known = [o for o in a.operands if o.kind != graph.CONSTANT]
    found = sum(
      any(self.same_operand(o, other) for other in b.operands) for o in known
    )
    if known:
      score += _OPERANDS * found / len(known)
    if not found and a.family in _MOVING and self._read_others(a, b):
      score -= _OTHER_INPUT
    score += min(_common_suffix(a.name, b.name), 3)
    mine, theirs = self.sketches[0][a.name], self.sketches[1][b.name]
    if mine and theirs and mine[0].size != theirs[0].size:
      if a.family in _FUSED:
        score -= _OTHER_SIZE
      elif a.family in _GATHERING:
        score -= _OTHER_ROWS
    return score + (0.5 if a.shape == b.shape else 0.0)


class _Group:
  """Sketches of one shape."""

  def __init__(self, named: Sequence[tuple[str, sketches_lib.Sketch]]):
    self._names = [name for name, _ in named]
    self._scales = np.array([sketch.scale for _, sketch in named])
    self._projections = np.array([sketch.projections for _, sketch in named])

  def near(self, sketch: sketches_lib.Sketch, tolerance: float) -> list[str]:
    """Returns the names of those that are equal to a sketch."""
    found = sketches_lib.distances(sketch, self._projections, self._scales)
    return [self._names[i] for i in np.flatnonzero(found <= tolerance)]


def _common_suffix(first: str, second: str) -> float:
  """Returns how many of their last scopes two names have in common."""
  mine, theirs = first.split('/'), second.split('/')
  if mine[-1] != theirs[-1]:
    same = _COUNTER.sub('', mine[-1]) == _COUNTER.sub('', theirs[-1])
    deeper = same and len(mine) > 1 and mine[-2:-1] == theirs[-2:-1]
    return 1.0 if deeper else 0.0
  count = 0.0
  for a, b in zip(reversed(mine[:-1]), reversed(theirs[:-1]), strict=False):
    if a != b:
      break
    count += 1
  return count
