"""Where shapes first differ on the way to a variable of another shape.

A layer takes the shape of its kernel from its input, so that the fault is often
an op before it. No number is needed to find it: the two graphs are walked back
side by side, from the ops that read the variable.
"""

import numpy as np
import tensorflow as tf

from tf_equiv.compare import divergence
from tf_equiv.diagnose import places
from tf_equiv.tf1.capture import capture

_HANDING_ON = ('Identity', 'ReadVariableOp', 'Cast', 'EnsureShape')
_NO_READERS = (*_HANDING_ON, 'VarIsInitializedOp', 'Assign', 'VariableShape')
_MAX_OPS = 10000


def locate(
  captures: tuple[capture.Capture, capture.Capture],
  names: tuple[str, str],
) -> divergence.Divergence | None:
  """Finds the first op whose shape differs although those of its inputs agree.

  Args:
    captures: both sides.
    names: what the variable is called on either side.

  Returns:
    The place; None if the op that reads the variable is the first.
  """
  readers = [_reader(c, name) for c, name in zip(captures, names, strict=True)]
  if None in readers or readers[0].type != readers[1].type:
    return None
  a, b = _walk(*readers)
  if a is readers[0]:
    return None
  lines = [f'shape: TF1 {_shape(a)}, TF2 {_shape(b)}']
  lines += _constants(a, b)
  return divergence.Divergence(
    *(
      places.place_of(captured, op.name, op.type)
      for captured, op in zip(captures, (a, b), strict=True)
    ),
    None,
    lines,
  )


def _reader(captured, name):
  handles = {h for h, (n, _) in captured.variables.items() if n == name}
  for op in captured.graph.get_operations():
    if op.type in _NO_READERS or not op.outputs:
      continue
    if any(_source(x).name in handles for x in op.inputs):
      return op
  return None


def _source(tensor):
  op = tensor.op
  while op.type in _HANDING_ON and op.inputs:
    op = op.inputs[0].op
  return op


def _walk(a, b):
  for _ in range(_MAX_OPS):
    if a.type != b.type or len(a.inputs) != len(b.inputs):
      return a, b
    before = next(
      (
        (_source(x), _source(y))
        for x, y in zip(a.inputs, b.inputs, strict=True)
        if x.dtype not in (tf.resource, tf.variant)
        and _source(x).inputs
        and _source(y).inputs
        and not _is_same(x.shape, y.shape)
      ),
      None,
    )
    if before is None:
      return a, b
    a, b = before
  return a, b


def _is_same(first, second) -> bool:
  return first.rank == second.rank and (
    first.rank is None or first.as_list() == second.as_list()
  )


def _shape(op) -> str:
  shape = op.outputs[0].shape
  return str(shape.as_list()) if shape.rank is not None else 'unknown'


def _constants(a, b) -> list[str]:
  lines = []
  if a.type != b.type or len(a.inputs) != len(b.inputs):
    return lines
  for i, pair in enumerate(zip(a.inputs, b.inputs, strict=True)):
    values = [tf.get_static_value(x) for x in pair]
    if None in [x if x is None else 0 for x in values]:
      continue
    if not np.array_equal(*values):
      lines.append(
        'constant (operand %d): TF1 %s, TF2 %s'
        % (i, *(np.asarray(x).tolist() for x in values))
      )
  return lines
