"""The template methods of `MigrationTestCase`, with their defaults."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equiv.core import errors
from tf_equiv.references import base as references
from tf_equiv.references import in_process
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import tensors, weights
from tf_equiv.tf2 import metric_objects
from tf_equiv.tf2 import model as model_lib


class TemplateMethods:
  """What a test author fills in; see `MigrationTestCase`."""

  ignored_variables: tuple[str, ...] = ()
  tf1_update_ops: bool = True
  tf1_behavior = program_lib.TF1Behavior()
  tf1_reference: references.Reference = in_process.InProcess()
  share_tf2_models: bool = True
  allow_dormant: bool = False

  def make_inputs(self) -> Any:
    """Returns the inputs of the model, which are fed to both sides.

    Use random numbers and a batch larger than one: images of a constant prove
    little. Called once for each assertion.

    Returns:
      A NumPy array, or a nest (list, tuple, dict) of arrays. TF1 gets
      placeholders, TF2 eager tensors of the same shapes and dtypes.
    """
    raise errors.UsageError(_missing(self, 'make_inputs(self)'))

  def make_batch(self, step: int) -> Any:
    """Returns the inputs of a training step, which are fed to both sides.

    Args:
      step: 0 for the first step.

    Returns:
      The same nest of arrays, of the same shapes and dtypes, for every step.
      The default is `make_inputs()`.
    """
    del step
    return self.make_inputs()

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

  def rename_variable(self, tf1_name: str) -> str | tuple[str, ...] | None:
    """Returns the TF2 name of a TF1 variable.

    Args:
      tf1_name: the name on the TF1 side, without ':0'.

    Returns:
      The name on the TF2 side (for Keras 3 the path), a tuple of names where
      one variable became several, None where it was dropped on purpose. Names
      are without ':0'. Several variables may become one if `convert_variable`
      puts each into its place. The default is the same name.
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
      The value on the TF2 side. Where several TF1 variables became one, an
      array of its size that is zero where the others go; their sum is used.
      The default is `value`.
    """
    del tf1_name, tf2_name
    return value

  def rename_slot(self, tf1_slot: str) -> str | None:
    """Returns what the slot of an optimizer is called in TF2.

    A slot is a variable that an optimizer keeps for each variable that it
    trains. Those of the optimizers of `tf.compat.v1.train` and Keras are known;
    this is for optimizers of one's own.

    Args:
      tf1_slot: the name of the slot in TF1: what `get_slot` takes, or what
        comes after the name of the variable ('adam_m' of 'dense/bias/adam_m').

    Returns:
      Its name in TF2: the attribute that holds the list or dict of slots,
      without leading underscores, or the name that `get_slot` of a legacy
      optimizer takes. None where it has no counterpart, or does not mean the
      same. The default is the same name; first and second moments are known by
      usual names (m and v, adam_m and adam_v, exp_avg and exp_avg_sq).
    """
    return tf1_slot

  def rename_hyperparameter(self, tf1_name: str) -> str | None:
    """Returns what the hyperparameter of an optimizer is called in TF2.

    This is only asked where one of the two optimizers is one of your own.

    Args:
      tf1_name: the attribute of the TF1 optimizer that holds the number,
        without leading underscores.

    Returns:
      The attribute of the TF2 optimizer. None where the two are not to be
      compared, which is the default.
    """
    del tf1_name
    return None

  def compute_loss(self, outputs: Any, inputs: Any) -> Any:
    """Returns the loss whose gradients are compared.

    Regularization losses are added to it on both sides.

    Args:
      outputs: output tensors of one side; sparse and ragged tensors are dicts
        of their components.
      inputs: input tensors of that side.

    Returns:
      A floating-point scalar, or a dict of several. Each is compared, and
      their sum is differentiated. The default is the mean over all
      floating-point outputs of the mean of their squares.
    """
    return tensors.default_loss(outputs, inputs)

  def compute_loss_tf1(self, outputs: Any, inputs: Any) -> Any:
    """The loss on the TF1 side; the default is `compute_loss`."""
    return self.compute_loss(outputs, inputs)

  def compute_loss_tf2(self, outputs: Any, inputs: Any) -> Any:
    """The loss on the TF2 side; the default is `compute_loss`."""
    return self.compute_loss(outputs, inputs)

  def build_tf1_optimizer(self) -> Any:
    """Returns the optimizer of the TF1 side, made in its graph.

    A schedule reads `tf.compat.v1.train.get_or_create_global_step()`,
    which the default training step counts.

    Returns:
      A `tf.compat.v1.train.Optimizer`, or an object with `apply_gradients`.
    """
    raise errors.UsageError(_missing(self, 'build_tf1_optimizer(self)'))

  def build_tf2_optimizer(self) -> Any:
    """Returns the optimizer of the TF2 side, newly made.

    Returns:
      An optimizer of tf_keras (also a legacy one), Keras 3 or
      `tf.compat.v1.train`, or an object with
      `apply_gradients(grads_and_vars)`. Where `train_tf2` is overridden, all
      optimizers that it uses, in any nest; keep them (`self.optimizer = ...`),
      because this is called more than once and only the last ones are to be
      used.
    """
    raise errors.UsageError(_missing(self, 'build_tf2_optimizer(self)'))

  def clip_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
    """Clips the gradients before they are applied, on both sides.

    Args:
      gradients: tensors or `IndexedSlices`, one for each trainable variable
        that the loss depends on.

    Returns:
      As many gradients, in the same order. The default leaves them as they
      are.
    """
    return gradients

  def clip_gradients_tf1(self, gradients: Sequence[Any]) -> Sequence[Any]:
    """Clipping on the TF1 side; the default is `clip_gradients`."""
    return self.clip_gradients(gradients)

  def clip_gradients_tf2(self, gradients: Sequence[Any]) -> Sequence[Any]:
    """Clipping on the TF2 side, but for that of the optimizer itself."""
    return self.clip_gradients(gradients)

  def train_tf1(self, inputs: Any) -> Any:
    """Builds a whole training step in the current graph, which is empty.

    Override it together with `train_tf2` for loops with several losses,
    models or optimizers; otherwise the step is the usual one: `build_tf1`,
    the loss with all regularization losses, their gradients,
    `clip_gradients`, and `build_tf1_optimizer`'s `apply_gradients` after the
    UPDATE_OPS (without them if `tf1_update_ops` is False).

    Args:
      inputs: placeholders in the nest of `make_batch`.

    Returns:
      A dict of the tensors to compare in each step, and of the operations to
      run (train ops). A list of such dicts is run one after another, as
      several calls of `session.run` in the legacy loop.
    """
    raise errors.UsageError(_missing(self, 'train_tf1(self, inputs)'))

  def train_tf2(self, model: Any, inputs: Any) -> Any:
    """Takes a whole training step, with the optimizers kept by the test.

    Args:
      model: what `build_tf2` returned.
      inputs: tensors in the nest of `make_batch`.

    Returns:
      A dict of the tensors to compare, with the names of `train_tf1`.
    """
    raise errors.UsageError(_missing(self, 'train_tf2(self, model, inputs)'))

  def build_metrics_tf1(self, outputs: Any, inputs: Any) -> Any:
    """Builds the streaming metrics of the TF1 side, in its graph.

    Args:
      outputs: output tensors of `build_tf1`; sparse and ragged tensors are
        dicts of their components.
      inputs: placeholders in the nest of `make_batch`.

    Returns:
      A dict of `(value, update_op)` by name, as `tf.compat.v1.metrics` makes
      them.
    """
    signature = 'build_metrics_tf1(self, outputs, inputs)'
    raise errors.UsageError(_missing(self, signature))

  def build_metrics_tf2(self) -> Any:
    """Returns the metrics of the TF2 side, newly made.

    Returns:
      A dict of metrics by the names of `build_metrics_tf1`: those of tf_keras
      or Keras 3, or any objects with `update_state` and `result`. Where they
      have `reset_state`, it is called before the first batch.
    """
    raise errors.UsageError(_missing(self, 'build_metrics_tf2(self)'))

  def update_metrics_tf2(self, metrics: Any, outputs: Any, inputs: Any) -> None:
    """Adds a batch to the metrics of the TF2 side.

    The default calls `update_state(y_true, y_pred)` of each, or
    `update_state(y_true, y_pred, sample_weight=...)` where the batch has
    weights. Labels and weights are the second and third part of a batch that is
    a tuple or list, as in `fit`; of a dict the entries 'labels' (or 'label',
    'y_true', 'targets', 'target', 'y') and 'sample_weight' (or 'weights',
    'weight'). Predictions are the only output, or that of several which is
    called 'predictions' (or 'y_pred', 'probabilities').

    Args:
      metrics: what `build_metrics_tf2` returned.
      outputs: output tensors of the TF2 model, in the nest that `call_tf2`
        returned.
      inputs: tensors in the nest of `make_batch`.
    """
    metric_objects.update(metrics, outputs, inputs)


def _missing(test: Any, signature: str) -> str:
  return (
    f'{type(test).__name__} must define {signature}; see the documentation of '
    'MigrationTestCase.'
  )
