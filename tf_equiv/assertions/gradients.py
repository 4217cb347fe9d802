"""Beyond the guide's steps: gradients of the loss."""

from collections.abc import Sequence

from tf_equiv.assertions import base
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.tf2 import variants as variants_lib

__unittest = True


class GradientAssertions(base.AssertionBase):
  """`assertGradientsClose`."""

  def assertGradientsClose(
    self,
    *,
    seed_mode: SeedMode | str = 'num_random_ops',
    training: bool = True,
    weights: str = 'fixed',
    inputs: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    variants: str | Sequence[str] = 'eager',
    allow_empty: bool = False,
    allow_vacuous: bool = False,
    allow_dormant: bool | None = None,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that the gradients of the loss agree for each variable.

    The loss is `compute_loss` plus all regularization losses. Its gradients
    with respect to every trainable variable are compared, after the outputs
    and losses that they follow from. A gradient that is None on one side only
    is a difference; gradients are one group, so that one which is rounding
    noise next to the others (of a bias before batch normalization, say) does
    not alarm.

    Args:
      seed_mode: 'constant', 'num_random_ops' or a `SeedMode`; seeds dropout.
      training: the training flag for both sides.
      weights: 'fixed' (set by `reset_weights`) or 'seeded' (drawn by the
        initializers).
      inputs: whether the gradients with respect to floating-point inputs are
        compared as well.
      rtol: see `assertForwardEquivalent`.
      atol: see `assertForwardEquivalent`; by default times the largest
        magnitude of the gradient, but at least a tenth of the largest
        magnitude of all gradients.
      equal_nan: whether NaN equals NaN.
      variants: see `assertForwardEquivalent`; the gradients are computed in the
        same way.
      allow_empty: whether it passes when no variable has a gradient.
      allow_vacuous: whether agreement passes that proves nothing, because all
        outputs are equal, or rounding noise, or respond to no variable.
      allow_dormant: whether it passes although the sides differ for other
        inputs, weights or steps; None for the attribute of the class.
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
    criteria = criteria_lib.Criteria(
      tolerances.Tolerance(rtol, atol, equal_nan),
      allow_empty=allow_empty,
      allow_vacuous=allow_vacuous,
      variants=variants_lib.check_variants(variants),
      allow_dormant=self._allows_dormant(allow_dormant),
    )
    inputs = arguments.check_bool(inputs, 'inputs')
    plan = self._session.methods.make_plan(
      training, weights, seed_mode, gradients=True, inputs=inputs
    )
    return self._compare('assertGradientsClose', plan, criteria, msg)
