"""Gives the placeholders that the user's own code makes a value, by name."""

import contextlib
import difflib
from typing import Any, Dict, List, Mapping

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import arguments, errors
from tf_equiv.core.text import listed

v1 = tf.compat.v1

PLACEHOLDERS = ('Placeholder', 'PlaceholderWithDefault')
# What a sparse placeholder is made of.
_SPARSE = ('indices', 'values', 'shape')
_MAX_NAMES = 10


def bound_placeholders(values: Mapping[str, Any]) -> Any:
  """Context in which placeholders that are made stand for given values.

  For code whose constructor makes its own placeholders, with its loss and its
  train op: where it would make a placeholder of one of these names, it gets
  the value in its place, a tensor of the same name.

      def build_tf1(self, inputs, training):
        with tf_equiv.bound_placeholders({
          'input_x': inputs['words'],
          'input_y': inputs['labels'],
          'dropout_keep_prob': 0.5 if training else 1.0,
        }):
          model = legacy.TextCNN()
        return model.scores

  Where TensorFlow 1.15 runs the TF1 code (`tf_equiv.Tf1Interpreter`), it goes
  by the same name.

  Example:
    >>> class ScaleTest(MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0], np.float32)
    ...   def build_tf1(self, inputs, training):
    ...     with bound_placeholders({'x': inputs, 'factor': 3}):
    ...       x = v1.placeholder(tf.float32, [None], name='x')
    ...       factor = v1.placeholder_with_default(1.0, [], name='factor')
    ...     return x * factor
    ...   def build_tf2(self):
    ...     return lambda x: 3 * x
    >>> ScaleTest().assertForwardEquivalent().passed
    True

  Args:
    values: what each placeholder stands for, by its name: a tensor of
      `inputs`, or a number or array, which is what would be fed. A name may be
      the whole one ('model/input_x') or its end ('input_x') where only one
      placeholder has it. Unnamed ones are called 'Placeholder',
      'Placeholder_1' and so on. A `tf.SparseTensor` is for a
      `sparse_placeholder`.

  Returns:
    The context.

  Raises:
    UsageError: for something else than a dict of values by name. Inside of it,
      if a placeholder has another dtype or shape than its value, and at its
      end, if none of a name was made; those with a similar name are listed.
  """
  if not isinstance(values, Mapping):
    raise arguments.wrong('values', 'a dict of values by name', values)
  return _bound(_flattened(values))


@contextlib.contextmanager
def _bound(values: Dict[str, Any]):
  """Context in which placeholders stand for values, by name."""
  graph = v1.get_default_graph() if not tf.executing_eagerly() else None
  if graph is None:
    raise errors.UsageError(
      'bound_placeholders was entered where there is no graph; use it inside '
      'of build_tf1 or train_tf1, around the code that makes placeholders.'
    )
  binder = _Binder(values)
  with compat.ops_replaced(graph, binder.op_of):
    yield
  binder.check_all_used()


def _flattened(values) -> Dict[str, Any]:
  """Returns values by name, with the parts of sparse tensors by theirs."""
  found = {}  # type: Dict[str, Any]
  for name, value in values.items():
    arguments.check_text(name, 'a name of values')
    name = name.split(':')[0]
    if isinstance(value, (tf.SparseTensor, v1.SparseTensorValue)):
      parts = value.indices, value.values, value.dense_shape
      found.update(
        (f'{name}/{part}', each) for part, each in zip(_SPARSE, parts)
      )
    elif value is None:
      raise arguments.wrong(f'values[{name!r}]', 'a tensor or an array', value)
    else:
      found[name] = value
  return found


