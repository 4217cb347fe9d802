"""Reads goldens of tf_equiv with NumPy alone; docs/golden_format.md explains.

Copy this file into a project that has no TensorFlow.
"""

import hashlib
import io
import itertools
import json
import re
import zipfile

import numpy as np

FORMAT = 'tf_equiv golden 1'
# Of a plan; what is not in an entry has its default value.
_DEFAULTS = {'training': False, 'weights': 'fixed', 'seed_mode': 'constant'}
_DEFAULTS.update(gradients=False, updates=False, batches=[])


class DamagedError(ValueError):
  """The file is no golden, or is not as it was recorded."""


class Golden:
  """A file: `entries` of the index, and `manifests`, versions by name."""

  def __init__(self, path):
    try:
      self._archive = zipfile.ZipFile(path)
      index = json.loads(self._archive.read('index.json'))
      if index['format'] != FORMAT:
        raise DamagedError(f'{path} has the format {index["format"]!r}')
      self.entries, self.manifests = index['entries'], index['manifests']
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
      raise DamagedError(f'{path} is no golden: {error}') from error

  def find(self, **plan):
    """Returns the entries whose plan has these values, e.g. training=True."""
    return [
      entry
      for entry in self.entries
      if {**_DEFAULTS, **entry['plan'], **plan}
      == {**_DEFAULTS, **entry['plan']}
    ]

  def observation(self, entry):
    """Returns what was observed: dicts, lists, tuples, numbers and arrays."""
    text = self._read(f'objects/{entry["objects"]["observation"]}.json')
    stored = json.loads(text)
    return self._decoded(stored['value'], stored['arrays'])

  def _read(self, name):
    """Returns a member, whose name is the start of its SHA-256."""
    try:
      data = self._archive.read(name)
    except Exception as error:  # zlib.error and more.
      raise DamagedError(f'the member {name} cannot be read') from error
    digest = re.sub(r'.*/|\..*', '', name)
    if hashlib.sha256(data).hexdigest()[:32] != digest:
      raise DamagedError(f'the member {name} has another SHA-256')
    return data

  def _decoded(self, value, arrays):
    if isinstance(value, list):
      return [self._decoded(each, arrays) for each in value]
    if not isinstance(value, dict):
      return value
    if 'array' in value:
      return self._array(value, arrays[value['array']])
    if 'dataclass' in value:
      fields = value['fields'].items()
      return {name: self._decoded(each, arrays) for name, each in fields}
    for kind in ('dict', 'ordered'):
      if kind in value:
        return dict(self._decoded(value[kind], arrays))
    for kind in ('tuple', 'items'):  # The items of a named tuple.
      if kind in value:
        return tuple(self._decoded(value[kind], arrays))
    return float(value['number']) if 'number' in value else value['SeedMode']

  def _array(self, value, digest):
    data = io.BytesIO(self._read(f'arrays/{digest}.npy'))
    array = np.load(data, allow_pickle=False)
    if value['dtype'] == 'string':
      ends = np.cumsum([0, *value['lengths']])
      texts = [array[a:b].tobytes() for a, b in itertools.pairwise(ends)]
      return np.array(texts, object).reshape(value['shape'])
    if value['dtype'] == 'bfloat16':  # The upper half of a float32.
      wide = array.view('<u2').astype('<u4') << 16
      return wide.view('<f4').reshape(value['shape'])
    if 'shape' in value:
      raise ValueError(f'NumPy has no {value["dtype"]}')
    return array


def digest_of_inputs(array):
  """Returns the digest of numbers (little-endian), as plans have it."""
  return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
