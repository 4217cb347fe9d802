"""Imports what a user names as `path/to/file.py:name` or `module:name`."""

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any

from tf_equiv.core import errors
from tf_equiv.core import text as text_lib

_MAX_NAMES = 5
_EXPECTED = 'path/to/file.py:name or module:name'


@dataclasses.dataclass(frozen=True)
class Symbol:
  """What a user named.

  Attributes:
    text: how it was named.
    module: the module that has it.
    name: its name there; with a dot for a method of a class.
    value: the value.
  """

  text: str
  module: ModuleType
  name: str
  value: Any

  @property
  def path(self) -> str:
    """The file of the module, '' if it has none."""
    return os.path.abspath(getattr(self.module, '__file__', None) or '')

  @property
  def code(self) -> str:
    """The name as code: 'legacy.net'."""
    return f'{self.module.__name__.rpartition(".")[2]}.{self.name}'


def symbol(text: str, tf1_names: bool = False) -> Symbol:
  """Imports what a text names.

  Args:
    text: 'path/to/file.py:name' or 'module:name'; the name may be that of a
      method, 'Net.forward'.
    tf1_names: whether `import tensorflow` there means that of TF1.

  Raises:
    UsageError: if there is no such module or name, or the module cannot be
      imported.
  """
  where, _, name = text.rpartition(':')
  if not where or '/' in name or os.sep in name or not name:
    example = text if text.endswith('.py') else 'legacy.py'
    raise errors.UsageError(
      f'{text!r} names no function or class; expected {_EXPECTED}, as in '
      f'{example}:net.'
    )
  module = imported(where, tf1_names)
  value: Any = module
  for part in name.split('.'):
    if not hasattr(value, part):
      raise errors.UsageError(_missing(where, name, value))
    value = getattr(value, part)
  return Symbol(text, module, name, value)


def _missing(where: str, name: str, owner: Any) -> str:
  """Says that there is no such name, and which there are."""
  last = name.rpartition('.')[2]
  own = getattr(owner, '__name__', None)
  defined = [
    each
    for each, value in vars(owner).items()
    if callable(value)
    and not each.startswith('__')
    and (inspect.isclass(owner) or getattr(value, '__module__', own) == own)
  ]
  close = difflib.get_close_matches(last, vars(owner), _MAX_NAMES, 0.5)
  close += [
    each
    for each in defined
    if each not in close and last.lower() in each.lower()
  ]
  if close:
    known = f'did you mean {text_lib.listed(close, _MAX_NAMES)}?'
  elif defined:
    known = f'it defines {text_lib.listed(defined, _MAX_NAMES)}.'
  else:
    known = 'it defines no function and no class.'
  return f'{where} has no {name!r}; {known}'


def path_of(where: str) -> str:
  """Returns the path of the file that a text names, '' if that is not known.

  Args:
    where: a path, or the name of a module.
  """
  if where.endswith('.py'):
    return os.path.abspath(where) if os.path.isfile(where) else ''
  try:
    spec = importlib.util.find_spec(where)
  except (ImportError, ValueError, AttributeError):
    return ''
  return (spec.origin or '') if spec is not None else ''


def imported(where: str, tf1_names: bool = False) -> ModuleType:
  """Imports a module by its name or by the path of its file.

  Args:
    where: the name or path.
    tf1_names: whether `import tensorflow` there means that of TF1.

  Raises:
    UsageError: if there is none, or it fails.
  """
  from tf_equiv import compat
  from tf_equiv.tf1 import source_lines, user_code

  context = compat.tf1_imports() if tf1_names else contextlib.nullcontext()
  try:
    with context, user_code.running('TF1' if tf1_names else 'TF2', where):
      return _module(where)
  except SystemExit as end:
    raise errors.UsageError(
      f'{where} called sys.exit({end.code!r}) while it was imported, so that '
      'nothing was run. What runs the program belongs below `if __name__ '
      "== '__main__':`."
    ) from end
  except errors.UsageError:
    raise
  except Exception as error:
    cause: BaseException = error
    advice = ''
    if isinstance(error, errors.EquivalenceError):
      cause, advice = error.__cause__ or error, str(error).split('\n')[-1]
    line = source_lines.user_line_of_traceback(cause.__traceback__)
    place = f'\n  at {line}' if line.filename else ''
    if isinstance(cause, SyntaxError) and cause.filename:
      place = f'\n  at {os.path.basename(cause.filename)}:{cause.lineno}'
    raise errors.UsageError(
      f'{where} could not be imported: {text_lib.of_error(cause)}{place}'
      + (f'\n{advice}' if advice else '')
    ) from error


def _module(where: str) -> ModuleType:
  parts = where.split('.')
  if not where.endswith('.py') and not all(map(str.isidentifier, parts)):
    raise errors.UsageError(
      f'{where!r} is no name of a module and no path of a file; expected '
      f'{_EXPECTED}.'
    )
  if not where.endswith('.py'):
    if os.getcwd() not in sys.path and '' not in sys.path:
      sys.path.insert(0, os.getcwd())  # As `python -m` does.
    try:
      return importlib.import_module(where)
    except ModuleNotFoundError as error:
      if error.name is None or not where.startswith(error.name):
        raise
      raise errors.UsageError(
        f'There is no module {where!r} ({error}); give a module that can be '
        'imported from here, or the path of a file.'
      ) from error
  if not os.path.isfile(where):
    raise errors.UsageError(f'There is no file {where!r}.{_similar(where)}')
  path = os.path.abspath(where)
  folder, name = place_of(path)
  if folder not in sys.path:
    sys.path.insert(0, folder)
  known = sys.modules.get(name)
  if os.path.abspath(getattr(known, '__file__', None) or '') == path:
    return known
  if known is None:
    module = importlib.import_module(name)
    if os.path.abspath(getattr(module, '__file__', None) or '') == path:
      return module
  # Another module has the name; as `python path/to/file.py` does.
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)
  return module


def place_of(path: str) -> tuple[str, str]:
  """Returns (folder to import a file from, name of its module)."""
  folder, name = os.path.split(os.path.splitext(path)[0])
  parts = [name]
  while os.path.isfile(os.path.join(folder, '__init__.py')):
    folder, name = os.path.split(folder)
    parts.insert(0, name)
  if parts[-1] == '__init__':
    parts.pop()
  return folder, '.'.join(parts)


def _similar(where: str) -> str:
  folder, name = os.path.split(where)
  try:
    names = [n for n in os.listdir(folder or '.') if n.endswith('.py')]
  except OSError:
    return f' There is no folder {folder!r} either.'
  close = difflib.get_close_matches(name, names, _MAX_NAMES, 0.5)
  close = [os.path.join(folder, each) for each in close]
  return f' Did you mean {text_lib.listed(close, 3)}?' if close else ''
