"""The user's TF1 code, as a module or class that is named by a string."""

import dataclasses
import difflib
import importlib
import inspect
import os
import sys
from typing import Any, Dict, List, Sequence

import tensorflow as tf

from tf_equiv.core import errors
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import tensors

# Template methods that run where the TF1 code is.
METHODS = (
  'build_tf1',
  'compute_loss_tf1',
  'compute_loss',
  'build_tf1_optimizer',
  'clip_gradients_tf1',
  'clip_gradients',
  'train_tf1',
  'build_metrics_tf1',
)
_UPDATE_OPS = 'tf1_update_ops'


class UserModel:
  """What a class or module defines of the template methods.

  Attributes:
    name: as it was asked for, e.g. 'legacy.lenet:Lenet'.
  """

  def __init__(self, name: str, target: Any):
    self.name = name
    self._target = target

  def defined(self) -> List[str]:
    """Names of the template methods that are there."""
    return [n for n in METHODS if callable(getattr(self._target, n, None))]

  def program(self, arguments: Dict[str, Any], reset_weights: Any):
    """Returns the `Program` of the model.

    Args:
      arguments: `behavior` as a dict, None for the default, `update_ops` and
        `ignored` of the test case.
      reset_weights: gives the values of the variables.

    Returns:
      The program.

    Raises:
      UsageError: if there is no `build_tf1`.
    """

    def first(*names):
      for name in names:
        found = getattr(self._target, name, None)
        if callable(found):
          return found
      return None

    program = program_lib.Program(
      build=first('build_tf1') or self._missing('build_tf1(inputs, training)'),
      reset_weights=reset_weights,
      compute_loss=first('compute_loss_tf1', 'compute_loss')
      or tensors.default_loss,
      behavior=_behavior(arguments['behavior']),
      build_optimizer=first('build_tf1_optimizer')
      or self._missing('build_tf1_optimizer()'),
      clip_gradients=first('clip_gradients_tf1', 'clip_gradients') or list,
      update_ops=bool(
        getattr(self._target, _UPDATE_OPS, arguments['update_ops'])
      ),
      train=first('train_tf1'),
      metrics=first('build_metrics_tf1')
      or self._missing('build_metrics_tf1(outputs, inputs)'),
      ignored=tuple(arguments.get('ignored', ())),
    )
    return program

  def _missing(self, signature: str):
    name = signature.partition('(')[0]

    def missing(*unused_arguments):
      near = difflib.get_close_matches(name, dir(self._target), 1)
      raise errors.UsageError(
        '%s has no %s, which the TF1 side needs%s. Define %s there%s.'
        % (
          self.name,
          name,
          f' (it has {near[0]})' if near else '',
          signature,
          ', as a method or as a function of the module'
          if inspect.ismodule(self._target)
          else '',
        )
      )

    return missing


def load(name: str, sys_path: Sequence[str]) -> UserModel:
  """Imports the user's TF1 code.

  Args:
    name: 'module:Class', or 'module' for functions of a module.
    sys_path: folders to put in front of `sys.path`.

  Returns:
    The model. A class is instantiated, without arguments.

  Raises:
    UsageError: if there is no such module or class.
    EnvironmentSetupError: if a module that it needs is not installed.
  """
  sys.path[:0] = [p for p in sys_path if p not in sys.path]
  module_name, _, attributes = name.partition(':')
  module = _import(module_name, name, sys_path)
  target = module
  for attribute in filter(None, attributes.split('.')):
    if not hasattr(target, attribute):
      raise errors.UsageError(
        f'model={name!r}: {_title(target)} has no {attribute}; it has '
        f'{_names_in(target)}.'
      )
    target = getattr(target, attribute)
  if inspect.isclass(target):
    _check_arguments(target, name)
    target = target()
  return UserModel(name, target)


def _behavior(given) -> program_lib.TF1Behavior:
  """Behaviours of TF2 are off in TF1 unless they are asked for."""
  if given is None and tf.__version__.startswith('1.'):
    names = [f.name for f in dataclasses.fields(program_lib.TF1Behavior)]
    given = dict.fromkeys(names, False)
  return program_lib.TF1Behavior(**(given or {}))


def _import(module_name, name, sys_path):
  try:
    return importlib.import_module(module_name)
  except ImportError as error:
    missing = getattr(error, 'name', None) or ''
    if (module_name + '.').startswith(missing + '.'):
      raise errors.UsageError(
        f'model={name!r}: the interpreter of the TF1 side ({sys.executable}) '
        f'finds no module {missing!r}. Its folder must be in sys_path, which '
        f'is [{", ".join(map(repr, sys_path))}]{_where(missing, sys_path)}; '
        f"'.' is the current folder, {os.getcwd()}."
      ) from error
    if missing and isinstance(error, ModuleNotFoundError):
      package = missing.partition('.')[0]
      if package != 'tensorflow':
        raise errors.EnvironmentSetupError(
          f'model={name!r}: {module_name} needs the module {missing!r}, which '
          'the interpreter of the TF1 side does not have. Install it there '
          f'({sys.executable} -m pip install {package}), or add its folder to '
          'sys_path.'
        ) from error
    raise


def _where(missing, sys_path):
  """Suggests the parent of a folder that is the module itself."""
  for folder in sys_path:
    if os.path.basename(os.path.normpath(folder)) == missing:
      return f' (did you mean {os.path.dirname(os.path.normpath(folder))!r}?)'
  return ''


def _check_arguments(cls, name) -> None:
  try:
    inspect.signature(cls).bind()
  except TypeError as error:
    raise errors.UsageError(
      f'model={name!r}: the class is instantiated without arguments, but '
      f'{error}. Give them defaults, or name a class or module that does the '
      'call.'
    ) from error
  except ValueError:  # It has no signature.
    pass


def _title(target) -> str:
  return getattr(target, '__name__', type(target).__name__)


def _names_in(target, most: int = 10) -> str:
  own = getattr(target, '__name__', None)
  names = [
    n
    for n, value in sorted(vars(target).items())
    if callable(value)
    and not n.startswith('_')
    and getattr(value, '__module__', own) == own
  ]
  return ', '.join(names[:most]) or 'no class or function of its own'
