"""The updates of optimizers as formulas, to try what repairs them.

A formula is believed only where it gives the values that were observed on both
sides, each with its own hyperparameters.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_equiv.compare import divergence, optimizers, repairs, step_pairs
from tf_equiv.compare import steps as steps_lib
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.compare.optimizers import OptimizerDifference
from tf_equiv.compare.outcome import Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.compare.repairs import Change, ChangeKind
from tf_equiv.core import observation
from tf_equiv.diagnose import first_look_run, update_location
from tf_equiv.diagnose.repairs import arguments
from tf_equiv.diagnose.rules import table as rules

# What float32 may round an update by, over the largest change.
_RTOL = 1e-3
# What a hyperparameter must change an update by to have a part in it.
_MOVES = 1e-9

# Groups of the places.
RATES = Quantity.LEARNING_RATE.value
HYPERPARAMETERS = 'hyperparameters'
# They are told by the data, and come last.
OF_OPTIMIZERS = (RATES, HYPERPARAMETERS)

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _State:
  """What an update of a variable is made of.

  Attributes:
    gradient: the gradient.
    slots: the slots before the update, by what they mean.
    step: number of the update, counted from 1.
  """

  gradient: np.ndarray
  slots: Arrays
  step: int


_Numbers = Mapping[str, Any]


def _descent(state: _State, rate: float, numbers: _Numbers) -> np.ndarray:
  del numbers
  return -rate * state.gradient


def _momentum(state: _State, rate: float, numbers: _Numbers) -> np.ndarray:
  momentum = numbers['momentum']
  total = momentum * state.slots.get('momentum', 0.0) + state.gradient
  if numbers.get('nesterov'):
    return -rate * (state.gradient + momentum * total)
  return -rate * total


def _adam(state: _State, rate: float, numbers: _Numbers) -> np.ndarray:
  first, second = numbers['beta_1'], numbers['beta_2']
  mean = state.slots.get('first moment', 0.0)
  square = state.slots.get('second moment', 0.0)
  mean = first * mean + (1 - first) * state.gradient
  square = second * square + (1 - second) * np.square(state.gradient)
  rate *= np.sqrt(1 - second**state.step) / (1 - first**state.step)
  return -rate * mean / (np.sqrt(square) + numbers['epsilon'])


def _rmsprop(state: _State, rate: float, numbers: _Numbers) -> np.ndarray:
  if numbers.get('momentum') or numbers.get('centered'):
    raise KeyError('not known')
  rho = numbers['rho']
  square = state.slots['mean square']
  square = rho * square + (1 - rho) * np.square(state.gradient)
  return -rate * state.gradient / np.sqrt(square + numbers['epsilon'])


_FORMULAS: dict[str, Callable[[_State, float, _Numbers], np.ndarray]] = {
  'gradient descent': _descent,
  'momentum': _momentum,
  'adam': _adam,
  'rmsprop': _rmsprop,
}


@dataclasses.dataclass(frozen=True)
class _Side:
  """An update of one side in a step, with what it started from."""

  kind: str
  rate: float
  numbers: _Numbers
  gradients: Arrays
  slots: Mapping[str, Arrays]
  before: Arrays
  after: Arrays
  step: int

  def changes(self, rate: float, numbers: _Numbers) -> Arrays:
    """Returns what a formula changes each variable by.

    Args:
      rate: learning rate that is tried.
      numbers: hyperparameters that are tried.
    """
    found = {}
    for name, gradient in self.gradients.items():
      slots = {
        meaning: np.asarray(of[name], np.float64)
        for meaning, of in self.slots.items()
        if name in of
      }
      state = _State(np.asarray(gradient, np.float64), slots, self.step)
      found[name] = _FORMULAS[self.kind](state, rate, numbers)
    return found

  def misses(self) -> float:
    """Returns how far the formula is from what was observed, relatively."""
    seen = {
      name: np.asarray(self.after[name], np.float64)
      - np.asarray(self.before[name], np.float64)
      for name in self.gradients
    }
    return _apart(self.changes(self.rate, self.numbers), seen) / self.scale()

  def scale(self) -> float:
    """Returns the largest change of a variable."""
    return max(
      (
        float(np.max(np.abs(self.after[n] - self.before[n]), initial=0.0))
        for n in self.gradients
      ),
      default=0.0,
    ) or float('nan')


def _apart(first: Arrays, second: Arrays) -> float:
  return max(
    float(np.max(np.abs(first[name] - second[name]), initial=0.0))
    for name in first
  )


def places(
  outcome: Outcome, run: first_look_run.Run
) -> list[divergence.Divergence]:
  """Returns what differs about learning rates and optimizers, as places.

  Args:
    outcome: of training steps.
    run: what both sides did.
  """
  return [*_rates(outcome, run), *_hyperparameters(outcome, run)]


def _rates(
  outcome: Outcome, run: first_look_run.Run
) -> list[divergence.Divergence]:
  """Returns the learning rates that differ, each at its first step."""
  found: dict[str, divergence.Divergence] = {}
  table = run.pairing.table
  for i, groups in enumerate(outcome.steps):
    counters = groups.get(Key(Quantity.STEP_COUNTER, i + 1), ())
    key = Key(Quantity.LEARNING_RATE, i + 1)
    sides = run.tf1.steps[i], run.tf2.steps[i]
    for compared in groups.get(key, ()):
      if compared.passed or compared.name in found:
        continue
      place = update_location.locate(
        Quantity.LEARNING_RATE, compared.name, sides, table
      )
      if place is None:
        continue
      rates = float(compared.tf1_value), float(compared.tf2_value)
      place.group = RATES
      place.differences.append(
        Difference(
          Kind.HYPERPARAMETER,
          'learning_rate',
          *rates,
          detail=f'at step {i + 1}' if i else '',
        )
      )
      pair = next(
        (
          pair
          for pair in step_pairs.paired_updates(table, *sides)
          if steps_lib.name_of(Quantity.LEARNING_RATE, pair[0]) == compared.name
        ),
        None,
      )
      if pair is not None and _explains(run, i, pair, 'learning_rate'):
        place.tried = True
        line = '' if place.tf2 is None else arguments.line_of(place.tf2.line)
        place.repair = repairs.Repair(
          (Change(ChangeKind.RATE, pair[1].optimizer.name, '', *rates),),
          0.0,
          'learning_rate' if _is_constant(outcome, compared.name) else '',
          rates[0],
          line,
        )
      found[compared.name] = place
    if not all(compared.passed for compared in counters):
      break  # The rates that follow are those of other steps.
  return list(found.values())


def _is_constant(outcome: Outcome, name: str) -> bool:
  """Returns whether a learning rate is the same in all steps, on both sides."""
  pairs = {
    (float(compared.tf1_value), float(compared.tf2_value))
    for i, groups in enumerate(outcome.steps)
    for compared in groups.get(Key(Quantity.LEARNING_RATE, i + 1), ())
    if compared.name == name
  }
  return len(pairs) == 1


def _hyperparameters(
  outcome: Outcome, run: first_look_run.Run
) -> list[divergence.Divergence]:
  """Returns each hyperparameter in which optimizers differ."""
  table, found = run.pairing.table, []
  for each in outcome.evidence_of(OptimizerDifference):
    sides = run.tf1.steps[0], run.tf2.steps[0]
    place = update_location.locate_optimizers(each, sides, table)
    if place is None:
      continue
    differs = each.difference
    place.group = HYPERPARAMETERS
    place.differences.append(
      Difference(
        Kind.HYPERPARAMETER, differs.name, differs.tf1_value, differs.tf2_value
      )
    )
    place.mistake = rules.recognize(each)
    last = len(run.tf1.steps) - 1
    pair = next(
      (
        pair
        for pair in step_pairs.paired_updates(
          table, run.tf1.steps[last], run.tf2.steps[last]
        )
        if (pair[0].optimizer.name, pair[1].optimizer.name)
        == (each.tf1, each.tf2)
      ),
      None,
    )
    if pair is not None and _explains(run, last, pair, differs.name):
      place.tried, place.repair = True, _repair(place, each)
    found.append(place)
  return found


def _repair(
  place: divergence.Divergence, each: OptimizerDifference
) -> repairs.Repair:
  differs = each.difference
  return repairs.Repair(
    (
      Change(
        ChangeKind.HYPERPARAMETER,
        each.tf2,
        differs.name,
        differs.tf1_value,
        differs.tf2_value,
      ),
    ),
    0.0,
    differs.name,
    differs.tf1_value,
    '' if place.tf2 is None else arguments.line_of(place.tf2.line),
  )


def _known(
  pair: tuple[observation.UpdateObservation, observation.UpdateObservation],
) -> bool:
  kinds = [optimizers.kind_of(update.optimizer) for update in pair]
  return kinds[0] == kinds[1] and kinds[0] in _FORMULAS


def _explains(
  run: first_look_run.Run,
  index: int,
  pair: tuple[observation.UpdateObservation, observation.UpdateObservation],
  name: str,
) -> bool:
  """Returns whether TF2's updates become TF1's with numbers of TF1.

  With all of them the formula must give the values of TF1, with those of TF2
  the values of TF2; and the one that is asked for must have a part in it.

  Args:
    run: what both sides did.
    index: number of the step.
    pair: the update on both sides.
    name: the number that is asked for.
  """
  if not _known(pair):
    return False
  try:
    sides = [_side(run, index, pair, i) for i in (0, 1)]
    first, second = sides
    if not first.gradients or not second.gradients:
      return False
    if not all(side.misses() <= _RTOL for side in sides):
      return False
    rate, numbers = first.rate, dict(first.numbers)
    if name == 'learning_rate':
      rate = second.rate
    else:
      numbers[name] = second.numbers[name]
    right = first.changes(first.rate, first.numbers)
    wrong = first.changes(rate, numbers)
    return _apart(right, wrong) > _MOVES * first.scale()
  except (KeyError, TypeError, ValueError):
    return False


def _side(
  run: first_look_run.Run,
  index: int,
  pair: tuple[observation.UpdateObservation, observation.UpdateObservation],
  which: int,
) -> _Side:
  """Returns an update with what it started from, in the names of TF2."""
  pairing, update = run.pairing, pair[which]
  first, second = run.tf1.steps[index], run.tf2.steps[index]
  gradients = step_pairs.single_gradients(pairing, first, second)[which]
  before: Arrays = pairing.carry(run.tf1.weight_of())
  slots: dict[str, Arrays] = {}
  if index:
    earlier = run.tf1.steps[index - 1]
    before = {**before, **pairing.carry(earlier.variables)}
    slots = {
      meaning: pairing.carry_linear(of)
      for meaning, of in earlier.slots.items()
      if meaning != observation.MOVING_AVERAGE
    }
  elif optimizers.kind_of(update.optimizer) == 'rmsprop':
    slots = {'mean square': {n: np.ones_like(x) for n, x in before.items()}}
  after = (
    pairing.carry(first.variables) if not which else dict(second.variables)
  )
  trained = set(pair[1].gradients)
  rate = update.learning_rate
  if rate is None:
    raise ValueError('the learning rate is not known')
  return _Side(
    optimizers.kind_of(update.optimizer),
    float(rate),
    update.optimizer.hyperparameters,
    {
      name: x
      for name, x in gradients.items()
      if name in trained and name in before and name in after
    },
    slots,
    before,
    after,
    index + 1,
  )
