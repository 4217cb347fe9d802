"""The container of a golden: a ZIP file of JSON and arrays, never pickle.

`index.json` lists the recordings. What a recording holds are members that are
named by a digest of their content, the first 32 digits of its SHA-256:
`objects/<digest>.json` are plain data whose arrays are `arrays/<digest>.npy`.
Equal arrays are thus stored once, and what is read is checked against its name.
"""

from tf_equiv.golden.archive.reader import (
  FORMAT,
  INDEX,
  DamagedError,
  check,
  load,
  object_name,
  parts_of,
  read_index,
  sizes,
)
from tf_equiv.golden.archive.writer import Writer, updated

__all__ = (
  'DamagedError',
  'FORMAT',
  'INDEX',
  'Writer',
  'check',
  'load',
  'object_name',
  'parts_of',
  'read_index',
  'sizes',
  'updated',
)
