"""What a first look looks at: what was run, and what both sides did."""

import dataclasses

from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib


@dataclasses.dataclass(frozen=True)
class Run:
  """What was run, and what both sides did.

  Attributes:
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    pairing: how the variables correspond.
  """

  plan: plan_lib.RunPlan
  tf1: observation.Observation
  tf2: observation.Observation
  pairing: pairing_lib.Pairing
