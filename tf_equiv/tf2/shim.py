"""The modeling shim, reachable whichever Keras the process chose."""

from collections.abc import Callable

from tf_equiv import compat
from tf_equiv.core import arguments, errors


def track_tf1_style_variables(method: Callable) -> Callable:
  """Decorates a method so that its layer tracks TF1-style variables.

  This is `tf.compat.v1.keras.utils.track_tf1_style_variables`, which since TF
  2.16 is only there when tf_keras was chosen as `tf.keras`; see
  https://www.tensorflow.org/guide/migrate/model_mapping. `self` must be a
  tf_keras layer or model, or a `tf.Module`.

  Example:
    >>> class Scale(tf.Module):
    ...   @track_tf1_style_variables
    ...   def __call__(self, x):
    ...     return x * tf.compat.v1.get_variable(
    ...         'scale', [], initializer=tf.compat.v1.ones_initializer())
    >>> float(Scale()(tf.constant(2.0)))
    2.0

  Args:
    method: a method that creates variables with `tf.compat.v1.get_variable` or
      `tf.compat.v1.layers`.

  Returns:
    The decorated method.

  Raises:
    UsageError: if it is no method.
    EnvironmentSetupError: if tf_keras is not installed.
  """
  arguments.check_callable(method, 'method', 'a method')
  try:
    shim = compat.legacy_shim()
  except ImportError as error:
    raise errors.EnvironmentSetupError(
      'track_tf1_style_variables needs tf_keras, which cannot be imported '
      f'({error}). Install the version of your TensorFlow: pip install '
      '"tf-keras~=<TensorFlow version>".'
    ) from error
  return shim.track_tf1_style_variables(method)
