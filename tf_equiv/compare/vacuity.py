"""What an agreement proves: whether the compared values mean anything."""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import values
from tf_equiv.core import nest, observation
from tf_equiv.core import plan as plan_lib

# Share of the outputs that may move when the inputs move by one unit in the
# last place. Random-normal inputs give 2e-6 on Inception-ResNet-v2 in training
# mode, an image of ones 7e-2.
_MAX_NOISE = 0.01
# A variable counts if it moves the outputs by more than what is allowed to
# differ, in units of the largest output; so does the input.
_MIN_EFFECT = 1e-5


class Reason(enum.Enum):
  """Why an agreement proves nothing."""

  ZERO_OUTPUTS = 'all outputs are zero'
  EQUAL_ELEMENTS = 'all elements of the outputs are equal'
  EQUAL_EXAMPLES = 'all examples of a batch have the same outputs'
  NOISY_OUTPUTS = 'outputs are rounding noise'
  NO_RESPONSE = 'the outputs respond to no variable'
  NOISY_LOSS = 'the loss is rounding noise'
  ZERO_GRADIENTS = 'all gradients are zero'
  EQUAL_LOSSES = 'the loss is the same in all steps'
  ZERO_METRICS = 'all metrics are zero after all batches'


@dataclasses.dataclass(frozen=True)
class Vacuity:
  """Why an agreement proves nothing.

  Attributes:
    reason: the reason.
    value: the value of all elements or losses, or by which share of its size
      a result moves.
    count: number of outputs that are noise, of examples, variables or steps.
    total: number of all outputs.
    path: path of the first output that is noise.
    inputs_moved: whether noise was measured by moving the inputs, not the
      weights.
    in_steps: whether the outputs are those of the first training step.
  """

  reason: Reason
  value: Any = 0.0
  count: int = 0
  total: int = 0
  path: str = ''
  inputs_moved: bool = True
  in_steps: bool = False


@dataclasses.dataclass(frozen=True)
class SilentLayer:
  """Variables with a common prefix to which no output responds.

  Attributes:
    name: the prefix.
    silent: full names of the variables.
    count: number of all variables of the layer.
  """

  name: str
  silent: tuple[str, ...]
  count: int


@dataclasses.dataclass(frozen=True)
class Response:
  """Which variables a comparison is sensitive to.

  Attributes:
    effects: for each floating-point variable of TF2 by name, how far the
      outputs move if it changes by its own size, over the largest output.
    updated: names of those to which no output responds, but whose update by
      the forward pass is compared (moving statistics in training).
  """

  effects: dict[str, float]
  updated: tuple[str, ...] = ()

  @property
  def count(self) -> int:
    """Number of variables to which the outputs respond."""
    return sum(self._responds(x) for x in self.effects.values())

  @property
  def silent(self) -> tuple[str, ...]:
    """Names of the variables whose values do not matter, sorted."""
    return tuple(
      name
      for name in sorted(self.effects)
      if not self._responds(self.effects[name]) and name not in self.updated
    )

  @property
  def silent_layers(self) -> list[SilentLayer]:
    """The same by layer."""
    sizes: dict[str, int] = {}
    silent: dict[str, list[str]] = {}
    for name in self.effects:
      sizes[_layer_of(name)] = sizes.get(_layer_of(name), 0) + 1
    for name in self.silent:
      silent.setdefault(_layer_of(name), []).append(name)
    return [
      SilentLayer(layer, tuple(names), sizes[layer])
      for layer, names in sorted(silent.items())
    ]

  @property
  def layers(self) -> tuple[int, int]:
    """(number of layers with a variable that matters, number of all)."""
    every = {_layer_of(name) for name in self.effects}
    dead = {s.name for s in self.silent_layers if len(s.silent) == s.count}
    return len(every - dead), len(every)

  def _responds(self, effect: float) -> bool:
    # What is NaN or infinite is no reason to worry about the variable.
    return not effect <= _MIN_EFFECT


@dataclasses.dataclass(frozen=True)
class GradientPower:
  """How many gradients are something else than zero.

  Attributes:
    count: number of trained variables.
    zero: names of those whose gradient is zero or does not exist, sorted.
  """

  count: int
  zero: tuple[str, ...]