class _Binder:
  """Puts values in the place of the placeholders of one context."""

  def __init__(self, values: Dict[str, Any]):
    self._values = values
    self._made = []  # type: List[str]
    # Name of the placeholder by the name that was given.
    self._used = {}  # type: Dict[str, str]

  def op_of(self, op_type: str, name: str, attrs: Mapping[str, Any]) -> Any:
    """Returns the op to use in place of one that is to be made, or None."""
    if op_type not in PLACEHOLDERS:
      return None
    self._made.append(name)
    given = [
      key for key in self._values if name == key or name.endswith('/' + key)
    ]
    if not given:
      return None
    key = max(given, key=len)
    if key in self._used and name != key:
      if self._used[key] == key:
        return None  # The whole name of another one.
      raise errors.UsageError(
        f'bound_placeholders was given {key!r}, which is the name of two '
        f'placeholders, {self._used[key]!r} and {name!r}: give their whole '
        'names.'
      )
    self._used[key] = name
    tensor = _fitting(key, name, self._values[key], attrs)
    return tf.identity(tensor, name=name + '/').op

  def check_all_used(self) -> None:
    """Raises `UsageError` if there was no placeholder of a name."""
    unused = [
      key
      for key in self._values
      if key not in self._used and not self._is_part(key)
    ]
    if not unused:
      return
    name = unused[0]
    close = difflib.get_close_matches(name, self._made, _MAX_NAMES, 0.5)
    close += [made for made in self._made if made not in close]
    known = 'none was made'
    if close:
      known = 'the code made ' + listed(map(repr, close), _MAX_NAMES)
    raise errors.UsageError(
      'bound_placeholders was given %s, but there is no placeholder of %s '
      'name: %s.'
      % (
        listed(map(repr, unused), _MAX_NAMES),
        'that' if len(unused) == 1 else 'such a',
        known,
      )
    )

  def _is_part(self, key: str) -> bool:
    """Returns whether a shape belongs to a sparse placeholder with its own."""
    parent, _, part = key.rpartition('/')
    return part == 'shape' and f'{parent}/values' in self._used


def _fitting(key, name, value, attrs):
  """Returns the value of a placeholder as a tensor, checked."""
  dtype = tf.as_dtype(attrs['dtype'].type)
  shape = tf.TensorShape(attrs['shape'].shape)
  title = f'the placeholder {name!r} ({_text(dtype, shape)})'
  if not tf.is_tensor(value):
    try:
      value = _as_array(value, dtype)
    except (TypeError, ValueError):
      raise errors.UsageError(
        f'bound_placeholders cannot give {title} the value '
        f'{arguments.quoted(value)}.'
      ) from None
    value = tf.constant(value, dtype)
  own = _text(value.dtype, value.shape)
  if value.dtype.base_dtype != dtype:
    raise errors.UsageError(
      f'bound_placeholders was given a tensor {own} for {title}: make its '
      f'array in make_inputs with dtype {dtype.name}, or cast it.'
    )
  if not shape.is_compatible_with(value.shape):
    raise errors.UsageError(
      f'bound_placeholders was given a value {own} for {title}, whose shape is '
      'another.'
    )
  return value


def _as_array(value, dtype) -> np.ndarray:
  """Returns what feeding a value makes of it."""
  array = np.asarray(value)
  if dtype == tf.string:
    return array.astype(object)
  wanted = np.dtype(dtype.as_numpy_dtype)
  kinds = {'b': 'b', 'i': 'biu', 'u': 'biu', 'c': 'biufc'}
  if array.dtype.kind not in kinds.get(wanted.kind, 'biufV'):
    raise TypeError
  return array.astype(wanted)


def _text(dtype, shape) -> str:
  if shape.rank is None:
    return f'{dtype.base_dtype.name}, any shape'
  sizes = ['?' if size is None else str(size) for size in shape.as_list()]
  return '%s[%s]' % (dtype.base_dtype.name, ','.join(sizes))


def unfed(ops: Any, fed: Any) -> List[str]:
  """Returns the names of placeholders among ops that have no value, sorted.

  Args:
    ops: ops that run.
    fed: tensors that are fed.
  """
  known = {tensor.name for tensor in fed}
  return sorted(
    op.name
    for op in ops
    if op.type == 'Placeholder' and op.outputs[0].name not in known
  )
