"""Writes what a run of the TF1 side left behind into a golden."""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.golden import (
  archive,
  manifest,
  plans,
  recorders,
  reinitialize,
  schema,
)
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import stored_capture

GRAPH = 'graph'
WEIGHTS = 'weights'
# What `Golden(keep=...)` may name, and its default.
KEEP = (GRAPH, WEIGHTS)


@dataclasses.dataclass(frozen=True)
class Recorded:
  """What was written.

  Attributes:
    path: the file.
    title: the plan in words.
    size: bytes that the file takes now.
    entry: the entry of the index.
    note: what a reader should know of it, '' for nothing.
  """

  path: str
  title: str
  size: int
  entry: Mapping[str, Any]
  note: str = ''


@dataclasses.dataclass(frozen=True)
class Ran:
  """A run of the TF1 side.

  Attributes:
    reference: the `Reference` that ran it.
    observed: what it left behind.
    capture: `Run.capture`, None where nothing but the variables is known.
  """

  reference: Any
  observed: observation.Observation
  capture: Callable[..., Any] | None = None


def record(
  path: str,
  kind: str,
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  ran: Ran,
  keep: Sequence[str] = KEEP,
) -> Recorded:
  """Adds a run to a golden, in place of one of the same plan and class.

  Args:
    path: the file, absolute; it need not exist.
    kind: `plans.RUN` or `plans.VARIABLES`.
    program: what was run.
    plan: the plan.
    ran: what the run left behind.
    keep: which of `KEEP` is stored.

  Returns:
    What was written.

  Raises:
    UsageError: if the file cannot be written or is damaged.
  """
  observed, capture, reference = ran.observed, ran.capture, ran.reference
  owner, folder = recorders.owner_of(program.build), os.path.dirname(path)
  digests = {
    name: plans.describe_array(value)['digest']
    for name, value in observed.weight_of().items()
  }
  graph, reason = None, ''
  if capture is not None and GRAPH in keep:
    graph, reason = _graph(plan, observed, capture)
  elif capture is not None:
    reason = "it was recorded without the graph (keep without 'graph')"
  filenames = {line.filename for line in graph.lines} if graph else set()

  def portable(line):
    if not line.filename:
      return line
    line = stored_capture.with_text(line)
    name = manifest.relative(line.filename, folder)
    return dataclasses.replace(line, filename=name)

  stored, note = _stored(plan, observed, graph, keep)
  objects = {'observation': manifest.with_lines(stored, portable)}
  if digests:
    objects['weights'] = digests
  if graph is not None:
    objects['graph'] = manifest.with_lines(graph, portable)
  made_by = {
    **manifest.machine(),
    **{name: str(value) for name, value in observed.environment.items()},
    'tf_equiv': _version(),
    'reference': repr(reference),
  }
  description = plans.describe(kind, plan)
  entry = {
    'owner': owner.name,
    'key': plans.digest_of(description),
    'plan': description,
    'weights': plans.digest_of(digests) if digests else '',
    # Values of a checkpoint stand beside those of reset_weights.
    'own weights': _is_own(program),
    'recorded': manifest.today(),
    'source': manifest.legacy_source(owner, filenames, folder),
    'own step': bool(plan.batches)
    and not plan.metrics
    and _has_own_step(reference, program),
    'counts': _counts(observed, graph),
    'no graph': reason,
  }
  if os.path.exists(path):
    schema.read_index(path)  # What is damaged is not written to.
  with archive.updated(path) as writer:
    entry['objects'] = {n: writer.add(value) for n, value in objects.items()}
    entry['manifest'] = plans.digest_of(made_by)[:16]
    entries = [e for e in writer.index['entries'] if not _replaces(entry, e)]
    entries.append(entry)
    writer.index['entries'] = sorted(
      entries, key=lambda e: (e['owner'], plans.title(e['plan']), e['key'])
    )
    manifests = {**writer.index['manifests'], entry['manifest']: made_by}
    used = {e['manifest'] for e in entries}
    writer.index['manifests'] = {
      k: v for k, v in manifests.items() if k in used
    }
  return Recorded(
    path, plans.title(description), os.path.getsize(path), entry, note
  )


