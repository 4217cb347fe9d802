"""Reads name-based checkpoints, as `tf.compat.v1.train.Saver` writes them.

Format V2 is a file `<prefix>.index` with `<prefix>.data-00000-of-00001` and so
on; format V1 is a single file, or `<prefix>-00000-of-00002` and so on.
"""

import difflib
import os
import re
import stat
from typing import Any, List, Optional

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, observation
from tf_equiv.core.text import listed
from tf_equiv.tf1 import checkpoint_index

v1 = tf.compat.v1

OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'

_PART = re.compile(r'\.(index|meta|data-\d{5}-of-\d{5})$')
_V1_SHARD = re.compile(r'-(\d{5}|\?{5})-of-(\d{5})$')
_MAX_INDEX = 1 << 28  # bytes
_MAX_STATE = 10 << 20  # bytes of the file that names the latest
# First bytes of files that are often given in place of a checkpoint.
_MAGIC = (
  (b'\x89HDF', 'an HDF5 file, as Keras writes it (.h5)'),
  (b'PK\x03\x04', 'a zip archive (.keras, .npz)'),
)
_MAX_NAMES = 5
_AGAIN = 'copy it again from its source, or take an earlier checkpoint.'
_WANTED = (
  'Expected is a name-based TF1 checkpoint, as tf.compat.v1.train.Saver writes '
  "it: its prefix ('.../model.ckpt-1000'), or the folder of its 'checkpoint' "
  'file.'
)


class Checkpoint:
  """An open checkpoint.

  Attributes:
    prefix: what TensorFlow calls its name.
    version: 'V1' or 'V2', the format.
    shards: number of files that hold the values.
    entries: a `VariableSpec` of each variable by name; sorted, all of them
      trainable, since a checkpoint does not tell.
  """

  def __init__(self, prefix: str, version: str, shards: int):
    self.prefix = prefix
    self.version = version
    self.shards = shards
    self._reader: Optional[Any] = None
    shapes, dtypes = self._read(
      'its list of variables',
      lambda reader: (
        reader.get_variable_to_shape_map(),
        reader.get_variable_to_dtype_map(),
      ),
    )
    if OBJECT_GRAPH in shapes:
      raise errors.UsageError(
        f'{prefix!r} is an object-based checkpoint of TF2 (of '
        'tf.train.Checkpoint, save_weights or a SavedModel): it has no names '
        f'of TF1 variables. {_WANTED}'
      )
    if not shapes:
      raise errors.UsageError(f'Checkpoint {prefix!r} holds no variable.')
    self.entries = {
      name: observation.VariableSpec(
        name, tuple(shapes[name]), tf.as_dtype(dtypes[name]).name, True
      )
      for name in sorted(shapes)
    }

  def __str__(self) -> str:
    name = _V1_SHARD.sub('', os.path.basename(self.prefix))
    shards = '1 file' if self.shards == 1 else f'{self.shards} shards'
    return f'{name} (format {self.version}, {shards})'

  def value(self, name: str) -> np.ndarray:
    """Reads the value of a variable, a partitioned one as a whole.

    Args:
      name: its name, one of `entries`.

    Returns:
      The value.

    Raises:
      UsageError: if the files are damaged.
    """
    dtype = tf.as_dtype(self.entries[name].dtype)
    value = self._read(
      f'the value of {name!r}',
      lambda reader: _value(reader, self.prefix, name, dtype),
    )
    # NumPy's own type for text drops zero bytes at its end.
    return np.asarray(value, object if dtype == tf.string else None)

  def _read(self, what: str, read: Any) -> Any:
    try:
      if self._reader is None:
        self._reader = tf.train.load_checkpoint(self.prefix)
      return read(self._reader)
    # The reader raises IndexError, RuntimeError, tf.errors.OpError and more.
    except Exception as error:
      # A second use of a reader that has failed ends the whole process.
      self._reader = None
      reason = str(error).split(': perhaps your file')[0].split('\n')[0]
      raise errors.UsageError(
        'Checkpoint %r is damaged or incomplete%s: %s cannot be read (%s: %s). '
        'If it was copied, %s'
        % (
          self.prefix,
          ', or no checkpoint at all' if 'sstable' in reason else '',
          what,
          type(error).__name__,
          reason,
          _AGAIN,
        )
      ) from error


def _value(reader, prefix, name, dtype):
  try:
    return reader.get_tensor(name)
  except tf.errors.UnimplementedError:
    # Partitioned variables in format V1 are not put together by the reader.
    with tf.Graph().as_default(), v1.Session() as session:
      return session.run(
        tf.raw_ops.Restore(file_pattern=prefix, tensor_name=name, dt=dtype)
      )


