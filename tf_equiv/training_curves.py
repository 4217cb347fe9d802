"""Trains both sides freely, has the curves judged, and looks for the cause."""

import copy
import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv import session as session_lib
from tf_equiv import user_methods
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import (
  diagnosis,
  divergence,
  envelopes,
  equivalence,
  judge_curves,
  run_info,
)
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import curves, errors, observation, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import advice
from tf_equiv.report import telling
from tf_equiv.tf1 import garbage
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf2 import training as tf2_training

__unittest = True

_log = logging.getLogger('tf_equiv')
_NAME = 'assertTrainingCurvesMatch'
# Tolerances of single steps, over the default ones: what adds up over many
# steps may be far below what one may differ by.
_SLACKS = (1.0, 0.1, 0.01)
# The last part of a training, over which its final loss is the mean.
_END = 0.1


@dataclasses.dataclass(frozen=True)
class Settings:
  """How free training is judged.

  Attributes:
    criteria: what may differ at least, and what counts as a pass.
    factor: TF2 may differ by so many times what TF1 differs from itself by.
    seeds: how many seeds are trained with.
    margin: by what share of the spread of TF1 over the seeds the mean final
      losses may differ.
  """

  criteria: criteria_lib.Criteria
  factor: float = envelopes.FACTOR
  seeds: int = 1
  margin: float = 0.5


@dataclasses.dataclass(frozen=True)
class _Ran:
  """Both sides after free training.

  Attributes:
    tf1: the reference.
    tf2: the candidate; without curves where the variables do not correspond.
    pairing: how the variables correspond.
  """

  tf1: observation.Observation
  tf2: observation.Observation
  pairing: pairing_lib.Pairing


@threads.alone()
def compare(
  session: session_lib.Session, plan: plan_lib.RunPlan, settings: Settings
) -> verdict_lib.Verdict:
  """Trains both sides of a test case freely, and judges.

  Args:
    session: of the test case.
    plan: what to run; it has `free_runs`.
    settings: how to judge.

  Returns:
    The verdict.

  Raises:
    UsageError: if the TF1 side cannot train freely where it runs.
  """
  start = time.time()
  ran = _train(session, plan)
  outcome = judge_curves.judge_curves(
    _NAME,
    plan,
    (ran.tf1, ran.tf2),
    ran.pairing,
    settings.criteria,
    settings.factor,
  )
  found = diagnosis.Diagnosis(advice=tuple(advice.for_outcome(outcome)))
  if outcome.passed and settings.seeds > 1:
    outcome = _with_seeds(session, plan, settings, outcome, ran)
  if outcome.curves is not None and outcome.curves.leaves is not None:
    outcome, found = _locate(session, plan, settings, outcome, ran)
  elif outcome.kind in (outcome_lib.Kind.CURVES, outcome_lib.Kind.SEEDS):
    found = dataclasses.replace(found, advice=(_advice(outcome),))
  garbage.released()
  info = run_info.describe_run(
    plan,
    ran.tf1,
    ran.tf2,
    table=ran.pairing.table,
    tolerance=settings.criteria.tolerance,
  )
  terms = info.terms
  if terms is not None:
    terms = dataclasses.replace(terms, seeds=settings.seeds)
  info = dataclasses.replace(
    info,
    terms=terms,
    settings={
      **info.settings,
      'runs of TF1 from weights one unit away': str(plan.free_runs),
      'allowed times the spread of TF1': f'{settings.factor:g}',
      'seeds': str(settings.seeds),
    },
    seconds=time.time() - start,
  )
  return telling.tell(outcome, found, info)


