"""What to do next, by what differs: the last lines of a failure."""

from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import (
  difference,
  draws,
  judge_forward,
  metrics,
  structures,
  values,
)
from tf_equiv.compare.outcome import Creation, Kind, Misfit, Outcome
from tf_equiv.compare.quantity import Quantity
from tf_equiv.compare.values import ProblemKind
from tf_equiv.core import observation, text
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import advice_texts as texts
from tf_equiv.diagnose import step_facts, variable_advice
from tf_equiv.diagnose.rules import evidence

# How slots of momentum, and optimizers that keep them, are called.
_MOMENTUM = 'momentum'


def for_outcome(outcome: Outcome) -> list[str]:
  """Returns advice for which the outcome alone is needed."""
  kind = outcome.kind
  if kind is Kind.VARIABLES and outcome.table is not None:
    return variable_advice.for_table(outcome.table)
  if kind is Kind.CREATIONS:
    return _for_creations(outcome)
  if kind is Kind.RECREATED:
    specs = outcome.evidence_of(observation.VariableSpec)
    if any(spec.undecorated for spec in specs):
      return [text.UNDECORATED_ADVICE]
    return ['assertNoNewVariables tells the cause of each.']
  if kind is Kind.VALUES:
    found = texts.OF_CHECKPOINTS.get(outcome.failing()[0].quantity)
    return [found] if found else []
  if kind is Kind.MISFIT:
    return variable_advice.for_misfit(outcome.evidence_of(Misfit)[0].table)
  if kind is Kind.STRUCTURE:
    return _for_structure(outcome)
  if outcome.metrics is not None and kind in (Kind.METRICS, Kind.VACUOUS):
    return _for_metrics(outcome.metrics)
  if kind is Kind.VACUOUS and (outcome.steps or outcome.curves is not None):
    return [texts.VACUOUS_STEPS]
  return [texts.OF_KIND[kind]] if kind in texts.OF_KIND else []


def _for_metrics(found: metrics.Found) -> list[str]:
  """Returns what to do about the causes that were found."""
  differing = found.differing()
  if not differing:
    return [texts.VACUOUS_METRICS]
  lines = []
  for stream in differing:
    # Of several that fit, any one is enough.
    for cause in stream.causes[:1]:
      changes = ', '.join(f'{c.argument}={c.new!r}' for c in cause.changes)
      lines.append(
        texts.OF_METRICS[cause.kind].format(
          name=stream.name,
          metric=cause.metric,
          changes=changes,
          other=cause.other,
        )
      )
  if not differing[0].causes:
    first = texts.METRIC if found.outputs is None else texts.METRIC_OUTPUTS
    lines.insert(0, first)
  return list(dict.fromkeys(lines))


def _for_structure(outcome: Outcome) -> list[str]:
  found = outcome.evidence_of(difference.Difference)
  specs = [d for d in found if d.kind is difference.Kind.OUTPUT]
  lines = []
  if any(
    d.kind not in (difference.Kind.OUTPUT, difference.Kind.PERMUTED)
    for d in found
  ):
    lines.append(texts.OTHER_NEST)
  if any(d.kind is difference.Kind.PERMUTED for d in found):
    return [texts.OTHER_NEST]
  if any(map(structures.has_other_dtype, specs)):
    lines.append(texts.OTHER_DTYPE)
  if any(map(structures.has_other_shape, specs)):
    lines.append(texts.OTHER_SHAPE)
  return lines


def _for_creations(outcome: Outcome) -> list[str]:
  found = [each.variable.advice for each in outcome.evidence_of(Creation)]
  if outcome.comparisons:
    found.append(texts.INFERENCE_CHANGES)
  return list(dict.fromkeys(found))


def for_draws(outcome: Outcome, tf2: observation.Observation) -> list[str]:
  """Returns advice on random draws, where they are the cause."""
  old = judge_forward.preexisting(outcome, tf2)
  if old:
    return [texts.OLD_VARIABLES.format(len(old), old[0])]
  if outcome.ledger is not None and outcome.is_reordered:
    return _for_order(outcome.ledger)
  return []


