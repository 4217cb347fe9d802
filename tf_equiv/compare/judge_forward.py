"""Judges a forward pass: earlier steps first, later ones only on them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import (
  difference,
  judge_variables,
  quantities,
  structures,
  vacuity,
)
from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode


def judge_forward(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  """Judges a forward pass, and the gradients where the plan asks for them.

  The order is: variables, structure of the outputs, initial weights, outputs,
  regularization losses, updated variables, loss, gradients. The first that
  differs decides; later ones follow from it.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    pairing: how the variables correspond.
    criteria: what may differ, and what counts as a pass.

  Returns:
    The outcome.
  """
  outcome = judge_comparable(assertion, plan, tf1, tf2, pairing, criteria)
  if not outcome.passed:
    return outcome
  comparisons = quantities.compare_forward(
    plan, tf1, tf2, pairing, criteria.tolerance
  )
  compared = {key.name: len(pairs) for key, pairs in comparisons.items()}
  if tf1.losses and tf2.losses:
    compared[Quantity.REGULARIZATION_LOSSES.value] -= 1  # the total
  outcome = dataclasses.replace(
    outcome,
    comparisons=comparisons,
    compared={**outcome.compared, **compared},
  )
  if outcome.failing():
    return judge_values(outcome, plan, tf1, tf2, criteria)
  outcome = dataclasses.replace(
    outcome, kind=_emptiness(outcome, plan, criteria)
  )
  if not outcome.passed:
    return outcome
  response = vacuity.respond(tf2)
  power = [] if response is None else [response]
  return require_meaning(
    dataclasses.replace(outcome, response=response),
    [*power, *([vacuity.gradient_power(tf2)] if plan.gradients else [])],
    vacuity.find_vacuity(plan, tf1, tf2),
    criteria,
  )


def judge_comparable(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  """Judges whether there is anything to compare number by number.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    pairing: how the variables correspond.
    criteria: what counts as a pass.

  Returns:
    An outcome, failed if the variables do not correspond, are created anew in
    each call, or if the outputs have another structure.
  """
  conditions = plan.describe()
  if pairing.blocks_values:
    return judge_variables.judge_variables(
      pairing.table, assertion, criteria.allow_empty, conditions
    )
  outcome = Outcome(
    assertion,
    conditions,
    compared={'variables': len(pairing.table.pairs)},
    table=pairing.table,
    notes=(*tf1.notes, *tf2.notes),
    unaligned=tf2.unaligned,
  )
  recreated = tf2.recreated or [
    spec for spec in (*tf2.variables, *tf2.untracked) if spec.undecorated
  ]
  if recreated:
    return dataclasses.replace(
      outcome, kind=Kind.RECREATED, evidence=tuple(recreated), stopped=True
    )
  different = _structure_differences(tf1, tf2)
  if different:
    return dataclasses.replace(
      outcome, kind=Kind.STRUCTURE, evidence=tuple(different), stopped=True
    )
  return outcome


def _structure_differences(
  tf1: observation.Observation, tf2: observation.Observation
) -> list[difference.Difference]:
  if tf1.structure is not None and tf2.structure is not None:
    found = structures.structure_differences(tf1.structure, tf2.structure)
    if found:
      return found
  return structures.spec_differences(tf1.outputs, tf2.outputs)


def judge_values(
  outcome: Outcome,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  """Judges comparisons of which some differ.

  Args:
    outcome: holds the comparisons.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    criteria: what may differ.

  Returns:
    The outcome, with the ledger of random draws where it matters, and outputs
    that were exchanged.
  """
  outcome = with_ledger(outcome, plan, tf1, tf2)
  exchanged: Sequence[structures.EqualOutputs] = ()
  if outcome.failing()[0].quantity is Quantity.OUTPUTS:
    exchanged = structures.find_permutation(
      outcome.comparisons[Key(Quantity.OUTPUTS)],
      dict(tf1.outputs),
      dict(tf2.outputs),
      criteria.tolerance,
    )
  return dataclasses.replace(
    outcome, kind=Kind.VALUES, evidence=(*outcome.evidence, *exchanged)
  )


def with_ledger(
  outcome: Outcome,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> Outcome:
  """Adds how the random draws differ, where they do and it matters."""
  seeded = plan.weights == plan_lib.SEEDED
  if tf2.injected or not (seeded or forward_draws(tf1) != forward_draws(tf2)):
    return outcome
  if preexisting(outcome, tf2):
    return outcome  # Which says all.
  table = outcome.table or variables_lib.match_variables((), ())
  ledger = ledgers.compare_ledgers(
    *ledgers.relevant_draws(
      tf1.draws, tf2.draws, table.tf1_names_of(), initial=seeded
    )
  )
  by_order = plan.seed_mode is SeedMode.NUM_RANDOM_OPS
  if ledger is None or not (by_order or ledger.changes_draws):
    return outcome  # The order does not matter in this mode.
  return dataclasses.replace(
    outcome,
    ledger=ledger,
    is_reordered=by_order and ledger.changes_order,
  )


def forward_draws(side: observation.Observation) -> list[tuple[Any, Any]]:
  """Returns the draws that matter with fixed weights, and their seeds."""
  return [(draw.key, draw.seed) for draw in side.draws if not draw.variable]


def preexisting(outcome: Outcome, tf2: observation.Observation) -> list[str]:
  """Returns the names of weights that differ and are older than the model."""
  failed = {c.name for c in outcome.failed(Key(Quantity.WEIGHTS))}
  return sorted(failed & set(tf2.preexisting))


def _emptiness(
  outcome: Outcome, plan: plan_lib.RunPlan, criteria: criteria_lib.Criteria
) -> Kind:
  if criteria.allow_empty:
    return Kind.PASS
  if not sum(c.count for c in outcome.comparisons[Key(Quantity.OUTPUTS)]):
    return Kind.NO_OUTPUTS
  if plan.gradients and not outcome.comparisons[Key(Quantity.GRADIENTS)]:
    return Kind.NO_GRADIENTS
  return Kind.PASS


def require_meaning(
  outcome: Outcome,
  power: Sequence[outcome_lib.Power],
  found: vacuity.Vacuity | None,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  """Fails a pass that proves nothing, unless that is allowed.

  Args:
    outcome: a pass.
    power: what it proves.
    found: why it proves nothing, None if it does prove something.
    criteria: whether that is a pass all the same.

  Returns:
    The outcome.
  """
  fails = found is not None and not criteria.allow_vacuous
  return dataclasses.replace(
    outcome,
    kind=Kind.VACUOUS if fails else outcome.kind,
    power=tuple(power),
    vacuity=found,
  )


def judge_variants(outcomes: Mapping[str, Outcome]) -> Outcome:
  """Makes one outcome of those of several variants.

  Args:
    outcomes: the outcome of each variant.

  Returns:
    That of the first variant that fails, else of the first; it names which
    variants fail and which pass.
  """
  failed = tuple(n for n, outcome in outcomes.items() if not outcome.passed)
  passed = tuple(n for n in outcomes if n not in failed)
  chosen = outcomes[failed[0] if failed else passed[0]]
  if list(outcomes) == ['eager']:
    return chosen
  return dataclasses.replace(
    chosen, variants=outcome_lib.Variants(failed, passed)
  )