def open_checkpoint(path: Any) -> Checkpoint:
  """Opens a checkpoint.

  Args:
    path: its prefix, one of its files, or a folder whose `checkpoint` file
      names it.

  Returns:
    The checkpoint.

  Raises:
    UsageError: if there is none, or it is incomplete, damaged, or of another
      kind.
  """
  prefix = find_prefix(path)
  if tf.io.gfile.exists(prefix + '.index'):
    check_regular(prefix + '.index')
    _check_shapes(prefix)
    return Checkpoint(prefix, 'V2', _count_v2_shards(prefix))
  shard = _V1_SHARD.search(prefix)
  if shard is None:
    _check_v1_file(prefix)
    return Checkpoint(prefix, 'V1', 1)
  return Checkpoint(
    prefix, 'V1', _count_v1_shards(prefix[: shard.start()], shard.group(2))
  )


def _check_shapes(prefix: str) -> None:
  """Raises if the index has an entry that would end the process."""
  path = prefix + '.index'
  if tf.io.gfile.stat(path).length > _MAX_INDEX:
    raise errors.UsageError(
      f'{path!r} is larger than any index of a checkpoint; {_AGAIN}'
    )
  with tf.io.gfile.GFile(path, 'rb') as file:
    problem = next(checkpoint_index.problems(file.read()), '')
  if problem:
    raise errors.UsageError(
      f'Checkpoint {prefix!r} is damaged: in its index, {problem}; {_AGAIN}'
    )


def find_prefix(path: Any) -> str:
  """Returns the prefix of the checkpoint that a path stands for.

  Args:
    path: see `open_checkpoint`.

  Returns:
    The prefix; of format V1 in shards, the pattern that matches all of them.

  Raises:
    UsageError: if there is no such checkpoint.
  """
  try:
    path = os.path.expanduser(os.fspath(path))
  except TypeError:
    pass
  if not isinstance(path, str) or not path:
    raise errors.UsageError(
      'A path of a checkpoint is a string or a path object that is not empty, '
      f'got {path!r}. {_WANTED}'
    )
  if '\0' in path:
    raise errors.UsageError(f'{path!r} is no path of a checkpoint. {_WANTED}')
  if os.path.basename(path) == 'checkpoint':
    path = os.path.dirname(path) or '.'
  if tf.io.gfile.isdir(path):
    return _latest(path)
  found = _existing_prefix(path)
  if found is None:
    raise _missing(path)
  return found


def _existing_prefix(path: str) -> Optional[str]:
  for prefix in (path, _PART.sub('', path)):
    if tf.io.gfile.exists(prefix + '.index'):
      return prefix
  for prefix in (_PART.sub('', path), path):
    shard = _V1_SHARD.search(prefix)
    if shard is not None:
      pattern = f'{prefix[: shard.start()]}-?????-of-{shard.group(2)}'
      return pattern if tf.io.gfile.glob(pattern) else None
    shards = tf.io.gfile.glob(prefix + '-?????-of-?????')
    if shards:
      # The number of shards is in each name.
      return f'{prefix}-?????-of-{shards[0][-5:]}'
    if tf.io.gfile.exists(prefix) and not _PART.search(prefix):
      return prefix
  return None


def _latest(folder: str) -> str:
  """Returns the prefix that the `checkpoint` file of a folder names."""
  if tf.io.gfile.exists(os.path.join(folder, 'saved_model.pb')):
    raise errors.UsageError(
      f'{folder!r} is a SavedModel. If TF1 exported it, its variables are a '
      'checkpoint of their own: give '
      f'{os.path.join(folder, "variables", "variables")!r}.'
    )
  state = _state_of(folder)
  if state is None or not state.model_checkpoint_path:
    raise errors.UsageError(
      f"The folder {folder!r} has no file 'checkpoint' that names the "
      f'latest one.{_listed(prefixes_in(folder))} {_WANTED}'
    )
  named = state.model_checkpoint_path
  if '\0' in named:
    raise _damaged_state(folder)
  # The folder may have been moved as a whole since.
  moved = os.path.join(folder, os.path.basename(named))
  for candidate in (named, moved):
    found = _existing_prefix(candidate)
    if found is not None:
      return found
  raise errors.UsageError(
    f"The file 'checkpoint' in {folder!r} names {named!r}, which does not "
    'exist, neither there nor in the folder '
    f'itself.{_listed(prefixes_in(folder))}'
  )


def _state_of(folder: str) -> Any:
  """Returns what the `checkpoint` file of a folder says, None if there is none.

  TensorFlow only logs that it is damaged.
  """
  path = os.path.join(folder, 'checkpoint')
  if not tf.io.gfile.exists(path) and not os.path.lexists(path):
    return None
  check_regular(path)
  try:
    state = None
    if tf.io.gfile.stat(path).length <= _MAX_STATE:
      state = tf.train.get_checkpoint_state(folder)
  except Exception as error:  # UnicodeDecodeError, tf.errors.OpError and more.
    raise _damaged_state(folder) from error
  if state is None:
    raise _damaged_state(folder)
  return state


