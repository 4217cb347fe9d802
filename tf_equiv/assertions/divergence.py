"""Where two sides part, within the tolerance or not."""

import time
from typing import Any

from tf_equiv.assertions import base
from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import judge, run_info
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors
from tf_equiv.diagnose import diagnoser
from tf_equiv.references import base as references
from tf_equiv.report import text
from tf_equiv.tf2 import capture as tf2_capture

__unittest = True


class DivergenceMethods(base.AssertionBase):
  """`locateDivergence`."""

  def locateDivergence(
    self,
    *,
    training: bool = False,
    seed_mode: Any = 'num_random_ops',
    weights: str = 'fixed',
    gradients: bool = False,
  ) -> verdict_lib.Verdict:
    """Finds the first op whose results differ, however little.

    Both sides run as graphs in double precision, so that differences far below
    the rounding of float32 show: 1e-10 of the values. Assertions that fail on
    numbers do this by themselves and put what is found into their message.
    Where the TF2 side cannot be traced, its ops are recorded as they run, in
    float32.

    Args:
      training: the training flag for both sides.
      seed_mode: 'constant', 'num_random_ops' or a `SeedMode`; seeds dropout.
      weights: 'fixed' (set by `reset_weights`) or 'seeded' (drawn by the TF1
        initializers, and given to TF2).
      gradients: whether to look at the gradients of the loss, too.

    Returns:
      A verdict. Its `divergence` is the first place where the sides part, None
      if they agree; then `noise` says where rounding to float32 grows. `str()`
      gives it as text. It never fails.

    Raises:
      UsageError: for an unusable template method or argument, and where the
        variables do not correspond.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    start = time.time()
    plan = self._make_plan(training, weights, seed_mode, gradients=gradients)
    run = self._reference().run(self._tf1_program(), plan)
    verdict = verdict_lib.Verdict('locateDivergence', plan.describe())
    try:
      found = diagnoser.Locator(self, plan, run).find(
        groups=diagnoser.GROUPS if gradients else diagnoser.GROUPS[:2]
      )
    except diagnoser.VariablesDifferError as error:
      table = judge.judge_variables(error.table, verdict.assertion, True)
      raise errors.UsageError(
        f'locateDivergence needs variables that correspond. {table.headline}. '
        'assertVariablesMatch lists them; give their names to rename_variable.'
      ) from error
    except references.CannotCaptureError as error:
      raise errors.UsageError(
        f'locateDivergence needs the graph of the TF1 side: {error}'
      ) from error
    except tf2_capture.CannotTraceError as error:
      raise errors.UsageError(
        f'locateDivergence cannot look at this: {error}'
      ) from error
    verdict.seconds = time.time() - start
    verdict.divergence = found.divergence
    verdict.compared['results'] = len(found.results[0])
    run_info.note_run(verdict, plan, run.observation, base.here('TF2'))
    verdict.summary = f'locateDivergence ({verdict.conditions}):'
    if found.divergence is None:
      verdict.noise = found.noise
      verdict.summary += (
        f' {len(found.results[0])} result(s) agree in '
        f'float{32 if found.recorded else 64} (they are {found.distance:.1g} '
        'of the values apart)'
      )
      if found.noise is not None:
        verdict.summary += '\n' + text.noise(found.noise)
    else:
      verdict.kind = divergence_lib.REAL if found.is_real else ''
      verdict.summary += '\n' + text.divergence(found.divergence)
    self._report(verdict)
    return verdict
