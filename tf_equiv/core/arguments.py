"""Checks of what users give as arguments.

Each takes the value, and the name under which the user knows the argument;
each returns the value as the plain type that it stands for, or raises a
`UsageError` that names the argument, what was given, and what is expected.
"""

import contextlib
import math
import os
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from tf_equiv.core import errors

# More of a value is not quoted.
_MAX_QUOTED = 200
# Longer than anyone waits, in seconds, and less than system calls can take.
_MAX_SECONDS = 1e6


def quoted(value: Any) -> str:
  """Returns a value as it is quoted in a message."""
  try:
    text = repr(value)
  except Exception:
    text = f'a {type(value).__name__} that cannot be shown'
  return errors.cut(text, _MAX_QUOTED)


def wrong(name: str, expected: str, value: Any) -> errors.UsageError:
  """Returns the error for an argument.

  Args:
    name: name of the argument.
    expected: what it must be.
    value: what was given.
  """
  return errors.UsageError(f'{name} must be {expected}, got {quoted(value)}.')


def check_bool(value: Any, name: str) -> bool:
  """Returns a flag."""
  if not isinstance(value, (bool, np.bool_)):
    raise wrong(name, 'True or False', value)
  return bool(value)


def check_count(
  value: Any, name: str, least: int = 0, most: Optional[int] = None
) -> int:
  """Returns a whole number.

  Args:
    value: what was given.
    name: name of the argument.
    least: the smallest number that it may be, 0 or 1.
    most: the largest, if there is any.
  """
  expected = 'an int that is ' + ('positive' if least else 'not negative')
  is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
  if not is_int or value < least:
    raise wrong(name, expected, value)
  if most is not None and value > most:
    raise wrong(name, f'{expected} and at most {most}', value)
  return int(value)


def check_int(value: Any, name: str, bits: int = 64) -> int:
  """Returns a whole number that TensorFlow has a type for."""
  if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
    raise wrong(name, 'an int', value)
  if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
    raise wrong(name, f'an int of {bits} bits', value)
  return int(value)


def _is_number(value: Any) -> bool:
  types = (int, float, np.integer, np.floating)
  return isinstance(value, types) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
  try:
    return math.isfinite(value)
  except OverflowError:  # An int beyond all floats.
    return False


def check_number(value: Any, name: str) -> float:
  """Returns a number that is neither NaN nor infinite."""
  if not _is_number(value) or not _is_finite(value):
    raise wrong(name, 'a finite number', value)
  return float(value)


def check_seconds(value: Any, name: str) -> float:
  """Returns for how long to wait."""
  if not _is_number(value) or not 0 < value <= _MAX_SECONDS:
    raise wrong(
      name, f'a positive number of seconds (at most {_MAX_SECONDS:g})', value
    )
  return float(value)


def check_tolerance(value: Any, name: str) -> Optional[float]:
  """Returns a tolerance, None for the default."""
  if value is None:
    return None
  if not _is_number(value) or not value >= 0:
    raise wrong(
      name,
      'a number that is not negative, or None for the default of the dtype',
      value,
    )
  if not _is_finite(value):
    raise errors.UsageError(
      f'{name} is {quoted(value)}; with it everything would pass. It must be '
      'a finite number.'
    )
  return float(value)


def check_text(value: Any, name: str) -> str:
  """Returns a text that is not empty."""
  if not isinstance(value, str) or not value:
    raise wrong(name, 'a string that is not empty', value)
  return value


def check_texts(
  value: Any, name: str, expected: str = 'a tuple of strings'
) -> Tuple[str, ...]:
  """Returns several texts; one alone is none of them."""
  several = isinstance(value, (tuple, list, set, frozenset))
  if not several or not all(isinstance(each, str) and each for each in value):
    raise wrong(name, expected, value)
  return tuple(value)


def check_choice(value: Any, name: str, choices: Sequence[str]) -> str:
  """Returns one of several words."""
  if not isinstance(value, str) or value not in choices:
    raise wrong(name, ' or '.join(map(repr, choices)), value)
  return value


def check_path(value: Any, name: str) -> str:
  """Returns the path of a file or folder, which need not exist."""
  try:
    path = os.fspath(value)
  except TypeError:
    path = None
  if not isinstance(path, str) or not path or '\0' in path:
    raise wrong(name, 'a path', value)
  return path


def check_callable(value: Any, name: str, expected: str = 'a function') -> Any:
  """Returns something that can be called."""
  if not callable(value):
    raise wrong(name, expected, value)
  return value


def check_shape(value: Any, name: str) -> Tuple[int, ...]:
  """Returns a shape, all of which is known."""
  try:
    sizes = tuple(value)
  except Exception:
    sizes = (None,)
  types = (int, np.integer)
  if isinstance(value, (str, bytes)) or not all(
    isinstance(n, types) and not isinstance(n, bool) and n >= 0 for n in sizes
  ):
    raise wrong(name, 'a tuple of ints that are not negative', value)
  return tuple(int(size) for size in sizes)


def check_dtype(value: Any, name: str) -> np.dtype:
  """Returns a dtype of NumPy."""
  if value is not None:
    with contextlib.suppress(Exception):
      dtype: np.dtype = np.dtype(value)
      return dtype
  raise wrong(name, 'a dtype of NumPy', value)
