"""Steps 1 and 2 of the guide: variables are created once, and correspond."""

import dataclasses
import time

from tf_equiv import trials
from tf_equiv.assertions import base
from tf_equiv.compare import judge_variables, run_info, tolerances, values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments
from tf_equiv.diagnose import first_look
from tf_equiv.report import telling
from tf_equiv.tf2 import repeated_calls

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
    is, bit for bit, but for those that `ignored_variables` names: what is
    meant to remember from call to call, such as the states of a stateful RNN.
    (Guide, step 1.)

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
    allow_empty = arguments.check_bool(allow_empty, 'allow_empty')
    start, session = time.time(), self._session
    plan = session.methods.make_plan()
    ignored = variables_lib.compile_ignored(session.methods.mapping().ignored)
    found = session.observe_repeated_calls(plan)
    changed = [
      held
      for held in found.changed
      if not any(pattern.search(held.name) for pattern in ignored)
    ]
    outcome = judge_variables.judge_creations(
      'assertNoNewVariables',
      found.created,
      [c for c in map(_comparison, changed) if not c.passed],
      found.calls,
      found.variables,
      allow_empty,
    )
    info = dataclasses.replace(
      run_info.describe_run(plan, trials.here('TF2')),
      seconds=time.time() - start,
    )
    verdict = telling.tell(outcome, first_look.diagnose(outcome), info)
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
    allow_empty = arguments.check_bool(allow_empty, 'allow_empty')
    start, session = time.time(), self._session
    plan = session.methods.make_plan(training)
    tf1, tf2 = session.list_variables(plan)
    table = session.mapping().pair(tf1, tf2).table
    outcome = dataclasses.replace(
      judge_variables.judge_variables(
        table, 'assertVariablesMatch', allow_empty
      ),
      notes=(*tf1.notes, *tf2.notes),
    )
    diagnosis = first_look.diagnose(outcome)
    if table.shapes:
      diagnosis = session.explain_shapes(plan, outcome, diagnosis)
    info = dataclasses.replace(
      run_info.describe_run(plan, tf1, tf2), seconds=time.time() - start
    )
    return self._conclude(telling.tell(outcome, diagnosis, info), msg)


def _comparison(held: repeated_calls.Held) -> values.ValueComparison:
  """Compares what a variable held before and after an inference call."""
  exact = tolerances.Tolerance(rtol=0, atol=0, equal_nan=True)
  found = values.compare_arrays(held.name, held.before, held.after, exact)
  if not held.writer:
    return found
  return dataclasses.replace(found, note=values.Assigned(held.writer))
