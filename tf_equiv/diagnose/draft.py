"""A diagnosis in the making."""

import dataclasses

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.compare.outcome import Outcome
from tf_equiv.diagnose import advice_texts, labels
from tf_equiv.diagnose.repairs import arguments, updates


class Draft:
  """What is found out about an outcome, until it is a `Diagnosis`.

  Attributes:
    outcome: what is explained.
    kind: see `Diagnosis`.
    divergence: the first place where the sides diverge, None if not known.
    others: further independent places, in program order.
    proof: see `Diagnosis`.
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
    self.others: list[divergence_lib.Divergence] = list(known.divergences[1:])
    self.proof = known.proof
    self.noise = known.noise
    self.evidence = list(known.evidence)
    self.notes = list(known.notes)
    self.advice = list(known.advice)
    self.draws_matter = known.draws_matter
    self._culprit = known.culprit

  def finish(self) -> Diagnosis:
    """Returns the diagnosis."""
    found = self.divergence
    for place in () if found is None else (found, *self.others):
      place.repair = arguments.name(place)
    proof = self.proof
    if proof is not None:
      repaired = sum(
        place.repair is not None for place in (found, *self.others) if place
      )
      proof = dataclasses.replace(proof, repaired=repaired)
    return Diagnosis(
      kind=self.kind,
      divergences=() if found is None else (found, *self.others),
      noise=self.noise,
      culprit=self._culprit,
      evidence=tuple(self.evidence),
      notes=tuple(self.notes),
      advice=tuple(
        line
        for line in self.advice
        if line not in advice_texts.GENERAL or not self._is_explained()
      ),
      proof=proof,
      draws_matter=self.draws_matter,
    )

  def _is_explained(self) -> bool:
    """Returns whether a repair of what differs first is proven."""
    found, failing = self.divergence, self.outcome.failing()
    if found is None or found.repair is None:
      return False
    if found.group in updates.OF_OPTIMIZERS:
      return bool(found.repair.argument)
    if self.proof is None or not self.proof.is_complete:
      return False
    # What the search did not follow may be due to something else.
    return not failing or labels.group_of(failing[0]) is not None
