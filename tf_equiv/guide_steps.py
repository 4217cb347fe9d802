"""Ready-made tests for all steps of the guide.

class MyTest(tf_equiv.GuideSteps, tf_equiv.MigrationTestCase):
  ...  # make_inputs, build_tf1, build_tf2
"""

import os
from typing import TYPE_CHECKING

from tf_equiv.core import errors
from tf_equiv.core.seed_mode import SeedMode, as_seed_mode

__unittest = True

# Restricts SEED_MODES, so that a build rule can make one target per mode.
SEED_MODES_VARIABLE = 'TF_EQUIV_SEED_MODES'


def seed_modes_from_environment() -> tuple[tuple[str, SeedMode], ...]:
  """Returns (name, SeedMode) for each mode that is to be tested.

  Returns:
    All modes, or those that the environment variable TF_EQUIV_SEED_MODES
    names, separated by commas.

  Raises:
    UsageError: if the variable names an unknown mode.
  """
  names = [
    name.strip()
    for name in os.environ.get(SEED_MODES_VARIABLE, '').split(',')
    if name.strip()
  ]
  try:
    modes = [as_seed_mode(n) for n in names] or list(SeedMode)
  except errors.UsageError as error:
    raise errors.UsageError(
      'The environment variable '
      f'{SEED_MODES_VARIABLE}={os.environ[SEED_MODES_VARIABLE]!r}: {error}'
    ) from None
  return tuple((mode.value, mode) for mode in dict.fromkeys(modes))


SEED_MODES = seed_modes_from_environment()
"""(name, `SeedMode`) of each mode that is to be tested, for
`@parameterized.named_parameters(*tf_equiv.SEED_MODES)`: all modes, or those
that the environment variable TF_EQUIV_SEED_MODES names."""


if TYPE_CHECKING:
  from tf_equiv.testcase import MigrationTestCase as _Mixed
else:
  _Mixed = object


class GuideSteps(_Mixed):
  """Mixin with one test per step of the guide and seed mode.

  Put it before `MigrationTestCase` among the bases. Steps 1 to 3 do not depend
  on the seed mode; step 4 and the gradients have a test for each of
  `SEED_MODES`.

  Example:
    >>> class ScaleTest(GuideSteps, MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0], np.float32)
    ...   def build_tf1(self, inputs, training):
    ...     return inputs * v1.get_variable('scale', (2,))
    ...   def build_tf2(self):
    ...     scale = tf.Variable([0.0, 0.0], name='scale')
    ...     return lambda x: x * scale
    >>> ScaleTest('test_step3_forward_with_fixed_weights').debug()
  """

  def test_step1_no_new_variables(self) -> None:
    """Variables are created once."""
    self.assertNoNewVariables()

  def test_step2_variables_match(self) -> None:
    """Number, names, shapes, dtypes of the variables match."""
    self.assertVariablesMatch()

  def test_step3_forward_with_fixed_weights(self) -> None:
    """Outputs and regularization losses match with fixed weights."""
    self.assertForwardEquivalent()

  def test_beyond(self) -> None:
    """Other inputs and weights do not tell the sides apart."""
    self.assertNoDormantDifferences()


def _add_tests_of(name: str, mode: SeedMode) -> None:
  def inference(self: GuideSteps) -> None:
    self.assertForwardEquivalent(seed_mode=mode)

  def training(self: GuideSteps) -> None:
    self.assertTrainingEquivalent(seed_mode=mode)

  def gradients(self: GuideSteps) -> None:
    self.assertGradientsClose(seed_mode=mode)

  for title, test in (
    ('test_step4_inference', inference),
    ('test_step4_training', training),
    ('test_gradients', gradients),
  ):
    test.__name__ = f'{title}_{name}'
    test.__doc__ = f'{title[5:]}, seed mode {name}.'
    setattr(GuideSteps, test.__name__, test)


for _name, _mode in SEED_MODES:
  _add_tests_of(_name, _mode)
