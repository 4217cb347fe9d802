"""Base class of the converters, and checks of what they are given."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_equiv.core import arguments, errors

# The value of a TF1 variable as (a part of) that of one in TF2.
Conversion = Callable[[np.ndarray], np.ndarray]
# The TF2 names of a TF1 variable, by what becomes of its value there.
Targets = dict[str, dict[str, Conversion]]
# No layer has more units.
MAX_SIZE = 2**31 - 1


class Converter:
  """Base class: a table of TF1 variables and of what becomes of each.

  Attributes:
    targets: for each TF1 name, a dict of TF2 name to function of the value.
  """

  def __init__(self, targets: Targets):
    if not isinstance(targets, dict) or not all(
      isinstance(name, str) and isinstance(of_name, dict)
      for name, of_name in targets.items()
    ):
      raise arguments.wrong(
        'targets', 'a dict of dicts of functions by name', targets
      )
    self.targets = targets

  def rename(self, tf1_name: str) -> str | tuple[str, ...]:
    """Returns the TF2 names of a TF1 variable, for `rename_variable`.

    Args:
      tf1_name: the name on the TF1 side.

    Returns:
      A name, a tuple of names, or the name itself if it is none of the layer's.
    """
    names = tuple(self.targets.get(tf1_name, (tf1_name,)))
    return names[0] if len(names) == 1 else names

  def convert(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> np.ndarray:
    """Returns the value on the TF2 side, for `convert_variable`.

    Args:
      tf1_name: the name on the TF1 side.
      value: the value there.
      tf2_name: the name on the TF2 side.

    Returns:
      The value in TF2's layout.

    Raises:
      UsageError: if the value does not have the shape that the layer has.
    """
    function = self.targets.get(tf1_name, {}).get(tf2_name)
    if function is None:
      return value
    value = np.asarray(value)
    try:
      return function(value)
    except (ValueError, IndexError) as error:
      raise errors.UsageError(
        f'{type(self).__name__} cannot convert {tf1_name!r} of shape '
        f'{value.shape} into {tf2_name!r}: {error}. Check the arguments of '
        'the converter.'
      ) from error


def check_names(**names: Any) -> None:
  """Raises UsageError unless the arguments are texts.

  Args:
    **names: what was given, by the name of the argument.
  """
  for argument, name in names.items():
    arguments.check_text(name, argument)


def check_layers(layers: Any, count: int = 0) -> tuple[str, ...]:
  """Returns the names of several layers.

  Args:
    layers: what was given as `tf2_layers`.
    count: how many there must be; 0 for any number.

  Raises:
    UsageError: if they are no names, or not so many.
  """
  expected = f'a list of {count or "one or more"} names'
  several = isinstance(layers, (list, tuple))
  if not several or not layers or (count and len(layers) != count):
    raise arguments.wrong('tf2_layers', expected, layers)
  return arguments.check_texts(layers, 'tf2_layers', expected)
