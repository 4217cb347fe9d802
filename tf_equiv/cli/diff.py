"""`python -m tf_equiv diff`: compares two goldens, plan by plan."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.cli import show
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import (
  judge_forward,
  judge_steps,
  judge_variables,
  tolerances,
)
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare.outcome import Kind, OtherWeights, Outcome
from tf_equiv.compare.quantity import Quantity
from tf_equiv.core import errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.golden import plans, replaying, schema
from tf_equiv.report import headlines, telling, text
from tf_equiv.tf1 import weights as weights_lib

_SIDES = ('A', 'B')
# Quantities that depend on no earlier step.
_WITHOUT_STATE = (Quantity.LEARNING_RATE, Quantity.STEP_COUNTER)


@dataclasses.dataclass(frozen=True)
class _Side:
  path: str
  index: Mapping[str, Any]
  trust_ops: Sequence[str]


def run(arguments) -> int:
  """Prints the comparison; returns the exit code."""
  trusted = [name for name in arguments.trust_ops.split(',') if name]
  sides = [
    _Side(path, schema.read_index(path), trusted)
    for path in (arguments.a, arguments.b)
  ]
  criteria = criteria_lib.Criteria(
    tolerances.Tolerance(arguments.rtol, arguments.atol),
    allow_empty=True,
    allow_vacuous=True,
  )
  for name, side in zip(_SIDES, sides, strict=True):
    print(f'{name}: {side.path}')
    for made_by in side.index['manifests'].values():
      print('\n'.join('   ' + x for x in show.manifest_lines(made_by)[:2]))
  pairs = _pairs(*[side.index['entries'] for side in sides])
  if not pairs:
    raise errors.UsageError('Neither golden holds a recording.')
  different, owner = 0, None
  for entries in pairs:
    present = [entry for entry in entries if entry is not None]
    if present[0]['owner'] != owner:
      owner = present[0]['owner']
      print(owner)
    if len(present) == 1:
      different += 1
      name = _SIDES[0] if entries[0] is not None else _SIDES[1]
      print(f'  only {name} has {plans.title(present[0]["plan"])}')
      continue
    outcome = _compare(sides, entries, criteria)
    different += not outcome.passed
    print('\n'.join('  ' + line for line in _lines(outcome)))
  if different:
    print(f'{different} of {len(pairs)} plan(s) differ')
  else:
    print(f'{len(pairs)} plan(s) are equal within the tolerance')
  return 1 if different else 0


def _pairs(first, second):
  """Pairs the entries of both files, None where one has none."""
  owners = [
    {entry['owner'] for entry in entries} for entries in (first, second)
  ]
  by_owner = bool(owners[0] & owners[1])  # Else classes have other names.

  def key(entry):
    return (entry['owner'] if by_owner else '', entry['key'])

  left, pairs = list(second), []
  for entry in first:
    fitting = [other for other in left if key(other) == key(entry)]
    # Of several checkpoints, that with the same values.
    fitting.sort(key=lambda o: o['weights'] != entry['weights'])
    if fitting:
      left.remove(fitting[0])
    pairs.append((entry, fitting[0] if fitting else None))
  return pairs + [(None, entry) for entry in left]


def _compare(sides, entries, criteria) -> Outcome:
  plan = plans.plan_of(entries[0]['plan'])
  title = plans.title(entries[0]['plan'])
  observed = [
    schema.load(side.path, entry, 'observation')
    for side, entry in zip(sides, entries, strict=True)
  ]
  table = variables_lib.match_variables(*[o.variables for o in observed])
  outcome = judge_variables.judge_variables(table, title, allow_empty=True)
  if entries[0]['plan']['kind'] == plans.VARIABLES:
    return outcome
  fixed = plan.weights == plan_lib.FIXED
  if fixed and entries[0]['weights'] != entries[1]['weights']:
    if table.blocks_values:
      return outcome
    return dataclasses.replace(
      outcome,
      kind=Kind.OTHER_WEIGHTS,
      evidence=tuple(map(OtherWeights, _other_weights(sides, entries))),
    )
  notes = []
  for side, entry, each in zip(sides, entries, observed, strict=True):
    each.weights, note = _weights(side, entry, each, fixed)
    notes += [note] if note else []
  judged = _judge_steps if plan.batches else judge_forward.judge_forward
  outcome = judged(title, plan, *observed, pairing_lib.Pairing(table), criteria)  # type: ignore[call-arg]
  return dataclasses.replace(
    outcome, notes=(*outcome.notes, *sorted(set(notes)))
  )


def _judge_steps(title, plan, first, second, pairing, criteria):
  """Judges training steps that each file took from its own state.

  Differences below the tolerance add up, and Adam makes full steps of gradients
  that are rounding noise: what differs from the second step on is noted only,
  unless the learning rate or the step counter does.
  """

  def judged(steps):
    return judge_steps.judge_training(
      title,
      dataclasses.replace(plan, batches=plan.batches[:steps]),
      first,
      second,
      pairing,
      criteria,
    )

  outcome = judged(len(plan.batches))
  failing = outcome.failing()
  if not failing or any(key.quantity in _WITHOUT_STATE for key in failing):
    return outcome
  beginning = judged(1)
  if not beginning.passed:
    return outcome
  headline = headlines.headline(outcome, _SIDES)
  return dataclasses.replace(
    beginning,
    notes=(
      *beginning.notes,
      'not judged, because each file went on from its own state: '
      f'{headline[0].lower()}{headline[1:]}',
    ),
  )


def _weights(side, entry, observed, fixed) -> tuple[Sequence[np.ndarray], str]:
  """Returns the weights of an observation, and a note about them."""
  if not fixed:
    weights = replaying.initial_weights(
      side.path, side.path, entry, observed, side.trust_ops
    )
    return weights, ''
  recorded = {}
  if 'weights' in entry['objects']:
    recorded = schema.load(side.path, entry, 'weights')
  with weights_lib.roles_known(observed.variables):
    values = [
      weights_lib.named_weights(s.name, s.shape, np.dtype(s.dtype))
      for s in observed.variables
      if _is_known(s.dtype)
    ]
  digests = [plans.describe_array(value)['digest'] for value in values]
  if digests == [recorded.get(s.name) for s in observed.variables]:
    return values, ''
  return [np.zeros(s.shape, _dtype(s.dtype)) for s in observed.variables], (
    'the fixed weights of a reset_weights are not in the files, so that '
    'updates are judged by the size of the variable, not by their own'
    if observed.steps or observed.updated
    else ''
  )


def _is_known(dtype: str) -> bool:
  try:
    np.dtype(dtype)
  except TypeError:  # bfloat16, string
    return False
  return True


def _dtype(name: str):
  return np.dtype(name if _is_known(name) else 'float32')


def _other_weights(sides, entries) -> list[str]:
  digests = [
    schema.load(side.path, entry, 'weights')
    for side, entry in zip(sides, entries, strict=True)
  ]
  return sorted(
    name for name in digests[0] if digests[0][name] != digests[1].get(name)
  )


def _lines(outcome: Outcome) -> list[str]:
  """Returns the text about one plan."""
  # Of the conditions the title says all.
  verdict = telling.tell(
    dataclasses.replace(outcome, conditions=''), sides=_SIDES
  )
  counts = _counts(outcome)
  if outcome.passed:
    largest = verdict.largest()
    if largest is not None and largest.difference:
      counts.append(
        f'largest difference {largest.difference:.3g} of '
        f'{largest.allowed:.3g} allowed ({largest.name})'
      )
    return [
      f'equal: {outcome.assertion}',
      *('  ' + each for each in (*counts, *verdict.notes)),
    ]
  return [
    f'DIFFER: {outcome.assertion}',
    *('  ' + line for line in text.failure(verdict, _SIDES).splitlines()),
    *('    ' + each for each in counts),
  ]


def _counts(outcome: Outcome) -> list[str]:
  """Says for each kind of values how many pairs do not differ at all."""
  totals: dict[str, tuple[int, int]] = {}
  for key, pairs in outcome.comparisons.items():
    same, count = totals.get(key.name, (0, 0))
    same += sum(c.passed and not c.difference for c in pairs)
    if pairs:
      totals[key.name] = same, count + len(pairs)
  found = [f'{same} of {n} {name}' for name, (same, n) in totals.items()]
  return ['exactly equal: ' + ', '.join(found)] if found else []
