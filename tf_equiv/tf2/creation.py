"""Watches which variables are created, where, and why.

`assert_no_variable_creations` and `catch_created_variables` are the two scopes
of step 1 of TensorFlow's migration guide.
"""

import contextlib
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, interrupts, threads
from tf_equiv.core.source_line import SourceLine
from tf_equiv.core.text import UNDECORATED_ADVICE
from tf_equiv.tf1 import source_lines

TF_VARIABLE = 'tf.Variable'
KERAS_LAYER = 'Keras layer'
LEGACY_LAYER = 'compat.v1 layer'
GET_VARIABLE = 'get_variable'
UNDECORATED = 'get_variable or a compat.v1 layer outside of the shim'

# Every tf_keras Model counts its batches in three variables of its own, which
# it does not list; every random layer of Keras 3 has a state.
_INTERNAL_FUNCTION = '_init_batch_counters'
_INTERNAL_NAME = 'seed_generator_state'
_GENERATOR_STATE = 'StateVar'  # of tf.random.Generator
# Functions by which layers, metrics and optimizers of Keras make weights.
_WEIGHTS = ('add_weight', 'add_variable', 'add_variable_from_reference')

_ADVICE = {
  TF_VARIABLE: (
    'It is an explicit tf.Variable: create it once (`if self.v is None: '
    'self.v = tf.Variable(...)`) and reuse the attribute.'
  ),
  KERAS_LAYER: (
    'It belongs to a Keras layer or model that is created in the call: create '
    'the layer once, in __init__ or build, assign it to an attribute of the '
    'model, and reuse it.'
  ),
  LEGACY_LAYER: (
    'It belongs to a tf.compat.v1.layers layer without a fixed name, whose '
    'automatic name counts up with each call: give the layer a name, or wrap '
    'the code of the shim-decorated method in a named '
    'tf.compat.v1.variable_scope.'
  ),
  GET_VARIABLE: (
    'get_variable was called with a name that it was not called with before: '
    'use the same name and variable_scope in each call.'
  ),
  UNDECORATED: UNDECORATED_ADVICE,
}


@dataclasses.dataclass
class CreatedVariable:
  """A variable that was created while being watched.

  Attributes:
    name: its name without ':0', as far as it was known.
    shape: its static shape, or None where it was not known.
    dtype: name of its type.
    trainable: whether it is trainable.
    line: line of the user's code that led to it.
    cause: one of the constants of this module.
    owner: the layer that asked for it, as 'name (Class)', or ''.
    variable: the variable, or None where its creation was refused.
    initial: tensor of its value when created, or None where it has none yet.
    initializer: the function that makes its initial value, None if it was
      given a finished one.
    internal: whether it is a counter of Keras' own and no weight.
    random_state: whether it is the state of a `tf.random.Generator`, which
      every draw changes.
    layer_state: name of the Keras layer that keeps it from call to call, but
      does not count it as a weight (`states` of a stateful RNN), '' if none.
  """

  name: str
  shape: tuple | None
  dtype: str
  trainable: bool
  line: SourceLine
  cause: str
  owner: str = ''
  variable: Any = None
  initial: tf.Tensor | None = None
  initializer: Any = None
  internal: bool = False
  random_state: bool = False
  layer_state: str = ''

  @property
  def initial_value(self) -> np.ndarray | None:
    """The value of `initial` as an array, which must not be changed."""
    return None if self.initial is None else _as_array(self.initial)

  @property
  def advice(self) -> str:
    """What to change so that the variable is reused."""
    return _ADVICE[self.cause]

  def __str__(self) -> str:
    shape = 'x'.join(map(str, self.shape)) if self.shape is not None else '?'
    owner = f' of {self.owner}' if self.owner else ''
    return (
      f'{self.name!r} {self.dtype}[{shape}], by {self.cause}{owner}\n'
      f'    at {self.line}'
    )


@interrupts.restoring
def record_created_variables(seeds: Any = None):
  """Context whose value is the growing list of `CreatedVariable`.

  Args:
    seeds: active `DeterministicSeeds`, whose draws are attributed to the
      variables whose initial values they became.

  Yields:
    The list.
  """
  created: list[CreatedVariable] = []
  layers: dict[int, tuple[Any, SourceLine]] = {}

  def creator(next_creator, **kwargs):
    record = _describe(kwargs, layers)
    if callable(kwargs.get('initial_value')):
      record.initializer = kwargs['initial_value']
    variable = next_creator(**kwargs)
    record.variable = variable
    record.name = variable.name.split(':')[0]
    record.shape = tuple(variable.shape.as_list()) if variable.shape else ()
    record.dtype = variable.dtype.base_dtype.name
    record.trainable = bool(variable.trainable)
    with tf.init_scope():
      if tf.executing_eagerly():
        with contextlib.suppress(
          AttributeError, NotImplementedError, tf.errors.FailedPreconditionError
        ):
          # Not copied; see `value_of`.
          record.initial = variable.read_value()
    if seeds is not None and _is_random(record.initial_value):
      seeds.attribute(record.name, record.shape)
    created.append(record)
    return variable

  def note(layer):
    # With the layer, for its id could be given again.
    layers[id(layer)] = layer, source_lines.user_line(of=layer)

  with contextlib.ExitStack() as stack:
    stack.enter_context(threads.alone())
    stack.enter_context(compat.keras_layers_seen(note))
    stack.enter_context(compat.variable_creators_kept())
    stack.enter_context(tf.variable_creator_scope(creator))
    yield created


