"""Draws the initial weights of a stored graph once more."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.core import observation
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1

_ASSIGNMENTS = ('Assign', 'AssignVariableOp')


class CannotDrawError(Exception):
  """The graph does not say how its variables are initialized."""


def initial_weights(
  captured: capture.Capture,
  specs: Sequence[observation.VariableSpec],
) -> list[np.ndarray]:
  """Runs the initializers of a graph, whose ops keep their seeds.

  Args:
    captured: the graph.
    specs: the variables whose values are wanted.

  Returns:
    The values, in the order of `specs`.

  Raises:
    CannotDrawError: if a variable has no initializer in the graph.
  """
  graph = captured.graph
  initializers = {}
  for op in graph.get_operations():
    if op.type in _ASSIGNMENTS:
      # The first: later ones are updates.
      initializers.setdefault(op.inputs[0].op.name, op)
  missing = [spec.name for spec in specs if spec.name not in initializers]
  if missing:
    raise CannotDrawError(f'the graph does not initialize {missing[0]}')
  with graph.as_default():
    handles = [graph.get_operation_by_name(s.name).outputs[0] for s in specs]
    reads = [
      tf.raw_ops.ReadVariableOp(resource=handle, dtype=spec.dtype)
      if handle.dtype == tf.resource
      else handle
      for handle, spec in zip(handles, specs, strict=True)
    ]
    with v1.Session(graph=graph, config=runner.session_config()) as session:
      session.run([initializers[spec.name] for spec in specs])
      return session.run(reads)
