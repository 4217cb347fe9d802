"""Fixed values for variables, so that both sides compute with the same."""

import contextlib
import contextvars
import hashlib
import re
from typing import Any, Iterable, Sequence

import numpy as np

from tf_equiv.core import arguments, errors, roles

# Names that say that a value must be positive: variances and deviations.
_POSITIVE = re.compile(
  r'(?:^|[/_.])(?:moving_|running_)?(var|variance|stddev)(?![a-z])'
)
# Names of multiplicative factors, which are one before training.
_SCALE = re.compile(r'(?:^|[/_.])(gamma|scale)$')


# Roles of variables by name, while they are asked for their values.
_KNOWN = contextvars.ContextVar('_KNOWN', default=None)  # type: Any


@contextlib.contextmanager
def roles_known(specs: Iterable[Any]):
  """Context in which `named_weights` knows what variables are for.

  Args:
    specs: the `VariableSpec`s.

  Yields:
    None.
  """
  token = _KNOWN.set({s.name: roles.Role(s.role, s.center) for s in specs})
  try:
    yield
  finally:
    _KNOWN.reset(token)


def named_weights(name: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
  """Returns a value that depends on the variable's name and role.

  Values of one constant, as in TensorFlow's guide, would hide transposed or
  swapped weights. These are normally distributed with a standard deviation of
  `1 / sqrt(fan_in)`, so that activations keep their magnitude (the scaling of
  LeCun et al., "Efficient BackProp", 1998).

  Where it is called for a variable of the TF1 graph, the graph says what the
  variable is for, by its initializer and the ops that read it: factors of
  what was normalized get values around one; what is under a root, in a
  logarithm or divided by, values between 0.5 and 1.5; tables whose rows are
  looked up, a standard deviation that does not depend on the number of rows;
  and what starts about a number other than zero, values about that number.
  Where the graph says nothing, names do: those that end in gamma or scale get
  values around one, variances values between 0.5 and 1.5.

  Example:
    >>> named_weights('net/bias', (3,), 'float32').round(2)
    array([0.18, 0.02, 0.07], dtype=float32)

  Args:
    name: name of the variable; seeds the generator.
    shape: shape of the variable.
    dtype: NumPy dtype of the variable. Integers and text are zero or empty,
      booleans alternate.

  Returns:
    An array of that shape and dtype.

  Raises:
    UsageError: for an argument of another kind.
  """
  arguments.check_text(name, 'name')
  shape = arguments.check_shape(shape, 'shape')
  dtype = arguments.check_dtype(dtype, 'dtype')
  if dtype.kind == 'b':
    return (np.arange(int(np.prod(shape))) % 2 == 0).reshape(shape)
  if dtype.kind in 'iu':
    return np.zeros(shape, dtype)
  if dtype.kind in 'OSU':
    return np.full(shape, b'', dtype=object)
  digest = hashlib.sha256(name.encode('utf-8')).digest()
  generator = np.random.RandomState(np.frombuffer(digest[:16], dtype=np.uint32))
  known = _KNOWN.get() or {}
  role = _role_of(name, known.get(name, roles.Role()))
  if role.kind == roles.VARIANCE:
    value = generator.uniform(0.5, 1.5, shape)
  elif role.kind == roles.GAIN:
    value = 1.0 + 0.1 * generator.standard_normal(shape)
  elif role.kind == roles.CONSTANT and role.center:
    value = role.center * (1.0 + 0.1 * generator.standard_normal(shape))
  elif role.kind == roles.COUNTER:
    value = np.full(shape, role.center)
  elif role.kind in (roles.BIAS, roles.STATISTIC, roles.CONSTANT):
    value = role.center + 0.1 * generator.standard_normal(shape)
  elif role.kind == roles.EMBEDDING and shape:
    # Then rows, and products of two rows, are neither large nor small.
    value = generator.standard_normal(shape) / max(shape[-1], 1) ** 0.25
  else:
    fan_in = np.prod(shape[:-1]) if len(shape) > 1 else 100.0
    value = generator.standard_normal(shape) / np.sqrt(max(fan_in, 1.0))
    if dtype.kind == 'c':
      value = value + 1j * generator.standard_normal(shape) / np.sqrt(
        max(fan_in, 1.0)
      )
  return np.asarray(value).astype(dtype)


def _role_of(name: str, known: roles.Role) -> roles.Role:
  """Returns the role that decides, with that of the name where it must."""
  if known.kind in ('', roles.CONSTANT):
    # A variance that this graph does not read starts at one; what scales or
    # divides somewhere else may start at zero.
    if _POSITIVE.search(name) and known.center >= 0:
      return roles.Role(roles.VARIANCE)
    if _SCALE.search(name) and not known.center:
      return roles.Role(roles.GAIN)
  return known


class ConstantWeights:
  """A `reset_weights` that sets every variable to one constant.

  An object rather than a function, so that it can stand in a class body
  without becoming a method. See `constant_weights`.

  Attributes:
    value: the constant.
  """

  def __init__(self, value: float):
    self.value = value

  def __call__(self, name: str, shape: Sequence[int], dtype: Any):
    """Returns an array of that shape and dtype, filled with the constant."""
    del name
    shape = arguments.check_shape(shape, 'shape')
    dtype = arguments.check_dtype(dtype, 'dtype')
    return np.full(shape, self.value, dtype=dtype)


def constant_weights(value: float = 0.001) -> ConstantWeights:
  """Returns a `reset_weights` that sets every variable to one constant.

  This is the way of TensorFlow's guide, which uses 0.001. It hides transposed
  and swapped weights, so prefer the default, which derives values from names,
  except to reproduce the guide's numbers:

      class MyTest(tf_equiv.MigrationTestCase):
        reset_weights = tf_equiv.constant_weights(0.001)

  Example:
    >>> constant_weights(0.5)('net/bias', (2,), 'float32')
    array([0.5, 0.5], dtype=float32)

  Args:
    value: the constant.

  Returns:
    A callable of `(name, shape, dtype)` that returns an array.

  Raises:
    UsageError: if it is no finite number.
  """
  arguments.check_number(value, 'value')
  return ConstantWeights(value)


def check_weight(value: Any, spec, dtype: Any) -> np.ndarray:
  """Checks a fixed value against its variable.

  Args:
    value: what `reset_weights` returned.
    spec: the `VariableSpec`.
    dtype: NumPy dtype of the variable.

  Returns:
    The value as an array of the variable's dtype; for an integer variable,
    fractions are cut off, so that one constant can serve all variables.

  Raises:
    UsageError: if it is no array of numbers, has another shape, cannot be
      cast without losing its kind, or holds NaN or infinity.
  """
  call = f'reset_weights({spec.name!r}, {spec.shape}, {dtype})'
  if value is None:
    raise errors.UsageError(
      f'{call} returned None; return the value of the variable as an array.'
    )
  try:
    array = np.asarray(value)
  except Exception as error:
    raise errors.UsageError(
      f'{call} returned a {type(value).__name__}, which is no array: {error}'
    ) from error
  if array.shape != tuple(spec.shape):
    raise errors.UsageError(
      f'{call} returned an array of shape {array.shape}; the variable has '
      f'shape {tuple(spec.shape)}.'
    )
  dtype = np.dtype(dtype)
  numeric = dtype.kind in 'biufcV' and dtype.kind != 'O'
  if numeric and array.dtype.kind not in 'biufcV':
    raise errors.UsageError(
      f'{call} returned an array of dtype {array.dtype}; the variable has '
      f'dtype {dtype}.'
    )
  if not numeric:
    return array
  if array.dtype.kind == 'c' and dtype.kind != 'c':
    raise errors.UsageError(
      f'{call} returned complex numbers; the variable has dtype {dtype}.'
    )
  with np.errstate(over='ignore', invalid='ignore'):
    cast = array.astype(dtype, copy=False)
  infinite = _count_infinite(array) or _count_infinite(cast)
  if infinite:
    raise errors.UsageError(
      '%s returned %d values that are NaN or infinite%s; with them every '
      'comparison would be without meaning.'
      % (call, infinite, '' if _count_infinite(array) else f' as {dtype}')
    )
  return cast


def _count_infinite(array: np.ndarray) -> int:
  """Counts NaN and infinities, those of bfloat16 included."""
  if array.dtype.kind not in 'fcV':
    return 0
  return int(np.sum(~np.isfinite(array)))
