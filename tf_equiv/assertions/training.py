"""Step 4 of the guide in training mode, and the steps of an optimizer."""

from collections.abc import Sequence

from tf_equiv.assertions import base
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.tf2 import variants as variants_lib

__unittest = True

# All batches are made before the first step.
_MAX_STEPS = 100000


class TrainingAssertions(base.AssertionBase):
  """`assertTrainingEquivalent`."""

  def assertTrainingEquivalent(
    self,
    *,
    seed_mode: SeedMode | str = 'num_random_ops',
    steps: int = 0,
    weights: str = 'seeded',
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    compare_updates: bool = True,
    compare_hyperparameters: bool = True,
    variants: str | Sequence[str] = 'eager',
    allow_empty: bool = False,
    allow_vacuous: bool = False,
    allow_dormant: bool | None = None,
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
      allow_dormant: whether it passes although the sides differ for other
        inputs, weights or steps; None for the attribute of the class.
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
    criteria = criteria_lib.Criteria(
      tolerances.Tolerance(rtol, atol, equal_nan),
      allow_empty,
      allow_vacuous,
      compare_updates,
      compare_hyperparameters,
      variants_lib.check_variants(variants),
      self._allows_dormant(allow_dormant),
    )
    steps = arguments.check_count(steps, 'steps', most=_MAX_STEPS)
    methods = self._session.methods
    if steps:
      methods.check_own_steps(self._session.reference)
    plan = methods.make_plan(
      True, weights, seed_mode, compare_updates=compare_updates, steps=steps
    )
    return self._compare('assertTrainingEquivalent', plan, criteria, msg)
