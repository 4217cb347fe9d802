"""Random draws: what a random op is for, read off the stack when it is made."""

import dataclasses
from typing import Optional, Tuple

from tf_equiv import compat
from tf_equiv.tf1 import source


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
  line: source.SourceLine
  context: str

  @property
  def key(self):
    """What the two sides must have in common for draws to correspond."""
    return (self.op, self.shape, self.variable)

  @property
  def purpose(self) -> str:
    """What the draw is for, in words."""
    if self.variable:
      return 'initial value of %s' % self.variable
    return 'in %s' % self.layer if self.layer else 'in the forward pass'

  def __str__(self) -> str:
    shape = '?' if self.shape is None else 'x'.join(map(str, self.shape))
    return '%s[%s] %s' % (self.op, shape, self.purpose)


def op_and_shape(frame):
  """Reads a random op's name and the shape that it is about to draw.

  Args:
    frame: frame of TensorFlow's function that asks for a seed.

  Returns:
    (name of the function, shape as a tuple or None where it is not static).
  """
  name = frame.f_code.co_name
  values = frame.f_locals
  shape = None
  if 'shape' in values:
    shape = compat.static_shape_value(values['shape'])
  elif 'value' in values:  # random_shuffle
    shape = compat.static_shape_of(values['value'])
  return name, shape


def owner(frame):
  """Finds the variable that is being initialized and the innermost layer.

  Args:
    frame: frame of TensorFlow's function that asks for a seed.

  Returns:
    (name of the variable, name of the layer or name scope), each '' if none.
  """
  layer = ''
  while frame is not None:
    function, values = frame.f_code.co_name, frame.f_locals
    if function == '_get_single_variable' and isinstance(
      values.get('name'), str
    ):
      return values['name'], layer
    caller = values.get('self')
    if function == 'add_weight' and isinstance(values.get('name'), str):
      return _scoped_name(caller, values['name']), layer
    if not layer and function == '__call__' and caller is not None:
      name = getattr(caller, 'name', '')
      if isinstance(name, str) and hasattr(caller, 'trainable_variables'):
        layer = name
    frame = frame.f_back
  # The innermost scope is the random op's own.
  return '', layer or compat.name_scope().rpartition('/')[0]


def _scoped_name(layer, name: str) -> str:
  """The name that a Keras layer's variable will have."""
  scope = compat.name_scope() or getattr(layer, 'name', '')
  if scope.split('/')[-1] == name:  # The variable's own scope is entered.
    return scope
  return '%s/%s' % (scope, name) if scope else name
