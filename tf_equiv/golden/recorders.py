"""The test class that a recording belongs to, and where its files are."""

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from tf_equiv.core import errors
from tf_equiv.tf1 import source_lines

# `bazel run` sets the first, `bazel test` the others.
_WORKSPACE = 'BUILD_WORKSPACE_DIRECTORY'
_OUTPUTS = 'TEST_UNDECLARED_OUTPUTS_DIR'
_RUNFILES = ('TEST_SRCDIR', 'RUNFILES_DIR')
_IN_RUNFILES = re.compile(r'^.*?\.runfiles[/\\][^/\\]+(?:[/\\](.*))?$')


@dataclasses.dataclass(frozen=True)
class Owner:
  """Whose TF1 side is recorded.

  Attributes:
    name: name of the test class with that of its file, 'lenet_test:LenetTest';
      the same whoever runs the tests. '' where it is not known.
    target: what `python -m tf_equiv record` is given, '' where not known.
    folders: folders of the files of the class and of its bases, in the order
      in which Python looks for attributes.
    cls: the class, None where the program is not that of a test case.
  """

  name: str = ''
  target: str = ''
  folders: tuple[str, ...] = ()
  cls: type | None = None


def owner_of(build: Callable[..., Any]) -> Owner:
  """Returns the owner of a program, given its `build`."""
  case = getattr(build, '__self__', None)
  return Owner() if case is None else owner_of_class(type(case))


def owner_of_class(cls: type) -> Owner:
  """Returns a test class as an owner."""
  folders = []
  for each in cls.__mro__:
    filename = _file_of(each)
    if filename and not source_lines.is_library_file(filename):
      folder = os.path.dirname(filename)
      if folder not in folders:
        folders.append(folder)
  filename = _file_of(cls)
  if not filename:
    return Owner(cls.__qualname__, '', tuple(folders), cls)
  stem = os.path.splitext(os.path.basename(filename))[0]
  local = '<locals>' in cls.__qualname__
  return Owner(
    f'{stem}:{cls.__qualname__}',
    '' if local else f'{_short(filename)}:{cls.__qualname__}',
    tuple(folders),
    cls,
  )


def _file_of(cls: type) -> str:
  module = sys.modules.get(cls.__module__)
  filename = getattr(module, '__file__', None)
  return os.path.abspath(filename) if filename else ''


def _short(filename: str) -> str:
  relative = os.path.relpath(filename)
  return filename if relative.startswith(os.pardir) else relative


def find(path: str, owner: Owner) -> str | None:
  """Returns where a golden is, or None where it is not.

  A relative path is looked for in the folder of the test class's file, in those
  of its base classes, in the current folder, and among Bazel's runfiles.
  """
  return next((p for p in candidates(path, owner) if os.path.isfile(p)), None)


def candidates(path: str, owner: Owner) -> list[str]:
  """Returns the places at which a golden is looked for, in order."""
  path = os.path.expanduser(path)
  if os.path.isabs(path):
    return [path]
  folders = [*owner.folders, os.getcwd()]
  for variable in _RUNFILES:
    if os.environ.get(variable):
      names = [os.environ.get('TEST_WORKSPACE', ''), '_main']
      folders += [os.path.join(os.environ[variable], n) for n in names if n]
  found = [os.path.normpath(os.path.join(f, path)) for f in folders]
  return list(dict.fromkeys(found))


def target(path: str, owner: Owner) -> str:
  """Returns where a golden is to be written.

  That is where it is, else in the folder of the test class's file. Bazel's
  runfiles are not written to: with `bazel run` the file goes to the same place
  in the workspace, with `bazel test` among the test's outputs.

  Args:
    path: the path that was given to `Golden`.
    owner: whose TF1 side is recorded.

  Returns:
    An absolute path.

  Raises:
    UsageError: if the file is among runfiles and there is no such place.
  """
  chosen = find(path, owner) or candidates(path, owner)[0]
  inside = _IN_RUNFILES.match(os.path.abspath(chosen))
  if not inside:
    return os.path.abspath(chosen)
  for variable in (_WORKSPACE, _OUTPUTS):
    if os.environ.get(variable):
      return os.path.join(os.environ[variable], inside.group(1) or '')
  raise errors.UsageError(
    f'The golden {path!r} lies among the runfiles of Bazel ({chosen!r}), '
    'which are not written to. Record it with `bazel run <test> -- '
    '--update_goldens`, which writes into the workspace.'
  )


def how_to_record(path: str, owner: Owner) -> str:
  """Returns how to record a golden anew."""
  command = 'python -m tf_equiv record %s' % (
    owner.target or 'path/to/test.py:TestClass'
  )
  return (
    f'To record it where the TF1 code runs: `{command}`, or run the test with '
    '--update_goldens (pytest: TF_EQUIV_UPDATE_GOLDENS=1).'
  )


def sources(owner: Owner, names: tuple[str, ...]) -> dict[str, str]:
  """Returns the source of those template methods that a class defines.

  Args:
    owner: the class.
    names: names of template methods.

  Returns:
    Source text by name of the method.
  """
  found = {}
  for name in names:
    function = inspect.unwrap(getattr(owner.cls, name, None) or _nothing)
    try:
      filename = inspect.getsourcefile(function)
      text = inspect.getsource(function)
    except (OSError, TypeError):  # A partial, or made in an interpreter.
      continue
    if filename and not source_lines.is_library_file(filename):
      found[name] = inspect.cleandoc(text)
  return found


def _nothing():
  """Stands for a method that there is not; it is library code."""
