"""Runs a captured graph again, and returns whatever tensors are asked for."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.locate import float64
from tf_equiv.tf1 import capture as capture_lib
from tf_equiv.tf1 import runner

v1 = tf.compat.v1

_VARIABLES = ('VarHandleOp', 'VariableV2', 'Variable')
# Ops that fill lookup tables.
_TABLES = (
  'InitializeTable',
  'InitializeTableV2',
  'InitializeTableFromTextFile',
  'InitializeTableFromTextFileV2',
  'LookupTableImport',
  'LookupTableImportV2',
)


class Replay:
  """A captured graph in a session of its own; a context manager.

  Attributes:
    fixed: values that tensors have in all runs, by name.
    fallbacks: types of ops that compute in float32 although double precision
      was asked for.
  """

  def __init__(self, captured: capture_lib.Capture, double: bool):
    """Prepares the graph.

    Args:
      captured: what to run.
      double: whether it computes in float64.
    """
    graph_def = _with_variables(captured)
    self._tensors = {}
    self.fallbacks = set()
    if double:
      rewritten = float64.rewrite(graph_def)
      graph_def = rewritten.graph_def
      self._tensors, self.fallbacks = rewritten.tensors, rewritten.fallbacks
    self.fixed: dict[str, np.ndarray] = {}
    self._captured, self._double = captured, double
    self._graph = tf.Graph()
    with self._graph.as_default():
      tf.import_graph_def(graph_def, name='')
    self._names = {node.name for node in graph_def.node}
    self._set, self._values = self._setters()
    config = runner.session_config()
    self._session = v1.Session(graph=self._graph, config=config)
    self._session.run(
      [op for op in self._graph.get_operations() if op.type in _TABLES]
    )
    self._feed = {
      name: self._wide(value) for name, value in captured.feeds.items()
    }

  def __enter__(self) -> 'Replay':
    return self

  def __exit__(self, *exc_info) -> None:
    self._session.close()

  def _wide(self, value: np.ndarray) -> np.ndarray:
    if self._double and value.dtype == np.float32:
      return value.astype(np.float64)
    return value

  def _setters(self):
    operations, values = [], {}
    with self._graph.as_default():
      for name, (_, value) in self._captured.variables.items():
        op = self._graph.get_operation_by_name(name)
        fed = v1.placeholder(value.dtype, value.shape)
        # Cast inside, so that no wide copy of all variables is kept.
        given = fed
        if self._double and value.dtype == np.float32:
          given = tf.cast(fed, tf.float64)
        if op.type == 'VarHandleOp':
          operations.append(
            tf.raw_ops.AssignVariableOp(resource=op.outputs[0], value=given)
          )
        else:
          operations.append(v1.assign(op.outputs[0], given).op)
        values[fed] = value
    return operations, values

  def has(self, name: str) -> bool:
    """Tells whether there is an op that gives a tensor of this name."""
    return name.split(':')[0] in self._names

  def is_small(self, name: str, most: int) -> bool:
    """Tells whether a tensor has a known shape of few elements."""
    tensor = self._graph.get_tensor_by_name(name)
    if tensor.dtype in (tf.resource, tf.variant):
      return False
    count = tensor.shape.num_elements()
    return count is not None and count <= most

  def fix(self, values: dict[str, np.ndarray]) -> None:
    """Lets tensors have given values in all runs that follow.

    Args:
      values: by name of the tensor; random draws are in the dtype in which
        they are drawn.
    """
    self.fixed.update(values)
    self._feed.update(values)

  def fetch(self, names: Sequence[str], drawn: bool = False):
    """Runs the graph from its initial state.

    Args:
      names: names of tensors of the captured graph.
      drawn: whether random draws are fetched in the dtype in which they are
        drawn, and not as what they are cast to.

    Returns:
      Their values, in one run.
    """
    self._session.run(self._set, self._values)
    wanted = list(names)
    if not drawn:
      wanted = [self._tensors.get(name, name) for name in wanted]
    return self._session.run(wanted, self._feed)


def _with_variables(captured: capture_lib.Capture):
  """Returns the graph with a variable for each resource from outside."""
  graph_def = captured.graph.as_graph_def()
  for node in graph_def.node:
    if node.name not in captured.variables or node.op in _VARIABLES:
      continue
    value = captured.variables[node.name][1]
    handle = v1.NodeDef(name=node.name, op='VarHandleOp')
    handle.attr['dtype'].type = tf.as_dtype(value.dtype).as_datatype_enum
    handle.attr['shape'].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    handle.attr['shared_name'].s = node.name.encode()
    node.CopyFrom(handle)
  return graph_def
