"""Looks into the branches that are taken, and into calls."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.control_flow import (
  branches,
  functions,
  inlining,
  level,
  v1_frames,
)
from tf_equiv.diagnose.result import Result
from tf_equiv.tf1.capture import capture

_INLINED = functions.IF + functions.CASE + functions.CALL


def descend(
  result: Result, captures: level.Captures, search: level.Search
) -> level.Level | None:
  """Inlines the branches before a divergence that are taken, and calls.

  Args:
    result: what was found.
    captures: the graphs in which it was found.
    search: finds where two captures diverge.

  Returns:
    What is found there; None if there is nothing to inline.
  """
  new, texts = list(captures), []
  for side in (0, 1):
    if not isinstance(captures[side], capture.Capture):
      continue  # What was recorded as it ran has no control flow.
    nodes = level.region(result, side)
    made, text = _inlined(captures[side], nodes, result.fixed[side])
    if made is not None:
      new[side] = made
      texts += [f'{level.SIDES[side]} {text}'] if text else []
  if new == list(captures):
    return None
  again = search(*new)
  if again.divergence is None or again.frontier is None:
    return None
  text = f'in the branch that is taken ({"; ".join(texts)})' if texts else ''
  return level.Level(tuple(new), again, text)


def _inlined(
  captured: capture.Capture,
  nodes: Sequence[graph_lib.Node],
  fixed: Mapping[str, np.ndarray],
) -> tuple[inlining.InlinedCapture | None, str]:
  """Returns the capture with branches of a region inlined, if it has any.

  Returns:
    (capture or None, which branches are taken).
  """
  names = [node.name for node in nodes if node.op_type in _INLINED]
  in_v1 = any(node.nested or node.op_type == 'Merge' for node in nodes)
  if not names and not in_v1:
    return None, ''
  graph_def = captured.graph.as_graph_def()
  known = {node.name: node for node in graph_def.node}
  if names:
    readers = {name: branches.reader_of(known[name]) for name in names}
    values = level.fetch(captured, sorted(set(readers.values()) - {''}), fixed)
    choices = {name: values.get(readers[name]) for name in names}
    made, ways = branches.inline_taken(captured, choices)
    return made, ', '.join(
      f'{inlining.original_name(name)}: {way}' for name, way in ways.items()
    )
  hidden = v1_frames.nested(captured.graph.get_operations())
  switches = {  # The inner ones follow when the outer ones are gone.
    name: ref
    for name, ref in v1_frames.predicates(graph_def).items()
    if functions.name_of(ref) not in hidden
  }
  if not switches:
    return None, ''
  tensors = sorted({inlining.tensor(ref) for ref in switches.values()})
  values = level.fetch(captured, tensors, fixed)
  chosen = {
    name: bool(values[inlining.tensor(ref)]) for name, ref in switches.items()
  }
  return branches.pruned(captured, chosen), ', '.join(
    f'{inlining.original_name(name)}: {str(chosen[switch]).lower()}'
    for name, switch in sorted(_conditionals(known, switches).items())
    if any(node.name.startswith(name + '/') for node in nodes)
  )


def _conditionals(
  known: Mapping[str, tf.compat.v1.NodeDef], switches: Mapping[str, str]
) -> dict[str, str]:
  """Returns the Switch of the predicate itself, by name of the conditional."""
  return {
    name.rpartition('/')[0]: name
    for name, predicate in switches.items()
    if known[name].input[0] == predicate
  }
