"""Tests of what an assertion takes for equal."""

import dataclasses

from absl.testing import absltest

from tf_equiv.compare import criteria, tolerances


class CriteriaTest(absltest.TestCase):
  def test_nothing_is_let_pass_by_default(self):
    default = criteria.Criteria()
    self.assertFalse(default.allow_empty)
    self.assertFalse(default.allow_vacuous)
    self.assertTrue(default.compare_updates)
    self.assertTrue(default.compare_hyperparameters)
    self.assertEqual(default.variants, ('eager',))

  def test_slack_multiplies_and_keeps_the_rest(self):
    given = criteria.Criteria(
      tolerances.Tolerance(rtol=0.5), allow_empty=True, variants=('jit',)
    )
    wider = given.with_slack(2.0).with_slack(3.0)
    self.assertEqual(wider.tolerance.slack, 6.0)
    self.assertEqual(wider.tolerance.rtol, 0.5)
    self.assertEqual(
      dataclasses.replace(wider, tolerance=given.tolerance), given
    )

  def test_is_not_changed_by_accident(self):
    with self.assertRaises(dataclasses.FrozenInstanceError):
      criteria.Criteria().allow_empty = True


if __name__ == '__main__':
  absltest.main()
