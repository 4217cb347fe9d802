"""Draws the initial weights of a stored graph once more."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.core import capture_errors, observation
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import stored_capture

v1 = tf.compat.v1

_ASSIGNMENTS = ('Assign', 'AssignVariableOp')


class CannotDrawError(capture_errors.CannotCaptureError):
  """The graph does not say how its variables are initialized."""


def initial_weights(
  stored: stored_capture.StoredCapture,
  specs: Sequence[observation.VariableSpec],
  trust_ops: Sequence[str] = (),
  timeout: float = 600.0,
) -> list[np.ndarray]:
  """Runs the initializers of a graph, whose ops keep their seeds.

  Args:
    stored: the graph.
    specs: the variables whose values are wanted.
    trust_ops: types of ops that may run, see `allowed_ops`.
    timeout: for how many seconds they may run.

  Returns:
    The values, in the order of `specs`.

  Raises:
    CannotDrawError: if a variable has no initializer in the graph.
    UsageError: if an initializer depends on an op that must not run.
    EnvironmentSetupError: if this TensorFlow cannot import the graph.
  """
  first: dict[str, str] = {}
  for node in stored_capture.graph_of(stored).node:
    if node.op in _ASSIGNMENTS and node.input:
      # The first: later ones are updates.
      first.setdefault(node.input[0].partition(':')[0], node.name)
  missing = [spec.name for spec in specs if spec.name not in first]
  if missing:
    raise CannotDrawError(f'the graph does not initialize {missing[0]}')
  names = [first[spec.name] for spec in specs]
  # Nothing else of it is needed, and what it depends on need not be allowed.
  bare = dataclasses.replace(stored, feeds={}, variables={}, targets={})
  graph = stored_capture.load(
    bare, trust_ops=trust_ops, origin='the graph', needed=names, timeout=timeout
  ).graph
  try:
    return _run(graph, names, specs)
  # KeyError and ValueError of a damaged graph, or what its ops raise.
  except Exception as error:
    line = (str(error).strip().splitlines() or [''])[0]
    raise CannotDrawError(
      f'its initializers cannot be run ({type(error).__name__}: {line})'
    ) from error


def _run(graph, names, specs):
  with graph.as_default():
    handles = [graph.get_operation_by_name(s.name).outputs[0] for s in specs]
    reads = [
      tf.raw_ops.ReadVariableOp(resource=handle, dtype=spec.dtype)
      if handle.dtype == tf.resource
      else handle
      for handle, spec in zip(handles, specs, strict=True)
    ]
    with v1.Session(
      graph=graph, config=runner.session_config(graph)
    ) as session:
      session.run([graph.get_operation_by_name(name) for name in names])
      return session.run(reads)
