"""The outcome of an assertion, as plain data."""

import dataclasses

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import vacuity, values, variables
from tf_equiv.core.draw import Draw


@dataclasses.dataclass(frozen=True)
class Step:
  """An assertion that has run.

  Attributes:
    assertion: its name.
    conditions: what it ran.
    passed: whether the sides agreed.
    headline: the verdict of a failure in one line, '' if it passed.
    seconds: wall time.
  """

  assertion: str
  conditions: str
  passed: bool
  headline: str
  seconds: float


@dataclasses.dataclass
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
    assertion: name of the assertion.
    conditions: what was run, e.g. 'inference, fixed weights'.
    headline: the verdict of a failure in one line; '' if it passed.
    comparisons: compared pairs by group: 'weights', 'outputs',
      'regularization losses', 'loss', 'gradients'.
    compared: number of items by kind, for the summary.
    table: how the variables correspond, where they were matched.
    evidence: further lines, in the order in which to read them.
    ledger: difference of the random draws, where it matters.
    notes: what a reader should know of a pass, too: what was not compared.
    culprit: pass of Grappler without which the sides agree, '' if not known.
    divergence: the first op in which the sides part, where it was looked for.
    noise: how large rounding is and where it grows, where the kind is 'noise'
      or 'vacuous' and that was examined.
    kind: of a difference, 'real', 'noise' or 'random order', where that was
      examined;
      'vacuous' where the compared values prove nothing.
    response: which variables the outputs respond to, where that was measured.
    power: how much the outputs depend on, in one line, where that was measured.
    advice: what to do next.
    seconds: wall time.
    summary: the outcome in one line, as `str()` gives it.
    settings: what was asked for, by name: inputs, seeds, tolerances.
    environments: versions and switches by name, of 'TF1' and 'TF2'.
    draws: the random draws that matter, of TF1 and TF2, with the names of TF1;
      None where no draws are known.
    steps: compared pairs by quantity, for each training step.
    test: full name of the test; outside of one, that of its class.
    earlier: assertions of the same test that ran before.
    rerun: command lines that run the test again, by runner.
    report: path of the report about it, '' if none was written.
  """

  assertion: str
  conditions: str = ''
  headline: str = ''
  comparisons: dict[str, list[values.ValueComparison]] = dataclasses.field(
    default_factory=dict
  )
  compared: dict[str, int] = dataclasses.field(default_factory=dict)
  table: variables.VariableTable | None = None
  evidence: list[str] = dataclasses.field(default_factory=list)
  ledger: ledgers.LedgerDifference | None = None
  notes: list[str] = dataclasses.field(default_factory=list)
  culprit: str = ''
  divergence: divergence_lib.Divergence | None = None
  noise: divergence_lib.Noise | None = None
  kind: str = ''
  response: vacuity.Response | None = None
  power: str = ''
  advice: list[str] = dataclasses.field(default_factory=list)
  seconds: float = 0.0
  summary: str = ''
  settings: dict[str, str] = dataclasses.field(default_factory=dict)
  environments: dict[str, dict[str, str]] = dataclasses.field(
    default_factory=dict
  )
  draws: tuple[list[Draw], list[Draw]] | None = None
  steps: list[dict[str, list[values.ValueComparison]]] = dataclasses.field(
    default_factory=list
  )
  test: str = ''
  earlier: list[Step] = dataclasses.field(default_factory=list)
  rerun: dict[str, str] = dataclasses.field(default_factory=dict)
  report: str = ''

  @property
  def passed(self) -> bool:
    """Whether the sides agree."""
    return not self.headline

  def __bool__(self) -> bool:
    return self.passed

  def failed(self, group: str) -> list[values.ValueComparison]:
    """Returns the pairs of a group that differ."""
    return [c for c in self.comparisons.get(group, []) if not c.passed]

  def largest(self) -> values.ValueComparison | None:
    """Returns the numeric pair that comes closest to what is allowed.

    Only floating-point pairs count; None if there is none.
    """
    pairs = [
      c
      for group in self.comparisons.values()
      for c in group
      if c.atol or c.rtol
    ]
    if not pairs:
      return None

    def excess(c):
      if c.difference != c.difference:  # NaN
        return float('inf')
      return c.difference / c.allowed if c.allowed else c.difference

    return max(pairs, key=excess)

  def __str__(self) -> str:
    return self.summary or repr(self)
