"""Variables in the place of resources that a graph gets from outside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

VARIABLES = ('VarHandleOp', 'VariableV2', 'Variable')


def add(
  graph_def: v1.GraphDef, variables: Mapping[str, tuple[Any, np.ndarray]]
) -> v1.GraphDef:
  """Makes a variable of each resource that a graph gets from outside.

  A placeholder for a resource says nothing of the shape of the variable, which
  ops that read a part of it (`tf.gather_nd`) must know when they are imported.

  Args:
    graph_def: the graph; it is changed.
    variables: name and value of the variable by the name of the op.

  Returns:
    The graph.
  """
  for node in graph_def.node:
    if node.name not in variables or node.op in VARIABLES:
      continue
    value = variables[node.name][1]
    handle = v1.NodeDef(name=node.name, op='VarHandleOp')
    handle.attr['dtype'].type = tf.as_dtype(value.dtype).as_datatype_enum
    handle.attr['shape'].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    handle.attr['shared_name'].s = node.name.encode()
    node.CopyFrom(handle)
  return graph_def
