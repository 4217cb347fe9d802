"""Errors raised for what is wrong with a test, not with a migration.

A difference between the two sides is a *failure* of the test (its
`failureException`). These errors say that the comparison could not be made.
"""


class EquivalenceError(Exception):
  """Base class of the errors of this package."""


class UsageError(EquivalenceError, ValueError):
  """The test gave something that cannot be compared, or a wrong argument."""


class EnvironmentSetupError(EquivalenceError, RuntimeError):
  """The process was not set up for what was asked, e.g. a wrong Keras."""


class ModelCodeError(EquivalenceError, RuntimeError):
  """The model's own code cannot run on one of the two sides.

  The original exception is the `__cause__`.
  """


class VariableCreationError(EquivalenceError, AssertionError, ValueError):
  """A variable was created where none may be created.

  It is an `AssertionError`, so that a test fails rather than errs, and a
  `ValueError` as in TensorFlow's migration guide.
  """
