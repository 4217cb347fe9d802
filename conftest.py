"""Configures pytest for the tests of this repository."""


def pytest_collection_modifyitems(items):
  """Leaves out a method of `tf.test.TestCase` that is named like a test.

  `test_session` is a helper; called as a test, it skips itself.
  """
  items[:] = [item for item in items if item.name != 'test_session']
