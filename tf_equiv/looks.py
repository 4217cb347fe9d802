"""What a look beyond a pass runs, and what it finds."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tf_equiv import trials
from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import dormant as records
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.core import errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import capturing

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True

_ADVICE = (
  'Make both sides compute the same where the lines above differ, or, if such '
  'inputs cannot occur, pass allow_dormant=True.'
)


class SideError(Exception):
  """One side cannot run; the error is the `__cause__`.

  Attributes:
    side: 'TF1' or 'TF2'.
  """

  def __init__(self, side: str):
    """Takes the side."""
    super().__init__(side)
    self.side = side


# Runs both sides with a plan and weights of TF1; raises `SideError`.
Rerun = Callable[[plan_lib.RunPlan, Mapping[str, np.ndarray]], 'Again']


@dataclasses.dataclass(frozen=True)
class Again:
  """Both sides, run again.

  Attributes:
    judged: whether they agree.
    subject: to look into them.
  """

  judged: trials.Judged
  subject: capturing.Subject


@dataclasses.dataclass(frozen=True)
class Look:
  """What a look beyond a pass has found.

  Attributes:
    witness: where the sides differ, None if nowhere.
    divergence: the place, where it is known.
    comparisons: what differs there, where both sides were run again.
    examination: what was done.
  """

  witness: records.Witness | None = None
  divergence: divergence_lib.Divergence | None = None
  comparisons: outcome_lib.Comparisons = dataclasses.field(default_factory=dict)
  examination: records.Examination = records.Examination()

  def applied(self, outcome: outcome_lib.Outcome) -> outcome_lib.Outcome:
    """Returns the outcome of an assertion that passed, with what was found."""
    outcome = dataclasses.replace(outcome, examination=self.examination)
    if self.witness is None:
      return outcome
    return dataclasses.replace(
      outcome,
      kind=outcome_lib.Kind.DORMANT,
      evidence=(self.witness, *outcome.evidence),
      comparisons=self.comparisons,
    )

  def explained(self, diagnosis: Diagnosis) -> Diagnosis:
    """Returns the diagnosis with the place that was found."""
    if self.witness is None:
      return diagnosis
    found = () if self.divergence is None else (self.divergence,)
    mistake = self.divergence.mistake if self.divergence is not None else ''
    return dataclasses.replace(
      diagnosis,
      kind=divergence_lib.DORMANT,
      divergences=found,
      advice=tuple(filter(None, (mistake, _ADVICE))),
    )


@contextlib.contextmanager
def of_side(side: str) -> Iterator[None]:
  """Context in which one side runs again, and may be unable to."""
  try:
    yield
  except errors.ModelCodeError as error:
    raise SideError(side) from error
  except errors.EquivalenceError:
    raise
  except Exception as error:  # Of an op, where no code of the user runs.
    raise SideError(side) from error
