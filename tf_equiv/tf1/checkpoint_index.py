"""Looks into the index of a checkpoint before TensorFlow does.

TensorFlow ends the whole process where an entry of the index is no message, has
a dtype that no value has, or a shape with more elements than a number can
count. The index is a table of sorted keys in blocks, as LevelDB writes it; its
checksums are TensorFlow's business.
"""

import struct
from typing import Iterator, Tuple

import tensorflow as tf

from tf_equiv import compat

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # the kind of compression, and a checksum
_PLAIN = 0
_REFERENCES = 100  # From here on, dtypes are those of references to variables.
_MAX_ELEMENTS = (1 << 63) - 1


def problems(data: bytes) -> Iterator[str]:
  """Yields what is wrong with entries so that TensorFlow would not survive it.

  Args:
    data: the file. Where it is no index, nothing is found: whoever reads it
      says what is wrong with it.
  """
  message = compat.export_messages().BundleEntryProto
  try:
    for key, value in _entries(data):
      name = key.decode('utf-8', 'replace')
      if key:  # The first entry describes the others.
        problem = _problem(message(), value)
        if problem:
          yield f'{name!r} {problem}'
  except (IndexError, ValueError, struct.error):
    return


def _problem(entry, value: bytes) -> str:
  try:
    entry.ParseFromString(value)
  except Exception as error:  # DecodeError, of the protocol buffers.
    return f'is described by no message ({type(error).__name__})'
  try:
    dtype = tf.as_dtype(entry.dtype)
  except TypeError:
    dtype = None
  if dtype is None or entry.dtype >= _REFERENCES or dtype == tf.resource:
    return f'has the dtype {entry.dtype}, which no value has'
  shape = [dim.size for dim in entry.shape.dim]
  total = 1
  for size in shape:
    total *= max(size, 1)
  if total > _MAX_ELEMENTS or any(size < 0 for size in shape):
    return f'has the shape {shape}, which nothing has'
  return ''


def _entries(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
  """Yields the keys and values of a table."""
  footer = data[-_FOOTER:]
  if struct.unpack('<Q', footer[-8:])[0] != _MAGIC:
    raise ValueError('no table')
  # Before the handle of the index of blocks there is that of another block.
  _, position = _varint(footer, 0)
  _, position = _varint(footer, position)
  for _, handle in _in_block(_block(data, footer, position)):
    for entry in _in_block(_block(data, handle, 0)):
      yield entry


def _block(data: bytes, handle: bytes, position: int) -> bytes:
  """Returns the block that a handle (offset, size) stands for."""
  offset, position = _varint(handle, position)
  size, _ = _varint(handle, position)
  if offset + size + _TRAILER > len(data) or data[offset + size] != _PLAIN:
    raise ValueError('no block that can be read')
  return data[offset : offset + size]


def _in_block(block: bytes) -> Iterator[Tuple[bytes, bytes]]:
  """Yields the keys and values of a block."""
  (restarts,) = struct.unpack('<I', block[-4:])
  end = len(block) - 4 * (restarts + 1)
  key, position = b'', 0
  while position < end:
    shared, position = _varint(block, position)
    added, position = _varint(block, position)
    size, position = _varint(block, position)
    key = key[:shared] + block[position : position + added]
    position += added
    yield key, block[position : position + size]
    position += size


def _varint(data: bytes, position: int) -> Tuple[int, int]:
  """Returns a number of variable length, and the position after it."""
  result = shift = 0
  while True:
    byte = data[position]
    position += 1
    result |= (byte & 127) << shift
    shift += 7
    if byte < 128:
      return result, position
    if shift > 63:
      raise ValueError('no number')
