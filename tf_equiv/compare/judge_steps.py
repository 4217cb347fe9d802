"""Judges training steps: says at which step and in what the sides part."""

from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import (
  divergence,
  judge,
  moving_statistics,
  quantities,
  step_vacuity,
  steps,
  tolerances,
  update_location,
  update_mistakes,
)
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib

_MAX_NAMES = 3
# What hyperparameters of optimizers have no part in.
_BEFORE_OPTIMIZERS = (
  'outputs',
  'regularization losses',
  'loss',
  'gradients',
  'variables that are not trained',
)


def judge_training(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  table: variables_lib.VariableTable,
  convert: judge.Convert,
  tolerance: tolerances.Tolerance,
  compare_updates: bool = True,
  compare_hyperparameters: bool = True,
  allow_empty: bool = False,
  allow_vacuous: bool = True,
) -> verdict_lib.Verdict:
  """Judges the training steps of two observations.

  Within a step causes come before effects: learning rate, outputs,
  regularization losses, loss, gradients, slots, variables, step counter. The
  first step and the first quantity that differ give the headline. Other
  hyperparameters of the optimizers are named as the cause, and are a
  difference also where the steps agree within the tolerance.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    tf1: the reference.
    tf2: the candidate.
    table: how the variables correspond.
    convert: `convert_variable`.
    tolerance: what may differ.
    compare_updates: whether variables that are not trained are compared.
    compare_hyperparameters: whether other hyperparameters are a difference
      even if all steps agree.
    allow_empty: whether comparing nothing is a pass.
    allow_vacuous: whether agreement is a pass though it proves nothing.

  Returns:
    The verdict.
  """
  verdict = judge.judge_comparable(
    assertion, plan, tf1, tf2, table, allow_empty
  )
  if not verdict.passed:
    return verdict
  if plan.weights == plan_lib.SEEDED:
    verdict.comparisons['weights'] = quantities.compare_weights(
      tf1, tf2, table, convert, tolerance
    )
    verdict.compared['weights'] = len(verdict.comparisons['weights'])
    if verdict.failed('weights'):
      judge.conclude(verdict, plan, tf1, tf2, tolerance, allow_empty)
      verdict.headline += '; no training step was compared'
      return verdict
  comparer = steps.StepComparer(
    tf1, tf2, table, convert, tolerance, compare_updates
  )
  found = [comparer.compare(i) for i in range(len(plan.batches))]
  _count(verdict, found)
  verdict.steps = [step.groups for step in found]
  parted = next((i for i, step in enumerate(found) if step.failing()), None)
  if parted is not None:
    _part(verdict, plan, tf1, tf2, found, parted)
    group = found[parted].failing()[0]
    verdict.divergence = update_location.locate(
      group,
      verdict.failed(f'step {parted + 1}: {group}')[0].name,
      comparer.paired(parted),
      (tf1.steps[parted], tf2.steps[parted]),
      table,
    )
    if verdict.divergence is not None and verdict.divergence.mistake:
      verdict.advice.insert(0, verdict.divergence.mistake)
    known = _mistake(group, parted, comparer, verdict, tf1, tf2)
    if known:
      verdict.advice = [known]
    if comparer.hyperparameters and group not in _BEFORE_OPTIMIZERS:
      verdict.advice = _of_hyperparameters(comparer)
      verdict.kind = divergence.REAL
  elif comparer.hyperparameters and compare_hyperparameters:
    verdict.divergence = _where_made(comparer)
    verdict.kind = divergence.REAL
    verdict.headline = (
      f'Optimizers differ: {_hyperparameters(comparer)}; the '
      f'{len(plan.batches)} training step(s) agree within the tolerance all '
      'the same'
    )
    verdict.advice = _of_hyperparameters(comparer)
  elif not allow_empty:
    _require_something(verdict, found, comparer)
  if not verdict.headline:
    _require_meaning(verdict, plan, tf1, tf2, allow_vacuous)
  if verdict.headline:
    verdict.evidence += _evidence(comparer)
  if comparer.noise and sum(comparer.noise.values()):
    verdict.notes.append(_noise(comparer.noise))
  return verdict


def _count(verdict, found) -> None:
  verdict.compared['steps'] = len(found)
  for step in found:
    for group, pairs in step.groups.items():
      if group == 'variables':
        continue
      verdict.compared[group] = verdict.compared.get(group, 0) + len(pairs)
  for i, step in enumerate(found):
    if step.failing():
      break
    for group, pairs in step.groups.items():
      verdict.comparisons[f'step {i + 1}: {group}'] = pairs


