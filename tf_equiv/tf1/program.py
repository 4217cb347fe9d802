"""The TF1 side as the test case gives it: code, and how it is built."""

import contextlib
import dataclasses
import re
from typing import Any, Callable, FrozenSet, Optional, Sequence

import numpy as np

from tf_equiv import compat
from tf_equiv.core import arguments, interrupts, threads
from tf_equiv.tf1 import tensors, weights


@dataclasses.dataclass(frozen=True)
class TF1Behavior:
  """Which TF2 behaviours are on while the TF1 graph is built.

  The process as a whole is not changed. The defaults suit most TF1 code;
  turning off a behaviour gives what TF 1.15 did.

  Example:
    >>> class ShapesTest(MigrationTestCase):
    ...   tf1_behavior = TF1Behavior(v2_tensorshape=False)
    ...   def make_inputs(self):
    ...     return np.array([[1, 2, 3]], np.float32)
    ...   def build_tf1(self, inputs, training):
    ...     return inputs * inputs.shape[1].value
    ...   def build_tf2(self):
    ...     return lambda x: x * x.shape[1]
    >>> ShapesTest().assertForwardEquivalent().passed
    True

  Attributes:
    tensor_equality: `==` of tensors compares elementwise
      (`tf.compat.v1.disable_tensor_equality`). Off, as in TF1; large graphs
      build 2.5 times faster without it.
    resource_variables: `tf.compat.v1.disable_resource_variables`.
    control_flow_v2: `tf.compat.v1.disable_control_flow_v2`.
    v2_tensorshape: dimensions are ints and not objects with a `value`
      (`tf.compat.v1.disable_v2_tensorshape`).
  """

  tensor_equality: bool = False
  resource_variables: bool = True
  control_flow_v2: bool = True
  v2_tensorshape: bool = True

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      arguments.check_bool(getattr(self, field.name), field.name)

  @interrupts.restoring
  def active(self):
    """Context in which these behaviours hold; restores the others."""
    with contextlib.ExitStack() as stack:
      stack.enter_context(threads.alone())
      stack.enter_context(compat.decorators_restored())
      stack.enter_context(compat.behaviors(**dataclasses.asdict(self)))
      stack.enter_context(compat.keras_classes_shielded())
      stack.enter_context(compat.fresh_keras_names())
      stack.enter_context(compat.custom_gradients_forgotten())
      yield


@dataclasses.dataclass(frozen=True)
class Program:
  """The user's TF1 code.

  Attributes:
    build: `build_tf1(inputs, training)`, returns a nest of tensors.
    reset_weights: `reset_weights(name, shape, dtype)`, returns an array.
    compute_loss: `compute_loss(outputs, inputs)`, returns a scalar tensor.
    behavior: TF2 behaviours of the graph build.
    build_optimizer: `build_tf1_optimizer()`, returns an optimizer.
    clip_gradients: list of gradients to list of gradients.
    update_ops: whether the default training step runs UPDATE_OPS.
    train: `train_tf1(inputs)`, a whole training step in place of the default.
    defined: names of the template methods that the test case overrides.
    metrics: `build_metrics_tf1(outputs, inputs)`, returns a dict of (value,
      update_op).
    has_total_loss: whether `compute_loss` returns the total, to which no
      regularization losses are added.
    ignored: regular expressions of the names of variables whose fixed values
      are those of their initializers.
    step: `step(recording)`, where `build` made a training step as well; returns
      (loss or None, operation) of it, and adds to the `updates.Recording` what
      that did not see.
  """

  build: Callable[..., Any]
  reset_weights: Callable[..., np.ndarray] = weights.named_weights
  compute_loss: Callable[..., Any] = tensors.default_loss
  behavior: TF1Behavior = TF1Behavior()
  build_optimizer: Optional[Callable[[], Any]] = None
  clip_gradients: Callable[[Sequence[Any]], Sequence[Any]] = list
  update_ops: bool = True
  train: Optional[Callable[[Any], Any]] = None
  defined: FrozenSet[str] = frozenset()
  step: Optional[Callable[[Any], Any]] = None
  ignored: Sequence[str] = ()
  has_total_loss: bool = False
  metrics: Optional[Callable[..., Any]] = None

  def leaves_alone(self, name: str) -> bool:
    """Returns whether a variable is ignored, and gets no fixed value."""
    return any(re.search(pattern, name) for pattern in self.ignored)
