"""What a passing assertion has proven, as an entry of a certificate."""

import dataclasses
import itertools
import math
import os
from typing import Any

import numpy as np

from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import step_vacuity, vacuity
from tf_equiv.compare import verdict as verdict_lib

# Of the environment of a side; what else is known of it (the processor, say)
# does not change what is proven.
_VERSIONS = (
  'python',
  'tensorflow',
  'numpy',
  'tf_equiv',
  'tf_keras',
  'keras',
  'tf_slim',
  'TF_USE_LEGACY_KERAS',
)
_FLOATS = ('float', 'bfloat', 'complex')
_DIGITS = 3
_CHECKPOINT = 'assertCheckpointEquivalent'


def of_verdict(
  verdict: verdict_lib.Verdict, owner: str, test: str
) -> dict[str, Any]:
  """Returns the entry of a verdict that passed.

  Args:
    verdict: the verdict.
    owner: full name of the test class.
    test: name of the test.
  """
  outcome, terms = verdict.outcome, verdict.run.terms
  variables, silent = _coverage(outcome)
  return {
    'class': owner,
    'test': test,
    'assertion': outcome.assertion,
    'terms': {} if terms is None else _plain(dataclasses.asdict(terms)),
    'vacuous': outcome.vacuity is not None,
    'compared': {name: int(n) for name, n in outcome.compared.items()},
    'tolerance': _tolerance(outcome),
    'variables': variables,
    'layers': sorted({layer_of(name) for name in variables}),
    'silent': silent,
    'versions': {
      side: {name: str(found[name]) for name in _VERSIONS if found.get(name)}
      for side, found in verdict.environments.items()
    },
  }


def class_name(owner: type, filename: str) -> str:
  """Returns the full name of a test class.

  Args:
    owner: the class.
    filename: the file that defines it, whose name stands for `__main__`, so
      that it does not matter which program runs the test.
  """
  module = owner.__module__
  if module == '__main__' and filename:
    module = os.path.splitext(os.path.basename(filename))[0]
  return f'{module}.{owner.__qualname__}'


def layer_of(variable: str) -> str:
  """Returns the name of the layer that a variable belongs to."""
  return variable.rpartition('/')[0] or variable


def _coverage(outcome: outcome_lib.Outcome) -> tuple[list[str], list[str]]:
  """Returns TF1 names of variables (that the pass is about, and of others).

  It is about a variable if the compared values depend on it, as far as that was
  measured. If the pass proves nothing, it is about none.
  """
  if outcome.table is None:
    return [], []
  every = {first.name for first, _ in outcome.table.pairs}
  if outcome.assertion == _CHECKPOINT:  # It compares the variables themselves.
    return sorted(every), []
  if outcome.vacuity is not None:
    return [], sorted(every)
  response = outcome.response
  silent = set() if response is None else set(response.silent)
  still: set[str] = set()
  for power in outcome.power:
    if isinstance(power, vacuity.GradientPower):
      trained = {s.name for _, s in outcome.table.pairs if s.trainable}
      silent = (silent - trained) | set(power.zero)
    elif isinstance(power, step_vacuity.StepPower):
      still |= set(power.still)
  covered = {
    first.name
    for first, second in outcome.table.pairs
    if second.name not in silent and first.name not in still
  }
  return sorted(covered), sorted(every - covered)


def _tolerance(outcome: outcome_lib.Outcome) -> dict[str, list[float]]:
  """Returns the largest (rtol, atol) that were allowed, by dtype."""
  found: dict[str, tuple[float, float]] = {}
  for each in itertools.chain(*outcome.comparisons.values()):
    if each.dtype.startswith(_FLOATS):
      rtol, atol = found.get(each.dtype, (0.0, 0.0))
      found[each.dtype] = max(rtol, each.rtol), max(atol, each.atol)
  return {
    dtype: [_rounded(number) for number in pair]
    for dtype, pair in sorted(found.items())
  }


def _rounded(number: float) -> float:
  """Returns a number in few digits, which do not change from run to run."""
  number = float(number)
  if not math.isfinite(number):  # JSON has no such number.
    return 1e300
  return float(f'{number:.{_DIGITS}g}')


def _plain(terms: dict[str, Any]) -> dict[str, Any]:
  return {name: _plain_value(value) for name, value in terms.items()}


def _plain_value(value: Any) -> Any:
  """Returns what JSON has in place of NumPy's numbers and of tuples."""
  if isinstance(value, np.generic):
    value = value.item()
  return list(value) if isinstance(value, tuple) else value
