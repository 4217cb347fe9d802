"""Describes a divergence: the ops with their lines, and how they differ."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare import divergence, tolerances, values
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier, op_diff
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides
from tf_equiv.tf1.capture import capture

_MAX_LONE = 8
_MAX_DIVERGENCES = 5
_MAX_CONSTANT = 64

Outputs = Sequence[Mapping[str, np.ndarray]]


def describe(
  frontiers: Sequence[frontier.Frontier],
  sides: Sides,
  alignment: alignment_lib.Alignment,
  failing: Sequence[capture.Label],
) -> divergence.Divergence:
  """Returns the first divergence, with further ones as its `others`.

  Args:
    frontiers: the ops of each divergence, in program order.
    sides: both sides.
    alignment: which ops correspond.
    failing: labels of the results that differ.
  """
  frontiers = frontiers[:_MAX_DIVERGENCES]
  constants = _constants(sides, frontiers)
  outputs = _outputs(sides, frontiers)
  found = [
    _describe(each, sides, alignment, constants, outputs) for each in frontiers
  ]
  first = found[0] if found else _results_only(sides, failing[0])
  first.others = found[1:]
  first.group = failing[0][0]
  return first


def of_results(
  captures: tuple[capture.Capture, capture.Capture], label: capture.Label
) -> divergence.Divergence:
  """Returns the ops that compute a result on both sides."""
  return divergence.Divergence(
    *(
      place_of(captured, op.name, op.type)
      for captured in captures
      for op in [captured.targets[label].op]
    )
  )


def place_of(
  captured: capture.Capture, name: str, op_type: str
) -> divergence.Place:
  """Returns an op of a captured graph with the line that made it.

  Where the code of a ready-made layer made it, that is followed by the line
  that made the layer. A helper of ours goes by the name of the op that it
  stands for.

  Args:
    captured: the graph, or what was recorded.
    name: name of the op.
    op_type: its type.
  """
  name, op_type = captured.aliases.get(name, (name, op_type))
  line, made = captured.line_of(name), captured.made_line_of(name)
  if not line.filename:
    return divergence.Place(name, op_type)
  text = str(line)
  if made.filename and made != line:
    text = f'{line}  (layer made at {made})'
  return divergence.Place(name, op_type, text)


def layers(
  alignment: alignment_lib.Alignment, sides: Sides, errors: Mapping[str, float]
) -> list[divergence.LayerError]:
  """Returns the distance of each pair of ops, in program order of TF1.

  Args:
    alignment: which ops correspond.
    sides: both sides.
    errors: relative rounding error of each op, where it was measured.
  """
  found = []
  for name, node in sides[0].graph.nodes.items():
    distance = alignment.distance(name)
    if distance is None or not sides[0].sketches[name]:
      continue
    sketch = sides[0].sketches[name][0]
    found.append(
      divergence.LayerError(
        name,
        alignment.pairs[name],
        node.op_type,
        sketch.shape,
        distance * sketch.magnitude,
        alignment.tolerance * sketch.magnitude,
        sketch.magnitude,
        errors[name] * sketch.magnitude if name in errors else None,
      )
    )
  return found


def _results_only(sides: Sides, label: capture.Label) -> divergence.Divergence:
  """Returns what computes a result that differs, if nothing else is known."""
  found = []
  for side in sides:
    result = side.graph.results[label]
    if result.kind == graph_lib.NODE:
      found.append(_at(side, side.graph.nodes[result.key]))
    else:
      found.append(divergence.Place(result.key, result.kind))
  return divergence.Divergence(
    *found, note='no op before the result itself could be told apart'
  )


def _describe(
  found: frontier.Frontier,
  sides: Sides,
  alignment: alignment_lib.Alignment,
  constants: op_diff.Values,
  outputs: Outputs,
) -> divergence.Divergence:
  nodes = found.tf1, *found.only_tf1
  variables = sorted(frozenset().union(*(n.variables for n in nodes)))
  first, second = sides
  return divergence.Divergence(
    _at(first, found.tf1),
    _at(second, found.tf2),
    _compare(found, outputs),
    op_diff.describe(found, alignment, constants),
    [_at(first, n) for n in found.only_tf1[-_MAX_LONE:]],
    [_at(second, n) for n in found.only_tf2[-_MAX_LONE:]],
    tuple(variables),
  )


def _at(side: Side, node: graph_lib.Node) -> divergence.Place:
  return place_of(side.captured, node.name, node.op_type)


def _constants(
  sides: Sides, frontiers: Sequence[frontier.Frontier]
) -> op_diff.Values:
  """Returns for each side a function that gives the value of a constant."""
  found = []
  for i, side in enumerate(sides):
    names = {
      o.key
      for each in frontiers
      for node in _nodes_of(each)[i]
      if not node.nested and node.op_type not in ('Exit', 'Merge')
      for o in node.operands
      if o.kind == graph_lib.CONSTANT
      and side.run.is_small(o.key, _MAX_CONSTANT)
    }
    found.append(_fetched(side, sorted(names)).get)
  return tuple(found)


def _outputs(sides: Sides, frontiers: Sequence[frontier.Frontier]) -> Outputs:
  """Returns for each side the values of the ops that differ."""
  return [
    _fetched(
      side, [t for each in frontiers for t in (each.tf1, each.tf2)[i].outputs]
    )
    for i, side in enumerate(sides)
  ]


def _nodes_of(
  found: frontier.Frontier,
) -> tuple[tuple[graph_lib.Node, ...], tuple[graph_lib.Node, ...]]:
  return (found.tf1, *found.only_tf1), (found.tf2, *found.only_tf2)


def _fetched(side: Side, names: list[str]) -> dict[str, np.ndarray]:
  return dict(zip(names, side.run.fetch(names), strict=True))


def _compare(
  found: frontier.Frontier, outputs: Outputs
) -> values.ValueComparison | None:
  """Compares the first output that differs, if there is one.

  Numbers that are computed come before counters. The variables of two loops
  have no common order, so that there is nothing to compare.
  """
  a, b = found.tf1, found.tf2
  if any(node.body is not None and 'While' in node.op_type for node in (a, b)):
    return None
  pairs = [
    (outputs[0][mine], outputs[1][theirs])
    for mine, theirs in zip(a.outputs, b.outputs, strict=False)
  ]
  for arrays in sorted(pairs, key=lambda pair: pair[0].dtype.kind not in 'fc'):
    compared = values.compare_arrays(a.name, *arrays, tolerances.Tolerance())
    if not compared.passed:
      return dataclasses.replace(compared, dtype=a.dtype)
  return None
