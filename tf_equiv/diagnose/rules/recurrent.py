"""How the variables of recurrent cells were carried over, where cells differ.

The gates of a cell are columns of its kernel, and their biases parts of one
vector, so that a conversion that forgot something shows in the values.
"""

import numpy as np

from tf_equiv.compare import divergence

SAME_NUMBERS = '%s holds the same numbers in both'
SAME_ORDER = '%s has its columns in the order of TF1 in TF2, too'
TWO_ROWS = '%s has one row in TF1, two in TF2'
_LINES = (SAME_NUMBERS, SAME_ORDER, TWO_ROWS)
_LOOPS = ('While', 'StatelessWhile')


def is_evidence(line: str) -> bool:
  """Tells whether a line is one of those that `describe` returns."""
  return line.endswith(tuple(each.replace('%s', '') for each in _LINES))


def describe(place: divergence.Divergence, captures, tf1_name_of) -> list[str]:
  """Compares the values of the variables behind a place with a loop.

  Args:
    place: where the sides part.
    captures: both sides.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.

  Returns:
    Lines; none if there is no loop.
  """
  around = (place.tf1, place.tf2, *place.only_tf1, *place.only_tf2)
  if not any(p is not None and p.op_type in _LOOPS for p in around):
    return []
  read = set(place.variables)
  for line in place.differences:
    if line.startswith('only TF1 reads '):
      read.update(line[len('only TF1 reads ') :].split(', '))
  mine = {name: value for name, value in captures[0].variables.values()}
  found = {}
  for name, theirs in captures[1].variables.values():
    first = tf1_name_of.get(name, name)
    if first in read and first in mine:
      line = _compare(np.asarray(mine[first]), np.asarray(theirs))
      if line:
        found[line % first] = True
  return list(found)


def _compare(mine, theirs) -> str:
  if mine.ndim == 1 and theirs.ndim == 2 and theirs.shape[0] == 2:
    return TWO_ROWS
  if mine.ndim == theirs.ndim == 1 and mine.size == theirs.size:
    same = np.array_equal(np.sort(mine), np.sort(theirs))
    return SAME_NUMBERS if same else ''
  if mine.ndim == theirs.ndim == 2 and mine.shape[1] == theirs.shape[1] > 1:
    rows = theirs.shape[0]
    # The cells of TF1 keep the kernels of inputs and of states in one.
    whole = rows == mine.shape[0]
    part = any(np.array_equal(x, theirs) for x in (mine[:rows], mine[-rows:]))
    return SAME_ORDER if part and not whole else ''
  return ''