def for_values(
  outcome: Outcome,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> list[str]:
  """Returns advice on values of a forward pass that differ."""
  key = outcome.failing()[0]
  ledger, found = outcome.ledger, []
  by_flag = plan.training and _depends_on_flag(tf1)
  if by_flag and not tf2.takes_training:
    found.append(texts.UNAWARE)
  if ledger is not None and not ledger.tf2_count:
    if plan.training or plan.weights == plan_lib.SEEDED:
      found.append(texts.NO_DRAWS)
  elif ledger is not None and ledger.repeated:
    found.append(texts.LOOP)
  return found + _for_quantity(
    key.quantity, outcome.failed(key), by_flag, bool(tf2.losses)
  )


def _depends_on_flag(tf1: observation.Observation) -> bool:
  """Returns whether TF1 has dropout or batch normalization."""
  return tf1.depends_on_training or any(
    evidence.MOVING.search(spec.name) for spec in tf1.variables
  )


def _for_quantity(
  quantity: Quantity,
  failed: Sequence[values.ValueComparison],
  by_flag: bool,
  has_losses: bool,
) -> list[str]:
  """Returns advice on values that differ.

  Args:
    quantity: what differs first.
    failed: its comparisons that differ.
    by_flag: whether it is a run in training, and TF1 is another one then.
    has_losses: whether TF2 has regularization losses.
  """
  if _both_nan(failed):
    return [texts.BOTH_NAN]
  if quantity is Quantity.OUTPUTS:
    return [texts.OUTPUTS_IN_TRAINING if by_flag else texts.LOOK_INSIDE]
  if quantity is Quantity.REGULARIZATION_LOSSES and not has_losses:
    return [texts.NO_REGULARIZATION]
  flags = ProblemKind.NOT_TRAINABLE, ProblemKind.UNEXPECTED_UPDATE
  is_trained = quantity not in (
    Quantity.WEIGHTS,
    Quantity.REGULARIZATION_LOSSES,
  )
  if is_trained and any(c.problem and c.problem.kind in flags for c in failed):
    return [texts.TRAINABLE]
  if quantity is Quantity.UPDATED_VARIABLES and not any(
    evidence.MOVING.search(c.name) for c in failed
  ):
    return [texts.OTHER_ASSIGNMENT]
  return [texts.OF_QUANTITY[quantity]] if quantity in texts.OF_QUANTITY else []


def for_step(
  outcome: Outcome,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> list[str]:
  """Returns advice on a training step that differs."""
  key = outcome.failing()[0]
  step = (key.step or 1) - 1
  if key.quantity is Quantity.SLOTS and key.slot == _MOMENTUM:
    if _rate_changes(tf1, step):
      return [texts.MOMENTUM_UNDER_SCHEDULE]
  if key.slot == observation.MOVING_AVERAGE:
    return [texts.OF_AVERAGE]
  if key.quantity is Quantity.OUTPUTS and tf1.steps[step].loss is None:
    return [texts.OWN_LOOP]
  if key.quantity is Quantity.OUTPUTS and step:
    return [texts.LATER_OUTPUTS]
  if key.quantity is Quantity.VARIABLES:
    return [_for_update(outcome)]
  if key.quantity in (Quantity.OUTPUTS, Quantity.REGULARIZATION_LOSSES):
    by_flag = plan.training and _depends_on_flag(tf1)
    unaware = [texts.UNAWARE] if by_flag and not tf2.takes_training else []
    return unaware + _for_quantity(
      key.quantity, outcome.failed(key), by_flag, bool(tf2.losses)
    )
  if key.quantity is Quantity.GRADIENTS and tf1.steps[step].loss is None:
    return [texts.GRADIENTS_OF_OWN_LOOP]
  return [texts.STEP[key.quantity]]


def _for_update(outcome: Outcome) -> str:
  """Advice on variables that differ, by what was compared before."""
  key = outcome.failing()[0]
  compared = [
    step_facts.were_compared(outcome, each.name) for each in outcome.failed(key)
  ]
  gradients = all(of_gradient for of_gradient, _ in compared)
  rate = all(of_rate for _, of_rate in compared)
  if gradients and rate:
    return texts.STEP[Quantity.VARIABLES]
  if gradients:
    return texts.UPDATE_WITHOUT_RATE
  if not any(of_gradient for of_gradient, _ in compared):
    return texts.UPDATE_WITHOUT_GRADIENTS
  return texts.UPDATE_PARTLY


def for_races(races: Sequence[observation.Race]) -> str:
  """Says that a program cannot be repeated, and what to do."""
  first = races[0]
  places = [
    str(line) if line.filename else op
    for line, op in (
      (first.read_at, first.read),
      (first.assigned_at, first.assigned),
    )
  ]
  more = f' (and {len(races) - 1} more)' if len(races) > 1 else ''
  return texts.RACE.format(first.variable + more, *places)


def _rate_changes(tf1: observation.Observation, step: int) -> bool:
  """Returns whether a learning rate has changed up to this step."""
  rates = {
    (i, float(update.learning_rate))
    for each in tf1.steps[: step + 1]
    for i, update in enumerate(each.updates)
    if update.optimizer.kind == _MOMENTUM and update.learning_rate is not None
  }
  return len(rates) > len({i for i, _ in rates})


def for_hyperparameters(mistake: str) -> list[str]:
  """Returns advice on optimizers that differ.

  Args:
    mistake: what a rule says, '' if none fits.
  """
  return [line for line in (mistake, texts.HYPERPARAMETERS) if line]


def for_variants(outcome: Outcome, culprit: str) -> list[str]:
  """Returns advice on a difference that not all variants have.

  Args:
    outcome: that of the first variant that fails.
    culprit: pass of Grappler without which the sides agree, '' if not known.
  """
  if outcome.variants is None or outcome.passed:
    return []
  if culprit:
    return [texts.GRAPPLER.format(culprit)]
  if 'eager' not in outcome.variants.passed:
    return []
  chosen = outcome.variants.failed[0]
  return [
    texts.MIRRORED if chosen == 'mirrored' else texts.VARIANT.format(chosen)
  ]


def explain_missing_training(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> str | None:
  """Returns what is wrong where the TF2 model cannot run in training mode.

  A model that takes no training flag is fine as long as the TF1 graph has
  neither random ops nor update ops in training, or where both sides draw the
  same random numbers (the noise of a variational autoencoder, say).

  Args:
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
  """
  if not plan.training or tf2.takes_training or not tf1.depends_on_training:
    return None
  keys = [
    [draw.key for draw in side.draws if not draw.variable]
    for side in (tf1, tf2)
  ]
  if tf2.injected or (keys[0] and keys[0] == keys[1]):
    return None
  if _updates_in_training(tf2):
    return None  # It is in training without being told.
  return texts.MISSING_TRAINING


def _updates_in_training(tf2: observation.Observation) -> bool:
  """Returns whether a forward pass of TF2 changes what nothing trains."""
  before = tf2.weight_of()
  kept = {spec.name for spec in tf2.variables if not spec.trainable}
  after = tf2.steps[0].variables if tf2.steps else tf2.updated
  return any(
    not np.array_equal(value, before[name])
    for name, value in after.items()
    if name in kept and name in before
  )


def _for_order(ledger: draws.LedgerDifference) -> list[str]:
  """Advice on random draws in another order."""
  if not ledger.tf2_count:
    return [texts.NO_DRAWS]
  if ledger.repeated:
    return [texts.LOOP]
  reason = (
    texts.INITIALIZERS_FIRST if ledger.initializers_first else texts.OTHER_ORDER
  )
  # What is drawn on one side only does not become equal by other seeds.
  return [reason, texts.BY_CONSTANT] if ledger.moved else [reason]


def _both_nan(failed: Sequence[values.ValueComparison]) -> bool:
  values_there = [(c.tf1_value, c.tf2_value) for c in failed if not c.problem]
  return bool(values_there) and all(a != a and b != b for a, b in values_there)
