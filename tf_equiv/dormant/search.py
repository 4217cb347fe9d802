"""Looks for inputs and weights on which two sides that agree are apart."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare.dormant import Witness
from tf_equiv.diagnose import description, search
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.dormant import ascent, suspects, twins
from tf_equiv.dormant import points as points_lib
from tf_equiv.tf1.capture import capture, step_capture

# A point beside a witness must show it, too, or it is rounding that grows.
_JITTER = 1e-6
# The sides must be so much further apart than TF1 is from itself there.
_MARGIN = 10.0
# Where float64 does not tell the sides apart: so much of the scale must the
# working dtype of one side err, and so many times as much as the other.
_UNSTABLE, _TIMES = 1e-2, 10.0
# So far apart, the captured graphs are not what was compared.
_BASE = 1e-3
_GATHERS = ('GatherV2', 'ResourceGather', 'Gather', 'GatherNd')


@dataclasses.dataclass(frozen=True)
class Found:
  """A candidate for a witness.

  Attributes:
    point: the inputs and weights.
    witness: what they show.
    divergence: where, if that is known.
  """

  point: points_lib.Point
  witness: Witness
  divergence: divergence_lib.Divergence | None = None


class Search:
  """A search in two captured sides; a context manager.

  Attributes:
    names: TF1 name of a variable by that of TF2.
    probes: how many were tried.
    obstacle: why nothing can be looked for, '' if it can.
    suspects: where the sides are written otherwise.
    pair: both sides in float64.
    tolerance: the relative distance up to which results agree.
  The last three are there once it was entered.
  """

  def __init__(
    self,
    captures: twins.Captures,
    pairing: pairing_lib.Pairing,
    base: points_lib.Base,
  ):
    """Takes both graphs.

    Args:
      captures: of TF1 and TF2, with results that agree.
      pairing: how the variables correspond.
      base: the inputs and weights with which they were captured.
    """
    self.base, self.probes, self.obstacle = base, 0, ''
    self._pairing, self.names = pairing, pairing.tf1_name()
    first, second = _relabeled(captures, self.names)
    self._captures = first, second
    self._labels = [
      label
      for label in first.targets
      if label in second.targets
      and self._is_kept(label)
      # Rates are compared as functions, by `steps`.
      and label[0] != step_capture.RATE
    ]
    # No method of this object: what has files open must not wait for garbage
    # to be collected.
    self._carry = functools.partial(_carried, pairing, base.weights)
    self._stack = contextlib.ExitStack()

  def are_same(self) -> bool:
    """Returns whether both sides surely compute the same, without a run."""
    return suspects.are_same(self._captures, self._labels, self.names)

  def __enter__(self) -> 'Search':
    """Prepares both graphs in float64."""
    self.pair = self._stack.enter_context(
      twins.Twins(self._captures, self._labels, self._carry, self.names)
    )
    self.suspects = suspects.find(self.pair.sides)
    self.tolerance = self.pair.tolerance
    return self

  def __exit__(self, *exc_info) -> None:
    self._stack.close()

  def _is_kept(self, label: capture.Label) -> bool:
    if label[0] not in labels_lib.BY_VARIABLE:
      return True
    return self._pairing.keeps_layout(label[1], self.base.weights)

  def ids(self) -> dict[str, int]:
    """Returns for inputs that look up rows of a table how many it has."""
    found: dict[str, int] = {}
    for each in self.pair.sides:
      shapes = {
        self.names.get(name, name) if each is self.pair.sides[1] else name: (
          value.shape
        )
        for name, value in each.captured.variables.values()
      }
      for node in each.graph.nodes.values():
        if node.op_type not in _GATHERS:
          continue
        inputs = self._inputs_of(each.graph, node)
        for name in node.variables:
          for path in inputs:
            found[path] = min(
              shapes.get(name, (1 << 30,))[0], found.get(path, 1 << 30)
            )
    return found

  def _inputs_of(
    self, graph: graph_lib.Graph, node: graph_lib.Node
  ) -> list[str]:
    nodes = [graph.nodes[n] for n in graph.ancestors([node.name])]
    return [
      o.key for n in nodes for o in n.operands if o.kind == graph_lib.INPUT
    ]

  def start(self) -> bool:
    """Compares what is known to agree.

    Returns:
      Whether the search can go on; else `obstacle` says why not.
    """
    base = points_lib.Point()
    results = self.pair.results(base)
    if any(isinstance(each, str) for each in results):
      self.obstacle = 'the captured graphs cannot be run again'
      return False
    again = self.pair.results(base)
    for side, first, second in zip(('TF1', 'TF2'), results, again, strict=True):
      if self.pair.gap(first, second).distance > self.tolerance:
        self.obstacle = (
          f'{side} gives other results each time, though its inputs, weights '
          'and seeds are the same'
        )
        return False
    distance = self.pair.gap(*results).distance
    if distance > _BASE:
      self.obstacle = 'traced as graphs, the sides compute something else'
      return False
    self.tolerance = max(self.tolerance, 30 * distance)
    return True

  def look(self, points: Iterable[points_lib.Point]) -> Iterator[Found]:
    """Yields the points at which the sides are apart in float64."""
    for point in points:
      self.probes += 1
      gap = self.pair.compare(point)
      if gap.distance > self.tolerance:
        found = self._examine(point, gap)
        if found is not None:
          yield found

  def look_in_working_dtype(
    self, points: Iterable[points_lib.Point]
  ) -> Iterator[Found]:
    """Yields the points at which one side alone cannot do with its dtype."""
    narrow = self._stack.enter_context(
      twins.Twins(self._captures, self._labels, self._carry, self.names, False)
    )
    for point in points:
      self.probes += 1
      exact, rounded = self.pair.results(point), narrow.results(point)
      if any(isinstance(each, str) for each in (*exact, *rounded)):
        continue
      if self.pair.gap(*exact).distance > self.tolerance:
        continue  # `look` tells of it.
      gap = narrow.gap(*rounded)
      if gap.distance < _UNSTABLE or gap.label[0] == capture.GRADIENT:
        continue
      pairs = [
        (a[gap.label], b[gap.label])
        for a, b in zip(exact, rounded, strict=True)
        if not isinstance(a, str) and not isinstance(b, str)
      ]
      errors = [twins.apart(a, b)[0] for a, b in pairs]
      finite = [bool(np.isfinite(a).all()) for a, _ in pairs]
      worse = max(errors) > _UNSTABLE and max(errors) > _TIMES * min(errors)
      if worse and all(finite):
        place = self._locate(point, gap.label)
        if place is not None:
          self._add_suspects(place)
        yield Found(point, _witness(point, gap, place, 'float32'), place)

  def climb(self) -> Iterator[points_lib.Point]:
    """Yields points that lead towards what a suspect does elsewhere."""
    names = [n for n, _ in self.suspects.pairs if n]
    yield from ascent.points(self.pair, self.base, names)

  def _examine(self, point: points_lib.Point, gap: twins.Gap) -> Found | None:
    if gap.failing_side == 'TF1':
      return None  # What TF1 cannot do, nobody has asked of it.
    if gap.failing_side:
      return Found(point, _witness(point, gap, None))
    if not _is_finite(gap.values[0]):
      return None  # Nor of numbers that TF1 itself does not have.
    if point.is_generic and not self._is_stable(point, gap):
      return None
    place = self._locate(point, gap.label)
    if place is None and np.isfinite(gap.distance):
      return None
    if place is not None and not point.is_generic and not is_other(place):
      return None
    if place is not None:
      self._add_suspects(place)
    witness = _witness(point, gap, place)
    return Found(point, self._with_suspect(point, witness), place)

  def _with_suspect(self, point: points_lib.Point, witness: Witness) -> Witness:
    """Names the ops that are written otherwise, where these are apart."""
    for names in self.suspects.pairs:
      if not all(names):
        continue
      nodes = [
        each.graph.nodes[name]
        for each, name in zip(self.pair.sides, names, strict=True)
      ]
      if not all(node.outputs for node in nodes):
        continue
      arrays = self.pair.values(point, [node.outputs[0] for node in nodes])
      if arrays is None or arrays[0].shape != arrays[1].shape:
        continue
      distance, values = twins.apart(*arrays)
      if distance > self.tolerance:
        return dataclasses.replace(witness, places=names, place_values=values)
    return witness

  def _is_stable(self, point: points_lib.Point, gap: twins.Gap) -> bool:
    """Returns whether points beside a witness show what it shows."""
    beside = points_lib.jittered(self.base, point, _JITTER)
    first, second = self.pair.results(beside)
    if isinstance(first, str) or isinstance(second, str):
      return False
    if self.pair.gap(first, second).distance < 0.1 * min(gap.distance, 1.0):
      return False
    before = self.pair.results(point)[0]
    if isinstance(before, str):
      return False
    moved, _ = twins.apart(before[gap.label], first[gap.label])
    return not np.isfinite(gap.distance) or gap.distance > _MARGIN * min(
      moved, 1.0
    )

  def _locate(
    self, point: points_lib.Point, label: capture.Label
  ) -> divergence_lib.Divergence | None:
    weights = {**self.base.weights, **point.weights}
    found = search.find(
      *self.pair.with_values(point),
      [label],
      self.names,
      converted=self._pairing.converted(weights),
      floor=False,
    )
    if found.divergence is not None:
      found.divergence.layers = []
    return found.divergence

  def _add_suspects(self, place: divergence_lib.Divergence) -> None:
    """Names what is written otherwise before ops that are alike."""
    if is_other(place) or place.tf1 is None or place.tf2 is None:
      return
    lone = []
    for i, op in enumerate((place.tf1, place.tf2)):
      side = self.pair.sides[i]
      before = (
        side.graph.ancestors([op.name]) if op.name in side.graph.nodes else ()
      )
      names = (self.suspects.tf1, self.suspects.tf2)[i]
      lone.append(
        [
          description.place_of(
            side.captured, name, side.graph.nodes[name].op_type
          )
          for name in names
          if name in before and name != op.name
        ]
      )
    place.only_tf1, place.only_tf2 = lone


def _is_finite(value: object) -> bool:
  return not isinstance(value, float) or bool(np.isfinite(value))


def is_other(place: divergence_lib.Divergence) -> bool:
  """Returns whether ops that differ are written otherwise."""
  if place.differences or place.only_tf1 or place.only_tf2 or place.note:
    return True
  if place.tf1 is None or place.tf2 is None:
    return True
  return place.tf1.op_type != place.tf2.op_type


def _witness(
  point: points_lib.Point,
  gap: twins.Gap,
  place: divergence_lib.Divergence | None,
  precision: str = 'float64',
) -> Witness:
  names, values = ('', ''), None
  if place is not None:
    names = names_of(place)
    if place.comparison is not None and not place.comparison.problem:
      values = place.comparison.tf1_value, place.comparison.tf2_value
  return Witness(
    changes=point.changes,
    result=gap.label,
    tf1_value=gap.values[0],
    tf2_value=gap.values[1],
    places=names,
    place_values=values,
    precision=precision,
    failing_side=gap.failing_side,
    error=gap.error,
  )


def names_of(place: divergence_lib.Divergence) -> tuple[str, str]:
  """Returns the names of the ops of both sides, '' where there is none."""
  first, second = place.tf1, place.tf2
  return (
    '' if first is None else first.name,
    '' if second is None else second.name,
  )


def _relabeled(
  captures: twins.Captures, names: Mapping[str, str]
) -> twins.Captures:
  first, second = captures
  return first, dataclasses.replace(
    second,
    targets={
      labels_lib.relabeled(label, names): tensor
      for label, tensor in second.targets.items()
    },
    assigned={
      labels_lib.relabeled(label, names): op
      for label, op in second.assigned.items()
    },
  )


def _carried(
  pairing: pairing_lib.Pairing,
  base: Mapping[str, np.ndarray],
  weights: Mapping[str, np.ndarray],
) -> Mapping[str, np.ndarray]:
  """Returns weights by the names of TF2, with those that are not changed."""
  carried = pairing.carry({**base, **weights})
  if step_capture.COUNTER in weights:
    counter = {step_capture.COUNTER: weights[step_capture.COUNTER]}
    return {**carried, **counter}
  return carried
