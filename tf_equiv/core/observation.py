"""What a run leaves behind: NumPy arrays and descriptions, no TensorFlow."""

import dataclasses
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from tf_equiv.core import curves as curves_lib
from tf_equiv.core import metric_values, nest
from tf_equiv.core.draw import Draw
from tf_equiv.core.random_value import RandomValue
from tf_equiv.core.source_line import SourceLine

# Kind of slot: an exponential moving average of the variable itself.
MOVING_AVERAGE = 'moving average'
# What a side may not know, for `Observation.unknown`.
TRAINABLE = 'trainable flags'
LOSSES = 'regularization losses'
# Key of the loss of a training step in `jitter`; no path of an output.
LOSS = 'loss'


@dataclasses.dataclass(frozen=True)
class VariableSpec:
  """A variable without its value.

  Attributes:
    name: full name without ':0'; for Keras 3, its path.
    shape: static shape.
    dtype: name of the type, e.g. 'float32'.
    trainable: whether optimizers update it.
    line: line of user code that created it, where known.
    tracked: whether the model lists it among its variables. What it does not
      list, but a layer keeps (the states of a stateful RNN), may correspond to
      a TF1 variable or to none.
    undecorated: whether TF1 code created it outside of the shim.
    role: what it is for, one of the constants of `roles`; '' if not known.
    center: the number about which its elements start, where the role has one.
  """

  name: str
  shape: Tuple[Optional[int], ...]
  dtype: str
  trainable: bool
  line: SourceLine = SourceLine()
  tracked: bool = True
  undecorated: bool = False
  role: str = ''
  center: float = 0.0

  def __str__(self) -> str:
    frozen = '' if self.trainable else ' not trainable'
    return f'{self.dtype}[{",".join(map(str, self.shape))}]{frozen}'


@dataclasses.dataclass(frozen=True)
class RegularizationLoss:
  """One regularization loss.

  Attributes:
    variables: names of the variables that it depends on, sorted; empty where
      they could not be told (an activity loss).
    value: the loss, a scalar.
  """

  variables: Tuple[str, ...]
  value: np.ndarray


@dataclasses.dataclass
class UpdateObservation:
  """One application of gradients by an optimizer.

  Attributes:
    optimizer: the optimizer's `OptimizerSpec`.
    gradients: gradient after clipping by name of the variable (None: not
      connected).
    learning_rate: the learning rate that was used, a scalar, where known.
    step: what its step counter (TF1: the global step that it was given, TF2:
      `iterations`) has counted up to after the step, where it has one.
    made: line of user code that made the optimizer, where known.
    scheduled: line of user code that made its learning rate, where known.
    applied: line of user code that applied the gradients, where it is the
      user's.
    operations: (name, type) of the op that updates a variable, by its name;
      for TF1.
    slot_names: what the slots are called in `StepObservation.slots`, by the
      names that the optimizer gives them.
  """

  optimizer: Any
  gradients: Dict[str, Optional[np.ndarray]]
  learning_rate: Optional[np.ndarray] = None
  step: Optional[int] = None
  made: SourceLine = SourceLine()
  scheduled: SourceLine = SourceLine()
  applied: SourceLine = SourceLine()
  operations: Dict[str, Tuple[str, str]] = dataclasses.field(
    default_factory=dict
  )
  slot_names: Dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Race:
  """A variable that one run reads and assigns without an order between them.

  Attributes:
    variable: its name.
    read: name of an op that reads it.
    assigned: name of the op that assigns it.
    read_at: line of user code that made the first.
    assigned_at: line of user code that made the second.
  """

  variable: str
  read: str
  assigned: str
  read_at: SourceLine = SourceLine()
  assigned_at: SourceLine = SourceLine()