def _damaged_state(folder: str) -> errors.UsageError:
  return errors.UsageError(
    f"The file 'checkpoint' in {folder!r} is damaged: it does not name the "
    'latest checkpoint. Give the prefix of one.'
    f'{_listed(prefixes_in(folder))} {_WANTED}'
  )


def check_regular(
  path: str, what: str = 'a file of a checkpoint', advice: str = _WANTED
) -> None:
  """Raises if a file is a folder, a pipe, a device, or a link to itself.

  Reading them would fail with an error of TensorFlow, or never end.

  Args:
    path: the file.
    what: what it should be.
    advice: what is expected, in a sentence.

  Raises:
    UsageError: if it is no regular file.
  """
  if '://' in path:
    return
  try:
    mode = os.stat(path).st_mode
  except OSError as error:
    raise errors.UsageError(
      f'{path!r} cannot be read ({error.strerror}). {advice}'
    ) from error
  if not stat.S_ISREG(mode):
    kind = 'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'
    raise errors.UsageError(
      f'{path!r} is {kind}, where {what} should be. {advice}'
    )


def prefixes_in(folder: str) -> List[str]:
  """Returns the prefixes of the checkpoints in a folder, sorted."""
  try:
    names = tf.io.gfile.listdir(folder)
  except tf.errors.OpError:
    return []
  found = set()
  for name in names:
    prefix = _V1_SHARD.sub('', _PART.sub('', name))
    if prefix != name:
      found.add(prefix)
  return sorted(found)


def _missing(path: str) -> errors.UsageError:
  folder, name = os.path.split(path)
  folder = folder or '.'
  if not tf.io.gfile.isdir(folder):
    return errors.UsageError(
      f'There is no checkpoint {path!r}: its folder does not exist. {_WANTED}'
    )
  prefixes = prefixes_in(folder)
  base = _PART.sub('', name)
  if base in prefixes:
    return errors.UsageError(
      f'Checkpoint {os.path.join(folder, base)!r} is incomplete: its file '
      f'{base + ".index"!r} is missing; {_AGAIN}'
    )
  close = sorted(difflib.get_close_matches(name, prefixes, n=5, cutoff=0.5))
  return errors.UsageError(
    f'There is no checkpoint {path!r}.{_listed(close or prefixes)} {_WANTED}'
  )


def _listed(prefixes: List[str]) -> str:
  if not prefixes:
    return ' There is no other checkpoint in the folder.'
  shown = ', '.join(repr(prefix) for prefix in prefixes[-5:])
  return f' The folder has {shown}.'


def _count_v2_shards(prefix: str) -> int:
  """Counts the data files; raises if one is missing."""
  names = tf.io.gfile.glob(prefix + '.data-?????-of-?????')
  totals = sorted({int(name[-5:]) for name in names})
  if not totals:
    raise errors.UsageError(
      'Checkpoint %r is incomplete: there is an index, but no file %r; %s'
      % (prefix, os.path.basename(prefix) + '.data-00000-of-00001', _AGAIN)
    )
  absent = []
  for total in totals:
    wanted = [f'{prefix}.data-{i:05d}-of-{total:05d}' for i in range(total)]
    absent = sorted(set(wanted) - set(names))
    if not absent:
      for name in wanted:
        check_regular(name)
      return total
  raise _incomplete(prefix, absent)


def _count_v1_shards(base: str, total: str) -> int:
  wanted = [f'{base}-{i:05d}-of-{total}' for i in range(int(total))]
  absent = [name for name in wanted if not tf.io.gfile.exists(name)]
  if absent:
    raise _incomplete(base, absent)
  for name in wanted:
    _check_v1_file(name)
  return len(wanted)


def _incomplete(prefix: str, absent: List[str]) -> errors.UsageError:
  return errors.UsageError(
    'Checkpoint %r is incomplete: %d of its files are missing (%s); %s'
    % (
      prefix,
      len(absent),
      listed(map(os.path.basename, absent), _MAX_NAMES),
      _AGAIN,
    )
  )


def _check_v1_file(path: str) -> None:
  """Raises if a file is known to be something else."""
  check_regular(path)
  with tf.io.gfile.GFile(path, 'rb') as file:
    start = file.read(4)
  for magic, kind in _MAGIC:
    if start == magic:
      raise errors.UsageError(f'{path!r} is {kind}. {_WANTED}')
  if os.path.basename(path) == 'saved_model.pb':
    raise errors.UsageError(f'{path!r} is the graph of a SavedModel. {_WANTED}')


def check_finite(checkpoint: Checkpoint, name: str, value: np.ndarray) -> None:
  """Raises `UsageError` if a value holds NaN or infinity."""
  infinite = 0
  if value.dtype.kind in 'fcV':
    infinite = int(np.sum(~np.isfinite(value)))
  if infinite:
    raise errors.UsageError(
      f'Checkpoint {checkpoint.prefix!r} holds {infinite} values of {name!r} '
      'that are NaN or infinite; with them every comparison would be without '
      'meaning. Take an earlier checkpoint.'
    )
