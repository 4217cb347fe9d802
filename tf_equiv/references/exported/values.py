"""The values that an export gives its variables."""

import numpy as np

from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.core import errors
from tf_equiv.core.text import capped
from tf_equiv.references.exported import files
from tf_equiv.references.exported.variables import Variables
from tf_equiv.tf1 import checkpoint as checkpoint_lib


class Values:
  """The values that an export gives its variables."""

  def __init__(self, export: files.Export, variables: Variables):
    """Keeps both; values are read when they are asked for."""
    self._export, self._variables = export, variables

  @property
  def known(self) -> bool:
    """Whether the export has values."""
    return bool(self._export.checkpoint or self._variables.constants)

  def check(self) -> list[str]:
    """Checks that the checkpoint has all variables of the model.

    Returns:
      Names of its entries that the graph has no variable for.

    Raises:
      UsageError: if it lacks one, or has one of another shape or dtype.
    """
    checkpoint, variables = self._export.checkpoint, self._variables
    if checkpoint is None:
      return []
    used = {self._entry(name) for name in variables.definitions}
    extra = sorted(set(checkpoint.entries) - used)
    missing, odd = [], []
    for name in variables.model:
      entry = checkpoint.entries.get(self._entry(name))
      spec = variables.specs[name]
      if entry is None:
        close = files.similar(name, extra)
        missing.append(name + (f' (similar: {close[0]})' if close else ''))
      elif entry.dtype != spec.dtype or entry.shape != self._full_shape(name):
        odd.append(f'{name}: {spec} in the graph, {entry} there')
    if not missing and not odd:
      return extra
    lines = [
      f'The checkpoint {checkpoint.prefix!r} does not fit {self._export.title}:'
    ]
    for title, rows in (
      ('%d variable(s) of the graph are missing in it', missing),
      ('%d are of another shape or dtype', odd),
      ('%d in it have no variable in the graph', extra),
    ):
      if rows:
        lines.append(f'  {title % len(rows)}:')
        lines += [
          '    ' + row for row in capped(sorted(rows), contents_lib.MAX_ROWS)
        ]
    lines.append(
      'Give the checkpoint that was saved with this graph; both have the same '
      'number in their names.'
    )
    raise errors.UsageError('\n'.join(lines))

  def _slice(self, name):
    definition = self._variables.definitions[name]
    if definition.HasField('save_slice_info_def'):
      return definition.save_slice_info_def
    return None

  def _entry(self, name: str) -> str:
    info = self._slice(name)
    return info.full_name if info is not None else name

  def _full_shape(self, name: str) -> tuple:
    info = self._slice(name)
    if info is not None:
      return tuple(info.full_shape)
    return self._variables.specs[name].shape

  def has(self, name: str) -> bool:
    """Returns whether the export has a value for a variable."""
    if name in self._variables.constants:
      return True
    checkpoint = self._export.checkpoint
    return (
      checkpoint is not None
      and name in self._variables.definitions
      and self._entry(name) in checkpoint.entries
    )

  def of(self, name: str) -> np.ndarray:
    """Returns the value of a variable that `has` knows."""
    if name in self._variables.constants:
      return self._variables.constants[name]
    checkpoint, entry = self._export.checkpoint, self._entry(name)
    value = checkpoint.value(entry)
    checkpoint_lib.check_finite(checkpoint, entry, value)
    info = self._slice(name)
    if info is not None:  # A part of a partitioned variable.
      index = tuple(
        slice(start, start + size)
        for start, size in zip(info.var_offset, info.var_shape, strict=True)
      )
      value = value[index]
    return value
