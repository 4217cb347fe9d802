"""`python -m tf_equiv diff`: compares two goldens, plan by plan."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.cli import show
from tf_equiv.compare import (
  judge,
  judge_steps,
  tolerances,
)
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.golden import archive, plans, replaying
from tf_equiv.report import text
from tf_equiv.tf1 import weights as weights_lib

_SIDES = ('A', 'B')
# Quantities that depend on no earlier step.
_WITHOUT_STATE = (': learning rate', ': step counter')


@dataclasses.dataclass(frozen=True)
class _Side:
  path: str
  index: Mapping[str, Any]


def add_to(commands) -> None:
  """Adds the command to the parser."""
  parser = commands.add_parser(
    'diff',
    help='compare two goldens',
    description='Compares two goldens, plan by plan, as an assertion compares '
    'its two sides: of TensorFlow 1.15 and of 2.21, say. The exit code is 0 if '
    'they are equal within the tolerance, 1 if not, 2 if they cannot be read.',
  )
  parser.add_argument('a', help='a golden')
  parser.add_argument('b', help='another one')
  for name in ('rtol', 'atol'):
    parser.add_argument(
      f'--{name}',
      type=float,
      help='tolerance, as that of the assertions',
    )
  parser.set_defaults(run=run)


def run(arguments) -> int:
  """Prints the comparison; returns the exit code."""
  sides = [_Side(p, archive.read_index(p)) for p in (arguments.a, arguments.b)]
  tolerance = tolerances.Tolerance(arguments.rtol, arguments.atol)
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
    verdict = _compare(sides, entries, tolerance)
    different += not verdict.passed
    print('\n'.join('  ' + line for line in _lines(verdict, entries[0])))
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


def _compare(sides, entries, tolerance) -> verdict_lib.Verdict:
  plan = plans.plan_of(entries[0]['plan'])
  title = plans.title(entries[0]['plan'])
  observed = [
    archive.load(side.path, entry['objects']['observation'])
    for side, entry in zip(sides, entries, strict=True)
  ]
  table = variables_lib.match_variables(*[o.variables for o in observed])
  if entries[0]['plan']['kind'] == plans.VARIABLES:
    return judge.judge_variables(table, title, allow_empty=True)
  fixed = plan.weights == plan_lib.FIXED
  if fixed and entries[0]['weights'] != entries[1]['weights']:
    other = table.blocks_values
    verdict = judge.judge_variables(table, title, allow_empty=True)
    if not other:
      verdict.headline = 'The fixed weights differ; nothing was compared'
      verdict.evidence = _other_weights(sides, entries)
    return verdict
  notes = []
  for side, entry, each in zip(sides, entries, observed, strict=True):
    each.weights, note = _weights(side, entry, each, fixed)
    notes += [note] if note else []
  if plan.batches:
    verdict = _judge_steps(title, plan, *observed, table, tolerance)
  else:
    verdict = judge.judge_run(
      title,
      plan,
      *observed,
      table,
      _same,
      tolerance,
      allow_empty=True,
      allow_vacuous=True,
    )
  verdict.notes += sorted(set(notes))
  return verdict


def _judge_steps(title, plan, first, second, table, tolerance):
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
      table,
      _same,
      tolerance,
      allow_empty=True,
    )

  verdict = judged(len(plan.batches))
  groups = [g for g in verdict.comparisons if verdict.failed(g)]
  if not groups or any(g.endswith(_WITHOUT_STATE) for g in groups):
    return verdict
  beginning = judged(1)
  if beginning.passed:
    beginning.notes.append(
      'not judged, because each file went on from its own state: '
      f'{verdict.headline[0].lower()}{verdict.headline[1:]}'
    )
  return beginning if beginning.passed else verdict


def _same(unused_name, value, unused_other):
  return value


def _weights(side, entry, observed, fixed) -> tuple[Sequence[np.ndarray], str]:
  """Returns the weights of an observation, and a note about them."""
  if not fixed:
    return replaying.initial_weights(side.path, side.path, entry, observed), ''
  recorded = {}
  if 'weights' in entry['objects']:
    recorded = archive.load(side.path, entry['objects']['weights'])
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
    archive.load(side.path, entry['objects']['weights'])
    for side, entry in zip(sides, entries, strict=True)
  ]
  names = sorted(
    name for name in digests[0] if digests[0][name] != digests[1].get(name)
  )
  return plans.capped(names)


def _lines(verdict: verdict_lib.Verdict, entry) -> list[str]:
  """Returns the text about one plan."""
  counts = _counts(verdict)
  if verdict.passed:
    lines = [f'equal: {verdict.assertion}']
    largest = verdict.largest()
    if largest is not None and largest.difference:
      counts.append(
        f'largest difference {largest.difference:.3g} of '
        f'{largest.allowed:.3g} allowed ({largest.name})'
      )
    notes = [re.sub(r'\bTF([12])\b', _letter, n) for n in verdict.notes]
    lines += ['  ' + each for each in counts + notes]
    return lines
  verdict.advice = []  # It is about migrations.
  verdict.conditions = ''
  found = text.failure(verdict).splitlines()
  return [
    f'DIFFER: {verdict.assertion}',
    *['  ' + re.sub(r'\bTF([12])\b', _letter, line) for line in found],
    *['    ' + each for each in counts],
  ]


def _letter(match: re.Match) -> str:
  return _SIDES[int(match.group(1)) - 1]


def _counts(verdict: verdict_lib.Verdict) -> list[str]:
  """Says for each kind of values how many pairs do not differ at all."""
  totals = {}
  for group, pairs in verdict.comparisons.items():
    kind = re.sub(r'^step \d+: ', '', group)
    same, count = totals.get(kind, (0, 0))
    same += sum(c.passed and not c.difference for c in pairs)
    if pairs:
      totals[kind] = same, count + len(pairs)
  found = ['%d of %d %s' % (*each, kind) for kind, each in totals.items()]
  return ['exactly equal: ' + ', '.join(found)] if found else []
