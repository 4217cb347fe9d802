"""Captures the TF2 side as a graph, by tracing it."""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import capture_errors, errors, nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import source_lines
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib

_log = logging.getLogger('tf_equiv')

# Values of variables by their name on the TF2 side.
Values = Mapping[str, np.ndarray]


def prepare(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  reference: observation.Observation,
) -> forward_lib.Forward:
  """Builds a model, and returns its forward pass, which can be looked into.

  Args:
    program: the user's TF2 code.
    plan: what to run.
    reference: the TF1 side, whose seeds are taken where the draws agree.

  Returns:
    The forward pass. Its observation describes the variables.
  """
  observed = observation.Observation('TF2')
  built = forward_lib.create(program, plan)
  forward = forward_lib.Forward(program, plan, observed, built)
  observed.draws = seeds_lib.with_forward_seeds_of(reference.draws, built.draws)
  return forward


def capture(
  forward: forward_lib.Forward, plan: plan_lib.RunPlan, values: Values
) -> capture_lib.Capture:
  """Traces a forward pass, with its losses and gradients.

  Args:
    forward: the forward pass.
    plan: what to run.
    values: values of the variables by name; others get their initial ones.

  Returns:
    The capture.

  Raises:
    CannotTraceError: if the code cannot be traced, or keeps state in something
      else than variables.
  """
  with running(forward, plan, values):
    observed = forward.observed
    graph, inputs, found = _traced(forward)
    named = named_variables(forward)
    names = {id(variable): name for name, variable in named}
    feeds, variables = taken(graph, [v for _, v in named], names)
    behind = forward.behind() if found['losses'] else []
  paths = dict(nest.flatten(inputs))
  feeds.update(
    (paths[path].name, value.numpy())
    for path, value in nest.flatten(forward.inputs)
  )
  captured = capture_lib.Capture(
    'TF2',
    graph,
    capture_lib.targets_of(
      found, observed.variables, [', '.join(names) for names in behind]
    ),
    feeds,
    {tensor.name: path for path, tensor in paths.items()},
    variables,
    forward.layer_lines,
  )
  if plan.updates:
    labels = {
      spec.name: (capture_lib.UPDATED, spec.name) for spec in observed.variables
    }
    capture_lib.add_assignments(captured, graph.get_operations(), labels)
  return captured


# How AutoGraph tells of an error in the code that it converted.
_IN_USER_CODE = re.compile(r'File "(.+)", line (\d+), in (\w+)')
_ERROR = re.compile(r'^\s*(\w+(?:Error|Exception): .*)$', re.MULTILINE)


def _reason(error: Exception) -> str:
  """Returns in a line what went wrong, and where in the user's code."""
  text = str(error)
  line = source_lines.user_line_of_traceback(error.__traceback__)
  places = _IN_USER_CODE.findall(text)
  places = [p for p in places if not source_lines.is_library_file(p[0])]
  if places and not line.filename:
    filename, number, function = places[-1]
    line = SourceLine(filename, int(number), function)
  found = _ERROR.findall(text)
  # Keras puts a line of its own first.
  lines = [x.strip() for x in text.splitlines() if x.strip()]
  lines = [x for x in lines if not x.startswith('Exception encountered')]
  first = lines[0] if lines else ''
  return '%s%s' % (
    found[-1] if found else f'{type(error).__name__}: {first}',
    f' at {line}' if line.filename else '',
  )


@contextlib.contextmanager
def running(
  forward: forward_lib.Forward, plan: plan_lib.RunPlan, values: Values
) -> Iterator[None]:
  """Context in which a forward pass runs; each call makes the same draws.

  Args:
    forward: the forward pass.
    plan: what to run.
    values: values of the variables by name; others get their initial ones.
  """
  observed = forward.observed
  with program_lib.environment(plan) as (seeds, _):
    # It does not refer to `forward`, which would outlive its use.
    forward.restart = lambda: seeds.repeat(observed.draws)
    forward.set([values.get(s.name) for s in observed.variables])
    yield


def named_variables(
  forward: forward_lib.Forward,
) -> list[tuple[str, tf.Variable]]:
  """Returns (name, variable) of all that the model may read or change."""
  backends = model_lib.backend_variables(forward.variables)
  names = {
    id(backend): spec.name
    for spec, backend in zip(forward.observed.variables, backends, strict=True)
  }
  return [
    (names.get(id(variable), variable.name.split(':')[0]), variable)
    for variable in forward.watched()
  ]


def _traced(forward: forward_lib.Forward) -> tuple[Any, Any, Any]:
  """Traces the forward pass.

  Converting Python control flow takes longer than all the rest, and most models
  have none that depends on tensors. Without the conversion that raises.
  """
  forward.autograph = False
  try:
    return compat.traced_graph(forward, forward.inputs)
  except Exception:
    _log.info('tracing again, with AutoGraph', exc_info=True)
  forward.autograph = True
  return traced(forward, forward.inputs)


def traced(function: Any, inputs: Any) -> tuple[Any, Any, Any]:
  """Traces a function of nests of tensors; see `compat.traced_graph`.

  Returns:
    (graph, nest of placeholders, what the function returned).

  Raises:
    CannotTraceError: if that is not possible.
  """
  try:
    return compat.traced_graph(function, inputs)
  except errors.EquivalenceError:
    raise
  except Exception as error:
    raise capture_errors.CannotTraceError(_reason(error)) from error


def taken(
  graph: Any, watched: Sequence[Any], names: Mapping[int, str]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, np.ndarray]]]:
  """Returns what a traced graph takes from outside.

  Args:
    graph: the graph.
    watched: the variables that it may read.
    names: what a variable is called, by its id; others go by their own name.

  Returns:
    (values of constants by name of the tensor, (name, value) of variables by
    name of the op that stands for them).

  Raises:
    CannotTraceError: if it takes something else.
  """
  by_handle = {id(v.handle): v for v in watched}
  feeds, variables = {}, {}
  for outside, inside in compat.captured_tensors(graph):
    if outside.dtype != tf.resource:
      if not hasattr(outside, 'numpy'):
        raise capture_errors.CannotTraceError(
          'it uses a tensor of another graph'
        )
      feeds[inside.name] = outside.numpy()
      continue
    variable = by_handle.get(id(outside))
    if variable is None:
      raise capture_errors.CannotTraceError(
        'it uses a resource that is no variable of the model (a table, an '
        'iterator, a generator)'
      )
    name = names.get(id(variable), variable.name.split(':')[0])
    # Without a copy: what assigns to the variable later makes one.
    variables[inside.op.name] = (name, np.asarray(variable.read_value()))
  return feeds, variables
