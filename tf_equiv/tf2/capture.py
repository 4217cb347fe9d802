"""Captures the TF2 side as a graph, by tracing it."""

import re
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.tf1 import capture as capture_lib
from tf_equiv.tf1 import errors, nest, source
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import runner


class CannotTraceError(Exception):
  """The TF2 side cannot be captured; the message says why."""


def capture(
  program: Any,
  plan: plan_lib.RunPlan,
  weights_for: Any,
  reference: observation_lib.Observation,
  used: Any = None,
) -> capture_lib.Capture:
  """Traces the forward pass of the TF2 side, with its losses and gradients.

  Args:
    program: the user's TF2 code.
    plan: what to run.
    weights_for: gives the values of the variables.
    reference: the TF1 side, whose seeds are taken where the draws agree.
    used: the forward pass of this plan, if there is one already.

  Returns:
    The capture.

  Raises:
    CannotTraceError: if the code cannot be traced, or keeps state in something
      else than variables.
  """
  with runner.environment(plan) as (seeds, created):
    forward, draws = prepared(
      program, plan, weights_for, reference, used, seeds, created
    )
    observed = forward.observed
    forward.restart = lambda: seeds.repeat(draws)
    try:
      graph, inputs, found = compat.traced_graph(forward, forward.inputs)
    except errors.EquivalenceError:
      raise
    except Exception as error:
      raise CannotTraceError(_reason(error)) from error
    feeds, variables = _captured(graph, forward)
    behind = []
    if found['losses']:
      behind = model_lib.variables_behind_losses(
        forward.model, forward.variables
      )
  paths = dict(nest.flatten(inputs))
  feeds.update(
    (paths[path].name, value.numpy())
    for path, value in nest.flatten(forward.inputs)
  )
  return capture_lib.Capture(
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


# How AutoGraph tells of an error in the code that it converted.
_IN_USER_CODE = re.compile(r'File "(.+)", line (\d+), in (\w+)')
_ERROR = re.compile(r'^\s*(\w+(?:Error|Exception): .*)$', re.MULTILINE)


def _reason(error: Exception) -> str:
  """Says in a line what went wrong, and where in the user's code."""
  text = str(error)
  line = source.user_line_of_traceback(error.__traceback__)
  places = _IN_USER_CODE.findall(text)
  places = [p for p in places if not source.is_library_file(p[0])]
  if places and not line.filename:
    filename, number, function = places[-1]
    line = source.SourceLine(filename, int(number), function)
  found = _ERROR.findall(text)
  # Keras puts a line of its own first.
  lines = [x.strip() for x in text.splitlines() if x.strip()]
  lines = [x for x in lines if not x.startswith('Exception encountered')]
  first = lines[0] if lines else ''
  return '%s%s' % (
    found[-1] if found else '%s: %s' % (type(error).__name__, first),
    ' at %s' % line if line.filename else '',
  )


def prepared(program, plan, weights_for, reference, used, seeds, created):
  """Returns a forward pass whose variables are set, and the draws it makes.

  Args:
    program: the user's TF2 code.
    plan: what to run.
    weights_for: gives the values of the variables.
    reference: the TF1 side, whose seeds are taken where the draws agree.
    used: the forward pass of this plan, if there is one already.
    seeds: that of `runner.environment`.
    created: that of `runner.environment`.
  """
  if used is not None:
    used.set(weights_for(used.observed))
    return used, used.observed.draws
  observed = observation_lib.Observation('TF2')
  forward = runner._Forward(program, plan, observed, created)
  forward.prepare(weights_for)
  return forward, seeds.replay(reference.draws)


def named_variables(forward) -> list[tuple[str, tf.Variable]]:
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


def _captured(graph, forward):
  """Returns what the graph takes from outside: constants and variables."""
  by_handle = {id(v.handle): (name, v) for name, v in named_variables(forward)}
  feeds, variables = {}, {}
  for outside, inside in compat.captured_tensors(graph):
    if outside.dtype != tf.resource:
      if not hasattr(outside, 'numpy'):
        raise CannotTraceError('it uses a tensor of another graph')
      feeds[inside.name] = outside.numpy()
      continue
    if id(outside) not in by_handle:
      raise CannotTraceError(
        'it uses a resource that is no variable of the model (a table, an '
        'iterator, a generator)'
      )
    name, variable = by_handle[id(outside)]
    variables[inside.op.name] = (name, variable.numpy())
  return feeds, variables
