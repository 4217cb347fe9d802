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
class Updates:
  """Updates of variables that differ, while their gradients agree.

  Attributes:
    step: number of the training step, from 1.
    before: values of the variables before it.
    tf1: how TF1 changed those that differ, by name of the TF2 variable.
    tf2: how TF2 changed them.
    rate: the learning rate, which is that of both sides; None where it was not
      compared.
    optimizers: names of the optimizers of TF1 and TF2.
    hyperparameters: those of TF1 and TF2.
    agreeing: how many trained variables agree.
  """

  step: int
  before: Arrays
  tf1: Arrays
  tf2: Arrays
  rate: float | None
  optimizers: tuple[str, str]
  hyperparameters: tuple[Mapping[str, object], Mapping[str, object]]
  agreeing: int


@dataclasses.dataclass(frozen=True)
class FirstMoments:
  """First moments of an optimizer that differ, while gradients agree.

  Attributes:
    weights: values of the variables before the step.
    tf1: moments that differ, by name of the TF2 variable.
    tf2: those of TF2.
    beta: how much of the old moment stays, None if it is not known.
  """

  weights: Arrays
  tf1: Arrays
  tf2: Arrays
  beta: float | None = None


@dataclasses.dataclass(frozen=True)
class ScalarLosses:
  """Scalars that training steps of one's own return, and that differ.

  Attributes:
    names: their names.
    tf1: values of TF1, one for each name and step.
    tf2: those of TF2.
    sizes: sizes of the batch, for each name of an input.
    gradients: what the gradients of TF2 are times those of TF1, where that is
      one number for all; None otherwise.
  """

  names: Sequence[str]
  tf1: Sequence[float]
  tf2: Sequence[float]
  sizes: Sequence[int]
  gradients: float | None = None


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
