"""Writes files under names of their own, whole or not at all."""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping

# Leaves room for a counter and an ending where names may have 255 bytes.
_LONGEST = 150
_MAX_TRIES = 10000


def safe_name(text: str) -> str:
  """Returns a file name, without an ending, that says what the text says.

  Only letters and digits of ASCII, '.', '-' and '_' remain. What is too long
  is cut, and ends in a digest of the whole.
  """
  name = re.sub(r'[^A-Za-z0-9._-]+', '_', text).strip('._-') or 'report'
  if len(name) <= _LONGEST:
    return name
  digest = hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:10]
  return f'{name[: _LONGEST - len(digest) - 1]}-{digest}'


def claim(directory: str, name: str, ending: str) -> str:
  """Creates an empty file whose name no other process has.

  Args:
    directory: where to create it; made if it does not exist.
    name: its name, to which a counter is added where that is taken.
    ending: the ending of its name.

  Returns:
    Its path without the ending.

  Raises:
    OSError: if it cannot be created.
  """
  os.makedirs(directory, exist_ok=True)
  for i in range(1, _MAX_TRIES):
    stem = os.path.join(directory, name if i == 1 else f'{name}-{i}')
    try:
      # Fails if it exists, in one step: shards may run at the same time.
      os.close(os.open(stem + ending, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
      continue
    return stem
  raise FileExistsError(
    f'{directory} has {_MAX_TRIES} files called {name}*{ending}'
  )


def write(path: str, content: bytes) -> None:
  """Writes a file, or replaces it, in one step.

  Args:
    path: path of the file, whose name is the writer's own.
    content: what to write.

  Raises:
    OSError: if it cannot be written; then nothing is left behind.
  """
  part = path + '.part'
  try:
    with open(part, 'wb') as file:
      file.write(content)
    os.replace(part, path)
  except BaseException:
    remove(part)
    raise


def replace(path: str, content: bytes) -> None:
  """Writes a file that several processes may replace at the same time.

  Args:
    path: path of the file.
    content: what to write.

  Raises:
    OSError: if it cannot be written; then nothing is left behind.
  """
  part = f'{path}-{secrets.token_hex(8)}'
  try:
    write(part, content)
    os.replace(part, path)
  except BaseException:
    remove(part)
    raise


def write_together(
  directory: str, name: str, contents: Mapping[str, bytes]
) -> str:
  """Writes files that belong together, all or none.

  Args:
    directory: where to; made if it does not exist.
    name: what their names begin with.
    contents: what to write, by the ending of the name.

  Returns:
    The path of the files without the ending.

  Raises:
    OSError: if one cannot be written; then none is left behind.
  """
  stem = claim(directory, name, next(iter(contents)))
  try:
    for ending, content in contents.items():
      write(stem + ending, content)
  except BaseException:
    for ending in contents:
      remove(stem + ending)
    raise
  return stem


def remove(path: str) -> None:
  """Removes a file if it can be."""
  try:
    os.remove(path)
  except OSError:
    pass
