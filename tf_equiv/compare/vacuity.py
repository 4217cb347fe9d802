"""What an agreement proves: whether the compared values mean anything."""

import dataclasses

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
_MAX_NAMES = 4

ADVICE = (
  'Use random inputs (make_inputs) instead of constant ones, a batch larger '
  'than one, or other weights (reset_weights). If the outputs are meant to be '
  'so, pass allow_vacuous=True.'
)


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

  def __str__(self) -> str:
    if len(self.silent) == 1:
      return self.silent[0]
    of = '' if len(self.silent) == self.count else f' of {self.count}'
    return f'layer {self.name} ({len(self.silent)}{of} variables)'


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
    sizes, silent = {}, {}
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

  def __str__(self) -> str:
    line = f'outputs respond to {self.count} of {len(self.effects)} variables'
    line += _not_to('to', [str(layer) for layer in self.silent_layers])
    if self.updated:
      line += f'; {len(self.updated)} more are compared by their updates'
    return line


def _layer_of(name: str) -> str:
  return name.rpartition('/')[0] or name


def _not_to(word: str, names: list[str]) -> str:
  if not names:
    return ''
  line = f', not {word} {", ".join(names[:_MAX_NAMES])}'
  if len(names) > _MAX_NAMES:
    line += f' and {len(names) - _MAX_NAMES} more'
  return line


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


def describe_gradients(tf2: observation.Observation) -> str:
  """Says how many gradients are something else than zero."""
  names = [spec.name for spec in tf2.trainable()]
  zero = [
    name
    for name, gradient in zip(names, tf2.gradients, strict=True)
    if gradient is None or not np.any(gradient)
  ]
  line = (
    f'gradients of {len(names) - len(zero)} of {len(names)} trained variables '
    'are not zero'
  )
  return line + _not_to('of', sorted(zero)).replace(', not', ', but', 1)


def vacuous(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> str:
  """Says why an agreement of the outputs proves nothing, '' if it does.

  Args:
    plan: what was run. Gradients say more than constant outputs do.
    tf1: the reference.
    tf2: the candidate.

  Returns:
    The reason: all floating-point outputs are zero, constant, or the same for
    all examples of a batch, one of them is rounding noise, or none responds to
    a variable.
  """
  outputs = {
    path: np.asarray(value)
    for path, value in tf1.outputs
    if values.is_inexact(np.asarray(value)) and np.size(value)
  }
  if not outputs or any(np.isnan(x).any() for x in outputs.values()):
    return ''
  inputs = [array for _, array in nest.flatten(plan.inputs)]
  if not plan.gradients:
    reason = _constant(list(outputs.values()), _size_of_batch(inputs))
    if reason:
      return reason
  noise = noisy(tf1)
  if noise:
    path = next(iter(noise))
    has_floats = any(array.dtype.kind == 'f' for array in inputs)
    moved = 'the inputs move' if has_floats else 'the weights move'
    return (
      f'{len(noise)} of {len(outputs)} outputs are rounding noise, first '
      f'outputs{path}: it moves by {noise[path]:.2g} of its size when {moved} '
      'by one unit in the last place'
    )
  response = respond(tf2)
  if response is not None and not response.count and not plan.gradients:
    return 'the outputs respond to none of the %d variables' % len(
      response.effects
    )
  return ''


def _constant(outputs: list[np.ndarray], batch_size: int) -> str:
  if not any(x.any() for x in outputs):
    return 'all outputs are zero'
  if all(x.size > 1 and not np.ptp(x) for x in outputs):
    return f'all elements of the outputs are equal ({outputs[0].flat[0]:.6g})'
  if batch_size > 1 and all(
    x.shape[:1] == (batch_size,)
    and np.ptp(x, axis=0).max() <= _MIN_EFFECT * np.abs(x).max()
    for x in outputs
  ):
    return (
      f'the outputs are the same for all {batch_size} examples of the batch, '
      'although their inputs differ'
    )
  return ''


def _size_of_batch(inputs: list[np.ndarray]) -> int:
  """Returns the number of examples if they differ, else 0."""
  sizes = {array.shape[:1] for array in inputs}
  if len(sizes) != 1 or () in sizes:
    return 0
  if all((array == array[:1]).all() for array in inputs):
    return 0
  return sizes.pop()[0]


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
  """Tells whether all elements are whole numbers, which jump and do not move.

  Zeros alone are no evidence of that.
  """
  value = value[np.isfinite(value)].astype(np.float64)
  return bool(value.any() and (value == np.rint(value)).all())
