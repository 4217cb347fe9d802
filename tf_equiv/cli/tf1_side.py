"""How a test calls the TF1 side, by what kind of object that is."""

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence

from tf_equiv.cli import importing, parameters
from tf_equiv.core import errors
from tf_equiv.core.text import listed

# Methods that build a network, the likeliest first.
_METHODS = (
  '__call__',
  'call',
  'build',
  'inference',
  'forward',
  'model',
  'build_model',
  'build_network',
  'build_graph',
  'network',
  'net',
  'construct',
)
# Attributes that hold the output of a network, the likeliest first.
OUTPUTS = (
  'logits',
  'logit',
  'scores',
  'predictions',
  'prediction',
  'preds',
  'pred',
  'y_pred',
  'outputs',
  'output',
  'out',
  'probs',
  'probabilities',
  'y_hat',
  'result',
)
_MAX_NAMES = 6


@dataclasses.dataclass(frozen=True)
class Tf1Side:
  """The TF1 side of a test, as code.

  Attributes:
    kind: what it is, in words.
    inputs: names of the inputs that it takes; () where placeholders are its
      inputs.
    result: the expression of its outputs; the inputs in it are `{name}`.
    setup: statements before it.
    training: what takes the training flag, in words; '' if nothing does.
    reference: code of the `tf1_reference`; '' for code that runs here.
    makes_placeholders: whether its own placeholders are its inputs.
    attributes: whether the result is an attribute that is still to be found.
  """

  kind: str
  inputs: tuple[str, ...]
  result: str
  setup: tuple[str, ...] = ()
  training: str = ''
  reference: str = ''
  makes_placeholders: bool = False
  attributes: bool = False

  @property
  def is_code(self) -> bool:
    """Whether it is code that runs in this process, in `build_tf1`."""
    return not self.reference

  def render(
    self, inputs: Mapping[str, str], attribute: str = ''
  ) -> tuple[tuple[str, ...], str]:
    """Returns (statements, expression of the outputs) as code.

    Args:
      inputs: code of each input by its name.
      attribute: the attribute that holds the outputs.
    """
    fields = {'attribute': attribute, **inputs}
    setup = tuple(each.format(**fields) for each in self.setup)
    return setup, self.result.format(**fields)


def of_export(text: str, folder: str) -> Tf1Side | None:
  """Returns the TF1 side if a text is the path of an exported graph.

  Args:
    text: what was given.
    folder: that of the test, to which the path is made relative.

  Raises:
    UsageError: for a golden, from which inputs cannot be made, and for what
      needs names that are not given here.
  """
  path = _relative(text, folder)
  if os.path.isdir(text) and any(
    os.path.isfile(os.path.join(text, f'saved_model.{end}'))
    for end in ('pb', 'pbtxt')
  ):
    place = (
      f'os.path.join(os.path.dirname(os.path.abspath(__file__)), {path!r})'
    )
    return Tf1Side(
      'SavedModel', (), '', reference=f'tf_equiv.SavedModel({place})'
    )
  if not os.path.isfile(text):
    return None
  if text.endswith('.golden'):
    raise errors.UsageError(
      f'{text} is a golden, which does not hold the inputs of its recording: '
      'write a test class with the same make_inputs and '
      f'`tf1_reference = tf_equiv.Golden({path!r})`; see docs/references.md.'
    )
  if text.endswith(('.meta', '.pb', '.pbtxt')):
    kind = 'MetaGraph' if text.endswith('.meta') else 'FrozenGraph'
    raise errors.UsageError(
      f'{text} is a graph without a signature, so which tensors are inputs and '
      'outputs is not known: write a test class with `tf1_reference = '
      f'tf_equiv.{kind}({path!r}, inputs=..., outputs=...)`; see '
      'docs/references.md.'
    )
  return None


def _relative(path: str, folder: str) -> str:
  return os.path.relpath(os.path.abspath(path), folder).replace(os.sep, '/')


def of_symbol(
  symbol: importing.Symbol,
  given: Mapping[str, str],
  names: Sequence[str],
) -> Tf1Side:
  """Describes the TF1 side.

  Args:
    symbol: what the user named.
    given: text of values by name of parameter.
    names: names of the inputs that the user gave.

  Raises:
    UsageError: for what cannot be called, and parameters of which nothing
      tells what they are to get.
  """
  prefix = symbol.module.__name__.rpartition('.')[2]
  code = {
    name: parameters.as_code(value, symbol.module, prefix)
    for name, value in given.items()
  }
  value = symbol.value
  if inspect.isclass(value):
    return _of_class(symbol, code, names)
  if '.' in symbol.name:
    owner = importing.symbol(
      f'{symbol.text.rpartition(":")[0]}:{symbol.name.rpartition(".")[0]}'
    )
    if inspect.isclass(owner.value) and not isinstance(
      inspect.getattr_static(owner.value, symbol.name.rpartition('.')[2]),
      (staticmethod, classmethod),
    ):
      return _of_class(owner, code, names, symbol.name.rpartition('.')[2])
  if not callable(value):
    raise errors.UsageError(
      f'{symbol.text} is a {type(value).__name__}, which cannot be called; '
      'expected a function or class that builds the model.'
    )
  every = parameters.signature(value)
  taken = [each.name for each in every]
  if {'features', 'mode'} <= set(taken) or taken[:2] == ['features', 'labels']:
    return _of_model_fn(symbol, code, taken)
  found = parameters.sort(every, code, names)
  _check(symbol, found)
  kind = 'function'
  call = _call(symbol.code, found)
  return Tf1Side(
    kind if found.inputs else 'function that makes its placeholders',
    found.inputs,
    call,
    training=_flag(symbol.name, found),
    makes_placeholders=not found.inputs,
  )


