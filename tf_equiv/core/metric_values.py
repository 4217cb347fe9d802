"""What streaming metrics leave behind, batch by batch."""

import dataclasses
from typing import Dict, List

import numpy as np


@dataclasses.dataclass(frozen=True)
class MetricValues:
  """The metrics of one side over some batches.

  Attributes:
    values: the values of each metric after each batch, by its name.
    outputs: what the forward pass of each batch gave, by path.
    sizes: lengths of the vectors and matrices that each metric keeps as its
      state, ascending, by its name, where that is known: thresholds, classes.
  """

  values: Dict[str, List[np.ndarray]]
  outputs: List[Dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
  sizes: Dict[str, List[int]] = dataclasses.field(default_factory=dict)

  @property
  def batches(self) -> int:
    """Number of batches."""
    return max(map(len, self.values.values()), default=0)
