"""Runs the metrics of both sides, has them judged, and looks for causes."""

import dataclasses
import time

from tf_equiv import session as session_lib
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import diagnosis, judge_metrics, run_info
from tf_equiv.compare import metrics as metrics_lib
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors, metric_values, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.text import listed
from tf_equiv.diagnose import advice, metric_causes
from tf_equiv.report import telling
from tf_equiv.tf1 import garbage
from tf_equiv.tf2 import metrics as tf2_metrics

__unittest = True

_NAME = 'assertMetricsMatch'
_MAX_NAMES = 10


@threads.alone()
def compare(
  session: session_lib.Session,
  plan: plan_lib.RunPlan,
  criteria: criteria_lib.Criteria,
) -> verdict_lib.Verdict:
  """Runs the metrics of both sides of a test case, and judges.

  Args:
    session: of the test case.
    plan: what to run; it has `metrics`.
    criteria: what may differ, and what counts as a pass.

  Returns:
    The verdict.

  Raises:
    UsageError: if the TF1 side has no metrics where it runs, or the sides have
      metrics of other names.
  """
  start = time.time()
  if not session.reference.measures_metrics():
    raise errors.UsageError(
      f'{session.reference!r} cannot run metrics: {_NAME} needs the TF1 side '
      'in this process (tf_equiv.InProcess, tf_equiv.from_model_fn) or in '
      'another interpreter (tf_equiv.Tf1Interpreter), or a recording of one of '
      'these.'
    )
  run = session.submit(plan)
  session.models.clear()  # Another model is built, which takes its memory.
  # TF2 gets the weights that TF1 starts from, also where those are drawn.
  fixed = dataclasses.replace(plan, weights=plan_lib.FIXED)
  candidate = tf2_metrics.prepare(session.methods.tf2_program(), fixed)
  tf1 = run.result()
  pairing = session.mapping().pair(tf1, candidate.variables)
  tf2 = candidate.variables
  if not pairing.blocks_values:
    tf2 = candidate.run(pairing.carry(tf1.weight_of()), tf1)
    _check_names(tf1.metrics, tf2.metrics)
  outcome = judge_metrics.judge_metrics(
    _NAME, plan, (tf1, tf2), pairing, criteria
  )
  if outcome.kind is outcome_lib.Kind.METRICS:
    assert tf1.metrics is not None
    outcome = _explain(candidate, outcome, tf1.metrics, criteria)
  found = diagnosis.Diagnosis(advice=tuple(advice.for_outcome(outcome)))
  garbage.released()
  info = run_info.describe_run(
    plan, tf1, tf2, table=pairing.table, tolerance=criteria.tolerance
  )
  info = dataclasses.replace(info, seconds=time.time() - start)
  return telling.tell(outcome, found, info)


def _check_names(
  tf1: metric_values.MetricValues | None,
  tf2: metric_values.MetricValues | None,
) -> None:
  """Raises `UsageError` unless both sides have metrics of the same names."""
  if tf1 is None or tf2 is None:
    raise errors.UsageError(
      f'The TF1 side left no metrics behind, which {_NAME} compares: record it '
      'anew.'
    )
  only = metrics_lib.names_of_one_side(tf1.values, tf2.values)
  if any(only):
    parts = [
      f'{method} alone has {listed(map(repr, names), _MAX_NAMES)}'
      for method, names in zip(
        ('build_metrics_tf1', 'build_metrics_tf2'), only, strict=True
      )
      if names
    ]
    raise errors.UsageError(
      f'The sides have metrics of other names: {"; ".join(parts)}. Give each '
      'metric the same name on both sides.'
    )


def _explain(
  candidate: tf2_metrics.Candidate,
  outcome: outcome_lib.Outcome,
  tf1: metric_values.MetricValues,
  criteria: criteria_lib.Criteria,
) -> outcome_lib.Outcome:
  """Adds why metrics differ, as far as it can be tried."""
  found = outcome.metrics
  assert found is not None
  try:
    given = candidate.measure(tf1.outputs)
    found = metrics_lib.with_outputs_of_tf1(found, given, criteria.tolerance)
    found = metric_causes.explain(
      candidate, found, tf1.sizes, criteria.tolerance
    )
  except Exception as error:  # What the user's code does is not known.
    note = f'the cause was not looked for: {type(error).__name__}: {error}'
    notes = (*outcome.notes, errors.cut(note, 300))
    return dataclasses.replace(outcome, notes=notes)
  return judge_metrics.with_metrics(outcome, found, criteria)