def _part(verdict, plan, tf1, tf2, found, parted) -> None:
  """Fills in the verdict of steps that part at step `parted`."""
  step = found[parted]
  failing = step.failing()
  titles = {g: f'step {parted + 1}: {g}' for g in step.groups}
  verdict.comparisons.update(
    {titles[group]: pairs for group, pairs in step.groups.items()}
  )
  failed = verdict.failed(titles[failing[0]])
  pairs = step.groups[failing[0]]
  where = f'at step {parted + 1} of {len(found)}'
  verdict.headline = f'Training diverges {where} in the {failing[0]}'
  if len(failed) == 1 and failed[0].name.startswith(failing[0]):
    # 'learning rate of AdamOptimizer' or "outputs['logits']"
    verdict.headline = f'Training diverges {where} in {failed[0].name}'
  else:
    verdict.headline += ': %d of %d, first %s' % (
      len(failed),
      len(pairs),
      failed[0].name,
    )
  if failing[1:]:
    verdict.headline += f' (so do the {", ".join(failing[1:])})'
  later = [
    f'step {i + 1}: {", ".join(other.failing())}'
    for i, other in enumerate(found)
    if i > parted and other.failing()
  ]
  if later:
    verdict.notes.append('later also differ: ' + '; '.join(later))
  advice = advice_lib.for_step(failing[0], parted, verdict, plan, tf2)
  if failing[0] == 'outputs' and not parted:
    judge.explain_draws(verdict, plan, tf1, tf2)
  if failing[0] == 'slots (momentum)' and _rate_changes(tf1, parted):
    advice = [advice_lib.MOMENTUM_UNDER_SCHEDULE]
  if failing[0] == 'outputs' and tf1.steps[parted].loss is None:
    advice = [advice_lib.OWN_LOOP]
  verdict.advice = verdict.advice or advice


def _rate_changes(tf1, parted) -> bool:
  """Tells whether a learning rate has changed up to this step."""
  rates = {
    (i, float(update.learning_rate))
    for step in tf1.steps[: parted + 1]
    for i, update in enumerate(step.updates)
    if update.optimizer.kind == 'momentum' and update.learning_rate is not None
  }
  return len(rates) > len({i for i, _ in rates})


def _evidence(comparer) -> list[str]:
  lines = [
    '%s: %s %s, %s %s%s'
    % (
      found.name,
      tf1,
      found.tf1_value,
      tf2,
      found.tf2_value,
      ': ' + found.consequence if found.consequence else '',
    )
    for tf1, tf2, found in comparer.hyperparameters
  ]
  if comparer.one_sided:
    lines.append('slots not compared: ' + '; '.join(comparer.one_sided))
  return lines


def _of_hyperparameters(comparer) -> list[str]:
  known = update_mistakes.of_hyperparameters(comparer.hyperparameters)
  return [line for line in (known, advice_lib.HYPERPARAMETERS) if line]


def _mistake(group, parted, comparer, verdict, tf1, tf2) -> str:
  """Names the mistake that the numbers of the steps fit, '' if none."""
  failed = verdict.failed(f'step {parted + 1}: {group}')
  before = tf2.weight_of()
  if parted:
    before = comparer.carried(tf1.steps[parted - 1].variables)
  if group == 'learning rate':
    rates = [
      [
        (float(first.learning_rate), float(second.learning_rate))
        for first, second in comparer.paired(i)
        if 'learning rate of ' + first.optimizer.name == failed[0].name
      ]
      for i in range(len(tf1.steps))
    ]
    if all(len(of_step) == 1 for of_step in rates):
      return update_mistakes.of_rates(*zip(*(x[0] for x in rates), strict=True))
  if group == 'gradients':
    gradients = comparer.single_gradients(parted)
    names = [c.name for c in failed if not c.problem]
    decays = [
      u.optimizer.hyperparameters.get('weight_decay')
      for u in tf2.steps[parted].updates
    ]
    return update_mistakes.of_gradients(
      before,
      {n: gradients[0][n] for n in names if n in gradients[0]},
      gradients[1],
      next((x for x in decays if x), None),
    )
  if group == 'variables that are not trained':
    return moving_statistics.explain(
      [c.name for c in failed],
      verdict.table.tf1_names_of(),
      before,
      tf1.steps[parted].variables,
      tf2.steps[parted].variables,
    )
  return ''


def _where_made(comparer):
  """Says where the optimizers are made whose hyperparameters differ."""
  first, second, _ = comparer.hyperparameters[0]
  for pair in comparer.paired(0):
    if (pair[0].optimizer.name, pair[1].optimizer.name) == (first, second):
      return update_location.locate_optimizers(*pair)
  return None


def _hyperparameters(comparer) -> str:
  shown = [
    f'{found.name} (TF1 {found.tf1_value}, TF2 {found.tf2_value})'
    for _, _, found in comparer.hyperparameters
  ]
  more = len(shown) - _MAX_NAMES
  return ', '.join(shown[:_MAX_NAMES]) + (
    f' and {more} more' if more > 0 else ''
  )


def _noise(noise) -> str:
  names = sorted(name for name, count in noise.items() if count)
  shown = ', '.join(names[:_MAX_NAMES])
  if len(names) > _MAX_NAMES:
    shown += f' and {len(names) - _MAX_NAMES} more'
  return (
    f'not compared: the updates of {sum(noise.values())} element(s) whose '
    f'gradients are rounding noise, in {shown}'
  )


def _require_meaning(verdict, plan, tf1, tf2, allow_vacuous) -> None:
  """Fails steps whose agreement proves nothing; says what a pass proves."""
  verdict.power = step_vacuity.describe(tf1)
  reason = step_vacuity.vacuous(plan, tf1, tf2)
  if not reason:
    return
  verdict.kind = divergence.VACUOUS
  if allow_vacuous:
    verdict.notes.append('vacuous: ' + reason)
    return
  verdict.headline = 'Vacuous agreement proves nothing: ' + reason
  verdict.advice = [advice_lib.VACUOUS_STEPS]


def _require_something(verdict, found, comparer) -> None:
  if not comparer.changed:
    verdict.headline = (
      f'No update was compared: no trainable variable changed in {len(found)} '
      'step(s) of TF1'
    )
    verdict.advice = [advice_lib.NOTHING_CHANGED]
