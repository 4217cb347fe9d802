"""A diagnosis in the making."""

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.compare.outcome import Outcome


class Draft:
  """What is found out about an outcome, until it is a `Diagnosis`.

  Attributes:
    outcome: what is explained.
    kind: see `Diagnosis`.
    divergence: the first place where the sides diverge, None if not known.
    noise: see `Diagnosis`.
    evidence: see `Diagnosis`.
    notes: see `Diagnosis`.
    advice: see `Diagnosis`.
    draws_matter: see `Diagnosis`.
  """

  def __init__(self, outcome: Outcome, known: Diagnosis):
    """Takes an outcome, and what is known of its cause already."""
    self.outcome = outcome
    self.kind = known.kind
    self.divergence: divergence_lib.Divergence | None = known.divergence
    self.noise = known.noise
    self.evidence = list(known.evidence)
    self.notes = list(known.notes)
    self.advice = list(known.advice)
    self.draws_matter = known.draws_matter
    self._culprit = known.culprit

  def finish(self) -> Diagnosis:
    """Returns the diagnosis."""
    found = self.divergence
    return Diagnosis(
      kind=self.kind,
      divergences=() if found is None else (found,),
      noise=self.noise,
      culprit=self._culprit,
      evidence=tuple(self.evidence),
      notes=tuple(self.notes),
      advice=tuple(self.advice),
      draws_matter=self.draws_matter,
    )
