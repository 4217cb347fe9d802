"""What AutoGraph changes in the functions that it converts."""

import importlib
import sys

from tf_equiv.core import interrupts

_MISSING = object()
# Says that AutoGraph has converted a function, and need not do so again.
_MARK = 'autograph_info__'


def _owner(function):
  # Methods have no attributes of their own.
  return getattr(function, '__func__', function)


class _Decorated:
  """A decorated function, as it was before AutoGraph changed it."""

  def __init__(self, function, decorator):
    self._function = _owner(function)
    self._decorator = decorator
    self._target = decorator.decorated_target
    self._wrapped = self._get_wrapped()
    self.converted = None

  @property
  def key(self):
    return id(self._function)

  def _get_wrapped(self):
    return getattr(self._function, '__dict__', {}).get('__wrapped__', _MISSING)

  def restore(self):
    """Undoes the change, unless something else has followed it."""
    if self._decorator.decorated_target is self.converted:
      self._decorator.decorated_target = self._target
    if self._get_wrapped() is not self.converted:
      return
    if self._wrapped is _MISSING:
      del self._function.__wrapped__
    else:
      self._function.__wrapped__ = self._wrapped


def _innermost(function, target):
  """Returns (function, decorator) where the target is decorated, or None."""
  found = None
  while True:
    decorator = getattr(function, '_tf_decorator', None)
    if decorator is None:
      return found
    found = function, decorator
    function = getattr(decorator, 'decorated_target', None)
    if function is target:
      return found


@interrupts.restoring
def decorators_restored():
  """Gives decorated functions back what they decorate.

  To convert a method behind a decorator of TensorFlow (the modeling shim is
  one), AutoGraph puts the converted method into the decorator itself, and
  Keras has `call` converted whenever a layer is traced. The user's class then
  has another method for the rest of the process: one that seems to take any
  argument, if conversion was off. What `tf.function` has converted stays as it
  is, since later traces use it.
  """
  module = importlib.import_module('tensorflow.python.util.tf_decorator')
  original = getattr(module, 'rewrap', None)
  if original is None:  # TF 1.13
    yield
    return
  changed, unmarked = {}, {}

  def rewrap(decorator_func, previous_target, new_target):
    found = _innermost(decorator_func, previous_target)
    if found is None or sys._getframe(1).f_code.co_name != 'tf_convert':
      return original(decorator_func, previous_target, new_target)
    decorated = _Decorated(*found)
    decorated = changed.setdefault(decorated.key, decorated)
    decorated.converted = new_target
    owner = _owner(decorator_func)
    if not hasattr(owner, _MARK):
      unmarked[id(owner)] = owner
    return original(decorator_func, previous_target, new_target)

  module.rewrap = rewrap
  try:
    yield
  finally:
    module.rewrap = original
    for decorated in reversed(list(changed.values())):
      decorated.restore()
    for owner in unmarked.values():
      vars(owner).pop(_MARK, None)
