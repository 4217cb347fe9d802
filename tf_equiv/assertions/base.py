"""What all assertions share: programs, plans, and how a verdict is raised."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import template
from tf_equiv.assertions import reporting
from tf_equiv.compare import judge, run_info, tolerances
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode, as_seed_mode
from tf_equiv.diagnose import diagnoser
from tf_equiv.references import base as references
from tf_equiv.report import text
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
      converted = self.convert_variable(tf1_name, value, tf2_name)
    if converted is None:
      raise errors.UsageError(
        f'convert_variable({tf1_name!r}, <array of shape {np.shape(value)}>, '
        f'{tf2_name!r}) returned None; return the value of the TF2 variable.'
      )
    return np.asarray(converted)

  def _match(self, tf1, tf2):
    """Matches the variables of two observations."""

    def converted_shape(first, second):
      # Zeros stand in for the value: only the shape is asked for.
      zeros = np.zeros(first.shape, _numpy_dtype(first.dtype))
      return self._converted(first.name, zeros, second.name).shape

    return variables_lib.match_variables(
      tf1.variables,
      tf2.variables,
      rename=self.rename_variable,
      converted_shape=converted_shape,
      ignored=self.ignored_variables,
      untracked=tf2.untracked,
      others=tf1.optimizer_variables,
      convert=self._converted,
      flags=observation.TRAINABLE not in tf1.unknown,
    )

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
    tolerance: tolerances.Tolerance,
    allow_empty: bool,
    msg: str | None,
    variants: Any = variants_lib.EAGER,
    allow_vacuous: bool = False,
  ) -> verdict_lib.Verdict:
    """Runs a plan on both sides, judges, and raises or returns the verdict."""
    judged = self._judged(assertion, plan, allow_empty, allow_vacuous)
    verdict = self._run_and_judge(
      assertion, plan, judged, tolerance, allow_empty, variants
    )
    return self._conclude(verdict, msg)

  def _judged(self, assertion, plan, allow_empty, allow_vacuous=False):
    """Returns the function that judges two observations of a forward pass."""

    def judged(tf1, tf2, table, tolerance):
      return judge.judge_run(
        assertion,
        plan,
        tf1,
        tf2,
        table,
        self._converted,
        tolerance,
        allow_empty,
        allow_vacuous,
      )

    return judged

  def _run_and_judge(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    judged: Callable[..., verdict_lib.Verdict],
    tolerance: tolerances.Tolerance,
    allow_empty: bool,
    variants: Any = variants_lib.EAGER,
    known: Sequence[str] = (),
  ) -> verdict_lib.Verdict:
    """Runs a plan, TF1 once and TF2 in each variant, and judges.

    Args:
      assertion: name of the assertion.
      plan: what to run.
      judged: judges `(tf1, tf2, table, tolerance)`.
      tolerance: what may differ.
      allow_empty: whether comparing nothing is a pass.
      variants: how the TF2 side runs.
      known: names that a pattern of `ignored_variables` may match besides those
        of the variables.

    Returns:
      The verdict of the first variant that fails, else of the first.
    """
    start = time.time()
    variants = variants_lib.check_variants(variants)
    run, used = self._reference().run(self._tf1_program(), plan), []
    tf1 = run.later()
    if known:
      tf1.optimizer_variables += known
    verdicts = {
      variant: self._judge_variant(
        assertion, plan, judged, tolerance, allow_empty, tf1, variant, used=used
      )
      for variant in variants
    }
    if _only_grappler_fails(verdicts):
      verdicts[variants_lib.GRAPPLER].culprit = self._grappler_pass(
        assertion, plan, judged, tolerance, allow_empty, tf1
      )
    verdict = judge.judge_variants(verdicts)
    if not any(each.passed for each in verdicts.values()):
      self._models().clear()  # The model is about to be looked into.
      locator = diagnoser.Locator(self, plan, run, used)
      locator.explain(verdict)
    verdict.seconds = time.time() - start
    verdict.settings['variants'] = ', '.join(variants)
    return verdict

  def _grappler_pass(self, *arguments) -> str:
    """Returns the pass of Grappler without which the sides agree, else ''.

    Where no single one does, the first few that do together are named.
    """
    names = variants_lib.GRAPPLER_PASSES
    several = [names[: i + 1] for i in range(1, len(names))]
    for without in [(name,) for name in names] + several:
      verdict = self._judge_variant(
        *arguments, variants_lib.GRAPPLER, without=without
      )
      if verdict.passed:
        return ' + '.join(without)
    return ''

  def _judge_variant(
    self,
    assertion,
    plan,
    judged,
    tolerance,
    allow_empty,
    tf1,
    variant,
    without=(),
    tf2_program=None,
    used=None,
  ):
    def weights_for(tf2):
      table = self._match(tf1, tf2)
      if table.blocks_values:
        raise diagnoser.VariablesDifferError(table)
      return self._weights_for(tf2.variables, table, tf1.weight_of())

    def state_for(tf2, step):
      table = self._match(tf1, tf2)
      if table.blocks_values:  # Which is judged when the steps are.
        return {}, {}
      return variables_lib.carried_state(
        table, self._converted, tf1.steps[step]
      )

    program = tf2_program or self._tf2_program()
    arguments = program, plan, weights_for, tf1, variant, without
    try:
      if plan.batches:
        self._models().clear()  # Steps need its memory, and not the model.
        tf2 = tf2_training.run(*arguments, state_for)
      else:
        tf2 = tf2_runner.run(*arguments, used, self._models())
    except diagnoser.VariablesDifferError as error:
      verdict = judge.judge_variables(error.table, assertion, allow_empty)
      verdict.headline += '; outputs were not compared'
      verdict.conditions = plan.describe()
      run_info.note_run(verdict, plan, tf1, here('TF2'))
      verdict.notes += tf1.notes
      return verdict
    problem = judge.explain_missing_training(plan, tf1, tf2)
    if problem:
      raise errors.UsageError(problem)
    slack = variants_lib.SLACK.get(variant, 1.0)
    tolerance = dataclasses.replace(tolerance, slack=tolerance.slack * slack)
    verdict = judged(tf1, tf2, self._match(tf1, tf2), tolerance)
    run_info.note_run(verdict, plan, tf1, tf2)
    run_info.note_tolerance(verdict, tolerance)
    return verdict

  def _weights_for(self, tf2_specs, table, weight_of):
    """Values of the TF2 variables, None for those without a counterpart."""
    carried = variables_lib.carried(table, self._converted, weight_of)
    return [carried.get(spec.name) for spec in tf2_specs]

  def _conclude(
    self, verdict: verdict_lib.Verdict, msg: str | None
  ) -> verdict_lib.Verdict:
    verdict.summary = text.summary(verdict)
    report = self._report(verdict)
    if verdict.passed:
      return verdict
    message = self._formatMessage(msg, text.failure(verdict))
    raise self.failureException(
      '\n'.join([message, report]) if report else message
    )

  def _report(self, verdict: verdict_lib.Verdict) -> str:
    """Writes a report if one is wanted; returns a line that says where."""
    reporting.note_test(self, verdict, self._ran)
    return reporting.write(verdict)


def _only_grappler_fails(verdicts) -> bool:
  return [n for n, v in verdicts.items() if not v.passed] == [
    variants_lib.GRAPPLER
  ]


def here(side: str) -> observation.Observation:
  """Returns an observation that holds nothing but this environment."""
  return observation.Observation(side, environment=environment_lib.describe())


def _numpy_dtype(name: str):
  return tf.as_dtype(name).as_numpy_dtype
