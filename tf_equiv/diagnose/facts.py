"""What rules look at besides divergences: numbers of both sides."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rates:
  """The learning rate of each training step.

  Attributes:
    tf1: those of TF1.
    tf2: those of TF2.
  """

  tf1: Sequence[float]
  tf2: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Gradients:
  """Gradients that differ.

  Attributes:
    weights: values of the variables before the step.
    tf1: gradients that differ, by name of the variable.
    tf2: gradients of TF2.
    decay: weight decay of the TF2 optimizer, None if it has none.
    trained: number of gradients that were compared.
    losses: the loss of TF1 and that of TF2, None where they are not known.
  """

  weights: Arrays
  tf1: Arrays
  tf2: Arrays
  decay: float | None = None
  trained: int = 0
  losses: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Outputs:
  """Outputs that differ.

  Attributes:
    tf1: those of TF1, by path.
    tf2: those of TF2.
  """

  tf1: Arrays
  tf2: Arrays


@dataclasses.dataclass(frozen=True)
class MovingStatistics:
  """Variables that a forward pass updates, and that differ after it.

  Attributes:
    names: names of the TF2 variables that differ.
    sources: names of the TF1 variables by TF2 name.
    before: values in TF2 before the update.
    tf1: values after it, by TF1 name.
    tf2: values after it, by TF2 name.
  """

  names: Sequence[str]
  sources: Mapping[str, Sequence[str]]
  before: Arrays
  tf1: Arrays
  tf2: Arrays