@interrupts.restoring
def assert_no_variable_creations():
  """Context in which creating a variable raises, at the creating line.

  Example:
    >>> v = tf.Variable(1.0)
    >>> with assert_no_variable_creations():
    ...   y = v + 1.0

  Yields:
    None.

  Raises:
    VariableCreationError: an `AssertionError` and a `ValueError`, from the
      statement that creates a variable. It names the variable, the line, the
      cause and the remedy.
  """
  refused = []

  def creator(next_creator, **kwargs):
    del next_creator
    record = _describe(kwargs)
    refused.append(
      errors.VariableCreationError(
        'A variable was created instead of reusing an existing one: '
        f'{record}\n'
        f'{record.advice}'
      )
    )
    raise refused[-1]

  with contextlib.ExitStack() as stack:
    stack.enter_context(threads.alone())
    stack.enter_context(compat.variable_creators_kept())
    stack.enter_context(tf.variable_creator_scope(creator))
    try:
      yield
    except errors.VariableCreationError:
      raise
    except Exception as error:
      # AutoGraph and others wrap what is raised inside them.
      if refused:
        raise refused[0] from error
      raise
  if refused:  # The error was caught inside.
    raise refused[0]


@interrupts.restoring
def catch_created_variables():
  """Context that raises at its end if variables were created inside.

  Use it to see all of them at once; `assert_no_variable_creations` stops at
  the first, with a traceback to it.

  Example:
    >>> with catch_created_variables() as created:
    ...   y = tf.constant(1.0) + 1.0
    >>> created
    []

  Yields:
    The list of `CreatedVariable`, which grows as variables are created.

  Raises:
    VariableCreationError: an `AssertionError` and a `ValueError`, at the end.
      An exception from inside passes unchanged.
  """
  with record_created_variables() as created:
    yield created
  if created:
    raise errors.VariableCreationError(
      '%d variable(s) were created instead of reusing existing ones:\n  %s\n%s'
      % (
        len(created),
        '\n  '.join(str(record) for record in created),
        '\n'.join(_ADVICE[cause] for cause in _causes(created)),
      )
    )


def value_of(variable: Any) -> np.ndarray:
  """Returns a variable's value, which later assignments do not change.

  It is not copied: TensorFlow copies a value that is in use before it changes
  it.
  """
  return _as_array(variable.read_value())


def _as_array(tensor: tf.Tensor) -> np.ndarray:
  array = np.asarray(tensor)
  if array.ndim:
    array.flags.writeable = False
  return array


def _is_random(initial_value) -> bool:
  """Returns whether an initial value may have been drawn: it is no constant."""
  if initial_value is None or initial_value.dtype.kind != 'f':
    return False
  return initial_value.size > 0 and bool(np.ptp(initial_value) > 0)


def _causes(created: list[CreatedVariable]) -> list[str]:
  return [c for c in _ADVICE if any(r.cause == c for r in created)]


def _describe(kwargs, layers=None) -> CreatedVariable:
  """Reads a creator's arguments and the stack below it.

  Args:
    kwargs: the arguments.
    layers: (layer, line that made it) of the Keras layers that were seen, by
      id.
  """
  cause, owner, internal, called, is_weight = _cause()
  # What creates a layer says more of its variables than what calls it.
  _, line = (layers or {}).get(id(called), (None, SourceLine()))
  dtype = kwargs.get('dtype')
  shape = kwargs.get('shape')
  if shape is None and not callable(kwargs.get('initial_value')):
    shape = compat.static_shape_of(kwargs.get('initial_value'))
    if shape is None and np.isscalar(kwargs.get('initial_value')):
      shape = ()
  else:
    shape = compat.static_shape_value(shape)
  trainable = kwargs.get('trainable')
  return CreatedVariable(
    name=kwargs.get('name') or 'Variable',
    shape=shape,
    dtype=tf.as_dtype(dtype).name if dtype else 'unknown dtype',
    trainable=True if trainable is None else bool(trainable),
    line=line if line.filename else source_lines.user_line(),
    cause=cause,
    owner=owner,
    internal=internal or _INTERNAL_NAME in (kwargs.get('name') or ''),
    random_state=kwargs.get('name') == _GENERATOR_STATE,
    layer_state=(
      '' if is_weight or cause != KERAS_LAYER else owner.rpartition(' (')[0]
    ),
  )


def _cause():
  """Walks out to the user's line.

  Returns:
    (cause, owner, whether it is internal, the Keras layer that library code
    called, None if the user's own code creates the variable, whether a layer
    was asked for a weight).
  """
  frame = source_lines.calling_frame()
  cause, owner, internal, called = TF_VARIABLE, '', False, None
  is_weight = False
  while frame is not None:
    filename, function = frame.f_code.co_filename, frame.f_code.co_name
    if not source_lines.is_library_file(
      filename
    ) and not compat.is_autograph_file(filename):
      break
    caller = frame.f_locals.get('self')
    internal = internal or function == _INTERNAL_FUNCTION
    is_weight = is_weight or function in _WEIGHTS
    if function == '_get_single_variable':
      cause = GET_VARIABLE
      # The shim has a store of its own; TF1's forgets, in eager execution.
      if type(caller).__name__ == '_VariableStore' and _is_tf2():
        return UNDECORATED, owner, internal, None, True
    if cause in (TF_VARIABLE, GET_VARIABLE) and caller is not None:
      if compat.is_legacy_layer(caller):
        return LEGACY_LAYER, _layer_name(caller), internal, None, True
      if cause == TF_VARIABLE and compat.is_keras_object(caller):
        cause, owner = KERAS_LAYER, _layer_name(caller)
    if function == '__call__' and called is None:
      called = caller if compat.is_keras_object(caller) else None
    frame = frame.f_back
  return cause, owner, internal, called, is_weight


def _is_tf2() -> bool:
  with tf.init_scope():
    return tf.executing_eagerly()


def _layer_name(layer) -> str:
  return f'{getattr(layer, "name", "?")} ({type(layer).__name__})'
