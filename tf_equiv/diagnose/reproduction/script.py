"""Writes a case as a program that needs TensorFlow and NumPy alone."""

import inspect
import keyword
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.core.text import listed
from tf_equiv.diagnose.reproduction import case as case_lib

v1 = tf.compat.v1

# Values with at most so many elements are written into the program.
_FEW = 4
_MAX_NAME = 90
_MAX_TYPES = 4

_TEXT = """\
# %(title)s
# It needs TensorFlow, NumPy and the .npz file of the same name, no other code.
# Exit status: 1 while the sides differ, 0 when they do not.
%(usage)s
import argparse
import os
import sys

import numpy as np

os.environ.setdefault('CUDA_VISIBLE_DEVICES', '-1')
import tensorflow as tf

%(arguments)s
data = np.load(os.path.splitext(os.path.abspath(__file__))[0] + '.npz')
%(feeds)s


def tf1():  # found at %(first)s
%(tf1)s


def tf2():  # found at %(second)s
%(tf2)s


a, b = (np.asarray(x().numpy(), %(dtype)s) for x in (tf1, tf2))
if a.shape != b.shape:
  sys.exit(f'TF1 has the shape {a.shape}, TF2 {b.shape}')
same = (a == b) | ((a != a) & (b != b))
size = np.abs(np.where(np.isfinite([a, b]), [a, b], 0)).max(initial=0)
gap = np.where(same, 0, np.abs(a - b))
differs = ~same & ~(gap <= %(tolerance)r * size)
print(f'{differs.sum()} of {gap.size} elements differ, by up to', gap.max())
at = np.unravel_index(gap.argmax(), gap.shape)
print('TF1', a[at], 'TF2', b[at], 'at', [int(i) for i in at])
sys.exit(int(differs.any()))
"""


_PLAIN = 'argparse.ArgumentParser().parse_args()'
_REPAIRED = """\
parser = argparse.ArgumentParser()
parser.add_argument('--repaired', action='store_true')
REPAIRED = parser.parse_args().repaired"""


class NoOpsError(Exception):
  """The ops cannot be called one by one."""


def write(case: case_lib.Case, places: Sequence[str], repair: str) -> str:
  """Returns the program.

  Args:
    case: what it computes.
    places: what the ops of TF1 and TF2 are, in words.
    repair: what the repair is, in words; not used where the case has none.

  Raises:
    NoOpsError: if an op cannot be called by itself.
  """
  writers = [_Ops(case, i) for i, _ in enumerate(case.graphs)]
  tf1, result = writers[0].lines()
  bodies = [[*tf1, f'return {result}']]
  if case.repaired is None:
    lines, result = writers[1].lines()
    bodies.append([*lines, f'return {result}'])
  elif case.takes_tf1:
    lines, result = writers[1].lines()
    bodies.append(
      ['if REPAIRED:', '  return tf1()', *lines, f'return {result}']
    )
  else:
    lines, result = writers[1].lines(writers[2])
    bodies.append([*lines, f'return {result}'])
  dtype = np.asarray(case.values()[0]).dtype
  usage = f'# With the argument --repaired: {_plain(repair)}.'
  return _TEXT % {
    'title': _plain(f'TF1 and TF2 differ: {listed(_types(case), _MAX_TYPES)}'),
    'usage': usage if case.repaired is not None else '#',
    'arguments': _PLAIN if case.repaired is None else _REPAIRED,
    'first': _plain(places[0]),
    'second': _plain(places[1]),
    'feeds': '\n'.join(_feeds(case)),
    'tf1': _indented(bodies[0]),
    'tf2': _indented(bodies[1]),
    'dtype': 'complex' if dtype.kind == 'c' else 'float',
    'tolerance': case.tolerance,
  }


def stored(case: case_lib.Case) -> dict[str, np.ndarray]:
  """Returns the arrays that the program reads, by their names in the file."""
  found = {}
  for name, value in case.feeds.items():
    if not _is_written(value):
      is_numpy = value.dtype.isbuiltin == 1
      found[_names(case)[name]] = (
        value if is_numpy else value.astype(np.float32)
      )
  return found


def _types(case: case_lib.Case) -> list[str]:
  types = [node.op for node in case_lib.ops_of(case.tf1)]
  return list(dict.fromkeys(types)) or ['what they read']


def _names(case: case_lib.Case) -> dict[str, str]:
  """Returns the variable of the program for each value."""
  return {name: f'x{i}' for i, name in enumerate(case.feeds)}


def _is_written(value: np.ndarray) -> bool:
  return (
    value.size <= _FEW
    and value.dtype.kind in 'fiub'
    and bool(np.all(np.isfinite(value)))
  )


def _feeds(case: case_lib.Case) -> list[str]:
  """Returns the lines that make the values."""
  lines = []
  for name, variable in _names(case).items():
    value, source = case.feeds[name], case.sources[name]
    dtype = tf.as_dtype(value.dtype)
    if value.dtype.kind not in 'fiubcV':
      raise NoOpsError
    what = f"data['{variable}']"
    if _is_written(value):
      what = repr(_literal(value))
    shape = '' if value.size or not _is_written(value) else list(value.shape)
    more = f', {shape}' if shape else ''
    comment = _plain(f'{source.kind} {source.name}'.strip())
    lines.append(
      f'{variable} = tf.constant({what}, tf.{dtype.name}{more})'
      + f'  # {comment}' * bool(comment)
    )
  return lines


