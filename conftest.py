"""Configures pytest for the tests of this repository."""

import tf_equiv  # noqa: F401 (before any test module imports tensorflow)


def pytest_collection_modifyitems(items):
  """Leaves out a method of `tf.test.TestCase` that is named like a test.

  `test_session` is a helper; called as a test, it skips itself.
  """
  items[:] = [item for item in items if item.name != 'test_session']
