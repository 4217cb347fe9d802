"""Finds the line of the user's code that led to a call."""

import functools
import os
import sys
from typing import List

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
# The user's code is called from here; what is further out is the test runner.
_CALLERS = tuple(
  os.path.join(_PACKAGE_FOLDER, *path.split('/'))
  for path in (
    'tf1/graph.py',
    'tf1/training.py',
    'tf2/forward.py',
    'tf2/program.py',
    'tf2/runner.py',
    'tf2/training.py',
  )
)
_STANDARD_FOLDER = os.path.dirname(os.path.abspath(os.__file__))


def is_library_file(filename: str) -> bool:
  """Tells whether a file belongs to a library rather than to the user.

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


def user_line(skip: int = 1, of: object = None) -> SourceLine:
  """Returns the innermost line of the user's code on the current stack.

  Args:
    skip: number of frames to leave out, counted from this function's caller.
    of: an object whose own methods are left out: where it is made is asked.

  Returns:
    The line, or an empty `SourceLine` where only library code is running,
    e.g. a Keras model that creates its variables when it is first called.
  """
  frame = sys._getframe(skip)
  while frame is not None:
    filename = frame.f_code.co_filename
    if filename in _CALLERS:
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


def user_line_of_traceback(traceback) -> SourceLine:
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


def user_line_of_stack(stack) -> SourceLine:
  """Returns the innermost line of the user's code in an op's traceback.

  Args:
    stack: frames that begin with file, line number and function, outermost
      first; None where there are none, as in an imported graph.
  """
  frames = stack or ()
  return _first_user_line([(frame[0], frame[1], frame[2]) for frame in frames])


def _first_user_line(stack: List) -> SourceLine:
  for filename, lineno, function in reversed(stack):
    if filename in _CALLERS:
      break
    if not is_library_file(filename) and not compat.is_autograph_file(filename):
      return SourceLine(filename, lineno, function)
  return SourceLine()
