"""Saves and loads plans and observations: NPZ with a JSON index, no pickle.

The file is an ordinary `.npz`. Its member `index` is UTF-8 JSON that describes
the object; the other members are the arrays, by number. Types that NumPy does
not store (text of any length, bfloat16) are stored as bytes, with their dtype
in the index.
"""

import collections
import dataclasses
import enum
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any, Dict, List

import numpy as np

from tf_equiv.core import (
  curves,
  draw,
  errors,
  metric_values,
  nest,
  observation,
  plan,
  random_value,
  seed_mode,
  source_line,
)
from tf_equiv.tf1 import optimizers
from tf_equiv.tf1.capture import initializers, stored_capture

_FORMAT = 'tf_equiv 1'
# Those that can be stored, by name.
DATACLASSES = {
  cls.__name__: cls
  for cls in (
    curves.Curve,
    curves.Curves,
    initializers.Initializer,
    metric_values.MetricValues,
    nest.Structure,
    observation.Observation,
    observation.Race,
    observation.RegularizationLoss,
    observation.StepObservation,
    observation.UpdateObservation,
    observation.VariableSpec,
    optimizers.OptimizerSpec,
    plan.RunPlan,
    draw.Draw,
    random_value.RandomValue,
    source_line.SourceLine,
    stored_capture.StoredCapture,
  )
}


def save(path: str, value: Any, compress: bool = True) -> None:
  """Writes a plan, an observation, a capture or a nest of arrays to a file.

  The file appears whole or not at all: it is written beside its place under
  another name and then renamed.

  Args:
    path: the file, by custom with the ending '.npz'.
    value: a plan, an observation, a stored capture, or a nest (dict, list,
      tuple) of arrays, numbers and text.
    compress: whether to make the file small rather than fast.

  Raises:
    UsageError: if it holds something that cannot be stored.
  """
  arrays: List[np.ndarray] = []
  index = {'format': _FORMAT, 'value': encode(value, arrays)}
  members = {f'a{i}': array for i, array in enumerate(arrays)}
  text = json.dumps(index).encode('utf-8')
  members['index'] = np.frombuffer(text, dtype=np.uint8)
  folder = os.path.dirname(os.path.abspath(path))
  handle, temporary = tempfile.mkstemp('.tmp', os.path.basename(path), folder)
  try:
    with os.fdopen(handle, 'wb') as stream:
      write = np.savez_compressed if compress else np.savez  # type: Any
      write(stream, **members)
    os.replace(temporary, path)
  except BaseException:
    os.unlink(temporary)
    raise


def load(path: str) -> Any:
  """Reads what `save` wrote.

  Args:
    path: the file.

  Returns:
    What was written. A named tuple comes back as one of another type, with the
    same name and fields.

  Raises:
    UsageError: if there is no such file, or it is damaged or of another kind.
  """
  if not os.path.isfile(path):
    raise errors.UsageError(f'There is no file {path!r}.')
  try:
    with np.load(path, allow_pickle=False) as members:
      index = json.loads(members['index'].tobytes().decode('utf-8'))
      if index.get('format') != _FORMAT:
        raise errors.UsageError(
          f'{path!r} has the format {index.get("format")!r}; this version '
          f'reads {_FORMAT!r}. Write it again.'
        )
      return decode(index['value'], members)
  except errors.UsageError:
    raise
  except (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    zipfile.BadZipFile,
  ) as error:
    raise errors.UsageError(
      f'{path!r} cannot be read; it is damaged, or was not written by '
      f'tf_equiv ({type(error).__name__}: {error}). Write it again.'
    ) from error


