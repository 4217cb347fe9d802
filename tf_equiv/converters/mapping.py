"""Renames and converters of layers, put together for a test class."""

from collections import abc

import numpy as np

from tf_equiv.converters import converter as converter_lib
from tf_equiv.core import arguments, errors

# What a TF1 variable is called in TF2; None where it was dropped.
Names = str | tuple[str, ...] | None


class Mapping:
  """Plain renames and converters, put together."""

  def __init__(
    self,
    names: abc.Mapping[str, Names] | converter_lib.Converter | None = None,
    *converters: converter_lib.Converter,
  ):
    """Puts renames and converters together.

    Args:
      names: TF2 name (or None for a variable that was dropped) by TF1 name.
        Other names stay as they are. May be left out.
      *converters: converters of layers.

    Raises:
      UsageError: for what is no name and no converter, and if two of them
        claim the same TF1 variable.
    """
    if isinstance(names, converter_lib.Converter):
      converters = (names, *converters)
      names = None
    for converter in converters:
      if not isinstance(converter, converter_lib.Converter):
        raise arguments.wrong('converters', 'converters of layers', converter)
    if names is None:
      names = {}
    if not isinstance(names, abc.Mapping):
      raise arguments.wrong('names', 'a dict of names', names)
    for name, renamed in names.items():
      arguments.check_text(name, 'A name in names')
      if not renamed and renamed is not None:
        raise arguments.wrong(
          f'names[{name!r}]', 'a name, a tuple of names, or None', renamed
        )
      if renamed is not None and not isinstance(renamed, str):
        arguments.check_texts(
          renamed, f'names[{name!r}]', 'a name, a tuple of names, or None'
        )
    self._names = dict(names)
    self._converters = converters
    seen = set(self._names)
    for converter in converters:
      twice = seen & set(converter.targets)
      if twice:
        raise errors.UsageError(
          'The mapping has more than one entry for '
          f'{", ".join(sorted(map(repr, twice)))}.'
        )
      seen |= set(converter.targets)

  def rename(self, tf1_name: str) -> Names:
    """Returns what `rename_variable` is to return; see `Converter.rename`."""
    if tf1_name in self._names:
      return self._names[tf1_name]
    converter = self._of(tf1_name)
    return tf1_name if converter is None else converter.rename(tf1_name)

  def convert(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> np.ndarray:
    """Returns what `convert_variable` is to return; see `Converter.convert`."""
    converter = self._of(tf1_name)
    if converter is None:
      return value
    return converter.convert(tf1_name, value, tf2_name)

  def _of(self, tf1_name: str) -> converter_lib.Converter | None:
    return next((c for c in self._converters if tf1_name in c.targets), None)
