"""Judges two observations: earlier steps first, later ones only on them."""

from collections.abc import Callable

import numpy as np

from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import (
  divergence,
  draws,
  moving_statistics,
  quantities,
  structures,
  tolerances,
  vacuity,
)
from tf_equiv.compare import losses as losses_lib
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode

Convert = Callable[[str, np.ndarray, str], np.ndarray]


def judge_variables(
  table: variables_lib.VariableTable, assertion: str, allow_empty: bool
) -> verdict_lib.Verdict:
  """Judges whether the variables correspond (guide step 2)."""
  verdict = verdict_lib.Verdict(assertion, table=table)
  verdict.compared['variables'] = len(table.pairs)
  if table.passed:
    if not table.pairs and not allow_empty:
      verdict.headline = 'No variable was compared: neither side has any'
      verdict.advice = [advice_lib.NOTHING_COMPARED]
    return verdict
  counts = (
    (len(table.missing), 'missing in TF2'),
    (len(table.extra), 'extra in TF2'),
    (len(table.duplicates), 'duplicate name(s)'),
    (len(table.shapes), 'of another shape'),
    (len(table.dtypes), 'of another dtype'),
    (len(table.trainable), 'with another trainable flag'),
  )
  verdict.headline = 'Variables differ: ' + ', '.join(
    f'{count} {what}' for count, what in counts if count
  )
  verdict.advice = advice_lib.for_variables(table)
  return verdict


def judge_run(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  table: variables_lib.VariableTable,
  convert: Convert,
  tolerance: tolerances.Tolerance,
  allow_empty: bool = False,
  allow_vacuous: bool = False,
) -> verdict_lib.Verdict:
  """Judges a forward pass, and the gradients where the plan asks for them.

  The order is: variables, structure of the outputs, initial weights, outputs,
  regularization losses, updated variables, loss, gradients. The first that
  differs gives the headline; later ones are reported as what follows from it.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    table: how the variables correspond.
    convert: `convert_variable`.
    tolerance: what may differ.
    allow_empty: whether comparing nothing is a pass.
    allow_vacuous: whether agreement is a pass though it proves nothing.

  Returns:
    The verdict.
  """
  verdict = judge_comparable(assertion, plan, tf1, tf2, table, allow_empty)
  if not verdict.passed:
    return verdict
  if plan.weights == plan_lib.SEEDED:
    verdict.comparisons['weights'] = quantities.compare_weights(
      tf1, tf2, table, convert, tolerance
    )
  verdict.comparisons['outputs'] = quantities.compare_outputs(
    tf1, tf2, tolerance
  )
  if observation.LOSSES not in tf1.unknown:
    verdict.comparisons['regularization losses'] = losses_lib.compare_losses(
      tf1.losses, tf2.losses, table.tf1_names_of(), tolerance
    )
  if plan.updates:
    verdict.comparisons['updated variables'] = quantities.compare_updates(
      tf1, tf2, table, convert, tolerance
    )
  if plan.gradients:
    verdict.comparisons['loss'] = quantities.compare_user_losses(
      tf1, tf2, tolerance
    )
    verdict.comparisons['gradients'] = quantities.compare_gradients(
      tf1, tf2, table, convert, tolerance
    )
    if plan.input_gradients:
      verdict.comparisons['gradients of inputs'] = (
        quantities.compare_input_gradients(tf1, tf2, tolerance)
      )
  for group, pairs in verdict.comparisons.items():
    verdict.compared[group] = len(pairs)
  if tf1.losses and tf2.losses:
    verdict.compared['regularization losses'] -= 1  # the total
  conclude(verdict, plan, tf1, tf2, tolerance, allow_empty, allow_vacuous)
  return verdict


def judge_comparable(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  table: variables_lib.VariableTable,
  allow_empty: bool = False,
) -> verdict_lib.Verdict:
  """Judges whether there is anything to compare number by number.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    table: how the variables correspond.
    allow_empty: whether comparing nothing is a pass.

  Returns:
    A verdict, failed if the variables do not correspond, are created anew in
    each call, or if the outputs have another structure.
  """
  conditions = plan.describe()
  if table.blocks_values:
    verdict = judge_variables(table, assertion, allow_empty)
    verdict.conditions = conditions
    verdict.headline += '; outputs were not compared'
    return verdict
  verdict = verdict_lib.Verdict(
    assertion, conditions, table=table, notes=[*tf1.notes, *tf2.notes]
  )
  verdict.compared['variables'] = len(table.pairs)
  forgotten = tf2.recreated or [
    spec for spec in (*tf2.variables, *tf2.untracked) if spec.undecorated
  ]
  if forgotten:
    return _forgotten(verdict, forgotten)
  different = structures.structure_differences(tf1.structure, tf2.structure)
  different = different or structures.spec_differences(tf1.outputs, tf2.outputs)
  if different:
    verdict.headline = (
      'The structure of the outputs differs; no number was compared'
    )
    verdict.evidence = different
    verdict.advice = [
      'Return the same nest of tensors from build_tf1 and from the TF2 '
      'model, or adapt it in call_tf2.'
    ]
  return verdict


