"""What the data of both sides tell of a cause, without looking into graphs."""

import dataclasses

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import step_pairs
from tf_equiv.compare import steps as steps_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.compare.optimizers import OptimizerDifference
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Quantity
from tf_equiv.core import observation
from tf_equiv.diagnose import advice, facts, step_facts, update_location
from tf_equiv.diagnose.first_look_run import Run
from tf_equiv.diagnose.repairs import updates
from tf_equiv.diagnose.rules import table as rules


def diagnose(outcome: Outcome, run: Run | None = None) -> Diagnosis:
  """Returns what is known of the cause of an outcome.

  Args:
    outcome: what a judge found.
    run: what was judged; None where no values were compared.
  """
  if outcome.passed:
    return Diagnosis()
  if run is not None:
    if outcome.kind is Kind.VALUES and not _is_of_checkpoint(outcome):
      return Diagnosis(advice=tuple(_advice_on_values(outcome, run)))
    if outcome.kind is Kind.STEPS:
      return _diagnose_step(outcome, run)
    if outcome.kind is Kind.HYPERPARAMETERS:
      return _diagnose_optimizers(outcome, run)
  return Diagnosis(advice=tuple(advice.for_outcome(outcome)))


def _is_of_checkpoint(outcome: Outcome) -> bool:
  quantities = Quantity.LOADED, Quantity.RESTORED_OUTPUTS
  return outcome.failing()[0].quantity in quantities


def with_variants(
  diagnosis: Diagnosis, outcome: Outcome, culprit: str = ''
) -> Diagnosis:
  """Adds what it tells that not all variants fail.

  Args:
    diagnosis: that of the first variant that fails.
    outcome: its outcome.
    culprit: pass of Grappler without which the sides agree, '' if not known.

  Returns:
    The diagnosis.
  """
  found = advice.for_variants(outcome, culprit)
  return dataclasses.replace(
    diagnosis,
    culprit=culprit,
    advice=tuple(found) or diagnosis.advice,
  )


def _advice_on_values(outcome: Outcome, run: Run) -> list[str]:
  if outcome.failing()[0].quantity is Quantity.UPDATED_VARIABLES:
    known = rules.recognize(_moving_statistics(outcome, run))
    found = [known] if known else []
  else:
    found = advice.for_draws(outcome, run.tf2)
    known = _mistake_of_values(outcome, run)
    if known:
      found.insert(0, known)
      return found + advice.for_values(outcome, run.plan, run.tf1, run.tf2)
  return found or advice.for_values(outcome, run.plan, run.tf1, run.tf2)


def _mistake_of_values(outcome: Outcome, run: Run) -> str:
  """Returns the mistake that the numbers of a pass fit, '' if none."""
  key = outcome.failing()[0]
  if key.quantity is Quantity.OUTPUTS:
    paths = [c.name[len('outputs') :] for c in outcome.failed(key)]
    first, second = dict(run.tf1.outputs), dict(run.tf2.outputs)
    return rules.recognize(
      facts.Outputs(
        {path: first[path] for path in paths if path in first},
        {path: second[path] for path in paths if path in second},
      )
    )
  if key.quantity is not Quantity.GRADIENTS:
    return ''
  failed = [c.name for c in outcome.failed(key) if not c.problem]
  names = run.pairing.tf1_names()
  sources = {n: names.get(n, (n,)) for n in failed}
  mine, theirs = (
    {
      spec.name: np.asarray(gradient)
      for spec, gradient in zip(side.trainable(), side.gradients, strict=False)
      if gradient is not None
    }
    for side in (run.tf1, run.tf2)
  )
  losses = run.tf1.loss, run.tf2.loss
  known = None if None in losses else (float(losses[0]), float(losses[1]))
  return rules.recognize(
    facts.Gradients(
      {},
      {
        n: mine[source[0]]
        for n, source in sources.items()
        if len(source) == 1 and source[0] in mine
      },
      theirs,
      trained=len(outcome.comparisons[key]),
      losses=known,
    )
  )


def _diagnose_step(outcome: Outcome, run: Run) -> Diagnosis:
  key = outcome.failing()[0]
  sides = _step(outcome, run)
  place = update_location.locate(
    key.quantity, outcome.failed(key)[0].name, sides, run.pairing.table
  )
  differences = outcome.evidence_of(OptimizerDifference)
  if differences and not key.quantity.precedes_optimizers:
    return Diagnosis(
      divergence_lib.REAL,
      divergences=_with_others(place, outcome, run),
      advice=_advice_on_optimizers(differences),
    )
  known = _mistake(outcome, run)
  found = [known] if known else []
  if not found:
    found = advice.for_draws(outcome, run.tf2) or advice.for_step(
      outcome, run.plan, run.tf1, run.tf2
    )
    if place is not None and place.mistake:
      found.insert(0, place.mistake)
  if run.tf1.races:
    found.insert(0, advice.for_races(run.tf1.races))
  return Diagnosis(
    divergences=_with_others(place, outcome, run), advice=tuple(found)
  )


