"""What a forward pass and its gradients are compared in, in order."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tf_equiv.compare import losses as losses_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import pairs as pairs_lib
from tf_equiv.compare import steps as steps_lib
from tf_equiv.compare import tolerances, values
from tf_equiv.compare.pairs import Pair
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib

_Compare = Callable[
  [Sequence[Pair], tolerances.Tolerance], list[values.ValueComparison]
]


def compare_forward(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
  tolerance: tolerances.Tolerance,
) -> dict[Key, list[values.ValueComparison]]:
  """Compares two observations, causes before effects.

  Args:
    plan: what was run; it decides what is compared.
    tf1: the reference.
    tf2: the candidate.
    pairing: how the variables correspond.
    tolerance: what may differ.

  Returns:
    The comparisons by group.
  """
  found = {}
  for quantity, pairs in pairs_of_forward(plan, tf1, tf2, pairing):
    compare: _Compare = pairs_lib.compare
    if quantity.is_of_gradients:
      compare = pairs_lib.compare_gradients
    found[Key(quantity)] = compare(pairs, tolerance)
    if quantity is Quantity.UPDATED_VARIABLES:
      found[Key(quantity)] = _with_changes(pairs, found[Key(quantity)])
  return found


def _with_changes(
  pairs: Sequence[Pair], found: Sequence[values.ValueComparison]
) -> list[values.ValueComparison]:
  """Adds to those that differ how each side changed the variable."""
  by_name = {pair.name: pair for pair in pairs}
  result = []
  for each in found:
    pair = by_name[each.name]
    arrays = pair.before, pair.tf1, pair.tf2
    is_shaped = each.problem is None and all(x is not None for x in arrays)
    if not each.passed and is_shaped:
      change = steps_lib.change_of(*map(np.asarray, arrays))
      if change is not None:
        change = dataclasses.replace(change, in_forward=True)
        each = dataclasses.replace(each, note=change)
    result.append(each)
  return result


def pairs_of_forward(
  plan: plan_lib.RunPlan,
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
) -> list[tuple[Quantity, list[Pair]]]:
  """Returns the values that correspond, by quantity, causes before effects."""
  found = []
  if plan.weights == plan_lib.SEEDED:
    found.append((Quantity.WEIGHTS, pairs_of_weights(tf1, tf2, pairing)))
  found.append(
    (
      Quantity.OUTPUTS,
      pairs_lib.of_outputs(tf1.outputs, tf2.outputs, tf1.output_order),
    )
  )
  if observation.LOSSES not in tf1.unknown:
    found.append(
      (
        Quantity.REGULARIZATION_LOSSES,
        losses_lib.pair_losses(tf1.losses, tf2.losses, pairing.tf1_names()),
      )
    )
  if plan.updates:
    found.append((Quantity.UPDATED_VARIABLES, _updates(tf1, tf2, pairing)))
  if plan.gradients:
    found.append((Quantity.LOSS, _losses(tf1, tf2)))
    found.append((Quantity.GRADIENTS, _gradients(tf1, tf2, pairing)))
    if plan.input_gradients:
      found.append(
        (
          Quantity.INPUT_GRADIENTS,
          [
            Pair('inputs' + path, gradient, tf2.input_gradients[path])
            for path, gradient in tf1.input_gradients.items()
          ],
        )
      )
  return found


def pairs_of_weights(
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
) -> list[Pair]:
  """Pairs the weights before the run."""
  return pairs_lib.by_name(pairing.carry(tf1.weight_of()), tf2.weight_of())


def _updates(
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
) -> list[Pair]:
  """Pairs the variables that a training pass changes."""
  weights, mine = tf1.weight_of(), tf2.weight_of()
  before = pairing.carry(weights)
  after = pairing.carry({**weights, **tf1.updated})
  frozen = {
    second.name
    for first, second in pairing.table.pairs
    if second.trainable and not first.trainable
  }
  trained = values.Problem(values.ProblemKind.UNEXPECTED_UPDATE, True, False)
  found = []
  for name, sources in pairing.tf1_names().items():
    if name not in after:
      continue
    # One of those that are trained is there only where a side overwrites it.
    if name in tf2.updated:
      new = tf2.updated[name]
    elif any(source in tf1.updated for source in sources):
      if name in frozen:
        found.append(Pair(name, problem=trained))
        continue
      new = mine[name]
    else:
      continue
    found.append(Pair(name, after[name], new, before=before[name]))
  return found


def _losses(
  tf1: observation.Observation, tf2: observation.Observation
) -> list[Pair]:
  """Pairs each loss that compute_loss returned, and their total."""
  names = sorted(set(tf1.user_losses) | set(tf2.user_losses))
  found = []
  for name in names if len(names) > 1 else ():
    sides = [name in side.user_losses for side in (tf1, tf2)]
    found.append(
      Pair('loss' + name, tf1.user_losses[name], tf2.user_losses[name])
      if all(sides)
      else Pair(
        'loss' + name,
        problem=values.Problem(values.ProblemKind.NO_LOSS, *sides),
      )
    )
  return [*found, Pair('loss', tf1.loss, tf2.loss)]


def _gradients(
  tf1: observation.Observation,
  tf2: observation.Observation,
  pairing: pairing_lib.Pairing,
) -> list[Pair]:
  """Pairs the gradients of the trainable variables."""
  of_tf1, of_tf2 = (
    dict(zip([s.name for s in x.trainable()], x.gradients, strict=True))
    for x in (tf1, tf2)
  )
  frozen = {}
  if observation.TRAINABLE not in tf1.unknown:
    # Where TF1 does not know its flags, those of TF2 count.
    frozen = {
      second.name: Pair(
        second.name,
        problem=values.Problem(
          values.ProblemKind.NOT_TRAINABLE, first.trainable, second.trainable
        ),
      )
      for first, second in pairing.table.pairs
      if first.trainable != second.trainable
    }
  return [
    *frozen.values(),
    *(
      Pair(name, gradient, of_tf2[name])
      for name, gradient in pairing.carry_gradients(of_tf1).items()
      if name not in frozen and name in of_tf2
    ),
  ]
