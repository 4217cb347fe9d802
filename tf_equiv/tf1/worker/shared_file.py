"""Hands values to another process in a file that both map into memory.

It holds what `storage` can store, but not for keeps: nothing is compressed or
checked, and thousands of arrays take no time. A file is the length of its
index in 16 digits, the index as JSON, and the arrays one after another.
"""

import mmap
import os
from typing import Any, List, Tuple

import numpy as np

from tf_equiv.core import errors, own_json
from tf_equiv.tf1 import serialization

_DIGITS = 16
_ALIGNMENT = 64  # bytes
# What comes of a file that is not whole, or not one of these.
_DAMAGED = (
  OSError,
  ValueError,
  LookupError,
  TypeError,
  AttributeError,
  OverflowError,
  RecursionError,
)


def write(path: str, value: Any) -> None:
  """Writes a value to a new file, and removes the file again if that fails.

  Args:
    path: the file.
    value: see `storage.save`.

  Raises:
    UsageError: if the value holds something that cannot be stored.
    OSError: if the file cannot be written.
  """
  arrays: List[np.ndarray] = []
  encoded = serialization.encode(value, arrays)
  places: List[Tuple[str, List[int], int]] = []
  end = 0
  for array in arrays:
    start = -(-end // _ALIGNMENT) * _ALIGNMENT
    places.append((array.dtype.str, list(array.shape), start))
    end = start + array.nbytes
  index = own_json.dumps({'value': encoded, 'places': places})
  header = _padded(index.encode('utf-8'))
  try:
    with open(path, 'wb') as stream:
      stream.write(header)
      written = 0
      for array, (_, _, start) in zip(arrays, places):
        stream.write(b'\0' * (start - written))
        written = start + array.nbytes
        if array.size:
          flat = np.ascontiguousarray(array).reshape(-1)
          stream.write(flat.view(np.uint8).data)
  except BaseException:
    if os.path.exists(path):
      os.unlink(path)
    raise


def read(path: str) -> Any:
  """Reads what `write` wrote, and removes the file.

  Args:
    path: the file.

  Returns:
    The value. Its arrays are in the mapped file, which goes with the last of
    them; changes to them stay private.

  Raises:
    EnvironmentSetupError: if there is no such file, or it is not whole.
  """
  try:
    with open(path, 'rb') as stream:
      data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    os.unlink(path)
    length = int(data[:_DIGITS])
    index = own_json.loads(data[_DIGITS : _DIGITS + length].decode('utf-8'))
    start = _DIGITS + length
    members = {}
    for i, (dtype, shape, offset) in enumerate(index['places']):
      members[f'a{i}'] = np.frombuffer(
        data, dtype, int(np.prod(shape, dtype=np.int64)), start + offset
      ).reshape(shape)
    return serialization.decode(index['value'], members)
  except _DAMAGED as error:
    raise errors.EnvironmentSetupError(
      f'{path!r}, a file of another process, cannot be read '
      f'({type(error).__name__}: {error}).'
    ) from error


def _padded(index: bytes) -> bytes:
  """Puts the length before an index, and spaces behind it up to an edge."""
  length = -(-(_DIGITS + len(index)) // _ALIGNMENT) * _ALIGNMENT - _DIGITS
  return b'%0*d' % (_DIGITS, length) + index.ljust(length)
