"""Small summaries of large arrays that tell whether the arrays are equal.

With random signs w, the dot product of w and the difference of two arrays has
the expected square of the sum of squared differences (W. Johnson,
J. Lindenstrauss, 1984): a few of them estimate how far apart two arrays are.
"""

import dataclasses

import numpy as np

_PROJECTIONS = 6
_BLOCK = 1 << 15
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
    is_finite: whether no element is NaN or infinite.
  """

  shape: tuple[int, ...]
  magnitude: float
  scale: float
  projections: np.ndarray
  total: float
  squares: float
  is_constant: bool
  is_finite: bool

  @property
  def size(self) -> int:
    """Number of elements."""
    return int(np.prod(self.shape))


class Sketcher:
  """Makes sketches that can be compared with each other."""

  def __init__(self):
    generator = np.random.default_rng(20260101)
    self._signs = generator.choice([-1.0, 1.0], (_BLOCK, _PROJECTIONS))
    self._of_blocks = generator.choice([-1.0, 1.0], 1 << 20)

  def sketch(self, array: np.ndarray) -> Sketch:
    """Returns the sketch of a numeric array."""
    array = np.asarray(array)
    flat = array.reshape(-1).astype(np.float64, copy=False)
    finite = bool(np.isfinite(flat).all())
    if not finite:
      flat = np.nan_to_num(flat, nan=1.25e19, posinf=2.5e19, neginf=-2.5e19)
    low, high = (flat.min(), flat.max()) if flat.size else (0.0, 0.0)
    magnitude = float(max(abs(low), abs(high)))
    scale = magnitude
    if magnitude > _LARGE:
      flat = np.arcsinh(flat)
      scale = float(np.arcsinh(magnitude))
    projections = np.zeros(_PROJECTIONS)
    for i, start in enumerate(range(0, flat.size, _BLOCK)):
      part = flat[start : start + _BLOCK]
      projections += self._of_blocks[i] * (part @ self._signs[: part.size])
    return Sketch(
      array.shape,
      magnitude,
      scale,
      projections,
      float(flat.sum()),
      float(flat @ flat),
      bool(low == high),
      finite,
    )


def distance(a: Sketch, b: Sketch) -> float:
  """Estimates how far two arrays of one shape are apart.

  Returns:
    The root mean square of the difference over the scale.
  """
  if a.shape != b.shape:
    return float('inf')
  scale = max(a.scale, b.scale)
  if not a.size or not scale:
    return 0.0
  gap = (a.projections - b.projections) / scale
  return float(np.sqrt(np.mean(gap * gap) / a.size))


def rearranged(a: Sketch, b: Sketch, tolerance: float) -> bool:
  """Tells whether two arrays seem to hold the same numbers in another order."""
  if a.size != b.size or a.is_constant or a.size < 4:
    return False
  scale = max(a.scale, b.scale)
  return (
    abs(a.scale - b.scale) <= tolerance * scale
    and abs(a.total - b.total) <= tolerance * scale * a.size**0.5
    and abs(a.squares - b.squares) <= tolerance * scale**2 * a.size**0.5
  )
