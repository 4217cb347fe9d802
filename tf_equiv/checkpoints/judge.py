"""Judges a checkpoint: whether it fits, loads, and is restored as saved."""

import numpy as np

from tf_equiv.checkpoints import contents
from tf_equiv.compare import quantities, tolerances, values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import observation

_EXACT = tolerances.Tolerance(rtol=0, atol=0, equal_nan=True)

LOADED = 'variables loaded'
RESTORED = 'variables restored'
RESTORED_OUTPUTS = 'outputs restored'


def judge_fit(
  assertion: str, path: str, table: variables_lib.VariableTable
) -> verdict_lib.Verdict:
  """Judges whether a checkpoint fits the TF1 model; see `checkpoints.fit`."""
  verdict = verdict_lib.Verdict(assertion)
  verdict.compared['variables'] = len(table.pairs)
  verdict.headline = contents.misfit(table, path, 'the TF1 model')
  if verdict.headline:
    verdict.headline += '; outputs were not compared'
    verdict.evidence = contents.describe_misfit(table)
    verdict.advice = contents.advise_misfit(table)
  return verdict


def judge_loaded(
  verdict: verdict_lib.Verdict,
  expected: dict[str, np.ndarray],
  tf2: observation.Observation,
) -> None:
  """Adds whether the TF2 variables hold the values of the checkpoint.

  Args:
    verdict: a passed verdict, which fails here if they do not.
    expected: converted values by TF2 name.
    tf2: what was observed.
  """
  found = tf2.weight_of()
  pairs = _exact_pairs(
    {name: v.astype(found[name].dtype) for name, v in expected.items()}, found
  )
  verdict.comparisons[LOADED] = pairs
  verdict.compared[LOADED] = len(pairs)
  if verdict.failed(LOADED):
    verdict.headline = 'Variables do not keep what is assigned to them: ' + (
      _count(verdict, LOADED)
    )
    verdict.advice = [
      'Two variables may share their memory, or a property of the model '
      'replaces what is assigned.'
    ]


def judge_unsaved(
  verdict: verdict_lib.Verdict, unsaved: list[str], advice: str
) -> None:
  """Adds which variables a TF2 checkpoint leaves out, if any."""
  if not unsaved:
    return
  verdict.headline = (
    f'tf.train.Checkpoint does not save {len(unsaved)} of the '
    f'{verdict.compared["variables"]} variables of the TF2 model, first '
    f'{unsaved[0]}'
  )
  rows = contents.capped(sorted(unsaved))
  verdict.evidence.append(
    '\n    '.join(['not reachable by attributes of the model:', *rows])
  )
  verdict.advice = [advice]


def judge_restored(
  verdict: verdict_lib.Verdict,
  tf1: observation.Observation,
  saved: observation.Observation,
  restored: observation.Observation,
  unmatched: str,
  tolerance: tolerances.Tolerance,
) -> None:
  """Adds whether a model built anew is restored to what was saved.

  Args:
    verdict: a passed verdict, which fails here if that is not so.
    tf1: the reference.
    saved: the model that was saved.
    restored: the model that was built anew and restored.
    unmatched: what TensorFlow says does not match, '' if all does.
    tolerance: what may differ in the outputs.
  """
  before, after = saved.weight_of(), restored.weight_of()
  pairs = _exact_pairs(before, after)
  verdict.comparisons[RESTORED] = pairs
  verdict.compared[RESTORED] = len(pairs)
  if unmatched or verdict.failed(RESTORED):
    verdict.headline = (
      'A model that is built anew is not restored to what was saved'
    )
    if verdict.failed(RESTORED):
      verdict.headline += ': ' + _count(verdict, RESTORED)
    verdict.evidence = [unmatched] * bool(unmatched) + _mixed_up(
      verdict.failed(RESTORED), before, after
    )
    verdict.advice = [
      'tf.train.Checkpoint goes by attribute names and the order of lists: '
      'build_tf2 must create layers and variables under the same attributes, '
      'in the same order, each time (no sets, no counters that go on).'
    ]
    return
  pairs = quantities.compare_outputs(tf1, restored, tolerance)
  verdict.comparisons[RESTORED_OUTPUTS] = pairs
  verdict.compared[RESTORED_OUTPUTS] = len(pairs)
  if verdict.failed(RESTORED_OUTPUTS):
    verdict.headline = (
      'Outputs differ after saving and restoring, though %s'
      % ('all variables agree: ' + _count(verdict, RESTORED_OUTPUTS))
    )
    verdict.advice = [
      'The model keeps something that is no variable and is set when it is '
      'built (a NumPy array, a random number, a counter): make it a '
      'tf.Variable, or the same each time.'
    ]


def _exact_pairs(first, second):
  pairs = []
  for name, value in first.items():
    if name in second:
      pairs.append(values.compare_arrays(name, value, second[name], _EXACT))
    else:
      problem = 'the model that is built anew has no variable of this name'
      pairs.append(values.ValueComparison(name, False, problem=problem))
  return pairs


def _count(verdict, group) -> str:
  failed = verdict.failed(group)
  return (
    f'{len(failed)} of {len(verdict.comparisons[group])}, first '
    f'{failed[0].name}'
  )


def _mixed_up(failed, before, after) -> list[str]:
  """Names variables that hold what another one was saved with."""
  rows = []
  for comparison in failed:
    value = after.get(comparison.name)
    if value is None:
      continue
    for name, saved in before.items():
      same = name != comparison.name and saved.shape == value.shape
      if same and saved.size and np.array_equal(saved, value):
        rows.append(f'{comparison.name} holds what {name} was saved with')
        break
  return rows
