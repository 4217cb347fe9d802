"""Looks inside of loops, branches and calls for the op at fault.

Where the first divergence is in a loop or a branch, its functions are inlined,
and the graphs are searched again: with the branch that is taken, and of a loop
the first iteration that ends with other values.
"""

import dataclasses
import logging
from typing import Any

import numpy as np

from tf_equiv.compare import difference, divergence
from tf_equiv.core import text
from tf_equiv.diagnose import cells
from tf_equiv.diagnose.control_flow import (
  branch_descent,
  inlining,
  level,
  loop_descent,
)
from tf_equiv.diagnose.result import Result
from tf_equiv.diagnose.rules import table
from tf_equiv.tf1.capture import capture

_log = logging.getLogger('tf_equiv')
# So deep are control structures looked into.
_MAX_DEPTH = 8
# Ops that stack the outputs of the iterations of a loop.
_STACKS = ('TensorListStack', 'TensorArrayGatherV3')


def descend(
  result: Result, captures: tuple[Any, Any], search: level.Search
) -> Result:
  """Goes on inside of the loop or branch in which two graphs diverge.

  Args:
    result: what was found in the two graphs.
    captures: the graphs, or what was recorded.
    search: finds where two captures diverge.

  Returns:
    What was found inside, or what was given where nothing more can be said.
  """
  texts, outer, entered, problem = [], result, set(), ''
  for _ in range(_MAX_DEPTH):
    if result.frontier is None:
      break
    try:
      found = branch_descent.descend(result, captures, search)
      found = found or loop_descent.descend(result, captures, search, entered)
    except Exception as error:  # Graphs of users may hold anything.
      _log.info('looking inside failed: %s', text.of_error(error))
      _log.debug('looking inside failed', exc_info=True)
      problem = f'it could not be looked inside ({text.of_error(error)})'
      break
    if found is None:
      break
    if found.text:
      texts.append(found.text)
    captures, result = found.captures, found.result
  if result.divergence is not None and problem:
    result.divergence.note = problem
  if entered:
    _name_step(result, captures)
  if result is outer:
    return outer
  _prefer_lone_ops(result)
  _restore_names(result.divergence)
  if texts:
    result.divergence.differences.insert(0, _within(', '.join(texts[::-1])))
  _keep_evidence(result.divergence, outer.divergence)
  return dataclasses.replace(
    outer, divergence=result.divergence, frontier=result.frontier
  )


def _name_step(result: Result, captures: tuple[Any, Any]) -> None:
  """Adds at which step the outputs of a loop first differ."""
  front, alignment = result.frontier, result.alignment
  if not all(isinstance(each, capture.Capture) for each in captures):
    return
  if any(inlining.iteration_of(node.name) for node in (front.tf1, front.tf2)):
    return
  for name, node in result.graphs[0].nodes.items():
    gap = alignment.distance(name) if node.op_type in _STACKS else None
    if gap is None or not alignment.tolerance < gap < np.inf:
      continue
    other = result.graphs[1].nodes[alignment.pairs[name]]
    mine, theirs = (
      level.fetch(captured, [each.outputs[0]], fixed)[each.outputs[0]]
      for captured, each, fixed in zip(
        captures, (node, other), result.fixed, strict=True
      )
    )
    gaps = np.abs(mine - theirs).reshape(len(mine), -1).max(axis=1)
    differs = gaps > alignment.tolerance * max(np.abs(mine).max(), 1e-300)
    result.divergence.differences.insert(
      0,
      _within(
        'the outputs of the loop first differ at step '
        f'{int(np.argmax(differs)) + 1} of {len(mine)}'
      ),
    )
    return


def _within(text: str) -> difference.Difference:
  return difference.Difference(difference.Kind.WITHIN, detail=text)


def _prefer_lone_ops(result: Result) -> None:
  """Names the last op of each side where the pair is what is left of a loop."""
  front, found = result.frontier, result.divergence
  if any(inlining.iteration_of(n.name) for n in (front.tf1, front.tf2)):
    return
  lone = *front.only_tf1, *front.only_tf2
  if any(inlining.iteration_of(node.name) for node in lone):
    found.tf1 = found.only_tf1.pop() if found.only_tf1 else found.tf1
    found.tf2 = found.only_tf2.pop() if found.only_tf2 else found.tf2
    found.comparison = None


def _restore_names(found: divergence.Divergence) -> None:
  """Gives ops the names that they had before they were inlined."""
  for each in (found, *found.others):
    each.tf1, each.tf2 = _restored(each.tf1), _restored(each.tf2)
    each.only_tf1 = [_restored(op) for op in each.only_tf1]
    each.only_tf2 = [_restored(op) for op in each.only_tf2]
    renamed = [d.renamed(inlining.original_name) for d in each.differences]
    each.differences = list(dict.fromkeys(renamed))
    if each.comparison is not None:
      each.comparison = dataclasses.replace(
        each.comparison, name=inlining.original_name(each.comparison.name)
      )
  found.layers = [
    dataclasses.replace(
      layer, tf1=_with_iteration(layer.tf1), tf2=_with_iteration(layer.tf2)
    )
    for layer in found.layers
  ]


def _restored(op: divergence.Place | None) -> divergence.Place | None:
  if op is None:
    return None
  return dataclasses.replace(op, name=inlining.original_name(op.name))


def _with_iteration(name: str) -> str:
  iteration, plain = inlining.iteration_of(name), inlining.original_name(name)
  return plain if iteration is None else f'{plain} (iteration {iteration})'


def _keep_evidence(
  found: divergence.Divergence, outer: divergence.Divergence
) -> None:
  """Keeps what is known of the loop as a whole, and looks for the mistake."""
  kept = [
    each
    for each in outer.differences
    if each.kind in cells.EVIDENCE and each not in found.differences
  ]
  found.differences[1:1] = kept  # After what was looked into.
  whole = dataclasses.replace(
    found, variables=tuple(sorted({*found.variables, *outer.variables}))
  )
  found.mistake = table.recognize(whole)
