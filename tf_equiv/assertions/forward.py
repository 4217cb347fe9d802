"""Steps 3 and 4 of the guide: the forward pass."""

from collections.abc import Sequence

from tf_equiv.assertions import base
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.tf2 import variants as variants_lib

__unittest = True


class ForwardAssertions(base.AssertionBase):
  """`assertForwardEquivalent`."""

  def assertForwardEquivalent(
    self,
    *,
    training: bool = False,
    seed_mode: SeedMode | str | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    compare_updates: bool = True,
    variants: str | Sequence[str] = 'eager',
    allow_empty: bool = False,
    allow_vacuous: bool = False,
    allow_dormant: bool | None = None,
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
    compare_updates = arguments.check_bool(compare_updates, 'compare_updates')
    seeded = seed_mode is not None
    plan = self._session.methods.make_plan(
      training,
      plan_lib.SEEDED if seeded else plan_lib.FIXED,
      seed_mode if seeded else SeedMode.CONSTANT,
      compare_updates=compare_updates,
    )
    return self._compare('assertForwardEquivalent', plan, criteria, msg)
