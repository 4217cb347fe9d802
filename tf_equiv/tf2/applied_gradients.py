"""Watches which gradients an optimizer of TF2 applies, while a step runs."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.compat import optimizers as compat_optimizers
from tf_equiv.core import errors, interrupts
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import source_lines
from tf_equiv.tf2 import optimizers as optimizers_lib
from tf_equiv.tf2 import plain_optimizers


@dataclasses.dataclass
class Update:
  """One application of gradients, as seen while the step ran or was traced.

  Attributes:
    optimizer: the optimizer.
    variables: the variables.
    gradients: their gradients after clipping, None where not connected.
    learning_rate: what the update used, None where unknown.
    line: line of user code that applied them.
  """

  optimizer: Any
  variables: list[Any]
  gradients: list[Any]
  learning_rate: Any
  line: SourceLine = SourceLine()


@interrupts.restoring
def recorded(optimizers: Sequence[Any]) -> Iterator[list[Update]]:
  """Context whose value is the growing list of updates of some optimizers."""
  updates: list[Update] = []
  with contextlib.ExitStack() as stack:
    parts = [p for each in optimizers for p in optimizers_lib.parts_of(each)]
    for optimizer in parts:
      # Of Keras 3, apply_gradients calls apply.
      is_keras_3 = compat.is_keras_3_object(optimizer)
      name = 'apply' if is_keras_3 else 'apply_gradients'
      original = getattr(optimizer, name)
      wrapper = _recording(optimizer, original, is_keras_3, updates)
      if hasattr(optimizer, '__dict__'):
        # Not by setattr, which Keras tracks.
        vars(optimizer)[name] = wrapper
        stack.callback(vars(optimizer).pop, name)
      else:  # A plain object with __slots__.
        stack.enter_context(_replaced(optimizer, name, wrapper))
    yield updates


@contextlib.contextmanager
def _replaced(
  optimizer: Any, name: str, wrapper: Callable[..., Any]
) -> Iterator[None]:
  """Replaces a method of one object, in its class."""
  cls = type(optimizer)
  original = getattr(cls, name)

  def method(self: Any, *args: Any, **kwargs: Any) -> Any:
    if self is optimizer:
      return wrapper(*args, **kwargs)
    return original(self, *args, **kwargs)

  own = name in vars(cls)
  setattr(cls, name, method)
  try:
    yield
  finally:
    if own:
      setattr(cls, name, original)
    else:
      delattr(cls, name)


def _recording(
  optimizer: Any,
  original: Callable[..., Any],
  is_keras_3: bool,
  updates: list[Update],
) -> Callable[..., Any]:
  """Returns a method that records, in place of the original one."""

  def record(gradients: list[Any], variables: list[Any]) -> None:
    plain_optimizers.check_family(optimizer, variables)
    gradients = optimizers_lib.clipped(optimizer, gradients, variables)
    rate = optimizers_lib.learning_rate_of(optimizer)
    rate = None if rate is None else tf.identity(tf.convert_to_tensor(rate))
    updates.append(
      Update(
        optimizer, list(variables), gradients, rate, source_lines.user_line()
      )
    )

  def apply(grads: Any, trainable_variables: Any = None) -> Any:
    grads = list(grads)
    variables = trainable_variables
    if variables is None:
      variables = compat_optimizers.keras_trainable(optimizer)
    record(grads, list(variables))
    pairs = [
      (g, v) for g, v in zip(grads, variables, strict=True) if g is not None
    ]
    return original([g for g, _ in pairs], [v for _, v in pairs])

  def apply_gradients(grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
    pairs = list(grads_and_vars)
    record([g for g, _ in pairs], [v for _, v in pairs])
    # Keras warns of variables without a gradient; the comparison names them.
    pairs = [(g, v) for g, v in pairs if g is not None]
    return original(pairs, *args, **kwargs)

  return apply if is_keras_3 else apply_gradients


def require_values(updates: Sequence[Update]) -> None:
  """Raises `UsageError` unless the gradients have values."""
  for update in updates:
    for gradient in update.gradients:
      tensor = getattr(gradient, 'values', gradient)
      if tensor is not None and not hasattr(tensor, 'numpy'):
        raise errors.UsageError(
          'An optimizer of train_tf2 runs inside a tf.function of its own (as '
          'in model.fit or train_on_batch), where its gradients cannot be '
          'observed. Apply it in train_tf2 itself, or compile the model with '
          'run_eagerly=True.'
        )
