"""Graphs of a few nodes, for tests that need no graph of TensorFlow."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_equiv.diagnose import alignment, graph, sketches

LABEL = ('outputs', 'outputs')
_KINDS = {
  '$': graph.VARIABLE,
  '@': graph.INPUT,
  '#': graph.CONSTANT,
  '?': graph.RANDOM,
}


def operand(text: str) -> graph.Operand:
  """Returns the node 'a', its output 'a:1', '$w', '@input', '#c' or '?draw'."""
  kind = _KINDS.get(text[0])
  if kind is not None:
    return graph.Operand(kind, text[1:])
  name, _, output = text.partition(':')
  return graph.Operand(graph.NODE, name, int(output or 0))


def node(name: str, op_type: str, *operands: str, **fields: Any) -> graph.Node:
  """Returns a node with one output; `attributes` and others are `fields`."""
  known = {
    'position': 0,
    'shape': (8,),
    'dtype': 'float32',
    'attributes': {},
    'outputs': [name + ':0'],
    **fields,
  }
  return graph.Node(
    name=name, op_type=op_type, operands=[*map(operand, operands)], **known
  )


def graph_of(*nodes: graph.Node) -> graph.Graph:
  """Returns a graph whose result is its last node."""
  result = graph.Operand(graph.NODE, nodes[-1].name)
  return graph.Graph({n.name: n for n in nodes}, {LABEL: result}, [], {}, {})


def sketched(values: Mapping[str, Any]) -> dict[str, list[sketches.Sketch]]:
  """Returns a sketch for the output of each node, none for None."""
  sketcher = sketches.Sketcher()
  return {
    name: []
    if value is None
    else [sketcher.sketch(np.asarray(value, np.float64))]
    for name, value in values.items()
  }


def aligned(
  graphs: tuple[graph.Graph, graph.Graph],
  values: tuple[Mapping[str, Any], Mapping[str, Any]],
  tolerance: float = 1e-6,
  failing: tuple = (),
  converted: tuple = (),
) -> alignment.Alignment:
  """Aligns two graphs by what their nodes compute."""
  first, second = values
  return alignment.Alignment(
    graphs,
    (sketched(first), sketched(second)),
    {},
    tolerance,
    failing,
    converted,
  )


def array(seed: int, size: int = 8) -> np.ndarray:
  """Returns random numbers."""
  return np.random.default_rng(seed).normal(size=size)
