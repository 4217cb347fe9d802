"""What an assertion takes for equal."""

import dataclasses

from tf_equiv.compare import tolerances
from tf_equiv.core import arguments


@dataclasses.dataclass(frozen=True)
class Criteria:
  """What may differ, what is compared, and what counts as a pass.

  Attributes:
    tolerance: how much values may differ.
    allow_empty: whether comparing nothing is a pass.
    allow_vacuous: whether agreement that proves nothing is a pass.
    compare_updates: whether variables that are not trained are compared after
      training steps.
    compare_hyperparameters: whether other hyperparameters of the optimizers are
      a difference even if all training steps agree.
    variants: names of the ways in which the TF2 side runs.
    allow_dormant: whether a pass is not looked beyond.
  """

  tolerance: tolerances.Tolerance = tolerances.Tolerance()
  allow_empty: bool = False
  allow_vacuous: bool = False
  compare_updates: bool = True
  compare_hyperparameters: bool = True
  variants: tuple[str, ...] = ('eager',)
  allow_dormant: bool = False

  def __post_init__(self) -> None:
    for name in (
      'allow_empty',
      'allow_vacuous',
      'compare_updates',
      'compare_hyperparameters',
      'allow_dormant',
    ):
      arguments.check_bool(getattr(self, name), name)

  def with_slack(self, factor: float) -> 'Criteria':
    """Returns criteria whose default tolerances are wider by a factor."""
    tolerance = dataclasses.replace(
      self.tolerance, slack=self.tolerance.slack * factor
    )
    return dataclasses.replace(self, tolerance=tolerance)
