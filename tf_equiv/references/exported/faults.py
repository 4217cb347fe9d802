"""Explains what goes wrong with an exported graph that is damaged.

No user code runs while an export is read, so that every error there is about
the export.
"""

import contextlib

import tensorflow as tf

from tf_equiv.core import errors
from tf_equiv.references.exported import nodes as nodes_lib

# Of all constants, which may say that they are larger than the file.
_MAX_BYTES = 4 << 30
_MAX_QUOTED = 300
_PREAMBLE = ('Graph execution error', 'Detected at node', 'Node: ')
# What TensorFlow raises about a graph, besides its own errors.
_OF_A_GRAPH = (
  ArithmeticError,
  AttributeError,
  LookupError,
  MemoryError,
  NotImplementedError,
  RecursionError,
  TypeError,
  ValueError,
)


@contextlib.contextmanager
def reading(title: str):
  """Context in which an export is read or imported, and no user code runs.

  Args:
    title: what the export is.

  Raises:
    UsageError: in place of any other error.
  """
  try:
    yield
  except errors.EquivalenceError:
    raise
  except Exception as error:  # The file may hold anything.
    raise errors.UsageError(
      f'{title} is damaged, or holds what this version of tf_equiv does not '
      f'know ({_in_short(error)}). Copy it again from its source, or export it '
      'again.'
    ) from error


@contextlib.contextmanager
def running(title: str, timeout: float):
  """Context in which an exported graph runs.

  Args:
    title: what the export is.
    timeout: after how many seconds a run is ended.

  Raises:
    ModelCodeError: in place of errors of TensorFlow.
    UsageError: if a run does not end.
  """
  try:
    yield
  except errors.EquivalenceError:
    raise
  except tf.errors.DeadlineExceededError as error:
    raise errors.UsageError(
      f'{title} did not end within {timeout:g} s: it was ended, and nothing '
      'was compared. If it needs longer, give timeout=; a graph that waits for '
      'its input pipeline never ends, so name inputs after it.'
    ) from error
  except tf.errors.OpError as error:
    op = error.op
    where = f' in its op {op.name!r} ({op.type})' if op is not None else ''
    raise errors.ModelCodeError(
      f'{title} fails{where} when it is run: {_in_short(error)}. Give it '
      'inputs and feeds of the values that it expects; if it never runs, copy '
      'it again from its source.'
    ) from error
  except _OF_A_GRAPH as error:
    raise errors.ModelCodeError(
      f'{title} cannot be run ({_in_short(error)}).'
    ) from error


def check_constants(title: str, nodes: nodes_lib.Nodes, needed) -> None:
  """Checks that constants are no larger than what memory may be given to.

  A constant of one value may claim any shape.

  Args:
    title: what the export is.
    nodes: its nodes.
    needed: names of those that would run.

  Raises:
    UsageError: if one is damaged, or too large.
  """
  total = 0
  for name in needed:
    node = nodes[name]
    for each in (node, *nodes.called(node)):
      if each.op == 'Const':
        total += _size_of(title, each)
        if total > _MAX_BYTES:
          raise errors.UsageError(
            f'{title} is damaged, or too large: its constants take more than '
            f'{_MAX_BYTES} bytes, the last of which is {each.name!r}.'
          )


def _size_of(title, node) -> int:
  tensor = node.attr['value'].tensor
  try:
    dtype = tf.as_dtype(tensor.dtype)
    size = max(dtype.size or 1, 1)
  except TypeError:
    size = 0
  sizes = [dim.size for dim in tensor.tensor_shape.dim]
  unknown = tensor.tensor_shape.unknown_rank or any(each < 0 for each in sizes)
  if not size or unknown or tensor.dtype != node.attr['dtype'].type:
    raise errors.UsageError(
      f'{title} is damaged: its constant {node.name!r} has no dtype or no '
      'shape of a tensor. Copy it again from its source, or export it again.'
    )
  for each in sizes:
    size *= each
  return size


def _in_short(error: BaseException) -> str:
  lines = [line for line in str(error).splitlines() if line.strip()]
  # Of an error in a graph, the first lines only say that it is one.
  telling = [line for line in lines if not line.startswith(_PREAMBLE)] or lines
  text = ascii(telling[0].strip())[1:-1] if telling else ''
  return f'{type(error).__name__}: {errors.cut(text, _MAX_QUOTED)}'
