"""Free training over many steps, against what TF1 differs from itself by."""

from tf_equiv import training_curves
from tf_equiv.assertions import base
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import envelopes, equivalence, tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments, errors
from tf_equiv.core.seed_mode import SeedMode

__unittest = True

_MAX_STEPS = 100000
_MAX_START_STEP = 10**7
_MAX_RUNS = 100
_MAX_SEEDS = 10000


class CurveAssertions(base.AssertionBase):
  """`assertTrainingCurvesMatch`."""

  def assertTrainingCurvesMatch(
    self,
    *,
    steps: int = 100,
    seeds: int = 1,
    start_step: int = 0,
    seed_mode: SeedMode | str = 'num_random_ops',
    weights: str = 'seeded',
    runs: int = 3,
    factor: float = envelopes.FACTOR,
    margin: float = 0.5,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    allow_vacuous: bool = False,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that both sides train alike when they are left alone.

    Both sides start from the same weights, those of TF1, and take `steps`
    training steps on the batches of `make_batch`, each from its own state.
    After each step are compared: the learning rate, the loss (and scalars that
    `train_tf1` and `train_tf2` return), the global norms of the gradients, of
    each kind of optimizer slot and of the trained weights, and how far the
    trained and the other variables have moved from their start.

    TF1 itself says by how much TF2 may differ: it is trained `runs` more times
    from weights one unit in the last place away. What it then differs from
    itself by, up to a step, times `factor`, is allowed there, and never less
    than the default tolerance. No tolerance has to be guessed, and what adds up
    over many steps is found. The message names the first step at which TF2
    differs by more, by how many times and in what. Then single steps up to that
    one are compared, each from the state that TF1 had there, to name the cause.

    All steps make the same random draws.

    Args:
      steps: number of training steps.
      seeds: 1, or at least 5: then the training is repeated with that many
        seeds, and two one-sided tests say whether the final losses (means of
        the last tenth of the steps) are equal to within the margin.
      start_step: how many steps the counters of both sides have counted when
        training starts, for schedules that change late; batches begin with
        `make_batch(start_step)`. Slots of the optimizers start fresh.
      seed_mode: 'constant', 'num_random_ops' or a `SeedMode`.
      weights: 'seeded' (drawn by the initializers of TF1) or 'fixed' (set by
        `reset_weights`).
      runs: how often TF1 is trained from weights one unit away.
      factor: by how many times what TF1 differs from itself by TF2 may differ.
      margin: by what share of the standard deviation of TF1's final loss over
        the seeds the mean final losses may differ.
      rtol: relative tolerance that is always allowed, None for the default.
      atol: absolute tolerance that is always allowed, None for the default
        times the size of the value.
      equal_nan: whether it passes that TF1 itself becomes NaN or infinite,
        if both sides agree until then and TF2 does not do so before.
      allow_vacuous: whether agreement passes that proves nothing, because all
        gradients are zero, or the loss is the same in all steps.
      msg: text added to the failure message.

    Returns:
      The verdict. Its notes say up to which step TF1 agrees with itself to
      1e-5.

    Raises:
      AssertionError: the test's `failureException`.
      UsageError: for an unusable template method or argument, for batches that
        are exhausted, and where TF1 runs in a way that cannot train freely.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    __tracebackhide__ = True
    steps = arguments.check_count(steps, 'steps', 1, _MAX_STEPS)
    seeds = arguments.check_count(seeds, 'seeds', 1, _MAX_SEEDS)
    if 1 < seeds < equivalence.MIN_SEEDS:
      raise errors.UsageError(
        f'seeds must be 1 or at least {equivalence.MIN_SEEDS}, got {seeds}: '
        'fewer say nothing of how far TF1 varies from seed to seed.'
      )
    start_step = arguments.check_count(
      start_step, 'start_step', most=_MAX_START_STEP
    )
    runs = arguments.check_count(runs, 'runs', 1, _MAX_RUNS)
    settings = training_curves.Settings(
      criteria_lib.Criteria(
        tolerances.Tolerance(rtol, atol, equal_nan),
        allow_vacuous=allow_vacuous,
      ),
      _positive(factor, 'factor'),
      seeds,
      _positive(margin, 'margin'),
    )
    if seeds > 1 and weights == 'fixed':
      raise errors.UsageError(
        "seeds must be 1 with weights='fixed': with fixed weights another seed "
        'does not start from other weights.'
      )
    methods = self._session.methods
    methods.check_own_steps(self._session.reference)
    plan = methods.make_free_plan(weights, seed_mode, steps, start_step, runs)
    verdict = training_curves.compare(self._session, plan, settings)
    return self._conclude(verdict, msg)


def _positive(value: float, name: str) -> float:
  number = arguments.check_number(value, name)
  if number <= 0:
    raise arguments.wrong(name, 'a positive number', value)
  return number
