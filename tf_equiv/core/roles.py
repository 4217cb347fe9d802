"""What a variable is for, as far as its program says so."""

import dataclasses

GAIN = 'gain'
BIAS = 'bias'
# Must be positive: it is under a root, in a logarithm, or divided by.
VARIANCE = 'variance'
KERNEL = 'kernel'
# Rows are looked up.
EMBEDDING = 'embedding'
STATISTIC = 'statistic'
COUNTER = 'counter'
# Starts about one number, and is no kernel.
CONSTANT = 'constant'


@dataclasses.dataclass(frozen=True)
class Role:
  """What a variable is for.

  Attributes:
    kind: one of the constants of this module, '' if it is not known.
    center: the number about which its elements start, where that matters.
  """

  kind: str = ''
  center: float = 0.0
