"""What the parameters of a function are for, by their names and defaults."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_equiv.core import errors

TRAINING = (
  'training',
  'is_training',
  'train',
  'is_train',
  'istrain',
  'isTrain',
  'train_mode',
  'training_mode',
  'phase_train',
  'train_phase',
  'training_phase',
  'is_training_phase',
  'phase',
  'in_training',
)
_KEEP = re.compile(r'(^|_)keep(_?prob|_?probability|_?rate)?s?$')
_DROP = re.compile(r'^(drop_?out|drop)(_?rate|_?prob|_?probability)?$')
_SCOPE = ('scope', 'name', 'scope_name', 'name_scope', 'variable_scope')
# What is hardly ever an input, although it has no default.
_NO_INPUT = re.compile(
  r'^(num|n|nb|no|is|use|with|max|min)_'
  r'|_(size|dim|dims|units|num|classes|channels|filters|layers|rate|decay'
  r'|config|params|fn|func|format|type|shape|initializer|regularizer)$'
  r'|^(config|cfg|conf|params|hparams|hps|args|options|opts|opt|FLAGS|flags'
  r'|mode|classes|units|filters|kernel|channels|depth|width|data_format'
  r'|weight_decay|learning_rate|lr|activation|session|sess|graph|arg_scope'
  r'|dtype|seed|shape|batch|layers|blocks|optimizer)$'
)


@dataclasses.dataclass(frozen=True)
class Parameters:
  """The parameters of a function, sorted.

  Attributes:
    inputs: names of those that take inputs.
    values: code by name of those that get something else.
    training: name of the one that says whether this is training, '' if none.
    unknown: names of those that have no default, and of which nothing tells
      what they are to get.
  """

  inputs: tuple[str, ...]
  values: Mapping[str, str]
  training: str = ''
  unknown: tuple[str, ...] = ()

  def call(self, function: str, inputs: Mapping[str, str]) -> str:
    """Returns the call of a function as code.

    Args:
      function: the function as code.
      inputs: code of each input by name of its parameter.
    """
    given = [inputs[name] for name in self.inputs if name in inputs]
    given += [f'{name}={code}' for name, code in self.values.items()]
    return f'{function}({", ".join(given)})'


def is_keep_probability(name: str) -> bool:
  """Returns whether a name is that of the probability to keep a unit."""
  return _KEEP.search(name) is not None


def is_dropout_rate(name: str) -> bool:
  """Returns whether a name is that of the rate of dropout."""
  return _DROP.search(name) is not None


def signature(function: Callable[..., Any]) -> list[inspect.Parameter]:
  """Returns the parameters of a function, but `self`; none if not known."""
  try:
    return list(inspect.signature(function).parameters.values())
  except (TypeError, ValueError):
    return []


def sort(
  parameters: Sequence[inspect.Parameter],
  given: Mapping[str, str],
  inputs: Sequence[str] = (),
) -> Parameters:
  """Says what each parameter is for.

  Args:
    parameters: the parameters.
    given: code by name, of the user.
    inputs: names of inputs of the user; '' for one without a name.
  """
  named = [name for name in inputs if name]
  found: list[str] = []
  values: dict[str, str] = {}
  unknown: list[str] = []
  training = ''
  names = {each.name for each in parameters}
  flag = next((name for name in TRAINING if name in names), '')
  for each in parameters:
    required = each.default is each.empty and each.kind not in (
      each.VAR_POSITIONAL,
      each.VAR_KEYWORD,
    )
    if each.name in given:
      values[each.name] = given[each.name]
    elif each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
      continue
    elif each.name in named:
      found.append(each.name)
    elif each.name == flag:
      training = each.name
      values[each.name] = 'training'
    elif not required:
      continue
    elif _KEEP.search(each.name):
      values[each.name] = '0.5 if training else 1.0'
    elif _DROP.search(each.name):
      values[each.name] = '0.5 if training else 0.0'
    elif each.name in _SCOPE and found:
      values[each.name] = "'net'"
    elif each.name == 'reuse':
      values[each.name] = 'None'
    elif named or _NO_INPUT.search(each.name):
      unknown.append(each.name)
    else:
      found.append(each.name)
  return Parameters(tuple(found), values, training, tuple(unknown))


def given_values(texts: Sequence[str], flag: str) -> dict[str, str]:
  """Reads what --tf1_args or --tf2_args were given.

  Args:
    texts: each 'name=value'; the value is a literal of Python, or else code
      that begins with a name, or text.
    flag: the flag, for messages.

  Returns:
    Text of the value by name.

  Raises:
    UsageError: for what is no such pair.
  """
  found = {}
  for text in texts:
    name, equal, value = text.partition('=')
    if not equal or not name.strip().isidentifier():
      raise errors.UsageError(
        f'{flag} has {text!r}; expected NAME=VALUE, as in num_classes=10.'
      )
    found[name.strip()] = value.strip()
  return found


def as_code(value: str, module: Any, prefix: str) -> str:
  """Returns the text of a value as code of a test.

  Args:
    value: a literal, code that begins with a name of the module, or text.
    module: the module.
    prefix: its name in the test.
  """
  try:
    ast.literal_eval(value)
    return value
  except (ValueError, SyntaxError):
    pass
  root = re.match(r'[A-Za-z_]\w*', value)
  if root and hasattr(module, root.group()):
    try:
      ast.parse(value, mode='eval')
      return f'{prefix}.{value}'
    except SyntaxError:
      pass
  return repr(value)
