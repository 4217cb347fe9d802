"""Which numbers an integer input may be, by the graph that reads it."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

# Ops that hand on the numbers that they get.
_PASSING = (
  'Cast',
  'ConcatV2',
  'ExpandDims',
  'Identity',
  'Pack',
  'PlaceholderWithDefault',
  'Reshape',
  'ReverseV2',
  'Squeeze',
  'StopGradient',
  'StridedSlice',
  'Slice',
  'Split',
  'Tile',
  'Transpose',
  'Unique',
  'Unpack',
)
_GATHERS = ('Gather', 'GatherV2', 'ResourceGather')
_SPARSE_LOSS = 'SparseSoftmaxCrossEntropyWithLogits'


def most_of(placeholder: Any) -> tuple[int, str] | None:
  """Returns the largest number that an input may be, and why.

  Args:
    placeholder: the input, an integer tensor of a graph.

  Returns:
    (the number, the op that says so), None if no op does.
  """
  found = [each for op, i in _readers(placeholder) for each in _limit(op, i)]
  return min(found) if found else None


def _readers(start: Any) -> Iterator[tuple[Any, int]]:
  """Yields (op, position of its input) of what reads the numbers."""
  pending, seen = [start], set()
  while pending:
    tensor = pending.pop()
    if tensor.name in seen:
      continue
    seen.add(tensor.name)
    for op in tensor.consumers():
      for i, read in enumerate(op.inputs):
        if read is tensor:
          yield op, i
      if op.type in _PASSING:
        pending.extend(op.outputs)


def _limit(op: Any, position: int) -> Iterator[tuple[int, str]]:
  if op.type in _GATHERS and position == 1:
    rows = _rows(op.inputs[0])
    if rows:
      yield rows - 1, f'the table of {op.inputs[0].op.name} has {rows} rows'
  elif op.type == 'OneHot' and position == 0:
    depth = tf.get_static_value(op.inputs[1])
    if depth is not None and int(depth) > 0:
      yield int(depth) - 1, f'{op.name} has the depth {int(depth)}'
  elif op.type == _SPARSE_LOSS and position == 1:
    classes = op.inputs[0].shape[-1] if op.inputs[0].shape.rank else None
    if classes:
      yield int(classes) - 1, f'{op.name} has {int(classes)} classes'


def _rows(table: Any) -> int | None:
  """Returns the number of rows of a table that is gathered from."""
  op = table.op
  while op.type in ('Identity', 'ReadVariableOp') and op.inputs:
    op = op.inputs[0].op
  if op.type in ('VarHandleOp', 'VariableV2', 'Variable'):
    sizes = [dim.size for dim in op.get_attr('shape').dim]
  else:
    sizes = table.shape.as_list() if table.shape.rank else []
  return int(sizes[0]) if sizes and sizes[0] and sizes[0] > 0 else None
