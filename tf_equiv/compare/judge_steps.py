"""Judges training steps: says at which step and in what the sides diverge."""

import dataclasses
from collections.abc import Sequence

from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import judge_forward, quantities, step_vacuity, steps
from tf_equiv.compare import optimizers as optimizers_lib
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import pairs as pairs_lib
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib


def judge_training(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  """Judges the training steps of two observations.

  Within a step causes come before effects: learning rate, outputs,
  regularization losses, loss, gradients, slots, variables, step counter. The
  first step and the first quantity that differ decide. Other hyperparameters
  of the optimizers are a difference also where the steps agree within the
  tolerance.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    pairing: how the variables correspond.
    criteria: what may differ, what is compared, and what counts as a pass.

  Returns:
    The outcome.
  """
  outcome = judge_forward.judge_comparable(
    assertion, plan, tf1, tf2, pairing, criteria
  )
  if not outcome.passed:
    return outcome
  if plan.weights == plan_lib.SEEDED:
    outcome = _with_weights(outcome, tf1, tf2, pairing, criteria)
    if outcome.failing():
      return dataclasses.replace(
        judge_forward.judge_values(outcome, plan, tf1, tf2, criteria),
        stopped=True,
      )
  comparer = steps.StepComparer(tf1, tf2, pairing, criteria)
  found = [comparer.compare(i) for i in range(len(plan.batches))]
  outcome = _with_steps(outcome, found)
  outcome = dataclasses.replace(
    outcome,
    notes=(*outcome.notes, *_notes(comparer)),
    kind=_kind_of(outcome, comparer, criteria),
    noise={n: x for n, x in comparer.uncertainty.noise.items() if x},
  )
  if outcome.passed:
    outcome = judge_forward.require_meaning(
      outcome,
      [step_vacuity.step_power(tf1)],
      step_vacuity.find_vacuity(plan, tf1, tf2),
      criteria,
    )
  if outcome.kind is Kind.STEPS:
    first = outcome.failing()[0]
    if first.quantity is Quantity.OUTPUTS and first.step == 1:
      outcome = judge_forward.with_ledger(outcome, plan, tf1, tf2)
  if outcome.passed:
    return outcome
  return dataclasses.replace(outcome, evidence=_evidence(comparer))


def _with_weights(
  outcome: Outcome,
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  key = Key(Quantity.WEIGHTS)
  pairs = quantities.pairs_of_weights(tf1, tf2, pairing)
  found = pairs_lib.compare(pairs, criteria.tolerance)
  return dataclasses.replace(
    outcome,
    comparisons={**outcome.comparisons, key: found},
    compared={**outcome.compared, key.name: len(found)},
  )


def _with_steps(outcome: Outcome, found: Sequence[steps.Groups]) -> Outcome:
  """Adds the comparisons of the steps, up to the first that differs."""
  compared = {**outcome.compared, 'steps': len(found)}
  for step in found:
    for key, pairs in step.items():
      if key.quantity is not Quantity.VARIABLES:
        compared[key.name] = compared.get(key.name, 0) + len(pairs)
  comparisons = dict(outcome.comparisons)
  for step in found:
    comparisons.update(step)
    if outcome_lib.failing(step):
      break
  return dataclasses.replace(
    outcome, comparisons=comparisons, compared=compared, steps=tuple(found)
  )


def _kind_of(
  outcome: Outcome,
  comparer: steps.StepComparer,
  criteria: criteria_lib.Criteria,
) -> Kind:
  if outcome.failing():
    return Kind.STEPS
  if comparer.hyperparameters and criteria.compare_hyperparameters:
    return Kind.HYPERPARAMETERS
  if not comparer.uncertainty.changed and not criteria.allow_empty:
    return Kind.NO_UPDATES
  return Kind.PASS


def _evidence(comparer: steps.StepComparer) -> tuple[outcome_lib.Evidence, ...]:
  lone = tuple(comparer.lone_slots)
  return (
    *comparer.hyperparameters,
    *([optimizers_lib.LoneSlots(lone)] if lone else []),
  )


def _notes(comparer: steps.StepComparer) -> list[str]:
  """Says what was not compared."""
  return [
    f'not compared: hyperparameters of {name}, an optimizer that tf_equiv does '
    'not know (rename_hyperparameter says which is which)'
    for name in comparer.unknown_optimizers
  ] + [
    f'not compared: slots {lone.meaning} of TF{lone.side + 1}, which have no '
    'counterpart (rename_slot says which is which)'
    for lone in comparer.lone_slots
    if comparer.unknown_optimizers
  ]