def _forgotten(verdict, specs) -> verdict_lib.Verdict:
  verdict.headline = (
    f'The TF2 model creates {len(specs)} variable(s) anew in each call, first '
    f'{specs[0].name}; outputs were not compared'
  )
  verdict.evidence = [f'{spec.name}  {spec}  at {spec.line}' for spec in specs]
  if any(spec.undecorated for spec in specs):
    verdict.advice = [observation.UNDECORATED_ADVICE]
  else:
    verdict.advice = ['assertNoNewVariables tells the cause of each.']
  return verdict


def conclude(
  verdict, plan, tf1, tf2, tolerance, allow_empty, allow_vacuous=True
) -> None:
  """Sets headline, evidence and advice from the comparisons."""
  failed = [g for g in verdict.comparisons if verdict.failed(g)]
  if not failed:
    _require_something(verdict, plan, allow_empty)
    _require_meaning(verdict, plan, tf1, tf2, allow_vacuous)
    return
  group = failed[0]
  verdict.headline = _headline(verdict, group, failed[1:])
  explain_draws(verdict, plan, tf1, tf2)
  if group == 'updated variables':
    verdict.advice = _of_statistics(verdict, group, tf1, tf2)
  if not verdict.advice:
    verdict.advice = advice_lib.for_values(verdict, group, plan, tf2)
  if group == 'outputs':
    verdict.evidence += structures.find_permutation(
      verdict.comparisons['outputs'],
      dict(tf1.outputs),
      dict(tf2.outputs),
      tolerance,
    )


def _of_statistics(verdict, group, tf1, tf2) -> list[str]:
  known = moving_statistics.explain(
    [c.name for c in verdict.failed(group)],
    verdict.table.tf1_names_of(),
    tf2.weight_of(),
    tf1.updated,
    tf2.updated,
  )
  return [known] if known else []


def explain_draws(verdict, plan, tf1, tf2) -> None:
  """Adds how the random draws differ to a failed verdict, where they do."""
  if tf2.injected:
    return
  if plan.weights == plan_lib.SEEDED or _forward_draws_differ(tf1, tf2):
    verdict.ledger = _ledgers(plan, tf1, tf2, verdict.table)
  by_order = plan.seed_mode is SeedMode.NUM_RANDOM_OPS
  if verdict.ledger and not by_order and not verdict.ledger.changes_draws:
    verdict.ledger = None  # The order does not matter in this mode.
  old = {c.name for c in verdict.failed('weights')} & set(tf2.preexisting)
  if old:
    verdict.ledger = None
    verdict.advice = [advice_lib.OLD_VARIABLES % (len(old), min(old))]
  elif verdict.ledger and verdict.ledger.changes_order and by_order:
    verdict.headline += ', because random numbers are drawn in another order'
    verdict.advice = advice_lib.for_order(verdict.ledger)


def _forward_keys(side):
  return [draw.key for draw in side.draws if not draw.variable]


def _ledgers(plan, tf1, tf2, table):
  """Difference of the draws that matter, with the names of TF1."""
  return draws.compare_ledgers(
    *draws.relevant_draws(
      tf1.draws,
      tf2.draws,
      table.tf1_names_of(),
      initial=plan.weights == plan_lib.SEEDED,
    )
  )


def _forward_draws_differ(tf1, tf2) -> bool:
  """Tells whether the draws that matter with fixed weights differ."""
  sides = [
    [(draw.key, draw.seed) for draw in side.draws if not draw.variable]
    for side in (tf1, tf2)
  ]
  return sides[0] != sides[1]


def _headline(verdict, group, later) -> str:
  failed = verdict.failed(group)
  names = {
    'weights': 'Initial weights differ',
    'outputs': 'Outputs differ',
    'regularization losses': 'Regularization losses differ',
    'updated variables': 'Variables updated by the forward pass differ',
    'loss': 'The loss differs',
    'gradients': 'Gradients differ',
    'gradients of inputs': 'Gradients of the inputs differ',
  }
  line = names[group]
  if group != 'loss' or len(verdict.comparisons[group]) > 1:
    line += (
      f': {len(failed)} of {len(verdict.comparisons[group])}, first '
      f'{failed[0].name}'
    )
  if later:
    line += f' (so do the {", ".join(later)})'
  return line


