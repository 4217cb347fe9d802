"""Runs the sides of a test case."""

import contextlib
from collections.abc import Sequence

from tf_equiv import class_state, template, trials, user_methods
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import run_info
from tf_equiv.core import errors, observation, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import base as references
from tf_equiv.tf2 import candidate as candidate_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import repeated_calls, shared_models
from tf_equiv.tf2 import training as tf2_training

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True


class Runner:
  """Runs the sides of one test case.

  Attributes:
    methods: the template methods of the test case.
    ran: the assertions that ran in the current test.
  """

  def __init__(self, case: template.TemplateMethods):
    """Takes the test case."""
    self.methods = user_methods.UserMethods(case)
    self.ran: list[run_info.Step] = []

  @property
  def shared(self) -> class_state.Shared:
    """What the tests of the class share."""
    return class_state.shared_of(self.methods.owner)

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

  def mapping(self) -> pairing_lib.VariableMapping:
    """Returns what the test case says of the variables."""
    return self.methods.mapping(self._names)

  def _names(self) -> Sequence[str]:
    """Returns names of TF1 variables of all assertions that there may be."""
    if self.shared.names is None:
      self.shared.names = set()
      for options in (
        {'training': False},
        {'training': True},
        {'training': True, 'steps': 1},
      ):
        # What cannot be built here has no variables that could be ignored.
        with contextlib.suppress(Exception):
          self.shared.names.update(self._names_in(**options))
    return sorted(self.shared.names)

  def _names_in(self, training: bool, steps: int = 0) -> list[str]:
    reference, program = self.reference, self.methods.tf1_program()
    plan = self.methods.make_plan(training, steps=steps)
    if steps:
      return reference.list_step_variables(program, plan)
    observed = reference.list_variables(program, plan)
    return [spec.name for spec in observed.variables]

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

  def prepare(
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

  def try_candidate(
    self,
    comparison: trials.Comparison,
    candidate: trials.Candidate,
    variant: str,
  ) -> trials.Judged:
    """Runs a candidate beside TF1, and judges."""
    pairing = self.mapping().pair(comparison.run.result(), candidate.variables)
    return trials.try_candidate(comparison, candidate, pairing, variant)
