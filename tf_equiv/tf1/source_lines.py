"""Finds the line of the user's code that led to a call."""

import functools
import os
import sys
import types
from typing import (
  Any,
  Callable,
  Iterable,
  Optional,
  Sequence,
  Set,
  Tuple,
  TypeVar,
)

from tf_equiv import compat
from tf_equiv.core.source_line import SourceLine

# Files below these folders belong to a library and not to a model. tf_slim's
# ready-made networks (`tf_slim/nets`) are model code and count as the user's.
_LIBRARY_PARTS = tuple(
  os.sep + part + os.sep
  for part in (
    os.path.join('tensorflow', 'python'),
    os.path.join('tensorflow_core', 'python'),
    os.path.join('tensorflow', '_api'),
    os.path.join('tensorflow', 'core'),
    os.path.join('tensorflow', 'dtensor'),
    os.path.join('tf_keras', 'src'),
    os.path.join('keras', 'src'),
    os.path.join('keras', 'engine'),
    os.path.join('tf_slim', 'layers'),
    os.path.join('tf_slim', 'ops'),
    os.path.join('tf_slim', 'training'),
    os.path.join('absl', 'testing'),
    os.path.join('site-packages', 'numpy'),
  )
)
_PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STANDARD_FOLDER = os.path.dirname(os.path.abspath(os.__file__))
# (file, name) of the functions that are marked by `calls_user`: all that the
# traceback of an op tells of a frame.
_CALLING: Set[Tuple[str, str]] = set()

_Function = TypeVar('_Function', bound=Callable[..., Any])


def calls_user(function: _Function) -> _Function:
  """Decorator of a function of this package that calls the user's code.

  A search for the user's line that arrives at such a function ends there: what
  is further out is the test and its runner, which also are the user's files.
  Functions of one file that have the same name count as one.

  Args:
    function: a function or method; below other decorators.

  Returns:
    The function itself.
  """
  code = function.__code__
  _CALLING.add((code.co_filename, code.co_name))
  return function


def is_library_file(filename: str) -> bool:
  """Returns whether a file belongs to a library rather than to the user.

  Args:
    filename: path of a Python source file.

  Returns:
    True for TensorFlow, Keras, tf_slim's layers, this package and Python's
    standard library; False for everything else, tf_slim's networks included.
  """
  if filename.startswith('<') or not filename:
    return True
  if not os.path.isabs(filename):
    filename = os.path.abspath(filename)
  return _is_in_library(filename)


# It is asked of every frame of the stack of every variable.
@functools.lru_cache(maxsize=4096)
def _is_in_library(filename: str) -> bool:
  if filename.startswith(_PACKAGE_FOLDER + os.sep):
    return True
  if any(part in filename for part in _LIBRARY_PARTS):
    return True
  in_standard = filename.startswith(_STANDARD_FOLDER + os.sep)
  return in_standard and 'site-packages' not in filename


def is_own_file(filename: str) -> bool:
  """Returns whether a file belongs to this package."""
  return os.path.abspath(filename).startswith(_PACKAGE_FOLDER + os.sep)


def calling_frame() -> types.FrameType:
  """Returns the innermost frame that is not this package's."""
  frame = sys._getframe(1)
  while frame.f_back is not None and is_own_file(frame.f_code.co_filename):
    frame = frame.f_back
  return frame


def user_line(*, of: object = None) -> SourceLine:
  """Returns the innermost line of the user's code on the current stack.

  The functions of this package that lead to it are none of the user's, so they
  are left out, however many they are.

  Args:
    of: an object whose own methods are left out: where it is made is asked.

  Returns:
    The line, or an empty `SourceLine` where only library code is running,
    e.g. a Keras model that creates its variables when it is first called.
  """
  frame: Optional[types.FrameType] = sys._getframe(1)
  while frame is not None:
    filename = frame.f_code.co_filename
    if (filename, frame.f_code.co_name) in _CALLING:
      break
    if of is not None and frame.f_locals.get('self') is of:
      frame = frame.f_back
      continue
    if compat.is_autograph_file(filename):
      return _first_user_line(compat.mapped_stack())
    if not is_library_file(filename):
      return SourceLine(filename, frame.f_lineno, frame.f_code.co_name)
    frame = frame.f_back
  return SourceLine()


def user_line_of_traceback(
  traceback: Optional[types.TracebackType],
) -> SourceLine:
  """Returns the innermost line of the user's code in a traceback object."""
  found = SourceLine()
  while traceback is not None:
    code = traceback.tb_frame.f_code
    if not (
      is_library_file(code.co_filename)
      or compat.is_autograph_file(code.co_filename)
    ):
      found = SourceLine(code.co_filename, traceback.tb_lineno, code.co_name)
    traceback = traceback.tb_next
  return found


def user_line_of_stack(stack: Optional[Iterable[Any]]) -> SourceLine:
  """Returns the innermost line of the user's code in an op's traceback.

  Args:
    stack: frames that begin with file, line number and function, outermost
      first; None where there are none, as in an imported graph.
  """
  frames = stack or ()
  return _first_user_line([(frame[0], frame[1], frame[2]) for frame in frames])


def _first_user_line(stack: Sequence[Tuple[str, int, str]]) -> SourceLine:
  for filename, lineno, function in reversed(stack):
    if (filename, function) in _CALLING:
      break
    if not is_library_file(filename) and not compat.is_autograph_file(filename):
      return SourceLine(filename, lineno, function)
  return SourceLine()
