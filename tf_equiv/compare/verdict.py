"""The verdict of an assertion: what was found, why, and under what."""

import dataclasses
from collections.abc import Mapping, Sequence

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import dormant as dormant_lib
from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import quantity as quantity_lib
from tf_equiv.compare import repairs, vacuity, values, variables
from tf_equiv.compare import run_info as run_info_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.core.draw import Draw


@dataclasses.dataclass(frozen=True)
class Words:
  """What the report says of a verdict.

  Attributes:
    headline: the verdict of a failure in one line; '' if it passed.
    cause: the same without what was not compared because of it.
    evidence: further lines, in the order in which to read them.
    notes: what a reader should know of a pass, too.
    power: how much the outputs depend on, in one line.
    summary: the outcome in one line.
  """

  headline: str = ''
  cause: str = ''
  evidence: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()
  power: str = ''
  summary: str = ''


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What an assertion found.

  Example:
    >>> class TwiceTest(MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0])
    ...   def build_tf1(self, inputs, training):
    ...     return inputs + inputs
    ...   def build_tf2(self):
    ...     return lambda x: 2 * x
    >>> verdict = TwiceTest().assertForwardEquivalent()
    >>> verdict.passed, verdict.conditions, verdict.largest().difference
    (True, 'inference, fixed weights', 0.0)

  Attributes:
    outcome: what differs.
    diagnosis: why, and what to do about it.
    run: under what it was found.
    words: the same in sentences.
  """

  outcome: outcome_lib.Outcome
  diagnosis: Diagnosis = Diagnosis()
  run: run_info_lib.RunInfo = dataclasses.field(
    default_factory=run_info_lib.RunInfo
  )
  words: Words = Words()

  @property
  def passed(self) -> bool:
    """Whether the sides agree."""
    return self.outcome.passed

  def __bool__(self) -> bool:
    return self.passed

  def failed(
    self, group: str | quantity_lib.Key
  ) -> list[values.ValueComparison]:
    """Returns the pairs of a group that differ."""
    return [
      c
      for key, pairs in self.outcome.comparisons.items()
      if group in (key, key.title)
      for c in pairs
      if not c.passed
    ]

  def largest(self) -> values.ValueComparison | None:
    """Returns the numeric pair that comes closest to what is allowed.

    Only floating-point pairs count; None if there is none.
    """
    pairs = [
      c
      for group in self.outcome.comparisons.values()
      for c in group
      if c.atol or c.rtol
    ]
    if not pairs:
      return None

    def excess(c: values.ValueComparison) -> float:
      if c.difference != c.difference:  # NaN
        return float('inf')
      return c.difference / c.allowed if c.allowed else c.difference

    return max(pairs, key=excess)

  def __str__(self) -> str:
    return self.summary or repr(self)

  @property
  def assertion(self) -> str:
    """Name of the assertion."""
    return self.outcome.assertion

  @property
  def conditions(self) -> str:
    """What was run, e.g. 'inference, fixed weights'."""
    return self.outcome.conditions

  @property
  def headline(self) -> str:
    """The verdict of a failure in one line; '' if it passed."""
    return self.words.headline

  @property
  def comparisons(self) -> dict[str, list[values.ValueComparison]]:
    """Compared pairs by the name of their group.

    Names are 'weights', 'outputs', 'regularization losses', 'loss',
    'gradients', and of training steps 'step 2: gradients'.
    """
    return {
      key.title: list(pairs) for key, pairs in self.outcome.comparisons.items()
    }

  @property
  def compared(self) -> Mapping[str, int]:
    """Number of items by kind."""
    return self.outcome.compared

  @property
  def table(self) -> variables.VariableTable | None:
    """How the variables correspond, where they were matched."""
    return self.outcome.table

  @property
  def evidence(self) -> list[str]:
    """Further lines, in the order in which to read them."""
    return list(self.words.evidence)

  @property
  def ledger(self) -> ledgers.LedgerDifference | None:
    """Difference of the random draws, where it matters."""
    return self.outcome.ledger

  @property
  def notes(self) -> list[str]:
    """What a reader should know of a pass, too: what was not compared."""
    return list(self.words.notes)

  @property
  def culprit(self) -> str:
    """Pass of Grappler without which the sides agree, '' if not known."""
    return self.diagnosis.culprit

  @property
  def divergence(self) -> divergence_lib.Divergence | None:
    """The first op in which the sides differ, where it was looked for."""
    return self.diagnosis.divergence

  @property
  def divergences(self) -> tuple[divergence_lib.Divergence, ...]:
    """All independent places where the sides differ, in program order."""
    return self.diagnosis.divergences

  @property
  def proof(self) -> repairs.Proof | None:
    """What remains with all places repaired, where that was tried."""
    return self.diagnosis.proof

  @property
  def noise(self) -> divergence_lib.Noise | None:
    """Analysis of rounding; for the kinds 'noise' and 'vacuous'."""
    return self.diagnosis.noise

  @property
  def kind(self) -> str:
    """Kind of a difference, where that was examined.

    It is 'real', 'noise' or 'random order', 'vacuous' where the compared
    values prove nothing, and 'dormant' where they agree, and others do not.
    """
    if self.outcome.vacuity is not None and not self.diagnosis.kind:
      return divergence_lib.VACUOUS
    return self.diagnosis.kind

  @property
  def witness(self) -> dormant_lib.Witness | None:
    """For what the sides differ, where the difference is dormant."""
    found = self.outcome.evidence_of(dormant_lib.Witness)
    return found[0] if found else None

  @property
  def response(self) -> vacuity.Response | None:
    """Which variables the outputs respond to, where that was measured."""
    return self.outcome.response

  @property
  def power(self) -> str:
    """What an agreement proves, in one line, where that was measured."""
    return self.words.power

  @property
  def advice(self) -> list[str]:
    """What to do next."""
    return list(self.diagnosis.advice)

  @property
  def steps(self) -> list[dict[str, list[values.ValueComparison]]]:
    """Compared pairs by the name of their group, for each training step."""
    return [
      {key.name: list(pairs) for key, pairs in step.items()}
      for step in self.outcome.steps
    ]

  @property
  def seconds(self) -> float:
    """Wall time."""
    return self.run.seconds

  @property
  def summary(self) -> str:
    """The outcome in one line, as `str()` gives it."""
    return self.words.summary

  @property
  def settings(self) -> Mapping[str, str]:
    """What was asked for, by name: inputs, seeds, tolerances."""
    return self.run.settings

  @property
  def environments(self) -> Mapping[str, Mapping[str, str]]:
    """Versions and switches by name, of 'TF1' and 'TF2'."""
    return self.run.environments

  @property
  def draws(self) -> tuple[list[Draw], list[Draw]] | None:
    """The random draws that matter, of TF1 and TF2, with the names of TF1.

    None where no draws are known.
    """
    return self.run.draws

  @property
  def test(self) -> str:
    """Full name of the test; outside of one, that of its class."""
    return self.run.test

  @property
  def earlier(self) -> Sequence[run_info_lib.Step]:
    """Assertions of the same test that ran before."""
    return self.run.earlier

  @property
  def rerun(self) -> Mapping[str, str]:
    """Command lines that run the test again, by runner."""
    return self.run.rerun

  @property
  def report(self) -> str:
    """Path of the report about it, '' if none was written."""
    return self.run.report

  @property
  def reproductions(self) -> Sequence[repairs.Reproduction]:
    """Programs beside the report that show the differences alone."""
    return self.run.reproductions