@dataclasses.dataclass
class StepObservation:
  """What one training step did.

  Attributes:
    outputs: (path, value) of every output, or of what `train_tf1` and
      `train_tf2` return.
    losses: regularization losses.
    loss: the total loss; None where the step is the user's own.
    updates: applications of gradients, in program order.
    variables: values of the model's variables after the step, by name.
    slots: for each kind of slot, its values after the step by name of the
      variable, in the terms of `tf.compat.v1.train`.
    unknown: names of variables that are updated by gradients which are not
      known.
    state: values after the step of what is no variable of the model (slots,
      counters, averages), by name; for TF1.
  """

  outputs: List[Tuple[str, np.ndarray]] = dataclasses.field(
    default_factory=list
  )
  losses: List[RegularizationLoss] = dataclasses.field(default_factory=list)
  loss: Optional[np.ndarray] = None
  updates: List[UpdateObservation] = dataclasses.field(default_factory=list)
  variables: Dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  slots: Dict[str, Dict[str, np.ndarray]] = dataclasses.field(
    default_factory=dict
  )
  unknown: List[str] = dataclasses.field(default_factory=list)
  state: Dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Observation:
  """What one side did under a plan.

  Attributes:
    side: 'TF1' or 'TF2'.
    variables: the model's variables, in order of creation (TF1) or as the
      model lists them (TF2).
    untracked: TF2 variables that the model created but does not list.
    weights: values of `variables` before the observed forward pass.
    structure: what the outputs look like.
    outputs: (path, value) of every output that is not None.
    output_order: for each path, its position in forward order where known.
    losses: regularization losses.
    updated: values of the variables that are not trainable after the forward
      pass (moving statistics), by name, where the plan asks for them.
    loss: the scalar loss, where gradients were asked for.
    user_losses: the parts of `loss` that `compute_loss` returned, by path.
    input_gradients: gradients with respect to the inputs, by path.
    gradients: gradient per trainable variable (None: not connected), in the
      order of the trainable ones of `variables`.
    steps: the training steps, where the plan has any.
    curves: what free training leaves behind, in place of `steps`.
    metrics: what streaming metrics leave behind, where the plan asks for them.
    optimizer_variables: names of the TF1 variables that belong to optimizers
      and not to the model: slots, counters, moving averages.
    preexisting: names of the variables that existed before the model was
      built.
    recreated: variables that a second call created anew.
    draws: ledger of random draws.
    random_values: what the random ops of TF1's forward pass drew.
    injected: whether TF2 computed with TF1's random values.
    unaligned: why it could not, where its draws are others; '' else.
    activations: bytes of all floating-point values that the forward pass
      computes, as far as their shapes are static.
    jitter: median change of each floating-point output, by path, when the
      inputs move by one unit in the last place (the weights, where no input
      can); empty where none can. Of training
      steps it is that of the first, with the loss as LOSS.
    sensitivity: effect of each variable on the outputs, by name, over the
      largest output, where it was measured.
    notes: what else a reader should know of the run.
    races: variables that a training step of TF1 reads and assigns without an
      order, so that it cannot be repeated.
    unknown: kinds of facts that this side cannot know (TRAINABLE, LOSSES), so
      that nothing is compared with them.
    takes_training: whether the model was given the training flag.
    depends_on_training: whether the forward pass is known to behave
      differently in training (random ops, update ops).
    environment: versions.
    seconds: wall time per stage.
  """

  side: str
  variables: List[VariableSpec] = dataclasses.field(default_factory=list)
  untracked: List[VariableSpec] = dataclasses.field(default_factory=list)
  weights: List[np.ndarray] = dataclasses.field(default_factory=list)
  structure: Optional[nest.Structure] = None
  outputs: List[Tuple[str, np.ndarray]] = dataclasses.field(
    default_factory=list
  )
  output_order: Dict[str, int] = dataclasses.field(default_factory=dict)
  losses: List[RegularizationLoss] = dataclasses.field(default_factory=list)
  updated: Dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  loss: Optional[np.ndarray] = None
  user_losses: Dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  input_gradients: Dict[str, np.ndarray] = dataclasses.field(
    default_factory=dict
  )
  gradients: List[Optional[np.ndarray]] = dataclasses.field(
    default_factory=list
  )
  steps: List[StepObservation] = dataclasses.field(default_factory=list)
  optimizer_variables: List[str] = dataclasses.field(default_factory=list)
  preexisting: List[str] = dataclasses.field(default_factory=list)
  recreated: List[VariableSpec] = dataclasses.field(default_factory=list)
  draws: List[Draw] = dataclasses.field(default_factory=list)
  random_values: List[RandomValue] = dataclasses.field(default_factory=list)
  injected: bool = False
  unaligned: str = ''
  activations: int = 0
  jitter: Dict[str, float] = dataclasses.field(default_factory=dict)
  sensitivity: Dict[str, float] = dataclasses.field(default_factory=dict)
  notes: List[str] = dataclasses.field(default_factory=list)
  races: List[Race] = dataclasses.field(default_factory=list)
  unknown: List[str] = dataclasses.field(default_factory=list)
  takes_training: bool = True
  depends_on_training: bool = False
  environment: Dict[str, Any] = dataclasses.field(default_factory=dict)
  seconds: Dict[str, float] = dataclasses.field(default_factory=dict)
  curves: Optional[curves_lib.Curves] = None
  metrics: Optional[metric_values.MetricValues] = None

  def weight_of(self) -> Dict[str, np.ndarray]:
    """Values of the variables by name (TF1 names are unique)."""
    return {s.name: w for s, w in zip(self.variables, self.weights)}

  def trainable(self) -> List[VariableSpec]:
    """The trainable variables, in order; `gradients` follows this order."""
    return [spec for spec in self.variables if spec.trainable]
