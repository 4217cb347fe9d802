"""Lets modules that were written for TensorFlow 1 be imported as they are."""

import contextlib
import sys

import tensorflow as tf


@contextlib.contextmanager
def tf1_imports():
  """Context in which `import tensorflow` gives `tensorflow.compat.v1`.

  For modules that were written for TensorFlow 1 and name what TensorFlow 2 has
  in `tf.compat.v1` only (`tf.get_variable`, `tf.layers`). What they import
  gets the same. A module that is imported already is not imported anew.

  Example:
    >>> with tf1_imports():
    ...   import tensorflow as tf1  # In legacy code: `as tf`.
    >>> tf1 is tf.compat.v1
    True

  Yields:
    Nothing.
  """
  before = sys.modules['tensorflow']
  # That is how a module finds another; there is no public way to say so.
  sys.modules['tensorflow'] = tf.compat.v1
  try:
    yield
  finally:
    sys.modules['tensorflow'] = before
