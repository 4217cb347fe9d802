"""The result of a search for the divergence."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import repairs
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.tf1.capture import capture

Results = Mapping[capture.Label, np.ndarray]


@dataclasses.dataclass
class Result:
  """The result of a search.

  Attributes:
    divergence: the first divergence; None if the sides agree in float64.
    distance: largest distance of the results in float64.
    results: for each side, values of the results in float64 by label.
    single: where the sides agree, for each side its results as its graph gives
      them in float32.
    noise: where the sides agree, where rounding grows.
    assigned: where the sides agree, the ops that assign what differs.
    recorded: whether TF2 was recorded as it ran, in float32.
    alignment: which ops correspond.
    frontier: the ops of the divergence.
    graphs: the ops of each side.
    fixed: for each side, values of random draws by name of the tensor.
    places: all places where the sides diverge, in program order, where they
      were looked for; the first is `divergence`.
    proof: what remains when all of them are repaired.
    problem: why further places could not be looked for, '' if they could.
    draws_matter: whether other random numbers would make the results others.
  """

  divergence: divergence_lib.Divergence | None
  distance: float
  results: tuple[Results, Results]
  single: tuple[Results, Results] = ({}, {})
  noise: divergence_lib.Noise | None = None
  assigned: divergence_lib.Divergence | None = None
  recorded: bool = False
  alignment: alignment_lib.Alignment | None = None
  frontier: frontier_lib.Frontier | None = None
  graphs: tuple[graph_lib.Graph, graph_lib.Graph] | None = None
  fixed: tuple[dict, dict] = ({}, {})
  places: list[divergence_lib.Divergence] = dataclasses.field(
    default_factory=list
  )
  proof: repairs.Proof | None = None
  problem: str = ''
  draws_matter: bool | None = None

  @property
  def is_real(self) -> bool:
    """Whether the divergence cannot be rounding.

    In float64 it never is; else it must exceed by far what float32 rounds.
    """
    if self.divergence is None:
      return False
    return not self.recorded or self.distance > 100 * self.alignment.tolerance
