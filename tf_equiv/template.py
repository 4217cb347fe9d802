"""The template methods of `MigrationTestCase`, with their defaults."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equiv.tf1 import errors, tensors, weights
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf2 import model as model_lib


class TemplateMethods:
  """What a test author fills in; see `MigrationTestCase`."""

  ignored_variables: tuple[str, ...] = ()
  tf1_behavior = tf1_runner.TF1Behavior()

  def make_inputs(self) -> Any:
    """Returns the inputs of the model, which are fed to both sides.

    Use random numbers and a batch larger than one: images of a constant prove
    little. Called once for each assertion.

    Returns:
      A NumPy array, or a nest (list, tuple, dict) of arrays. TF1 gets
      placeholders, TF2 eager tensors of the same shapes and dtypes.
    """
    raise errors.UsageError(_missing(self, 'make_inputs(self)'))

  def build_tf1(self, inputs: Any, training: bool) -> Any:
    """Builds the TF1 model in the current graph, which is empty.

    Args:
      inputs: placeholders in the nest of `make_inputs`.
      training: whether to build the model for training.

    Returns:
      The output tensors, in any nest of lists, tuples and dicts.
    """
    raise errors.UsageError(_missing(self, 'build_tf1(self, inputs, training)'))

  def build_tf2(self) -> Any:
    """Returns the migrated model, newly built, to be called by `call_tf2`."""
    raise errors.UsageError(_missing(self, 'build_tf2(self)'))

  def call_tf2(self, model: Any, inputs: Any, training: bool) -> Any:
    """Calls the TF2 model.

    Args:
      model: what `build_tf2` returned.
      inputs: eager tensors in the nest of `make_inputs`.
      training: the training flag.

    Returns:
      The outputs in the same nest as those of `build_tf1`. The default is
      `model(inputs, training=training)` where the model takes the flag, else
      `model(inputs)`.
    """
    return model_lib.call(model, inputs, training)

  def reset_weights(
    self, name: str, shape: Sequence[int], dtype: np.dtype
  ) -> np.ndarray:
    """Returns the fixed value of a variable.

    Args:
      name: the variable's name on the TF1 side, without ':0'.
      shape: its shape.
      dtype: its NumPy dtype.

    Returns:
      An array. The default is derived from the name, see
      `tf_equiv.named_weights`; `tf_equiv.constant_weights(0.001)` is the way
      of the guide.
    """
    return weights.named_weights(name, shape, dtype)

  def rename_variable(self, tf1_name: str) -> Any:
    """Returns the TF2 name of a TF1 variable.

    Args:
      tf1_name: the name on the TF1 side, without ':0'.

    Returns:
      The name (for Keras 3: the path) on the TF2 side without ':0', a tuple
      of names where one variable became several, None where it was dropped on
      purpose. The default is the same name.
    """
    return tf1_name

  def convert_variable(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> np.ndarray:
    """Converts a value of a TF1 variable into that of a TF2 variable.

    It is also applied to gradients, without what it adds, and to zeros to
    learn the shape, so it must be affine: slice, transpose, reorder, add a
    constant (the forget bias of an LSTM).

    Args:
      tf1_name: the name on the TF1 side, without ':0'.
      value: the value there.
      tf2_name: the name on the TF2 side.

    Returns:
      The value on the TF2 side. The default is `value`.
    """
    del tf1_name, tf2_name
    return value

  def compute_loss(self, outputs: Any, inputs: Any) -> Any:
    """Returns the loss whose gradients are compared.

    Regularization losses are added to it on both sides.

    Args:
      outputs: output tensors of one side; sparse and ragged tensors are dicts
        of their components.
      inputs: input tensors of that side.

    Returns:
      A floating-point scalar. The default is the mean over all floating-point
      outputs of the mean of their squares.
    """
    return tensors.default_loss(outputs, inputs)

  def compute_loss_tf1(self, outputs: Any, inputs: Any) -> Any:
    """The loss on the TF1 side; the default is `compute_loss`."""
    return self.compute_loss(outputs, inputs)

  def compute_loss_tf2(self, outputs: Any, inputs: Any) -> Any:
    """The loss on the TF2 side; the default is `compute_loss`."""
    return self.compute_loss(outputs, inputs)


def _missing(test: Any, signature: str) -> str:
  return '%s must define %s; see the documentation of MigrationTestCase.' % (
    type(test).__name__,
    signature,
  )
