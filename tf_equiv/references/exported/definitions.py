"""How variables are initialized and read, as a `VariableDef` says it."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.references.exported import nodes as nodes_lib
from tf_equiv.references.exported.nodes import Nodes

ASSIGNING = ('Assign', 'AssignVariableOp')


def complete(
  nodes: Nodes, node: Any, known: Any = None, frozen: bool = False
) -> Any:
  """Returns the definition of a variable with all that it needs to have.

  Args:
    nodes: the nodes of the graph; what is lacking is added.
    node: that of the variable.
    known: the definition that the export has.
    frozen: whether the graph has no op that assigns the variable.
  """
  definition = compat.export_messages().VariableDef()
  if known is not None:
    definition.CopyFrom(known)
  is_resource = node.op == 'VarHandleOp'
  definition.variable_name = node.name + ':0'
  definition.is_resource = is_resource
  dtype = tf.as_dtype(node.attr['dtype'].type)
  if nodes_lib.node_of(definition.initializer_name) not in nodes:
    assign = None if frozen else _first_assign(nodes, node)
    if assign is None:
      assign = _add_initializer(nodes, node, dtype)
    definition.initializer_name = assign.name
    definition.initial_value_name = assign.input[1]
  if nodes_lib.node_of(definition.initial_value_name) not in nodes:
    definition.initial_value_name = nodes[
      nodes_lib.node_of(definition.initializer_name)
    ].input[1]
  if nodes_lib.node_of(definition.snapshot_name) not in nodes:
    read = node.name + '/tf_equiv_read'
    if is_resource:
      nodes.add('ReadVariableOp', read, node.name + ':0', dtype=dtype)
    else:
      nodes.add('Identity', read, node.name + ':0', T=dtype)
    definition.snapshot_name = read + ':0'
  return definition


def _first_assign(nodes, node):
  for each in nodes:
    if (
      each.op in ASSIGNING
      and each.input[0] == node.name + ':0'
      and each.name.startswith(node.name + '/')
    ):
      return each
  return None


def _add_initializer(nodes, node, dtype):
  """Adds an initializer; its value is always fed."""
  shape = tf.TensorShape(node.attr['shape'].shape)
  value = nodes.add(
    'Placeholder', node.name + '/tf_equiv_value', dtype=dtype, shape=shape
  )
  name = node.name + '/tf_equiv_assign'
  if node.op == 'VarHandleOp':
    nodes.add('AssignVariableOp', name, node.name + ':0', value, dtype=dtype)
  else:
    nodes.add('Assign', name, node.name + ':0', value, T=dtype)
  return nodes[name]


def with_fed_value(nodes: Nodes, definition: Any) -> Any:
  """Returns a definition whose initial value is always fed."""
  node = nodes[nodes_lib.node_of(definition.variable_name)]
  dtype = tf.as_dtype(node.attr['dtype'].type)
  assign = _add_initializer(nodes, node, dtype)
  changed = compat.export_messages().VariableDef()
  changed.CopyFrom(definition)
  changed.initializer_name = assign.name
  changed.initial_value_name = assign.input[1]
  return changed


def with_value(nodes: Nodes, definition: Any, value: np.ndarray) -> Any:
  """Returns a definition whose initial value is a constant."""
  name = nodes_lib.node_of(definition.variable_name)
  proto = tf.make_tensor_proto(value)
  dtype = tf.as_dtype(proto.dtype)
  initial = nodes.add(
    'Const', name + '/tf_equiv_export', dtype=dtype, value=proto
  )
  assign = name + '/tf_equiv_assign_export'
  if nodes[name].op == 'VarHandleOp':
    nodes.add('AssignVariableOp', assign, name + ':0', initial, dtype=dtype)
  else:
    nodes.add('Assign', assign, name + ':0', initial, T=dtype)
  changed = compat.export_messages().VariableDef()
  changed.CopyFrom(definition)
  changed.initializer_name = assign
  changed.initial_value_name = initial
  return changed
