"""How the variables of recurrent cells were carried over, where cells differ.

The gates of a cell are columns of its kernel, and their biases parts of one
vector, so that a conversion that forgot something shows in the values.
"""

from collections.abc import Mapping

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.tf1.capture import capture

EVIDENCE = (Kind.SAME_NUMBERS, Kind.SAME_ORDER, Kind.TWO_ROWS)
_LOOPS = ('While', 'StatelessWhile')


def describe(
  found: divergence.Divergence,
  captures: tuple[capture.Capture, capture.Capture],
  tf1_name_of: Mapping[str, str],
) -> list[Difference]:
  """Compares the values of the variables behind a divergence in a loop.

  Args:
    found: the divergence.
    captures: both sides.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.

  Returns:
    Differences of a kind in `EVIDENCE`; none if there is no loop.
  """
  around = (found.tf1, found.tf2, *found.only_tf1, *found.only_tf2)
  if not any(p is not None and p.op_type in _LOOPS for p in around):
    return []
  read = set(found.variables)
  for each in found.differences:
    if each.kind is Kind.READS and each.side == 'TF1':
      read.update(each.one_sided)
  mine = dict(captures[0].variables.values())
  differences = {}
  for name, theirs in captures[1].variables.values():
    first = tf1_name_of.get(name, name)
    if first in read and first in mine:
      kind = _compare(np.asarray(mine[first]), np.asarray(theirs))
      if kind is not None:
        differences[Difference(kind, first)] = True
  return list(differences)


def _compare(mine: np.ndarray, theirs: np.ndarray) -> Kind | None:
  if mine.ndim == 1 and theirs.ndim == 2 and theirs.shape[0] == 2:
    return Kind.TWO_ROWS
  if mine.ndim == theirs.ndim == 1 and mine.size == theirs.size:
    same = np.array_equal(np.sort(mine), np.sort(theirs))
    return Kind.SAME_NUMBERS if same else None
  if mine.ndim == theirs.ndim == 2 and mine.shape[1] == theirs.shape[1] > 1:
    rows = theirs.shape[0]
    # The cells of TF1 keep the kernels of inputs and of states in one.
    whole = rows == mine.shape[0]
    part = any(np.array_equal(x, theirs) for x in (mine[:rows], mine[-rows:]))
    return Kind.SAME_ORDER if part and not whole else None
  return None
