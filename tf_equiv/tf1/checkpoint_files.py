"""Finds the files of name-based checkpoints, and tells what is missing.

Format V2 is a file `<prefix>.index` with `<prefix>.data-00000-of-00001` and so
on; format V1 is a single file, or `<prefix>-00000-of-00002` and so on.
"""

import difflib
import os
import re
import stat
from typing import Any, List, Optional

import tensorflow as tf

from tf_equiv.core import errors
from tf_equiv.core.text import listed

_PART = re.compile(r'\.(index|meta|data-\d{5}-of-\d{5})$')
V1_SHARD = re.compile(r'-(\d{5}|\?{5})-of-(\d{5})$')
_MAX_STATE = 10 << 20  # bytes of the file that names the latest
# First bytes of files that are often given in place of a checkpoint.
_MAGIC = (
  (b'\x89HDF', 'an HDF5 file, as Keras writes it (.h5)'),
  (b'PK\x03\x04', 'a zip archive (.keras, .npz)'),
)
_MAX_NAMES = 5
AGAIN = 'copy it again from its source, or take an earlier checkpoint.'
WANTED = (
  'Expected is a name-based TF1 checkpoint, as tf.compat.v1.train.Saver writes '
  "it: its prefix ('.../model.ckpt-1000'), or the folder of its 'checkpoint' "
  'file.'
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
      f'got {path!r}. {WANTED}'
    )
  if '\0' in path:
    raise errors.UsageError(f'{path!r} is no path of a checkpoint. {WANTED}')
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
    shard = V1_SHARD.search(prefix)
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
      f'latest one.{_listed(prefixes_in(folder))} {WANTED}'
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
    f'{_listed(prefixes_in(folder))} {WANTED}'
  )


def check_regular(
  path: str, what: str = 'a file of a checkpoint', advice: str = WANTED
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
    prefix = V1_SHARD.sub('', _PART.sub('', name))
    if prefix != name:
      found.add(prefix)
  return sorted(found)


def _missing(path: str) -> errors.UsageError:
  folder, name = os.path.split(path)
  folder = folder or '.'
  if not tf.io.gfile.isdir(folder):
    return errors.UsageError(
      f'There is no checkpoint {path!r}: its folder does not exist. {WANTED}'
    )
  prefixes = prefixes_in(folder)
  base = _PART.sub('', name)
  if base in prefixes:
    return errors.UsageError(
      f'Checkpoint {os.path.join(folder, base)!r} is incomplete: its file '
      f'{base + ".index"!r} is missing; {AGAIN}'
    )
  close = sorted(difflib.get_close_matches(name, prefixes, n=5, cutoff=0.5))
  return errors.UsageError(
    f'There is no checkpoint {path!r}.{_listed(close or prefixes)} {WANTED}'
  )


def _listed(prefixes: List[str]) -> str:
  if not prefixes:
    return ' There is no other checkpoint in the folder.'
  shown = ', '.join(repr(prefix) for prefix in prefixes[-5:])
  return f' The folder has {shown}.'


def count_v2_shards(prefix: str) -> int:
  """Counts the data files of format V2; raises if one is missing."""
  names = tf.io.gfile.glob(prefix + '.data-?????-of-?????')
  totals = sorted({int(name[-5:]) for name in names})
  if not totals:
    raise errors.UsageError(
      'Checkpoint %r is incomplete: there is an index, but no file %r; %s'
      % (prefix, os.path.basename(prefix) + '.data-00000-of-00001', AGAIN)
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


def count_v1_shards(base: str, total: str) -> int:
  """Counts the files of format V1; raises if one is missing.

  Args:
    base: the prefix without their numbers.
    total: how many there are, as their names say.
  """
  wanted = [f'{base}-{i:05d}-of-{total}' for i in range(int(total))]
  absent = [name for name in wanted if not tf.io.gfile.exists(name)]
  if absent:
    raise _incomplete(base, absent)
  for name in wanted:
    check_v1_file(name)
  return len(wanted)


def _incomplete(prefix: str, absent: List[str]) -> errors.UsageError:
  return errors.UsageError(
    'Checkpoint %r is incomplete: %d of its files are missing (%s); %s'
    % (
      prefix,
      len(absent),
      listed(map(os.path.basename, absent), _MAX_NAMES),
      AGAIN,
    )
  )


def check_v1_file(path: str) -> None:
  """Raises if a file is known to be something else."""
  check_regular(path)
  with tf.io.gfile.GFile(path, 'rb') as file:
    start = file.read(4)
  for magic, kind in _MAGIC:
    if start == magic:
      raise errors.UsageError(f'{path!r} is {kind}. {WANTED}')
  if os.path.basename(path) == 'saved_model.pb':
    raise errors.UsageError(f'{path!r} is the graph of a SavedModel. {WANTED}')
