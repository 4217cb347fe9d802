"""Numbers and other values of arrays as text."""

import decimal
from typing import Any

import numpy as np

_ROUND_UP = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)


def number(value: float) -> str:
  """Returns a number with three digits."""
  return f'{value:.3g}'


def number_up(value: float) -> str:
  """Rounds up to three digits, so that the printed number really passes."""
  return '%.3g' % _ROUND_UP.create_decimal_from_float(float(value))


def value(value: Any) -> str:
  """Returns an element of an array."""
  if isinstance(value, (str, bytes)):
    # Not the np.str_(...) of NumPy 2.
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    return shown if len(shown) <= 40 else shown[:37] + '...'
  if isinstance(value, (float, np.floating)) or hasattr(value, 'dtype'):
    if getattr(value, 'dtype', np.dtype(float)).kind in 'biu':
      return str(value)
    if getattr(value, 'dtype', np.dtype(float)).kind == 'c':
      return f'{value.real:.9g}{value.imag:+.9g}j'
    return f'{float(value):.9g}'
  return str(value)