def drop_others(
  path: str, owner: str, kept: Sequence[Mapping[str, Any]]
) -> int:
  """Removes what a class has in a golden beside the given entries.

  Args:
    path: the file.
    owner: name of the class.
    kept: its entries that stay.

  Returns:
    The number of entries that were removed.
  """
  known = {(e['key'], e['weights']) for e in kept}

  def stays(entry):
    return entry['owner'] != owner or (entry['key'], entry['weights']) in known

  if all(stays(entry) for entry in schema.read_index(path)['entries']):
    return 0
  with archive.updated(path) as writer:
    before = writer.index['entries']
    writer.index['entries'] = [entry for entry in before if stays(entry)]
    return len(before) - len(writer.index['entries'])


def _replaces(new, old) -> bool:
  if (new['owner'], new['key']) != (old['owner'], old['key']):
    return False
  both_own = new['own weights'] and old['own weights']
  return both_own or new['weights'] == old['weights']


def _has_own_step(reference, program) -> bool:
  told = reference.defines('train_tf1')
  return program.train is not None if told is None else told


def _counts(observed, graph) -> dict[str, int]:
  """Numbers for a summary."""
  counts = {
    'variables': len(observed.variables),
    'outputs': len(observed.outputs),
    'regularization losses': len(observed.losses),
    'gradients': len(observed.gradients),
    'updated variables': len(observed.updated),
    'steps': len(observed.steps),
    'ops': len(graph.line_of) if graph else 0,
  }
  return {name: count for name, count in counts.items() if count}


def _is_own(program) -> bool:
  case = getattr(program.build, '__self__', None)
  return program.reset_weights == getattr(case, 'reset_weights', None)


def _graph(plan, observed, capture):
  """Returns (the graph for locating, '' or why there is none)."""
  weights, reason = observed.weight_of(), ''
  # What a training step computes before it updates is looked into, too.
  in_steps = bool(plan.batches) and not plan.metrics
  for gradients in dict.fromkeys((plan.gradients or in_steps, False)):
    wanted = dataclasses.replace(
      plan,
      weights=plan_lib.FIXED,
      batches=(),
      metrics=False,
      updates=False,
      gradients=gradients,
    )
    try:
      graph = stored_capture.dump(capture(wanted, weights))
    except Exception as error:  # The user's code may do anything.
      lines = str(error).strip().splitlines()
      reason = reason or (
        f'its graph could not be recorded ({type(error).__name__}: '
        f'{lines[0] if lines else ""})'
      )
      continue
    variables = {
      op: (name, None if name in weights else value)
      for op, (name, value) in graph.variables.items()
    }
    return dataclasses.replace(graph, feeds={}, variables=variables), ''
  return None, reason


def _stored(plan, observed, graph, keep):
  """Returns (what is stored of an observation, a note)."""
  stored, note = dataclasses.replace(observed, seconds={}), ''
  if plan.weights == plan_lib.FIXED:
    stored.weights = []  # reset_weights gives them again.
  elif WEIGHTS not in keep and observed.weights:
    problem = _why_not_drawn_again(observed, graph)
    if problem:
      note = 'the initial weights were stored, because ' + problem
    else:
      stored.weights = []
  return stored, note


def _why_not_drawn_again(observed, graph) -> str:
  """Returns why the initial weights cannot be drawn from the stored graph."""
  if graph is None:
    return 'there is no graph to draw them from'
  specs = observed.variables
  try:
    drawn = reinitialize.initial_weights(graph, specs)
  except (reinitialize.CannotDrawError, errors.EquivalenceError) as error:
    return str(error).splitlines()[0]
  for spec, old, new in zip(specs, observed.weights, drawn, strict=True):
    if plans.describe_array(old) != plans.describe_array(new):
      return f'the graph draws others for {spec.name}'
  return ''


def _version() -> str:
  """Returns the version of this package, which imports this module."""
  return sys.modules[__name__.partition('.')[0]].__version__