def _literal(value: np.ndarray) -> Any:
  """Returns an array as lists of the shortest numbers that stand for it."""
  if value.dtype == np.float32:
    texts = [float(str(x)) for x in value.ravel()]
    return np.array(texts, np.float64).reshape(value.shape).tolist()
  return value.tolist()


def _plain(text: str) -> str:
  """Returns what may stand in a comment."""
  text = ascii(' '.join(text.split()))[1:-1]
  return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 3] + '...'


def _indented(lines: Sequence[str]) -> str:
  return '\n'.join('  ' + line for line in lines)


class _Ops:
  """The ops of one graph as calls."""

  def __init__(self, case: case_lib.Case, index: int):
    """Takes the graph with this number."""
    self._target = case.target_of(index)
    self._graph = tf.Graph()
    with self._graph.as_default():
      tf.import_graph_def(case.graphs[index], name='')
    self._feeds = _names(case)
    self._ops = [
      op for op in self._graph.get_operations() if op.type != 'Placeholder'
    ]
    self._variables = {op.name: f'y{i}' for i, op in enumerate(self._ops)}

  def lines(self, repaired: '_Ops | None' = None) -> tuple[list[str], str]:
    """Returns the lines, and the expression of the result.

    Args:
      repaired: the same ops with a repair.
    """
    lines = []
    for op in self._ops:
      if op.type == 'Const':
        lines.append(f'{self._variables[op.name]} = {_constant(op)}')
        continue
      arguments = self._arguments(op)
      others = arguments
      if repaired is not None:
        other = repaired._graph.get_operation_by_name(op.name)
        others = repaired._arguments(other)
      texts = []
      for name in dict.fromkeys([*arguments, *others]):
        mine, theirs = arguments.get(name), others.get(name)
        if mine is None or theirs is None:  # One is the default.
          mine = mine or self._attribute(op, name)
          theirs = theirs or repaired._attribute(other, name)
        text = f'{theirs} if REPAIRED else {mine}'
        texts.append(f'{name}={mine if mine == theirs else text}')
      call = f'tf.raw_ops.{op.type}({", ".join(texts)})'
      name = _plain(op.name)
      lines.append(f'{self._variables[op.name]} = {call}  # {name}')
    return lines, self._value(self._graph.get_tensor_by_name(self._target))

  def _value(self, tensor: tf.Tensor) -> str:
    """Returns the expression for a tensor."""
    op = tensor.op
    if op.name in self._feeds:
      return self._feeds[op.name]
    outputs = op.op_def.output_arg
    is_list = [bool(x.number_attr or x.type_list_attr) for x in outputs]
    variable = self._variables[op.name]
    if len(outputs) == 1 and not is_list[0]:
      return variable
    if len(outputs) > 1 and any(is_list):
      raise NoOpsError
    return f'{variable}[{tensor.value_index}]'

  def _arguments(self, op: tf.Operation) -> dict[str, str]:
    """Returns the arguments of a call."""
    function = getattr(tf.raw_ops, op.type, None)
    if function is None or op.control_inputs:
      raise NoOpsError
    known = inspect.signature(function).parameters
    found, inferred, position = {}, set(), 0
    for arg in op.op_def.input_arg:
      inferred |= {arg.type_attr, arg.number_attr, arg.type_list_attr}
      if arg.is_ref:
        raise NoOpsError
      if not arg.number_attr and not arg.type_list_attr:
        found[arg.name] = self._value(op.inputs[position])
        position += 1
        continue
      count = (
        op.node_def.attr[arg.number_attr].i
        if arg.number_attr
        else len(op.node_def.attr[arg.type_list_attr].list.type)
      )
      tensors = list(op.inputs)[position : position + count]
      found[arg.name] = f'[{", ".join(map(self._value, tensors))}]'
      position += count
    for attr in op.op_def.attr:
      value = op.node_def.attr[attr.name]
      if attr.name not in inferred and (
        not attr.HasField('default_value') or attr.default_value != value
      ):
        found[attr.name] = self._attribute(op, attr.name)
    if not set(found) <= set(known) or any(map(keyword.iskeyword, found)):
      raise NoOpsError
    return found

  def _attribute(self, op: tf.Operation, name: str) -> str:
    """Returns an attribute as Python writes it."""
    value = op.node_def.attr[name]
    kind = value.WhichOneof('value')
    if kind == 'list':
      for field in ('i', 'f', 'b'):
        items = list(getattr(value.list, field))
        if items:
          return repr([_number(item) for item in items])
      items = [x.decode('ascii') for x in value.list.s]
      if value.list.type or value.list.shape or value.list.func:
        raise NoOpsError
      return repr(items)
    if kind == 'type':
      return f'tf.{tf.as_dtype(value.type).name}'
    if kind == 's':
      try:
        return repr(value.s.decode('ascii'))
      except UnicodeDecodeError:
        raise NoOpsError from None
    if kind == 'shape':
      shape = tf.TensorShape(value.shape)
      return repr(None if shape.rank is None else shape.as_list())
    if kind in ('f', 'i', 'b'):
      return repr(_number(getattr(value, kind)))
    raise NoOpsError


def _constant(op: tf.Operation) -> str:
  """Returns the call that makes a constant."""
  value = tf.make_ndarray(op.node_def.attr['value'].tensor)
  if not _is_written(value) or not value.size:
    raise NoOpsError
  return f'tf.constant({_literal(value)!r}, tf.{tf.as_dtype(value.dtype).name})'


def _number(value: Any) -> Any:
  """Returns a number of an attribute; those with a point are float32."""
  if not isinstance(value, float):
    return value
  if not np.isfinite(value):
    raise NoOpsError
  return float(str(np.float32(value)))
