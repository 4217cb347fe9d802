"""Looks into the index of a checkpoint before TensorFlow does.

TensorFlow ends the whole process where the index names a shape with more
elements than a number can count, or with a negative size. The index is a table
of sorted keys in blocks, as LevelDB writes it; checksums are TensorFlow's
business.
"""

import struct
from typing import Iterator, Tuple, Union

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # the kind of compression, and a checksum
_PLAIN = 0
_MAX_ELEMENTS = (1 << 63) - 1
# Fields of the messages BundleEntryProto, TensorShapeProto and its Dim.
_SHAPE, _DIM, _SIZE = 2, 2, 1


def impossible_shapes(data: bytes) -> Iterator[Tuple[str, Tuple[int, ...]]]:
  """Yields name and shape of the tensors that cannot be.

  Args:
    data: the file. Where it is no index, nothing is found: whoever reads it
      says what is wrong with it.
  """
  try:
    entries = list(_entries(data))
  except (IndexError, ValueError, struct.error):
    return
  for key, value in entries:
    try:
      shape = _shape_of(value)
    except (IndexError, ValueError):
      continue
    total = 1
    for size in shape:
      total *= max(size, 1)
    if total > _MAX_ELEMENTS or any(size < 0 for size in shape):
      yield key.decode('utf-8', 'replace'), shape


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


def _shape_of(entry: bytes) -> Tuple[int, ...]:
  shape = []
  for number, content in _fields(entry):
    if number == _SHAPE and isinstance(content, bytes):
      for inner, dim in _fields(content):
        if inner == _DIM and isinstance(dim, bytes):
          sizes = [
            v for n, v in _fields(dim) if n == _SIZE and isinstance(v, int)
          ]
          size = sizes[-1] if sizes else 0
          shape.append(size - (1 << 64) if size >> 63 else size)
  return tuple(shape)


def _fields(message: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
  """Yields (number, content) of the fields of a protocol buffer."""
  position = 0
  while position < len(message):
    tag, position = _varint(message, position)
    kind = tag & 7
    content: Union[int, bytes]
    if kind == 0:
      content, position = _varint(message, position)
    elif kind == 2:
      size, position = _varint(message, position)
      content, position = message[position : position + size], position + size
    elif kind in (1, 5):
      size = 8 if kind == 1 else 4
      content, position = message[position : position + size], position + size
    else:
      raise ValueError('no protocol buffer')
    yield tag >> 3, content


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
