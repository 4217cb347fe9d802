"""Checks of plain data: what it must be is said by functions that are combined.

A check takes a value and the name of the field that it is in, and raises
`WrongError` if the value is not as expected.
"""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_equiv.core import errors, source_line

Check = Callable[[Any, str], None]

# No name and no line of code is longer; notes are shorter, too.
_MAX_TEXT = 4000
# Nested deeper than the outputs of any model.
_MAX_DEPTH = 60
_MAX_QUOTED = 80


class WrongError(Exception):
  """A value is not as expected; the arguments are the field and why."""


def quoted(value: Any) -> str:
  """Writes a value in one short line that no terminal obeys."""
  text = ascii(value) if not isinstance(value, (list, dict)) else ''
  if not text:
    return f'a {type(value).__name__} of {len(value)} item(s)'
  return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + '...'


def printable(text: str) -> str:
  """Returns a text cut to what is shown, with control characters escaped."""
  cut = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + '...'
  return errors.printable(cut)


def text(value: Any, where: str) -> None:
  """Checks a name: one line of text without control characters."""
  lines(value, where)
  if '\n' in value or '\t' in value:
    raise WrongError(where, f'has control characters: {quoted(value)}')


def lines(value: Any, where: str) -> None:
  """Checks a text that may have several lines."""
  if not isinstance(value, str):
    raise WrongError(where, f'is {quoted(value)}; expected text')
  if len(value) > _MAX_TEXT:
    raise WrongError(where, f'is a text of {len(value)} characters')
  if errors.has_control(value):
    raise WrongError(where, f'has control characters: {quoted(value)}')


def anything(value: Any, where: str) -> None:
  """Checks nothing but that texts can be printed."""
  if isinstance(value, str):
    lines(value, where)
  elif isinstance(value, Mapping):
    for key, item in value.items():
      anything(key, where)
      anything(item, at(where, key))
  elif isinstance(value, (list, tuple)):
    for i, item in enumerate(value):
      anything(item, at(where, i))


def one_of(*allowed: Any) -> Check:
  """Checks that a value is one of several."""

  def check(value, where):
    if not isinstance(value, str) or value not in allowed:
      shown = ', '.join(map(repr, allowed))
      raise WrongError(where, f'is {quoted(value)}; expected {shown}')

  return check


def matching(pattern: str, what: str) -> Check:
  """Checks that a value is a text that matches a pattern as a whole."""

  def check(value, where):
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
      raise WrongError(where, f'is {quoted(value)}; expected {what}')

  return check


def size(value: Any, where: str) -> None:
  """Checks a whole number that is not negative."""
  if isinstance(value, bool) or not isinstance(value, int) or value < 0:
    raise WrongError(where, f'is {quoted(value)}; expected a size')


def each(check: Check) -> Check:
  """Checks a list, item by item."""

  def check_all(value, where):
    if not isinstance(value, (list, tuple)):
      raise WrongError(where, f'is {quoted(value)}; expected a list')
    for i, item in enumerate(value):
      check(item, at(where, i))

  return check_all


def mapping(check: Check, key: Check = text) -> Check:
  """Checks the keys and items of a dict."""

  def check_all(value, where):
    if not isinstance(value, Mapping):
      raise WrongError(where, f'is {quoted(value)}; expected a dict')
    for name, item in value.items():
      key(name, f'a key of {where}')
      check(item, at(where, name))

  return check_all


def fields(needed: Mapping[str, Check], others: Mapping[str, Check]) -> Check:
  """Checks a dict that has certain fields.

  Args:
    needed: check by name of the field.
    others: those of fields that may be missing. Further ones are looked at by
      `anything`: a later version may have written them.
  """

  def check_all(value, where):
    mapping(anything)(value, where)
    for name, check in {**needed, **others}.items():
      if name in value:
        check(value[name], at(where, name))
      elif name in needed:
        raise WrongError(at(where, name), 'is missing')

  return check_all


def at(where: str, key: Any) -> str:
  """Returns the name of an item of a field."""
  index = str(key) if isinstance(key, int) else quoted(key)
  return f'{where}[{index}]'


def of_type(hint: Any) -> Check:
  """Returns a check of what the annotation of a dataclass says.

  Numbers may be arrays without dimensions, and a list a tuple, as they are
  stored and read.
  """
  origin, given = typing.get_origin(hint), typing.get_args(hint)
  if hint is Any:
    return anything
  if hint is str:
    return text
  if hint in (bool, int, float):
    return functools.partial(_number, hint)
  if hint is np.ndarray:
    return _array
  if origin in (typing.Union, types.UnionType):
    return _optional(of_type(next(t for t in given if t is not type(None))))
  if origin is dict:
    return mapping(of_type(given[1]), of_type(given[0]))
  if origin is list or (origin is tuple and given[-1] is ...):
    return each(of_type(given[0]))
  if origin is tuple:
    return _tuple([of_type(t) for t in given])
  return functools.partial(_dataclass, hint)


def _number(kind, value, where) -> None:
  kinds, what = {
    bool: ('b', 'a flag'),
    int: ('biu', 'a whole number'),
    float: ('biuf', 'a number'),
  }[kind]
  number = np.asarray(value) if isinstance(value, (bool, int, float)) else value
  if (
    not isinstance(number, np.ndarray)
    or number.shape
    or number.dtype.kind not in kinds
  ):
    raise WrongError(where, f'is {quoted(value)}; expected {what}')


def _array(value, where) -> None:
  if not isinstance(value, np.ndarray):
    raise WrongError(where, f'is {quoted(value)}; expected an array')


def _optional(check):
  def check_if_given(value, where):
    if value is not None:
      check(value, where)

  return check_if_given


