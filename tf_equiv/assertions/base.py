"""What all assertions share: programs, plans, and how a verdict is raised."""

import dataclasses
import time
from typing import Any

import numpy as np

from tf_equiv import template
from tf_equiv.assertions import reporting
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import (
  judge_forward,
  judge_steps,
  judge_variables,
  run_info,
)
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode, as_seed_mode
from tf_equiv.diagnose import advice, diagnoser, first_look
from tf_equiv.references import base as references
from tf_equiv.report import telling, text
from tf_equiv.tf1 import environment as environment_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import user_code, weights
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import runner as tf2_runner
from tf_equiv.tf2 import shared_models
from tf_equiv.tf2 import training as tf2_training
from tf_equiv.tf2 import variants as variants_lib

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True


_METHODS = tuple(n for n in vars(template.TemplateMethods) if n[0] != '_')


@dataclasses.dataclass(frozen=True)
class Judged:
  """The outcome of one variant.

  Attributes:
    outcome: the outcome.
    info: under what it was found.
    ran: what was run; None where the variables do not correspond.
  """

  outcome: outcome_lib.Outcome
  info: run_info.RunInfo
  ran: first_look.Run | None = None


class AssertionBase(template.TemplateMethods):
  """Base of the mixins."""

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    # What ran in the current test.
    self._ran: list[verdict_lib.Step] = []

  def _make_plan(
    self,
    training: bool = False,
    weights: str = plan_lib.FIXED,
    seed_mode: Any = SeedMode.CONSTANT,
    gradients: bool = False,
    inputs: bool = False,
    compare_updates: bool = False,
    steps: int = 0,
  ) -> plan_lib.RunPlan:
    # Check the arguments before any of the user's slow code runs.
    training = plan_lib.check_training(training)
    seed_mode = as_seed_mode(seed_mode)
    if weights not in (plan_lib.FIXED, plan_lib.SEEDED):
      raise errors.UsageError(
        "weights must be 'fixed' (by reset_weights) or 'seeded' (by the "
        f'initializers), got {weights!r}.'
      )
    batches = self._make_batches(steps)
    return plan_lib.RunPlan(
      inputs=(
        batches[0] if batches else plan_lib.check_inputs(self.make_inputs())
      ),
      training=training,
      weights=weights,
      seed_mode=seed_mode,
      gradients=gradients,
      input_gradients=inputs,
      updates=training and compare_updates and not steps,
      batches=tuple(batches),
    )

  def _make_batches(self, steps: int) -> list[Any]:
    batches = []
    for step in range(steps):
      origin = f'make_batch({step})'
      batch = plan_lib.check_inputs(self.make_batch(step), origin)
      if batches:
        batch = plan_lib.check_batch(batch, batches[0], origin)
      batches.append(batch)
    return batches

  def _overrides(self, name: str) -> bool:
    function = getattr(getattr(self, name), '__func__', None)
    return function is not getattr(template.TemplateMethods, name)

  def _reference(self) -> references.Reference:
    reference = self.tf1_reference
    if not isinstance(reference, references.Reference):
      raise errors.UsageError(
        f'tf1_reference is {reference!r}; expected where the TF1 side runs, '
        'tf_equiv.InProcess() for example.'
      )
    # Kept by the class itself, not by one that it inherits from.
    opened = type(self).__dict__.get('_opened_references')
    if opened is None:
      opened = type(self)._opened_references = []
    for known in opened:
      if known == reference:  # A property may make one at each access.
        return known
    opened.append(reference)
    return reference

  def _models(self) -> shared_models.SharedModels:
    """Returns what keeps TF2 models for the assertions of this class."""
    share = self.share_tf2_models
    if not isinstance(share, bool):
      raise errors.UsageError(
        f'share_tf2_models is {share!r}; expected True or False.'
      )
    models = type(self).__dict__.get('_opened_models')
    if models is None:
      models = type(self)._opened_models = shared_models.SharedModels()
    return models if share else shared_models.SharedModels(shares=False)

  def _tf1_program(self) -> program_lib.Program:
    behavior = self.tf1_behavior
    if not isinstance(behavior, program_lib.TF1Behavior):
      raise errors.UsageError(
        f'tf1_behavior is {behavior!r}; expected a tf_equiv.TF1Behavior.'
      )
    return program_lib.Program(
      build=self.build_tf1,
      reset_weights=(
        self.reset_weights
        if self._overrides('reset_weights')
        else weights.named_weights
      ),
      compute_loss=self.compute_loss_tf1,
      behavior=behavior,
      build_optimizer=self.build_tf1_optimizer,
      clip_gradients=self.clip_gradients_tf1,
      update_ops=self.tf1_update_ops,
      train=self.train_tf1 if self._overrides('train_tf1') else None,
      defined=frozenset(n for n in _METHODS if self._overrides(n)),
    )

  def _tf2_program(self) -> tf2_program.Program:
    return tf2_program.Program(
      build=self.build_tf2,
      call=self.call_tf2,
      compute_loss=self.compute_loss_tf2,
      # Whoever overrides call_tf2 hands the flag on in a way of their own.
      takes_training=(
        (lambda model: True)
        if self._overrides('call_tf2')
        else model_lib.takes_training
      ),
      build_optimizer=self.build_tf2_optimizer,
      clip_gradients=self.clip_gradients_tf2,
      train=self.train_tf2 if self._overrides('train_tf2') else None,
    )

  def _converted(self, tf1_name: str, value: Any, tf2_name: str) -> np.ndarray:
    with user_code.running('TF2', 'convert_variable'):
      converted = pairing_lib.checked(self.convert_variable)
      return converted(tf1_name, value, tf2_name)

  def _match(self, tf1, tf2) -> pairing_lib.Pairing:
    """Pairs the variables of two observations."""
    return pairing_lib.VariableMapping(
      self.rename_variable, self._converted, self.ignored_variables
    ).pair(tf1, tf2)

  def _list_variables(self):
    """Returns the variables of both sides, for `suggest_renames`."""
    plan = self._make_plan()
    tf1, tf2 = self._variables_of_both(plan)
    return tf1.variables, tf2.variables

  def _variables_of_both(self, plan: plan_lib.RunPlan):
    """Returns an observation of each side that describes its variables."""
    reference, program = self._reference(), self._tf1_program()
    reference.prepare(program, plan)
    tf2 = tf2_runner.list_variables(self._tf2_program(), plan, self._models())
    return reference.list_variables(program, plan), tf2

  def _compare_run(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    criteria: criteria_lib.Criteria,
    msg: str | None,
  ) -> verdict_lib.Verdict:
    """Runs a plan on both sides, judges, and raises or returns the verdict."""
    return self._conclude(self._run_and_judge(assertion, plan, criteria), msg)

  def _run_and_judge(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    criteria: criteria_lib.Criteria,
  ) -> verdict_lib.Verdict:
    """Runs a plan, TF1 once and TF2 in each variant, and judges.

    Args:
      assertion: name of the assertion.
      plan: what to run.
      criteria: what may differ, and what counts as a pass.

    Returns:
      The verdict of the first variant that fails, else of the first.
    """
    start = time.time()
    run, used = self._reference().run(self._tf1_program(), plan), []
    tf1 = run.later()
    found = {
      variant: self._judge_variant(
        assertion, plan, criteria, tf1, variant, used=used
      )
      for variant in criteria.variants
    }
    outcomes = {variant: each.outcome for variant, each in found.items()}
    culprit = ''
    if _only_grappler_fails(outcomes):
      culprit = self._grappler_pass(assertion, plan, criteria, tf1)
    outcome = judge_forward.judge_variants(outcomes)
    chosen = next((v for v, x in outcomes.items() if not x.passed), None)
    judged = found[chosen or next(iter(found))]
    diagnosis = first_look.with_variants(
      first_look.diagnose(outcome, judged.ran), outcome, culprit
    )
    if not any(each.passed for each in outcomes.values()):
      self._models().clear()  # The model is about to be looked into.
      locator = diagnoser.Locator(self, plan, run, used)
      diagnosis = locator.explain(outcome, diagnosis)
    info = dataclasses.replace(
      judged.info,
      seconds=time.time() - start,
      settings={
        **judged.info.settings,
        'variants': ', '.join(criteria.variants),
      },
    )
    return telling.tell(outcome, diagnosis, info)

  def _grappler_pass(self, *arguments) -> str:
    """Returns the pass of Grappler without which the sides agree, else ''.

    Where no single one does, the first few that do together are named.
    """
    names = variants_lib.GRAPPLER_PASSES
    several = [names[: i + 1] for i in range(1, len(names))]
    for without in [(name,) for name in names] + several:
      judged = self._judge_variant(
        *arguments, variants_lib.GRAPPLER, without=without
      )
      if judged.outcome.passed:
        return ' + '.join(without)
    return ''

  def _judge_variant(
    self,
    assertion,
    plan,
    criteria,
    tf1,
    variant,
    without=(),
    used=None,
    tf2_program=None,
  ):
    def weights_for(tf2):
      pairing = self._match(tf1, tf2)
      if pairing.blocks_values:
        raise diagnoser.VariablesDifferError(pairing.table)
      return self._weights_for(tf2.variables, pairing, tf1.weight_of())

    def state_for(tf2, step):
      pairing = self._match(tf1, tf2)
      if pairing.blocks_values:  # Which is judged when the steps are.
        return {}, {}
      return pairing.carry_state(tf1.steps[step])

    program = tf2_program or self._tf2_program()
    arguments = program, plan, weights_for, tf1, variant, without
    try:
      if plan.batches:
        self._models().clear()  # Steps need its memory, and not the model.
        tf2 = tf2_training.run(*arguments, state_for)
      else:
        tf2 = tf2_runner.run(*arguments, used, self._models())
    except diagnoser.VariablesDifferError as error:
      outcome = judge_variables.judge_variables(
        error.table, assertion, criteria.allow_empty, plan.describe()
      )
      outcome = dataclasses.replace(outcome, notes=tuple(tf1.notes))
      info = run_info.describe_run(plan, tf1, here('TF2'), table=error.table)
      return Judged(outcome, info)
    problem = advice.explain_missing_training(plan, tf1, tf2)
    if problem:
      raise errors.UsageError(problem)
    criteria = criteria.with_slack(variants_lib.SLACK.get(variant, 1.0))
    judge = (
      judge_steps.judge_training
      if plan.batches
      else judge_forward.judge_forward
    )
    pairing = self._match(tf1, tf2)
    return Judged(
      judge(assertion, plan, tf1, tf2, pairing, criteria),
      run_info.describe_run(
        plan, tf1, tf2, table=pairing.table, tolerance=criteria.tolerance
      ),
      first_look.Run(plan, tf1, tf2, pairing),
    )

  def _weights_for(self, tf2_specs, pairing, weight_of):
    """Values of the TF2 variables, None for those without a counterpart."""
    carried = pairing.carry(weight_of)
    return [carried.get(spec.name) for spec in tf2_specs]

  def _conclude(
    self, verdict: verdict_lib.Verdict, msg: str | None
  ) -> verdict_lib.Verdict:
    verdict, report = self._report(verdict)
    if verdict.passed:
      return verdict
    message = self._formatMessage(msg, text.failure(verdict))
    raise self.failureException(
      '\n'.join([message, report]) if report else message
    )

  def _report(
    self, verdict: verdict_lib.Verdict
  ) -> tuple[verdict_lib.Verdict, str]:
    """Writes a report if one is wanted.

    Args:
      verdict: what to report.

    Returns:
      (the verdict, which then knows its test; a line that says where the report
      is, '' if there is none).
    """
    verdict = reporting.with_test(self, verdict, self._ran)
    return verdict, reporting.write(verdict)


def _only_grappler_fails(outcomes) -> bool:
  return [n for n, x in outcomes.items() if not x.passed] == [
    variants_lib.GRAPPLER
  ]


def here(side: str) -> observation.Observation:
  """Returns an observation that holds nothing but this environment."""
  return observation.Observation(side, environment=environment_lib.describe())
