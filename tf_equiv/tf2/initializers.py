"""What initializes the variables of the TF2 side."""

import contextlib
from typing import Any

import tensorflow as tf

from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1.capture import initializers
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib


def capture(
  program: program_lib.Program, plan: plan_lib.RunPlan
) -> tuple[dict[str, initializers.Initializer], observation.Observation]:
  """Describes the initializers of TF2.

  The model is built and called once. An initializer is a function, which is run
  again in a graph of its own; of a `tf.Variable` that gets a finished value
  only the line is known.

  Args:
    program: the user's TF2 code.
    plan: what to run.

  Returns:
    (initializers by name of the variable, observation with `variables` and
    `weights`).
  """
  observed = observation.Observation('TF2')
  built = forward_lib.create(program, plan)
  built.describe(observed)
  observed.weights = built.initial_values()
  records = {id(record.variable): record for record in built.created}
  found = {}
  backends = model_lib.backend_variables(built.variables)
  for spec, backend in zip(observed.variables, backends, strict=True):
    record = records.get(id(backend))
    if record is not None:
      found[spec.name] = _describe(spec.name, record)
  return found, observed


def _describe(name: str, record: Any) -> initializers.Initializer:
  line, described = record.line, None
  if callable(record.initializer):
    # It may need what only eager execution has.
    with contextlib.suppress(Exception), tf.Graph().as_default():
      described = initializers.of_tensor(
        tf.convert_to_tensor(record.initializer())
      )
  if described is None:
    return initializers.Initializer(name, line=line)
  return initializers.Initializer(name, described.kind, described.numbers, line)
