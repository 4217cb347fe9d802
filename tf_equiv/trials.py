"""Runs the TF2 side beside TF1, once, and has it judged."""

import dataclasses

from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import judge_forward, judge_steps, run_info
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import advice, first_look
from tf_equiv.references import base as references
from tf_equiv.tf1 import environment as environment_lib
from tf_equiv.tf2 import candidate as candidate_lib
from tf_equiv.tf2 import training as tf2_training
from tf_equiv.tf2 import variants

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True

Candidate = candidate_lib.Candidate | tf2_training.Candidate


@dataclasses.dataclass(frozen=True)
class Comparison:
  """What an assertion compares.

  Attributes:
    assertion: its name.
    plan: what is run.
    criteria: what may differ, and what counts as a pass.
    run: the run of the TF1 side.
  """

  assertion: str
  plan: plan_lib.RunPlan
  criteria: criteria_lib.Criteria
  run: references.Run


@dataclasses.dataclass(frozen=True)
class Judged:
  """The outcome of the TF2 side in one variant.

  Attributes:
    outcome: the outcome.
    info: under what it was found.
    ran: what was run; None where the variables do not correspond.
  """

  outcome: outcome_lib.Outcome
  info: run_info.RunInfo
  ran: first_look.Run | None = None


def try_candidate(
  comparison: Comparison,
  candidate: Candidate,
  pairing: pairing_lib.Pairing,
  variant: str = variants.EAGER,
) -> Judged:
  """Gives the TF2 side its values, runs it, and judges.

  Args:
    comparison: what is compared; TF1 is waited for.
    candidate: the TF2 side, prepared.
    pairing: its variables with those of TF1.
    variant: how it was prepared to run.

  Returns:
    The outcome. Nothing is run where the variables do not correspond.

  Raises:
    UsageError, EnvironmentSetupError, ModelCodeError: if the TF2 side cannot
      run, or takes no training flag although it needs one.
  """
  assertion, plan = comparison.assertion, comparison.plan
  criteria, tf1 = comparison.criteria, comparison.run.result()
  if pairing.blocks_values:
    outcome = judge_forward.judge_comparable(
      assertion, plan, tf1, candidate.variables, pairing, criteria
    )
    return Judged(
      dataclasses.replace(outcome, notes=tuple(tf1.notes)),
      run_info.describe_run(
        plan, tf1, candidate.variables, table=pairing.table
      ),
    )
  values = None
  if plan.weights == plan_lib.FIXED:
    values = pairing.carry(tf1.weight_of())
  if isinstance(candidate, tf2_training.Candidate):
    states = [pairing.carry_state(step) for step in tf1.steps]
    tf2 = candidate.run(values, tf1, states)
  else:
    tf2 = candidate.run(values, tf1)
  problem = advice.explain_missing_training(plan, tf1, tf2)
  if problem:
    raise errors.UsageError(problem)
  criteria = criteria.with_slack(variants.SLACK.get(variant, 1.0))
  judge = (
    judge_steps.judge_training if plan.batches else judge_forward.judge_forward
  )
  return Judged(
    judge(assertion, plan, tf1, tf2, pairing, criteria),
    run_info.describe_run(
      plan, tf1, tf2, table=pairing.table, tolerance=criteria.tolerance
    ),
    first_look.Run(plan, tf1, tf2, pairing),
  )


def here(side: str) -> observation.Observation:
  """Returns an observation that holds nothing but this environment."""
  return observation.Observation(side, environment=environment_lib.describe())
