"""Runs the user's code and explains the errors that migrations often meet."""

import contextlib
import re
import unittest

from tf_equiv import compat
from tf_equiv.tf1 import errors, source

_EAGER_ADVICE = (
  'This code uses a graph-only property of a tensor or a graph collection, '
  'which eager execution does not have. Where only names of end points are '
  'built, use Python strings or a dict instead; otherwise wrap the call in a '
  'tf.function in call_tf2.'
)

# (side or None for both, pattern of "Type: message", error, advice)
_KNOWN = (
  (
    None,
    r"not available with Keras 3|module 'keras[.\w]*' has no attribute",
    errors.EnvironmentSetupError,
    compat.LEGACY_KERAS_ADVICE,
  ),
  (
    None,
    r"No module named 'tensorflow\.contrib|has no attribute 'contrib'",
    errors.ModelCodeError,
    'tf.contrib is gone since TensorFlow 2.0: tf_slim replaces contrib.slim '
    'and contrib.layers, the TensorFlow Addons or Keras the rest; or keep the '
    'TF1 code in a TF 1.15 interpreter.',
  ),
  (
    'TF1',
    r"AttributeError: '(int|NoneType)' object has no attribute 'value'",
    errors.ModelCodeError,
    'In TF1 a dimension was an object with a value. Run the TF1 side with '
    'such shapes: set `tf1_behavior = tf_equiv.TF1Behavior('
    'v2_tensorshape=False)` in the test class.',
  ),
  (
    'TF2',
    r'track_tf1_layers_and_variables.*must be applied to a method',
    errors.EnvironmentSetupError,
    'The shim works on tf_keras layers and tf.Module, not on Keras 3 layers. '
    + compat.LEGACY_KERAS_ADVICE,
  ),
  (
    'TF2',
    r'`partitioner` arg for `get_variable` is unsupported',
    errors.ModelCodeError,
    'The shim does not support partitioned variables: drop the partitioner on '
    'the TF2 side.',
  ),
  (
    'TF2',
    r'when eager execution is enabled|not compatible with eager execution'
    r'|not supported (when|in) eager|collections? (is|are) not supported'
    r"|EagerTensor' object has no attribute '(op|graph|name|consumers)'",
    errors.ModelCodeError,
    _EAGER_ADVICE,
  ),
)


@contextlib.contextmanager
def running(side: str, what: str):
  """Explains known errors of the user's code that runs in this context.

  Errors that are not known pass unchanged, so that their traceback leads to
  the user's line.

  Args:
    side: 'TF1' or 'TF2'.
    what: name of the method that runs, e.g. 'build_tf1'.

  Raises:
    EnvironmentSetupError: for a process that was not set up as needed.
    ModelCodeError: for code that cannot run on this side.
  """
  try:
    yield
  except (errors.EquivalenceError, AssertionError, unittest.SkipTest):
    raise
  except Exception as error:
    text = '%s: %s' % (type(error).__name__, error)
    line = source.user_line_of_traceback(error.__traceback__)
    for known_side, pattern, cls, advice in _KNOWN:
      if known_side in (None, side) and re.search(pattern, text, re.DOTALL):
        raise cls(
          '%s could not run on the %s side; nothing was compared.\n'
          '  at %s\n  %s\n%s' % (what, side, line, _first_lines(text), advice)
        ) from error
    raise


def _first_lines(text: str, limit: int = 3) -> str:
  lines = [line for line in text.splitlines() if line.strip()]
  return '\n  '.join(lines[:limit])
