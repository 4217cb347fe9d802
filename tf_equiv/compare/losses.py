"""Pairs regularization losses by the variables behind them."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare import pairs, values
from tf_equiv.core.observation import RegularizationLoss

# Values of TF1's and of TF2's losses.
_Values = tuple[list[np.ndarray], list[np.ndarray]]


def pair_losses(
  tf1: Sequence[RegularizationLoss],
  tf2: Sequence[RegularizationLoss],
  tf1_names_of: Mapping[str, Sequence[str]],
) -> list[pairs.Pair]:
  """Pairs regularization losses.

  Losses are matched by the variables that they depend on. Where one side
  computes one loss for several variables and the other one for each, the sums
  are compared. Losses that depend on no variable (activity losses) are
  matched by position.

  Args:
    tf1: losses of the reference.
    tf2: losses of the candidate.
    tf1_names_of: TF1 names of each TF2 variable.

  Returns:
    One pair for each match, and, where both have any, that of the totals last.
    A loss on one side only is a difference.
  """
  tf1, tf2 = _without_surplus_zeros(tf1, tf2)
  if not tf1 and not tf2:
    return []
  groups = _groups(tf1, tf2, tf1_names_of)
  found = [_pair_of_sums(name, groups[name]) for name in sorted(groups)]
  if tf1 and tf2:
    totals = [x.value for x in tf1], [x.value for x in tf2]
    found.append(_pair_of_sums('total', totals))
  return found


def _without_surplus_zeros(
  tf1: Sequence[RegularizationLoss], tf2: Sequence[RegularizationLoss]
) -> list[list[RegularizationLoss]]:
  """Leaves out zeros that depend on no variable and have no counterpart.

  The shim reports such a loss for each layer of `get_or_create_layer` that has
  no regularizer.
  """
  sides = [list(tf1), list(tf2)]
  counts = [sum(not loss.variables for loss in side) for side in sides]
  if counts[0] != counts[1]:
    sides = [
      [loss for loss in side if loss.variables or np.any(loss.value)]
      for side in sides
    ]
  return sides


def _groups(
  tf1: Sequence[RegularizationLoss],
  tf2: Sequence[RegularizationLoss],
  tf1_names_of: Mapping[str, Sequence[str]],
) -> dict[str, _Values]:
  """Maps a name of each group to its (TF1 values, TF2 values)."""
  sides = [
    [(loss.variables, loss.value) for loss in tf1],
    [
      (
        tuple(
          sorted(t for n in loss.variables for t in tf1_names_of.get(n, (n,)))
        ),
        loss.value,
      )
      for loss in tf2
    ],
  ]
  parent: dict[str, str] = {}

  def root(name: str) -> str:
    parent.setdefault(name, name)
    while parent[name] != name:
      name = parent[name]
    return name

  for losses in sides:
    for names, _ in losses:
      for name in names:
        parent[root(name)] = root(names[0])
  members: dict[str, list[str]] = {}
  for name in parent:
    members.setdefault(root(name), []).append(name)
  groups: dict[str, _Values] = {}
  for side, losses in enumerate(sides):
    position = 0
    for names, value in losses:
      if names:
        title = ' + '.join(sorted(members[root(names[0])]))
      else:
        title, position = f'activity loss {position}', position + 1
      groups.setdefault(title, ([], []))[side].append(value)
  return groups


def _pair_of_sums(name: str, sides: _Values) -> pairs.Pair:
  if not all(sides):
    problem = values.Problem(
      values.ProblemKind.NO_REGULARIZATION, *(bool(mine) for mine in sides)
    )
    return pairs.Pair(name, problem=problem)
  sums = []
  for mine in sides:
    # Sums in float64: the two sides add the same losses in another order.
    total = np.sum([np.asarray(v, np.float64) for v in mine])
    sums.append(np.asarray(total, np.asarray(mine[0]).dtype))
  return pairs.Pair(name, sums[0], sums[1])
