"""Finds a plan in a golden, or says what has changed since it was recorded."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tf_equiv.core import capture_errors, errors, nest
from tf_equiv.core import observation as observation_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.text import capped, listed
from tf_equiv.golden import (
  manifest,
  plans,
  recorders,
  reinitialize,
  schema,
)
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import stored_capture

# For how many seconds a run of a recorded graph may last.
_TIMEOUT = 600.0
_MAX_NAMES = 8
_MAX_PLANS = 12
_MAX_FILES = 4


class NoGraphError(capture_errors.CannotCaptureError):
  """A recording has no graph that can be used here."""


@dataclasses.dataclass
class Recording:
  """A recording that was found.

  Attributes:
    path: the file.
    entry: its entry in the index.
    observation: what the TF1 side left behind.
    trust_ops: types of ops that its graph may have, see `Golden`.
  """

  path: str
  entry: Mapping[str, Any]
  observation: observation_lib.Observation
  trust_ops: Sequence[str] = ()

  def capture(
    self, wanted: plan_lib.RunPlan, weights: Mapping[str, Any]
  ) -> capture_lib.Capture:
    """Returns the recorded graph, to be run with other values.

    Args:
      wanted: the plan of a forward pass.
      weights: values of the variables by name.

    Returns:
      The capture.

    Raises:
      NoGraphError: if it was not recorded, or cannot be imported.
    """
    if 'graph' not in self.entry['objects']:
      raise NoGraphError(self.entry['no graph'] or 'it holds no graph')
    stored = schema.load(self.path, self.entry, 'graph')
    groups = {group for group, _ in stored.targets}
    if wanted.gradients and capture_lib.TOTAL not in groups:
      raise NoGraphError('the recorded graph has no loss and no gradients')
    arrays = dict(nest.flatten(wanted.inputs))
    stored.feeds = {name: arrays[p] for name, p in stored.inputs.items()}
    stored.variables = {
      op: (name, weights.get(name, value))
      for op, (name, value) in stored.variables.items()
    }
    try:
      return stored_capture.load(
        _here(stored, self.path),
        trust_ops=self.trust_ops,
        origin='its graph',
        timeout=_TIMEOUT,
      )
    except (errors.EnvironmentSetupError, errors.UsageError) as error:
      raise NoGraphError(str(error)) from error


def find(
  path: str,
  kind: str,
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  trust_ops: Sequence[str] = (),
) -> Recording:
  """Finds the recording of a plan.

  Args:
    path: the path that was given to `Golden`.
    kind: `plans.RUN` or `plans.VARIABLES`.
    program: the template methods; `reset_weights` is asked for fixed weights.
    plan: the plan.
    trust_ops: types of ops that its graph may have, see `Golden`.

  Returns:
    The recording, with the weights filled in.

  Raises:
    UsageError: if the file is missing, damaged, or was recorded for something
      else; the message says for what, and how to record it anew.
  """
  owner = recorders.owner_of(program.build)
  how = recorders.how_to_record(path, owner)
  found = recorders.find(path, owner)
  if found is None:
    raise errors.UsageError(
      f'There is no golden {path!r}; looked for '
      f'{", ".join(recorders.candidates(path, owner))}.\n'
      f'{how}'
    )
  shown = os.path.relpath(found)
  shown = found if shown.startswith(os.pardir) else shown
  try:
    index = schema.read_index(found)
    description = plans.describe(kind, plan)
    entries = _matching(index['entries'], description, owner)
    if not entries:
      raise errors.UsageError(
        _not_recorded(shown, index['entries'], description, owner)
      )
    entry, observed = _with_weights(
      shown, found, entries, program, plan, kind, trust_ops
    )
  except errors.UsageError as error:
    if how in str(error):
      raise
    raise errors.UsageError(f'{error}\n{how}') from error
  observed = _here(observed, found)
  observed.notes = [*observed.notes, *_notes(shown, found, index, entry, owner)]
  observed.environment = {
    **observed.environment,
    **index['manifests'].get(entry['manifest'], {}),
    'golden': shown,
    'recorded': entry['recorded'],
  }
  return Recording(found, entry, observed, trust_ops)


def has_own_step(path: str, owner: recorders.Owner) -> bool | None:
  """Returns whether the recorded training steps are those of a `train_tf1`.

  Args:
    path: the path that was given to `Golden`.
    owner: the class that has it.

  Returns:
    None where no training step was recorded, or the file cannot be read.
  """
  found = recorders.find(path, owner)
  try:
    entries = schema.read_index(found)['entries'] if found else []
  except errors.UsageError:
    return None  # Whoever needs the file will say so.
  with_steps = [
    e
    for e in entries
    if e['plan'].get('batches') and not e['plan'].get('metrics')
  ]
  own = [e for e in with_steps if e['owner'] == owner.name] or with_steps
  return any(e['own step'] for e in own) if own else None


def _matching(entries, description, owner):
  """Entries of a plan: those of the class, else those of others."""
  key = plans.digest_of(description)
  found = [entry for entry in entries if entry['key'] == key]
  if not found and description['kind'] == plans.VARIABLES:
    # Any forward pass of these shapes has the same variables.
    found = [entry for entry in entries if _has_variables(entry, description)]
  own = [entry for entry in found if entry['owner'] == owner.name]
  return own or found


def _has_variables(entry, description) -> bool:
  recorded = entry['plan']
  shapes = {
    path: {name: each[name] for name in ('dtype', 'shape')}
    for path, each in recorded['inputs'].items()
  }
  return (
    recorded['kind'] == plans.RUN
    and not recorded.get('batches')
    and recorded.get('training', False) == description['training']
    and shapes == description['inputs']
  )


def _not_recorded(shown, entries, description, owner) -> str:
  """Returns what was recorded in place of what is asked for."""
  title = plans.title(description)
  own = [e for e in entries if e['owner'] == owner.name]
  lines = []
  for entry in [e for e in own or entries if _is_close(e['plan'], description)]:
    lines.append(f'The golden {shown} was recorded for other inputs ({title}):')
    changes = plans.inputs_differences(entry['plan'], description)
    lines += ['  ' + change for change in changes]
    lines.append(
      '  make_inputs must return the same arrays in each run: seed its random '
      'numbers.'
    )
    return '\n'.join(lines)
  lines.append(f'The golden {shown} holds no recording of this plan: {title}.')
  if not entries:
    return lines[0] + ' It holds none at all.'
  whose = owner.name if own else 'other classes'
  lines.append(f'  It has, of {whose}:')
  titles = sorted({_title_of(entry, bool(own)) for entry in own or entries})
  lines += ['    ' + each for each in capped(titles, _MAX_PLANS)]
  return '\n'.join(lines)


def _is_close(recorded, description) -> bool:
  same_kind = recorded['kind'] == description['kind']
  return same_kind and plans.same_conditions(recorded, description)


def _title_of(entry, own: bool) -> str:
  title = plans.title(entry['plan'])
  return title if own else f'{entry["owner"]}: {title}'


def _with_weights(shown, path, entries, program, plan, kind, trust_ops):
  """Returns the entry whose weights are given, and its observation."""
  if kind == plans.VARIABLES:
    return entries[-1], _observation(path, entries[-1])
  if plan.weights == plan_lib.SEEDED:
    entry = entries[-1]
    observed = _observation(path, entry)
    observed.weights = initial_weights(shown, path, entry, observed, trust_ops)
    return entry, observed
  problems = []
  for entry in entries:
    observed = _observation(path, entry)
    values = runner.fixed_weights(program.reset_weights, observed.variables)
    recorded = {}
    if 'weights' in entry['objects']:
      recorded = schema.load(path, entry, 'weights')
    changed = [
      name
      for name in _changed(observed.variables, values, recorded)
      if not program.leaves_alone(name)
    ]
    if not changed:
      observed.weights = values
      return entry, observed
    problems.append((len(changed), _other_weights(shown, changed, recorded)))
  raise errors.UsageError(min(problems)[1])


def _observation(path, entry) -> observation_lib.Observation:
  return schema.load(path, entry, 'observation')


def _changed(specs, values, recorded) -> list[str]:
  return [
    spec.name
    for spec, value in zip(specs, values, strict=True)
    if plans.describe_array(value)['digest'] != recorded.get(spec.name)
  ]


def _other_weights(shown, changed, recorded) -> str:
  names = listed(sorted(changed), _MAX_NAMES)
  return (
    f'The golden {shown} was recorded with other fixed weights: reset_weights '
    f'(or the checkpoint) now gives other values for {len(changed)} of '
    f'{len(recorded)} variables: {names}.'
  )


def initial_weights(
  shown: str,
  path: str,
  entry: Mapping[str, Any],
  observed: observation_lib.Observation,
  trust_ops: Sequence[str] = (),
) -> list[Any]:
  """Returns the initial weights of a seeded run.

  Args:
    shown: name of the file for messages.
    path: the file.
    entry: the entry of the run.
    observed: its observation, with the weights if they were stored.
    trust_ops: types of ops that its graph may have, see `Golden`.

  Returns:
    Those that were stored; else they are drawn from the recorded graph, and
    must have the recorded digests.

  Raises:
    UsageError: if they cannot be drawn here.
  """
  if observed.weights or not observed.variables:
    return observed.weights
  problem = 'it holds neither them nor a graph to draw them from'
  if 'graph' in entry['objects']:
    stored = schema.load(path, entry, 'graph')
    try:
      values = reinitialize.initial_weights(
        stored, observed.variables, trust_ops, _TIMEOUT
      )
    except (
      errors.UsageError,
      errors.EnvironmentSetupError,
      reinitialize.CannotDrawError,
    ) as error:
      problem = str(error)
    else:
      recorded = schema.load(path, entry, 'weights')
      changed = _changed(observed.variables, values, recorded)
      if not changed:
        return values
      problem = 'drawn here, %d of %d differ from those recorded: %s' % (
        len(changed),
        len(recorded),
        listed(sorted(changed), _MAX_NAMES),
      )
  raise errors.UsageError(
    f'The golden {shown} cannot give the initial weights '
    f'({plans.title(entry["plan"])}): {problem}. Record it with '
    "keep=('graph', 'weights'), which stores them."
  )


def _notes(shown, path, index, entry, owner) -> list[str]:
  made_by = index['manifests'].get(entry['manifest'], {})
  notes = [
    'TF1 side: %s, recorded on TensorFlow %s%s'
    % (
      shown,
      made_by.get('tensorflow', '?'),
      f' by {entry["owner"]}' if entry['owner'] != owner.name else '',
    )
  ]
  folder = os.path.dirname(path)
  changed = manifest.changed_source(entry['source'], owner, folder)
  if changed:
    notes.append(
      'the TF1 code has changed since then '
      f'({listed(changed, _MAX_FILES)}): if what it computes has too, '
      'record it anew'
    )
  return notes


def _here(value: Any, path: str) -> Any:
  """Gives source lines the names that their files have here."""
  folder = os.path.dirname(path)
  return manifest.with_lines(value, lambda line: manifest.local(line, folder))
