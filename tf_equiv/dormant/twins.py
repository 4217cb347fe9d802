"""Both captured sides, computed side by side with other inputs and weights."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import replay, shared_draws, side
from tf_equiv.dormant import points as points_lib
from tf_equiv.tf1.capture import capture

Results = Mapping[capture.Label, np.ndarray]
Captures = tuple[capture.Capture, capture.Capture]

# Gradients are judged by the largest of all, down to this share of it.
_GROUP = 1e-2
_HALF = (tf.float16, tf.bfloat16)
# Relative distances up to which results agree: in float64; where an op has no
# double kernel; where the graph computes in 16 bits.
_TIGHT, _SINGLE, _COARSE = 1e-5, 1e-4, 3e-2


@dataclasses.dataclass(frozen=True)
class Gap:
  """How far both sides are apart.

  Attributes:
    distance: the largest difference of a result over its scale; infinite where
      one side alone is not finite, or cannot be computed.
    label: of that result.
    values: of TF1 and TF2 where they are furthest apart.
    failing_side: 'TF1' or 'TF2' where one side alone raises.
    error: what it says.
    is_void: whether neither side can compute, so that nothing is compared.
  """

  distance: float = 0.0
  label: capture.Label = ('', '')
  values: tuple[Any, Any] = (None, None)
  failing_side: str = ''
  error: str = ''
  is_void: bool = False


class Twins:
  """Both sides, ready to run with other values; a context manager."""

  def __init__(
    self,
    captures: Captures,
    labels: Sequence[capture.Label],
    carry: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    names: Mapping[str, str],
    double: bool = True,
  ):
    """Prepares both graphs.

    Args:
      captures: of TF1 and TF2.
      labels: results that are compared.
      carry: carries values of variables by TF1 name to those of TF2.
      names: TF1 name of a variable by that of TF2.
      double: whether they compute in float64.
    """
    self.captures, self.labels = captures, list(labels)
    self._carry, self._double = carry, double
    self._targets = [[c.targets[x].name for x in labels] for c in captures]
    with contextlib.ExitStack() as stack:
      self._runs = [
        stack.enter_context(replay.Replay(captured, double, targets))
        for captured, targets in zip(captures, self._targets, strict=True)
      ]
      first, second = (
        side.Side(captured, graph_lib.read(captured, labels, named), run)
        for captured, named, run in zip(
          captures, ({}, names), self._runs, strict=True
        )
      )
      self.sides = first, second
      shared_draws.share(self.sides, self.labels, names)
      self._stack = stack.pop_all()

  def __enter__(self) -> 'Twins':
    return self

  def __exit__(self, *exc_info) -> None:
    self._stack.close()

  @property
  def tolerance(self) -> float:
    """The relative distance up to which results agree."""
    if any(
      tensor.dtype.base_dtype in _HALF
      for captured in self.captures
      for op in captured.graph.get_operations()
      for tensor in op.outputs
    ):
      return _COARSE
    precise = not any(run.fallbacks for run in self._runs)
    return _TIGHT if precise else _SINGLE

  def compare(self, point: points_lib.Point) -> Gap:
    """Returns how far the sides are apart at a point."""
    return self.gap(*self.results(point), point.is_generic)

  def results(
    self, point: points_lib.Point, feeds: Mapping[str, np.ndarray] | None = None
  ) -> tuple[Results | str, Results | str]:
    """Runs both sides.

    Args:
      point: inputs and weights.
      feeds: values of further tensors of both sides by name.

    Returns:
      For each side its results, or what it says if it cannot be computed.
    """
    found = []
    for i, (captured, run) in enumerate(
      zip(self.captures, self._runs, strict=True)
    ):
      values = point.weights if i == 0 else self._carried(point.weights)
      constants = {**_fed(captured, point), **(feeds or {})}
      found.append(self._fetched(i, run, constants, _held(captured, values)))
    return found[0], found[1]

  def values(
    self, point: points_lib.Point, names: Sequence[str]
  ) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns a tensor of each side, None if it cannot be computed.

    Args:
      point: inputs and weights.
      names: of the tensor in TF1 and in TF2.
    """
    found = []
    for i, name in enumerate(names):
      captured, run = self.captures[i], self._runs[i]
      values = point.weights if i == 0 else self._carried(point.weights)
      constants = self._wide(i, _fed(captured, point))
      try:
        (value,) = run.fetch(
          [name], constants=constants, variables=_held(captured, values)
        )
      except tf.errors.OpError:
        return None
      found.append(np.asarray(value))
    return found[0], found[1]

  def with_values(self, point: points_lib.Point) -> Captures:
    """Returns the captured sides with the inputs and weights of a point."""
    changed = []
    for i, captured in enumerate(self.captures):
      values = point.weights if i == 0 else self._carried(point.weights)
      held = _held(captured, values)
      changed.append(
        dataclasses.replace(
          captured,
          feeds={**captured.feeds, **_fed(captured, point)},
          variables={
            handle: (name, held.get(handle, value))
            for handle, (name, value) in captured.variables.items()
          },
        )
      )
    return changed[0], changed[1]

  def _carried(
    self, weights: Mapping[str, np.ndarray]
  ) -> Mapping[str, np.ndarray]:
    return self._carry(weights) if weights else {}

  def _fetched(self, i, run, constants, held) -> Results | str:
    try:
      values = run.fetch(
        self._targets[i], constants=self._wide(i, constants), variables=held
      )
    except tf.errors.OpError as error:
      return error.message.strip().splitlines()[0] if error.message else 'error'
    return dict(zip(self.labels, values, strict=True))

  def _wide(
    self, i: int, constants: Mapping[str, np.ndarray]
  ) -> dict[str, np.ndarray]:
    return {
      name: value.astype(np.float64)
      if self._double and value.dtype == np.float32
      else value
      for name, value in constants.items()
      if self._runs[i].has(name)
    }

  def gap(
    self, tf1: Results | str, tf2: Results | str, is_generic: bool = True
  ) -> Gap:
    """Returns how far results are apart.

    Args:
      tf1: of TF1, or what it says instead.
      tf2: the same of TF2.
      is_generic: whether gradients are compared as well.
    """
    if isinstance(tf1, str):
      if isinstance(tf2, str):
        return Gap(is_void=True)
      return Gap(float('inf'), failing_side='TF1', error=tf1)
    if isinstance(tf2, str):
      return Gap(float('inf'), failing_side='TF2', error=tf2)
    largest = _largest_gradient(tf1)
    worst = Gap()
    for label in self.labels:
      is_gradient = label[0] in (capture.GRADIENT, capture.INPUT_GRADIENT)
      if is_gradient and not is_generic:
        continue
      least = _GROUP * largest if is_gradient else 0.0
      distance, values = apart(tf1[label], tf2[label], least)
      if distance > worst.distance:
        worst = Gap(distance, label, values)
    return worst


