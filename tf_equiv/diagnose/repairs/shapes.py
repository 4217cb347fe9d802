"""Gradients behind a place whose values have another shape than before.

Gradients of a graph with known shapes hold these as constants: the shape that
a gradient is brought back to, zeros in it, or of how many elements a mean is
taken. Once a place of TF2 has values of TF1 in another shape, these are those
of the fault, and so are the attributes of the gradients of the op at fault.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.diagnose.repairs import causes
from tf_equiv.diagnose.side import Side, Sides

v1 = tf.compat.v1

# Inputs that are the shape of a tensor, or as many numbers.
_SHAPES = {
  ('Reshape', 1),
  ('Tile', 1),
  ('BroadcastTo', 1),
  ('Fill', 0),
  ('FloorDiv', 0),
  ('FloorDiv', 1),
  ('Maximum', 0),
  ('BroadcastGradientArgs', 0),
  ('BroadcastGradientArgs', 1),
  ('StridedSliceGrad', 0),
  ('Slice', 2),
  ('ConcatOffset', 1),
  ('ConcatOffset', 2),
  ('Conv2DBackpropInput', 0),
  ('Conv3DBackpropInputV2', 0),
  ('DepthwiseConv2dNativeBackpropInput', 0),
  ('AvgPoolGrad', 0),
  ('AvgPool3DGrad', 0),
}
_COUNTS = ('RealDiv', 1)
# Attributes that an op shares with its gradients, and that change shapes.
_ATTRIBUTES = ('strides', 'padding', 'explicit_paddings', 'dilations', 'ksize')

Shape = tuple[int, ...]
Changes = set[tuple[Shape, Shape]]


def constants(side: Side) -> dict[str, np.ndarray]:
  """Returns the values that constants of gradients have with other shapes.

  Args:
    side: a side, some of whose tensors were given values of other shapes.

  Returns:
    The new values by name of the tensor.
  """
  changes, counts = _by_scope(side)
  if not changes:
    return {}
  found: dict[str, np.ndarray] = {}
  for op in side.captured.graph.get_operations():
    if not causes.is_gradient(op.name):
      continue
    for i, tensor in enumerate(op.inputs):
      if tensor.op.type != 'Const' or not causes.is_gradient(tensor.op.name):
        continue
      value = tf.get_static_value(tensor)
      scopes = _scopes(causes.without_tape(tensor.op.name))
      by_shape = next((changes[s] for s in scopes if s in changes), set())
      by_count = next((counts[s] for s in scopes if s in counts), {})
      new = None
      if (op.type, i) in _SHAPES and value.ndim == 1:
        new = _changed(value, by_shape)
      elif (op.type, i) == _COUNTS and value.ndim == 0:
        new = by_count.get(int(value))
      elif value.size and np.all(value == value.flat[0]):  # E.g. zeros.
        shape = _changed(value.shape, by_shape)
        new = None if shape is None else np.full(shape, value.flat[0])
      if new is not None:
        found[tensor.name] = np.asarray(new, value.dtype)
  return found


def attributes(
  sides: Sides, places: Iterable[tuple[str, str]]
) -> dict[str, dict[str, v1.AttrValue]]:
  """Returns the attributes that gradients of TF2 have as their op is in TF1.

  Args:
    sides: both sides.
    places: names of an op of TF1 and of its counterpart in TF2.

  Returns:
    Attributes by name, by the name of the op of the gradient.
  """
  graphs = [side.captured.graph for side in sides]
  mine: dict[str, dict[str, v1.AttrValue]] = {}
  for names in places:
    first, second = (
      graph.get_operation_by_name(name)
      for graph, name in zip(graphs, names, strict=True)
    )
    if first.type == second.type:
      found = first.node_def.attr
      mine[second.name] = {k: found[k] for k in _ATTRIBUTES if k in found}
  others = {}
  for op in graphs[1].get_operations():
    if mine and causes.is_gradient(op.name):
      new = mine.get(sides[1].captured.forward_op(op.name), {})
      others[op.name] = {k: v for k, v in new.items() if k in op.node_def.attr}
  return {name: new for name, new in others.items() if new}


def _by_scope(
  side: Side,
) -> tuple[dict[str, Changes], dict[str, dict[int, int]]]:
  """Returns what changed in the scopes of the ops before the gradients.

  Args:
    side: the side.

  Returns:
    (pairs of an old and a new shape, the new number of elements that a mean is
    taken of by the old one), both by scope.
  """
  changes: dict[str, Changes] = {}
  counts: dict[str, dict[int, int]] = {}
  by_node: dict[str, tuple[Shape, Shape]] = {}
  for name, node in side.graph.nodes.items():
    shapes = _shapes(side, name)
    if shapes is None or causes.is_gradient(name):
      continue
    by_node[name] = shapes
    scope = causes.scope_of(name)
    read = [by_node[each] for each in node.parents if each in by_node]
    for pair in [shapes, *read]:
      if pair[0] != pair[1]:
        changes.setdefault(scope, set()).add(pair)
    if node.op_type == 'Mean' and read:
      old, new = (
        math.prod(read[0][i]) // max(math.prod(shapes[i]), 1) for i in (0, 1)
      )
      if old != new:
        counts.setdefault(scope, {})[old] = new
  return changes, counts


def _shapes(side: Side, name: str) -> tuple[Shape, Shape] | None:
  """Returns the shape that a node had, and the one that it has."""
  node, sketches = side.graph.nodes[name], side.sketches.get(name)
  if not node.outputs or not sketches or sketches[0] is None:
    return None
  static = side.captured.graph.get_tensor_by_name(node.outputs[0]).shape
  new = sketches[0].shape
  if not static.is_fully_defined() or len(static) != len(new):
    return None
  return tuple(static.as_list()), new


def _scopes(name: str) -> list[str]:
  """Returns the scopes around an op, the innermost first."""
  scopes = []
  while name:
    name = causes.scope_of(name)
    scopes.append(name)
  return scopes


def _changed(value: Sequence[int], changes: Changes) -> list[int] | None:
  """Returns a shape with the sizes that changed, None if it stays."""
  sizes: dict[tuple[int, int], set[int]] = {}
  for old, new in changes:
    if len(old) == len(value):
      for axis, (before, after) in enumerate(zip(old, new, strict=True)):
        sizes.setdefault((axis, before), set()).add(after)
  found = []
  for axis, size in enumerate(map(int, value)):
    known = sizes.get((axis, size), {size})
    if len(known) != 1:
      return None  # It is not known which of them it is.
    found += known
  return None if found == list(map(int, value)) else found


def changed(
  graph_def: v1.GraphDef,
  constants_of: Mapping[str, np.ndarray],
  attributes_of: Mapping[str, Mapping[str, v1.AttrValue]],
) -> v1.GraphDef:
  """Returns a graph with other constants and attributes.

  Args:
    graph_def: the graph.
    constants_of: values of constants by name of the tensor.
    attributes_of: see `attributes`.
  """
  copied = v1.GraphDef()
  copied.CopyFrom(graph_def)
  for node in copied.node:
    value = constants_of.get(node.name + ':0')
    if value is not None and node.op == 'Const':
      node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
    for key, attribute in attributes_of.get(node.name, {}).items():
      node.attr[key].CopyFrom(attribute)
  return copied
