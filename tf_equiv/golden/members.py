"""Reads the members of a golden, which may be damaged, or made to do harm.

No more is unpacked than the table of contents says, and no more than a limit.
"""

import hashlib
import io
import json
import math
import os
import zipfile
from typing import Any

import numpy as np

from tf_equiv.core import errors

LIMIT_VARIABLE = 'TF_EQUIV_MAX_GOLDEN_BYTES'
_LIMIT = 4 << 30
# Text takes many times its size once it is read; this share of the limit.
_TEXT_SHARE = 64
_CHUNK = 1 << 20
_MAX_QUOTED = 200
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class DamagedError(errors.UsageError):
  """A golden cannot be read; the message says what is wrong with it."""


def limit() -> int:
  """Returns how many bytes may be read for one object of a golden.

  Raises:
    UsageError: if the environment variable is no number of bytes.
  """
  given = os.environ.get(LIMIT_VARIABLE, '').strip()
  if not given:
    return _LIMIT
  if not given.isdecimal() or not int(given):
    raise errors.UsageError(
      f'The environment variable {LIMIT_VARIABLE} is {cut(repr(given))}; '
      f'expected a number of bytes, such as {_LIMIT}.'
    )
  return int(given)


def digest_of(data: bytes) -> str:
  """The first half of the SHA-256; names are in the file twice."""
  return hashlib.sha256(data).hexdigest()[:32]


def read(path: str, members: zipfile.ZipFile, name: str) -> bytes:
  """Reads a member.

  Args:
    path: the file, for messages.
    members: the opened file.
    name: name of the member.

  Raises:
    DamagedError: if it is missing, damaged, or too large.
  """
  try:
    info = members.getinfo(name)
  except KeyError:
    raise DamagedError(
      f'{path!r} is damaged: its member {cut(ascii(name))} is missing.'
    ) from None
  share = _TEXT_SHARE if name.endswith('.json') else 1
  if info.file_size * share > limit():
    raise DamagedError(
      f'{path!r} says that its member {name!r} has {info.file_size} bytes, '
      f'more than the {limit() // share} that are read. If you trust it, set '
      f'the environment variable {LIMIT_VARIABLE} to {info.file_size * share}.'
    )
  parts, left = [], info.file_size
  try:
    if info.compress_type not in _METHODS:
      raise zipfile.BadZipFile('it is packed in another way than goldens are')
    with members.open(info) as stream:
      while left > 0:
        part = stream.read(min(left, _CHUNK))
        if not part:
          raise EOFError(f'{left} bytes are missing')
        parts.append(part)
        left -= len(part)
      stream.read(1)  # Compares the checksum at the end.
  except Exception as error:  # zlib.error, BadZipFile and more.
    raise DamagedError(
      f'{path!r} is damaged: its member {name!r} cannot be read '
      f'({in_short(error)}).'
    ) from error
  return b''.join(parts)


def read_checked(path: str, members: zipfile.ZipFile, name: str) -> bytes:
  """Reads a member and compares its digest with its name; see `read`."""
  data = read(path, members, name)
  digest = os.path.splitext(os.path.basename(name))[0]
  if digest_of(data) != digest:
    raise DamagedError(
      f'{path!r} is damaged: its member {name!r} has another SHA-256 than '
      'recorded.'
    )
  return data


def parse(path: str, name: str, data: bytes) -> Any:
  """Parses the JSON of a member.

  Raises:
    DamagedError: if it is none.
  """
  try:
    return json.loads(data)
  except (ValueError, RecursionError, MemoryError) as error:
    raise DamagedError(
      f'{path!r} is damaged in its member {name!r} ({in_short(error)}).'
    ) from error


class Arrays:
  """The arrays of an object, read when they are asked for."""

  def __init__(self, path: str, members: zipfile.ZipFile, digests: list[str]):
    """Keeps where they are.

    Args:
      path: the file, for messages.
      members: the opened file.
      digests: digests of the arrays.
    """
    self._path, self._members, self._digests = path, members, digests
    self._left = limit()

  def __getitem__(self, key: str) -> np.ndarray:
    """Returns array 0 by the key 'a0', and so on."""
    name = f'arrays/{self._digests[int(key[1:])]}.npy'
    data = read_checked(self._path, self._members, name)
    self._left -= len(data)  # One member may stand for many arrays.
    if self._left < 0:
      raise DamagedError(
        f'{self._path!r} holds an object of more than {limit()} bytes. If you '
        f'trust it, set the environment variable {LIMIT_VARIABLE}.'
      )
    return _array_of(self._path, name, data)


def _array_of(path: str, name: str, data: bytes) -> np.ndarray:
  """Reads an array that has as many bytes as its header says."""
  try:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = (
      np.lib.format.read_array_header_1_0
      if version == (1, 0)
      else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
      raise ValueError('Object arrays cannot be loaded')
    if dtype.kind not in 'biufc':
      raise ValueError(f'arrays of {dtype} are none of a golden')
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != len(data) - stream.tell():
      raise ValueError(f'its header is about {wanted} bytes')
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
  except Exception as error:  # The header may hold anything.
    raise DamagedError(
      f'{path!r} is damaged: its member {name!r} is no array '
      f'({in_short(error)}).'
    ) from error


def in_short(error: BaseException) -> str:
  """Returns an error in one line, without what a terminal would obey."""
  lines = str(error).strip().splitlines()
  text = f': {ascii(lines[0])[1:-1]}' if lines else ''
  return cut(type(error).__name__ + text)


def cut(text: str) -> str:
  """Cuts what a message quotes."""
  return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + '...'
