"""Which ops of a TF2 model assign its variables, and at which lines."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.tf1 import source_lines
from tf_equiv.tf1.capture import assignments
from tf_equiv.tf2 import capture
from tf_equiv.tf2 import model as model_lib


def find(
  function: Callable[[Any], Any], inputs: Any, variables: Mapping[str, Any]
) -> dict[str, str]:
  """Traces a call and finds the ops that assign variables.

  Args:
    function: calls the model; it creates no variables.
    inputs: nest of tensors for its argument.
    variables: the variables to look at, by name.

  Returns:
    'AssignAddVariableOp at <line>' by name of the variable; of several ops the
    last. Empty where the call cannot be traced.
  """

  def traceable(x):
    outputs = function(x)
    # Whatever the model returns, the graph is all that is wanted.
    return [leaf for leaf in tf.nest.flatten(outputs) if tf.is_tensor(leaf)]

  try:
    graph, _, _ = capture.traced(traceable, inputs)
  except Exception:  # The user's code may do anything; the message says less.
    return {}
  backends = model_lib.backend_variables(list(variables.values()))
  handles = {
    id(backend.handle): name
    for name, backend in zip(variables, backends, strict=True)
  }
  names = {
    inside.op.name: handles[id(outside)]
    for outside, inside in compat.captured_tensors(graph)
    if id(outside) in handles
  }
  found = {}
  for name, (op_name, op_type) in assignments.operations(
    graph.get_operations(), names
  ).items():
    op = graph.get_operation_by_name(op_name)
    line = source_lines.user_line_of_stack(op.traceback or ())
    found[name] = f'{op_type} at {line}' if line.filename else op_type
  return found
