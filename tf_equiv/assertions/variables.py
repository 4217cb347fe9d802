"""Steps 1 and 2 of the guide: variables are created once, and correspond."""

import contextlib
import dataclasses
import time

from tf_equiv.assertions import base
from tf_equiv.compare import judge, run_info, tolerances, values
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors
from tf_equiv.diagnose import diagnoser
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import runner as tf2_runner
from tf_equiv.tf2 import variable_writes

__unittest = True


class VariableAssertions(base.AssertionBase):
  """`assertNoNewVariables` and `assertVariablesMatch`."""

  def assertNoNewVariables(
    self, *, allow_empty: bool = False, msg: str | None = None
  ) -> verdict_lib.Verdict:
    """Asserts that the TF2 model creates its variables in its first call only.

    The model is built and called once in inference. Further calls, in
    inference and (where the model takes a training flag) in training, must
    create no variable, and those in inference must leave every variable as it
    is, bit for bit. (Guide, step 1.)

    Args:
      allow_empty: whether a model without any variable passes.
      msg: text added to the failure message.

    Returns:
      The verdict.

    Raises:
      AssertionError: the test's `failureException`. It lists each new
        variable with the line that creates it and names the cause: an
        explicit `tf.Variable`, a Keras layer created in the call, or an
        auto-numbered `tf.compat.v1.layers` layer.
      UsageError: for an unusable template method.
    """
    __tracebackhide__ = True
    start = time.time()
    plan = self._make_plan()
    program = self._tf2_program()
    # What follows needs TF1's graph: it can be built now, if elsewhere.
    with contextlib.suppress(errors.EquivalenceError):
      self._reference().prepare(self._tf1_program(), plan)
    new = []
    with tf2_runner.used(program, plan, self._models()) as (built, created):
      model, inputs = built.model, tf2_program.input_tensors(plan.inputs)
      calls = [('second inference call', False)]
      if program.takes_training(model):
        calls += [('training call', True), ('second training call', True)]
      watched = _watched(model, built.created)
      before = [model_lib.value_of(variable) for variable in watched]
      count, total, changed = 0, len(watched), []
      for title, training in calls:
        tf2_program.call_model(program, model, inputs, training)
        new += [(title, r) for r in created[count:] if not r.internal]
        count = len(created)
        if not training:
          changed = _changed(watched, before)
      if changed and not new:
        assigners = variable_writes.find(
          lambda x: tf2_program.call_model(program, model, x, False),
          inputs,
          watched,
        )
        changed = [_with_line(c, assigners) for c in changed]
    verdict = judge.judge_creations(
      'assertNoNewVariables', new, changed, len(calls), total, allow_empty
    )
    run_info.note_run(verdict, plan, base.here('TF2'))
    verdict.seconds = time.time() - start
    return self._conclude(verdict, msg)

  def assertVariablesMatch(
    self,
    *,
    training: bool = False,
    allow_empty: bool = False,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that the variables of the two sides correspond one to one.

    Compares number, names (through `rename_variable`), shapes (through
    `convert_variable`), dtypes and trainable flags of the TF1 graph's global
    variables and of the TF2 model's variables after two calls, and that no
    two TF2 variables have the same name. (Guide, step 2.)

    Args:
      training: training flag with which both sides are built.
      allow_empty: whether no variable on either side is a pass.
      msg: text added to the failure message.

    Returns:
      The verdict; its `table` holds the pairs.

    Raises:
      AssertionError: the test's `failureException`, with a table of what is
        missing, extra, duplicate, or of another shape, dtype or trainable
        flag, and likely renames.
      UsageError: for an unusable template method, or a pattern of
        `ignored_variables` that matches nothing.
    """
    __tracebackhide__ = True
    start = time.time()
    plan = self._make_plan(training)
    tf1, tf2 = self._variables_of_both(plan)
    table = self._match(tf1, tf2)
    verdict = judge.judge_variables(table, 'assertVariablesMatch', allow_empty)
    verdict.notes += [*tf1.notes, *tf2.notes]
    run_info.note_run(verdict, plan, tf1, tf2)
    verdict.draws = None  # It is not about values.
    if table.shapes:
      diagnoser.explain_shapes(self, plan, verdict)
    verdict.seconds = time.time() - start
    return self._conclude(verdict, msg)


def _watched(model, created):
  """The model's variables, and those that it created but does not list.

  States of random generators are left out: each draw changes them.
  """
  variables = model_lib.variables_of(model, created)
  hidden = [r.variable for r in model_lib.untracked(variables, created)]
  states = {id(r.variable) for r in created if r.random_state}
  return [v for v in variables + hidden if id(v) not in states]


def _with_line(comparison, assigners):
  if comparison.name not in assigners:
    return comparison
  note = 'assigned by ' + assigners[comparison.name]
  return dataclasses.replace(comparison, note=note)


def _changed(watched, before):
  """Comparisons of the variables that are no longer what they were."""
  exact = tolerances.Tolerance(rtol=0, atol=0, equal_nan=True)
  comparisons = [
    values.compare_arrays(
      model_lib.name_of(variable), old, model_lib.value_of(variable), exact
    )
    for variable, old in zip(watched, before, strict=True)
  ]
  return [comparison for comparison in comparisons if not comparison.passed]
