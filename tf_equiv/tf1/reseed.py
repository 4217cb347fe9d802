"""Gives the random ops of a built graph the seeds of another mode.

The graph of a model is the same in all seed modes but for the operation seeds,
which are attributes of its random ops. To change these takes no time; to build
a large graph again takes seconds.
"""

import dataclasses
from typing import Any, Dict, Optional

from tf_equiv import compat
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.tf1 import graph as graph_lib

# All draws of this mode have different seeds, so that they can be told apart.
BUILD_MODE = SeedMode.NUM_RANDOM_OPS


def seeded_ops(built: graph_lib.Built, seed: int) -> Optional[Dict[int, Any]]:
  """Finds the random op behind each draw of the ledger.

  Args:
    built: a graph that was built in `BUILD_MODE`.
    seed: the graph-level seed of that build.

  Returns:
    The op by the number of the draw. None if not every draw is one op of its
    own: it is inside of a function (a loop), or its seed is a tensor; then only
    another build gives the seeds of another mode.
  """
  found, seeded = {}, {}  # type: Dict[int, Any], Dict[str, bool]
  if [draw.seed for draw in built.draws] != list(range(len(built.draws))):
    return None
  for op in built.graph.get_operations():
    if op.type not in seeded:
      definition = compat.op_definition(op.type)
      names = [] if definition is None else [a.name for a in definition.attr]
      seeded[op.type] = 'seed2' in names
    if not seeded[op.type] or op.get_attr('seed') != seed:
      continue
    index = op.get_attr('seed2')
    if index in found:
      return None
    if index < len(built.draws):
      found[index] = op
  return found if len(found) == len(built.draws) else None


def reseeded(
  built: graph_lib.Built,
  ops: Dict[int, Any],
  mode: SeedMode,
) -> graph_lib.Built:
  """Lets sessions that are made from now on draw in another seed mode.

  Args:
    built: a graph that was built in `BUILD_MODE`.
    ops: its random ops, from `seeded_ops`.
    mode: the wanted mode.

  Returns:
    The same graph, with the ledger of the wanted mode.
  """
  constant = mode is SeedMode.CONSTANT
  for index, op in ops.items():
    op_seed = 0 if constant else index
    if op.get_attr('seed2') != op_seed:
      compat.set_seed_of_op(op, op_seed)
  return dataclasses.replace(
    built,
    draws=[
      dataclasses.replace(draw, seed=0) if constant else draw
      for draw in built.draws
    ],
  )
