"""Puts the numbers that TF1 drew in the place of the draws of TF2.

Keras 3, `tf.random.Generator` and stateless ops have seeds of their own, so
that their draws cannot be made equal to those of TF1 by seeds. But while a
function is traced, the output of each random op can be replaced by a constant.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import random_value
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import source_lines


@dataclasses.dataclass
class Injection:
  """What happened while a function was traced.

  Attributes:
    function: the traced function; None if TF2's draws are not those of TF1.
    concrete: its trace, which does not depend on where it is called.
    problem: why not, in one line.
  """

  function: Callable | None
  concrete: Callable | None = None
  problem: str = ''


def trace(
  function: Callable,
  arguments: Sequence[Any],
  values: Sequence[random_value.RandomValue],
  jit_compile: bool | None = None,
) -> Injection:
  """Traces a function with the draws of TF1, if it makes the same.

  Args:
    function: the function; it creates no variables.
    arguments: what it will be called with.
    values: what TF1 drew, in program order.
    jit_compile: that of the `tf.function`.

  Returns:
    An `Injection`. Its function is only usable if TF2 draws numbers of the
    same kinds and shapes, outside of loops; those of one kind and shape are
    taken in order.
  """
  expected = [v for v in values if v.family != random_value.INTEGERS]
  waiting, found, inner = list(expected), [], []

  def replace(op_type, inputs, attrs, outputs, op_name=None, graph=None):
    del inputs, attrs, op_name
    family = random_value.family_of(op_type)
    # Integers are left alone: their range is no part of what is compared.
    if graph is None or not family or family == random_value.INTEGERS:
      return None
    shape = tuple(outputs[0].shape.as_list()) if outputs[0].shape.rank else ()
    draw = _Draw(
      (family, outputs[0].dtype.name, shape), source_lines.user_line(2)
    )
    if hasattr(getattr(graph, 'outer_graph', None), 'captures'):
      # One constant would stand for the draws of all turns of a loop.
      inner.append(draw)
      return None
    found.append(draw)
    same = next((v for v in waiting if v.key == draw.key), None)
    if same is None:
      return None
    waiting.remove(same)
    with graph.as_default():
      return [tf.constant(same.value)]

  traced = tf.function(function, autograph=False, jit_compile=jit_compile)
  try:
    with compat.op_callback(replace):
      concrete = traced.get_concrete_function(*arguments)
  except Exception as error:  # Whatever code that is not made for tracing does.
    lines = str(error).strip().splitlines()
    return Injection(
      None,
      problem=(
        'the TF2 side cannot be traced as a tf.function '
        f'({type(error).__name__}: {lines[0] if lines else ""})'
      ),
    )
  if inner:
    return Injection(
      None,
      problem='TF2 draws %s inside a loop, a branch or a nested tf.function'
      % inner[0],
    )
  if waiting or len(found) != len(expected):
    return Injection(None, problem=_difference(expected, found))
  return Injection(traced, concrete)


@dataclasses.dataclass(frozen=True)
class _Draw:
  """A draw of TF2.

  Attributes:
    key: as `random_values.RandomValue.key`.
    line: line of user code that makes it.
  """

  key: tuple[str, str, tuple[int, ...]]
  line: SourceLine

  def __str__(self) -> str:
    family, dtype, shape = self.key
    text = f'{family} {dtype}{list(shape)}'
    return f'{text} at {self.line}' if self.line.filename else text


def _difference(expected, found) -> str:
  """Names the first draws without counterpart; order does not matter."""
  mine, theirs = list(expected), list(found)
  for value in expected:
    same = next((draw for draw in theirs if draw.key == value.key), None)
    if same is not None:
      mine.remove(value)
      theirs.remove(same)
  return (
    f'TF1 draws {len(expected)} time(s) and TF2 {len(found)} time(s); without '
    f'counterpart is {mine[0] if mine else "nothing"} in TF1, '
    f'{theirs[0] if theirs else "nothing"} in TF2'
  )
