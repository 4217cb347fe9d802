"""Rows of the tables of a report: compared pairs, groups, variables."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation
from tf_equiv.report import wording

# At which stage the values of variables were compared.
_STAGES = {
  Quantity.WEIGHTS: 'initial value',
  Quantity.UPDATED_VARIABLES: 'after the forward pass',
  Quantity.LOADED: 'as loaded',
  Quantity.RESTORED: 'as restored',
  Quantity.INFERENCE_CHANGES: 'after an inference call',
}


@dataclasses.dataclass(frozen=True)
class Group:
  """A group of compared pairs.

  Attributes:
    name: what they are.
    count: number of pairs.
    differing: number of those that differ.
    worst: name of the pair that is furthest from, or closest to, the limit.
    difference: its difference.
    allowed: what was allowed there.
    ratio: the one over the other.
    needed_atol: an absolute tolerance with which all would have passed; None
      where there is none.
  """

  name: str
  count: int
  differing: int
  worst: str
  difference: float
  allowed: float
  ratio: float
  needed_atol: float | None


@dataclasses.dataclass(frozen=True)
class StageError:
  """Error of a variable's value at one stage; see `values.ValueComparison`."""

  stage: str
  passed: bool
  difference: float
  allowed: float
  ratio: float
  problem: str


@dataclasses.dataclass(frozen=True)
class Variable:
  """A variable of the two sides.

  Attributes:
    tf1: its name in TF1, '' where it has none.
    tf2: its name in TF2, '' where it has none.
    tf1_shape: its shape in TF1; None where it is not there.
    tf2_shape: the same of TF2.
    dtype: its dtype in TF1, else in TF2; '' where not known.
    trainable: its flag in TF1, else in TF2; None where not known.
    problem: what does not correspond, '' if all does.
    ratio: largest `ratio` of its values; infinite where there is a
      problem; None where no value was compared.
    errors: its errors, stage by stage.
    effect: how far the outputs move if it changes by its own size, over the
      largest output; None where that was not measured.
    line: line that created it, where known.
  """

  tf1: str
  tf2: str
  tf1_shape: list[int | None] | None
  tf2_shape: list[int | None] | None
  dtype: str
  trainable: bool | None
  problem: str
  ratio: float | None
  errors: list[StageError]
  effect: float | None
  line: str


def ratio(c: values.ValueComparison) -> float:
  """Returns the difference over what is allowed, at the worst element.

  It is above one, or infinite, where the pair differs.
  """
  if c.problem or math.isnan(c.difference):
    return math.inf if not c.passed else 0.0
  if c.allowed:
    return float(c.difference / c.allowed)
  return 0.0 if c.passed else math.inf


def sorted_pairs(
  pairs: Iterable[values.ValueComparison],
) -> list[values.ValueComparison]:
  """Returns pairs, those that differ most first, else in the given order."""
  return sorted(pairs, key=lambda c: (c.passed, -ratio(c)))


def summarize(key: Key, pairs: Sequence[values.ValueComparison]) -> Group:
  """Returns the summary of a group that is not empty."""
  worst = max(pairs, key=lambda c: (not c.passed, ratio(c)))
  numeric = [c for c in pairs if c.rtol or c.atol]
  needed = max((float(c.needed_atol) for c in numeric), default=math.inf)
  exact = any(not c.passed for c in pairs if not (c.rtol or c.atol))
  return Group(
    key.title,
    len(pairs),
    sum(not c.passed for c in pairs),
    worst.name,
    float(worst.difference),
    float(worst.allowed),
    ratio(worst),
    None if exact or not math.isfinite(needed) else needed,
  )