def _train(session: session_lib.Session, plan: plan_lib.RunPlan) -> _Ran:
  """Trains both sides; TF2 starts from the weights of TF1."""
  program = session.methods.tf2_program()
  run = session.submit(plan)
  session.models.clear()  # Steps need its memory, and not the model.
  # TF2 gets the weights that TF1 starts from, also where those are drawn.
  candidate = tf2_training.prepare(
    program, dataclasses.replace(plan, weights=plan_lib.FIXED)
  )
  tf1 = run.result()
  if tf1.curves is None:
    raise errors.UsageError(
      f'{session.reference!r} cannot train freely: it takes each step from a '
      f'given state. {_NAME} needs the TF1 side in this process '
      '(tf_equiv.InProcess, tf_equiv.from_model_fn) or in another interpreter '
      '(tf_equiv.Tf1Interpreter), or a recording of one of these.'
    )
  pairing = session.mapping().pair(tf1, candidate.variables)
  if pairing.blocks_values:
    return _Ran(tf1, candidate.variables, pairing)
  values = pairing.carry(tf1.weight_of())
  start = {
    spec.name: values[spec.name]
    for spec in candidate.variables.variables
    if spec.name in values
  }
  recorder = curves.Recorder(start)
  tf2 = candidate.run(values, tf1, keep=recorder.add)
  problem = advice.explain_missing_training(plan, tf1, tf2)
  if problem:
    raise errors.UsageError(problem)
  return _Ran(
    tf1,
    dataclasses.replace(tf2, curves=curves.Curves(recorder.curve())),
    pairing,
  )


def _with_seeds(
  session: session_lib.Session,
  plan: plan_lib.RunPlan,
  settings: Settings,
  outcome: outcome_lib.Outcome,
  ran: _Ran,
) -> outcome_lib.Outcome:
  """Trains with further seeds, and compares how the trainings end."""
  pairs = [_final(ran)]
  for i in range(1, settings.seeds):
    _log.info('training with seed %d of %d', i + 1, settings.seeds)
    other = dataclasses.replace(plan, seed=plan.seed + i, free_runs=1)
    pairs.append(_final(_train(session, other)))
    garbage.released()
  if any(pair is None for pair in pairs):
    raise errors.UsageError(
      f'seeds={settings.seeds} compares the final loss, but the training step '
      'has none on both sides: let train_tf1 and train_tf2 return it as "loss".'
    )
  both = [pair for pair in pairs if pair is not None]
  seeds = equivalence.compare(
    [first for first, _ in both],
    [second for _, second in both],
    settings.margin,
  )
  assert outcome.curves is not None
  kind = outcome.kind
  if seeds.decision is not equivalence.Decision.EQUIVALENT:
    kind = outcome_lib.Kind.SEEDS
  return dataclasses.replace(
    outcome, kind=kind, curves=dataclasses.replace(outcome.curves, seeds=seeds)
  )


def _final(ran: _Ran) -> tuple[float, float] | None:
  """Returns the final losses of both sides, None where there are none."""
  found = []
  for side in (ran.tf1, ran.tf2):
    base = None if side.curves is None else side.curves.base
    loss = _loss(base)
    if loss is None:
      return None
    found.append(float(np.mean(loss[-max(1, round(_END * len(loss))) :])))
  return found[0], found[1]


def _loss(curve: curves.Curve | None) -> np.ndarray | None:
  if curve is None:
    return None
  found = curve.values.get(curves.LOSS, {}).get('')
  if found is not None:
    return found
  outputs = curve.values.get(curves.OUTPUTS, {})
  return next((v for p, v in outputs.items() if 'loss' in p), None)


def _advice(outcome: outcome_lib.Outcome) -> str:
  found = outcome.curves
  if found is None:
    return ''
  if outcome.kind is outcome_lib.Kind.SEEDS:
    if found.seeds is not None and found.seeds.needed:
      return (
        f'train with about seeds={found.seeds.needed}, or allow a larger '
        'margin.'
      )
    return 'assertTrainingEquivalent(steps=3) compares single steps.'
  alone = found.of_tf2_alone
  step = alone.step if alone is not None else 0
  if alone is None:
    own = found.of_tf1
    before = own.step if own is not None else 0
    return (
      'this is how TF1 trains: give it a smaller learning rate or other '
      f'batches, compare steps={max(before, 1)} only, or pass equal_nan=True.'
    )
  return (
    f'assertTrainingEquivalent(steps={step + 1}) compares single steps, each '
    'from the state of TF1.'
  )