def _require_meaning(verdict, plan, tf1, tf2, allow_vacuous) -> None:
  """Fails a pass that proves nothing; says what a real one proves."""
  if verdict.headline:
    return
  verdict.response = vacuity.respond(tf2)
  lines = [] if verdict.response is None else [str(verdict.response)]
  if plan.gradients:
    lines.append(vacuity.describe_gradients(tf2))
  verdict.power = '; '.join(lines)
  reason = vacuity.vacuous(plan, tf1, tf2)
  if not reason:
    return
  verdict.kind = divergence.VACUOUS
  if allow_vacuous:
    verdict.notes.append('vacuous: ' + reason)
    return
  verdict.headline = 'Vacuous agreement proves nothing: ' + reason
  verdict.advice = [vacuity.ADVICE]


def _require_something(verdict, plan, allow_empty) -> None:
  if allow_empty:
    return
  elements = sum(c.count for c in verdict.comparisons['outputs'])
  if not elements:
    verdict.headline = 'No output was compared: the outputs hold no element'
  elif plan.gradients and not verdict.comparisons['gradients']:
    verdict.headline = (
      'No gradient was compared: the loss depends on no trainable variable on '
      'either side'
    )
  if verdict.headline:
    verdict.advice = [advice_lib.NOTHING_COMPARED]


def judge_variants(
  verdicts: dict[str, verdict_lib.Verdict],
) -> verdict_lib.Verdict:
  """Makes one verdict of those of several variants.

  Args:
    verdicts: the verdict of each variant.

  Returns:
    That of the first variant that fails, else of the first; it names which
    variants fail and which pass.
  """
  failed = [name for name, verdict in verdicts.items() if not verdict.passed]
  passed = [name for name in verdicts if name not in failed]
  chosen = failed[0] if failed else passed[0]
  verdict = verdicts[chosen]
  if list(verdicts) == ['eager']:
    return verdict
  if failed:
    verdict.headline += (
      f' [fails in: {", ".join(failed)}; passes in: '
      f'{", ".join(passed) or "none"}]'
    )
    if verdict.culprit:
      verdict.advice = [advice_lib.GRAPPLER % verdict.culprit]
    elif 'eager' in passed and chosen == 'mirrored':
      verdict.advice = [advice_lib.MIRRORED]
    elif 'eager' in passed:
      verdict.advice = [advice_lib.VARIANT % chosen]
  else:
    verdict.notes.append('variants: ' + ', '.join(passed))
  return verdict


def judge_creations(
  assertion: str,
  created,
  changed,
  calls: int,
  variables: int,
  allow_empty: bool,
) -> verdict_lib.Verdict:
  """Judges whether calls reuse the variables (guide step 1).

  Args:
    assertion: name of the assertion.
    created: (which call, `CreatedVariable`) of each variable that was created
      after the first call.
    changed: `ValueComparison` of each variable that an inference call changed.
    calls: number of further calls.
    variables: number of variables after the first call.
    allow_empty: whether a model without variables is a pass.

  Returns:
    The verdict.
  """
  verdict = verdict_lib.Verdict(
    assertion, compared={'variables': variables, 'further calls': calls}
  )
  parts = []
  if created:
    parts.append(
      f'{len(created)} variable(s) created after the first call, instead of '
      'being reused'
    )
    for call, record in created:
      verdict.evidence.append(f'{call}: {record}')
      if record.advice not in verdict.advice:
        verdict.advice.append(record.advice)
  if changed:
    parts.append(
      f'{len(changed)} variable(s) changed by an inference call, first '
      f'{changed[0].name}'
    )
    verdict.comparisons['variables before and after an inference call'] = (
      changed
    )
    verdict.advice.append(
      'Inference must leave weights and moving statistics alone: check that '
      'the training flag reaches batch normalization and every assign.'
    )
  verdict.headline = '; '.join(parts)
  if not parts and not variables and not allow_empty:
    verdict.headline = 'No variable was watched: the model has none'
    verdict.advice = [advice_lib.NOTHING_COMPARED]
  return verdict


def explain_missing_training(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
) -> str | None:
  """Says what is wrong where the TF2 model cannot run in training mode.

  A model that takes no training flag is fine as long as the TF1 graph has
  neither random ops nor update ops in training, or where both sides draw the
  same random numbers (the noise of a variational autoencoder, say).
  """
  same_draws = tf2.injected or _forward_keys(tf1) == _forward_keys(tf2) != []
  unaware = plan.training and not tf2.takes_training
  if unaware and tf1.depends_on_training and not same_draws:
    return (
      'The TF2 model takes no `training` argument, but the TF1 graph draws '
      'random numbers or updates moving statistics in training: comparing '
      'them would compare training with inference. Add `training=None` to '
      'the signature of the model, or hand the flag on under its own name in '
      'call_tf2(model, inputs, training).'
    )
  return None
