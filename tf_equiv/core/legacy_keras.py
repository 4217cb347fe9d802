"""Chooses which Keras `tf.keras` is, before tensorflow is imported."""

import os
import sys
import warnings

LEGACY_KERAS_VARIABLE = 'TF_USE_LEGACY_KERAS'
LEGACY_KERAS_ADVICE = (
  'This needs tf_keras as `tf.keras`, which is chosen before tensorflow is '
  'imported: import tf_equiv before tensorflow, or set the environment '
  'variable TF_USE_LEGACY_KERAS=1 for the whole process (shell, pytest '
  'configuration, or `env` of the Bazel target). Keras 3 models still work in '
  'that process: use `import keras` for them instead of `tf.keras`.'
)


def choose_legacy_keras(warn: bool = True) -> None:
  """Asks for tf_keras as `tf.keras`, if that can still be asked.

  Since TF 2.16 `tf.keras` is Keras 3, which has neither the modeling shim nor
  `tf.compat.v1.layers`, unless TF_USE_LEGACY_KERAS is set before tensorflow
  is imported. A value that the user chose is left alone, and so is a process
  in which tensorflow is imported already: switching late gives a mix.

  Args:
    warn: whether to warn that it is too late.
  """
  if 'tensorflow' not in sys.modules:
    os.environ.setdefault(LEGACY_KERAS_VARIABLE, '1')
  elif warn and LEGACY_KERAS_VARIABLE not in os.environ and _has_keras_3():
    warnings.warn(
      'tensorflow was imported before tf_equiv, so tf.keras is Keras 3 and '
      'tf.compat.v1.layers is missing. Import tf_equiv first, or set '
      'TF_USE_LEGACY_KERAS=1 for the process; set it to 0 to keep Keras 3 '
      'without this warning.',
      stacklevel=2,
    )


def _has_keras_3() -> bool:
  """Returns whether the imported TensorFlow takes Keras 3 by default."""
  version = sys.modules['tensorflow'].__version__.split('.')
  return (int(version[0]), int(version[1])) >= (2, 16)
