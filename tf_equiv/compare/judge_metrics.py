"""Judges streaming metrics: after which batch the first of them differs."""

import dataclasses

from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import judge_forward, metrics, vacuity
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib


def judge_metrics(
  assertion: str,
  plan: plan_lib.RunPlan,
  sides: tuple[observation.Observation, observation.Observation],
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
) -> Outcome:
  """Judges the metrics of two observations.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    sides: the reference and the candidate, each with its `metrics`, of the same
      names.
    pairing: how the variables correspond.
    criteria: what may differ, and what counts as a pass.

  Returns:
    The outcome.
  """
  tf1, tf2 = sides
  outcome = judge_forward.judge_comparable(
    assertion, plan, tf1, tf2, pairing, criteria
  )
  if not outcome.passed or tf1.metrics is None or tf2.metrics is None:
    return outcome
  found = metrics.compare(tf1.metrics, tf2.metrics, criteria.tolerance)
  outcome = dataclasses.replace(
    outcome,
    compared={
      **outcome.compared,
      'metrics': len(found.streams),
      'batches': found.batches,
    },
  )
  return with_metrics(outcome, found, criteria)


def with_metrics(
  outcome: Outcome, found: metrics.Found, criteria: criteria_lib.Criteria
) -> Outcome:
  """Decides by what the metrics show.

  Args:
    outcome: what was found before.
    found: what the metrics show.
    criteria: what counts as a pass.

  Returns:
    The outcome.
  """
  differing = found.differing()
  outcome = dataclasses.replace(
    outcome,
    metrics=found,
    kind=Kind.METRICS if differing else Kind.PASS,
    comparisons={
      Key(Quantity.METRICS): [
        each
        for stream in found.streams
        if not stream.forgiven
        for each in stream.comparisons
      ]
    },
  )
  if differing:
    return outcome
  empty = None
  if all(each.is_zero for each in found.streams):
    empty = vacuity.Vacuity(vacuity.Reason.ZERO_METRICS, count=found.batches)
  return judge_forward.require_meaning(outcome, [], empty, criteria)
