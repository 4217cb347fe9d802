"""Keeps the graphs of forward passes, so that none is built twice.

Steps of a validation differ in weights, seeds and gradients, and not in the
graph of the forward pass: there is one for inference and one for training.
"""

import collections
import dataclasses
from typing import Hashable

from tf_equiv.core import nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import reseed

# Ops to which TensorFlow adds outputs when it makes their gradients.
_LENGTHENED = ('While', 'StatelessWhile', 'If', 'StatelessIf', 'Case')
# One for inference and one for training.
_MAX_GRAPHS = 2


class SharedGraphs:
  """The graphs that were used last; each is valid until the next is asked for.

  To ask for a graph may change the seeds of one that was returned before.
  """

  def __init__(self, most: int = _MAX_GRAPHS):
    self._forward: 'collections.OrderedDict[Hashable, _Forward]' = (
      collections.OrderedDict()
    )
    self._most = most

  def __len__(self) -> int:
    return len(self._forward)

  def clear(self) -> None:
    """Forgets all graphs."""
    self._forward.clear()

  def __contains__(self, key: Hashable) -> bool:
    return key in self._forward

  def get(
    self, program: program_lib.Program, plan: plan_lib.RunPlan, key: Hashable
  ) -> graph_lib.Built:
    """Returns the graph of a plan, built now or before.

    Args:
      program: the user's TF1 code.
      plan: what to run.
      key: from `key_of`, and from what else the code depends on.

    Returns:
      The graph; its `seconds` are those that were spent in this call.
    """
    if key not in self._forward:
      while len(self._forward) >= self._most:
        self._forward.popitem(last=False)
      self._forward[key] = _Forward(program, plan)
    self._forward.move_to_end(key)
    return self._forward[key].get(program, plan)

  def forget(self, key: Hashable) -> None:
    """Does not keep a graph any longer."""
    self._forward.pop(key, None)


class _Forward:
  """The graph of a forward pass, with gradients where they were asked for."""

  def __init__(self, program, plan):
    plan = dataclasses.replace(
      plan, seed_mode=reseed.BUILD_MODE, gradients=False
    )
    self._bare = graph_lib.build(program, plan)
    self._seconds = self._bare.seconds
    bare = (self._bare, reseed.seeded_ops(self._bare, plan.seed))
    # By whether there are gradients, and those of the inputs.
    self._found = {(False, False): bare}

  def get(self, program, plan) -> graph_lib.Built:
    kind = (plan.gradients, plan.gradients and plan.input_gradients)
    if kind not in self._found:
      self._add_gradients(program, plan, kind)
    built, ops = self._found[kind]
    if ops is not None:
      built = reseed.reseeded(built, ops, plan.seed_mode)
    elif plan.seed_mode is not reseed.BUILD_MODE:
      return graph_lib.build(program, plan)
    seconds, self._seconds = self._seconds, 0.0
    return dataclasses.replace(
      built,
      seconds=seconds,
      has_longer_loops=not plan.gradients and self._has_longer_loops(),
    )

  def _has_longer_loops(self) -> bool:
    return len(self._found) > 1 and any(
      op.type in _LENGTHENED for op in self._bare.graph.get_operations()
    )

  def _add_gradients(self, program, plan, kind) -> None:
    for built, ops in self._found.values():
      reseed.reseeded(built, ops or {}, reseed.BUILD_MODE)
    plan = dataclasses.replace(plan, seed_mode=reseed.BUILD_MODE)
    built = graph_lib.with_gradients(self._bare, program, plan)
    self._found[kind] = (built, reseed.seeded_ops(built, plan.seed))
    self._seconds += built.seconds - self._bare.seconds


def key_of(plan: plan_lib.RunPlan) -> Hashable:
  """Returns what of a plan the graph of its forward pass depends on."""
  inputs = tuple(
    (path, str(array.dtype), array.shape)
    for path, array in nest.flatten(plan.inputs)
  )
  structure = repr(nest.describe(plan.inputs))
  return plan.training, plan.seed, inputs, structure
