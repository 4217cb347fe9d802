"""What descents into branches and loops share."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose import replay
from tf_equiv.diagnose.result import Result
from tf_equiv.tf1.capture import capture

SIDES = ('TF1', 'TF2')

Captures = tuple[capture.Capture, capture.Capture]
# Finds where two captures diverge.
Search = Callable[[capture.Capture, capture.Capture], Result]


@dataclasses.dataclass
class Level:
  """A search in graphs in which something is inlined.

  Attributes:
    captures: the graphs.
    result: what was found there.
    text: which branch or iteration was inlined.
  """

  captures: Captures
  result: Result
  text: str


def region(result: Result, side: int) -> list[graph_lib.Node]:
  """Returns the nodes from the last agreement up to the divergence, in order.

  Args:
    result: what was found.
    side: 0 for TF1, 1 for TF2.
  """
  graph = result.graphs[side]
  node = (result.frontier.tf1, result.frontier.tf2)[side]
  agreeing = result.alignment.agreeing(side)
  names = graph.before(node.name, agreeing) | {node.name}
  return [node for name, node in graph.nodes.items() if name in names]


def fetch(
  captured: capture.Capture,
  tensors: Sequence[str],
  fixed: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
  """Returns values of tensors in double precision, by name.

  Args:
    captured: the graph.
    tensors: names of the tensors.
    fixed: values of random draws, by name of the tensor.
  """
  if not tensors:
    return {}
  with replay.Replay(captured, double=True) as run:
    run.fix(fixed)
    return dict(zip(tensors, run.fetch(tensors), strict=True))
