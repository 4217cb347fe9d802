"""Errors raised for what is wrong with a test, not with a migration.

A difference between the two sides is a *failure* of the test (its
`failureException`). These errors say that the comparison could not be made.
"""


class EquivalenceError(Exception):
  """Base class of the errors of this package.

  Example:
    >>> try:
    ...   deterministic_seeds('random')
    ... except EquivalenceError as error:
    ...   print(type(error).__name__)
    UsageError
  """


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
