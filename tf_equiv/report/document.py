"""A report as plain data: the JSON file is this, the page shows this."""

import dataclasses
import datetime
import itertools
from typing import Any

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import values
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core.draw import Draw
from tf_equiv.report import tables, text

FORMAT = 'tf_equiv report 1'


@dataclasses.dataclass(frozen=True)
class Layer:
  """How far a pair of corresponding ops is apart; see `divergence.LayerError`.

  Attributes:
    position: place in the order of TF1's program, from 0.
    tf1: name of the op in TF1.
    tf2: name of the op in TF2.
    op_type: its type in TF1.
    shape: shape of its output.
    differs: whether it is further apart than allowed.
    difference: difference of the values.
    allowed: what is allowed at this scale.
    scale: largest magnitude in TF1.
    noise: rounding error of float32 in TF1; None where not known.
    relative: difference over scale.
  """

  position: int
  tf1: str
  tf2: str
  op_type: str
  shape: tuple[int, ...]
  differs: bool
  difference: float
  allowed: float
  scale: float
  noise: float | None
  relative: float

  def share(self, what: str) -> float | None:
    """Returns 'allowed' or 'noise' over scale."""
    value = getattr(self, what)
    return None if value is None else value / (self.scale or 1.0)


@dataclasses.dataclass(frozen=True)
class Place:
  """An op: its name, its type, and the line of user code that made it."""

  name: str
  op_type: str
  line: str


@dataclasses.dataclass(frozen=True)
class Parting:
  """A place where the sides part; see `divergence.Divergence`."""

  tf1: Place | None
  tf2: Place | None
  values: tables.Pair | None
  differences: list[str]
  only_tf1: list[Place]
  only_tf2: list[Place]
  variables: list[str]
  mistake: str
  note: str
  seconds: float
  others: list['Parting']


@dataclasses.dataclass(frozen=True)
class Noise:
  """Where rounding grows; see `divergence.Noise`."""

  side: str
  result: str
  error: float
  scale: float
  place: Place | None
  factor: float
  tolerance: float


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
    message: the message of the failure, or the summary of a pass.
    groups: summary of each group of compared pairs.
    comparisons: all compared pairs by group, those that differ most first.
    variables: variables of both sides, those that differ most first.
    layers: corresponding ops in the order of TF1's program.
    parting: the first place where the sides part.
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
  kind: str
  power: str
  culprit: str
  evidence: list[str]
  notes: list[str]
  advice: list[str]
  message: str
  seconds: float
  earlier: list[verdict_lib.Step]
  rerun: dict[str, str]
  settings: dict[str, str]
  environments: dict[str, dict[str, str]]
  compared: dict[str, int]
  groups: list[tables.Group]
  comparisons: dict[str, list[tables.Pair]]
  variables: list[tables.Variable]
  parting: Parting | None
  noise: Noise | None
  layers: list[Layer]
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
    kind=verdict.kind,
    power=verdict.power,
    culprit=verdict.culprit,
    evidence=list(verdict.evidence),
    notes=list(verdict.notes),
    advice=list(verdict.advice),
    message=verdict.summary if verdict.passed else text.failure(verdict),
    seconds=verdict.seconds,
    earlier=list(verdict.earlier),
    rerun=dict(verdict.rerun),
    settings=dict(verdict.settings),
    environments={k: dict(v) for k, v in verdict.environments.items()},
    compared=dict(verdict.compared),
    groups=[
      tables.summarize(group, pairs)
      for group, pairs in verdict.comparisons.items()
      if pairs
    ],
    comparisons={
      group: tables.sorted_pairs(pairs)
      for group, pairs in verdict.comparisons.items()
    },
    variables=tables.variables(verdict),
    parting=None if found is None else _parting(found),
    noise=None if verdict.noise is None else _noise(verdict.noise),
    layers=_layers(found or verdict.noise),
    training=[
      _training_step(i + 1, groups) for i, groups in enumerate(verdict.steps)
    ],
    draws=[] if verdict.draws is None else align_draws(*verdict.draws),
  )


def _layers(
  found: divergence_lib.Divergence | divergence_lib.Noise | None,
) -> list[Layer]:
  if found is None:
    return []
  return [
    Layer(
      i,
      layer.tf1,
      layer.tf2,
      layer.op_type,
      tuple(layer.shape),
      layer.differs,
      layer.difference,
      layer.allowed,
      layer.scale,
      layer.noise,
      layer.difference / (layer.scale or 1.0),
    )
    for i, layer in enumerate(found.layers)
  ]


def _parting(found: divergence_lib.Divergence) -> Parting:
  return Parting(
    _place(found.tf1),
    _place(found.tf2),
    None if found.comparison is None else tables.pair(found.comparison),
    list(found.differences),
    [_place(place) for place in found.only_tf1],
    [_place(place) for place in found.only_tf2],
    list(found.variables),
    found.mistake,
    found.note,
    found.seconds,
    [_parting(other) for other in found.others],
  )


def _noise(found: divergence_lib.Noise) -> Noise:
  return Noise(
    found.side,
    found.result,
    found.error,
    found.scale,
    _place(found.place),
    found.factor,
    found.tolerance,
  )


def _place(place: divergence_lib.Place | None) -> Place | None:
  if place is None:
    return None
  return Place(place.name, place.op_type, place.line)


def _training_step(
  number: int, groups: dict[str, list[values.ValueComparison]]
) -> TrainingStep:
  made = [tables.summarize(group, pairs) for group, pairs in groups.items()]
  scalars = {
    c.name: [tables.plain(c.tf1_value), tables.plain(c.tf2_value)]
    for group in ('loss', 'outputs', 'learning rate')
    for c in groups.get(group, ())
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
  rows, odd = [], ([], [])

  def flush():
    for pair in itertools.zip_longest(*odd):
      rows.append(DrawRow(*pair, same=False))
    for cells in odd:
      cells.clear()

  # Draws without a mark are the same sequence on both sides.
  sides = (iter(tf1), iter(tf2))
  while True:
    common = []
    for draws, marked, cells in zip(sides, marks, odd, strict=True):
      for draw in draws:
        if draw.index not in marked:
          common.append(_cell(draw, ''))
          break
        cells.append(_cell(draw, marked[draw.index]))
    flush()
    if not common:
      return rows
    rows.append(DrawRow(*common, same=True))


def _marks(found: ledgers.LedgerDifference | None):
  """Returns {index of a draw: what is different about it} for each side."""
  tf1, tf2 = {}, {}
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
