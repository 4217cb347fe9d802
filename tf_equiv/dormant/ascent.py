"""Climbs towards inputs and weights with which a suspect is awake.

Where both sides agree, the slope of their difference is zero. What leads on is
what a suspect reads: its largest and its smallest number are driven up and
down, until a kink that no probe has reached is behind them.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tf_equiv.compare.dormant import Change, Changed
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.dormant import points as points_lib
from tf_equiv.dormant import twins

_STEPS = 6
_MAX_SUSPECTS = 4
_DIRECTIONS = 8


def points(
  pair: twins.Twins, base: points_lib.Base, names: Sequence[str]
) -> Iterator[points_lib.Point]:
  """Yields points with ever larger, or smaller, operands of suspects.

  Args:
    pair: both sides.
    base: inputs and weights to start from.
    names: ops of TF1 that TF2 has not.
  """
  found = points_lib.numbers_of(base.inputs)
  if not found:
    return
  generator = np.random.default_rng(20260302)
  graph, run = pair.sides[0].graph, pair.sides[0].run
  feeds = {path: tensor for tensor, path in pair.captures[0].inputs.items()}
  for name in names[:_MAX_SUSPECTS]:
    read = [
      o.tensor
      for o in graph.nodes[name].operands
      if o.kind == graph_lib.NODE and run.has(o.tensor)
    ]
    if not read or graph.nodes[name].nested:
      continue
    for sign in (1.0, -1.0):
      current = {path: np.array(x, np.float64) for path, x in found.items()}
      best = -np.inf
      for _ in range(_STEPS):
        tried = []
        for _ in range(_DIRECTIONS):
          step = {
            path: x
            + generator.normal(size=x.shape) * (np.std(x) + np.abs(x).mean())
            for path, x in current.items()
          }
          constants = {
            feeds[path]: x
            if pair.captures[0].feeds[feeds[path]].dtype == np.float32
            else x.astype(found[path].dtype)
            for path, x in step.items()
            if path in feeds and run.has(feeds[path])
          }
          value = run.fetch(read[:1], constants=constants)[0]
          height = sign * float(np.max(sign * np.asarray(value, np.float64)))
          tried.append((sign * height, step))
        height, step = max(tried, key=lambda found: found[0])
        if not height > best:
          break
        best, current = height, step
        yield points_lib.Point(
          {p: x.astype(found[p].dtype) for p, x in current.items()},
          {},
          (Change(Changed.INPUTS_DRAWN),),
        )
