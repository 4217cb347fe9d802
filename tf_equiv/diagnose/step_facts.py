"""Numbers of a training step that differs, for the rules."""

from typing import TypeAlias

import numpy as np

from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import step_pairs
from tf_equiv.compare.outcome import Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import facts

_FIRST = 'first moment'
_Sides: TypeAlias = tuple[
  observation.StepObservation, observation.StepObservation
]
# How variables correspond, and their values before the step, by TF2 name.
_Start: TypeAlias = tuple[pairing_lib.Pairing, facts.Arrays]


def of(
  outcome: Outcome, plan: plan_lib.RunPlan, sides: _Sides, start: _Start
) -> facts.Updates | facts.FirstMoments | facts.ScalarLosses | None:
  """Returns what rules are to look at where a training step differs.

  Args:
    outcome: what differs.
    plan: what was run.
    sides: the step on both sides.
    start: how the variables correspond, and where the step starts.

  Returns:
    The record, None where there is none for what differs first.
  """
  key = outcome.failing()[0]
  if key.quantity is Quantity.VARIABLES:
    return _updates(outcome, key, sides, start)
  if key.quantity is Quantity.SLOTS and key.slot == _FIRST:
    return _first_moments(outcome, key, sides, start)
  if key.quantity is Quantity.OUTPUTS and sides[0].loss is None:
    return _losses(outcome, key, plan, sides, start)
  return None


def were_compared(outcome: Outcome, name: str) -> tuple[bool, bool]:
  """Returns whether gradients and learning rate of a variable were compared.

  Args:
    outcome: what differs.
    name: the TF2 variable.
  """
  step = outcome.failing()[0].step
  found = {
    key.quantity: pairs
    for key, pairs in outcome.comparisons.items()
    if key.step == step
  }
  gradients = found.get(Quantity.GRADIENTS, ())
  return (
    any(c.name == name and c.passed for c in gradients),
    bool(found.get(Quantity.LEARNING_RATE)),
  )


def _updates(
  outcome: Outcome, key: Key, sides: _Sides, start: _Start
) -> facts.Updates | None:
  pairing, before = start
  after = pairing.carry(sides[0].variables)
  names = [c.name for c in outcome.failed(key) if not c.problem]
  compared = [were_compared(outcome, name) for name in names]
  if not names or not all(of_gradient for of_gradient, _ in compared):
    return None
  pair = next(
    (
      (a, b)
      for a, b in step_pairs.paired_updates(pairing.table, *sides)
      if set(names) <= set(b.gradients)
    ),
    None,
  )
  if pair is None:
    return None
  rate = pair[0].learning_rate if all(known for _, known in compared) else None
  return facts.Updates(
    key.step or 1,
    before,
    {n: _change(after[n], before[n]) for n in names},
    {n: _change(sides[1].variables[n], before[n]) for n in names},
    None if rate is None else float(rate),
    (pair[0].optimizer.name, pair[1].optimizer.name),
    (pair[0].optimizer.hyperparameters, pair[1].optimizer.hyperparameters),
    len(outcome.comparisons[key]) - len(names),
  )


def _change(after: np.ndarray, before: np.ndarray) -> np.ndarray:
  return np.asarray(after, np.float64) - np.asarray(before, np.float64)


def _first_moments(
  outcome: Outcome, key: Key, sides: _Sides, start: _Start
) -> facts.FirstMoments | None:
  pairing, before = start
  renamed = pairing.slots_in_tf2(sides[0])
  found = {
    renamed.get(meaning, meaning): slots
    for meaning, slots in sides[0].slots.items()
  }
  slots = found.get(key.slot)
  if slots is None:
    return None
  of_tf1 = pairing.carry_linear(slots)
  names = [c.name for c in outcome.failed(key) if c.name in of_tf1]
  betas = [
    update.optimizer.hyperparameters.get('beta_1')
    for side in sides
    for update in side.updates
  ]
  return facts.FirstMoments(
    before,
    {name: of_tf1[name] for name in names},
    {name: sides[1].slots[key.slot][name] for name in names},
    next((b for b in betas if isinstance(b, float)), None),
  )


def _losses(
  outcome: Outcome,
  key: Key,
  plan: plan_lib.RunPlan,
  sides: _Sides,
  start: _Start,
) -> facts.ScalarLosses | None:
  names = [c.name for c in outcome.failed(key)]
  paths = [dict(side.outputs) for side in sides]
  by_name = [
    {'outputs' + path: value for path, value in of_side.items()}
    for of_side in paths
  ]
  if not all(
    name in of_side and np.size(of_side[name]) == 1
    for name in names
    for of_side in by_name
  ):
    return None
  sizes = {
    int(np.shape(array)[0])
    for _, array in nest.flatten(plan.inputs)
    if np.ndim(array)
  }
  return facts.ScalarLosses(
    [name[len('outputs') :].strip("[]'") for name in names],
    [float(np.ravel(by_name[0][name])[0]) for name in names],
    [float(np.ravel(by_name[1][name])[0]) for name in names],
    sorted(sizes - {1}),
    _factor(*step_pairs.single_gradients(start[0], *sides)),
  )


def _factor(first: facts.Arrays, second: facts.Arrays) -> float | None:
  """Returns what all gradients of TF2 are times those of TF1."""
  common = [n for n in first if n in second]
  if not common:
    return None
  a, b = (
    np.concatenate([np.ravel(side[n]).astype(np.float64) for n in common])
    for side in (first, second)
  )
  power = float(np.sum(a * a))
  factor = float(np.sum(a * b)) / power if power else 0.0
  if not factor or np.max(np.abs(b - factor * a)) > 1e-3 * np.max(np.abs(b)):
    return None
  return factor
