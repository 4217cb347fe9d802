"""How the operation seeds of random ops are chosen."""

import enum
from typing import Union

from tf_equiv.core import arguments, errors


class SeedMode(str, enum.Enum):
  """How the operation seed of a random op is chosen.

  Example:
    >>> for mode in SeedMode:
    ...   with deterministic_seeds(mode):
    ...     a, b = tf.random.normal((2,)), tf.random.normal((2,))
    ...   print(mode, np.array_equal(a, b))
    constant True
    num_random_ops False

  Attributes:
    CONSTANT: every op gets the same seed.
    NUM_RANDOM_OPS: each op gets the number of random ops before it, so that
      the numbers depend on program order.
  """

  CONSTANT = 'constant'
  NUM_RANDOM_OPS = 'num_random_ops'

  def __str__(self) -> str:
    return self.value


def as_seed_mode(mode: Union[str, SeedMode]) -> SeedMode:
  """Converts a name into a `SeedMode`.

  Args:
    mode: a `SeedMode` or its value, 'constant' or 'num_random_ops'.

  Returns:
    The `SeedMode`.

  Raises:
    UsageError: for anything else.
  """
  try:
    return SeedMode(mode)
  except ValueError:
    raise errors.UsageError(
      f'Unknown seed_mode {arguments.quoted(mode)}; expected one of '
      f'{", ".join((repr(m.value) for m in SeedMode))}.'
    ) from None
