"""Tests of the envelope that TF1 gives itself, on arrays alone."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import envelopes, tolerances

_TOLERANCE = tolerances.Tolerance()


def _series(tf1, tf2, nudged=(), name='loss', factor=10.0):
  tf1, tf2 = np.asarray(tf1, float), np.asarray(tf2, float)
  spread = envelopes.spread_of(tf1, [np.asarray(n, float) for n in nudged])
  allowed = envelopes.envelope(tf1, spread, factor, _TOLERANCE)
  return envelopes.Series(name, tf1, tf2, spread, allowed)


class SpreadTest(absltest.TestCase):
  def test_it_never_shrinks(self):
    found = envelopes.spread_of(
      np.zeros(4), [np.array([0.0, 2.0, 1.0, 0.0]), np.array([1.0, 0, 0, 3])]
    )
    self.assertEqual(found.tolist(), [1.0, 2.0, 2.0, 3.0])

  def test_without_other_runs_there_is_none(self):
    self.assertEqual(envelopes.spread_of(np.ones(2), []).tolist(), [0, 0])

  def test_a_run_that_fails_alone_makes_it_infinite(self):
    found = envelopes.spread_of(np.ones(3), [np.array([1.0, np.nan, 1.0])])
    self.assertEqual(found.tolist(), [0.0, np.inf, np.inf])

  def test_a_side_that_fails_itself_does_not(self):
    nan = np.nan
    found = envelopes.spread_of(
      np.array([1.0, nan, nan]), [np.array([1.5, nan, nan])]
    )
    self.assertEqual(found.tolist(), [0.5, 0.5, 0.5])


class EnvelopeTest(absltest.TestCase):
  def test_never_less_than_the_default_tolerance(self):
    found = envelopes.envelope(
      np.array([2.0, 1.0]), np.zeros(2), 10.0, _TOLERANCE
    )
    np.testing.assert_allclose(found, [2.2e-5, 1.1e-5])

  def test_a_multiple_of_the_spread(self):
    found = envelopes.envelope(np.ones(2), np.array([0, 0.1]), 7.0, _TOLERANCE)
    np.testing.assert_allclose(found, [1.1e-5, 0.7])

  def test_a_value_that_reaches_zero_is_judged_by_what_it_was(self):
    found = envelopes.envelope(
      np.array([1.0, 0.0]), np.zeros(2), 10.0, _TOLERANCE
    )
    np.testing.assert_allclose(found[1], 1e-8)

  def test_tolerances_of_the_user(self):
    found = envelopes.envelope(
      np.array([4.0]), np.zeros(1), 10.0, tolerances.Tolerance(0.5, 0.25)
    )
    np.testing.assert_allclose(found, [2.25])


class SeriesTest(absltest.TestCase):
  def test_equal_curves_do_not_part(self):
    self.assertIsNone(_series([3, 2, 1], [3, 2, 1]).first)

  def test_what_adds_up_is_found_when_it_is_more_than_allowed(self):
    steps = np.arange(1, 101)
    tf1 = np.ones(100)
    found = _series(tf1, tf1 + 1e-6 * steps)
    self.assertEqual(found.first, 11)  # 12 * 1e-6 > 1.1e-5
    self.assertAlmostEqual(found.times[11], 12 / 11, places=6)

  def test_chaos_of_tf1_is_allowed(self):
    grows = 1e-7 * 2.0 ** np.arange(20)
    tf1 = np.ones(20)
    found = _series(tf1, tf1 - 3 * grows, [tf1 + grows, tf1 - grows])
    self.assertIsNone(found.first)
    found = _series(tf1, tf1 - 30 * grows, [tf1 + grows, tf1 - grows])
    self.assertEqual(found.first, 2)

  def test_what_is_not_finite_is_no_number_to_compare(self):
    found = _series([1, np.nan, np.inf], [1, np.nan, np.inf])
    self.assertIsNone(found.first)


class HorizonTest(absltest.TestCase):
  def test_up_to_where_it_agrees_with_itself(self):
    base = np.full(5, 2.0)
    spread = np.array([0, 1e-6, 1.9e-5, 2.1e-5, 1.0])
    self.assertEqual(envelopes.horizon_of(base, spread), 3)
    self.assertEqual(envelopes.horizon_of(base, np.zeros(5)), 5)

  def test_it_ends_where_training_fails(self):
    base = np.array([1.0, np.nan])
    self.assertEqual(envelopes.horizon_of(base, np.zeros(2)), 1)


class LeavesTest(absltest.TestCase):
  def test_the_first_step_decides_and_then_the_order(self):
    late = _series([1, 1, 1], [1, 1, 2], name='learning rate')
    first = _series([1, 1, 1], [1, 2, 2], name='loss')
    also = _series([1, 1, 1], [1, 3, 1], name='weights')
    found = envelopes.leaves([late, first, also])
    self.assertEqual(found.step, 1)
    self.assertIs(found.series, first)
    self.assertEqual(found.also, ('weights',))

  def test_none(self):
    self.assertIsNone(envelopes.leaves([_series([1], [1])]))


class FoundTest(absltest.TestCase):
  def _found(self, tf1, tf2):
    series = _series(tf1, tf2)
    return envelopes.Found(
      (series,),
      3,
      10.0,
      not_finite=tuple(
        n
        for side, curve in (('TF1', series.tf1), ('TF2', series.tf2))
        for n in envelopes.first_not_finite('loss', side, curve)
      ),
    )

  def test_nan_of_tf2_alone(self):
    found = self._found([1, 1, 1], [1, 1, np.nan])
    self.assertEqual(found.of_tf2_alone.step, 2)
    self.assertIsNone(found.of_tf1)

  def test_nan_of_tf1_itself(self):
    found = self._found([1, np.nan, np.nan], [1, np.nan, np.nan])
    self.assertIsNone(found.of_tf2_alone)
    self.assertEqual(found.of_tf1.step, 1)

  def test_tf2_before_tf1(self):
    found = self._found([1, 1, np.inf], [1, np.inf, np.inf])
    self.assertEqual(found.of_tf2_alone.step, 1)
    self.assertEqual(found.of_tf1.step, 2)


if __name__ == '__main__':
  absltest.main()
