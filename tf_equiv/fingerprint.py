"""Returns whether code would build the same graph again.

A graph may be used again only if the code that built it, and all that this code
reads, are what they were: the test case's attributes, module constants, flags,
functions that a test replaces by a mock. The fingerprint follows the code of
the user from function to function and takes in what it refers to. Libraries
count as unchanging.
"""

import collections
import dataclasses
import enum
import functools
import hashlib
import inspect
import random
import sys
import types
from collections.abc import Hashable
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags

from tf_equiv.tf1 import source_lines

# Values, functions and classes that are looked at before giving up.
_MOST = 20000
# How the names begin under which this package keeps things in a test class.
_OWN = '_tf_equiv_'
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


class _UnknownError(Exception):
  """Something may change without a trace."""


def of(functions: dict[str, Any]) -> tuple[Hashable, list[Any]] | None:
  """Returns the fingerprint of functions and of all that they refer to.

  Args:
    functions: by what they are used for.

  Returns:
    The fingerprint, and the objects on whose identity it relies, which must be
    kept as long as it is. None where something may change without a trace: an
    iterator or a random generator in an attribute, or too much of everything.
  """
  walker = _Walker()
  try:
    walker.add(functions)
  except _UnknownError:
    return None
  digest = hashlib.sha256('\n'.join(walker.parts).encode()).hexdigest()
  return digest, walker.kept


class _Walker:
  def __init__(self):
    self.parts: list[str] = []
    self.kept: list[Any] = []
    self._seen: dict[Any, int] = {}

  def add(self, value: Any) -> None:
    """Takes in a value and what it refers to."""
    if len(self.parts) > _MOST:
      raise _UnknownError
    if isinstance(value, enum.Enum) or isinstance(value, _PLAIN):
      self.parts.append(f'{type(value).__name__} {value!r}')
    elif isinstance(value, (np.ndarray, np.generic)):
      self._add_array(np.asarray(value))
    elif self._is_new(value):
      self._add_object(value)

  def _is_new(self, value, *more) -> bool:
    """Notes which object it is; False if its contents are known."""
    key = (id(value), *more)
    known = key in self._seen
    self._seen.setdefault(key, len(self._seen))
    self.parts.append(f'object {self._seen[key]}')
    return not known

  def _identify(self, value) -> None:
    self.parts.append(f'id {id(value)}')
    self.kept.append(value)

  def _add_array(self, array) -> None:
    if array.dtype.hasobject:
      data = repr(array.tolist()).encode()
    else:
      data = np.ascontiguousarray(array).tobytes()
    digest = hashlib.sha256(data).hexdigest()
    self.parts.append(f'array {array.dtype} {array.shape} {digest}')

  def _add_object(self, value) -> None:
    if isinstance(value, (dict, types.MappingProxyType)):
      self.parts.append(f'{type(value).__name__} {len(value)}')
      for key, item in list(value.items()):
        self.add(key)
        self.add(item)
    elif isinstance(value, (list, tuple, collections.deque)):
      self.parts.append(f'{type(value).__name__} {len(value)}')
      for item in list(value):
        self.add(item)
    elif isinstance(value, types.SimpleNamespace):
      self.add(vars(value))
    elif isinstance(value, bytearray):
      self.parts.append(repr(value))
    elif isinstance(value, (set, frozenset)):
      self.parts.append(f'set {sorted(map(repr, value))}')
    elif isinstance(value, types.FunctionType):
      self._add_function(value)
    elif isinstance(value, types.MethodType):
      self.add(value.__func__)
      self.add(value.__self__)
    elif isinstance(value, functools.partial):
      self.add((value.func, value.args, value.keywords))
    elif isinstance(value, (staticmethod, classmethod)):
      self.add(value.__func__)
    elif isinstance(value, property):
      self.add((value.fget, value.fset))
    elif isinstance(value, type):
      self._add_class(value)
    elif isinstance(value, flags.FlagValues):
      self.add(value.flag_values_dict() if value.is_parsed() else None)
    elif isinstance(value, flags.FlagHolder):
      self.add((value.name, _value_of_flag(value)))
    elif isinstance(value, types.ModuleType):
      self._identify(value)
    else:
      self._add_instance(value)

  def _add_function(self, function) -> None:
    self._identify(function)
    if source_lines.is_library_file(function.__code__.co_filename):
      return
    self.add(function.__defaults__)
    self.add(function.__kwdefaults__)
    for cell in function.__closure__ or ():
      try:
        self.add(cell.cell_contents)
      except ValueError:  # It is still empty.
        self.parts.append('empty')
    if hasattr(function, '__wrapped__'):
      self.add(function.__wrapped__)
    names = _names_of(function.__code__)
    self._add_names(names, function.__globals__)

  def _add_names(self, names, namespace) -> None:
    """Takes in what the code may mean by these names in a module."""
    for name in names:
      if name not in namespace:
        continue
      self.parts.append(name)
      value = namespace[name]
      self.add(value)
      if isinstance(value, types.ModuleType) and not _is_library(value):
        if self._is_new(value, names):
          self._add_names(names, vars(value))

  def _add_class(self, cls) -> None:
    self._identify(cls)
    if _is_library(cls):
      return
    for base in cls.__bases__:
      self.add(base)
    for name, item in sorted(vars(cls).items()):
      # The tests of a test case build nothing.
      if not name.startswith(('test', '__', _OWN)):
        self.parts.append(name)
        self.add(item)
    if '__call__' in vars(cls) or '__init__' in vars(cls):
      self.add([vars(cls).get(n) for n in ('__init__', '__call__')])

  def _add_instance(self, value) -> None:
    if inspect.isgenerator(value) or hasattr(value, '__next__'):
      raise _UnknownError
    if isinstance(value, _GENERATORS):
      raise _UnknownError
    self.add(type(value))
    if isinstance(value, tf.test.TestCase):
      self._add_attributes(value, _attributes_of_runners(type(value)))
    elif dataclasses.is_dataclass(value) or not _is_library(type(value)):
      self._add_attributes(value, ())
    else:
      self._identify(value)

  def _add_attributes(self, value, others) -> None:
    if not hasattr(value, '__dict__'):
      self._identify(value)  # Its attributes cannot be listed.
      return
    for name, item in sorted(vars(value).items()):
      if name not in others:
        self.parts.append(name)
        self.add(item)


def _attributes_of_runners(cls) -> frozenset[str]:
  """Names under which libraries, this one too, keep things in a test case."""
  return frozenset(
    name
    for base in cls.__mro__
    if issubclass(base, tf.test.TestCase) and _is_library(base)
    for name in vars(base())
  )


def _value_of_flag(holder):
  try:
    return holder.value
  except flags.UnparsedFlagAccessError:
    return None


def _names_of(code) -> tuple[str, ...]:
  """Names that a function, or one inside of it, may look up."""
  found, pending = set(), [code]
  while pending:
    current = pending.pop()
    found.update(current.co_names)
    pending.extend(
      c for c in current.co_consts if isinstance(c, types.CodeType)
    )
  return tuple(sorted(found))


def _is_library(value) -> bool:
  """Returns whether a module or class belongs to a library, or is built in."""
  if isinstance(value, types.ModuleType):
    return source_lines.is_library_file(getattr(value, '__file__', None) or '')
  module = sys.modules.get(value.__module__)
  return module is None or _is_library(module)