def _of_model_fn(
  symbol: importing.Symbol, code: Mapping[str, str], taken: Sequence[str]
) -> Tf1Side:
  arguments = [symbol.code]
  if 'params' in taken:
    if 'params' in code:
      arguments.append(f'params={code["params"]}')
    elif code:
      pairs = ', '.join(f'{name!r}: {value}' for name, value in code.items())
      arguments.append(f'params={{{pairs}}}')
    elif (
      next(
        p for p in parameters.signature(symbol.value) if p.name == 'params'
      ).default
      is inspect.Parameter.empty
    ):
      raise errors.UsageError(
        f'{symbol.text} is a model_fn with params, which have no default; give '
        'its entries with --tf1_args, as in --tf1_args units=64 rate=0.5.'
      )
  return Tf1Side(
    'model_fn',
    ('features',),
    '',
    training='mode',
    reference=f'tf_equiv.from_model_fn({", ".join(arguments)})',
  )


def _of_class(
  symbol: importing.Symbol,
  code: Mapping[str, str],
  names: Sequence[str],
  method: str = '',
) -> Tf1Side:
  """Describes a class, which is instantiated in each build."""
  init = [p for p in parameters.signature(symbol.value) if p.name != 'self']
  own = {p.name for p in init}
  made = parameters.sort(
    init, {n: c for n, c in code.items() if n in own}, names
  )
  method = method or _method_of(symbol.value)
  if made.inputs and (not method or set(names) & set(made.inputs)):
    # Its constructor builds the network.
    _check(symbol, made)
    return Tf1Side(
      'class',
      made.inputs,
      'model.{attribute}',
      (f'model = {_call(symbol.code, made)}',),
      _flag(symbol.name, made),
      attributes=True,
    )
  if made.inputs:  # Not inputs, then: the method takes those.
    made = dataclasses.replace(
      made, inputs=(), unknown=(*made.inputs, *made.unknown)
    )
  _check(symbol, made)
  if not method:
    return Tf1Side(
      'class that makes its placeholders',
      (),
      'model.{attribute}',
      (f'model = {_call(symbol.code, made)}',),
      _flag(symbol.name, made),
      makes_placeholders=True,
      attributes=True,
    )
  taken = [
    p
    for p in parameters.signature(getattr(symbol.value, method))
    if p.name != 'self'
  ]
  called = parameters.sort(
    taken, {n: c for n, c in code.items() if n not in own}, names
  )
  _check(symbol, called, method)
  made_code = made.call(symbol.code, {})
  flag = _flag(method, called) or _flag(symbol.name, made)
  if method == 'build_tf1':
    call = _call(f'{made_code}.build_tf1', called)
    return Tf1Side('class', called.inputs, call, training=flag)
  if not called.inputs:
    return Tf1Side(
      'class that makes its placeholders',
      (),
      'model.{attribute}',
      (f'model = {_call(symbol.code, made)}', _call(f'model.{method}', called)),
      flag,
      makes_placeholders=True,
      attributes=True,
    )
  target = made_code if method == '__call__' else f'{made_code}.{method}'
  return Tf1Side('class', called.inputs, _call(target, called), training=flag)


def _method_of(cls: type) -> str:
  """Returns the method that builds the network, '' if the constructor does."""
  if hasattr(cls, 'build_tf1'):
    return 'build_tf1'
  # Keras has `__call__`, which calls `call`.
  own = {
    name
    for base in cls.__mro__
    if base.__module__.partition('.')[0]
    not in ('builtins', 'tensorflow', 'tf_keras', 'keras')
    for name in vars(base)
  }
  # An instance of a Keras class, or of one of tf.compat.v1.layers.
  if 'call' in own and any('__call__' in vars(base) for base in cls.__mro__):
    return '__call__'
  return next((name for name in _METHODS if name in own), '')


def _call(function: str, found: parameters.Parameters) -> str:
  call = found.call(function, {name: f'<{name}>' for name in found.inputs})
  # Braces of dicts stay.
  call = call.replace('{', '{{').replace('}', '}}')
  for name in found.inputs:
    call = call.replace(f'<{name}>', f'{{{name}}}')
  return call


def _flag(name: str, found: parameters.Parameters) -> str:
  return f'{found.training} of {name}' if found.training else ''


def _check(
  symbol: importing.Symbol, found: parameters.Parameters, method: str = ''
) -> None:
  if found.unknown:
    name = f'{symbol.name}.{method}' if method else symbol.name
    example = ' '.join(f'{each}=...' for each in found.unknown)
    raise errors.UsageError(
      f'{name} takes {listed(found.unknown, _MAX_NAMES)}, which has no default '
      'and does not look like an input. Give a value with '
      f'--tf1_args {example}, or, if it is an input, its name with --inputs '
      f"'{found.unknown[0]}=float32[4,...]'."
    )
