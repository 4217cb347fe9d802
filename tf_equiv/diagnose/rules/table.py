"""The table of known mistakes of a migration.

A rule is a function of a record that returns a sentence, the mistake with its
usual remedy, only where the evidence fits it, and '' otherwise. What a sentence
states, the rule has checked.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from tf_equiv.compare import divergence
from tf_equiv.compare.optimizers import OptimizerDifference
from tf_equiv.diagnose import facts
from tf_equiv.diagnose.rules import (
  initializers,
  layers,
  losses,
  optimizers,
  recurrent,
  sequences,
  statistics,
  update_rules,
  updates,
  variances,
)


@dataclasses.dataclass(frozen=True)
class Rule:
  """A mistake that can be recognized.

  Attributes:
    function: returns the sentence for a record, '' if it does not fit.
    record: type of the records that the function reads.
  """

  function: Callable[[Any], str]
  record: type

  @property
  def name(self) -> str:
    """Name of the mistake."""
    return self.function.__name__

  @property
  def domain(self) -> str:
    """What it is about: the module that holds the rule."""
    return self.function.__module__.rpartition('.')[2]


def _rules(record: type, *functions: Callable[[Any], str]) -> tuple[Rule, ...]:
  return tuple(Rule(function, record) for function in functions)


# The first rule that fits a record speaks.
RULES: tuple[Rule, ...] = (
  *_rules(
    divergence.Divergence,
    initializers.other_initializer,
    updates.reordered_updates,
    statistics.momentum,
    statistics.decay,
    statistics.average_not_applied,
    statistics.assigned_in_forward_pass,
    statistics.not_updated_in_tf2,
    statistics.not_updated_in_tf1,
    statistics.axes,
    statistics.epsilon,
    statistics.training_flag,
    layers.overflow,
    layers.resizing,
    layers.decoder,
    layers.partition_strategy,
    layers.keep_prob,
    layers.dropout_rate,
    losses.doubled_regularizer,
    losses.regularizer,
    layers.leaky_slope,
    losses.from_logits,
    losses.label_smoothing,
    recurrent.lost_mask,
    recurrent.reset_after,
    recurrent.gate_order,
    recurrent.hard_sigmoid_gates,
    recurrent.forget_bias,
    layers.dilation,
    layers.padding,
    layers.computed,
    layers.attention_scale,
    layers.gelu,
    layers.hard_sigmoid_of_keras_3,
    layers.hard_sigmoid,
    layers.stopped_gradient,
    optimizers.clipping,
    optimizers.scaled_gradient,
    optimizers.staircase,
    layers.activation,
    losses.reduction,
    layers.reduced_axes,
    layers.python_function,
    layers.operand_order,
  ),
  *_rules(
    OptimizerDifference,
    updates.decoupled_decay,
    updates.optimizer_epsilon,
    updates.other_algorithm,
    updates.other_hyperparameter,
  ),
  *_rules(facts.Rates, updates.shifted_rate),
  *_rules(
    facts.Gradients, updates.lone_regularization, updates.scaled_gradients
  ),
  *_rules(facts.Updates, update_rules.lone_decay, update_rules.bias_correction),
  *_rules(facts.FirstMoments, update_rules.coupled_decay),
  *_rules(facts.ScalarLosses, update_rules.scaled_loss),
  *_rules(facts.Outputs, sequences.padded_steps, sequences.lost_lengths),
  *_rules(facts.MovingStatistics, variances.uncorrected_variance),
)


def recognize(record: Any) -> str:
  """Returns the sentence of the first rule that fits a record, or ''.

  Args:
    record: what differs; only rules for records of its type are asked.
  """
  for rule in RULES:
    sentence = rule.function(record) if isinstance(record, rule.record) else ''
    if sentence:
      return sentence
  return ''
