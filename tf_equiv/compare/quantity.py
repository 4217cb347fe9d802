"""What is compared: quantities, and the keys of groups of comparisons."""

import dataclasses
import enum


class Quantity(enum.Enum):
  """A kind of values that is compared; its value is its name for users."""

  WEIGHTS = 'weights'
  OUTPUTS = 'outputs'
  REGULARIZATION_LOSSES = 'regularization losses'
  UPDATED_VARIABLES = 'updated variables'
  LOSS = 'loss'
  METRICS = 'metrics'
  GRADIENTS = 'gradients'
  INPUT_GRADIENTS = 'gradients of inputs'
  # Of training steps.
  LEARNING_RATE = 'learning rate'
  SLOTS = 'slots'
  VARIABLES = 'variables'
  UNTRAINED_VARIABLES = 'variables that are not trained'
  STEP_COUNTER = 'step counter'
  # Of one side, at two times.
  INFERENCE_CHANGES = 'variables before and after an inference call'
  LOADED = 'variables loaded'
  RESTORED = 'variables restored'
  RESTORED_OUTPUTS = 'outputs restored'

  @property
  def is_of_variables(self) -> bool:
    """Whether its values are those of variables, by TF2 name."""
    return self in _OF_VARIABLES

  @property
  def is_of_gradients(self) -> bool:
    """Whether its values are gradients."""
    return self in (Quantity.GRADIENTS, Quantity.INPUT_GRADIENTS)

  @property
  def precedes_optimizers(self) -> bool:
    """Whether hyperparameters of optimizers have no part in it."""
    return self in _BEFORE_OPTIMIZERS


_OF_VARIABLES = frozenset(
  {
    Quantity.WEIGHTS,
    Quantity.UPDATED_VARIABLES,
    Quantity.VARIABLES,
    Quantity.UNTRAINED_VARIABLES,
    Quantity.INFERENCE_CHANGES,
    Quantity.LOADED,
    Quantity.RESTORED,
  }
)
_BEFORE_OPTIMIZERS = frozenset(
  {
    Quantity.OUTPUTS,
    Quantity.REGULARIZATION_LOSSES,
    Quantity.LOSS,
    Quantity.GRADIENTS,
    Quantity.UNTRAINED_VARIABLES,
  }
)


@dataclasses.dataclass(frozen=True)
class Key:
  """Which group of comparisons.

  Attributes:
    quantity: what is compared.
    step: number of the training step, counted from 1; None outside of steps.
    slot: meaning of the slots, for `Quantity.SLOTS`.
  """

  quantity: Quantity
  step: int | None = None
  slot: str = ''

  @property
  def name(self) -> str:
    """The name without the step, e.g. 'slots (momentum)'."""
    name = self.quantity.value
    return f'{name} ({self.slot})' if self.slot else name

  @property
  def title(self) -> str:
    """The name by which users find the group, e.g. 'step 2: gradients'."""
    return self.name if self.step is None else f'step {self.step}: {self.name}'

  def __str__(self) -> str:
    return self.title
