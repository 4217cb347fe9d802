"""Steps 3 and 4 of the guide: the forward pass in inference and training."""

from typing import Any

from tf_equiv.assertions import base
from tf_equiv.compare import judge_steps, tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode

__unittest = True


class ForwardAssertions(base.AssertionBase):
  """`assertForwardEquivalent` and `assertTrainingEquivalent`."""

  def assertForwardEquivalent(
    self,
    *,
    training: bool = False,
    seed_mode: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    compare_updates: bool = True,
    variants: Any = 'eager',
    allow_empty: bool = False,
    allow_vacuous: bool = False,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that both sides compute the same forward pass.

    Without `seed_mode`, all variables are set by `reset_weights` (guide, step
    3). With it, the model's own initializers draw the weights under
    `deterministic_seeds(seed_mode)`, and the initial weights are compared as
    well (guide, step 4). Compared are all outputs, first their structure,
    dtypes and shapes, and each regularization loss and their sum.

    Args:
      training: the training flag for both sides.
      seed_mode: None for fixed weights, else 'constant', 'num_random_ops' or a
        `SeedMode`. With None, random ops of a training pass are seeded by
        'constant'.
      rtol: relative tolerance; None for the default of each dtype.
      atol: absolute tolerance, taken as it is; None for the default of each
        dtype times the largest magnitude of the compared array.
      equal_nan: whether NaN equals NaN.
      compare_updates: whether a training pass also compares the variables
        that are not trainable after it, TF1's update ops included: the moving
        statistics of batch normalization above all.
      variants: how the TF2 side runs: one or several of `tf_equiv.VARIANTS`,
        all of which must agree with TF1, which runs once.
      allow_empty: whether outputs without any element pass.
      allow_vacuous: whether agreement passes that proves nothing, because all
        outputs are equal, or rounding noise, or respond to no variable.
      msg: text added to the failure message.

    Returns:
      The verdict.

    Raises:
      AssertionError: the test's `failureException`.
      UsageError: for an unusable template method or argument.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    __tracebackhide__ = True
    tolerance = tolerances.Tolerance(rtol, atol, equal_nan)
    seeded = seed_mode is not None
    plan = self._make_plan(
      training,
      plan_lib.SEEDED if seeded else plan_lib.FIXED,
      seed_mode if seeded else SeedMode.CONSTANT,
      compare_updates=compare_updates,
    )
    return self._compare_run(
      'assertForwardEquivalent',
      plan,
      tolerance,
      allow_empty,
      msg,
      variants,
      allow_vacuous,
    )

  def assertTrainingEquivalent(
    self,
    *,
    seed_mode: Any = 'num_random_ops',
    steps: int = 0,
    weights: str = 'seeded',
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    compare_updates: bool = True,
    compare_hyperparameters: bool = True,
    variants: Any = 'eager',
    allow_empty: bool = False,
    allow_vacuous: bool = False,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that both sides compute the same in training mode.

    Without `steps`, compares outputs and regularization losses of a forward
    pass with `training=True`, dropout and all (guide, step 4), the moving
    statistics after it, and with seeded weights the initial weights.

    With `steps=N`, both sides start from the same weights and take N training
    steps, each from the state in which TF1 left the one before, on the batches
    of `make_batch`, with the optimizers of `build_tf1_optimizer` and
    `build_tf2_optimizer`, or by `train_tf1` and `train_tf2`. Compared are after
    each step: outputs, each regularization loss, the loss, gradients after
    clipping, learning rate, optimizer slots (by what they mean, in the terms of
    `tf.compat.v1.train`), all variables and the step counter; and before the
    first, the hyperparameters of the optimizers. The message names the first
    step and the first quantity that differ. All steps make the same random
    draws.

    Updates are judged by their size, not by that of the variable: they may
    differ by a thousandth of the largest change of the variable, and by as
    much as their gradient is uncertain (5e-6 of the largest gradient of all).
    Elements whose gradients are but rounding noise (those of a bias before
    batch normalization) are not compared; the verdict's `notes` count them.

    Args:
      seed_mode: 'constant', 'num_random_ops' or a `SeedMode`.
      steps: number of training steps; 0 for the forward pass only.
      weights: 'seeded' (drawn by the initializers) or 'fixed' (set by
        `reset_weights`).
      rtol: see `assertForwardEquivalent`.
      atol: see `assertForwardEquivalent`.
      equal_nan: whether NaN equals NaN.
      compare_updates: whether a training pass also compares the variables
        that are not trainable after it, TF1's update ops included: the moving
        statistics of batch normalization above all.
      compare_hyperparameters: whether another hyperparameter of an optimizer
        (epsilon, momentum, ...) fails even if the steps agree.
      variants: see `assertForwardEquivalent`; with `steps`, the whole step
        runs in that way.
      allow_empty: whether outputs without any element, or steps that change
        no variable, pass.
      allow_vacuous: whether agreement passes that proves nothing, because all
        outputs are equal, or rounding noise, or respond to no variable; with
        `steps`, because outputs or loss are rounding noise, all gradients are
        zero, or the loss is the same in all steps.
      msg: text added to the failure message.

    Returns:
      The verdict.

    Raises:
      AssertionError: the test's `failureException`.
      UsageError: for an unusable template method or argument, and for a TF2
        model that takes no training flag although TF1's forward pass depends
        on it.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    __tracebackhide__ = True
    tolerance = tolerances.Tolerance(rtol, atol, equal_nan)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
      raise errors.UsageError(
        f'steps must be an int that is not negative, got {steps!r}.'
      )
    if steps:
      self._check_own_steps()
    plan = self._make_plan(
      True, weights, seed_mode, compare_updates=compare_updates, steps=steps
    )
    if not steps:
      return self._compare_run(
        'assertTrainingEquivalent',
        plan,
        tolerance,
        allow_empty,
        msg,
        variants,
        allow_vacuous,
      )

    def judged(tf1, tf2, table, tolerance):
      return judge_steps.judge_training(
        'assertTrainingEquivalent',
        plan,
        tf1,
        tf2,
        table,
        self._converted,
        tolerance,
        compare_updates,
        compare_hyperparameters,
        allow_empty,
        allow_vacuous,
      )

    verdict = self._run_and_judge(
      'assertTrainingEquivalent', plan, judged, tolerance, allow_empty, variants
    )
    return self._conclude(verdict, msg)

  def _check_own_steps(self) -> None:
    reference = self._reference()
    first, second = reference.defines('train_tf1'), self._overrides('train_tf2')
    where = '' if first is None else f' (TF1: {reference!r})'
    if first is None:
      first = self._overrides('train_tf1')
    if first != second:
      raise errors.UsageError(
        f'{type(self).__name__}{where} defines '
        f'{"train_tf1" if first else "train_tf2"} only; define train_tf1 and '
        'train_tf2 together, or neither for the default step on both sides.'
      )
