"""Changes bytes, JSON values and protocol buffers at random places."""

import copy

_TEXTS = (
  '',
  'x',
  'x' * 100000,
  '\x1b[2J\x1b]0;x\x07',
  '\u202e\0\n',
  '../../../../etc/passwd',
  '/dev/zero',
  'ReadFile',
  'WriteFile',
  'PyFunc',
  'objects/../x',
  '0' * 32,
  'nan',
)
_NUMBERS = (-1, 0, 1, 2, 255, 1 << 31, (1 << 63) - 1, -(1 << 63), 1 << 40)
_VALUES = (
  None,
  True,
  1.5,
  [],
  {},
  [[]],
  {'dict': []},
  {'tuple': []},
  {'array': 0, 'dtype': 'string', 'shape': [2], 'lengths': [1]},
  {'array': 10**9, 'dtype': 'float32'},
  {'dataclass': 'SourceLine', 'fields': {}},
  {'dataclass': 'Observation', 'fields': {'side': 'TF1'}},
  {'number': 'nan'},
  {'SeedMode': 'x'},
  {'namedtuple': 'a b', 'names': ['c'], 'items': []},
)
_MAX_FIELDS = 4000


def change_bytes(random, data: bytes) -> bytes:
  """Flips, cuts, inserts, repeats or overwrites a part of some bytes."""
  data = bytearray(data)
  kind = random.randrange(6)
  start = random.randrange(len(data) + 1)
  length = random.choice((1, 2, 4, 8, 64, 1024))
  if kind == 0 and data:
    for _ in range(random.choice((1, 1, 2, 10, 100))):
      data[random.randrange(len(data))] ^= 1 << random.randrange(8)
  elif kind == 1:
    del data[start:]
  elif kind == 2:
    del data[start : start + length]
  elif kind == 3:
    data[start:start] = random.randbytes(length)
  elif kind == 4:
    data[start : start + length] = bytes([random.choice((0, 255))]) * length
  else:
    other = random.randrange(len(data) + 1)
    data[start : start + length] = data[other : other + length]
  return bytes(data)


def change_json(random, value):
  """Returns JSON values of which one was changed."""
  value = copy.deepcopy(value)
  places = []

  def visit(parent):
    items = parent.items() if isinstance(parent, dict) else enumerate(parent)
    for key, item in list(items):
      places.append((parent, key))
      if isinstance(item, (dict, list)):
        visit(item)

  visit(value)
  parent, key = random.choice(places)
  parent[key] = _changed(random, parent[key])
  kind = random.randrange(8)
  if kind == 0:
    del parent[key]
  elif kind == 1 and isinstance(parent, dict):
    parent[random.choice(_TEXTS)] = parent.pop(key)
  elif kind == 2 and isinstance(parent, list):
    parent.insert(key, parent[key])
  elif kind == 3:
    for _ in range(random.choice((5, 100, 500))):
      parent[key] = [parent[key]]
  return value


def _changed(random, item):
  if random.random() < 0.3:
    return copy.deepcopy(random.choice(_VALUES + _TEXTS + _NUMBERS))
  if isinstance(item, bool):
    return not item
  if isinstance(item, (int, float)):
    return random.choice(_NUMBERS + (item + 1, -item))
  if isinstance(item, str):
    return random.choice((*_TEXTS, item + 'x', item[::-1], item[:-1]))
  if isinstance(item, list):
    return item[: len(item) // 2] if random.random() < 0.5 else item + item[:1]
  return random.choice(_VALUES)


def change_message(random, message) -> None:
  """Changes one field of a protocol buffer, or of one inside of it."""
  places = []
  pending = [message]
  while pending and len(places) < _MAX_FIELDS:
    each = pending.pop(random.randrange(len(pending)))
    for field, value in each.ListFields():
      places.append((each, field))
      if field.type != field.TYPE_MESSAGE:
        continue
      if field.message_type.GetOptions().map_entry:
        inner = [v for v in value.values() if hasattr(v, 'ListFields')]
      else:
        inner = list(value) if _is_repeated(value) else [value]
      pending.extend(inner)
  parent, field = random.choice(places)
  value = getattr(parent, field.name)
  if not _is_repeated(value) and not hasattr(value, 'ListFields'):
    setattr(parent, field.name, _scalar(random, field, value))
  elif random.random() < 0.4 or not _is_repeated(value):
    parent.ClearField(field.name)
  elif hasattr(value, 'keys'):
    key = random.choice(sorted(value.keys()))
    del value[key]
  elif field.type == field.TYPE_MESSAGE:
    i, j = (random.randrange(len(value)) for _ in range(2))
    if random.random() < 0.5:
      value[i].CopyFrom(copy.deepcopy(value[j]))
    else:
      del value[i]
  else:
    i = random.randrange(len(value))
    if random.random() < 0.3:
      del value[i]
    else:
      value[i] = _scalar(random, field, value[i])


def _is_repeated(value) -> bool:
  return hasattr(value, '__len__') and not isinstance(value, (str, bytes))


def _scalar(random, field, value):
  if field.type == field.TYPE_STRING:
    # Lone surrogates and the like are no text of a protocol buffer.
    return random.choice((*_TEXTS, value + ':1', '^' + value, value[:-1]))
  if field.type == field.TYPE_BYTES:
    return change_bytes(random, value)
  if field.type == field.TYPE_BOOL:
    return not value
  if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
    return random.choice((0.0, -1.0, 1e30, float('nan'), float('inf')))
  if field.type == field.TYPE_ENUM:
    return random.choice((0, 1, 3, 7, 20, 21, 101, 999))
  bits = 31 if '32' in str(field.cpp_type) or field.type in (5, 17, 15) else 63
  unsigned = field.type in (4, 6, 7, 13)
  numbers = [n for n in _NUMBERS if -(1 << bits) <= n < 1 << bits]
  return random.choice([n for n in numbers if n >= 0 or not unsigned])


_POLYNOMIAL = 0x82F63B78


def _table():
  found = []
  for i in range(256):
    for _ in range(8):
      i = (i >> 1) ^ _POLYNOMIAL if i & 1 else i >> 1
    found.append(i)
  return found


_CRC = _table()


def _masked(crc: int) -> bytes:
  crc ^= 0xFFFFFFFF
  rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
  return ((rotated + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, 'little')


def checksum(data: bytes) -> bytes:
  """Returns the checksum of a block of a checkpoint (CRC-32C, masked)."""
  crc = 0xFFFFFFFF
  for byte in data:
    crc = _CRC[(crc ^ byte) & 255] ^ (crc >> 8)
  return _masked(crc)


def first_block(data: bytes) -> int:
  """Returns how long the first block of a table is, with its kind."""
  crc = 0xFFFFFFFF
  for i, byte in enumerate(data):
    crc = _CRC[(crc ^ byte) & 255] ^ (crc >> 8)
    if i > 8 and data[i + 1 : i + 5] == _masked(crc):
      return i + 1
  raise ValueError('no block with a checksum')


def change_block(random, data: bytes) -> bytes:
  """Changes bytes of the first block of a table; its checksum is right."""
  end = first_block(data)
  block = bytearray(data[:end])
  for _ in range(random.choice((1, 1, 2, 4))):
    place = random.randrange(end - 1)
    block[place] = random.choice((0, 1, 127, 255, random.randrange(256)))
  return bytes(block) + checksum(block) + data[end + 4 :]
