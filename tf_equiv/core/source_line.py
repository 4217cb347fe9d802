"""A line of the user's source code."""

import dataclasses
import linecache
import os


@dataclasses.dataclass(frozen=True)
class SourceLine:
  """A line of source code.

  Attributes:
    filename: path of the file as Python knows it; empty if unknown.
    lineno: line number, counted from 1.
    function: name of the function that holds the line.
    text: the text of the line, where the file may be out of reach.
  """

  filename: str = ''
  lineno: int = 0
  function: str = ''
  text: str = dataclasses.field(default='', compare=False)

  @property
  def code(self) -> str:
    """The text of the line, stripped, or '' where it cannot be read."""
    if self.text:
      return self.text
    return linecache.getline(self.filename, self.lineno).strip()

  def __str__(self) -> str:
    if not self.filename:
      return 'unknown line'
    place = f'{_short(self.filename)}:{self.lineno}'
    return f'{place}  {self.code}' if self.code else place


def _short(filename: str) -> str:
  """Shortens a path: relative where the file is below the current folder."""
  try:
    relative = os.path.relpath(filename)
  except (OSError, ValueError):  # No current folder, or on another drive.
    return filename
  if not relative.startswith(os.pardir):
    return relative
  marker = 'site-packages' + os.sep
  return filename.split(marker, 1)[1] if marker in filename else filename
