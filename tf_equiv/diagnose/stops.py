"""Whether gradients differ because one side alone stops them somewhere.

The gradients of the side that stops one are computed anew, without the stop.
Only if they are those of the other side then, the stop is what differs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.compare import difference
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import handles, replay
from tf_equiv.diagnose.side import Side, Sides
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1

Labels = Sequence[capture.Label]

# Computed in another order than the gradients of the program.
_RTOL = 1e-5
# So many stops are tried.
_MAX_TRIED = 6


def describe(
  sides: Sides,
  alignment: alignment_lib.Alignment,
  failing: Labels,
  tf1_name_of: Mapping[str, str],
) -> list[Difference]:
  """Returns the stops that explain why gradients differ, if there are any.

  Args:
    sides: both sides.
    alignment: which ops correspond.
    failing: the gradients that differ.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.

  Returns:
    Differences of the kind STOPS_GRADIENT, and one of the kind STOP_EXPLAINS.
  """
  gradients = [label for label in failing if label[0] == capture.GRADIENT]
  if not gradients:
    return []
  for i, side in enumerate(sides):
    paired = alignment.pairs if i == 0 else alignment.inverse
    others = sides[1 - i].graph.stopped
    lone = [
      (read, name)
      for read, name in side.graph.stopped.items()
      if read != name and paired.get(read, '') not in others
    ]
    lone = lone[:_MAX_TRIED]
    names = tf1_name_of if i else {}
    several = [lone] if len(lone) > 1 else []
    for tried in [*([each] for each in lone), *several]:
      stops = [name for _, name in tried]
      if _explains((side, sides[1 - i]), stops, gradients, names):
        found = [
          difference.one_sided(
            Kind.STOPS_GRADIENT,
            i,
            name,
            subject=read,
            detail=str(side.captured.line_of(name)),
          )
          for read, name in tried
        ]
        return [*found, difference.one_sided(Kind.STOP_EXPLAINS, i, stops[0])]
  return []


def _explains(
  sides: Sides, stops: Sequence[str], labels: Labels, names: Mapping[str, str]
) -> bool:
  """Returns whether gradients are those of the other side without stops."""
  side, other = sides
  try:
    found = _gradients_without(side, stops, labels, names)
  except Exception:  # Not all that was imported can be differentiated.
    return False
  for label, value in zip(labels, found, strict=True):
    wanted = other.results[label]
    if value is None or value.shape != wanted.shape:
      return False
    scale = np.max(np.abs(wanted), initial=0.0)
    if np.max(np.abs(value - wanted), initial=0.0) > _RTOL * scale:
      return False
  return True


def _gradients_without(
  side: Side, stops: Sequence[str], labels: Labels, names: Mapping[str, str]
) -> list[np.ndarray | None]:
  """Differentiates the loss anew, in double precision."""
  captured = side.captured
  total = captured.targets[capture.TOTAL, capture.TOTAL]
  graph_def = captured.graph.as_graph_def()
  for node in graph_def.node:
    if node.name in stops:
      node.op = 'Identity'
  graph = tf.Graph()
  with graph.as_default():
    handles.add(graph_def, captured.variables)
    tf.import_graph_def(graph_def, name='')
    by_name = {
      names.get(name, name): graph.get_operation_by_name(op).outputs[0]
      for op, (name, _) in captured.variables.items()
      if _has(graph, op)
    }
    loss = graph.get_tensor_by_name(total.name)
    read = [by_name[name] for _, name in labels]
    gradients = [
      None if each is None else tf.convert_to_tensor(each)
      for each in tf.gradients(loss, read)
    ]
  wanted = [each.name for each in gradients if each is not None]
  again = capture.Capture(
    captured.side, graph, {}, captured.feeds, {}, captured.variables
  )
  with replay.Replay(again, double=True, results=wanted) as run:
    run.fix(side.run.fixed)
    values = dict(zip(wanted, run.fetch(wanted), strict=True))
  return [None if each is None else values[each.name] for each in gradients]


def _has(graph: tf.Graph, name: str) -> bool:
  try:
    graph.get_operation_by_name(name)
  except KeyError:
    return False
  return True