def _layer_of(name: str) -> str:
  return name.rpartition('/')[0] or name


def respond(tf2: observation.Observation) -> Response | None:
  """Returns which variables the outputs respond to, None if not measured."""
  if not tf2.sensitivity:
    return None
  before = tf2.weight_of()
  updated = {
    name
    for name, value in tf2.updated.items()
    if name in before and not np.array_equal(value, before[name])
  }
  silent = Response(tf2.sensitivity).silent
  return Response(
    tf2.sensitivity, tuple(name for name in silent if name in updated)
  )


def gradient_power(tf2: observation.Observation) -> GradientPower:
  """Returns how many gradients are something else than zero."""
  names = [spec.name for spec in tf2.trainable()]
  zero = [
    name
    for name, gradient in zip(names, tf2.gradients, strict=True)
    if gradient is None or not np.any(gradient)
  ]
  return GradientPower(len(names), tuple(sorted(zero)))


def find_vacuity(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> Vacuity | None:
  """Returns why an agreement of the outputs proves nothing.

  Args:
    plan: what was run. Gradients say more than constant outputs do.
    tf1: the reference.
    tf2: the candidate.

  Returns:
    The reason: all floating-point outputs are zero, constant, or the same for
    all examples of a batch, one of them is rounding noise, or none responds to
    a variable. None if the agreement proves something.
  """
  outputs = {
    path: np.asarray(value)
    for path, value in tf1.outputs
    if values.is_inexact(np.asarray(value)) and np.size(value)
  }
  if not outputs or any(np.isnan(x).any() for x in outputs.values()):
    return None
  inputs = [array for _, array in nest.flatten(plan.inputs)]
  if not plan.gradients:
    found = _constant(list(outputs.values()), _size_of_batch(inputs))
    if found is not None:
      return found
  noise = noisy(tf1)
  if noise:
    path = next(iter(noise))
    return Vacuity(
      Reason.NOISY_OUTPUTS,
      value=noise[path],
      count=len(noise),
      total=len(outputs),
      path=path,
      inputs_moved=any(array.dtype.kind == 'f' for array in inputs),
    )
  response = respond(tf2)
  if response is not None and not response.count and not plan.gradients:
    return Vacuity(Reason.NO_RESPONSE, count=len(response.effects))
  return None


def _constant(outputs: Sequence[np.ndarray], batch_size: int) -> Vacuity | None:
  if not any(x.any() for x in outputs):
    return Vacuity(Reason.ZERO_OUTPUTS)
  if all(x.size > 1 and not np.ptp(x) for x in outputs):
    return Vacuity(Reason.EQUAL_ELEMENTS, value=outputs[0].flat[0])
  if batch_size > 1 and all(
    x.shape[:1] == (batch_size,)
    and np.ptp(x, axis=0).max() <= _MIN_EFFECT * np.abs(x).max()
    for x in outputs
  ):
    return Vacuity(Reason.EQUAL_EXAMPLES, count=batch_size)
  return None


def _size_of_batch(inputs: list[np.ndarray]) -> int:
  """Returns the number of examples if they differ, else 0."""
  sizes = {array.shape[:1] for array in inputs}
  if len(sizes) != 1 or () in sizes:
    return 0
  if all((array == array[:1]).all() for array in inputs):
    return 0
  return int(sizes.pop()[0])


def noisy(tf1: observation.Observation) -> dict[str, float]:
  """Returns by which share of their size the outputs that are noise move."""
  found = {}
  for path, value in tf1.outputs:
    value = np.asarray(value)
    if path not in tf1.jitter or _is_discrete(value):
      continue
    share = tf1.jitter[path] / (values.scale_of(value) or 1.0)
    if share > _MAX_NOISE:
      found[path] = share
  return found


def _is_discrete(value: np.ndarray) -> bool:
  """Returns whether all elements are whole numbers, which jump and do not move.

  Zeros alone are no evidence of that.
  """
  value = value[np.isfinite(value)].astype(np.float64)
  return bool(value.any() and (value == np.rint(value)).all())
