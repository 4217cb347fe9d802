"""How exactly the updates of training steps are known.

What a step leaves behind is only as exact as its gradients. The gradient of
an element is known up to some multiple of float32's precision times the
largest gradient of all, so an element whose gradient is far below the largest
one has an uncertain update; an optimizer that normalizes gradients (Adam) even
turns rounding noise, such as the gradient of a bias before batch
normalization, into updates of full size. Each element is therefore allowed, in
addition to the tolerance, its own update times the relative uncertainty of
its gradient. Elements whose gradient is nothing but noise are not compared,
and counted.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tf_equiv.compare import values

Gradients = Mapping[str, Sequence[np.ndarray | None]]

# Uncertainty of a gradient, in terms of the largest of all: what a gradient
# may differ by (`values.compare_gradients`, 5e-5 for float32) times the least
# scale that counts there (0.1 of the largest).
_GRADIENT_NOISE = {'float64': 5e-13, 'float32': 5e-6}
_DEFAULT_NOISE = 5e-2


class Uncertainty:
  """Learns from one step after another how uncertain updates are.

  Attributes:
    noise: number of elements by TF2 variable whose updates are rounding noise.
    changed: whether any variable changed on the TF1 side.
    extra: for each TF2 variable, what its elements may differ by in addition
      to the tolerance.
  """

  def __init__(self, trainable: Collection[str]):
    """Takes the names of the TF2 variables that TF1 trains."""
    self.noise: dict[str, int] = {}
    self.changed = False
    self.extra: dict[str, np.ndarray] = {}
    self._trainable = trainable
    self._largest_gradient = 0.0
    self._peak: dict[str, np.ndarray] = {}
    self._touched: dict[str, np.ndarray | bool] = {}

  def learn(
    self,
    gradients: Sequence[Gradients],
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
  ) -> None:
    """Learns how uncertain the updates of a step are.

    Args:
      gradients: of TF1, and of TF2, by name in TF2.
      before: the variables before the step in TF1, by name in TF2.
      after: the variables after it.
    """
    for name, found in gradients[0].items():
      for gradient in found:
        if gradient is not None:
          scale = values.scale_of(gradient)
          self._largest_gradient = max(self._largest_gradient, scale)
          self._peak[name] = np.maximum(
            self._peak.get(name, 0.0), np.abs(gradient)
          )
    for side in gradients:
      for name, found in side.items():
        for gradient in found:
          if gradient is None or name not in before:
            continue
          if gradient.shape == np.shape(before[name]):
            touched = self._touched.get(name, False)
            self._touched[name] = touched | (gradient != 0)
    change = {
      name: np.abs(after[name] - before[name])
      for name in self._trainable
      if name in after and values.is_inexact(after[name])
    }
    largest = max((values.scale_of(c) for c in change.values()), default=0.0)
    self.changed = self.changed or largest > 0
    for name, moved in change.items():
      self.extra[name] = self._allowed(name, moved, largest)

  def _allowed(
    self, name: str, moved: np.ndarray, largest: float
  ) -> np.ndarray:
    """What the elements of a variable may differ by after one more step."""
    if name not in self._peak:
      return np.zeros_like(moved)
    noise = _GRADIENT_NOISE.get(moved.dtype.name, _DEFAULT_NOISE)
    noise *= self._largest_gradient
    peak = self._peak[name]
    with np.errstate(divide='ignore', invalid='ignore'):
      relative = np.where(peak > 0, noise / peak, np.inf)
    only_noise = (relative >= 1) & self._touched.get(name, False)
    self.noise[name] = int(np.count_nonzero(only_noise))
    graded = moved * np.where(relative < 1, relative, 0.0)
    return np.where(only_noise, 2 * largest, graded).astype(moved.dtype)
