"""Whether the first lines of a message name what is at fault, and its line.

The lines at fault are marked in the sources of the pairs, by a comment on the
line above:

    # FAULT: name_of_a_pair, name_of_another

A fault that a pair is given by an argument is on the line that uses the
argument. Several lines may be marked for one pair: that of the fault, and those
of the layer that holds it; one of them must be shown.
"""

import dataclasses
import glob
import os
import re

from tests.planted import pair

FIRST_LINES = 12
MOST_LINES = 40

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pairs')
_MARK = re.compile(r'^\s*# FAULT: (.*)$')
_SHOWN = re.compile(r'(\w+\.py):(\d+)')


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What the message of a faulty pair names.

  Attributes:
    text: the message.
    names_culprit: whether the first lines name the culprit.
    shows_line: whether they show a line at fault, None if none is marked.
    lines: number of lines of the message.
  """

  text: str
  names_culprit: bool
  shows_line: bool | None
  lines: int

  @property
  def problem(self) -> str:
    """What is wrong with it, '' if nothing."""
    if not self.names_culprit:
      return 'the first lines do not name the culprit'
    if self.shows_line is False:
      return 'the first lines do not show the line at fault'
    if self.lines > MOST_LINES:
      return 'the message has %d lines' % self.lines
    return ''


def marked_lines() -> dict[str, set[tuple[str, int]]]:
  """Returns the lines at fault, (file, number), by name of the pair."""
  found: dict[str, set[tuple[str, int]]] = {}
  for path in glob.glob(os.path.join(_FOLDER, '*.py')):
    with open(path, encoding='utf-8') as file:
      lines = file.read().splitlines()
    waiting: list[str] = []
    for number, line in enumerate(lines, 1):
      mark = _MARK.match(line)
      if mark:
        waiting += mark.group(1).split(', ')
        continue
      for name in waiting:
        place = os.path.basename(path), number
        found.setdefault(name, set()).add(place)
      waiting = []
  return found


def examine(found: pair.Pair) -> Outcome:
  """Runs the step that must be the first to fail, and reads its message.

  Args:
    found: a faulty pair.

  Returns:
    What the message names.

  Raises:
    ValueError: if the step passes.
  """
  outcome = pair.ran(found, found.first_step)
  if not outcome.failed:
    raise ValueError('%s passes' % found.name)
  return read(outcome.text, found)


def read(text: str, found: pair.Pair) -> Outcome:
  """Reads the message of a faulty pair."""
  lines = text.splitlines()
  first = '\n'.join(lines[:FIRST_LINES])
  at_fault = marked_lines().get(found.name)
  shown = {(name, int(number)) for name, number in _SHOWN.findall(first)}
  return Outcome(
    text,
    found.culprit in first,
    None if not at_fault else bool(at_fault & shown),
    len(lines),
  )


def frontiers(found: pair.Pair) -> list[str]:
  """Returns where a clean pair parts in float64: nowhere, if all is well.

  It is looked at in inference and in training, with gradients.
  """
  places = []
  for training in (False, True):
    verdict = pair.PairCase(found).locateDivergence(
      training=training, gradients=True
    )
    if verdict.divergence is not None:
      places.append(str(verdict))
  return places
