"""Folders in which files are written before they get their names.

A writer that is killed leaves its folder behind. The next one removes it: a
lock, which the system drops with its process, says whose folder is in use.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator

import tensorflow as tf

try:
  import fcntl
except ImportError:  # Windows, where nothing is found to be abandoned.
  fcntl = None


@contextlib.contextmanager
def beside(path: str) -> Iterator[str]:
  """Context with a new folder beside a file; it is removed at the end.

  Args:
    path: the file.
  """
  while True:
    folder = f'{path}.tmp-{uuid.uuid4().hex}'
    tf.io.gfile.makedirs(folder)
    handle = _lock(folder, wait=True)
    if handle is None or os.path.isdir(folder):
      break
    os.close(handle)  # Another writer took it for abandoned.
  try:
    yield folder
  finally:
    tf.io.gfile.rmtree(folder)
    if handle is not None:
      os.close(handle)


def abandoned(path: str) -> Iterator[str]:
  """Yields the folders that killed writers left beside a file.

  Each is locked while it is looked at, and removed afterwards.

  Args:
    path: the file.
  """
  where, name = os.path.split(path)
  if fcntl is None or '://' in path:
    return
  for other in sorted(os.listdir(where or '.')):
    folder = os.path.join(where, other)
    if not re.fullmatch(re.escape(name) + r'\.tmp-[0-9a-f]{32}', other):
      continue
    if os.path.islink(folder) or not os.path.isdir(folder):
      continue
    handle = _lock(folder, wait=False)
    if handle is None:
      continue
    try:
      if os.path.isdir(folder):  # Its writer may have ended since.
        yield folder
        tf.io.gfile.rmtree(folder)
    finally:
      os.close(handle)


def _lock(folder: str, wait: bool) -> int | None:
  """Returns the handle that locks a folder, None if that is not possible."""
  if fcntl is None or '://' in folder:
    return None
  handle = None
  try:
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    return handle
  except OSError:  # In use; gone; or a file system without locks.
    if handle is not None:
      os.close(handle)
    return None
