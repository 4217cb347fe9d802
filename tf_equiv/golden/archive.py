"""The container of a golden: a ZIP file of JSON and arrays, never pickle.

`index.json` lists the recordings. What a recording holds are members that are
named by a digest of their content, the first 32 digits of its SHA-256:
`objects/<digest>.json` are plain data whose arrays are `arrays/<digest>.npy`.
Equal arrays are thus stored once, and what is read is checked against its name.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.core import errors
from tf_equiv.golden import locking
from tf_equiv.tf1 import serialization

FORMAT = 'tf_equiv golden 1'
INDEX = 'index.json'
# Of larger members this much is compressed to see whether that is worth it:
# random weights shrink by 7 %, at a few MB per second.
_SAMPLE = 1 << 16
_WORTHWHILE = 0.85
# A file is rewritten when more than this share of it is no longer used.
_MAX_WASTE = 0.2

# Everything that reading a damaged file may raise.
_DAMAGE = (
  OSError,
  EOFError,
  KeyError,
  ValueError,
  TypeError,
  AttributeError,
  NotImplementedError,
  RuntimeError,
  zipfile.BadZipFile,
  zlib.error,
)


class DamagedError(errors.UsageError):
  """A golden cannot be read; the message says what is wrong with it."""


def read_index(path: str) -> dict[str, Any]:
  """Returns the index of a golden.

  Args:
    path: the file.

  Returns:
    The index, with 'format', 'manifests' and 'entries'.

  Raises:
    DamagedError: if it is missing, damaged, or no golden of this format.
  """
  with _opened(path) as members:
    return _index_of(path, members)


def load(path: str, digest: str) -> Any:
  """Reads an object, with the arrays that it holds, and checks all digests.

  Args:
    path: the file.
    digest: digest of the object, as `Writer.add` returned it.

  Returns:
    What was added.

  Raises:
    DamagedError: if the file or one of its members is damaged.
  """
  with _opened(path) as members:
    data = json.loads(_checked(path, members, _object_name(digest)))
    try:
      return serialization.decode(data['value'], _Arrays(path, members, data))
    except DamagedError:
      raise
    except _DAMAGE as error:
      raise DamagedError(
        f'{path!r} holds what this version of tf_equiv does not know '
        f'({type(error).__name__}: {error}); it was probably recorded by '
        'another version.'
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
  with _opened(path) as members:
    index = _index_of(path, members)
    needed = _needed(members, index)
    for name in needed:
      _checked(path, members, name)
    return len(needed)


def sizes(path: str) -> dict[str, int]:
  """Returns the bytes that each member takes in the file, by its name."""
  with _opened(path) as members:
    return {info.filename: info.compress_size for info in members.infolist()}


def parts_of(members: zipfile.ZipFile, entry: Mapping[str, Any]) -> list[str]:
  """Returns the names of the members that an entry of the index needs.

  Args:
    members: the opened file.
    entry: the entry.

  Returns:
    Names of objects and arrays, each once.

  Raises:
    DamagedError: if an object is missing or damaged.
  """
  found = {}
  for digest in entry['objects'].values():
    name = _object_name(digest)
    data = json.loads(_checked(members.filename, members, name))
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
    digest = _digest(data)
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
      handle, temporary = tempfile.mkstemp(
        '.tmp', '.' + os.path.basename(path) + '.', folder
      )
    os.close(handle)
    try:
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
    needed.update(dict.fromkeys(parts_of(members, entry)))
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
        new.writestr(info, old.read(info), info.compress_type)
    os.replace(target, path)
  finally:
    if os.path.exists(target):
      os.unlink(target)


def _digest(data: bytes) -> str:
  """The first half of the SHA-256; names are in the file twice."""
  return hashlib.sha256(data).hexdigest()[:32]


def _object_name(digest: str) -> str:
  return f'objects/{digest}.json'


@contextlib.contextmanager
def _opened(path: str):
  if not os.path.isfile(path):
    raise DamagedError(f'There is no file {path!r}.')
  try:
    members = zipfile.ZipFile(path)
  except _DAMAGE as error:
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
      f'broken ({error}).'
    )
  return f'{path!r} is no golden of tf_equiv: it is no ZIP file.'


def _index_of(path: str, members: zipfile.ZipFile) -> dict[str, Any]:
  if INDEX not in members.namelist():
    raise DamagedError(
      f'{path!r} is no golden of tf_equiv: it has no member {INDEX!r}.'
    )
  try:
    index = json.loads(members.read(INDEX))
    found = index['format']
  except _DAMAGE as error:
    raise DamagedError(
      f'{path!r} is damaged in its member {INDEX!r} ({type(error).__name__}: '
      f'{error}).'
    ) from error
  if found != FORMAT:
    raise DamagedError(
      f'{path!r} has the format {found!r}; this version of tf_equiv reads '
      f'{FORMAT!r}.'
    )
  return index


def _checked(path: str, members: zipfile.ZipFile, name: str) -> bytes:
  """Reads a member and compares its digest with its name."""
  try:
    data = members.read(name)
  except _DAMAGE as error:
    missing = name not in members.namelist()
    raise DamagedError(
      '%r is damaged: its member %r %s.'
      % (
        path,
        name,
        'is missing' if missing else f'cannot be read ({error})',
      )
    ) from error
  digest = os.path.splitext(os.path.basename(name))[0]
  if _digest(data) != digest:
    raise DamagedError(
      f'{path!r} is damaged: its member {name!r} has another SHA-256 than '
      'recorded.'
    )
  return data


class _Arrays:
  """The arrays of an object, read when they are asked for."""

  def __init__(self, path: str, members: zipfile.ZipFile, data: Any):
    self._path, self._members, self._names = path, members, data['arrays']

  def __getitem__(self, key: str) -> np.ndarray:
    name = f'arrays/{self._names[int(key[1:])]}.npy'
    data = _checked(self._path, self._members, name)
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
