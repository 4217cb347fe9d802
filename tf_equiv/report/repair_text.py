"""Repairs, and the proof that they are all, in words."""

import shlex
from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import repairs
from tf_equiv.compare.quantity import Quantity
from tf_equiv.compare.repairs import ChangeKind, Problem
from tf_equiv.core.text import capped, listed

_MAX_REST = 3
_MAX_ELEMENTS = 16
_MAX_CHANGES = 3
_MAX_PROGRAMS = 3
_MAX_PLACES = 5
_MAX_WRITTEN = 5
_BACKWARD = (Quantity.GRADIENTS.value, Quantity.INPUT_GRADIENTS.value)
_PROBLEMS = {
  Problem.LARGE: 'what the ops read is too large to be written',
  Problem.OPS: 'the ops cannot be called one by one',
  Problem.LONG: 'it would have more than 60 lines',
  Problem.AGREES: 'the ops alone did not show the difference',
  Problem.FAILED: 'it did not run in a process of its own',
  Problem.TIME: 'it did not end in time',
}


def repair(
  found: divergence_lib.Divergence, proof: repairs.Proof | None
) -> str:
  """Returns in one line what makes the sides agree at a place, or ''.

  Args:
    found: the place.
    proof: what remains with all places repaired, None if that is not known.
  """
  if not found.tried:
    return ''
  if found.repair is None:
    text = 'repair: none that was tried'
    if found.given and proof is not None and not proof.rest:
      text += '; only the values of TF1 help here'
    return text
  texts = dict.fromkeys(map(change, found.repair.changes))
  return 'repair: ' + ', '.join(capped(list(texts), _MAX_CHANGES))


def change(made: repairs.Change) -> str:
  """Returns a change in words."""
  kind = made.kind
  if kind is ChangeKind.OP:
    mine, theirs = (_types(types) for types in (made.tf1, made.tf2))
    if made.tf1 == made.tf2:
      return f'the {mine} of TF1 for that of TF2'
    if mine and theirs:
      return f'{mine} for {theirs}'
    if mine:
      return f'{mine} put in before {made.op}'
    return f'without {theirs}'
  if kind is ChangeKind.OP_AFTER:
    return f'{_types(made.tf1)} put in after {made.op}'
  if kind is ChangeKind.OPERAND_ORDER:
    return f'operands of {made.op} in the order {list(made.tf1)}'
  name = {
    ChangeKind.ATTRIBUTE: made.subject,
    ChangeKind.CONSTANT: f'operand {made.operand} of {made.op}',
    ChangeKind.DECAY: 'decay',
    ChangeKind.HYPERPARAMETER: made.subject,
    ChangeKind.RATE: 'learning rate',
  }[kind]
  return f'{name} {_value(made.tf1)} for {_value(made.tf2)}'


def argument(found: divergence_lib.Divergence) -> str:
  """Returns what to write in the code, '' where that is not known."""
  made = found.repair
  if made is None or not made.argument:
    return ''
  where = f' at {made.line}' if made.line else ''
  value = repr(made.value) if isinstance(made.value, str) else made.value
  return f'Write {made.argument}={_value(value)}{where}.'


def next_steps(
  places: Sequence[divergence_lib.Divergence], proof: repairs.Proof | None
) -> list[str]:
  """Returns what to do about places whose repair is known.

  Args:
    places: all places, in order.
    proof: what remains with all places repaired, None if that is not known.
  """
  written = dict.fromkeys(filter(None, map(argument, places)))
  rows = capped(list(written), _MAX_WRITTEN)
  # Gradients follow from what is computed before them.
  has_forward = any(place.group not in _BACKWARD for place in places)
  others = {
    str(number): len(place.repair.changes)
    for number, place in enumerate(places, start=1)
    if place.repair
    and not (has_forward and place.group in _BACKWARD)
    and (
      len(place.repair.changes) > 1 or not (place.mistake or argument(place))
    )
  }
  if not others or proof is None or not proof.is_complete:
    return rows
  what = (
    'change in TF2 that is'
    if sum(others.values()) == 1
    else ('changes in TF2 that are')
  )
  where = ' above'
  if len(places) > 1:
    one = 'place' if len(others) == 1 else 'places'
    where = f' of {one} {listed(others, _MAX_PLACES)}'
  return [*rows, f'Make the {what} listed as repair{where}.']


def proof(found: repairs.Proof) -> str:
  """Returns in one line what remains with all places repaired."""
  count = found.repaired
  parts = []
  if count:
    parts.append(f'with {_these(count)} repaired')
  if found.replaced:
    word = 'with' if not count else 'and'
    parts.append(f'{word} the values of TF1 at {found.replaced} place(s)')
  if found.followed and parts:
    parts.append(f'(and in {found.followed} op(s) that follow from them)')
  start = ' '.join(parts) or 'without a repair'
  if not found.rest:
    what = 'the result agrees'
    if found.results > 1:
      what = f'all {found.results} results agree'
    return f'{start} {what}, largest difference {found.difference:.1g}'
  names = listed(
    [f'{each.name} by {each.difference:.2g}' for each in found.rest],
    _MAX_REST,
  )
  verb = 'differs' if len(found.rest) == 1 else 'differ'
  return (
    f'{start} {found.results - len(found.rest)} of {found.results} results '
    f'agree; still {verb}: {names}: not explained'
  )


def reproductions(found: Sequence[repairs.Reproduction]) -> list[str]:
  """Returns what to run to see the differences alone, and what there is not.

  Args:
    found: what was made for the places.
  """
  made = [each for each in found if each.problem is None]
  rows = [
    f'Run python {shlex.quote(each.path)}: it shows '
    + ('the difference' if len(found) == 1 else f'place {each.place}')
    + ' with TensorFlow alone, and exits with 1'
    + ('; with --repaired, 0.' if each.is_repaired else '.')
    for each in made
  ]
  rows = capped(rows, _MAX_PROGRAMS)
  for problem, why in _PROBLEMS.items():
    places = [str(each.place) for each in found if each.problem is problem]
    if places:
      rows.append(
        f'No program for place {listed(places, _MAX_PLACES)}: {why}.'
        if len(found) > 1
        else f'No program shows the difference alone: {why}.'
      )
  return rows


def _these(count: int) -> str:
  return 'this' if count == 1 else f'these {count}'


def _types(types: tuple[str, ...] | None) -> str:
  return ' + '.join(capped(list(types or ()), _MAX_CHANGES))


def _value(value: object) -> str:
  if isinstance(value, (float, np.floating)):
    return f'{value:.7g}'
  if isinstance(value, tuple):
    flat = np.ravel(np.asarray(value, dtype=object)).tolist()
    texts = [repr(x) if isinstance(x, str) else _value(x) for x in flat]
    is_float = all(isinstance(x, float) for x in flat)
    if len(set(texts)) == 1 and (is_float or len(texts) > _MAX_ELEMENTS):
      return f'{texts[0]} in all {len(texts)} elements'
    rest = ', ...' if len(texts) > _MAX_ELEMENTS else ''
    return f'[{", ".join(texts[:_MAX_ELEMENTS])}{rest}]'
  return str(value)