def _tuple(checks):
  def check_all(value, where):
    if not isinstance(value, (list, tuple)) or len(value) != len(checks):
      raise WrongError(
        where, f'is {quoted(value)}; expected {len(checks)} items'
      )
    for i, (check, item) in enumerate(zip(checks, value, strict=True)):
      check(item, at(where, i))

  return check_all


def _dataclass(cls, value, where) -> None:
  if not isinstance(cls, type) or not isinstance(value, cls):
    name = getattr(cls, '__name__', cls)
    raise WrongError(where, f'is {quoted(value)}; expected a {name}')
  for name, check in checks_of(cls).items():
    check(getattr(value, name), f'{where}.{name}')


@functools.cache
def checks_of(cls: type) -> dict[str, Check]:
  """Returns the checks of the fields of a dataclass, by name."""
  hints = typing.get_type_hints(cls)
  found = {
    field.name: of_type(hints[field.name]) for field in dataclasses.fields(cls)
  }
  if cls is source_line.SourceLine:  # Code may hold anything; see `printable`.
    found['text'] = _any_text
  return found


def _any_text(value, where) -> None:
  if not isinstance(value, str):
    raise WrongError(where, f'is {quoted(value)}; expected text')


def encoded(value: Any, count: int, where: str = '', depth: int = 0) -> None:
  """Checks plain JSON values that `serialization.decode` is to turn back.

  Args:
    value: the values.
    count: how many arrays there are.
    where: name of the field.
    depth: how deep it is nested.
  """
  if depth > _MAX_DEPTH:
    raise WrongError(where, f'is nested more than {_MAX_DEPTH} levels deep')
  if value is None or isinstance(value, (bool, int, float, str)):
    return
  if isinstance(value, list):
    for i, item in enumerate(value):
      encoded(item, count, at(where, i), depth + 1)
    return
  for kind, check in _ENCODED.items():
    if kind in value:
      check(value, count, where, depth)
      return
  raise WrongError(where, f'is {quoted(value)}, which stands for nothing')


def _encoded_array(value, count, where, unused_depth) -> None:
  number = value['array']
  size(number, where)
  if number >= count:
    raise WrongError(where, f'is array {number} of {count}')
  text(value.get('dtype'), f'{where}.dtype')
  for name in ('shape', 'lengths'):
    if name in value:
      each(size)(value[name], f'{where}.{name}')
  if value['dtype'] == 'string' and not {'shape', 'lengths'} <= set(value):
    raise WrongError(where, 'has no shape or no lengths')


def _encoded_dataclass(value, count, where, depth) -> None:
  # Not above: it imports TensorFlow, which an index does not need.
  from tf_equiv.tf1 import serialization

  cls = serialization.DATACLASSES.get(
    value['dataclass'] if isinstance(value['dataclass'], str) else ''
  )
  if cls is None:
    raise WrongError(where, f'is a {quoted(value["dataclass"])}, unknown here')
  given = value.get('fields')
  if not isinstance(given, dict):
    raise WrongError(where, f'lacks the fields of {cls.__name__}')
  known = {field.name: field for field in dataclasses.fields(cls)}
  unknown = sorted(set(given) - {n for n, f in known.items() if f.init})
  if unknown:
    raise WrongError(
      where, f'has a field {quoted(unknown[0])}, which {cls.__name__} lacks'
    )
  for name, field in known.items():
    needs = field.default is field.default_factory is dataclasses.MISSING
    if needs and name not in given:
      raise WrongError(where, f'lacks the field {name!r} of {cls.__name__}')
  for name, item in given.items():
    encoded(item, count, f'{where}.{name}', depth + 1)


def _encoded_items(kind, value, count, where, depth) -> None:
  if not isinstance(value[kind], list):
    raise WrongError(where, f'is {quoted(value[kind])}; expected a {kind}')
  encoded(value[kind], count, where, depth + 1)


def _encoded_named(value, count, where, depth) -> None:
  names = value.get('names')
  each(matching(r'[A-Za-z]\w*', 'the name of a field'))(names, where)
  matching(r'[A-Za-z]\w*', 'the name of a type')(value['namedtuple'], where)
  items = value.get('items')
  if not isinstance(items, list) or len(items) != len(names):
    raise WrongError(where, f'does not have {len(names)} items')
  encoded(items, count, where, depth + 1)


def _encoded_dict(kind, value, count, where, depth) -> None:
  each(each(anything))(value[kind], where)
  for pair in value[kind]:
    if len(pair) != 2:
      raise WrongError(where, 'has an item that is no pair')
    key, item = pair
    if isinstance(key, list) or (
      isinstance(key, dict) and not set(key) & {'tuple', 'SeedMode', 'number'}
    ):
      raise WrongError(where, f'has {quoted(key)} as a key')
    encoded(key, count, f'a key of {where}', depth + 1)
    name = key if isinstance(key, (str, int)) else '...'
    encoded(item, count, at(where, name), depth + 1)


def _encoded_number(value, unused_count, where, unused_depth) -> None:
  one_of('nan', 'inf', '-inf')(value['number'], where)


def _encoded_mode(value, unused_count, where, unused_depth) -> None:
  one_of('constant', 'num_random_ops')(value['SeedMode'], where)


# In the order in which they are decoded.
_ENCODED: dict[str, Callable[[Any, int, str, int], None]] = {
  'array': _encoded_array,
  'dataclass': _encoded_dataclass,
  'SeedMode': _encoded_mode,
  'number': _encoded_number,
  'namedtuple': _encoded_named,
  'tuple': functools.partial(_encoded_items, 'tuple'),
  'ordered': functools.partial(_encoded_dict, 'ordered'),
  'dict': functools.partial(_encoded_dict, 'dict'),
}