def encode(value: Any, arrays: List[np.ndarray]) -> Any:
  """Turns a value into plain JSON values.

  Args:
    value: see `save`.
    arrays: gets the arrays, which the result names by their number.

  Returns:
    What `decode` turns back.

  Raises:
    UsageError: if it holds something that cannot be stored.
  """
  # A SeedMode is a str, and a np.float64 a float: the order matters.
  if isinstance(value, enum.Enum):
    return {'SeedMode': value.value}
  if isinstance(value, (np.ndarray, np.generic)):
    return _encode_array(np.asarray(value), arrays)
  if value is None or isinstance(value, (bool, str)):
    return value
  if isinstance(value, (int, float)):
    return {'number': repr(value)} if value != value else value
  if type(value).__name__ in DATACLASSES:
    fields = {
      field.name: encode(getattr(value, field.name), arrays)
      for field in dataclasses.fields(value)
    }
    return {'dataclass': type(value).__name__, 'fields': fields}
  if isinstance(value, Mapping):
    kind = 'ordered' if isinstance(value, collections.OrderedDict) else 'dict'
    return {
      kind: [[encode(k, arrays), encode(v, arrays)] for k, v in value.items()]
    }
  if isinstance(value, tuple) and hasattr(value, '_fields'):
    items = [encode(item, arrays) for item in value]
    return {
      'namedtuple': type(value).__name__,
      'names': list(value._fields),
      'items': items,
    }
  if isinstance(value, tuple):
    return {'tuple': [encode(item, arrays) for item in value]}
  if isinstance(value, list):
    return [encode(item, arrays) for item in value]
  raise errors.UsageError(
    f'A {type(value).__name__} cannot be saved; only arrays, plain numbers '
    'and text can.'
  )


def _encode_array(array: np.ndarray, arrays: List[np.ndarray]) -> Dict:
  entry = {'array': len(arrays), 'dtype': array.dtype.name}
  if array.dtype.kind in 'OSU':
    items = [
      item.encode('utf-8') if isinstance(item, str) else bytes(item)
      for item in array.ravel().tolist()
    ]
    entry.update(
      dtype='string',
      shape=list(array.shape),
      lengths=[len(item) for item in items],
    )
    array = np.frombuffer(b''.join(items), dtype=np.uint8)
  elif array.dtype.kind == 'V' or array.dtype.name.startswith(
    ('bfloat', 'float8')
  ):
    entry['shape'] = list(array.shape)
    array = np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8)
  arrays.append(array)
  return entry


def decode(value: Any, members: Any) -> Any:
  """Turns what `encode` returned back.

  Args:
    value: the plain JSON values.
    members: array 0 by the key 'a0', and so on.

  Returns:
    The value.
  """
  if isinstance(value, list):
    return [decode(item, members) for item in value]
  if not isinstance(value, dict):
    return value
  if 'array' in value:
    return _decode_array(value, members)
  if 'dataclass' in value:
    fields = value['fields']
    return DATACLASSES[value['dataclass']](
      **{name: decode(item, members) for name, item in fields.items()}
    )
  if 'SeedMode' in value:
    return seed_mode.SeedMode(value['SeedMode'])
  if 'number' in value:
    return float(value['number'])
  if 'namedtuple' in value:
    cls = collections.namedtuple(value['namedtuple'], value['names'])
    return cls(*[decode(item, members) for item in value['items']])
  if 'tuple' in value:
    return tuple(decode(item, members) for item in value['tuple'])
  kind = 'ordered' if 'ordered' in value else 'dict'
  items = [[decode(k, members), decode(v, members)] for k, v in value[kind]]
  return collections.OrderedDict(items) if kind == 'ordered' else dict(items)


def _decode_array(entry: Dict, members: Any) -> np.ndarray:
  array = members[f'a{entry["array"]}']
  if entry['dtype'] == 'string':
    return _decode_text(array.tobytes(), entry)
  if 'shape' in entry:
    return _decode_extension(array.tobytes(), entry)
  return array


def _decode_text(data: bytes, entry: Dict) -> np.ndarray:
  result = np.empty(len(entry['lengths']), dtype=object)
  start = 0
  for i, length in enumerate(entry['lengths']):
    result[i] = data[start : start + length]
    start += length
  return result.reshape(entry['shape'])


def _decode_extension(data: bytes, entry: Dict) -> np.ndarray:
  """Decodes a dtype that NumPy does not have, bfloat16 above all."""
  import tensorflow as tf  # noqa: PLC0415  (seldom needed, and slow)

  dtype = np.dtype(tf.as_dtype(entry['dtype']).as_numpy_dtype)
  return np.frombuffer(data, dtype=dtype).reshape(entry['shape']).copy()
