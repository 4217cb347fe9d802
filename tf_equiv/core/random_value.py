"""The numbers that one random op drew, as plain data."""

import dataclasses
from typing import Tuple

import numpy as np

UNIFORM = 'uniform'
NORMAL = 'normal'
TRUNCATED_NORMAL = 'truncated normal'
INTEGERS = 'uniform integers'

# Type of op -> what it draws. The stateless ones are those that draw the same
# raw numbers in TF2.
FAMILIES = (
  ('RandomUniform', UNIFORM),
  ('StatelessRandomUniform', UNIFORM),
  ('StatelessRandomUniformV2', UNIFORM),
  ('StatefulUniform', UNIFORM),
  ('RandomStandardNormal', NORMAL),
  ('StatelessRandomNormal', NORMAL),
  ('StatelessRandomNormalV2', NORMAL),
  ('StatefulStandardNormalV2', NORMAL),
  ('TruncatedNormal', TRUNCATED_NORMAL),
  ('StatelessTruncatedNormal', TRUNCATED_NORMAL),
  ('StatelessTruncatedNormalV2', TRUNCATED_NORMAL),
  ('StatefulTruncatedNormal', TRUNCATED_NORMAL),
  ('RandomUniformInt', INTEGERS),
  ('StatelessRandomUniformInt', INTEGERS),
  ('StatelessRandomUniformIntV2', INTEGERS),
)


@dataclasses.dataclass(frozen=True)
class RandomValue:
  """What one random op drew.

  Attributes:
    family: what it draws, e.g. 'uniform' for numbers in [0, 1).
    name: name of the op.
    value: the numbers.
  """

  family: str
  name: str
  value: np.ndarray

  @property
  def key(self) -> Tuple[str, str, Tuple[int, ...]]:
    """What a draw of TF2 must have in common with it."""
    return self.family, self.value.dtype.name, tuple(self.value.shape)

  def __str__(self) -> str:
    return (
      f'{self.family} {self.value.dtype.name}{list(self.value.shape)} in '
      f'{self.name.rpartition("/")[0] or self.name}'
    )


def family_of(op_type: str) -> str:
  """Returns what a type of op draws, '' if it is not known to draw."""
  return dict(FAMILIES).get(op_type, '')