def apart(
  a: np.ndarray, b: np.ndarray, least: float = 0.0
) -> tuple[float, tuple[Any, Any]]:
  """Returns the relative distance of two arrays, and their values there.

  Where neither is finite, nothing is compared.

  Args:
    a: of TF1.
    b: of TF2.
    least: the least scale that the distance is relative to.
  """
  if a.shape != b.shape:
    return float('inf'), (list(a.shape), list(b.shape))
  if a.dtype.kind not in 'biuf' and a.dtype.name != 'bfloat16':
    return 0.0, (None, None)
  if not a.size:
    return 0.0, (None, None)
  first = np.asarray(a, np.float64).reshape(-1)
  second = np.asarray(b, np.float64).reshape(-1)
  finite = np.isfinite(first), np.isfinite(second)
  lone = finite[0] != finite[1]
  if lone.any():
    i = int(np.argmax(lone))
    return float('inf'), (first[i], second[i])
  both = finite[0] & finite[1]
  if not both.any():
    return 0.0, (None, None)
  difference = np.where(both, np.abs(first - second), 0.0)
  scale = max(
    float(np.max(np.abs(first[both]))),
    float(np.max(np.abs(second[both]))),
    least,
  )
  if not scale:
    return 0.0, (None, None)
  i = int(np.argmax(difference))
  return float(difference[i]) / scale, (first[i], second[i])


def _largest_gradient(results: Results) -> float:
  sizes = [
    float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0))
    for (group, _), x in results.items()
    if group == capture.GRADIENT and x.dtype.kind == 'f'
  ]
  return max(sizes, default=0.0)


def _fed(
  captured: capture.Capture, point: points_lib.Point
) -> dict[str, np.ndarray]:
  return {
    tensor: point.inputs[path]
    for tensor, path in captured.inputs.items()
    if path in point.inputs
  }


def _held(
  captured: capture.Capture, values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Returns the values of variables by name of the handle."""
  return {
    handle: np.asarray(values[name]).astype(value.dtype)
    for handle, (name, value) in captured.variables.items()
    if name in values and np.shape(values[name]) == np.shape(value)
  }
