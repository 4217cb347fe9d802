"""How a test makes and calls the TF2 side, by what kind of object that is."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.cli import importing, parameters
from tf_equiv.cli.specs import Input
from tf_equiv.core import errors
from tf_equiv.core.text import listed
from tf_equiv.tf1 import user_code

_MAX_NAMES = 6
_FORWARD = ('forward', 'inference', 'predict')


@dataclasses.dataclass(frozen=True)
class Tf2Side:
  """The TF2 side of a test, as code.

  Attributes:
    kind: what it is, in words.
    build: the expression that `build_tf2` returns.
    method: the method that is called, '' for the object itself.
    inputs: names of the parameters that take inputs; () if not known.
    values: code of other arguments by name, but the training flag.
    training: name of the parameter for the training flag, '' if there is none.
    shapes: inputs as far as the model says what it takes, with None for sizes
      that it leaves open.
    is_keras_3: whether it is of Keras 3, whose random numbers are its own.
  """

  kind: str
  build: str
  method: str = ''
  inputs: tuple[str, ...] = ()
  values: Mapping[str, str] = dataclasses.field(default_factory=dict)
  training: str = ''
  shapes: tuple[tuple[str, str, tuple[int | None, ...]], ...] = ()
  is_keras_3: bool = False
  names: tuple[str, ...] = ()


def of_symbol(
  symbol: importing.Symbol, given: Mapping[str, str], names: Sequence[str]
) -> Tf2Side:
  """Describes the TF2 side; a model is made once, to look at it.

  Args:
    symbol: what the user named.
    given: text of values by name of parameter.
    names: names of the inputs that the user gave.

  Raises:
    UsageError: for what is no model, and parameters of which nothing tells
      what they are to get.
  """
  prefix = symbol.module.__name__.rpartition('.')[2]
  code = {
    name: parameters.as_code(value, symbol.module, prefix)
    for name, value in given.items()
  }
  value, build = symbol.value, symbol.code
  if inspect.isclass(value):
    build = _making(symbol, code)
    value = _made(symbol, build)
  elif _builds_model(symbol, code):
    build = _making(symbol, code)
    value = _made(symbol, build)
    if not callable(value):
      raise errors.UsageError(
        f'{build} returned a {type(value).__name__}, which is no model: '
        'expected an object that can be called, or a function of the inputs.'
      )
  elif not callable(value):
    raise errors.UsageError(
      f'{symbol.text} is a {type(value).__name__}; expected the migrated '
      'model: a function, a Keras layer or model, a tf.Module, or what returns '
      'one.'
    )
  return _of_model(symbol, value, build, code, names)


def _builds_model(symbol: importing.Symbol, code: Mapping[str, str]) -> bool:
  """Returns whether a function makes the model rather than being it."""
  if not inspect.isroutine(symbol.value):
    return False
  required = [
    p.name
    for p in parameters.signature(symbol.value)
    if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
  ]
  found = parameters.sort(parameters.signature(symbol.value), code)
  return not [name for name in required if name not in code] or bool(
    not found.inputs and found.unknown
  )


def _making(symbol: importing.Symbol, code: Mapping[str, str]) -> str:
  """Returns the code that makes the model."""
  own = [p for p in parameters.signature(symbol.value) if p.name != 'self']
  names = {p.name for p in own}
  values = {name: c for name, c in code.items() if name in names}
  needed = [
    p.name
    for p in own
    if p.default is p.empty
    and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    and p.name not in values
  ]
  if needed:
    raise errors.UsageError(
      f'{symbol.name} takes {listed(needed, _MAX_NAMES)}, which has no '
      'default. Give a value with '
      f'--tf2_args {" ".join(f"{n}=..." for n in needed)}.'
    )
  arguments = ', '.join(f'{name}={c}' for name, c in values.items())
  return f'{symbol.code}({arguments})'


def _made(symbol: importing.Symbol, build: str) -> Any:
  """Makes the model as the test will."""
  name = symbol.module.__name__.rpartition('.')[2]
  with compat.v2_behavior(), user_code.running('TF2', 'build_tf2'):
    return eval(build, {name: symbol.module})


def _of_model(
  symbol: importing.Symbol,
  model: Any,
  build: str,
  code: Mapping[str, str],
  names: Sequence[str],
) -> Tf2Side:
  is_keras = compat.is_keras_object(model)
  is_keras_3 = compat.is_keras_3_object(model)
  kind = 'function'
  if is_keras:
    kind = 'Keras 3 ' if is_keras_3 else 'tf_keras '
    kind += 'model' if hasattr(model, 'fit') else 'layer'
  elif isinstance(model, tf.Module):
    kind = 'tf.Module'
  elif not inspect.isroutine(model):
    kind = f'{type(model).__name__} object'
  method, target = '', model.call if is_keras else model
  if not callable(model):
    method = next((n for n in _FORWARD if hasattr(model, n)), '')
    if not method:
      raise errors.UsageError(
        f'{symbol.text}: a {type(model).__name__} cannot be called, and has '
        f'none of the methods {listed(_FORWARD, _MAX_NAMES)}.'
      )
    target = getattr(model, method)
  shapes = _shapes(model, is_keras)
  taken = [p for p in parameters.signature(target) if p.name != 'self']
  functional = is_keras and getattr(model, 'inputs', None) is not None
  found = parameters.sort(taken, code, names)
  inputs = found.inputs
  if functional or not inputs:
    inputs = inputs[:1]
  values = {n: c for n, c in found.values.items() if n != found.training}
  return Tf2Side(
    kind,
    build,
    method,
    inputs,
    values,
    found.training,
    shapes,
    is_keras_3,
    tuple(_input_names(model)) if functional else (),
  )


def _input_names(model: Any) -> list[str]:
  found = getattr(model, 'input_names', None)
  if found is None:
    found = [tensor.name for tensor in tf.nest.flatten(model.inputs)]
  return [name.split(':')[0] for name in found]


def _shapes(
  model: Any, is_keras: bool
) -> tuple[tuple[str, str, tuple[int | None, ...]], ...]:
  """Returns (name, dtype, sizes) of the inputs that a model says it takes."""
  tensors = getattr(model, 'inputs', None) if is_keras else None
  if tensors:
    names = _input_names(model)
    return tuple(
      (name, _dtype(tensor), tuple(tensor.shape))
      for name, tensor in zip(names, tf.nest.flatten(tensors), strict=False)
    )
  signature = getattr(model, 'input_signature', None)
  if signature is None:
    called = inspect.getattr_static(type(model), '__call__', None)
    signature = getattr(called, 'input_signature', None)
  if signature is None and is_keras:
    signature = getattr(model.call, 'input_signature', None)
  if signature is not None:
    return tuple(
      (spec.name or '', spec.dtype.name, tuple(spec.shape))
      for spec in tf.nest.flatten(signature)
      if isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None
    )
  if is_keras:
    specs = tf.nest.flatten(getattr(model, 'input_spec', None))
    found = [_of_spec(spec) for spec in specs if spec is not None]
    if found and None not in found:
      return tuple(('', 'float32', shape) for shape in found)
  for name in ('input_shape', 'INPUT_SHAPE'):
    shape = _attribute(model, name)
    if (
      isinstance(shape, (tuple, list))
      and shape
      and all(n is None or isinstance(n, int) for n in shape)
    ):
      batch = () if shape[0] is None else (None,)
      return (('', 'float32', (*batch, *shape)),)
  return ()


def _attribute(model: Any, name: str) -> Any:
  try:
    return getattr(model, name, None)
  except Exception:  # Of Keras, for a layer that was not built.
    return None


def _of_spec(spec: Any) -> tuple[int | None, ...] | None:
  """Returns the sizes that an InputSpec tells, None if it does not."""
  if getattr(spec, 'shape', None) is not None:
    return tuple(spec.shape)
  rank, axes = getattr(spec, 'ndim', None), getattr(spec, 'axes', None)
  if rank is None or not axes:
    return None
  sizes: list[int | None] = [None] * rank
  for axis, size in axes.items():
    sizes[int(axis)] = size
  return tuple(sizes)


def _dtype(tensor: Any) -> str:
  dtype = tensor.dtype
  return dtype if isinstance(dtype, str) else tf.as_dtype(dtype).name


def embedding_sizes(model: Any) -> list[int]:
  """Returns the numbers of rows of the embedding layers of a model."""
  found = []
  for layer in [model, *_layers(model)]:
    size = getattr(layer, 'input_dim', None)
    if type(layer).__name__.endswith('Embedding') and isinstance(size, int):
      found.append(size)
  return found


def _layers(model: Any) -> list[Any]:
  flatten = getattr(model, '_flatten_layers', None)
  if flatten is not None:
    return list(flatten())
  return list(getattr(model, 'submodules', ()))


def input_of(
  shape: tuple[str, str, tuple[int | None, ...]], source: str
) -> Input:
  """Returns an input, with sizes that are open filled in.

  Args:
    shape: (name, dtype, sizes).
    source: where that is known from.
  """
  name, dtype, sizes = shape
  rank = len(sizes)
  filled = [
    n if n is not None else _open_size(i, rank) for i, n in enumerate(sizes)
  ]
  return Input(name, dtype, tuple(filled), source=source)


def _open_size(axis: int, rank: int) -> int:
  """Returns a size for an axis that may have any."""
  if axis == 0:
    return 4  # A batch of one proves less.
  return 32 if rank == 4 else 7
