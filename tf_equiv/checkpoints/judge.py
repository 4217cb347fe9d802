"""Judges a checkpoint: whether it fits, loads, and is restored as saved."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairs as pairs_lib
from tf_equiv.compare import tolerances, values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation

_EXACT = tolerances.Tolerance(rtol=0, atol=0, equal_nan=True)


def judge_fit(
  assertion: str, path: str, table: variables_lib.VariableTable
) -> Outcome:
  """Judges whether a checkpoint fits the TF1 model.

  Args:
    assertion: name of the assertion.
    path: the checkpoint.
    table: of `contents.fit`.

  Returns:
    The outcome.
  """
  outcome = Outcome(assertion, compared={'variables': len(table.pairs)})
  if not (table.missing or table.shapes or table.dtypes or table.extra):
    return outcome
  return dataclasses.replace(
    outcome,
    kind=Kind.MISFIT,
    evidence=(outcome_lib.Misfit(path, table),),
    stopped=True,
  )


def judge_loaded(
  outcome: Outcome,
  expected: Mapping[str, np.ndarray],
  tf2: observation.Observation,
) -> Outcome:
  """Adds whether the TF2 variables hold the values of the checkpoint.

  Args:
    outcome: a pass, which fails here if they do not.
    expected: converted values by TF2 name.
    tf2: what was observed.

  Returns:
    The outcome.
  """
  found = tf2.weight_of()
  wanted = {name: v.astype(found[name].dtype) for name, v in expected.items()}
  return _with_pairs(
    outcome, Quantity.LOADED, pairs_lib.by_name(wanted, found), _EXACT
  )


def judge_unsaved(outcome: Outcome, unsaved: Sequence[str]) -> Outcome:
  """Adds which variables a TF2 checkpoint leaves out, if any."""
  if not unsaved:
    return outcome
  return dataclasses.replace(
    outcome,
    kind=Kind.UNSAVED,
    evidence=(*outcome.evidence, outcome_lib.Unsaved(tuple(unsaved))),
  )


def judge_restored(
  outcome: Outcome,
  tf1: observation.Observation,
  saved: observation.Observation,
  restored: observation.Observation,
  unmatched: str,
  tolerance: tolerances.Tolerance,
) -> Outcome:
  """Adds whether a model built anew is restored to what was saved.

  Args:
    outcome: a pass, which fails here if that is not so.
    tf1: the reference.
    saved: the model that was saved.
    restored: the model that was built anew and restored.
    unmatched: what TensorFlow says does not match, '' if all does.
    tolerance: what may differ in the outputs.

  Returns:
    The outcome.
  """
  before, after = saved.weight_of(), restored.weight_of()
  outcome = _with_pairs(
    outcome, Quantity.RESTORED, _rebuilt(before, after), _EXACT
  )
  if unmatched or not outcome.passed:
    failed = outcome.failed(Key(Quantity.RESTORED))
    return dataclasses.replace(
      outcome,
      kind=Kind.NOT_RESTORED,
      evidence=(
        *([unmatched] if unmatched else []),
        *_mixed_up(failed, before, after),
      ),
    )
  return _with_pairs(
    outcome,
    Quantity.RESTORED_OUTPUTS,
    pairs_lib.of_outputs(tf1.outputs, restored.outputs, tf1.output_order),
    tolerance,
  )


def _with_pairs(
  outcome: Outcome,
  quantity: Quantity,
  pairs: Sequence[pairs_lib.Pair],
  tolerance: tolerances.Tolerance,
) -> Outcome:
  """Adds comparisons, which the outcome fails if one differs."""
  found = pairs_lib.compare(pairs, tolerance)
  differs = not all(c.passed for c in found)
  return dataclasses.replace(
    outcome,
    kind=Kind.VALUES if differs else outcome.kind,
    comparisons={**outcome.comparisons, Key(quantity): found},
    compared={**outcome.compared, quantity.value: len(found)},
  )


def _rebuilt(
  before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> list[pairs_lib.Pair]:
  """Pairs the variables of a model with those of the same, built anew."""
  gone = values.Problem(values.ProblemKind.NOT_REBUILT)
  return [
    pairs_lib.Pair(name, value, after[name])
    if name in after
    else pairs_lib.Pair(name, problem=gone)
    for name, value in before.items()
  ]


def _mixed_up(
  failed: Sequence[values.ValueComparison],
  before: Mapping[str, np.ndarray],
  after: Mapping[str, np.ndarray],
) -> list[outcome_lib.Exchanged]:
  """Returns the variables that hold what another one was saved with."""
  found = []
  for comparison in failed:
    value = after.get(comparison.name)
    if value is None:
      continue
    for name, saved in before.items():
      same = name != comparison.name and saved.shape == value.shape
      if same and saved.size and np.array_equal(saved, value):
        found.append(outcome_lib.Exchanged(comparison.name, name))
        break
  return found
