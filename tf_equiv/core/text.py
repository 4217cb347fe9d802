"""Wording that messages share: long lists are cut, and say so."""

import decimal
import math
from typing import Iterable, List

# What to do about variables that were created outside of the shim.
UNDECORATED_ADVICE = (
  'get_variable or a tf.compat.v1.layers layer ran outside of the shim, where '
  'eager execution forgets its variables: put the code into a method of a '
  'tf_keras layer or tf.Module that is decorated with '
  '@tf_equiv.track_tf1_style_variables.'
)


def listed(names: Iterable[str], most: int) -> str:
  """Writes names one after another, e.g. 'a, b and 3 more'.

  Args:
    names: the names, in the order in which they are written.
    most: number of names that are written; of the others, only how many.
  """
  names = list(names)
  shown = ', '.join(names[:most])
  return f'{shown} and {len(names) - most} more' if len(names) > most else shown


def capped(rows: Iterable[str], most: int) -> List[str]:
  """Returns the first rows of a list, and a last one for all others.

  Args:
    rows: the rows.
    most: number of rows that are kept.

  Returns:
    The first `most` rows; if there are more, then also '... and 3 more'.
  """
  rows = list(rows)
  hidden = len(rows) - most
  return rows[:most] + [f'... and {hidden} more'] * (hidden > 0)


def rounded_up(value: float) -> str:
  """Returns a number that is not less than a value, in two digits."""
  context = decimal.Context(prec=2, rounding=decimal.ROUND_CEILING)
  return f'{float(context.create_decimal_from_float(float(value))):.2g}'


def size(count: float) -> str:
  """Writes a number of bytes, e.g. '1.5 MB'."""
  if count < 1024:
    return f'{count} bytes'
  units = ('KB', 'MB', 'GB')
  power = min(int(math.log(count, 1024)), len(units))
  return f'{count / 1024**power:.1f} {units[power - 1]}'


def of_error(error: BaseException) -> str:
  """Returns an exception in one line: its type, and what it says first."""
  lines = str(error).strip().splitlines()
  return f'{type(error).__name__}: {lines[0] if lines else ""}'
