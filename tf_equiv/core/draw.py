"""One random draw, as plain data."""

import dataclasses
from typing import Optional, Tuple

from tf_equiv.core.source_line import SourceLine


@dataclasses.dataclass(frozen=True)
class Draw:
  """One random op, in program order.

  Example:
    >>> with deterministic_seeds('num_random_ops') as seeds:
    ...   x = tf.random.normal((2, 3))
    >>> draw = seeds.draws[0]
    >>> draw.index, draw.op, draw.shape, draw.seed, draw.context
    (0, 'random_normal', (2, 3), 0, 'eager')

  Attributes:
    index: position in the ledger, counted from 0.
    seed: the operation seed that the op got; the graph seed is the context's.
    op: function of TensorFlow that asked for the seed, e.g. 'random_uniform'.
    shape: shape of the drawn tensor, or None where it is not known statically.
    variable: name of the variable that the draw initializes, else ''.
    layer: innermost named layer, or the name scope, of another draw, else ''.
    line: line of the user's code that led to the draw.
    context: 'graph', 'eager' or 'function' (inside a `tf.function`).
  """

  index: int
  seed: int
  op: str
  shape: Optional[Tuple[int, ...]]
  variable: str
  layer: str
  line: SourceLine
  context: str

  @property
  def key(self):
    """What the two sides must have in common for draws to correspond."""
    return (self.op, self.shape, self.variable)

  @property
  def purpose(self) -> str:
    """What the draw is for, in words."""
    if self.variable:
      return f'initial value of {self.variable}'
    return f'in {self.layer}' if self.layer else 'in the forward pass'

  def __str__(self) -> str:
    shape = '?' if self.shape is None else 'x'.join(map(str, self.shape))
    return f'{self.op}[{shape}] {self.purpose}'
