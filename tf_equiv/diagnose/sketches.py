"""Small summaries of large arrays, by which these are compared.

With random signs w, the dot product of w and the difference of two arrays has
the expected square of the sum of squared differences (W. Johnson,
J. Lindenstrauss, 1984): a few of them estimate how far apart two arrays are.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.tf1.capture import capture

_PROJECTIONS = 6
# Small enough for the fastest cache, and for one thread to be enough.
_BLOCK = 1 << 13
# Arrays with larger numbers are compared on a logarithmic scale, so that a mask
# of -1e9 does not hide what is beside it.
_LARGE = 1e5


@dataclasses.dataclass(frozen=True)
class Sketch:
  """A summary of an array.

  Attributes:
    shape: of the array.
    magnitude: largest magnitude.
    scale: that of what the other numbers are computed from, which is another
      for large numbers.
    projections: dot products with random signs.
    total: sum of the elements.
    squares: sum of their squares.
    is_constant: whether all elements are the same.
  """

  shape: tuple[int, ...]
  magnitude: float
  scale: float
  projections: np.ndarray
  total: float
  squares: float
  is_constant: bool

  @functools.cached_property
  def size(self) -> int:
    """Number of elements."""
    return math.prod(self.shape)


class Sketcher:
  """Makes sketches that can be compared with each other."""

  def __init__(self) -> None:
    generator = np.random.default_rng(20260101)
    self._signs = generator.choice([-1.0, 1.0], (_PROJECTIONS, _BLOCK))
    self._of_blocks = generator.choice(np.array([-1, 1], np.int8), 1 << 20)

  def sketch(self, array: np.ndarray) -> Sketch:
    """Returns the sketch of a numeric array."""
    array = np.asarray(array)
    flat = array.reshape(-1)
    is_complex = flat.dtype.kind == 'c'
    if is_complex:  # Real and imaginary parts, in turns.
      flat = np.ascontiguousarray(flat).view(flat.real.dtype)
    low, high = (
      (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    )
    if not (np.isfinite(low) and np.isfinite(high)):
      flat = flat.astype(np.float64)
      flat = np.nan_to_num(flat, nan=1.25e19, posinf=2.5e19, neginf=-2.5e19)
      low, high = float(flat.min()), float(flat.max())
    is_constant = low == high
    if is_complex and flat.size:
      is_constant = bool((flat.reshape(-1, 2) == flat[:2]).all())
    magnitude = max(abs(low), abs(high))
    is_large = magnitude > _LARGE
    projections, total, squares = np.zeros(_PROJECTIONS), 0.0, 0.0
    # Block by block, so that each is read but once.
    for i, start in enumerate(range(0, flat.size, _BLOCK)):
      part = flat[start : start + _BLOCK].astype(np.float64, copy=False)
      if is_large:
        part = np.arcsinh(part)
      projections += self._of_blocks[i] * np.array(
        [signs[: part.size] @ part for signs in self._signs]
      )
      total += float(part.sum())
      squares += float(part @ part)
    return Sketch(
      array.shape,
      magnitude,
      float(np.arcsinh(magnitude)) if is_large else magnitude,
      projections,
      total,
      squares,
      is_constant,
    )


def of_run(
  run: Any,
  captured: capture.Capture,
  graph: graph_lib.Graph,
  labels: Sequence[capture.Label],
  sketcher: Sketcher,
  remember: bool = False,
) -> tuple[dict[str, list[Sketch]], dict[capture.Label, np.ndarray]]:
  """Runs a captured graph once, and summarizes what it computes.

  Args:
    run: a `replay.Replay` of the graph.
    captured: the graph.
    graph: the same as nodes.
    labels: results whose values are kept.
    sketcher: makes the sketches.
    remember: whether later runs may go on from within this one.

  Returns:
    (sketches of the outputs of each node by its name, results by label).
  """
  return _collected(
    lambda names: run.stream(names, remember=remember),
    graph.nodes.values(),
    {label: captured.targets[label].name for label in labels},
    sketcher,
  )


def of_rerun(
  run: Any,
  fixed: Sequence[str],
  nodes: Iterable[graph_lib.Node],
  targets: Mapping[capture.Label, str],
  sketcher: Sketcher,
) -> tuple[dict[str, list[Sketch]], dict[capture.Label, np.ndarray]]:
  """Runs again what lies behind tensors that were given other values.

  Args:
    run: a `replay.Replay`, of which a run is remembered.
    fixed: names of these tensors.
    nodes: what is computed from them.
    targets: tensors of results whose values are kept, by label.
    sketcher: makes the sketches.

  Returns:
    As of `of_run`.
  """
  return _collected(
    lambda names: run.stream_behind(names, fixed), nodes, targets, sketcher
  )


def _collected(
  stream: Callable[[list[str]], Iterable[tuple[str, np.ndarray]]],
  nodes: Iterable[graph_lib.Node],
  targets: Mapping[capture.Label, str],
  sketcher: Sketcher,
) -> tuple[dict[str, list[Sketch]], dict[capture.Label, np.ndarray]]:
  """Summarizes what comes in for some nodes, and keeps results."""
  nodes = list(nodes)
  found = {node.name: [None] * len(node.outputs) for node in nodes}
  places = {
    tensor: (node.name, i)
    for node in nodes
    for i, tensor in enumerate(node.outputs)
  }
  wanted = {}
  for label, name in targets.items():
    wanted.setdefault(name, []).append(label)
  results = {}
  for tensor, array in stream([*places, *wanted]):
    if tensor in places:
      name, i = places[tensor]
      found[name][i] = sketcher.sketch(array)
    for label in wanted.get(tensor, ()):
      results[label] = array
  return found, results


def distance(a: Sketch, b: Sketch) -> float:
  """Estimates how far two arrays of one shape are apart.

  Returns:
    The root mean square of the difference over the scale.
  """
  if a.shape != b.shape:
    return float('inf')
  return float(distances(a, b.projections[np.newaxis], np.array([b.scale]))[0])


def distances(
  a: Sketch, projections: np.ndarray, scales: np.ndarray
) -> np.ndarray:
  """Estimates how far an array is from each of several of its shape.

  Args:
    a: sketch of the array.
    projections: of the others, a row each.
    scales: of the others.

  Returns:
    The distance from each; see `distance`.
  """
  scale = np.maximum(a.scale, scales)
  scale = np.where(scale == 0, 1.0, scale)
  gap = (projections - a.projections) / scale[:, np.newaxis]
  return np.sqrt(np.sum(gap * gap, 1) / (_PROJECTIONS * max(a.size, 1)))


def rearranged(a: Sketch, b: Sketch, tolerance: float) -> bool:
  """Returns whether two arrays seem to differ in the order of numbers only."""
  if a.size != b.size or a.is_constant or a.size < 4:
    return False
  scale = max(a.scale, b.scale)
  return (
    abs(a.scale - b.scale) <= tolerance * scale
    and abs(a.total - b.total) <= tolerance * scale * a.size**0.5
    and abs(a.squares - b.squares) <= tolerance * scale**2 * a.size**0.5
  )
