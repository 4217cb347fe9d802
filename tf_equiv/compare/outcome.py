"""What a judge found, as plain data."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from tf_equiv.compare import (
  difference,
  envelopes,
  optimizers,
  step_vacuity,
  structures,
  values,
  variables,
)
from tf_equiv.compare import dormant as dormant_lib
from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import metrics as metrics_lib
from tf_equiv.compare import quantity as quantity_lib
from tf_equiv.compare import vacuity as vacuity_lib
from tf_equiv.core import observation

_Record = TypeVar('_Record')
Comparisons = Mapping[quantity_lib.Key, Sequence[values.ValueComparison]]


class Kind(enum.Enum):
  """What an outcome is about."""

  PASS = 'pass'
  # The variables do not correspond, or are not created once.
  VARIABLES = 'variables'
  CREATIONS = 'creations'
  RECREATED = 'variables created in each call'
  # Values differ.
  STRUCTURE = 'structure'
  VALUES = 'values'
  STEPS = 'training steps'
  HYPERPARAMETERS = 'hyperparameters'
  CURVES = 'training curves'
  SEEDS = 'final losses over seeds'
  METRICS = 'metrics'
  OTHER_WEIGHTS = 'fixed weights'
  # Agreement that proves nothing.
  NO_VARIABLES = 'no variables'
  NO_WATCHED_VARIABLES = 'no watched variables'
  NO_OUTPUTS = 'no outputs'
  NO_GRADIENTS = 'no gradients'
  NO_UPDATES = 'no updates'
  VACUOUS = 'vacuous'
  # The compared inputs do not awake it.
  DORMANT = 'dormant'
  # Checkpoints.
  MISFIT = 'checkpoint does not fit'
  NOT_TRACKABLE = 'model cannot be saved'
  UNSAVED = 'variables not saved'
  NOT_RESTORED = 'not restored'


@dataclasses.dataclass(frozen=True)
class Creation:
  """A variable that was created after the first call.

  Attributes:
    call: in which call.
    variable: what was created; `str()` and its `advice` say more.
  """

  call: str
  variable: Any


@dataclasses.dataclass(frozen=True)
class Misfit:
  """A checkpoint that does not fit a model.

  Attributes:
    path: the checkpoint.
    table: of `checkpoints.contents.fit`.
  """

  path: str
  table: variables.VariableTable


@dataclasses.dataclass(frozen=True)
class OtherWeights:
  """A variable to which the two sides gave another fixed value, by name."""

  name: str


@dataclasses.dataclass(frozen=True)
class Unsaved:
  """Variables that a TF2 checkpoint leaves out, by name."""

  names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Exchanged:
  """A variable that holds what another one was saved with."""

  name: str
  other: str


@dataclasses.dataclass(frozen=True)
class Variants:
  """In which variants the TF2 side agrees with TF1, and in which not."""

  failed: tuple[str, ...]
  passed: tuple[str, ...]


# What differs besides compared values. A text is what TensorFlow says.
Evidence: TypeAlias = (
  observation.VariableSpec
  | difference.Difference
  | structures.EqualOutputs
  | optimizers.OptimizerDifference
  | optimizers.LoneSlots
  | Creation
  | Misfit
  | OtherWeights
  | Unsaved
  | Exchanged
  | dormant_lib.Witness
  | str
)
# What an agreement proves.
Power: TypeAlias = (
  vacuity_lib.Response | vacuity_lib.GradientPower | step_vacuity.StepPower
)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What an assertion found.

  Attributes:
    assertion: name of the assertion.
    conditions: what was run, e.g. 'inference, fixed weights'.
    kind: what the outcome is about; `Kind.PASS` where the sides agree.
    comparisons: compared pairs by group, causes before effects.
    compared: number of items by kind, for the summary.
    table: how the variables correspond, where they were matched.
    evidence: records of what else differs, in the order in which to read them.
    ledger: difference of the random draws, where it matters.
    is_reordered: whether `ledger` gives draws other numbers than in TF1.
    stopped: whether what comes next was not compared because of the outcome.
    steps: compared pairs by group, for each training step.
    noise: number of elements by variable whose updates are rounding noise, and
      were not compared.
    vacuity: why agreement proves nothing, allowed or not.
    obstacle: why a model cannot be saved, in a sentence.
    response: which variables the outputs respond to, where that was measured.
    power: records of what an agreement proves.
    notes: what the runs say besides.
    unaligned: why TF2 could not compute with the random numbers of TF1, where
      its draws are others; '' else.
    variants: in which variants the sides agree, where there are several.
    examination: what the search for dormant differences has done.
    curves: what free training shows.
    metrics: what streaming metrics show.
  """

  assertion: str
  conditions: str = ''
  kind: Kind = Kind.PASS
  comparisons: Comparisons = dataclasses.field(default_factory=dict)
  compared: Mapping[str, int] = dataclasses.field(default_factory=dict)
  table: variables.VariableTable | None = None
  evidence: tuple[Evidence, ...] = ()
  ledger: ledgers.LedgerDifference | None = None
  is_reordered: bool = False
  stopped: bool = False
  steps: tuple[Comparisons, ...] = ()
  noise: Mapping[str, int] = dataclasses.field(default_factory=dict)
  vacuity: vacuity_lib.Vacuity | None = None
  obstacle: str = ''
  response: vacuity_lib.Response | None = None
  power: tuple[Power, ...] = ()
  notes: tuple[str, ...] = ()
  unaligned: str = ''
  variants: Variants | None = None
  examination: dormant_lib.Examination | None = None
  curves: envelopes.Found | None = None
  metrics: metrics_lib.Found | None = None

  @property
  def passed(self) -> bool:
    """Whether the sides agree."""
    return self.kind is Kind.PASS

  @property
  def is_empty(self) -> bool:
    """Whether it failed because there was nothing to compare."""
    return self.kind in _EMPTY

  def failing(self) -> list[quantity_lib.Key]:
    """Returns the groups that differ, causes before effects."""
    return failing(self.comparisons)

  def failed(self, key: quantity_lib.Key) -> list[values.ValueComparison]:
    """Returns the pairs of a group that differ."""
    return [c for c in self.comparisons.get(key, ()) if not c.passed]

  def evidence_of(self, record: type[_Record]) -> list[_Record]:
    """Returns the evidence of one type."""
    return [each for each in self.evidence if isinstance(each, record)]


_EMPTY = frozenset(
  {
    Kind.NO_VARIABLES,
    Kind.NO_WATCHED_VARIABLES,
    Kind.NO_OUTPUTS,
    Kind.NO_GRADIENTS,
    Kind.NO_UPDATES,
  }
)


def failing(comparisons: Comparisons) -> list[quantity_lib.Key]:
  """Returns the groups that differ, in order."""
  return [
    key
    for key, pairs in comparisons.items()
    if not all(pair.passed for pair in pairs)
  ]
