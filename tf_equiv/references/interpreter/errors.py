"""Makes errors of this process of those in the other."""

import unittest

from tf_equiv.core import capture_errors, errors
from tf_equiv.core.source_line import SourceLine
from tf_equiv.references.interpreter import process as process_lib
from tf_equiv.references.interpreter.python import HOW_TO_MAKE

_FAILURES = {
  cls.__name__: cls
  for cls in (
    errors.UsageError,
    errors.EnvironmentSetupError,
    errors.ModelCodeError,
    errors.VariableCreationError,
  )
}


def local(
  error: process_lib.RemoteError,
  title: str,
  process: process_lib.WorkerProcess,
) -> Exception:
  """Makes an error of this process of one in the other.

  Args:
    error: what failed there.
    title: the reference, for messages.
    process: the process.
  """
  there = f'in {title}'
  versions = process.environment
  if versions:
    there = (
      f'where the TF1 side runs (Python {versions["python"]}, TensorFlow '
      f'{versions["tensorflow"]})'
    )
  if error.kind in _FAILURES:
    return _FAILURES[error.kind](error.message)
  if error.kind == 'cannot capture':
    return capture_errors.NotOneGraphError(error.message)
  if error.kind == 'SkipTest':
    return unittest.SkipTest(error.message)
  if error.kind == 'unsuitable':
    return errors.EnvironmentSetupError(
      f'The interpreter of the TF1 side, {process.python}, is not suitable: '
      f'{error.message}.\n'
      f'{HOW_TO_MAKE}'
    )
  if error.kind == 'disk':
    return errors.EnvironmentSetupError(
      f'The results of the TF1 side cannot be written: {error.message}. '
      f'{process_lib.ROOM_ADVICE}'
    )
  if error.kind == 'assertion':  # It already says where.
    return AssertionError(f'{error.message}\nThis was {there}.')
  text = '\n  '.join(error.message.splitlines())
  frames = ''.join(
    '  %s%s\n'
    % (
      SourceLine(filename, lineno, function, code or ''),
      f'  (in {function})',
    )
    for filename, lineno, function, code in error.frames
  )
  return errors.ModelCodeError(
    'The TF1 code failed %s; nothing was compared.\n  %s\n%s'
    % (
      there,
      text,
      frames and 'Traceback of your code, innermost line last:\n' + frames,
    )
  )
