"""A report as plain data: the JSON file is this, the page shows this."""

import dataclasses
import datetime
import itertools
from collections.abc import Iterator
from typing import Any

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import repairs, run_info, values
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core.draw import Draw
from tf_equiv.report import repair_text, tables, text

FORMAT = 'tf_equiv report 1'
# Quantities of a training step of which scalars are plotted, in this order.
_SCALARS = (Quantity.LOSS, Quantity.OUTPUTS, Quantity.LEARNING_RATE)


@dataclasses.dataclass(frozen=True)
class DrawCell:
  """A random draw of one side; `mark` says what is different about it."""

  index: int
  op: str
  shape: list[int] | None
  purpose: str
  seed: int
  line: str
  mark: str


@dataclasses.dataclass(frozen=True)
class DrawRow:
  """The draws of both sides at one place of the aligned ledgers."""

  tf1: DrawCell | None
  tf2: DrawCell | None
  same: bool


@dataclasses.dataclass(frozen=True)
class TrainingStep:
  """One training step.

  Attributes:
    number: counted from 1.
    passed: whether all quantities agree.
    groups: compared quantities.
    scalars: TF1's and TF2's value of the loss, of each scalar output, and of
      the learning rate.
  """

  number: int
  passed: bool
  groups: list[tables.Group]
  scalars: dict[str, list[Any]]


@dataclasses.dataclass(frozen=True)
class Document:
  """A report; see `verdict.Verdict` for what is not explained here.

  Attributes:
    format: name and version of this format.
    written: when, in ISO 8601 with the offset from UTC.
    result: 'fail', 'pass', or 'differs' where a difference was found without a
      failure.
    cause: the headline of a failure without what was not compared because of
      it; '' of others.
    message: the message of the failure, or the summary of a pass.
    groups: summary of each group of compared pairs.
    comparisons: all compared pairs by group, those that differ most first.
    variables: variables of both sides, those that differ most first.
    layers: corresponding ops in the order of TF1's program.
    parting: the first place where the sides diverge.
    places: all places where they do, in program order, the first one included.
    proof: what remains with all of them repaired.
    reproductions: the programs beside the report that show places alone, by
      the names of their files, or why there are none.
    noise: where rounding grows, if that is the difference.
    training: the training steps.
    draws: the aligned ledgers of random draws.
  """

  format: str
  written: str
  test: str
  assertion: str
  conditions: str
  result: str
  headline: str
  cause: str
  kind: str
  power: str
  culprit: str
  evidence: list[str]
  notes: list[str]
  advice: list[str]
  message: str
  seconds: float
  earlier: list[run_info.Step]
  rerun: dict[str, str]
  settings: dict[str, str]
  environments: dict[str, dict[str, str]]
  compared: dict[str, int]
  groups: list[tables.Group]
  comparisons: dict[Key, list[values.ValueComparison]]
  variables: list[tables.Variable]
  parting: divergence_lib.Divergence | None
  places: list[divergence_lib.Divergence]
  proof: repairs.Proof | None
  reproductions: list[repairs.Reproduction]
  noise: divergence_lib.Noise | None
  layers: list[divergence_lib.LayerError]
  training: list[TrainingStep]
  draws: list[DrawRow]


def build(verdict: verdict_lib.Verdict) -> Document:
  """Makes the report of a verdict."""
  found = verdict.divergence
  result, headline = 'fail', verdict.headline
  if verdict.passed:
    result, headline = 'pass', verdict.summary
    if found is not None:  # Looked for without a failure.
      result, headline = (
        'differs',
        f'First divergence: {found.tf1 or found.tf2}',
      )
  return Document(
    format=FORMAT,
    written=datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
    test=verdict.test,
    assertion=verdict.assertion,
    conditions=verdict.conditions,
    result=result,
    headline=headline,
    cause=verdict.words.cause,
    kind=verdict.kind,
    power=verdict.power,
    culprit=verdict.culprit,
    evidence=list(verdict.evidence),
    notes=list(verdict.notes),
    advice=[*verdict.advice, *_repairs(verdict)],
    message=verdict.summary if verdict.passed else text.failure(verdict),
    seconds=verdict.seconds,
    earlier=list(verdict.earlier),
    rerun=dict(verdict.rerun),
    settings=dict(verdict.settings),
    environments={k: dict(v) for k, v in verdict.environments.items()},
    compared=dict(verdict.compared),
    groups=[
      tables.summarize(key, pairs)
      for key, pairs in verdict.outcome.comparisons.items()
      if pairs
    ],
    comparisons={
      key: tables.sorted_pairs(pairs)
      for key, pairs in verdict.outcome.comparisons.items()
    },
    variables=tables.variables(verdict),
    parting=found,
    places=list(verdict.divergences),
    proof=verdict.proof,
    reproductions=list(verdict.reproductions),
    noise=verdict.noise,
    layers=_layers(verdict),
    training=[
      _training_step(i + 1, groups)
      for i, groups in enumerate(verdict.outcome.steps)
    ],
    draws=[] if verdict.draws is None else align_draws(*verdict.draws),
  )


