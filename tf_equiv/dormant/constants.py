"""What the constants of a graph are, as short digests."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import random_value
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import side, walks
from tf_equiv.tf1.capture import capture

# Constants of more elements are told apart by their names.
_MAX_SIZE = 1 << 14


def digest(*parts: Any) -> str:
  """Returns a short text that is another for other parts."""
  return hashlib.sha1(repr(parts).encode()).hexdigest()


def computed(each: side.Side) -> dict[str, str]:
  """Computes the constants that a graph reads.

  Args:
    each: a side; its graph can be run.

  Returns:
    Digests of their values by name of the tensor, where they are not large.
  """
  names = sorted(
    name
    for name in _read_by(each.graph)
    if each.run.has(name) and each.run.is_small(name, _MAX_SIZE)
  )
  values = each.run.fetch(names) if names else []
  return {n: _of_array(x) for n, x in zip(names, values, strict=True)}


def as_written(
  captured: capture.Capture,
  graph: graph_lib.Graph,
  variable_names: Mapping[str, str],
) -> dict[str, str]:
  """Reads how the constants of a graph are computed, without running it.

  Args:
    captured: the graph.
    graph: the same as nodes.
    variable_names: TF1 name of a variable by its name on this side.

  Returns:
    Digests by name of the tensor. Equal ones have equal values.
  """
  found: dict[str, str] = {}
  tensors = [captured.graph.get_tensor_by_name(n) for n in _read_by(graph)]
  known: dict[str, str] = {}
  for op in _in_order(t.op for t in tensors):
    known[op.name] = _of_op(op, captured, variable_names, known)
  for tensor in tensors:
    found[tensor.name] = f'{known[tensor.op.name]}:{tensor.value_index}'
  return found


def _read_by(graph: graph_lib.Graph) -> set[str]:
  """Returns the names of the constants that are read outside of loops."""
  return {
    operand.key
    for node in graph.nodes.values()
    if not node.nested and node.op_type not in ('Exit', 'Merge')
    for operand in node.operands
    if operand.kind == graph_lib.CONSTANT
  }


def _in_order(roots: Iterable[tf.Operation]) -> list[tf.Operation]:
  """Returns ops and all that they are computed from, that first."""
  found = walks.ancestors(
    roots, lambda op: [t.op for t in op.inputs], lambda op: op.name
  )
  return sorted(found, key=compat.op_position)


def _of_op(
  op: tf.Operation,
  captured: capture.Capture,
  variable_names: Mapping[str, str],
  known: Mapping[str, str],
) -> str:
  output = op.outputs[0].name if op.outputs else ''
  if op.name in captured.variables:
    name = captured.variables[op.name][0]
    return f'variable {variable_names.get(name, name)}'
  if output in captured.inputs:
    return f'input {captured.inputs[output]}'
  if output in captured.feeds:
    return _of_array(captured.feeds[output])
  if random_value.family_of(op.type) or not op.inputs and op.type != 'Const':
    return f'{captured.side} {op.name}'
  if op.type == 'Const':
    return _of_array(tf.make_ndarray(op.get_attr('value')))
  return digest(
    op.type,
    sorted(graph_lib.attributes_of(op.node_def).items()),
    [t.dtype.name for t in op.outputs],
    [f'{known.get(t.op.name, "later")}:{t.value_index}' for t in op.inputs],
  )


def _of_array(array: np.ndarray) -> str:
  return digest(array.shape, array.dtype.str, array.tobytes())
