"""Reads the container of a golden, and checks what it reads."""

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tf_equiv.golden import members as members_lib

FORMAT = 'tf_equiv golden 1'
INDEX = 'index.json'

DamagedError = members_lib.DamagedError


def read_index(path: str) -> dict[str, Any]:
  """Returns the index of a golden.

  Args:
    path: the file.

  Returns:
    The index, with 'format', 'manifests' and 'entries'.

  Raises:
    DamagedError: if it is missing, damaged, or no golden of this format.
  """
  with _opening(path) as members:
    return _index_of(path, members)


def load(
  path: str,
  digest: str,
  check_encoded: Callable[[Any, int], None] | None = None,
) -> Any:
  """Reads an object, with the arrays that it holds, and checks all digests.

  Args:
    path: the file.
    digest: digest of the object, as `Writer.add` returned it.
    check_encoded: gets what the object was encoded as, and the number of its
      arrays, before it is decoded.

  Returns:
    What was added.

  Raises:
    DamagedError: if the file or one of its members is damaged.
  """
  # Not above: it imports TensorFlow, which an index does not need.
  from tf_equiv.tf1 import serialization

  with _opening(path) as members:
    name = object_name(digest)
    data = _object_of(path, members, name)
    if check_encoded is not None:
      check_encoded(data['value'], len(data['arrays']))
    arrays = members_lib.Arrays(path, members, data['arrays'])
    try:
      return serialization.decode(data['value'], arrays)
    except DamagedError:
      raise
    except Exception as error:  # It may hold anything.
      raise DamagedError(
        f'{path!r} is damaged in its member {name!r}, or holds what this '
        'version of tf_equiv does not know '
        f'({members_lib.in_short(error)}).'
      ) from error


def check(path: str) -> int:
  """Reads all members and checks their digests.

  Args:
    path: the file.

  Returns:
    The number of members that were checked.

  Raises:
    DamagedError: if one is damaged or missing.
  """
  with _opening(path) as members:
    index = _index_of(path, members)
    names = needed(members, index)
    for name in names:
      members_lib.read_checked(path, members, name)
    return len(names)


def sizes(path: str) -> dict[str, int]:
  """Returns the bytes that each member takes in the file, by its name."""
  with _opening(path) as members:
    return {info.filename: info.compress_size for info in members.infolist()}


def parts_of(path: str, entry: Mapping[str, Any]) -> list[str]:
  """Returns the names of the members that an entry of the index needs.

  Args:
    path: the file.
    entry: the entry.

  Returns:
    Names of objects and arrays, each once.

  Raises:
    DamagedError: if an object is missing or damaged.
  """
  with _opening(path) as members:
    return _parts_of(members, entry)


def _parts_of(members, entry) -> list[str]:
  found = {}
  for digest in entry['objects'].values():
    name = object_name(digest)
    data = _object_of(members.filename, members, name)
    arrays = [f'arrays/{each}.npy' for each in data['arrays']]
    found.update(dict.fromkeys([name, *arrays]))
  return list(found)


def object_name(digest: str) -> str:
  """Returns the name of the member that holds an object."""
  return f'objects/{digest}.json'


def needed(members: zipfile.ZipFile, index: dict[str, Any]) -> list[str]:
  """Returns the names of the members that the entries of an index need."""
  found = {}
  for entry in index['entries']:
    found.update(dict.fromkeys(_parts_of(members, entry)))
  return list(found)


@contextlib.contextmanager
def _opening(path: str) -> Iterator[zipfile.ZipFile]:
  if not os.path.isfile(path):
    raise DamagedError(
      f'{path!r} is no regular file.'
      if os.path.lexists(path)
      else f'There is no file {path!r}.'
    )
  try:
    members = zipfile.ZipFile(path)
  except Exception as error:  # struct.error, UnicodeDecodeError and more.
    raise DamagedError(_no_archive(path, error)) from error
  with members:
    yield members


def _no_archive(path: str, error: Exception) -> str:
  try:
    with open(path, 'rb') as stream:
      start = stream.read(64)
  except OSError:
    start = b''
  if start.startswith(b'version https://git-lfs'):
    return (
      f'{path!r} is the pointer of Git LFS, not the golden itself: run `git '
      'lfs pull`.'
    )
  if start.startswith(b'PK'):
    return (
      f'{path!r} is damaged: it ends too early, or its table of contents is '
      f'broken ({members_lib.in_short(error)}).'
    )
  return f'{path!r} is no golden of tf_equiv: it is no ZIP file.'


def _index_of(path: str, members: zipfile.ZipFile) -> dict[str, Any]:
  if INDEX not in members.namelist():
    raise DamagedError(
      f'{path!r} is no golden of tf_equiv: it has no member {INDEX!r}.'
    )
  data = members_lib.read(path, members, INDEX)
  index = members_lib.parse(path, INDEX, data)
  found = index.get('format') if isinstance(index, dict) else None
  if found != FORMAT:
    raise DamagedError(
      f'{path!r} has the format {members_lib.cut(ascii(found))}; this version '
      f'of tf_equiv reads {FORMAT!r}.'
    )
  entries = index.get('entries')
  if not isinstance(index.get('manifests'), dict) or not (
    isinstance(entries, list) and all(_has_objects(each) for each in entries)
  ):
    raise DamagedError(
      f'{path!r} is damaged in its member {INDEX!r}: it lacks manifests, or '
      'entries with objects.'
    )
  return index


def _has_objects(entry: Any) -> bool:
  objects = entry.get('objects') if isinstance(entry, dict) else None
  return isinstance(objects, dict) and all(
    isinstance(digest, str) for digest in objects.values()
  )


def _object_of(path: str, members: zipfile.ZipFile, name: str) -> dict:
  """Returns an object as it is stored: 'value', and 'arrays', digests."""
  data = members_lib.read_checked(path, members, name)
  found = members_lib.parse(path, name, data)
  arrays = found.get('arrays') if isinstance(found, dict) else None
  if (
    not isinstance(arrays, list)
    or 'value' not in found
    or not all(isinstance(digest, str) for digest in arrays)
  ):
    raise DamagedError(
      f'{path!r} is damaged in its member {name!r}: it has no value, or no '
      'list of arrays.'
    )
  return found
