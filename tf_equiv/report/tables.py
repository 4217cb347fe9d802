"""Rows of the tables of a report: compared pairs, groups, variables."""

import dataclasses
import math
import re
from typing import Any

import numpy as np

from tf_equiv.compare import values
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import observation

# Groups of comparisons that are about the values of variables, by the stage
# at which they were compared.
_STAGES = {
  'weights': 'initial value',
  'updated variables': 'after the forward pass',
  'variables loaded': 'as loaded',
  'variables restored': 'as restored',
  'variables before and after an inference call': 'after an inference call',
}
_STEP = re.compile(r'step (\d+): variables')


@dataclasses.dataclass(frozen=True)
class Pair:
  """A compared pair; see `values.ValueComparison`.

  Attributes:
    ratio: difference over what is allowed, at the worst element; above one, or
      infinite, where the pair differs.
  """

  name: str
  passed: bool
  dtype: str
  shape: list[int]
  count: int
  differing: int
  worst_index: list[int]
  tf1_value: Any
  tf2_value: Any
  difference: float
  allowed: float
  ratio: float
  needed_atol: float
  rtol: float
  atol: float
  problem: str
  note: str


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
  """Error of a variable's value at one stage; see `Pair`."""

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
    ratio: largest `Pair.ratio` of its values; infinite where there is a
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


def pair(c: values.ValueComparison) -> Pair:
  """Returns the row of a comparison."""
  return Pair(
    c.name,
    c.passed,
    c.dtype,
    [int(size) for size in c.shape],
    int(c.count),
    int(c.differing),
    [int(i) for i in c.worst_index],
    plain(c.tf1_value),
    plain(c.tf2_value),
    float(c.difference),
    float(c.allowed),
    ratio(c),
    float(c.needed_atol),
    float(c.rtol),
    float(c.atol),
    c.problem,
    c.note,
  )


def ratio(c: values.ValueComparison) -> float:
  """Returns how far a pair is from agreement; above one if it differs."""
  if c.problem or math.isnan(c.difference):
    return math.inf if not c.passed else 0.0
  if c.allowed:
    return float(c.difference / c.allowed)
  return 0.0 if c.passed else math.inf


def sorted_pairs(pairs: list[values.ValueComparison]) -> list[Pair]:
  """Returns rows, those that differ most first, else in the given order."""
  return sorted(map(pair, pairs), key=lambda row: (row.passed, -row.ratio))


def summarize(name: str, pairs: list[values.ValueComparison]) -> Group:
  """Returns the summary of a group that is not empty."""
  worst = max(pairs, key=lambda c: (not c.passed, ratio(c)))
  numeric = [c for c in pairs if c.rtol or c.atol]
  needed = max((float(c.needed_atol) for c in numeric), default=math.inf)
  exact = any(not c.passed for c in pairs if not (c.rtol or c.atol))
  return Group(
    name,
    len(pairs),
    sum(not c.passed for c in pairs),
    worst.name,
    float(worst.difference),
    float(worst.allowed),
    ratio(worst),
    None if exact or not math.isfinite(needed) else needed,
  )


def is_of_variables(group: str) -> bool:
  """Tells whether a group of comparisons shows in the table of variables."""
  return group in _STAGES or bool(_STEP.match(group))


def is_of_gradients(group: str) -> bool:
  """Tells whether a group of comparisons is one of gradients."""
  return group.rpartition(': ')[2].startswith('gradients')


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


def _errors(verdict) -> dict[str, list[StageError]]:
  """Returns the errors of the values of variables, by TF2 name."""
  found = {}
  groups = dict(verdict.comparisons)
  for i, step in enumerate(verdict.steps):
    for group, pairs in step.items():
      groups[f'step {i + 1}: {group}'] = pairs
  for group, pairs in groups.items():
    step = _STEP.match(group)
    stage = 'after step ' + step.group(1) if step else _STAGES.get(group)
    if stage is None:
      continue
    for c in pairs:
      found.setdefault(c.name, []).append(
        StageError(
          stage,
          c.passed,
          float(c.difference),
          float(c.allowed),
          ratio(c),
          c.problem or c.note,
        )
      )
  return found


def _problems(table) -> dict[str, str]:
  found = {}

  def add(name, problem):
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


def _order(row: Variable):
  return not row.problem, -1.0 if row.ratio is None else -row.ratio