def variables(verdict: verdict_lib.Verdict) -> list[Variable]:
  """Returns the variables of a verdict, those that differ most first."""
  errors = _errors(verdict)
  effects = {} if verdict.response is None else verdict.response.effects
  rows = []
  table = verdict.table
  if table is not None:
    problems = _problems(table)
    for first, second in table.pairs:
      problem = problems.get(second.name, '')
      rows.append(
        _row(
          first,
          second,
          problem,
          errors.get(second.name, []),
          effect=effects.get(second.name),
        )
      )
    rows += [
      _row(first, None, 'missing in TF2', [], wanted)
      for first, wanted in table.missing
    ]
    rows += [_row(None, spec, 'extra in TF2', []) for spec in table.extra]
    rows += [
      _row(None, spec, 'not among the variables of the model', [])
      for spec in table.untracked
    ]
  known = {row.tf2 for row in rows}
  for name, found in errors.items():
    if name not in known:
      rows.append(_without_spec(name, found))
  return sorted(rows, key=_order)


def plain(value: Any) -> Any:
  """Returns a value of an array as what JSON knows; text for the rest."""
  if isinstance(value, np.ndarray) and value.ndim == 0:
    value = value[()]
  if value is None or isinstance(value, (bool, int, str)):
    return str(value) if isinstance(value, np.str_) else value
  if isinstance(value, np.bool_):
    return bool(value)
  if isinstance(value, np.integer):
    return int(value)
  if isinstance(value, (bytes, complex, np.complexfloating)):
    return repr(value.item() if isinstance(value, np.generic) else value)
  try:
    return float(value)
  except (TypeError, ValueError):
    return str(value)


def _errors(verdict: verdict_lib.Verdict) -> dict[str, list[StageError]]:
  """Returns the errors of the values of variables, by TF2 name."""
  found: dict[str, list[StageError]] = {}
  groups = dict(verdict.outcome.comparisons)
  for step in verdict.outcome.steps:
    groups.update(step)
  for key, pairs in groups.items():
    if not key.quantity.is_of_variables:
      continue
    stage = _STAGES.get(key.quantity, f'after step {key.step}')
    for c in pairs:
      found.setdefault(c.name, []).append(
        StageError(
          stage,
          c.passed,
          float(c.difference),
          float(c.allowed),
          ratio(c),
          wording.problem(c.problem) or wording.note(c.note),
        )
      )
  return found


def _problems(table: variables_lib.VariableTable) -> dict[str, str]:
  found: dict[str, str] = {}

  def add(name: str, problem: str) -> None:
    found[name] = found[name] + '; ' + problem if name in found else problem

  for _, shape, second in table.shapes:
    add(
      second.name,
      f'another shape: TF1 {list(shape)}, TF2 {list(second.shape)}',
    )
  for a, b in table.dtypes:
    add(b.name, f'another dtype: TF1 {a.dtype}, TF2 {b.dtype}')
  for a, b in table.trainable:
    add(b.name, f'trainable: TF1 {a.trainable}, TF2 {b.trainable}')
  for name in table.duplicates:
    add(name, 'several TF2 variables have this name')
  return found


def _row(
  first: observation.VariableSpec | None,
  second: observation.VariableSpec | None,
  problem: str,
  errors: list[StageError],
  wanted: str = '',
  effect: float | None = None,
) -> Variable:
  spec = first or second
  assert spec is not None
  if wanted and wanted != spec.name:
    problem += f' (expected as {wanted})'
  ratios = [error.ratio for error in errors] + [math.inf] * bool(problem)
  return Variable(
    first.name if first else '',
    second.name if second else '',
    list(first.shape) if first else None,
    list(second.shape) if second else None,
    spec.dtype,
    bool(spec.trainable),
    problem,
    max(ratios, default=None),
    errors,
    None if effect is None else float(effect),
    str(spec.line) if spec.line.filename else '',
  )


def _without_spec(name: str, errors: list[StageError]) -> Variable:
  """A variable of which only the comparison is known."""
  ratios = [error.ratio for error in errors]
  return Variable(
    '', name, None, None, '', None, '', max(ratios), errors, None, ''
  )


def _order(row: Variable) -> tuple[bool, float]:
  return not row.problem, -1.0 if row.ratio is None else -row.ratio
