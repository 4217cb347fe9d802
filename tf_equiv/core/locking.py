"""Lets one process at a time write a file."""

import contextlib
import os
import time
from typing import Any, Callable, Iterator

from tf_equiv.core import errors

fcntl: Any
try:
  import fcntl
except ImportError:  # Windows
  fcntl = None

# How long to wait for other processes that write the same file, in seconds.
PATIENCE = 300.0


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
  """Context that one process and thread at a time enters for a file.

  Where the system can, the folder is locked, so that nothing is left behind.
  """
  folder = os.path.dirname(os.path.abspath(path))
  if fcntl is None:
    with _lock_file(path + '.lock'):
      yield
    return
  handle = os.open(folder, os.O_RDONLY)
  try:
    _wait(lambda: _try_flock(handle), path)
    yield
  finally:
    os.close(handle)  # which unlocks


def _try_flock(handle: int) -> bool:
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  return True


@contextlib.contextmanager
def _lock_file(name: str) -> Iterator[None]:
  def take() -> bool:
    try:
      os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
      return False
    return True

  _wait(take, name)
  try:
    yield
  finally:
    os.unlink(name)


def _wait(take: Callable[[], bool], what: str) -> None:
  end = time.monotonic() + PATIENCE
  while not take():
    if time.monotonic() > end:
      raise errors.UsageError(
        f'Another process has kept {what!r} locked for {PATIENCE:.0f} s. Let '
        'it end; if there is none, remove what it left behind.'
      )
    time.sleep(0.02)
