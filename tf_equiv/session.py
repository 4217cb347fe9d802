"""Runs both sides of a test case, and has them judged, explained and reported.

    testcase -> assertions -> session -> { references | tf2 }   run
                                      -> compare                decide
                                      -> diagnose               explain
                                      -> report                 tell

A `Session` belongs to one test case. What the tests of a class have in common,
opened references and the TF2 model that was used last, is a `Shared` of the
class.
"""

import contextlib
import dataclasses
import time
from collections.abc import Sequence

from tf_equiv import reporting, template, trials, user_methods
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import diagnosis as diagnosis_lib
from tf_equiv.compare import judge_forward, run_info
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors, observation, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import (
  capturing,
  diagnoser,
  draft,
  first_look,
  structure,
)
from tf_equiv.diagnose.reproduction import offering
from tf_equiv.references import base as references
from tf_equiv.report import telling
from tf_equiv.tf1 import garbage
from tf_equiv.tf2 import candidate as candidate_lib
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import repeated_calls, shared_models, variants
from tf_equiv.tf2 import training as tf2_training

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True

# Under this name a test class keeps what its tests share.
_SHARED = '_tf_equiv_shared'


class Shared:
  """What the tests of a class share.

  Attributes:
    references: those that were opened.
    models: keeps TF2 models for further assertions.
  """

  def __init__(self) -> None:
    """Makes it empty."""
    self.references: list[references.Reference] = []
    self.models = shared_models.SharedModels()

  def open(self, reference: references.Reference) -> references.Reference:
    """Returns the reference that is used in place of an equal one."""
    for known in self.references:
      if known == reference:  # A property may make one at each access.
        return known
    self.references.append(reference)
    return reference

  def close(self) -> None:
    """Releases all that is kept."""
    for reference in self.references:
      reference.close()
    self.references = []
    self.models.clear()


def shared_of(owner: type) -> Shared:
  """Returns what the tests of a class share."""
  # Kept by the class itself, not by one that it inherits from.
  shared = vars(owner).get(_SHARED)
  if not isinstance(shared, Shared):
    shared = Shared()
    setattr(owner, _SHARED, shared)
  return shared


def begin(owner: type) -> None:
  """Starts the reference of a test class, without waiting for it."""
  # Of each test case if it is a property.
  reference = getattr(owner, 'tf1_reference', None)
  if isinstance(reference, references.Reference):
    shared_of(owner).references = [reference]
    # The first assertion that needs it will say so.
    with contextlib.suppress(errors.EquivalenceError):
      reference.start()


def end(owner: type) -> None:
  """Releases what the tests of a class share."""
  if _SHARED in vars(owner):
    shared_of(owner).close()
    delattr(owner, _SHARED)


class Session:
  """What runs for one test case.

  Attributes:
    methods: the template methods of the test case.
    ran: the assertions that ran in the current test.
  """

  def __init__(self, case: template.TemplateMethods):
    """Takes the test case."""
    self.methods = user_methods.UserMethods(case)
    self.ran: list[run_info.Step] = []

  @property
  def shared(self) -> Shared:
    """What the tests of the class share."""
    return shared_of(self.methods.owner)

  @property
  def reference(self) -> references.Reference:
    """Where the TF1 side runs."""
    return self.shared.open(self.methods.reference())

  @property
  def models(self) -> shared_models.SharedModels:
    """What keeps TF2 models for the assertions of this class."""
    if self.methods.shares_models():
      return self.shared.models
    return shared_models.SharedModels(shares=False)

  def submit(self, plan: plan_lib.RunPlan) -> references.Run:
    """Begins to run a plan on the TF1 side."""
    return self.reference.submit(self.methods.tf1_program(), plan)

  @threads.alone()
  def list_variables(
    self, plan: plan_lib.RunPlan | None = None
  ) -> tuple[observation.Observation, observation.Observation]:
    """Returns an observation of each side that describes its variables."""
    plan = plan or self.methods.make_plan()
    reference, program = self.reference, self.methods.tf1_program()
    reference.prepare(program, plan)
    tf2 = candidate_lib.list_variables(
      self.methods.tf2_program(), plan, self.models
    )
    return reference.list_variables(program, plan), tf2

  @threads.alone()
  def observe_repeated_calls(
    self, plan: plan_lib.RunPlan
  ) -> repeated_calls.RepeatedCalls:
    """Calls the TF2 model again and again."""
    # What follows needs TF1's graph: it can be built now, if elsewhere.
    with contextlib.suppress(errors.EquivalenceError):
      self.reference.prepare(self.methods.tf1_program(), plan)
    return repeated_calls.observe(self.methods.tf2_program(), plan, self.models)

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
    verdict = self._compare(assertion, plan, criteria)
    if plan.batches or not verdict.passed:
      garbage.released()  # Graphs of steps and captures serve only once.
    return verdict

  def _compare(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    criteria: criteria_lib.Criteria,
  ) -> verdict_lib.Verdict:
    start = time.time()
    run, program = self.submit(plan), self.methods.tf2_program()
    comparison = trials.Comparison(assertion, plan, criteria, run)
    tried: dict[str, trials.Judged] = {}
    forward = None
    for variant in criteria.variants:
      # TF1 may still be running; it is waited for when the model is built.
      candidate = self._prepare(program, plan, variant)
      tried[variant] = self._try(comparison, candidate, variant)
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
    settings = {
      **chosen.info.settings,
      'variants': ', '.join(criteria.variants),
    }
    info = dataclasses.replace(
      chosen.info, settings=settings, seconds=time.time() - start
    )
    return telling.tell(outcome, diagnosis, info)

  def _prepare(
    self,
    program: tf2_program.Program,
    plan: plan_lib.RunPlan,
    variant: str,
    without: Sequence[str] = (),
  ) -> trials.Candidate:
    """Prepares the TF2 side."""
    if plan.batches:
      self.models.clear()  # Steps need its memory, and not the model.
      return tf2_training.prepare(program, plan, variant, without)
    return candidate_lib.prepare(program, plan, variant, without, self.models)

  def _try(
    self,
    comparison: trials.Comparison,
    candidate: trials.Candidate,
    variant: str,
  ) -> trials.Judged:
    """Runs a candidate beside TF1, and judges."""
    pairing = self.methods.mapping().pair(
      comparison.run.result(), candidate.variables
    )
    return trials.try_candidate(comparison, candidate, pairing, variant)

  def _culprit(
    self, comparison: trials.Comparison, program: tf2_program.Program
  ) -> str:
    """Returns the pass of Grappler without which the sides agree, else ''.

    Where no single one does, the first few that do together are named.
    """
    names = variants.GRAPPLER_PASSES
    several = [names[: i + 1] for i in range(1, len(names))]
    for without in [(name,) for name in names] + several:
      candidate = self._prepare(
        program, comparison.plan, variants.GRAPPLER, without
      )
      if self._try(comparison, candidate, variants.GRAPPLER).outcome.passed:
        return ' + '.join(without)
    return ''

  @threads.alone()
  def open_subject(self, plan: plan_lib.RunPlan) -> capturing.Subject:
    """Runs the TF1 side of a forward pass, and prepares TF2 to look into."""
    run, program = self.submit(plan), self.methods.tf2_program()
    fixed = dataclasses.replace(plan, weights=plan_lib.FIXED)
    forward = tf2_capture.prepare(program, fixed, run.result())
    pairing = self.methods.mapping().pair(run.result(), forward.observed)
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
      verdict.run.reproductions = offering.offer(verdict, directory)
    return verdict, reporting.write(verdict)
