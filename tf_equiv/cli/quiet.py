"""Keeps what libraries say of legacy code out of the output of commands."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

_LOGGERS = ('tensorflow', 'absl')


@contextlib.contextmanager
def warnings_hidden() -> Iterator[None]:
  """Context without warnings, as those that layers of TF1 are deprecated."""
  before = {name: logging.getLogger(name).level for name in _LOGGERS}
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    for name in _LOGGERS:
      logging.getLogger(name).setLevel(logging.ERROR)
    try:
      yield
    finally:
      for name, level in before.items():
        logging.getLogger(name).setLevel(level)
