"""Lets modules that were written for TensorFlow 1 be imported as they are."""

import contextlib
import importlib
import sys
import types
from typing import Any, Dict

import tensorflow as tf

_NAME = 'tensorflow'
_CONTRIB = _NAME + '.contrib'
# What tf_slim was made of.
_SLIM = ('framework', 'layers', 'losses', 'metrics', 'slim')
# Those of them whose names are in tf_slim itself.
_WHOLE = ('framework', 'layers', 'slim')
# They import tensorflow and mean that of TensorFlow 2.
_FIRST = ('keras', 'tf_keras')


class _Tf1(types.ModuleType):
  """Stands for TensorFlow 1: `tensorflow.compat.v1`, and `contrib`."""

  def __getattr__(self, name: str) -> Any:
    return getattr(tf.compat.v1, name)


class _Contrib(types.ModuleType):
  """Stands for `tensorflow.contrib`, as far as there is a successor."""

  def __getattr__(self, name: str) -> Any:
    if name.startswith('__'):
      raise AttributeError(name)
    # The text that Python would give.
    raise AttributeError(f"No module named '{_CONTRIB}.{name}'")


class _Rnn(types.ModuleType):
  """Stands for `tensorflow.contrib.rnn`: cells, and what runs them."""

  def __getattr__(self, name: str) -> Any:
    if name.startswith('__'):
      raise AttributeError(name)
    for module in (tf.compat.v1.nn.rnn_cell, tf.compat.v1.nn):
      if hasattr(module, name):
        return getattr(module, name)
    raise AttributeError(f"module '{_CONTRIB}.rnn' has no attribute {name!r}")


@contextlib.contextmanager
def tf1_imports():
  """Context in which `import tensorflow` gives `tensorflow.compat.v1`.

  For modules that were written for TensorFlow 1 and name what TensorFlow 2 has
  in `tf.compat.v1` only (`tf.get_variable`, `tf.layers`). What they import
  gets the same. `tf.contrib.layers`, `slim`, `losses`, `metrics` and
  `framework` are those of tf_slim, which they became, and `tf.contrib.rnn` are
  the cells of `tf.compat.v1.nn.rnn_cell`; the rest of `tf.contrib` is gone. A
  module that is imported already is not imported anew.

  Example:
    >>> with tf1_imports():
    ...   import tensorflow as tf1  # In legacy code: `as tf`.
    >>> tf1.get_variable is tf.compat.v1.get_variable
    True

  Yields:
    Nothing.
  """
  for name in _FIRST:
    with contextlib.suppress(ImportError):
      importlib.import_module(name)
  modules = _modules()
  before = {name: sys.modules.get(name) for name in modules}
  # That is how a module finds another; there is no public way to say so.
  sys.modules.update(modules)
  try:
    yield
  finally:
    for name, module in before.items():
      if module is None:
        sys.modules.pop(name, None)
      else:
        sys.modules[name] = module


def _modules() -> Dict[str, types.ModuleType]:
  """Returns what stands for modules of TensorFlow 1, by name."""
  root, contrib = _Tf1(_NAME), _Contrib(_CONTRIB)
  root.__path__ = list(tf.__path__)
  contrib.__path__ = []
  vars(root)['contrib'] = contrib
  found = {_NAME: root, _CONTRIB: contrib, _CONTRIB + '.rnn': _Rnn('rnn')}
  try:
    slim = importlib.import_module('tf_slim')
  except ImportError:
    slim = None
  for name in _SLIM if slim is not None else ():
    module = slim if name in _WHOLE else getattr(slim, name, None)
    if module is not None:
      found[f'{_CONTRIB}.{name}'] = module
  for name, module in found.items():
    if name.startswith(_CONTRIB + '.'):
      setattr(contrib, name.rpartition('.')[2], module)
  return found
