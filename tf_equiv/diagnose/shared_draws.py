"""Which random draws of the two sides correspond, and what both draw then."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.core import random_value
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Sides
from tf_equiv.tf1.capture import capture


def share(
  sides: Sides, labels: Sequence[capture.Label], tf1_name_of: Mapping[str, str]
) -> dict[str, str]:
  """Pairs the draws, and makes them repeatable and equal.

  Args:
    sides: both sides.
    labels: all results that are looked at.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
  """
  graphs = [
    side.graph
    if set(labels) <= set(side.graph.results)
    else graph_lib.read(side.captured, labels, names)
    for side, names in zip(sides, ({}, tf1_name_of), strict=True)
  ]
  drawn = [
    dict(zip(graph.draws, side.run.fetch(graph.draws, drawn=True), strict=True))
    for side, graph in zip(sides, graphs, strict=True)
  ]
  waiting = defaultdict(deque)
  for name, value in drawn[1].items():
    waiting[kind_of(graphs[1], name, value)].append(name)
  pairs = {}
  for name, value in drawn[0].items():
    same = waiting[kind_of(graphs[0], name, value)]
    if same:
      pairs[name] = same.popleft()
  for first, second in pairs.items():
    if drawn[0][first].dtype.kind not in 'fV':
      continue  # The range of integers may be what differs.
    drawn[1][second] = drawn[0][first]
  for side, given in zip(sides, drawn, strict=True):
    side.run.fix(given)
  return pairs


def kind_of(
  graph: graph_lib.Graph, tensor: str, value: np.ndarray
) -> tuple[str, str, tuple[int, ...]]:
  """Returns what two draws must have in common to correspond."""
  family = random_value.family_of(graph.draw_types[tensor])
  return family, value.dtype.name, value.shape
