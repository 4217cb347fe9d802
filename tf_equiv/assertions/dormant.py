"""What no input of the test awakes: the thorough search beyond a pass."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_equiv.assertions import base
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments, errors, nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode

__unittest = True

_NAME = 'assertNoDormantDifferences'


class DormantAssertions(base.AssertionBase):
  """`assertNoDormantDifferences`."""

  def assertNoDormantDifferences(
    self,
    *,
    training: bool = False,
    make_probes: Callable[[], Any] | None = None,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that the sides agree on other inputs and weights as well.

    First both sides are compared with the inputs of `make_inputs` and fixed
    weights, as `assertForwardEquivalent` does. Where they agree, others are
    searched for with which they do not: inputs that are larger, smaller,
    shifted, of the other sign, zero, equal, or whole numbers; other ids,
    lengths and masks; other weights; batches of one and of one more; images and
    lengths of one more. What float64 tells apart is a difference, and what one
    side alone cannot do in its own dtype. It counts if both sides, run again
    with it, differ.

    Args:
      training: the training flag for both sides.
      make_probes: returns further inputs that are tried, as a list; each is a
        nest of arrays like that of `make_inputs`, of the same dtypes, and of
        the same number of axes.
      msg: text added to the failure message.

    Returns:
      The verdict. It says how many inputs and weights were tried, and which
      sizes the sides do not take.

    Raises:
      AssertionError: the test's `failureException`; the verdict's `kind` is
        'dormant' where the sides agree with the inputs of `make_inputs`.
      UsageError: for an unusable template method or argument.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    __tracebackhide__ = True
    if make_probes is not None:
      arguments.check_callable(make_probes, 'make_probes')
    plan = self._session.methods.make_plan(
      training, plan_lib.FIXED, SeedMode.CONSTANT, compare_updates=True
    )
    given = [] if make_probes is None else _checked(make_probes(), plan.inputs)
    verdict = self._session.examine(
      _NAME, plan, criteria_lib.Criteria(allow_vacuous=True), given
    )
    return self._conclude(verdict, msg)


def _checked(given: Any, inputs: Any) -> list[Any]:
  """Returns the probes of a user, each of which is like the inputs."""
  try:
    probes = list(given)
  except TypeError:
    probes = None
  if probes is None or isinstance(given, (np.ndarray, dict, str, bytes)):
    raise errors.UsageError(
      'make_probes() must return a list of inputs, each like that of '
      f'make_inputs(), got {arguments.quoted(given)}.'
    )
  return [
    _checked_probe(probe, inputs, f'make_probes()[{i}]')
    for i, probe in enumerate(probes)
  ]


def _checked_probe(probe: Any, inputs: Any, origin: str) -> Any:
  probe = plan_lib.check_inputs(probe, origin)
  wanted, found = dict(nest.flatten(inputs)), dict(nest.flatten(probe))
  if set(wanted) != set(found):
    paths = ', '.join(f'inputs{p}' for p in sorted(set(wanted) ^ set(found)))
    raise errors.UsageError(
      f'{origin} must be a nest of arrays like that of make_inputs(), but only '
      f'one of them has {paths}.'
    )
  for path, array in wanted.items():
    other = found[path]
    if (array.dtype, array.ndim) != (other.dtype, other.ndim):
      raise errors.UsageError(
        f'{origin}{path} must be {array.dtype} with {array.ndim} axes, as in '
        f'make_inputs(), got {other.dtype}{list(other.shape)}.'
      )
  return probe
