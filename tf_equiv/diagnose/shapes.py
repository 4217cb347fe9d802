"""Where shapes first differ on the way to a variable of another shape.

A layer takes the shape of its kernel from its input, so that the fault is often
an op before it. No number is needed to find it: the two graphs are walked back
side by side, from the ops that read the variable.
"""

import numpy as np
import tensorflow as tf

from tf_equiv.compare import difference, divergence
from tf_equiv.diagnose import description
from tf_equiv.tf1.capture import capture

_PASS_THROUGH = ('Identity', 'ReadVariableOp', 'Cast', 'EnsureShape')
_NO_READERS = (*_PASS_THROUGH, 'VarIsInitializedOp', 'Assign', 'VariableShape')
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
    The divergence; None if the op that reads the variable is the first.
  """
  readers = [_reader(c, name) for c, name in zip(captures, names, strict=True)]
  if None in readers or readers[0].type != readers[1].type:
    return None
  a, b = _walk(*readers)
  if a is readers[0]:
    return None
  differences = [
    difference.Difference(difference.Kind.SHAPE, '', _shape(a), _shape(b)),
    *_constants(a, b),
  ]
  return divergence.Divergence(  # type: ignore[call-arg]
    *(
      description.place_of(captured, op.name, op.type)
      for captured, op in zip(captures, (a, b), strict=True)
    ),
    None,
    differences,
  )


def _reader(captured: capture.Capture, name: str) -> tf.Operation | None:
  """Returns the first op that reads a variable."""
  handles = {h for h, (n, _) in captured.variables.items() if n == name}
  for op in captured.graph.get_operations():
    if op.type in _NO_READERS or not op.outputs:
      continue
    if any(_source(x).name in handles for x in op.inputs):
      return op
  return None


def _source(tensor: tf.Tensor) -> tf.Operation:
  op = tensor.op
  while op.type in _PASS_THROUGH and op.inputs:
    op = op.inputs[0].op
  return op


def _walk(
  a: tf.Operation, b: tf.Operation
) -> tuple[tf.Operation, tf.Operation]:
  """Goes back from two ops as long as the shapes before them differ."""
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


def _is_same(first: tf.TensorShape, second: tf.TensorShape) -> bool:
  return first.rank == second.rank and (
    first.rank is None or first.as_list() == second.as_list()
  )


def _shape(op: tf.Operation) -> tuple | None:
  shape = op.outputs[0].shape
  return None if shape.rank is None else tuple(shape.as_list())


def _constants(a: tf.Operation, b: tf.Operation) -> list[difference.Difference]:
  found = []
  if a.type != b.type or len(a.inputs) != len(b.inputs):
    return found
  for i, pair in enumerate(zip(a.inputs, b.inputs, strict=True)):
    values = [tf.get_static_value(x) for x in pair]
    if None in [x if x is None else 0 for x in values]:
      continue
    if not np.array_equal(*values):
      first, second = map(difference.plain, values)
      found.append(
        difference.Difference(
          difference.Kind.CONSTANT, '', first, second, operand=i
        )
      )
  return found