def _repairs(verdict: verdict_lib.Verdict) -> list[str]:
  """Returns what to do about places whose repair is known."""
  if verdict.passed:  # They were looked for without a failure.
    return []
  return repair_text.next_steps(verdict.divergences, verdict.proof)


def _layers(verdict: verdict_lib.Verdict) -> list[divergence_lib.LayerError]:
  found = verdict.divergence or verdict.noise
  return [] if found is None else list(found.layers)


def _training_step(
  number: int, groups: outcome_lib.Comparisons
) -> TrainingStep:
  made = [
    tables.summarize(dataclasses.replace(key, step=None), pairs)
    for key, pairs in groups.items()
  ]
  scalars = {
    c.name: [tables.plain(c.tf1_value), tables.plain(c.tf2_value)]
    for quantity in _SCALARS
    for key, pairs in groups.items()
    if key.quantity is quantity
    for c in pairs
    if c.count == 1 and not c.shape and c.dtype.startswith(('float', 'bfloat'))
  }
  passed = all(not group.differing for group in made)
  return TrainingStep(number, passed, made, scalars)


def align_draws(tf1: list[Draw], tf2: list[Draw]) -> list[DrawRow]:
  """Puts two ledgers side by side, and marks what is different.

  Args:
    tf1: draws of the reference in program order.
    tf2: draws of the candidate in program order.

  Returns:
    The rows. Draws that correspond share one; what is different stands before
    the next ones that do.
  """
  marks = _marks(ledgers.compare_ledgers(tf1, tf2))
  rows: list[DrawRow] = []
  sides = iter(tf1), iter(tf2)
  while True:
    odd, common = _up_to_common(sides, marks)
    rows += [
      DrawRow(first, second, same=False)
      for first, second in itertools.zip_longest(*odd)
    ]
    if None in common:
      return rows
    rows.append(DrawRow(*common, same=True))


def _up_to_common(
  sides: tuple[Iterator[Draw], Iterator[Draw]],
  marks: tuple[dict[int, str], dict[int, str]],
) -> tuple[
  tuple[list[DrawCell], list[DrawCell]],
  tuple[DrawCell | None, DrawCell | None],
]:
  """Reads both ledgers up to the next draw that they have in common.

  Draws without a mark are the same sequence on both sides.
  """
  odd: tuple[list[DrawCell], list[DrawCell]] = ([], [])
  common: list[DrawCell | None] = [None, None]
  for i, draws in enumerate(sides):
    for draw in draws:
      if draw.index not in marks[i]:
        common[i] = _cell(draw, '')
        break
      odd[i].append(_cell(draw, marks[i][draw.index]))
  return odd, (common[0], common[1])


def _marks(
  found: ledgers.LedgerDifference | None,
) -> tuple[dict[int, str], dict[int, str]]:
  """Returns {index of a draw: what is different about it} for each side."""
  tf1: dict[int, str] = {}
  tf2: dict[int, str] = {}
  if found is not None:
    for a, b in found.moved:
      tf1[a.index] = f'TF2 makes it as draw {b.index}'
      tf2[b.index] = f'TF1 makes it as draw {a.index}'
    for a, b in found.replaced:
      tf1[a.index] = f'TF2 makes another draw, {b.index}'
      tf2[b.index] = f'TF1 makes another draw, {a.index}'
    tf1.update({draw.index: 'only in TF1' for draw in found.only_tf1})
    tf2.update({draw.index: 'only in TF2' for draw in found.only_tf2})
  return tf1, tf2


def _cell(draw: Draw, mark: str) -> DrawCell:
  return DrawCell(
    draw.index,
    draw.op,
    None if draw.shape is None else list(draw.shape),
    draw.purpose,
    draw.seed,
    str(draw.line),
    mark,
  )
