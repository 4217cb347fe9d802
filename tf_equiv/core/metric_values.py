"""What streaming metrics leave behind, batch by batch."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Dict, List

import numpy as np

from tf_equiv.core import errors
from tf_equiv.core.text import listed

_MAX_NAMES = 5


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


def check_names(returned: Any, origin: str, expected: str) -> None:
  """Checks that what a template method returned has metrics by name.

  Args:
    returned: what it returned.
    origin: name of the method.
    expected: what it is expected to return.

  Raises:
    UsageError: if it is no dict with names, or an empty one.
  """
  if not isinstance(returned, Mapping):
    raise errors.UsageError(
      f'{origin} returned a {type(returned).__name__}; {expected}.'
    )
  if not returned:
    raise errors.UsageError(
      f'{origin} returned no metric, so that there is nothing to compare; '
      f'{expected}.'
    )
  wrong = [name for name in returned if not isinstance(name, str) or not name]
  if wrong:
    raise errors.UsageError(
      f'{origin} returned metrics whose names are no strings: '
      f'{listed(map(repr, wrong), _MAX_NAMES)}; {expected}.'
    )
