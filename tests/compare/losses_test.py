"""Tests of the comparison of regularization losses."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import losses, tolerances
from tf_equiv.core.observation import RegularizationLoss


def _loss(value, *names):
  return RegularizationLoss(tuple(names), np.float32(value))


def _compare(tf1, tf2, renames=None):
  found = losses.compare_losses(tf1, tf2, renames or {}, tolerances.Tolerance())
  return {c.name: c for c in found}


class CompareLossesTest(absltest.TestCase):
  def test_none_at_all(self):
    self.assertEmpty(_compare([], []))

  def test_matched_by_variable_whatever_the_order(self):
    found = _compare(
      [_loss(1, 'a'), _loss(2, 'b')], [_loss(2, 'b'), _loss(1, 'a')]
    )
    self.assertEqual(list(found), ['a', 'b', 'total'])
    self.assertTrue(all(c.passed for c in found.values()))
    self.assertEqual(found['total'].tf1_value, 3.0)

  def test_half_a_factor(self):
    found = _compare(
      [_loss(1, 'a'), _loss(2, 'b')], [_loss(1, 'a'), _loss(4, 'b')]
    )
    self.assertTrue(found['a'].passed)
    self.assertFalse(found['b'].passed)
    self.assertEqual((found['b'].tf1_value, found['b'].tf2_value), (2.0, 4.0))
    self.assertFalse(found['total'].passed)

  def test_factor_of_two_in_a_tiny_loss(self):
    found = _compare([_loss(1e-9, 'a')], [_loss(2e-9, 'a')])
    self.assertFalse(found['a'].passed)

  def test_swapped_losses_have_the_same_total(self):
    found = _compare(
      [_loss(1, 'a'), _loss(2, 'b')], [_loss(2, 'a'), _loss(1, 'b')]
    )
    self.assertFalse(found['a'].passed)
    self.assertFalse(found['b'].passed)
    self.assertTrue(found['total'].passed)

  def test_renamed_variables(self):
    found = _compare([_loss(1, 'a')], [_loss(1, 'x/a')], {'x/a': 'a'})
    self.assertTrue(found['a'].passed)

  def test_missing_regularizer_is_named(self):
    found = _compare([_loss(1, 'a'), _loss(2, 'b')], [_loss(1, 'a')])
    self.assertTrue(found['a'].passed)
    self.assertEqual(found['b'].problem, 'TF2 has no such regularization loss')
    self.assertFalse(found['b'].passed)
    self.assertFalse(found['total'].passed)

  def test_extra_regularizer_is_named(self):
    found = _compare([], [_loss(1, 'a')])
    self.assertEqual(found['a'].problem, 'TF1 has no such regularization loss')

  def test_merged_losses(self):
    found = _compare(
      [_loss(1, 'a'), _loss(2, 'b'), _loss(5, 'c')],
      [_loss(3, 'a', 'b'), _loss(5, 'c')],
    )
    self.assertEqual(list(found), ['a + b', 'c', 'total'])
    self.assertTrue(all(c.passed for c in found.values()))

  def test_merged_losses_that_differ(self):
    found = _compare([_loss(3, 'a', 'b')], [_loss(1, 'a'), _loss(1, 'b')])
    self.assertFalse(found['a + b'].passed)
    self.assertEqual(found['a + b'].tf2_value, 2.0)

  def test_groups_that_overlap_across_sides(self):
    found = _compare(
      [_loss(3, 'a', 'b'), _loss(4, 'c')], [_loss(1, 'a'), _loss(6, 'b', 'c')]
    )
    self.assertEqual(list(found), ['a + b + c', 'total'])
    self.assertTrue(found['a + b + c'].passed)

  def test_two_losses_of_one_variable(self):
    found = _compare([_loss(1, 'a'), _loss(2, 'a')], [_loss(3, 'a')])
    self.assertTrue(found['a'].passed)

  def test_activity_losses_by_position(self):
    found = _compare(
      [_loss(1), _loss(9, 'a'), _loss(2)], [_loss(1), _loss(3), _loss(9, 'a')]
    )
    self.assertTrue(found['activity loss 0'].passed)
    self.assertFalse(found['activity loss 1'].passed)
    self.assertTrue(found['a'].passed)

  def test_missing_activity_loss(self):
    found = _compare([_loss(1), _loss(2)], [_loss(1)])
    self.assertIn('TF2 has no', found['activity loss 1'].problem)

  def test_sum_of_many_does_not_depend_on_the_order(self):
    generator = np.random.default_rng(0)
    many = [_loss(v, 'w%d' % i) for i, v in enumerate(generator.random(500))]
    found = _compare(many, many[::-1])
    self.assertEqual(found['total'].difference, 0.0)

  def test_dtype_counts(self):
    found = _compare(
      [_loss(1, 'a')], [RegularizationLoss(('a',), np.float64(1))]
    )
    self.assertEqual(found['a'].problem, 'dtype: TF1 float32, TF2 float64')


if __name__ == '__main__':
  absltest.main()
