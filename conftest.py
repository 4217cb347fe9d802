"""Configures pytest for the tests of this repository."""

import gc

import pytest

from tests import scheduling


def pytest_configure(config):
  """Imports the library before any test module imports TensorFlow.

  A process that only hands out tests to others saves the time and memory.
  """
  if hasattr(config, 'workerinput') or not scheduling.shares_out(config):
    import tf_equiv  # noqa: F401


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """Shares out the tests by scopes of our own, the longest first."""
  if config.getvalue('dist') == 'loadscope':
    return scheduling.new_scheduler(config, log)
  return None


def pytest_collection_modifyitems(config, items):
  """Leaves out a method of `tf.test.TestCase` that is named like a test.

  `test_session` is a helper; called as a test, it skips itself.
  """
  items[:] = [item for item in items if item.name != 'test_session']
  if hasattr(config, 'workerinput'):
    items.sort(key=lambda item: scheduling.rank(item.nodeid))


def pytest_collection_finish():
  """Keeps the objects of all that was imported away from the collector.

  TensorFlow makes a million of them, over which each search for garbage would
  walk again.
  """
  gc.collect()
  gc.freeze()
