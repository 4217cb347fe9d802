"""Judges free training: at which step TF2 leaves the envelope of TF1."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import envelopes, judge_forward, vacuity
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.core import curves, observation
from tf_equiv.core import plan as plan_lib

LOSS = 'loss'
GRADIENTS = 'norm of the gradients'
WEIGHTS = 'norm of the trained weights'
CHANGE = 'distance of the trained weights from their start'
UNTRAINED = 'distance of the other variables from their start'
RATE = 'learning rate'

# What slots mean whose decay is close to one.
_MOMENTS = 'second moment'

# A quantity of one training, None where it has none.
_Values = np.ndarray | None


def judge_curves(
  assertion: str,
  plan: plan_lib.RunPlan,
  sides: tuple[observation.Observation, observation.Observation],
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
  factor: float = envelopes.FACTOR,
) -> Outcome:
  """Judges the curves of two observations.

  Args:
    assertion: name of the assertion.
    plan: what was run.
    sides: the reference and the candidate, each with its `curves`.
    pairing: how the variables correspond.
    criteria: what may differ at least, and what counts as a pass.
    factor: TF2 may differ by so many times what TF1 differs from itself by.

  Returns:
    The outcome.
  """
  tf1, tf2 = sides
  outcome = judge_forward.judge_comparable(
    assertion, plan, tf1, tf2, pairing, criteria
  )
  if not outcome.passed or tf1.curves is None or tf2.curves is None:
    return outcome
  found = compare(tf1.curves, tf2.curves.base, pairing, criteria, factor)
  found = dataclasses.replace(found, start_step=plan.start_step)
  outcome = dataclasses.replace(
    outcome,
    compared={
      **outcome.compared,
      'steps': found.steps,
      'curves': len(found.series),
    },
    curves=found,
  )
  kind = _kind_of(found, criteria)
  outcome = dataclasses.replace(outcome, kind=kind)
  if not outcome.passed:
    return outcome
  return judge_forward.require_meaning(
    outcome, [], _find_vacuity(found), criteria
  )


def _kind_of(found: envelopes.Found, criteria: criteria_lib.Criteria) -> Kind:
  if not found.series:
    return Kind.NO_UPDATES
  if found.leaves is not None or found.of_tf2_alone is not None:
    return Kind.CURVES
  if found.of_tf1 is not None and not criteria.tolerance.equal_nan:
    return Kind.CURVES
  moved = [each.tf1 for each in found.series if each.name == CHANGE]
  if moved and not np.any(moved[0]) and not criteria.allow_empty:
    return Kind.NO_UPDATES
  return Kind.PASS


def _find_vacuity(found: envelopes.Found) -> vacuity.Vacuity | None:
  by_name = {each.name: each.tf1 for each in found.series}
  gradients = by_name.get(GRADIENTS)
  if gradients is not None and not np.any(gradients):
    return vacuity.Vacuity(vacuity.Reason.ZERO_GRADIENTS, count=found.steps)
  loss = by_name.get(LOSS)
  if loss is not None and len(loss) > 1 and np.all(loss == loss[0]):
    return vacuity.Vacuity(
      vacuity.Reason.EQUAL_LOSSES, value=loss[0], count=len(loss)
    )
  return None


def compare(
  tf1: curves.Curves,
  tf2: curves.Curve,
  pairing: pairing_lib.Pairing,
  criteria: criteria_lib.Criteria,
  factor: float = envelopes.FACTOR,
) -> envelopes.Found:
  """Compares a training of TF2 with those of TF1.

  Args:
    tf1: the trainings of TF1.
    tf2: the training of TF2.
    pairing: how the variables correspond.
    criteria: what may differ at least.
    factor: how many times the spread of TF1 is allowed.

  Returns:
    What they show.
  """
  extractor = _Extractor(tf1.base, tf2, pairing)
  names = extractor.names()
  base = {name: extractor.of_tf1(tf1.base, name) for name in names}
  nudged = [
    {name: extractor.of_tf1(each, name) for name in names}
    for each in tf1.nudged
  ]
  series = []
  for name in names:
    values, other = base[name], extractor.of_tf2(name)
    if values is None or other is None:
      continue
    spread = envelopes.spread_of(
      values, [x for x in (each[name] for each in nudged) if x is not None]
    )
    rounding = None
    if name in (CHANGE, UNTRAINED):
      rounding = envelopes.rounding_of(extractor.size(name))
    series.append(
      envelopes.Series(
        name,
        values,
        other,
        spread,
        envelopes.envelope(
          values,
          spread,
          factor,
          criteria.with_slack(extractor.slack(name)).tolerance,
          rounding,
        ),
      )
    )
  found = envelopes.Found(tuple(series), len(tf1.nudged), factor)
  if not series:
    return found
  # What tells most of how predictable training is: the loss, if there is one.
  lead = next((s for s in series if s.name == LOSS), None) or next(
    (s for s in series if not s.name.startswith(RATE)), series[0]
  )
  repeats, repeated = 0.0, 0
  if tf1.again is not None:
    again = extractor.of_tf1(tf1.again, lead.name)
    if again is not None:
      repeats, repeated = _apart(lead.tf1[: len(again)], again), len(again)
  return dataclasses.replace(
    found,
    horizon=envelopes.horizon_of(lead.tf1, lead.spread),
    leaves=envelopes.leaves(series),
    not_finite=tuple(
      n
      for s in series
      for side, curve in (('TF1', s.tf1), ('TF2', s.tf2))
      for n in envelopes.first_not_finite(s.name, side, curve)
    ),
    repeats=repeats,
    repeated=repeated,
  )


def _apart(first: np.ndarray, second: np.ndarray) -> float:
  """Returns the largest difference over the largest value."""
  with np.errstate(invalid='ignore'):
    apart = np.abs(first - second)
  apart = apart[np.isfinite(apart)]
  size = np.abs(first[np.isfinite(first)])
  if not apart.size or not np.any(apart):
    return 0.0
  return float(np.max(apart) / (np.max(size) if np.any(size) else 1.0))


class _Extractor:
  """Takes the compared quantities from curves, in their order."""

  def __init__(
    self, tf1: curves.Curve, tf2: curves.Curve, pairing: pairing_lib.Pairing
  ):
    self._tf1, self._tf2 = tf1.values, tf2.values
    table = pairing.table
    self._pairs = [(a.name, b.name) for a, b in table.pairs]
    trained = [(a.name, b.name) for a, b in table.pairs if a.trainable]
    others = [(a.name, b.name) for a, b in table.pairs if not a.trainable]
    self._of = {
      GRADIENTS: (curves.GRADIENTS, trained),
      CHANGE: (curves.CHANGE, trained),
      WEIGHTS: (curves.WEIGHTS, trained),
      UNTRAINED: (curves.CHANGE, others),
    }
    for kind in self._tf1:
      # The average of what is converted with an offset has that, too.
      average = kind == curves.SLOTS + observation.MOVING_AVERAGE
      if kind.startswith(curves.SLOTS) and not (
        average and _has_offset(pairing)
      ):
        self._of[_slot_name(kind)] = (kind, trained)
    if _has_offset(pairing):
      del self._of[WEIGHTS]
    self._rates = self._find_rates()

  def names(self) -> list[str]:
    """Returns the names of all quantities, causes before effects."""
    slots = [n for n, (kind, _) in self._of.items() if curves.SLOTS in kind]
    outputs = [
      _output_name(path)
      for path in self._tf1.get(curves.OUTPUTS, {})
      if path in self._tf2.get(curves.OUTPUTS, {})
    ]
    later = [n for n in (CHANGE, WEIGHTS, UNTRAINED) if n in self._of]
    return [*self._rates, LOSS, *outputs, GRADIENTS, *sorted(slots), *later]

  def of_tf1(self, curve: curves.Curve, name: str) -> _Values:
    """Returns a quantity of a training of TF1."""
    return self._take(curve.values, name, 0)

  def of_tf2(self, name: str) -> _Values:
    """Returns a quantity of the training of TF2."""
    return self._take(self._tf2, name, 1)

  def slack(self, name: str) -> float:
    """Returns by how much wider the default tolerance of a quantity is."""
    if name in self._of and self._of[name][0].startswith(curves.SLOTS):
      return envelopes.SLOT_SLACK
    if name in self._rates:
      return 1.0
    found = [1.0]
    if name in (CHANGE, UNTRAINED):
      found.append(envelopes.CHANGE_SLACK)
    if any(_MOMENTS in kind for kind in self._tf1):
      found.append(envelopes.MOMENTS_SLACK)
    return max(found)

  def size(self, name: str) -> np.ndarray:
    """Returns the norm of the variables whose change a quantity is."""
    _, pairs = self._of[name]
    found = _norm(self._tf1.get(curves.WEIGHTS, {}), _side(pairs, 0))
    return np.zeros(0) if found is None else found

  def _take(
    self, values: Mapping[str, Mapping[str, np.ndarray]], name: str, side: int
  ) -> _Values:
    if name == LOSS:
      return values.get(curves.LOSS, {}).get('')
    if name in self._rates:
      return values.get(curves.RATES, {}).get(self._rates[name][side])
    if name in self._of:
      kind, pairs = self._of[name]
      both = [
        pair
        for pair in pairs
        if pair[0] in self._tf1.get(kind, {})
        and pair[1] in self._tf2.get(kind, {})
      ]
      return _norm(values.get(kind, {}), _side(both, side))
    outputs = values.get(curves.OUTPUTS, {})
    return next(
      (v for p, v in outputs.items() if _output_name(p) == name), None
    )

  def _find_rates(self) -> dict[str, tuple[str, str]]:
    """Returns for each learning rate a variable that it trains, of each side.

    Rates that are the same on both sides for several variables are one.
    """
    of_tf1 = self._tf1.get(curves.RATES, {})
    of_tf2 = self._tf2.get(curves.RATES, {})
    found: list[tuple[str, str]] = []
    for first, second in self._pairs:
      if first not in of_tf1 or second not in of_tf2:
        continue
      if not any(
        _same(of_tf1[first], of_tf1[a]) and _same(of_tf2[second], of_tf2[b])
        for a, b in found
      ):
        found.append((first, second))
    if len(found) == 1:
      return {RATE: found[0]}
    return {f'{RATE} of {second}': (first, second) for first, second in found}


def _same(first: np.ndarray, second: np.ndarray) -> bool:
  return bool(np.array_equal(first, second, equal_nan=True))


def _slot_name(kind: str) -> str:
  return f'norm of the slots ({kind[len(curves.SLOTS) :]})'


def _output_name(path: str) -> str:
  return f'outputs{path}'


def _side(pairs: Iterable[tuple[str, str]], side: int) -> list[str]:
  return list(dict.fromkeys(pair[side] for pair in pairs))


def _norm(squares: Mapping[str, np.ndarray], names: Iterable[str]) -> _Values:
  """Returns the global norm of some variables, None if there are none."""
  found = [squares[name] for name in names if name in squares]
  if not found:
    return None
  total: np.ndarray = np.sqrt(np.sum(np.stack(found), axis=0))
  return total


def _has_offset(pairing: pairing_lib.Pairing) -> bool:
  """Returns whether some conversion adds a constant, as a forget bias is."""
  zeros = {}
  for spec, _ in pairing.table.pairs:
    if all(size is not None for size in spec.shape):
      shape = [int(size or 0) for size in spec.shape]
      zeros[spec.name] = np.zeros(shape, np.float64)
  return any(np.any(value) for value in pairing.carry(zeros).values())
