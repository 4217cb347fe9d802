"""Tries which change of the TF2 side makes a place agree with TF1.

A trial runs the ops from the last agreement up to the place alone, with what
they read in TF2, and one thing as it is in TF1. What was tried is a repair if
the place then computes what it computes in TF1.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.compare import repairs
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.repairs import candidates, excerpts, other_ops

# So many trials are made at a place.
_MAX_TRIALS = 32
# So few numbers may agree by chance.
_FEW = 4


@dataclasses.dataclass(frozen=True)
class Found:
  """A change that makes a place agree.

  Attributes:
    repair: the change.
    value: what the place computes with it.
  """

  repair: repairs.Repair
  value: np.ndarray


def find(region: candidates.Region, ops: bool = True) -> Found | None:
  """Returns the smallest change that makes a place agree.

  Args:
    region: the ops around it.
    ops: whether other ops are tried, too, after other attributes, constants
      and orders of operands.

  Returns:
    What was found, None if nothing that was tried makes it agree.
  """
  tried = itertools.islice(candidates.of_region(region), _MAX_TRIALS)
  others = itertools.chain(
    other_ops.of_ends(region),
    other_ops.of_types(region),
    other_ops.of_lone_ops(region),
  )
  for trial in itertools.chain(tried, others if ops else ()):
    value = _computed(region, trial)
    gap = float('inf') if value is None else distance(region.wanted, value)
    if gap <= region.tolerance:
      return Found(repairs.Repair(trial.changes, gap), value)
  return None


@dataclasses.dataclass(frozen=True)
class Part:
  """A repair after which an op before the place agrees.

  Attributes:
    found: the repair, and what this op computes with it.
    tf1: name of the op in TF1.
    tf2: name of the op in TF2.
  """

  found: Found
  tf1: str
  tf2: str


def find_part(
  region: candidates.Region, wanted: dict[str, np.ndarray]
) -> Part | None:
  """Returns a change with which ops agree that are not yet the place.

  Args:
    region: the ops around the place.
    wanted: what the ops of TF1 before it compute, by name.

  Returns:
    The repair with which the last of them agrees, None if there is none.
  """
  wanted = {name: x for name, x in wanted.items() if x.size >= _FEW}
  nodes = [n for n in region.tf2.nodes if len(n.outputs) == 1]
  known = _values(region, nodes, candidates.Trial(()))
  for trial in itertools.islice(candidates.of_parts(region), _MAX_TRIALS):
    found = _values(region, nodes, trial)
    for name, value in reversed(wanted.items()):
      for node in reversed(nodes):
        if node.name not in found or node.name not in known:
          continue
        gap = distance(value, found[node.name])
        before = distance(value, known[node.name])
        if gap <= region.tolerance < before:
          repair = repairs.Repair(trial.changes, gap)
          return Part(Found(repair, found[node.name]), name, node.name)
  return None


def _values(
  region: candidates.Region,
  nodes: Sequence[graph_lib.Node],
  trial: candidates.Trial,
) -> dict[str, np.ndarray]:
  """Returns what ops of TF2 compute with a change."""
  side = region.tf2
  try:
    found = excerpts.run(
      trial.graph_def or side.graph_def,
      {**side.feeds, **trial.feeds},
      [node.name + ':0' for node in nodes],
    )
  except (tf.errors.OpError, ValueError, TypeError):
    return {}
  return {name.partition(':')[0]: value for name, value in found.items()}


def distance(first: np.ndarray, second: np.ndarray) -> float:
  """Returns the root mean square of a difference over the largest value."""
  first, second = np.asarray(first), np.asarray(second)
  if first.shape != second.shape:
    return float('inf')
  if not first.size:
    return 0.0
  first, second = first.astype(np.float64), second.astype(np.float64)
  gap = np.where(first == second, 0.0, first - second)
  scale = max(np.max(np.abs(first)), np.max(np.abs(second))) or 1.0
  found = float(np.sqrt(np.mean(np.square(gap / scale))))
  return found if np.isfinite(found) else float('inf')


def _computed(
  region: candidates.Region, trial: candidates.Trial
) -> np.ndarray | None:
  """Returns what the place computes with a change, None if it does not fit."""
  side = region.tf1 if trial.is_of_tf1 else region.tf2
  feeds = {**side.feeds, **trial.feeds}
  definition = trial.graph_def or side.graph_def
  try:
    return excerpts.run(definition, feeds, [side.tensor])[side.tensor]
  except (tf.errors.OpError, ValueError, TypeError):
    return None
