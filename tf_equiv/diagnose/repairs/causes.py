"""Whether two places have one cause."""

import re

from tf_equiv.compare import difference, divergence
from tf_equiv.compare.difference import Kind
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.tf1.capture import capture

# Groups of results that follow from outputs and losses.
BACKWARD = (capture.GRADIENT, capture.INPUT_GRADIENT)
# Where the gradients of a tape are.
_TAPE = re.compile(r'^gradient_tape/')
_COUNTER = re.compile(r'_\d+$')


def are_one(
  first: divergence.Divergence, second: divergence.Divergence
) -> bool:
  """Returns whether two places tell of the same.

  The same change of one op is one cause. Ops of one layer that differ in the
  same way belong to one cause, and so do ops that read the same instead of what
  they should.
  """
  repairs = first.repair, second.repair
  if None not in repairs and repairs[0].changes == repairs[1].changes:
    return True  # Of the same op: its other output.
  read = _operands(first)
  if read and read == _operands(second) and first.group == second.group:
    return True
  if not _same_layer(first, second):
    return False
  return first.group in BACKWARD or _alike(first, second)


def without_tape(name: str) -> str:
  """Returns the name of an op of a gradient without the prefix of a tape."""
  return _TAPE.sub('', name)


def _same_layer(
  first: divergence.Divergence, second: divergence.Divergence
) -> bool:
  """Returns whether two places are in one scope, and on one line."""
  for mine, theirs in (
    (first.tf1, second.tf1),
    (first.tf2, second.tf2),
  ):
    if mine is None or theirs is None or mine.line != theirs.line:
      return False
  if first.group == second.group and first.group in BACKWARD:
    # What is done to each gradient.
    return bool(first.tf1.line or first.tf2.line)
  scopes = {scope_of(first.tf2.name), scope_of(second.tf2.name)}
  if first.group == second.group and first.group in labels_lib.ASSIGNED:
    # The statistics of one layer are updated alike.
    scopes = {_COUNTER.sub('', scope) for scope in scopes}
  elif 'dropout' not in f'{first.tf1} {first.tf2}'.lower():
    if not _both_clip(first, second):
      return False
    scopes = {scope_of(each.tf2.name + '/') for each in (first, second)}
    scopes = {min(scopes, key=len)}
  return len(scopes) == 1 and '' not in scopes


def is_gradient(name: str) -> bool:
  """Returns whether an op is one of a gradient, by its name."""
  return 'gradient' in name


def scope_of(name: str) -> str:
  """Returns the scope in which an op is."""
  return name.rpartition('/')[0]


def _alike(first: divergence.Divergence, second: divergence.Divergence) -> bool:
  """Returns whether two places may have one cause."""
  if 'dropout' in f'{first.tf1} {first.tf2}'.lower():
    return True
  if _both_clip(first, second):
    return True
  return _keys(first) == _keys(second)


def _both_clip(
  first: divergence.Divergence, second: divergence.Divergence
) -> bool:
  """Returns whether two places are the two bounds of one clipping."""
  if {first.tf2.op_type, second.tf2.op_type} != {'Minimum', 'Maximum'}:
    return False
  names = sorted((first.tf2.name, second.tf2.name), key=len)
  return names[1].startswith(names[0] + '/')


def _operands(found: divergence.Divergence) -> list[tuple]:
  """Returns what the ops of a place read instead of each other's operand."""
  return [_key(x) for x in found.differences if x.kind is Kind.OPERAND]


def _keys(found: divergence.Divergence) -> list[tuple]:
  return [
    _key(each)
    for each in found.differences
    if each.kind not in (Kind.ASSIGNED_BY, Kind.DECAY)
  ]


def _key(each: difference.Difference) -> tuple:
  return each.kind, each.subject, str(each.tf1), str(each.tf2)