def _with_others(
  place: divergence_lib.Divergence | None, outcome: Outcome, run: Run
) -> tuple[divergence_lib.Divergence, ...]:
  """Returns a place, and what else differs about rates and optimizers.

  Args:
    place: the first place, as far as the data tell.
    outcome: what was found.
    run: what both sides did.
  """
  others = updates.places(outcome, run)
  first = outcome.failing()[0] if outcome.failing() else None
  if place is None or not others:
    return tuple(others) or (() if place is None else (place,))
  if first is None or first.quantity is Quantity.LEARNING_RATE:
    return tuple(others)
  if not (
    first.quantity.precedes_optimizers
    or first.quantity is Quantity.STEP_COUNTER
  ):
    # The update differs because of this.
    cause, *others = others
    place.differences += cause.differences
    place.repair, place.tried = cause.repair, cause.tried
    place.group, place.mistake = cause.group, place.mistake or cause.mistake
  return (place, *others)


def _diagnose_optimizers(outcome: Outcome, run: Run) -> Diagnosis:
  differences = outcome.evidence_of(OptimizerDifference)
  place = update_location.locate_optimizers(
    differences[0], (run.tf1.steps[0], run.tf2.steps[0]), run.pairing.table
  )
  return Diagnosis(
    divergence_lib.REAL,
    divergences=_with_others(place, outcome, run),
    advice=_advice_on_optimizers(differences),
  )


def _advice_on_optimizers(
  differences: list[OptimizerDifference],
) -> tuple[str, ...]:
  found = (rules.recognize(each) for each in differences)
  return tuple(advice.for_hyperparameters(next(filter(None, found), '')))


def _step(
  outcome: Outcome, run: Run
) -> tuple[observation.StepObservation, observation.StepObservation]:
  """Returns the first step that differs, of both sides."""
  i = (outcome.failing()[0].step or 1) - 1
  return run.tf1.steps[i], run.tf2.steps[i]


def _mistake(outcome: Outcome, run: Run) -> str:
  """Returns the mistake that the numbers of the steps fit, '' if none."""
  quantity = outcome.failing()[0].quantity
  if quantity is Quantity.LEARNING_RATE:
    rates = _rates(outcome, run)
    return '' if rates is None else rules.recognize(rates)
  if quantity is Quantity.GRADIENTS:
    return rules.recognize(_gradients(outcome, run))
  if quantity is Quantity.UNTRAINED_VARIABLES:
    return rules.recognize(_moving_statistics(outcome, run))
  record = step_facts.of(
    outcome, run.plan, _step(outcome, run), (run.pairing, _before(outcome, run))
  )
  return '' if record is None else rules.recognize(record)


def _rates(outcome: Outcome, run: Run) -> facts.Rates | None:
  name = outcome.failed(outcome.failing()[0])[0].name
  table, found = run.pairing.table, []
  for sides in zip(run.tf1.steps, run.tf2.steps, strict=False):
    of_step = [
      (float(first.learning_rate), float(second.learning_rate))
      for first, second in step_pairs.paired_updates(table, *sides)
      if steps_lib.name_of(Quantity.LEARNING_RATE, first) == name
      and first.learning_rate is not None
      and second.learning_rate is not None
    ]
    if len(of_step) != 1:
      return None
    found += of_step
  return facts.Rates([a for a, _ in found], [b for _, b in found])


def _gradients(outcome: Outcome, run: Run) -> facts.Gradients:
  failed = outcome.failed(outcome.failing()[0])
  sides = _step(outcome, run)
  tf1, tf2 = step_pairs.single_gradients(run.pairing, *sides)
  decays = [
    u.optimizer.hyperparameters.get('weight_decay') for u in sides[1].updates
  ]
  return facts.Gradients(
    _before(outcome, run),
    {c.name: tf1[c.name] for c in failed if not c.problem and c.name in tf1},
    tf2,
    next((x for x in decays if x), None),
    len(outcome.comparisons[outcome.failing()[0]]),
    _losses(sides),
  )


def _losses(
  sides: tuple[observation.StepObservation, observation.StepObservation],
) -> tuple[float, float] | None:
  first, second = (side.loss for side in sides)
  if first is None or second is None:
    return None
  return float(first), float(second)


def _before(outcome: Outcome, run: Run) -> facts.Arrays:
  """Values of the TF2 variables before the step that differs."""
  step = outcome.failing()[0].step or 1
  if step == 1:
    return run.tf2.weight_of()
  return run.pairing.carry(run.tf1.steps[step - 2].variables)


def _moving_statistics(outcome: Outcome, run: Run) -> facts.MovingStatistics:
  key = outcome.failing()[0]
  if key.step is None:
    after = run.tf1.updated, run.tf2.updated
  else:
    after = tuple(side.variables for side in _step(outcome, run))
  return facts.MovingStatistics(
    [c.name for c in outcome.failed(key)],
    run.pairing.tf1_names(),
    _before(outcome, run),
    *after,
  )
