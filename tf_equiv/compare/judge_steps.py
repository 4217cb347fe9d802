"""Judges training steps: says at which step and in what the sides part."""

from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import judge, observations, power, steps, tolerances
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib

_MOST_NAMES = 3


def judge_training(
  assertion: str,
  plan: plan_lib.RunPlan,
  tf1: observation_lib.Observation,
  tf2: observation_lib.Observation,
  table: variables_lib.VariableTable,
  convert: judge.Convert,
  tolerance: tolerances.Tolerance,
  compare_updates: bool = True,
  compare_hyperparameters: bool = True,
  allow_empty: bool = False,
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

  Returns:
    The verdict.
  """
  verdict = judge.judge_comparable(
    assertion, plan, tf1, tf2, table, allow_empty
  )
  if not verdict.passed:
    return verdict
  if plan.weights == plan_lib.SEEDED:
    verdict.comparisons['weights'] = observations.compare_weights(
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
    if comparer.hyperparameters:
      verdict.advice = [advice_lib.HYPERPARAMETERS]
  elif comparer.hyperparameters and compare_hyperparameters:
    verdict.headline = (
      'Optimizers differ: %s; the %d training step(s) agree within the '
      'tolerance all the same' % (_hyperparameters(comparer), len(plan.batches))
    )
    verdict.advice = [advice_lib.HYPERPARAMETERS]
  elif not allow_empty:
    _require_something(verdict, found, comparer)
  if verdict.passed:
    verdict.power = power.describe_steps(tf1)
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
      verdict.comparisons['step %d: %s' % (i + 1, group)] = pairs


def _part(verdict, plan, tf1, tf2, found, parted) -> None:
  """Fills in the verdict of steps that part at step `parted`."""
  step = found[parted]
  failing = step.failing()
  titles = {g: 'step %d: %s' % (parted + 1, g) for g in step.groups}
  verdict.comparisons.update(
    {titles[group]: pairs for group, pairs in step.groups.items()}
  )
  failed = verdict.failed(titles[failing[0]])
  pairs = step.groups[failing[0]]
  where = 'at step %d of %d' % (parted + 1, len(found))
  verdict.headline = 'Training parts %s in the %s' % (where, failing[0])
  if len(failed) == 1 and failed[0].name.startswith(failing[0]):
    # 'learning rate of AdamOptimizer' or "outputs['logits']"
    verdict.headline = 'Training parts %s in %s' % (where, failed[0].name)
  else:
    verdict.headline += ': %d of %d, first %s' % (
      len(failed),
      len(pairs),
      failed[0].name,
    )
  if failing[1:]:
    verdict.headline += ' (so do the %s)' % ', '.join(failing[1:])
  later = [
    'step %d: %s' % (i + 1, ', '.join(other.failing()))
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


def _hyperparameters(comparer) -> str:
  shown = [
    '%s (TF1 %s, TF2 %s)' % (found.name, found.tf1_value, found.tf2_value)
    for _, _, found in comparer.hyperparameters
  ]
  more = len(shown) - _MOST_NAMES
  return ', '.join(shown[:_MOST_NAMES]) + (
    ' and %d more' % more if more > 0 else ''
  )


def _noise(noise) -> str:
  names = sorted(name for name, count in noise.items() if count)
  shown = ', '.join(names[:_MOST_NAMES])
  if len(names) > _MOST_NAMES:
    shown += ' and %d more' % (len(names) - _MOST_NAMES)
  return (
    'not compared: the updates of %d element(s) whose gradients are rounding '
    'noise, in %s' % (sum(noise.values()), shown)
  )


def _require_something(verdict, found, comparer) -> None:
  if not comparer.changed:
    verdict.headline = (
      'No update was compared: no trainable variable changed in %d step(s) of '
      'TF1' % len(found)
    )
    verdict.advice = [advice_lib.NOTHING_CHANGED]
