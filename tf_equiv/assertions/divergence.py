"""Where two sides part, within the tolerance or not."""

import dataclasses
import time

from tf_equiv import trials
from tf_equiv.assertions import base
from tf_equiv.compare import diagnosis as diagnosis_lib
from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import judge_variables, run_info
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments, capture_errors, errors
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.diagnose import diagnoser, result
from tf_equiv.report import headlines, place_text, telling

__unittest = True

_NAME = 'locateDivergence'


class DivergenceMethods(base.AssertionBase):
  """`locateDivergence`."""

  def locateDivergence(
    self,
    *,
    training: bool = False,
    seed_mode: SeedMode | str = 'num_random_ops',
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
    gradients = arguments.check_bool(gradients, 'gradients')
    start = time.time()
    plan = self._session.methods.make_plan(
      training, weights, seed_mode, gradients=gradients
    )
    groups = diagnoser.GROUPS if gradients else diagnoser.GROUPS[:2]
    subject = self._session.open_subject(plan)
    table = subject.pairing.table
    if table.blocks_values:
      judged = judge_variables.judge_variables(table, _NAME, True)
      raise errors.UsageError(
        'locateDivergence needs variables that correspond. '
        f'{headlines.headline(judged)}. '
        'assertVariablesMatch lists them; give their names to rename_variable.'
      )
    try:
      found = diagnoser.Diagnoser(subject).find(groups=groups)
    except capture_errors.CannotCaptureError as error:
      raise errors.UsageError(
        f'locateDivergence needs the graph of the TF1 side: {error}'
      ) from error
    except capture_errors.CannotTraceError as error:
      raise errors.UsageError(
        f'locateDivergence cannot look at this: {error}'
      ) from error
    outcome = outcome_lib.Outcome(
      _NAME, plan.describe(), compared={'results': len(found.results[0])}
    )
    diagnosis = diagnosis_lib.Diagnosis(noise=found.noise)
    if found.divergence is not None:
      diagnosis = diagnosis_lib.Diagnosis(
        kind=divergence_lib.REAL if found.is_real else '',
        divergences=(found.divergence,),
      )
    info = dataclasses.replace(
      run_info.describe_run(plan, subject.run.result(), trials.here('TF2')),
      seconds=time.time() - start,
    )
    verdict = telling.with_summary(
      telling.tell(outcome, diagnosis, info), _summary(outcome, found)
    )
    return self._report(verdict)[0]


def _summary(outcome: outcome_lib.Outcome, found: result.Result) -> str:
  line = f'{_NAME} ({outcome.conditions}):'
  if found.divergence is not None:
    return f'{line}\n{place_text.divergence(found.divergence)}'
  line += (
    f' {len(found.results[0])} result(s) agree in '
    f'float{32 if found.recorded else 64} (they are {found.distance:.1g} '
    'of the values apart)'
  )
  return (
    line if found.noise is None else f'{line}\n{place_text.noise(found.noise)}'
  )
