"""The container of a golden: a ZIP file of JSON and arrays, never pickle.

`index.json` lists the recordings. What a recording holds are members that are
named by a digest of their content, the first 32 digits of its SHA-256:
`objects/<digest>.json` are plain data whose arrays are `arrays/<digest>.npy`.
Equal arrays are thus stored once, and what is read is checked against its name.
"""

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.core import errors
from tf_equiv.golden import locking
from tf_equiv.golden import members as members_lib
from tf_equiv.tf1 import serialization

FORMAT = 'tf_equiv golden 1'
INDEX = 'index.json'
# Of larger members this much is compressed to see whether that is worth it:
# random weights shrink by 7 %, at a few MB per second.
_SAMPLE = 1 << 16
_WORTHWHILE = 0.85
# A file is rewritten when more than this share of it is no longer used.
_MAX_WASTE = 0.2

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

DamagedError = members_lib.DamagedError


def read_index(path: str) -> dict[str, Any]:
  """Returns the index of a golden.

  Args:
    path: the file.

  Returns:
    The index, with 'format', 'manifests' and 'entries'.

  Raises:
    DamagedError: if it is missing, damaged, or no golden of this format.
  """
  with _opening(path) as members:
    return _index_of(path, members)


def load(
  path: str,
  digest: str,
  check_encoded: Callable[[Any, int], None] | None = None,
) -> Any:
  """Reads an object, with the arrays that it holds, and checks all digests.

  Args:
    path: the file.
    digest: digest of the object, as `Writer.add` returned it.
    check_encoded: gets what the object was encoded as, and the number of its
      arrays, before it is decoded.

  Returns:
    What was added.

  Raises:
    DamagedError: if the file or one of its members is damaged.
  """
  with _opening(path) as members:
    name = object_name(digest)
    data = _object_of(path, members, name)
    if check_encoded is not None:
      check_encoded(data['value'], len(data['arrays']))
    arrays = members_lib.Arrays(path, members, data['arrays'])
    try:
      return serialization.decode(data['value'], arrays)
    except DamagedError:
      raise
    except Exception as error:  # It may hold anything.
      raise DamagedError(
        f'{path!r} is damaged in its member {name!r}, or holds what this '
        'version of tf_equiv does not know '
        f'({members_lib.in_short(error)}).'
      ) from error


def check(path: str) -> int:
  """Reads all members and checks their digests.

  Args:
    path: the file.

  Returns:
    The number of members that were checked.

  Raises:
    DamagedError: if one is damaged or missing.
  """
  with _opening(path) as members:
    index = _index_of(path, members)
    needed = _needed(members, index)
    for name in needed:
      members_lib.read_checked(path, members, name)
    return len(needed)


def sizes(path: str) -> dict[str, int]:
  """Returns the bytes that each member takes in the file, by its name."""
  with _opening(path) as members:
    return {info.filename: info.compress_size for info in members.infolist()}


def parts_of(path: str, entry: Mapping[str, Any]) -> list[str]:
  """Returns the names of the members that an entry of the index needs.

  Args:
    path: the file.
    entry: the entry.

  Returns:
    Names of objects and arrays, each once.

  Raises:
    DamagedError: if an object is missing or damaged.
  """
  with _opening(path) as members:
    return _parts_of(members, entry)


def _parts_of(members, entry) -> list[str]:
  found = {}
  for digest in entry['objects'].values():
    name = object_name(digest)
    data = _object_of(members.filename, members, name)
    arrays = [f'arrays/{each}.npy' for each in data['arrays']]
    found.update(dict.fromkeys([name, *arrays]))
  return list(found)


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
    index = {'format': FORMAT, 'manifests': {}, 'entries': []}
    known = os.path.exists(path) and not anew
    if known:
      index = read_index(path)
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
  needed = set(_needed(members, index))
  # Only the table of contents is changed; the bytes stay until _compact.
  for info in list(members.infolist()):
    if info.filename not in needed:
      members.filelist.remove(info)
      del members.NameToInfo[info.filename]
  text = json.dumps(index, indent=1, sort_keys=True)
  _write(members, INDEX, text.encode('utf-8'))


def _needed(members: zipfile.ZipFile, index: dict[str, Any]) -> list[str]:
  """Names of the members that the entries of an index need."""
  needed = {}
  for entry in index['entries']:
    needed.update(dict.fromkeys(_parts_of(members, entry)))
  return list(needed)


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


def object_name(digest: str) -> str:
  """Returns the name of the member that holds an object."""
  return f'objects/{digest}.json'


@contextlib.contextmanager
def _opening(path: str):
  if not os.path.isfile(path):
    raise DamagedError(
      f'{path!r} is no regular file.'
      if os.path.lexists(path)
      else f'There is no file {path!r}.'
    )
  try:
    members = zipfile.ZipFile(path)
  except Exception as error:  # struct.error, UnicodeDecodeError and more.
    raise DamagedError(_no_archive(path, error)) from error
  with members:
    yield members


def _no_archive(path: str, error: Exception) -> str:
  try:
    with open(path, 'rb') as stream:
      start = stream.read(64)
  except OSError:
    start = b''
  if start.startswith(b'version https://git-lfs'):
    return (
      f'{path!r} is the pointer of Git LFS, not the golden itself: run `git '
      'lfs pull`.'
    )
  if start.startswith(b'PK'):
    return (
      f'{path!r} is damaged: it ends too early, or its table of contents is '
      f'broken ({members_lib.in_short(error)}).'
    )
  return f'{path!r} is no golden of tf_equiv: it is no ZIP file.'


def _index_of(path: str, members: zipfile.ZipFile) -> dict[str, Any]:
  if INDEX not in members.namelist():
    raise DamagedError(
      f'{path!r} is no golden of tf_equiv: it has no member {INDEX!r}.'
    )
  data = members_lib.read(path, members, INDEX)
  index = members_lib.parse(path, INDEX, data)
  found = index.get('format') if isinstance(index, dict) else None
  if found != FORMAT:
    raise DamagedError(
      f'{path!r} has the format {members_lib.cut(ascii(found))}; this version '
      f'of tf_equiv reads {FORMAT!r}.'
    )
  entries = index.get('entries')
  if not isinstance(index.get('manifests'), dict) or not (
    isinstance(entries, list) and all(_has_objects(each) for each in entries)
  ):
    raise DamagedError(
      f'{path!r} is damaged in its member {INDEX!r}: it lacks manifests, or '
      'entries with objects.'
    )
  return index


def _has_objects(entry: Any) -> bool:
  objects = entry.get('objects') if isinstance(entry, dict) else None
  return isinstance(objects, dict) and all(
    isinstance(digest, str) for digest in objects.values()
  )


def _object_of(path: str, members: zipfile.ZipFile, name: str) -> dict:
  """Returns an object as it is stored: 'value', and 'arrays', digests."""
  data = members_lib.read_checked(path, members, name)
  found = members_lib.parse(path, name, data)
  arrays = found.get('arrays') if isinstance(found, dict) else None
  if (
    not isinstance(arrays, list)
    or 'value' not in found
    or not all(isinstance(digest, str) for digest in arrays)
  ):
    raise DamagedError(
      f'{path!r} is damaged in its member {name!r}: it has no value, or no '
      'list of arrays.'
    )
  return found
