"""Learning rates and clipping of training steps, compared as functions."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare.dormant import Change, Changed, Witness
from tf_equiv.diagnose import search, walks
from tf_equiv.dormant import points as points_lib
from tf_equiv.dormant import search as search_lib
from tf_equiv.dormant import twins
from tf_equiv.tf1.capture import capture, step_capture

RATE = (step_capture.RATE, step_capture.RATE)
COUNTER = step_capture.COUNTER

# Name of the op by which the gradients are multiplied before clipping.
_SCALE = 'tf_equiv_gradient_scale'
_SCALES = tuple(10.0**i for i in range(-6, 7))
_LAST = 10**6
_STEPS = (
  *(0, 1, 2, 3, 4, 5, 7, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
  *(10**4, 2 * 10**4, 5 * 10**4, 10**5, 3 * 10**5, _LAST),
)
_MAX_NUMBERS = 60
# Rates may be so far apart, over the rate, and over the largest of all.
_RATE_TOLERANCE, _RATE_ZERO = 1e-4, 1e-7


@dataclasses.dataclass(frozen=True)
class Found:
  """A step number or scale at which the sides differ.

  Attributes:
    witness: what it shows.
    divergence: where, if that is known.
  """

  witness: Witness
  divergence: divergence_lib.Divergence | None = None


def with_scale(
  clip: Callable[[Sequence[Any]], Sequence[Any]],
) -> Callable[[Sequence[Any]], Sequence[Any]]:
  """Returns a `clip_gradients` whose gradients can be scaled in the graph."""

  def clipped(gradients: Sequence[Any]) -> Sequence[Any]:
    scale = tf.raw_ops.PlaceholderWithDefault(
      input=tf.constant(1.0), shape=[], name=_SCALE
    )
    return clip([_times(gradient, scale) for gradient in gradients])

  return clipped


def _times(gradient: Any, scale: tf.Tensor) -> Any:
  scale = tf.cast(scale, gradient.dtype)
  if isinstance(gradient, tf.IndexedSlices):
    return tf.IndexedSlices(
      gradient.values * scale, gradient.indices, gradient.dense_shape
    )
  return gradient * scale


def later() -> Iterator[points_lib.Point]:
  """Yields later steps, from which the same state goes on."""
  for number in (10, 1000, _LAST):
    counter = {COUNTER: np.asarray(number, np.int64)}
    yield points_lib.Point({}, counter, (Change(Changed.STEP, number),))


def compare_clipping(
  pair: twins.Twins, names: Mapping[str, str], tolerance: float
) -> Found | None:
  """Compares what is applied for gradients of any size.

  Args:
    pair: both sides, with scales in their graphs.
    names: TF1 name of a variable by that of TF2.
    tolerance: the relative distance up to which results agree.
  """
  scales = [_scales_of(captured) for captured in pair.captures]
  if not all(scales):
    return None
  for factor in _SCALES:
    value = np.asarray(factor, np.float32)
    feeds = {name: value for found in scales for name in found}
    results = pair.results(points_lib.Point(), feeds)
    gap = _of_gradients(pair, results)
    if gap.distance > tolerance:
      changed = tuple(
        dataclasses.replace(captured, feeds={**captured.feeds, **feeds})
        for captured in pair.captures
      )
      change = Change(Changed.GRADIENTS_SCALED, factor)
      return _found(changed, change, gap, names)
  return None


def _of_gradients(pair, results) -> twins.Gap:
  if any(isinstance(each, str) for each in results):
    return twins.Gap(is_void=True)
  only = [
    {
      label: value if label[0] == capture.GRADIENT else np.zeros(())
      for label, value in each.items()
    }
    for each in results
  ]
  return pair.gap(*only)


def _scales_of(captured: capture.Capture) -> list[str]:
  return [
    op.outputs[0].name
    for op in captured.graph.get_operations()
    if op.type == 'PlaceholderWithDefault' and _SCALE in op.name
  ]


def compare_rates(
  captures: twins.Captures, names: Mapping[str, str], own_step: bool
) -> tuple[Found | None, str]:
  """Compares the learning rates of both sides at many steps.

  Args:
    captures: a training step of TF1 and of TF2.
    names: TF1 name of a variable by that of TF2.
    own_step: whether the step of TF2 is the user's own, which may set the rate
      anew in each step.

  Returns:
    (what differs, None if nothing does; what stood in the way, '' if nothing).
  """
  if not all(RATE in captured.targets for captured in captures):
    return None, ''
  depends = [_depends_on_step(captured) for captured in captures]
  if not any(depends):
    return None, ''
  if own_step and depends == [True, False]:
    return None, (
      'the learning rate was compared in the steps that ran only: what sets '
      'it in TF2 is not in its graph'
    )
  steps = _steps_of(captures)
  with twins.Twins(captures, [RATE], lambda values: values, names) as pair:
    rates = [_rates(pair, step) for step in steps]
  largest = max(
    (abs(r) for both in rates for r in both if np.isfinite(r)), default=0.0
  )
  for step, (first, second) in zip(steps, rates, strict=True):
    scale = max(abs(first), abs(second))
    allowed = max(_RATE_TOLERANCE * scale, _RATE_ZERO * largest)
    lone = np.isfinite(first) != np.isfinite(second)
    if lone or abs(first - second) > allowed:
      gap = twins.Gap(1.0, RATE, (first, second))
      change = Change(Changed.STEP, step)
      changed = tuple(_at_step(captured, step) for captured in captures)
      return _found(changed, change, gap, names), ''
  return None, ''


def _rates(pair: twins.Twins, step: int) -> tuple[float, float]:
  point = points_lib.Point({}, {COUNTER: np.asarray(step, np.int64)})
  found = pair.results(point)
  first, second = (
    float('nan') if isinstance(each, str) else float(np.ravel(each[RATE])[0])
    for each in found
  )
  return first, second


def _at_step(captured: capture.Capture, step: int) -> capture.Capture:
  return dataclasses.replace(
    captured,
    variables={
      handle: (
        name,
        np.full_like(value, step) if name == COUNTER else value,
      )
      for handle, (name, value) in captured.variables.items()
    },
  )


def _found(captures, change, gap, names) -> Found:
  labels = [gap.label]
  found = search.find(*captures, labels, names, floor=False).divergence  # type: ignore[call-arg]
  places, values = ('', ''), None
  if found is not None:
    found.layers = []
    places = search_lib.names_of(found)
    compared = found.comparison
    if compared is not None and not compared.problem:
      values = compared.tf1_value, compared.tf2_value
  return Found(
    Witness(
      changes=(change,),
      result=gap.label,
      tf1_value=gap.values[0],
      tf2_value=gap.values[1],
      places=places,
      place_values=values,
    ),
    found,
  )


def _ancestors(captured: capture.Capture) -> list[tf.Operation]:
  return list(
    walks.ancestors(
      [captured.targets[RATE].op],
      lambda op: [tensor.op for tensor in op.inputs],
      lambda op: op.name,
    )
  )


def _depends_on_step(captured: capture.Capture) -> bool:
  counters = {
    handle
    for handle, (name, _) in captured.variables.items()
    if name == COUNTER
  }
  return any(op.name in counters for op in _ancestors(captured))


def _steps_of(captures: twins.Captures) -> list[int]:
  """Returns the steps to look at: before, at and after each constant."""
  numbers: set[int] = set()
  for captured in captures:
    for number in _constants(captured):
      if 1 < number < 1e8:
        whole = int(number)
        numbers.update((whole - 1, whole, whole + 1, 2 * whole, whole // 2))
  near = sorted(numbers)[: 5 * _MAX_NUMBERS]
  return sorted({*_STEPS, *(n for n in near if n >= 0)})


def _constants(captured: capture.Capture) -> list[float]:
  """Returns the numbers in what computes the learning rate."""
  found: list[float] = []

  def add(array: np.ndarray) -> None:
    if array.size <= _MAX_NUMBERS and array.dtype.kind in 'iuf':
      found.extend(float(x) for x in np.ravel(array))

  for op in _ancestors(captured):
    if op.type == 'Const':
      add(tf.make_ndarray(op.get_attr('value')))
    for output in op.outputs:
      if output.name in captured.feeds:
        add(np.asarray(captured.feeds[output.name]))
  for function in captured.graph.as_graph_def().library.function:
    for node in function.node_def:
      if node.op == 'Const':
        add(tf.make_ndarray(node.attr['value'].tensor))
  return found
