"""What is known of the cause of an outcome, as plain data."""

import dataclasses

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import repairs


@dataclasses.dataclass(frozen=True)
class Diagnosis:
  """Why the sides differ, and what to do about it.

  Attributes:
    kind: of a difference, 'real', 'noise' or 'random order', '' where that was
      not examined; 'vacuous' where the results are rounding noise.
    divergences: places where the sides diverge, in program order.
    noise: how large rounding is, and where it grows.
    culprit: pass of Grappler without which the sides agree, '' if not known.
    evidence: lines about what was found, before those of the outcome.
    notes: what was not examined, and why.
    advice: what to do next.
    proof: what remains when all places are repaired, None where that was not
      looked into.
    draws_matter: whether random draws can be what makes the results differ,
      None where that was not examined.
  """

  kind: str = ''
  divergences: tuple[divergence_lib.Divergence, ...] = ()
  noise: divergence_lib.Noise | None = None
  culprit: str = ''
  evidence: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()
  advice: tuple[str, ...] = ()
  proof: repairs.Proof | None = None
  draws_matter: bool | None = None

  @property
  def divergence(self) -> divergence_lib.Divergence | None:
    """The first place where the sides diverge, None if none is known."""
    return self.divergences[0] if self.divergences else None
