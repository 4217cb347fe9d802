"""Finds what only float32 shows: other large constants, and overflow.

In float64 a mask of -1e4 hides as much as one of -1e9, and nothing overflows,
so that the sides agree there although one of them computes something else in
the precision in which it runs.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Difference, Kind, plain
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import description, replay, rounding
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides
from tf_equiv.tf1.capture import capture

Labels = Sequence[capture.Label]
Results = Mapping[capture.Label, np.ndarray]

# Smaller constants do not make numbers vanish beside them.
_LARGE = 100.0
_MAX_TRIED = 6
# Results that are closer, over their scale, differ by rounding.
_LEAST = 1e-4
# What is left of the difference with the constant of TF1, at most.
_LEFT = 1e-2
_MAX_SIZE = 1 << 16
# So many different numbers of a constant are shown.
_MAX_SHOWN = 4


def other_constant(
  sides: Sides,
  alignment: alignment_lib.Alignment,
  singles: tuple[Results, Results],
) -> divergence.Divergence | None:
  """Finds a constant of TF2 that with the value of TF1 gives TF1's results.

  Args:
    sides: both sides, which agree in float64.
    alignment: which ops correspond.
    singles: for each side its results in float32.

  Returns:
    The place, None if there is none.
  """
  gap = _gap(*singles)
  if gap <= _LEAST * _scale(singles[0]):
    return None
  labels = list(singles[1])
  with contextlib.ExitStack() as stack:
    runs = [
      stack.enter_context(
        replay.Replay(
          side.captured,
          double=False,
          results=[side.captured.targets[label].name for label in labels],
        )
      )
      for side in sides
    ]
    for side, run in zip(sides, runs, strict=True):
      run.fix(side.run.fixed)
    names = [sides[1].captured.targets[label].name for label in labels]
    for _, found in zip(
      range(_MAX_TRIED), _candidates(sides, alignment, runs), strict=False
    ):
      values = runs[1].fetch(
        names, constants={found.operand.tensor: found.given}
      )
      again = dict(zip(labels, values, strict=True))
      if _gap(singles[0], again) <= _LEFT * gap:
        return _place(found, sides, labels[0][0])
  return None


@dataclasses.dataclass(frozen=True)
class _Candidate:
  """Two ops that read another large constant.

  Attributes:
    tf1: the op of TF1.
    tf2: that of TF2.
    operand: what it reads.
    given: what TF1 reads, in the shape of TF2.
    values: both constants, as numbers.
  """

  tf1: graph_lib.Node
  tf2: graph_lib.Node
  operand: graph_lib.Operand
  given: np.ndarray
  values: tuple[Any, Any]


def _place(
  found: _Candidate, sides: Sides, group: str
) -> divergence.Divergence:
  position = found.tf2.operands.index(found.operand)
  return divergence.Divergence(
    description.place_of(sides[0].captured, found.tf1.name, found.tf1.op_type),
    description.place_of(sides[1].captured, found.tf2.name, found.tf2.op_type),
    differences=[
      Difference(Kind.CONSTANT, '', *found.values, operand=position)
    ],
    group=group,
    note=(
      'float64 hides it; in float32 TF2 gives what TF1 gives with the constant '
      'of TF1'
    ),
  )


def _candidates(
  sides: Sides, alignment: alignment_lib.Alignment, runs: Sequence[Any]
) -> Iterator[_Candidate]:
  """Yields pairs of ops that read other large constants."""
  for first, second in alignment.pairs.items():
    a, b = sides[0].graph.nodes[first], sides[1].graph.nodes[second]
    if a.family != b.family or a.nested or b.nested:
      continue
    operands = [
      [o for o in node.operands if o.kind == graph_lib.CONSTANT]
      for node in (a, b)
    ]
    if any(len(each) != 1 for each in operands):
      continue
    values = [
      _constant(run, each[0]) for run, each in zip(runs, operands, strict=True)
    ]
    if None in [None if x is None else x.size for x in values]:
      continue
    mine, theirs = values
    if max(np.max(np.abs(x), initial=0.0) for x in values) < _LARGE:
      continue
    if mine.size == 1:
      mine = np.full(theirs.shape, mine.reshape(-1)[0], theirs.dtype)
    if mine.shape == theirs.shape and not np.allclose(mine, theirs):
      shown = tuple(plain(np.unique(x)[:_MAX_SHOWN]) for x in (mine, theirs))
      yield _Candidate(a, b, operands[1][0], mine, shown)


def _constant(run: Any, operand: graph_lib.Operand) -> np.ndarray | None:
  if not run.is_small(operand.tensor, _MAX_SIZE):
    return None
  (value,) = run.fetch([operand.tensor])
  return value if value.dtype.kind == 'f' and value.size else None


def _scale(results: Results) -> float:
  return max(
    (
      float(np.max(np.abs(x), initial=0.0))
      for x in results.values()
      if x.dtype.kind == 'f'
    ),
    default=0.0,
  )


def _gap(first: Results, second: Results) -> float:
  """Returns how far results are apart; infinite where that is not known."""
  gaps = [0.0]
  for label, value in first.items():
    other = second.get(label)
    if other is None or other.shape != value.shape:
      return float('inf')
    if value.dtype.kind == 'f':
      wide = value.astype(np.float64), other.astype(np.float64)
      gaps.append(float(np.max(np.abs(wide[0] - wide[1]), initial=0.0)))
  return max(gaps)


def overflow(
  sides: Sides,
  roundings: Sequence[rounding.Rounding],
  pairs: Mapping[str, str],
) -> divergence.Divergence | None:
  """Finds the op with which one side alone leaves the range of float32.

  Args:
    sides: both sides, which agree in float64.
    roundings: what each is in float32.
    pairs: name of the TF2 node by that of the TF1 node.

  Returns:
    The place, None if results are finite on both sides, or on neither.
  """
  finite = [
    all(
      np.isfinite(x).all() for x in each.results.values() if x.dtype.kind == 'f'
    )
    for each in roundings
  ]
  if finite[0] == finite[1]:
    return None
  i = finite.index(False)
  side = sides[i]
  name = _first_not_finite(side)
  if name is None:
    return None
  paired = {b: a for a, b in pairs.items()} if i else pairs
  other = paired.get(name)
  places: list[divergence.Place | None] = [None, None]
  for j, found in ((i, name), (1 - i, other)):
    if found is not None:
      node = sides[j].graph.nodes[found]
      places[j] = description.place_of(sides[j].captured, found, node.op_type)
  label = next(iter(roundings[i].results))
  return divergence.Divergence(
    *places,
    differences=[Difference(Kind.OVERFLOW, name, **{('tf1', 'tf2')[i]: True})],
    group=label[0],
  )


def _first_not_finite(side: Side) -> str | None:
  """Returns the first op that gives infinity or NaN in float32."""
  labels = list(side.results)
  names = [side.captured.targets[label].name for label in labels]
  outputs = {
    node.outputs[0]: name
    for name, node in side.graph.nodes.items()
    if node.outputs
  }
  found = set()
  with replay.Replay(side.captured, double=False, results=names) as run:
    run.fix(side.run.fixed)
    for tensor, value in run.stream(list(outputs)):
      if value.dtype.kind == 'f' and not np.isfinite(value).all():
        found.add(outputs[tensor])
  return next((name for name in side.graph.nodes if name in found), None)
