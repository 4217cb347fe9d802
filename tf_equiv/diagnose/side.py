"""One side of a comparison, while it is searched for the divergence."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import sketches as sketches_lib
from tf_equiv.tf1.capture import capture

Sketches = dict[str, list[sketches_lib.Sketch]]


@dataclasses.dataclass
class Side:
  """One side.

  Attributes:
    captured: its graph, as it was captured, or what was recorded of it.
    graph: the same as nodes.
    run: gives values, in float64 where it is a graph.
    sketches: of the outputs of each node.
    results: values of the results by label.
  """

  captured: Any
  graph: graph_lib.Graph
  run: Any
  sketches: Sketches = dataclasses.field(default_factory=dict)
  results: Mapping[capture.Label, np.ndarray] = dataclasses.field(
    default_factory=dict
  )


Sides = tuple[Side, Side]
