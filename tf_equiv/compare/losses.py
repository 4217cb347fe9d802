"""Compares regularization losses, matched by the variables behind them."""

from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import tolerances, values
from tf_equiv.core.observation import RegularizationLoss


def compare_losses(
  tf1: Sequence[RegularizationLoss],
  tf2: Sequence[RegularizationLoss],
  tf1_names_of: dict[str, tuple[str, ...]],
  tolerance: tolerances.Tolerance,
) -> list[values.ValueComparison]:
  """Compares regularization losses.

  Losses are matched by the variables that they depend on. Where one side
  computes one loss for several variables and the other one for each, the sums
  are compared. Losses that depend on no variable (activity losses) are
  matched by position.

  Args:
    tf1: losses of the reference.
    tf2: losses of the candidate.
    tf1_names_of: TF1 names of each TF2 variable.
    tolerance: what may differ.

  Returns:
    One comparison for each match, and, where both have any, that of the
    totals last. A loss on one side only is a difference.
  """
  tf1, tf2 = _without_surplus_zeros(tf1, tf2)
  if not tf1 and not tf2:
    return []
  groups = _groups(tf1, tf2, tf1_names_of)
  found = []
  for name in sorted(groups):
    found.append(_compare_sums(name, groups[name], tolerance))
  if tf1 and tf2:
    totals = ([x.value for x in tf1], [x.value for x in tf2])
    found.append(_compare_sums('total', totals, tolerance))
  return found


def _without_surplus_zeros(tf1, tf2):
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


def _groups(tf1, tf2, tf1_names_of):
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
  parent = {}

  def root(name):
    parent.setdefault(name, name)
    while parent[name] != name:
      name = parent[name]
    return name

  for losses in sides:
    for names, _ in losses:
      for name in names:
        parent[root(name)] = root(names[0])
  members = {}
  for name in parent:
    members.setdefault(root(name), []).append(name)
  groups = {}
  for side, losses in enumerate(sides):
    position = 0
    for names, value in losses:
      if names:
        title = ' + '.join(sorted(members[root(names[0])]))
      else:
        title, position = f'activity loss {position}', position + 1
      groups.setdefault(title, ([], []))[side].append(value)
  return groups


def _compare_sums(name, pair, tolerance):
  for side, mine in zip(('TF1', 'TF2'), pair, strict=True):
    if not mine:
      return values.ValueComparison(
        name, False, problem=f'{side} has no such regularization loss'
      )
  sums = []
  for mine in pair:
    # Sums in float64: the two sides add the same losses in another order.
    total = np.sum([np.asarray(v, np.float64) for v in mine])
    sums.append(np.asarray(total, np.asarray(mine[0]).dtype))
  return values.compare_arrays(name, sums[0], sums[1], tolerance)
