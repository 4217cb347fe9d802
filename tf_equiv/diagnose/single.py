"""Finds what only float32 shows: other large constants, and overflow.

In float64 a mask of -1e4 hides as much as one of -1e9, and nothing overflows,
so that the sides agree there although one of them computes something else in
the precision in which it runs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv import compat
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
# What sketches have in the place of infinity and of NaN.
_NOT_FINITE = (2.5e19, 1.25e19)


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
  candidates = list(_candidates(sides, alignment))[:_MAX_TRIED]
  if not candidates:
    return None
  second = sides[1]
  labels = list(singles[1])
  names = [second.captured.targets[label].name for label in labels]
  with replay.Replay(second.captured, double=False, results=names) as run:
    run.fix(second.run.fixed)
    for a, b, operand, mine, theirs in candidates:
      given = np.full(theirs.shape, mine.reshape(-1)[0], theirs.dtype)
      values = run.fetch(names, constants={operand.tensor: given})
      again = dict(zip(labels, values, strict=True))
      if _gap(singles[0], again) > _LEFT * gap:
        continue
      position = b.operands.index(operand)
      return divergence.Divergence(
        description.place_of(sides[0].captured, a.name, a.op_type),
        description.place_of(second.captured, b.name, b.op_type),
        differences=[
          Difference(
            Kind.CONSTANT, tf1=plain(mine), tf2=plain(theirs), operand=position
          )
        ],
        group=labels[0][0],
        note=(
          'float64 hides it; in float32 TF2 gives what TF1 gives with the '
          'constant of TF1'
        ),
      )
  return None


def _candidates(sides: Sides, alignment: alignment_lib.Alignment):
  """Yields pairs of ops that read other large constants."""
  for first, second in alignment.pairs.items():
    a, b = sides[0].graph.nodes[first], sides[1].graph.nodes[second]
    if a.family != b.family or a.nested or b.nested:
      continue
    mine, theirs = (
      [o for o in node.operands if o.kind == graph_lib.CONSTANT]
      for node in (a, b)
    )
    if len(mine) != 1 or len(theirs) != 1:
      continue
    values = [
      _constant(side, o)
      for side, (o,) in zip(sides, (mine, theirs), strict=True)
    ]
    if any(x is None or x.size != 1 or x.dtype.kind != 'f' for x in values):
      continue
    if np.max(np.abs(values)) >= _LARGE and not np.allclose(*values):
      yield a, b, theirs[0], *values


def _constant(side: Side, operand: graph_lib.Operand) -> np.ndarray | None:
  tensor = side.captured.graph.get_tensor_by_name(operand.tensor)
  value = compat.get_static_value(tensor)
  return None if value is None else np.asarray(value)


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
  name = _first_not_finite(side, roundings[i])
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


def _first_not_finite(side: Side, found: rounding.Rounding) -> str | None:
  for name in side.graph.nodes:
    single, double = found.sketches.get(name), side.sketches.get(name)
    if not single or not double or single[0] is None or double[0] is None:
      continue
    if (
      single[0].magnitude in _NOT_FINITE
      and double[0].magnitude not in _NOT_FINITE
    ):
      return name
  return None