class _FromWeights(user_methods.UserMethods):
  """Template methods of a test case, with other fixed weights."""

  def __init__(
    self, methods: user_methods.UserMethods, weights: Mapping[str, np.ndarray]
  ):
    super().__init__(methods._case)
    self._weights = weights

  def tf1_program(self, reset_weights: Any = None) -> program_lib.Program:
    """Returns the code of the TF1 side; see `UserMethods`."""
    return super().tf1_program(reset_weights or self.reset_weights)

  def reset_weights(
    self, name: str, shape: Sequence[int], dtype: Any
  ) -> np.ndarray:
    """Returns the value that TF1 started from; see `UserMethods`."""
    value = self._weights.get(name)
    if value is None or np.shape(value) != tuple(shape):
      return super().reset_weights(name, tuple(shape), dtype)
    return value


def _locate(
  session: session_lib.Session,
  plan: plan_lib.RunPlan,
  settings: Settings,
  outcome: outcome_lib.Outcome,
  ran: _Ran,
) -> tuple[outcome_lib.Outcome, diagnosis.Diagnosis]:
  """Compares single steps up to that at which the curves part.

  Each starts on both sides from the state that TF1 had there. What differs by
  less than one step may differ by is looked for with smaller tolerances, and
  counts if it is no rounding.
  """
  assert outcome.curves is not None and outcome.curves.leaves is not None
  last = outcome.curves.leaves.step + 1
  located = copy.copy(session)
  located.methods = _FromWeights(session.methods, ran.tf1.weight_of())
  single = dataclasses.replace(
    plan,
    weights=plan_lib.FIXED,
    batches=plan.batches[:last],
    free_runs=0,
  )
  dormant = None
  for slack in _SLACKS:
    criteria = dataclasses.replace(
      settings.criteria,
      allow_dormant=slack != 1.0,
      allow_vacuous=True,
    ).with_slack(slack)
    _log.info('comparing %d single step(s), tolerance x %g', last, slack)
    try:
      found = located.compare('assertTrainingEquivalent', single, criteria)
    except errors.EquivalenceError as error:
      note = f'single steps could not be compared: {error}'
      return outcome, diagnosis.Diagnosis(notes=(errors.cut(note, 300),))
    if found.kind == divergence.DORMANT:
      dormant = found  # True, but perhaps not what makes the curves part.
    elif not found.passed and _counts(found, slack):
      return _explained(outcome, found, slack)
  if dormant is not None:
    return _explained(outcome, dormant, 1.0)
  advised = (
    f'no single one of the first {last} step(s), each from the state of TF1, '
    'differs by more than rounding: what differs may be a state that the steps '
    'do not share, such as a counter, or a buffer outside of the variables.',
  )
  return outcome, diagnosis.Diagnosis(advice=advised)


def _counts(found: verdict_lib.Verdict, slack: float) -> bool:
  """Returns whether a difference of single steps is more than rounding."""
  if slack == 1.0:
    return found.kind != divergence.NOISE
  return found.kind == divergence.REAL


def _explained(
  outcome: outcome_lib.Outcome, found: verdict_lib.Verdict, slack: float
) -> tuple[outcome_lib.Outcome, diagnosis.Diagnosis]:
  """Adds what a comparison of single steps has found."""
  line = found.headline
  if slack != 1.0:
    line += f' (with {slack:g} times the default tolerance)'
  if outcome.curves is not None:
    outcome = dataclasses.replace(
      outcome,
      curves=dataclasses.replace(outcome.curves, located=line),
      evidence=found.outcome.evidence,
    )
  return outcome, found.diagnosis
