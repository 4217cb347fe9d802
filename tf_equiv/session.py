"""Runs both sides of a test case, and has them judged, explained and reported.

    testcase -> assertions -> session -> { references | tf2 }   run
                                      -> compare                decide
                                      -> diagnose               explain
                                      -> report                 tell

A `Session` belongs to one test case.
"""

import dataclasses
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv import (
  dormancy,
  fingerprint,
  looks,
  reporting,
  reproductions,
  runner,
  trials,
)
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import diagnosis as diagnosis_lib
from tf_equiv.compare import judge_forward
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import nest, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import (
  capturing,
  diagnoser,
  draft,
  first_look,
  structure,
)
from tf_equiv.dormant import steps as dormant_steps
from tf_equiv.references import in_process
from tf_equiv.report import telling
from tf_equiv.tf1 import garbage
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import variants

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True

# What both programs have that a search for dormant differences depends on.
_CODE = ('build', 'compute_loss', 'build_optimizer', 'clip_gradients', 'train')


class Session(runner.Runner):
  """Compares the sides of one test case."""

  @threads.alone()
  def compare(
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
    key = None if criteria.allow_dormant else self._code_of(plan)
    beyond = dormancy.Examiner.quick
    if criteria.allow_dormant or (key and key[0] in self.shared.examined):
      verdict = self._compare(assertion, plan, criteria)
    else:
      verdict = self._compare(assertion, plan, criteria, beyond)
      if key is not None and verdict.passed:
        self.shared.examined[key[0]] = key[1]
    if plan.batches or not verdict.passed:
      garbage.released()  # Graphs of steps and captures serve only once.
    return verdict

  @threads.alone()
  def examine(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    criteria: criteria_lib.Criteria,
    given: Sequence[Any],
  ) -> verdict_lib.Verdict:
    """Runs a plan, and where the sides agree all else that can be tried.

    Args:
      assertion: name of the assertion.
      plan: a forward pass.
      criteria: what may differ, and what counts as a pass.
      given: further inputs of the user.

    Returns:
      The verdict.
    """
    return self._compare(
      assertion, plan, criteria, lambda each: each.thorough(given)
    )

  def _code_of(self, plan: plan_lib.RunPlan) -> tuple[Hashable, Any] | None:
    """Returns what a search for dormant differences depends on, if known."""
    if not self.methods.shares_models():
      return None
    tf1, tf2 = self.methods.tf1_program(), self.methods.tf2_program()
    found = fingerprint.of(
      {
        'tf1': [getattr(tf1, name) for name in _CODE],
        'tf2': [getattr(tf2, name) for name in _CODE],
        'behavior': tf1.behavior,
        'call': tf2.call,
      }
    )
    if found is None:
      return None
    shapes = str(nest.map_leaves(_shape_of, plan.inputs))
    kind = plan.training, plan.gradients, bool(plan.batches), shapes
    return (found[0], kind), found[1]

  def _compare(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    criteria: criteria_lib.Criteria,
    beyond: Callable[[dormancy.Examiner], looks.Look] | None = None,
  ) -> verdict_lib.Verdict:
    """Runs a plan and judges; `beyond` looks at more where it passes."""
    start = time.time()
    run, program = self.submit(plan), self.methods.tf2_program()
    comparison = trials.Comparison(assertion, plan, criteria, run)
    tried: dict[str, trials.Judged] = {}
    forward = None
    for variant in criteria.variants:
      # TF1 may still be running; it is waited for when the model is built.
      candidate = self.prepare(program, plan, variant)
      tried[variant] = self.try_candidate(comparison, candidate, variant)
      forward = forward or candidate.forward
    outcome = judge_forward.judge_variants(
      {variant: trial.outcome for variant, trial in tried.items()}
    )
    failed = [n for n, trial in tried.items() if not trial.outcome.passed]
    culprit = ''
    if failed == [variants.GRAPPLER]:
      culprit = self._culprit(comparison, program)
    chosen = tried[failed[0] if failed else next(iter(tried))]
    diagnosis = first_look.with_variants(
      first_look.diagnose(outcome, chosen.ran), outcome, culprit
    )
    if len(failed) == len(tried):
      self.models.clear()  # The model is about to be looked into.
      if chosen.ran is not None:
        subject = capturing.Subject(
          program, plan, run, chosen.ran.pairing, forward
        )
        floor = reporting.reports_failures()
        diagnosis = diagnoser.Diagnoser(subject, floor).explain(
          outcome, diagnosis
        )
    elif outcome.passed and beyond is not None and chosen.ran is not None:
      examiner = self._examiner(comparison, chosen.ran.pairing, forward)
      look = dormancy.guarded(beyond, examiner)
      outcome, diagnosis = look.applied(outcome), look.explained(diagnosis)
    settings = {
      **chosen.info.settings,
      'variants': ', '.join(criteria.variants),
    }
    terms = chosen.info.terms
    if terms is not None:
      terms = dataclasses.replace(
        terms,
        variants=tuple(criteria.variants),
        searched=not criteria.allow_dormant,
      )
    info = dataclasses.replace(
      chosen.info, settings=settings, terms=terms, seconds=time.time() - start
    )
    return telling.tell(outcome, diagnosis, info)

  def _examiner(
    self,
    comparison: trials.Comparison,
    pairing: pairing_lib.Pairing,
    forward: Any,
  ) -> dormancy.Examiner:
    """Returns what looks beyond a comparison that passed."""
    run, plan = comparison.run, comparison.plan
    tf1, tf2 = self.methods.tf1_program(), self.methods.tf2_program()
    own_step = tf1.train is not None or tf2.train is not None
    if plan.batches and not own_step:
      tf2 = dataclasses.replace(
        tf2, clip_gradients=dormant_steps.with_scale(tf2.clip_gradients)
      )
      if isinstance(run, in_process.InProcessRun):
        run = run.with_clipping(dormant_steps.with_scale)

    def again(
      plan: plan_lib.RunPlan, weights: Mapping[str, np.ndarray]
    ) -> looks.Again:
      return self._run_again(comparison, plan, weights)

    return dormancy.Examiner(
      capturing.Subject(tf2, plan, run, pairing, forward),
      again,
      reporting.witness_directory(),
    )

  def _run_again(
    self,
    comparison: trials.Comparison,
    plan: plan_lib.RunPlan,
    weights: Mapping[str, np.ndarray],
  ) -> looks.Again:
    """Runs both sides with another plan and other weights."""

    def reset_weights(name: str, shape: Any, dtype: Any) -> np.ndarray:
      value = weights.get(name)
      if value is None or np.shape(value) != tuple(shape):
        return self.methods.reset_weights(name, shape, dtype)
      return value

    program = self.methods.tf2_program()
    with looks.of_side('TF1'):
      run = self.reference.submit(self.methods.tf1_program(reset_weights), plan)
      run.result()
    criteria = dataclasses.replace(
      comparison.criteria,
      tolerance=dataclasses.replace(
        comparison.criteria.tolerance, equal_nan=True
      ),
      allow_empty=True,
      allow_vacuous=True,
    )
    with looks.of_side('TF2'):
      candidate = self.prepare(program, plan, variants.EAGER)
      again = trials.Comparison(comparison.assertion, plan, criteria, run)
      judged = self.try_candidate(again, candidate, variants.EAGER)
      pairing = self.methods.mapping().pair(run.result(), candidate.variables)
    subject = capturing.Subject(program, plan, run, pairing, candidate.forward)
    return looks.Again(judged, subject)

  def _culprit(
    self, comparison: trials.Comparison, program: tf2_program.Program
  ) -> str:
    """Returns the pass of Grappler without which the sides agree, else ''.

    Where no single one does, the first few that do together are named.
    """
    names = variants.GRAPPLER_PASSES
    several = [names[: i + 1] for i in range(1, len(names))]
    for without in [(name,) for name in names] + several:
      candidate = self.prepare(
        program, comparison.plan, variants.GRAPPLER, without
      )
      if self.try_candidate(
        comparison, candidate, variants.GRAPPLER
      ).outcome.passed:
        return ' + '.join(without)
    return ''

  @threads.alone()
  def open_subject(self, plan: plan_lib.RunPlan) -> capturing.Subject:
    """Runs the TF1 side of a forward pass, and prepares TF2 to look into."""
    run, program = self.submit(plan), self.methods.tf2_program()
    fixed = dataclasses.replace(plan, weights=plan_lib.FIXED)
    forward = tf2_capture.prepare(program, fixed, run.result())
    pairing = self.mapping().pair(run.result(), forward.observed)
    return capturing.Subject(program, plan, run, pairing, forward)

  def explain_shapes(
    self,
    plan: plan_lib.RunPlan,
    outcome: outcome_lib.Outcome,
    known: diagnosis_lib.Diagnosis,
  ) -> diagnosis_lib.Diagnosis:
    """Finds the op that gives variables another shape.

    Args:
      plan: what to run.
      outcome: holds the table of the variables.
      known: what is known of the cause.

    Returns:
      What is known then.
    """
    found = draft.Draft(outcome, known)
    with diagnoser.noting_failures(found):
      structure.explain_shapes(
        self.methods.tf2_program(), plan, self.submit(plan), found
      )
    return found.finish()

  def tell(
    self, verdict: verdict_lib.Verdict, test: reporting.Test
  ) -> tuple[verdict_lib.Verdict, str]:
    """Notes what ran, and writes a report if one is wanted.

    Args:
      verdict: the verdict of an assertion.
      test: the test that it belongs to.

    Returns:
      (the verdict, which then knows its test; a line that says where the report
      is, '' if there is none).
    """
    verdict = reporting.with_test(verdict, test, self.ran)
    directory = reporting.directory_for(verdict)
    if directory and verdict.divergences:
      verdict.run.reproductions = reproductions.offer(verdict, directory)
    line = reporting.write(verdict)
    if verdict.report:
      self.shared.tests.add_report(verdict.report)
    return verdict, line


def _shape_of(unused_path: str, array: np.ndarray) -> str:
  return f'{array.dtype}{list(array.shape)}'
