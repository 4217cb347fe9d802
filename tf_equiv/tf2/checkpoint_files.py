"""Writes the files of a TF2 checkpoint, verified, and whole or not at all."""

import os
from typing import Any

import tensorflow as tf

from tf_equiv.core import errors
from tf_equiv.core.text import listed
from tf_equiv.tf2 import checkpoint, temporary_folders
from tf_equiv.tf2 import model as model_lib

_MAX_NAMES = 10
# What the name of a file of the old checkpoint begins with where it is kept.
_OLD = 'old-'


def check_output(output: Any, source: str, overwrite: bool) -> str:
  """Checks where a checkpoint is to be written, before any work.

  Args:
    output: prefix of the checkpoint.
    source: prefix of the checkpoint that is converted.
    overwrite: whether an existing checkpoint may be replaced.

  Returns:
    The prefix as a string.

  Raises:
    UsageError: if it is no prefix in an existing folder, or exists.
  """
  try:
    path = os.path.expanduser(os.fspath(output))
  except TypeError:
    path = output
  if not isinstance(path, str) or not path or '\0' in path:
    raise errors.UsageError(
      'output must be the prefix of the checkpoint to write, such as '
      f"'folder/model'; got {output!r}."
    )
  folder = os.path.dirname(path) or '.'
  if not tf.io.gfile.isdir(folder):
    raise errors.UsageError(f'There is no folder {folder!r} for the output.')
  if tf.io.gfile.isdir(path) or not os.path.basename(path):
    raise errors.UsageError(
      f'The output {path!r} is a folder; give the prefix of a checkpoint in '
      f'it, such as {os.path.join(path, "model")!r}.'
    )
  if os.path.realpath(path) == os.path.realpath(source):
    raise errors.UsageError(
      f'The output {path!r} is the checkpoint of TF1 itself, which would be '
      'lost; give another name.'
    )
  if _files_of(path) and not overwrite:
    raise errors.UsageError(
      f'The checkpoint {path!r} exists. Pass overwrite=True to replace it.'
    )
  return path


def write(
  output: str, model: Any, optimizer: Any, variables: list[Any]
) -> None:
  """Writes a checkpoint beside its place, checks it, and moves it there.

  Args:
    output: its prefix.
    model: the model.
    optimizer: the optimizer, or None.
    variables: all variables of both. They are changed and read back from what
      was written, so that they hold what they held before.

  Raises:
    UsageError: if one of them does not come back bit by bit.
  """
  try:
    _put_back(output)
    with temporary_folders.beside(output) as temporary:
      path = os.path.join(temporary, os.path.basename(output))
      _write_checked(path, model, optimizer, variables)
      _move(path, output, temporary)
  except (OSError, tf.errors.OpError) as error:
    raise errors.UsageError(
      f'The checkpoint {output!r} cannot be written ({_first_line(error)}); '
      'what was there before is as it was. Make room, or give another folder.'
    ) from error


def _put_back(output: str) -> None:
  """Removes what killed writers left behind.

  One that was killed while it replaced a checkpoint has moved the old one into
  its folder. The index is the first to go and the last to come: without one at
  the place of the checkpoint, the old files are put back.
  """
  for folder in temporary_folders.abandoned(output):
    if os.path.exists(output + '.index'):
      continue
    for name in os.listdir(folder):
      if name.startswith(_OLD):
        old = os.path.join(os.path.dirname(output), name[len(_OLD) :])
        os.replace(os.path.join(folder, name), old)


def _write_checked(
  path: str, model: Any, optimizer: Any, variables: list[Any]
) -> None:
  """Writes a checkpoint and reads it back; see `write`."""
  expected = [model_lib.value_of(variable) for variable in variables]
  checkpoint.write(path, model, optimizer)
  for variable in variables:
    checkpoint.scramble(variable)
  problem = checkpoint.restore(path, model, optimizer)
  lost = sorted(
    model_lib.name_of(variable)
    for variable, value in zip(variables, expected, strict=True)
    if not checkpoint.same_bits(model_lib.value_of(variable), value)
  )
  if lost or problem:
    raise errors.UsageError(
      '%d variable(s) did not come back from the checkpoint%s%s. The model '
      'and the optimizer must keep them in attributes; nothing was written.'
      % (
        len(lost),
        ': ' * bool(lost) + listed(lost, _MAX_NAMES),
        f' ({problem})' if problem else '',
      )
    )


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines()
  return errors.cut(lines[0], 300) if lines else type(error).__name__


def _files_of(prefix: str) -> list[str]:
  """Returns the files of a checkpoint, those with data first."""
  folder, name = os.path.split(prefix)
  return sorted(
    os.path.join(folder, other)
    for other in tf.io.gfile.listdir(folder or '.')
    if other == name + '.index' or other.startswith(name + '.data-')
  )


def _move(path: str, output: str, temporary: str) -> None:
  """Moves a checkpoint; after an error what was there before is back.

  The index comes last, so that there is never one without its data.
  """
  replaced, moved = [], []
  try:
    for old in reversed(_files_of(output)):
      backup = os.path.join(temporary, _OLD + os.path.basename(old))
      tf.io.gfile.rename(old, backup)
      replaced.append((backup, old))
    for part in _files_of(path):
      new = output + part[len(path) :]
      tf.io.gfile.rename(part, new)
      moved.append(new)
  except BaseException:
    for new in moved:
      tf.io.gfile.remove(new)
    for backup, old in reversed(replaced):
      tf.io.gfile.rename(backup, old)
    raise
