"""How far constants that were rounded to float32 move the results.

A rewrite computes with other constants: it multiplies by 0.57735 where TF1
divides by 1.73205, or adds one to a bias before the sum is rounded. Both are
right, and still differ in float64 by what float32 cut off. Constants, and the
variables that `convert_variable` changed, are therefore moved by half of a unit
in the last place of float32: what the results move by is no difference.
"""

from collections.abc import Collection, Sequence

import numpy as np

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import sketches

# Largest distance that rounding can explain.
LARGEST = 1e-5
_HALF_UNIT = 2.0**-24
_RUNS = 2
_SLACK = 4.0
# Of the 24 bits of a number, those that a short constant leaves empty.
_SHORT = 2.0**-12
_MAX_ELEMENTS = 4096


def floors(
  sides,
  labels: Sequence,
  converted: Collection[str],
  sketcher: sketches.Sketcher,
) -> dict:
  """Measures what results move by.

  Args:
    sides: both sides: `captured`, `graph`, `run` in float64, and `results`.
    labels: those to look at.
    converted: TF1 names of the variables that `convert_variable` changed.
    sketcher: makes comparable sketches.

  Returns:
    For each label the distance up to which results agree.
  """
  found = dict.fromkeys(labels, 0.0)
  generator = np.random.default_rng(0)
  for i, side in enumerate(sides):
    names = [side.captured.targets[label].name for label in labels]
    constants = _constants(side.graph, side.run)
    variables = {} if i else _variables(side.captured, converted)
    if not constants and not variables:
      continue
    before = [sketcher.sketch(side.results[label]) for label in labels]
    for _ in range(_RUNS):
      after = side.run.fetch(
        names,
        constants=_moved(constants, generator),
        variables=_moved(variables, generator),
      )
      for label, old, new in zip(labels, before, after, strict=True):
        gap = sketches.distance(old, sketcher.sketch(new))
        found[label] = max(found[label], gap)
  return {label: _SLACK * gap for label, gap in found.items()}


def _constants(graph, run) -> dict[str, np.ndarray]:
  names = sorted(
    {
      operand.key
      for node in graph.nodes.values()
      if not node.nested
      for operand in node.operands
      if operand.kind == graph_lib.CONSTANT
      and run.is_small(operand.key, _MAX_ELEMENTS)
    }
  )
  values = dict(zip(names, run.fetch(names), strict=True))
  return {n: x for n, x in values.items() if x.dtype.kind == 'f' and x.size}


def _variables(captured, converted) -> dict[str, np.ndarray]:
  return {
    handle: value
    for handle, (name, value) in captured.variables.items()
    if name in converted and value.dtype.kind == 'f'
  }


def _moved(values, generator) -> dict[str, np.ndarray]:
  return {
    name: value + _step(value) * generator.choice([-1.0, 1.0], value.shape)
    for name, value in values.items()
  }


def _step(value: np.ndarray) -> np.ndarray:
  """Half of a unit in the last place, 0 for numbers that need no rounding."""
  wide = np.asarray(value, np.float64)
  finite = np.where(np.isfinite(wide), wide, 0.0)
  mantissa, _ = np.frexp(finite)
  is_short = mantissa % _SHORT == 0
  return np.where(is_short, 0.0, np.abs(finite) * _HALF_UNIT).astype(np.float64)
