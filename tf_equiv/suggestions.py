"""`suggest_renames`: from variables, or from a test case that has them."""

from typing import Any

from tf_equiv import session, template
from tf_equiv.compare import renames
from tf_equiv.core import errors


def suggest_renames(tf1: Any, tf2: Any = None) -> renames.RenameSuggestion:
  """Proposes a mapping of TF1 variables to TF2 variables.

  Variables of the same shape and dtype are paired by their names (common words
  count, `weights` is `kernel`), by the layer that their neighbours went to, and
  at last by their order. Names that exist on both sides are left alone. Check
  the proposal: `assertForwardEquivalent` tells whether it is right.

  Example:
    >>> suggest_renames(
    ...     {'a/weights': (2, 3), 'a/biases': (3,)},
    ...     {'first/kernel': (2, 3), 'first/bias': (3,)}).names
    {'a/weights': 'first/kernel', 'a/biases': 'first/bias'}

  Args:
    tf1: variables of the TF1 side, in order: variables or specs (anything with
      `name` and `shape`), or a dict of shapes by name. Or a
      `MigrationTestCase` with its methods defined; then `tf2` is left out.
    tf2: variables of the TF2 side.

  Returns:
    A `RenameSuggestion`.

  Raises:
    UsageError: if `tf2` is left out and `tf1` is no `MigrationTestCase`, and
      for what is no variables.
  """
  if tf2 is None:
    if not isinstance(tf1, template.TemplateMethods):
      raise errors.UsageError(
        'suggest_renames takes the variables of both sides, tf1 and '
        f'tf2, or a MigrationTestCase; got a {type(tf1).__name__} alone.'
      )
    observed = session.Session(tf1).list_variables()
    tf1, tf2 = [side.variables for side in observed]
  return renames.suggest(tf1, tf2)
