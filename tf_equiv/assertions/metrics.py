"""Streaming metrics over batches."""

from tf_equiv import streaming_metrics
from tf_equiv.assertions import base
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments

__unittest = True

_MAX_BATCHES = 100000


class MetricAssertions(base.AssertionBase):
  """`assertMetricsMatch`."""

  def assertMetricsMatch(
    self,
    *,
    batches: int = 5,
    training: bool = False,
    weights: str = 'fixed',
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    allow_vacuous: bool = False,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that streaming metrics have the same values on both sides.

    Both sides run the forward pass from the same weights on the batches of
    `make_batch`; no batch changes the weights. TF1 runs the `update_op` of
    each metric of `build_metrics_tf1`, TF2 adds the batch to those of
    `build_metrics_tf2` by `update_metrics_tf2`; after each batch all values are
    compared. State goes on from batch to batch, and starts anew in each
    assertion.

    Where a metric differs, it is tried what makes it agree: the outputs of
    TF1, other arguments (thresholds, summation method, curve, logits), another
    metric of its kind, no weights, a state that is not reset in between. The
    message says what did so on these batches. A metric that agrees with the
    outputs of TF1 passes, with a note, if the outputs themselves agree: they
    lie next to a threshold.

    Args:
      batches: number of batches, from `make_batch(0)` on.
      training: the training flag of the forward pass.
      weights: 'fixed' (set by `reset_weights`) or 'seeded' (drawn by the
        initializers of TF1, for both sides).
      rtol: relative tolerance of the metrics; None for the default of each
        dtype.
      atol: absolute tolerance, taken as it is; None for the default of each
        dtype times the largest magnitude of the metric.
      equal_nan: whether NaN equals NaN.
      allow_vacuous: whether it passes that all metrics are zero after all
        batches.
      msg: text added to the failure message.

    Returns:
      The verdict.

    Raises:
      AssertionError: the test's `failureException`.
      UsageError: for an unusable template method or argument, for batches that
        are exhausted, for metrics that one side alone has, and where TF1 runs
        in a way that has no metrics.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    __tracebackhide__ = True
    batches = arguments.check_count(batches, 'batches', 1, _MAX_BATCHES)
    criteria = criteria_lib.Criteria(
      tolerances.Tolerance(rtol, atol, equal_nan), allow_vacuous=allow_vacuous
    )
    plan = self._session.methods.make_metrics_plan(training, weights, batches)
    verdict = streaming_metrics.compare(self._session, plan, criteria)
    return self._conclude(verdict, msg)
