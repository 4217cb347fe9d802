"""Measures what rounding to float32 does to each op, and where it grows."""

import dataclasses

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.diagnose import graph, places, replay
from tf_equiv.diagnose import sketches as sketches_lib

# Half a unit in the last place of float32, over the value: no operand is more
# exact than that.
_EXACT = 2.0**-24
# Relative tolerance of float32 by default, see `compare.tolerances`.
_ALLOWED = 1e-5
# In these the operand with the larger absolute error matters, in others that
# with the larger relative error.
_ADDING = ('Add', 'AddN', 'Sub', 'ConcatV2', 'Pack', 'Sum', 'Mean')


@dataclasses.dataclass
class Rounding:
  """What float32 does to one side.

  Attributes:
    errors: for each node, the root mean square of its error over the largest
      magnitude of its values.
    sketches: of the outputs of each node in float32.
    results: values of the results in float32, by label.
  """

  errors: dict[str, float]
  sketches: dict[str, list]
  results: dict


def measure(side, labels, sketcher) -> Rounding:
  """Runs a side once more, in float32.

  Args:
    side: `captured`, `graph`, `run`, and `sketches` in float64.
    labels: results whose values are kept.
    sketcher: what made the sketches.

  Returns:
    The errors against float64, with the same random draws.
  """
  names = [side.captured.targets[label].name for label in labels]
  with replay.Replay(side.captured, double=False, results=names) as run:
    run.fix(side.run.fixed)
    sketches, results = sketches_lib.of_run(
      run, side.captured, side.graph, labels, sketcher
    )
  errors = {}
  for name, single in sketches.items():
    double = side.sketches[name]
    if single and single[0] is not None and double[0] is not None:
      errors[name] = min(sketches_lib.distance(single[0], double[0]), 1.0)
  return Rounding(errors, sketches, results)


def explain(sides, roundings, pairs) -> divergence.Noise | None:
  """Says where rounding grows on the way to the least certain result.

  Args:
    sides: both sides, as `measure` takes them.
    roundings: what was measured of each.
    pairs: name of the TF2 node by that of the TF1 node.

  Returns:
    What is to be said, None where no result is a floating-point number.
  """
  uncertain = []
  for i, (side, rounding) in enumerate(zip(sides, roundings, strict=True)):
    for label, value in side.results.items():
      single = rounding.results[label]
      if value.dtype.kind != 'f' or not value.size:
        continue
      error = float(np.max(np.abs(single - value)))
      scale = float(max(np.max(np.abs(single)), np.max(np.abs(value))))
      if np.isfinite(error):
        uncertain.append((error / (scale or 1.0), error, scale, -i, label))
  if not uncertain:
    return None
  _, error, scale, i, label = max(uncertain)
  side, rounding = sides[-i], roundings[-i]
  name, factor = _grows_most(side, rounding, label)
  place = None
  if name:
    node = side.graph.nodes[name]
    place = places.place_of(side.captured, name, node.op_type)
  return divergence.Noise(
    side.captured.side,
    label[1],
    error,
    scale,
    place,
    factor,
    2 * max(error for _, error, *_ in uncertain),
    _layers(sides, roundings, pairs),
  )


def _grows_most(side, rounding, label) -> tuple[str, float]:
  """Follows the error of a result back to where it came from.

  Returns:
    The node on this way that makes the relative error of what it reads grow
    most, and by how much.
  """
  operand = side.graph.results[label]
  worst, most, seen = '', 0.0, set()
  while operand is not None and operand.kind == graph.NODE:
    if operand.key in seen:
      break
    seen.add(operand.key)
    node = side.graph.nodes[operand.key]
    read = [
      o
      for o in node.operands
      if o.kind == graph.NODE and o.key in rounding.errors
    ]
    before = max([rounding.errors[o.key] for o in read], default=0.0)
    factor = rounding.errors.get(node.name, 0.0) / max(before, _EXACT)
    if factor > most:
      worst, most = node.name, factor

    def weight(o, adding=node.family in _ADDING):
      size = side.sketches[o.key][0].magnitude if adding else 1.0
      return rounding.errors[o.key] * size

    operand = max(read, key=weight, default=None)
  return worst, most


def _layers(sides, roundings, pairs) -> list[divergence.LayerError]:
  """How far the sides are apart in float32, op by op."""
  layers = []
  for name, second in pairs.items():
    first = roundings[0].sketches[name]
    other = roundings[1].sketches[second]
    if not first or not other or name not in roundings[0].errors:
      continue
    scale = first[0].magnitude
    layers.append(
      divergence.LayerError(
        name,
        second,
        sides[0].graph.nodes[name].op_type,
        first[0].shape,
        sketches_lib.distance(first[0], other[0]) * scale,
        _ALLOWED * scale,
        scale,
        roundings[0].errors[name] * scale,
      )
    )
  order = {name: i for i, name in enumerate(sides[0].graph.nodes)}
  return sorted(layers, key=lambda layer: order[layer.tf1])
