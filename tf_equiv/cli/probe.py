"""Builds both sides of a draft once, to see what they take and return."""

import dataclasses
import linecache
import os
import sys
import types
from typing import Any

import tensorflow as tf

from tf_equiv import testcase
from tf_equiv.cli import outputs as outputs_lib
from tf_equiv.cli import ranges
from tf_equiv.cli.draft import Draft
from tf_equiv.cli.specs import Input
from tf_equiv.core import nest
from tf_equiv.references import model_fn
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import placeholders, walks
from tf_equiv.tf2 import candidate
from tf_equiv.tf2 import program as tf2_program


@dataclasses.dataclass(frozen=True)
class Side:
  """What a side is like.

  Attributes:
    outputs: its outputs.
    variables: descriptions of its variables.
    limits: (largest number, why) of its integer inputs, by path.
    own: its own placeholders that the outputs depend on, by path of output.
    model: the TF2 model.
  """

  outputs: outputs_lib.Outputs
  variables: list[Any]
  limits: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)
  own: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
  model: Any = None


def test_class(draft: Draft, path: str) -> type[testcase.MigrationTestCase]:
  """Returns the test class of a draft.

  Args:
    draft: the draft.
    path: where the test is, or would be.
  """
  source = draft.source(os.path.dirname(path))
  name = os.path.splitext(os.path.basename(path))[0]
  module = types.ModuleType(name)
  module.__file__ = path
  # Messages show its lines.
  linecache.cache[path] = (len(source), None, source.splitlines(True), path)
  before = list(sys.path)
  try:
    exec(compile(source, path, 'exec'), vars(module))
  finally:
    sys.path[:] = before
  found = vars(module)[draft.name]
  found.__module__ = name
  return found


def tf1(case: testcase.MigrationTestCase) -> Side:
  """Builds the TF1 side."""
  methods = case._session.methods
  program, plan = methods.tf1_program(), methods.make_plan()
  reference = case.tf1_reference
  if isinstance(reference, model_fn.ModelFnReference):
    program = dataclasses.replace(program, build=reference.build_tf1)
  elif 'build_tf1' not in program.defined:
    observed = case._session.submit(plan).result()
    return Side(outputs_lib.describe(observed.outputs), observed.variables)
  built = graph_lib.build(program, plan)
  outputs = built.fetches['outputs']
  fed = {tensor.name for _, tensor in nest.flatten(built.inputs)}
  limits = {
    path: found
    for path, tensor in nest.flatten(built.inputs)
    if tensor.dtype.is_integer
    for found in [ranges.most_of(tensor)]
    if found is not None
  }
  return Side(
    outputs_lib.describe(outputs.items()),
    built.specs,
    limits,
    {path: _placeholders(tensor, fed) for path, tensor in outputs.items()},
  )


def _placeholders(tensor: Any, fed: set[str]) -> list[Any]:
  """Returns the placeholders of the user's own before a tensor, by name."""
  found = [
    op.outputs[0]
    for op in walks.ancestors([tensor.op], control=True)
    if op.type in placeholders.PLACEHOLDERS and op.outputs[0].name not in fed
  ]
  order = {op.name: i for i, op in enumerate(tensor.graph.get_operations())}
  return sorted(found, key=lambda each: order[each.op.name])


def tf2(case: testcase.MigrationTestCase) -> Side:
  """Builds the TF2 side, and calls it."""
  methods, models = case._session.methods, case._session.models
  program, plan = methods.tf2_program(), methods.make_plan()
  with candidate.used(program, plan, models) as (built, _):
    inputs = tf2_program.input_tensors(plan.inputs)
    outputs = tf2_program.call_model(program, built.model, inputs, False)
    leaves = [
      (path, leaf) for path, leaf in nest.flatten(outputs) if tf.is_tensor(leaf)
    ]
    observed = candidate.observe_variables(built, plan)
  return Side(
    outputs_lib.describe(leaves), observed.variables, model=built.model
  )


def limit_of(tensor: Any) -> tuple[int, str] | None:
  """Returns (largest number, why) of an integer placeholder, if known."""
  return ranges.most_of(tensor) if tensor.dtype.is_integer else None


def input_of(placeholder: Any, limit: tuple[int, str] | None) -> Input:
  """Returns the input that a placeholder stands for.

  Args:
    placeholder: the placeholder.
    limit: (largest number, why) of an integer.
  """
  shape = placeholder.shape
  sizes = shape.as_list() if shape.rank is not None else [None]
  rank = len(sizes)
  filled = tuple(
    size if size is not None else 4 if i == 0 else 32 if rank == 4 else 7
    for i, size in enumerate(sizes)
  )
  low, high, why = None, None, ''
  if placeholder.dtype.is_integer and limit is not None:
    low, high, why = 0, limit[0], limit[1]
  return Input(
    placeholder.op.name,
    placeholder.dtype.base_dtype.name,
    filled,
    low,
    high,
    'its placeholder',
    why,
  )
