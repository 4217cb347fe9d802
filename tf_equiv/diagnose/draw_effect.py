"""Whether random draws reach the results that differ."""

from collections.abc import Sequence

import numpy as np

from tf_equiv.core import random_value
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides
from tf_equiv.tf1.capture import capture

Labels = Sequence[capture.Label]


def reaches(sides: Sides, labels: Labels) -> bool:
  """Returns whether some results would be others with other random numbers.

  A dropout that keeps all reads random numbers, and so does a policy that
  explores with a probability of zero; neither makes a result another one.

  Args:
    sides: both sides; their draws are fixed.
    labels: the results.
  """
  return any(_reaches(side, labels) for side in sides)


def _reaches(side: Side, labels: Labels) -> bool:
  if _draws_inside(side.graph):
    return True  # In each turn of a loop, so that they cannot be exchanged.
  others = {
    name: _other(np.asarray(side.run.fixed[name]))
    for name in side.graph.draws
    if name in side.run.fixed
  }
  if not others:
    return False
  names = [side.captured.targets[label].name for label in labels]
  before = side.run.fetch(names)
  after = side.run.fetch(names, constants=others)
  return any(
    not np.array_equal(a, b, equal_nan=a.dtype.kind in 'fc')
    for a, b in zip(before, after, strict=True)
  )


def _draws_inside(graph: graph_lib.Graph) -> bool:
  return graph.draws_in_loops or any(
    random_value.family_of(op_type)
    for node in graph.nodes.values()
    if node.body is not None
    for op_type in node.body.types
  )


def _other(drawn: np.ndarray) -> np.ndarray:
  """Returns other numbers that might have been drawn as well."""
  flat = drawn.reshape(-1)[::-1].reshape(drawn.shape)
  if drawn.dtype.kind in 'iub' or not np.array_equal(flat, drawn):
    return flat
  inside = np.all((drawn >= 0) & (drawn < 1))
  return np.asarray(1 - drawn if inside else -drawn, drawn.dtype)
