"""Reads name-based checkpoints, as `tf.compat.v1.train.Saver` writes them."""

import os
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, observation
from tf_equiv.tf1 import checkpoint_files, checkpoint_index
from tf_equiv.tf1.checkpoint_files import AGAIN, V1_SHARD, WANTED

v1 = tf.compat.v1

OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'

_MAX_INDEX = 1 << 28  # bytes


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
        f'of TF1 variables. {WANTED}'
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
    name = V1_SHARD.sub('', os.path.basename(self.prefix))
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
          AGAIN,
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
  prefix = checkpoint_files.find_prefix(path)
  if tf.io.gfile.exists(prefix + '.index'):
    checkpoint_files.check_regular(prefix + '.index')
    _check_shapes(prefix)
    return Checkpoint(prefix, 'V2', checkpoint_files.count_v2_shards(prefix))
  shard = V1_SHARD.search(prefix)
  if shard is None:
    checkpoint_files.check_v1_file(prefix)
    return Checkpoint(prefix, 'V1', 1)
  return Checkpoint(
    prefix,
    'V1',
    checkpoint_files.count_v1_shards(prefix[: shard.start()], shard.group(2)),
  )


def _check_shapes(prefix: str) -> None:
  """Raises if the index has an entry that would end the process."""
  path = prefix + '.index'
  if tf.io.gfile.stat(path).length > _MAX_INDEX:
    raise errors.UsageError(
      f'{path!r} is larger than any index of a checkpoint; {AGAIN}'
    )
  with tf.io.gfile.GFile(path, 'rb') as file:
    problem = next(checkpoint_index.problems(file.read()), '')
  if problem:
    raise errors.UsageError(
      f'Checkpoint {prefix!r} is damaged: in its index, {problem}; {AGAIN}'
    )


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
