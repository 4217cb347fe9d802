"""How much two values may differ.

An element passes if `|tf1 - tf2| <= rtol * |tf1| + atol * scale`. TensorFlow's
migration guide uses `rtol=1e-6, atol=1e-5` for float32 values of order one.
By default `scale` is the largest magnitude of the compared group, so that a
factor of two is found in values of 1e-9 and rounding is forgiven in values of
1e3. A tolerance that the caller gives is taken as it is, as NumPy would.
"""

import dataclasses

from tf_equiv.core import arguments

# (rtol, atol relative to the scale). float32 is the guide's; the others keep
# about the same number of units in the last place (eps is 2**-52 for float64,
# 2**-10 for float16 and 2**-7 for bfloat16).
_DEFAULTS = {
  'float64': (1e-13, 1e-12),
  'complex128': (1e-13, 1e-12),
  'float32': (1e-6, 1e-5),
  'complex64': (1e-6, 1e-5),
  'float16': (2e-3, 4e-3),
  'bfloat16': (1.6e-2, 3.2e-2),
}

# An array far below its group (the gradient of a bias before batch norm is
# mathematically zero) is rounding noise of the group; its own scale counts no
# less than this fraction of the group's.
_GROUP_FLOOR = 0.1


@dataclasses.dataclass(frozen=True)
class Tolerance:
  """Tolerances of an assertion.

  Attributes:
    rtol: relative tolerance, or None for the default of the dtype.
    atol: absolute tolerance, or None for the default of the dtype times the
      scale of the compared group.
    equal_nan: whether NaN equals NaN.
    slack: factor on the defaults; does not touch what the caller gave.
  """

  rtol: float | None = None
  atol: float | None = None
  equal_nan: bool = False
  slack: float = 1.0

  def __post_init__(self) -> None:
    arguments.check_tolerance(self.rtol, 'rtol')
    arguments.check_tolerance(self.atol, 'atol')
    arguments.check_bool(self.equal_nan, 'equal_nan')

  def resolve(
    self, dtype: str, scale: float, group_scale: float = 0.0
  ) -> tuple[float, float]:
    """Returns (rtol, atol) as plain numbers for an array.

    Args:
      dtype: name of the dtype, e.g. 'float32'.
      scale: largest magnitude in the array.
      group_scale: largest magnitude in the group that it belongs to.

    Returns:
      The numbers for `|tf1 - tf2| <= rtol * |tf1| + atol`; zeros for integers
      and other dtypes that must be equal.
    """
    rtol, atol = _DEFAULTS.get(dtype, (0.0, 0.0))
    rtol *= self.slack
    atol *= self.slack * max(scale, _GROUP_FLOOR * group_scale)
    if dtype not in _DEFAULTS:
      return 0.0, 0.0
    return (
      rtol if self.rtol is None else float(self.rtol),
      atol if self.atol is None else float(self.atol),
    )
