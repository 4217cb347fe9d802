"""Errors raised for what is wrong with a test, not with a migration.

A difference between the two sides is a *failure* of the test (its
`failureException`). These errors say that the comparison could not be made.
"""

import re

# Longer messages are of no use, and take a terminal minutes.
_MAX_MESSAGE = 50000
# What a terminal takes for commands, what changes the order of letters, and
# what cannot be encoded. Ends of lines and tabs are none of them.
_CONTROL = re.compile(
  '[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069'
  '\ud800-\udfff]'
)


def cut(text: str, most: int = _MAX_MESSAGE) -> str:
  """Returns a text without its middle where it is too long for a message.

  Args:
    text: the text.
    most: how many characters of it are kept.
  """
  if len(text) <= most:
    return text
  half = most // 2
  return f'{text[:half]} [... {len(text) - 2 * half} more ...] {text[-half:]}'


def has_control(text: str) -> bool:
  """Tells whether a text has characters that no terminal should get."""
  return _CONTROL.search(text) is not None


def printable(text: str) -> str:
  """Returns a text in which such characters are escaped, as Python does."""
  return _CONTROL.sub(lambda match: ascii(match.group())[1:-1], text)


class EquivalenceError(Exception):
  """Base class of the errors of this package.

  A message may quote names and texts of files. Control characters in them are
  written out, and a message that is too long is cut.

  Example:
    >>> try:
    ...   deterministic_seeds('random')
    ... except EquivalenceError as error:
    ...   print(type(error).__name__)
    UsageError
  """

  def __init__(self, *args: object):
    super().__init__(
      *[printable(cut(a)) if isinstance(a, str) else a for a in args]
    )


class UsageError(EquivalenceError, ValueError):
  """The test gave something that cannot be compared, or a wrong argument.

  Example:
    >>> deterministic_seeds('random')
    Traceback (most recent call last):
      ...
    tf_equiv.core.errors.UsageError: Unknown seed_mode 'random'; expected ...
  """


class EnvironmentSetupError(EquivalenceError, RuntimeError):
  """The process was not set up for what was asked, e.g. a wrong Keras.

  Example:
    >>> import keras  # Keras 3, which lacks layers of Keras 2.
    >>> class GruTest(MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.ones((2, 3, 4), np.float32)
    ...   def build_tf1(self, inputs, training):
    ...     return keras.layers.CuDNNGRU(5)(inputs)
    >>> GruTest().assertForwardEquivalent()
    Traceback (most recent call last):
      ...
    tf_equiv.core.errors.EnvironmentSetupError: build_tf1 could not run on ...
  """


class ModelCodeError(EquivalenceError, RuntimeError):
  """The model's own code cannot run on one of the two sides.

  The original exception is the `__cause__`.

  Example:
    >>> class NameTest(MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.ones(3)
    ...   def build_tf1(self, inputs, training):
    ...     return {inputs.op.name: inputs}
    ...   def build_tf2(self):
    ...     return lambda x: {x.op.name: x}  # Eager tensors have no op.
    >>> NameTest().assertForwardEquivalent()
    Traceback (most recent call last):
      ...
    tf_equiv.core.errors.ModelCodeError: call_tf2 could not run on the TF2 ...
  """


class VariableCreationError(EquivalenceError, AssertionError, ValueError):
  """A variable was created where none may be created.

  It is an `AssertionError`, so that a test fails rather than errs, and a
  `ValueError` as in TensorFlow's migration guide.

  Example:
    >>> with assert_no_variable_creations():
    ...   tf.Variable(1.0)
    Traceback (most recent call last):
      ...
    tf_equiv.core.errors.VariableCreationError: A variable was created ...
  """
