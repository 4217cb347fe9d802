"""Writes the container of a golden, which is replaced as a whole."""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tf_equiv.core import errors, locking
from tf_equiv.golden import members as members_lib
from tf_equiv.golden.archive import reader

# Of larger members this much is compressed to see whether that is worth it:
# random weights shrink by 7 %, at a few MB per second.
_SAMPLE = 1 << 16
_WORTHWHILE = 0.85
# A file is rewritten when more than this share of it is no longer used.
_MAX_WASTE = 0.2

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Writer:
  """Adds objects to a golden; see `updated`.

  Attributes:
    index: the index, to be changed in place.
  """

  def __init__(self, members: zipfile.ZipFile, index: dict[str, Any]):
    self._members, self.index = members, index
    self._names = set(members.namelist())

  def add(self, value: Any) -> str:
    """Adds plain data, and returns the digest that it is found by.

    Args:
      value: what `tf1.storage` can store.

    Returns:
      The digest, to be kept in the index; what the index does not mention is
      removed.
    """
    # Not above: it imports TensorFlow, which reading an index does not need.
    from tf_equiv.tf1 import serialization

    arrays = []
    return self.add_encoded(serialization.encode(value, arrays), arrays)

  def add_encoded(self, encoded: Any, arrays: Sequence[np.ndarray] = ()) -> str:
    """Adds what `storage.encode` returned; see `add`."""
    names = []
    for array in arrays:
      stream = io.BytesIO()
      np.lib.format.write_array(stream, array, allow_pickle=False)
      names.append(self._put('arrays/%s.npy', stream.getvalue()))
    text = json.dumps({'arrays': names, 'value': encoded}, sort_keys=True)
    return self._put('objects/%s.json', text.encode('utf-8'))

  def _put(self, pattern: str, data: bytes) -> str:
    digest = members_lib.digest_of(data)
    name = pattern % digest
    if name not in self._names:
      _write(self._members, name, data)
      self._names.add(name)
    return digest


@contextlib.contextmanager
def updated(path: str, anew: bool = False) -> Iterator[Writer]:
  """Context in which a golden is changed; its value is a `Writer`.

  Other processes and threads that write the same file wait. The file is
  replaced as a whole at the end, so that readers see it before or after; where
  the context is left by an exception, it stays as it was.

  Args:
    path: the file; it and its folder need not exist.
    anew: whether what the file holds is dropped, and need not be readable.

  Raises:
    DamagedError: if the file exists and is damaged or of another format.
    UsageError: if the folder is not writable, or others keep the file locked.
  """
  folder = os.path.dirname(os.path.abspath(path))
  with _writable(path, folder):
    os.makedirs(folder, exist_ok=True)
  with locking.locked(path):
    index = {'format': reader.FORMAT, 'manifests': {}, 'entries': []}
    known = os.path.exists(path) and not anew
    if known:
      index = reader.read_index(path)
    with _writable(path, folder):
      _sweep(path, folder)
      handle, temporary = tempfile.mkstemp(
        '.tmp', '.' + os.path.basename(path) + '.', folder
      )
    os.close(handle)
    try:
      with _room(path):
        if known:
          shutil.copyfile(path, temporary)
        with zipfile.ZipFile(temporary, 'a' if known else 'w') as members:
          writer = Writer(members, index)
          yield writer
          _finish(members, index)
        if known and _waste(temporary) > _MAX_WASTE:
          _compact(temporary)
        _set_mode(temporary, path if os.path.exists(path) else None)
        os.replace(temporary, path)
    except BaseException:
      os.unlink(temporary)
      raise


def _sweep(path: str, folder: str) -> None:
  """Removes what writers of this file left behind that were killed.

  None of them is at work: the caller holds the lock.
  """
  name = re.escape(os.path.basename(path))
  for other in os.listdir(folder):
    if re.fullmatch(rf'\.{name}\.\w{{8}}\.tmp(\.compact)?', other):
      os.unlink(os.path.join(folder, other))


@contextlib.contextmanager
def _room(path: str):
  """Says what to do where the disk is full."""
  try:
    yield
  except OSError as error:
    if error.errno not in _FULL:
      raise
    raise errors.UsageError(
      f'{path!r} cannot be written ({error.strerror}); what was there before '
      'is as it was. Make room, or record into another folder.'
    ) from error


@contextlib.contextmanager
def _writable(path: str, folder: str):
  try:
    yield
  except OSError as error:
    raise errors.UsageError(
      f'{path!r} cannot be written: the folder {folder!r} is not writable '
      f'({error.strerror}). Give a path of a folder that is; under Bazel, '
      'record with `bazel run`.'
    ) from error


def _set_mode(temporary: str, old: str | None) -> None:
  """Gives the file the mode of the old one, else that of a new file."""
  if old is not None:
    shutil.copymode(old, temporary)
    return
  mask = os.umask(0)
  os.umask(mask)
  os.chmod(temporary, 0o666 & ~mask)


def _finish(members: zipfile.ZipFile, index: dict[str, Any]) -> None:
  """Writes the index, and forgets the members that it does not need."""
  needed = set(reader.needed(members, index))
  # Only the table of contents is changed; the bytes stay until _compact.
  for info in list(members.infolist()):
    if info.filename not in needed:
      members.filelist.remove(info)
      del members.NameToInfo[info.filename]
  text = json.dumps(index, indent=1, sort_keys=True)
  _write(members, reader.INDEX, text.encode('utf-8'))


def _write(members: zipfile.ZipFile, name: str, data: bytes) -> None:
  info = zipfile.ZipInfo(name)  # with a fixed time
  info.external_attr = 0o644 << 16
  members.writestr(info, data, _method(data))


def _method(data: bytes) -> int:
  start = max(0, (len(data) - _SAMPLE) // 2)
  sample = data[start : start + _SAMPLE]
  shrunk = len(zlib.compress(sample, 6)) < _WORTHWHILE * len(sample)
  return zipfile.ZIP_DEFLATED if shrunk else zipfile.ZIP_STORED


def _waste(path: str) -> float:
  """Returns the share of a file that no member takes."""
  used = 22  # the end of the table of contents
  with zipfile.ZipFile(path) as members:
    for info in members.infolist():
      # Headers in front of the member and in the table of contents.
      used += info.compress_size + 30 + 46 + 2 * len(info.filename)
  return 1 - used / os.path.getsize(path)


def _compact(path: str) -> None:
  """Writes a file again, without the bytes that are no longer used."""
  target = path + '.compact'
  try:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, 'w') as new:
      for info in old.infolist():
        data = members_lib.read(path, old, info.filename)
        new.writestr(info, data, info.compress_type)
    os.replace(target, path)
  finally:
    if os.path.exists(target):
      os.unlink(target)
