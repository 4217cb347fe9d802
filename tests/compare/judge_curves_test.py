"""Tests of the judgement of free training, on hand-made curves."""

import dataclasses

import numpy as np
from absl.testing import absltest

from tests.compare import step_cases
from tf_equiv.compare import criteria, judge_curves, tolerances
from tf_equiv.compare.outcome import Kind
from tf_equiv.compare.vacuity import Reason
from tf_equiv.core import curves

_STEPS = 20
_PLAN = dataclasses.replace(step_cases.PLAN, free_runs=2)


def _curve(**changes):
  """Returns a training; arguments multiply kinds, step by step."""
  steps = np.arange(1, _STEPS + 1)
  values = {
    curves.LOSS: {'': 2.0 / steps},
    curves.RATES: {'w': np.full(_STEPS, 0.1), 'v': np.full(_STEPS, 0.1)},
    curves.GRADIENTS: {'w': 1.0 / steps, 'v': 2.0 / steps},
    curves.SLOTS + 'momentum': {'w': 3.0 / steps, 'v': 1.0 / steps},
    curves.CHANGE: {
      'w': 0.1 * steps,
      'v': 0.2 * steps,
      'bn/moving_mean': 0.3 * steps,
    },
    curves.WEIGHTS: {
      'w': np.full(_STEPS, 4.0),
      'v': np.full(_STEPS, 5.0),
      'bn/moving_mean': np.ones(_STEPS),
    },
  }
  kinds = {
    'loss': curves.LOSS,
    'rate': curves.RATES,
    'gradients': curves.GRADIENTS,
    'slots': curves.SLOTS + 'momentum',
    'change': curves.CHANGE,
    'weights': curves.WEIGHTS,
  }
  for name, factor in changes.items():
    by_name = values[kinds[name]]
    values[kinds[name]] = {n: v * factor for n, v in by_name.items()}
  return curves.Curve(values)


def _late(factor, step=10):
  """Returns a factor that holds from a step on, counted from 0."""
  return np.where(np.arange(_STEPS) >= step, factor, 1.0)


def _judge(tf2, nudged=(), again=None, convert=None, base=None, **options):
  first, second = step_cases.sides()
  first.curves = curves.Curves(
    _curve() if base is None else base,
    list(nudged) or [_curve(), _curve()],
    again,
  )
  second.curves = curves.Curves(tf2)
  pairing = step_cases.pair(first, second)
  if convert is not None:
    pairing = dataclasses.replace(pairing, convert=convert)
  return judge_curves.judge_curves(
    'assertX', _PLAN, (first, second), pairing, criteria.Criteria(**options)
  )


