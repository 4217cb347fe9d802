"""Compares training steps, quantity by quantity.

Each step starts on both sides from the state in which TF1 left the one before,
so that rounding, which training amplifies beyond all bounds, does not add up;
`uncertainty` says how exactly its updates are known.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import losses as losses_lib
from tf_equiv.compare import (
  optimizers,
  step_pairs,
  tolerances,
  uncertainty,
  values,
)
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import pairs as pairs_lib
from tf_equiv.compare.pairs import Pair
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation

# Schedules compute in float32 with powers and cosines.
_RATE_RTOL = 1e-5
# Slots of squared gradients: by the square, a relative error is doubled.
_SQUARES = frozenset(
  {'second moment', 'largest second moment', 'mean square', 'accumulator'}
)
_SLACK_OF_SQUARES = 2.0

Update = observation.UpdateObservation
Step = observation.StepObservation
Groups = dict[Key, list[values.ValueComparison]]


class StepComparer:
  """Compares the steps of two observations, one after another.

  Attributes:
    hyperparameters: differences of the optimizers.
    lone_slots: slots that only one side keeps.
    unknown_optimizers: names of optimizers whose hyperparameters are not known,
      and not compared.
    uncertainty: how exactly the updates are known.
  """

  def __init__(
    self,
    tf1: observation.Observation,
    tf2: observation.Observation,
    pairing: pairing_lib.Pairing,
    criteria: criteria_lib.Criteria,
  ):
    self.hyperparameters: list[optimizers.OptimizerDifference] = []
    self.lone_slots: list[optimizers.LoneSlot] = []
    self.unknown_optimizers: list[str] = []
    self._tf1, self._tf2, self._pairing = tf1, tf2, pairing
    self._tolerance = criteria.tolerance
    self._compare_updates = criteria.compare_updates
    self._before = pairing.carry(tf1.weight_of())
    self._trainable = {b.name for a, b in pairing.table.pairs if a.trainable}
    self.uncertainty = uncertainty.Uncertainty(self._trainable)

  def compare(self, i: int) -> Groups:
    """Compares step `i`, counted from 0; to be called in order.

    Args:
      i: the step.

    Returns:
      The groups that hold anything, causes before effects.
    """
    first, second = self._tf1.steps[i], self._tf2.steps[i]
    updates = step_pairs.paired_updates(self._pairing.table, first, second)
    if not i:
      self._compare_optimizers(updates)
    tolerance = self._tolerance
    # A rate depends on nothing else, so it is a cause and no effect.
    groups = {Key(Quantity.LEARNING_RATE): _compare_rates(updates, tolerance)}
    for quantity, pairs in (
      (
        Quantity.OUTPUTS,
        pairs_lib.of_outputs(
          first.outputs, second.outputs, self._tf1.output_order
        ),
      ),
      (
        Quantity.REGULARIZATION_LOSSES,
        losses_lib.pair_losses(
          first.losses, second.losses, self._pairing.tf1_names()
        ),
      ),
      (Quantity.LOSS, _losses(first, second)),
    ):
      groups[Key(quantity)] = pairs_lib.compare(pairs, tolerance)
    gradients = [
      step_pairs.gradients_of_tf1(self._pairing, first),
      step_pairs.by_variable(second.updates),
    ]
    groups[Key(Quantity.GRADIENTS)] = pairs_lib.compare_gradients(
      self._gradients(gradients, first.unknown), tolerance
    )
    for meaning, found in self._compare_slots(first, second):
      groups[Key(Quantity.SLOTS, slot=meaning)] = found
    after = self._pairing.carry(first.variables)
    self.uncertainty.learn(gradients, self._before, after)
    groups[Key(Quantity.VARIABLES)] = self._compare_variables(
      after, second, self._trainable.__contains__
    )
    if self._compare_updates:
      groups[Key(Quantity.UNTRAINED_VARIABLES)] = self._compare_variables(
        after, second, lambda name: name not in self._trainable
      )
    groups[Key(Quantity.STEP_COUNTER)] = _compare_counters(updates)
    self._before = after
    return {
      dataclasses.replace(key, step=i + 1): found
      for key, found in groups.items()
      if found
    }

  def _gradients(
    self, gradients: list[step_pairs.Gradients], unknown_names: Sequence[str]
  ) -> list[Pair]:
    """Pairs the gradients that are known.

    Args:
      gradients: of TF1 and of TF2; those of TF1 get the gradients of TF2 where
        they are not known, which tell how uncertain the updates are as well.
      unknown_names: names of the TF1 variables whose gradients are not known.
    """
    unknown = {
      b.name for a, b in self._pairing.table.pairs if a.name in unknown_names
    }
    tf1, tf2 = (
      {name: found for name, found in side.items() if name not in unknown}
      for side in gradients
    )
    gradients[0].update(
      (name, gradients[1][name]) for name in unknown & set(gradients[1])
    )
    pairs = []
    for name in sorted(set(tf1) | set(tf2)):
      of_tf1, of_tf2 = tf1.get(name, []), tf2.get(name, [])
      if len(of_tf1) != len(of_tf2):
        # A pair without a gradient may be handed on or left out.
        of_tf1 = [g for g in of_tf1 if g is not None]
        of_tf2 = [g for g in of_tf2 if g is not None]
      if len(of_tf1) != len(of_tf2):
        problem = values.Problem(
          values.ProblemKind.TIMES_TRAINED, len(of_tf1), len(of_tf2)
        )
        pairs.append(Pair(name, problem=problem))
        continue
      pairs += [Pair(name, a, b) for a, b in zip(of_tf1, of_tf2, strict=True)]
    return pairs

  def _compare_optimizers(self, pairs: Iterable[tuple[Update, Update]]) -> None:
    for first, second in pairs:
      specs = first.optimizer, second.optimizer
      found_ones = optimizers.compare_specs(*specs)
      unknown = [s.name for s in specs if s.kind == optimizers.OTHER]
      if unknown:
        renamed, count = optimizers.compare_renamed(
          *specs, self._pairing.rename_hyperparameter
        )
        found_ones += renamed
        if not count and unknown[0] not in self.unknown_optimizers:
          self.unknown_optimizers.append(unknown[0])
      for found in found_ones:
        self.hyperparameters.append(
          optimizers.OptimizerDifference(
            first.optimizer.name, second.optimizer.name, found
          )
        )

  def _compare_slots(
    self, first: Step, second: Step
  ) -> Iterator[tuple[str, list[values.ValueComparison]]]:
    of_first = self._slots_of_tf1(first, second)
    for meaning in sorted(set(of_first) | set(second.slots)):
      if meaning not in of_first or meaning not in second.slots:
        lone = optimizers.LoneSlot(meaning, int(meaning not in of_first))
        if lone not in self.lone_slots:
          self.lone_slots.append(lone)
        continue
      of_tf2 = second.slots[meaning]
      if meaning == observation.MOVING_AVERAGE:
        of_tf1 = self._pairing.carry(of_first[meaning])
        yield (
          meaning,
          pairs_lib.compare(
            (
              self._update(name, new, of_tf2[name])
              for name, new in of_tf1.items()
              if name in of_tf2
            ),
            self._tolerance,
          ),
        )
        continue
      tolerance = self._tolerance
      if meaning in _SQUARES:
        slack = tolerance.slack * _SLACK_OF_SQUARES
        tolerance = dataclasses.replace(tolerance, slack=slack)
      linear = self._pairing.carry_linear(of_first[meaning])
      yield (
        meaning,
        pairs_lib.compare_gradients(
          [Pair(n, x, of_tf2[n]) for n, x in linear.items() if n in of_tf2],
          tolerance,
        ),
      )

  def _slots_of_tf1(
    self, first: Step, second: Step
  ) -> dict[str, dict[str, np.ndarray]]:
    """Returns the slots of TF1 as they are called in those of TF2."""
    names = {
      name: meaning
      for update in second.updates
      for name, meaning in update.slot_names.items()
    }
    renamed = self._pairing.slots_in_tf2(first)
    found = {}
    for meaning, slots in first.slots.items():
      target = renamed.get(meaning, meaning)
      if target is not None:
        known = target in second.slots
        found[target if known else names.get(target, target)] = slots
    return found

  def _update(self, name: str, new: np.ndarray, mine: np.ndarray) -> Pair:
    return Pair(
      name,
      new,
      mine,
      before=self._before[name],
      extra=self.uncertainty.extra.get(name),
    )

  def _compare_variables(
    self,
    after: Mapping[str, np.ndarray],
    second: Step,
    wanted: Callable[[str], bool],
  ) -> list[values.ValueComparison]:
    pairs = [
      self._update(name, new, second.variables[name])
      for name, new in after.items()
      if wanted(name)
    ]
    found = pairs_lib.compare(pairs, self._tolerance)
    return [
      c
      if c.passed or c.problem
      else dataclasses.replace(
        c,
        note=change_of(
          self._before[c.name], after[c.name], second.variables[c.name]
        ),
      )
      for c in found
    ]


def _losses(first: Step, second: Step) -> list[Pair]:
  if first.loss is None or second.loss is None:
    return []
  return [Pair('loss', first.loss, second.loss)]


def _compare_rates(
  updates: Iterable[tuple[Update, Update]], tolerance: tolerances.Tolerance
) -> list[values.ValueComparison]:
  if tolerance.rtol is None:
    tolerance = dataclasses.replace(tolerance, rtol=_RATE_RTOL, atol=0.0)
  return pairs_lib.compare(
    (
      Pair(
        name_of(Quantity.LEARNING_RATE, a),
        np.asarray(a.learning_rate, np.float32),
        np.asarray(b.learning_rate, np.float32),
      )
      for a, b in updates
      if a.learning_rate is not None and b.learning_rate is not None
    ),
    tolerance,
  )


def _compare_counters(
  updates: Iterable[tuple[Update, Update]],
) -> list[values.ValueComparison]:
  return pairs_lib.compare(
    (
      Pair(
        name_of(Quantity.STEP_COUNTER, a),
        np.asarray(a.step, np.int64),
        np.asarray(b.step, np.int64),
      )
      for a, b in updates
      if a.step is not None and b.step is not None
    ),
    tolerances.Tolerance(0, 0),
  )


def name_of(quantity: Quantity, update: Update) -> str:
  """Returns how what an optimizer has is called."""
  return f'{quantity.value} of {update.optimizer.name}'


def change_of(
  before: np.ndarray, after: np.ndarray, mine_after: np.ndarray
) -> values.Change | None:
  """Returns how the two sides' changes of a variable are related.

  Args:
    before: the variable before the step.
    after: the variable of TF1 after it.
    mine_after: that of TF2.
  """
  before = np.asarray(before, np.float64)
  change = np.asarray(after, np.float64) - before
  mine = np.asarray(mine_after, np.float64) - before
  largest = float(np.max(np.abs(change), initial=0.0))
  largest_mine = float(np.max(np.abs(mine), initial=0.0))
  if not np.any(mine) or not np.any(change):
    return values.Change(largest, largest_mine)
  factor = float(np.sum(mine * change) / np.sum(change * change))
  rest = float(np.max(np.abs(mine - factor * change)))
  is_multiple = rest <= 1e-2 * abs(factor) * largest
  if is_multiple and abs(factor - 1) > 1e-2:
    return values.Change(largest, largest_mine, factor)
  return None
