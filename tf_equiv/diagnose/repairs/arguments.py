"""Which argument in the code of TF2 a repair is."""

import dataclasses
import math
import re
from typing import Any

from tf_equiv.compare import divergence, repairs
from tf_equiv.compare.difference import Kind
from tf_equiv.compare.repairs import Change, ChangeKind

_MADE = re.compile(r'\(layer made at (\S+?:\d+)')
_NUMBER = re.compile(r'^(\S.*?:\d+)(?:\s|$)')
# Arguments that are called as the attribute of the op.
_SAME = ('epsilon', 'alpha', 'padding')
_WINDOWS = {'strides': 'strides', 'dilations': 'dilation_rate'}
# What a fused batch normalization moves its averages by, in float32.
_AVERAGING, _DIGITS = 'exponential_avg_factor', 6
# Ops that compare random numbers with the share that is dropped.
_DROPS = ('GreaterEqual',)
_LAYER = re.compile(r'batch_?norm|layer_?norm')


def name(found: divergence.Divergence) -> repairs.Repair | None:
  """Returns the repair of a place with the argument that it is.

  Args:
    found: the place; its repair may be None.
  """
  repair = found.repair
  if repair is None or repair.argument or found.tf2 is None:
    return repair
  for change in repair.changes:
    known = _argument(found, change)
    if known is not None:
      argument, value = known
      return dataclasses.replace(
        repair,
        argument=argument,
        value=value,
        line=line_of(found.tf2.line),
      )
  return dataclasses.replace(repair, line=line_of(found.tf2.line))


def _argument(
  found: divergence.Divergence, change: Change
) -> tuple[str, Any] | None:
  """Returns name and value of an argument, None if they are not known."""
  if change.kind is ChangeKind.ATTRIBUTE:
    if change.subject in _SAME:
      return change.subject, change.tf1
    if change.subject in _WINDOWS and len(change.tf1) == 4:
      inner = tuple(x for x in change.tf1[1:3])
      return _WINDOWS[change.subject], inner
    if change.subject == _AVERAGING:
      return 'momentum', round(1 - change.tf1, _DIGITS)
    return None
  if change.kind is ChangeKind.DECAY:
    return 'momentum', change.tf1
  if change.kind is not ChangeKind.CONSTANT:
    return None
  op, text = change.op.lower(), f'{found.tf1} {found.tf2}'.lower()
  if not isinstance(change.tf1, float):
    return None
  if _LAYER.search(op) and _is_epsilon(found, change.tf1):
    return 'epsilon', change.tf1
  if 'dropout' in text and found.tf2.op_type in _DROPS:
    return 'rate', change.tf1
  return None


def _is_epsilon(found: divergence.Divergence, number: float) -> bool:
  """Returns whether a number was shown to be the epsilon of TF1."""
  return any(
    each.kind is Kind.EPSILON and math.isclose(each.tf1, number, rel_tol=1e-4)
    for each in found.differences
  )


def line_of(text: str) -> str:
  """Returns file and number of the line that makes a layer or op."""
  made = _MADE.search(text) or _NUMBER.search(text)
  return '' if made is None else made[1]