class JudgeTest(absltest.TestCase):
  def test_pass(self):
    found = _judge(_curve())
    self.assertIs(found.kind, Kind.PASS)
    self.assertEqual(found.curves.steps, _STEPS)
    self.assertEqual(found.curves.horizon, _STEPS)
    self.assertEqual(
      [each.name for each in found.curves.series],
      [
        'learning rate',
        'loss',
        'norm of the gradients',
        'norm of the slots (momentum)',
        'distance of the trained weights from their start',
        'norm of the trained weights',
        'distance of the other variables from their start',
      ],
    )

  def test_each_quantity_is_found_at_its_step(self):
    for kind, name in (
      ('loss', 'loss'),
      ('rate', 'learning rate'),
      ('gradients', 'norm of the gradients'),
      ('slots', 'norm of the slots (momentum)'),
      ('change', 'distance of the trained weights from their start'),
      ('weights', 'norm of the trained weights'),
    ):
      found = _judge(_curve(**{kind: _late(1.01)}))
      self.assertIs(found.kind, Kind.CURVES, kind)
      self.assertEqual(found.curves.leaves.step, 10)
      self.assertEqual(found.curves.leaves.series.name, name)

  def test_norms_are_of_all_variables(self):
    (series,) = [
      each
      for each in _judge(_curve()).curves.series
      if each.name == 'norm of the gradients'
    ]
    self.assertAlmostEqual(series.tf1[0], 3.0**0.5)

  def test_what_tf1_differs_from_itself_by_is_allowed(self):
    nudged = [_curve(loss=_late(1.001)), _curve(loss=_late(0.999))]
    found = _judge(_curve(loss=_late(1.005)), nudged)
    self.assertIs(found.kind, Kind.PASS)
    self.assertEqual(found.curves.horizon, 10)
    found = _judge(_curve(loss=_late(1.05)), nudged)
    self.assertIs(found.kind, Kind.CURVES)

  def test_the_rate_is_the_cause_of_the_loss(self):
    tf2 = _curve(rate=_late(2.0), loss=_late(1.5))
    leaves = _judge(tf2).curves.leaves
    self.assertEqual(leaves.series.name, 'learning rate')
    self.assertEqual(leaves.also, ('loss',))

  def test_rates_of_several_optimizers(self):
    base, tf2 = _curve(), _curve()
    base.values[curves.RATES]['v'] = np.full(_STEPS, 0.5)
    tf2.values[curves.RATES]['v'] = np.full(_STEPS, 0.6)
    found = _judge(tf2, [base], base=base)
    self.assertEqual(found.curves.leaves.series.name, 'learning rate of v')
    self.assertEqual(found.curves.leaves.step, 0)

  def test_rounding_of_a_tiny_change_of_large_weights(self):
    # The change is 1e-4 of the weights, and known to 1e-3 of itself.
    tiny = dict(change=1e-10 * np.ones(_STEPS))
    tf2 = _curve(**tiny)
    for by_name in (tf2.values[curves.CHANGE],):
      for name in by_name:
        by_name[name] = by_name[name] * (1 + 1e-3) ** 2
    base = _curve(**tiny)
    self.assertIs(_judge(tf2, [base], base=base).kind, Kind.PASS)

  def test_an_offset_leaves_out_the_norm_of_the_weights(self):
    found = _judge(
      _curve(weights=np.full(_STEPS, 2.0)),
      convert=lambda name, value, other: value + 1.0,
    )
    self.assertIs(found.kind, Kind.PASS)
    self.assertNotIn(
      'norm of the trained weights', [s.name for s in found.curves.series]
    )

  def test_nan_of_tf2_alone(self):
    found = _judge(_curve(loss=_late(np.nan, 4)))
    self.assertIs(found.kind, Kind.CURVES)
    self.assertIsNone(found.curves.leaves)
    self.assertEqual(found.curves.of_tf2_alone.step, 4)

  def test_nan_of_tf1_itself(self):
    base = _curve(loss=_late(np.nan, 4))
    options = dict(base=base, nudged=[base])
    found = _judge(base, **options)
    self.assertIs(found.kind, Kind.CURVES)
    self.assertIsNone(found.curves.of_tf2_alone)
    self.assertEqual(found.curves.of_tf1.step, 4)
    found = _judge(
      base, tolerance=tolerances.Tolerance(equal_nan=True), **options
    )
    self.assertIs(found.kind, Kind.PASS)

  def test_a_reference_that_does_not_repeat_itself(self):
    again = curves.Curve({curves.LOSS: {'': np.array([2.0, 1.1, 2.0 / 3])}})
    found = _judge(_curve(), again=again)
    self.assertAlmostEqual(found.curves.repeats, 0.05)
    self.assertEqual(found.curves.repeated, 3)
    again = curves.Curve({curves.LOSS: {'': np.array([2.0, 1.0, 2.0 / 3])}})
    self.assertEqual(_judge(_curve(), again=again).curves.repeats, 0.0)

  def test_vacuous(self):
    zero = _curve(gradients=np.zeros(_STEPS))
    found = _judge(zero, [zero], base=zero)
    self.assertIs(found.kind, Kind.VACUOUS)
    self.assertIs(found.vacuity.reason, Reason.ZERO_GRADIENTS)
    found = _judge(zero, [zero], base=zero, allow_vacuous=True)
    self.assertIs(found.kind, Kind.PASS)
    same = _curve(loss=np.arange(1, _STEPS + 1))
    found = _judge(same, [same], base=same)
    self.assertIs(found.vacuity.reason, Reason.EQUAL_LOSSES)

  def test_nothing_moves(self):
    still = _curve(change=np.zeros(_STEPS))
    found = _judge(still, [still], base=still)
    self.assertIs(found.kind, Kind.NO_UPDATES)

  def test_rounding_of_the_decay_of_second_moments(self):
    sides = [_curve(), _curve(loss=_late(1 + 4e-5))]
    self.assertIs(_judge(sides[1], base=sides[0]).kind, Kind.CURVES)
    for side in sides:
      side.values[curves.SLOTS + 'second moment'] = {'w': np.ones(_STEPS)}
    self.assertIs(_judge(sides[1], [sides[0]], base=sides[0]).kind, Kind.PASS)
    late = _curve(loss=_late(1 + 6e-5))
    self.assertIs(_judge(late, [sides[0]], base=sides[0]).kind, Kind.CURVES)

  def test_a_variable_of_one_side_alone_does_not_count(self):
    tf2 = _curve()
    tf2.values[curves.GRADIENTS]['other'] = np.ones(_STEPS)
    self.assertIs(_judge(tf2).kind, Kind.PASS)


if __name__ == '__main__':
  absltest.main()
