"""Tests of the rules about variances."""

import numpy as np
from absl.testing import absltest

from tests.diagnose.rules import rule_cases
from tf_equiv.diagnose import facts
from tf_equiv.diagnose.rules import variances

BEFORE = np.array([1.0, 1.0, 0.5, 2.0])
BATCH = np.array([0.3, 1.7, 0.9, 0.2])  # biased variances of a batch


def after(variance, decay=0.9):
  return decay * BEFORE + (1 - decay) * variance


class CorrectedCountTest(absltest.TestCase):
  def test_unbiased_and_biased(self):
    found = variances.corrected_count(
      BEFORE, after(BATCH * 12 / 11), after(BATCH)
    )
    self.assertEqual(found, 12)

  def test_another_decay_is_no_correction(self):
    self.assertIsNone(
      variances.corrected_count(BEFORE, after(BATCH), after(BATCH, 0.99))
    )

  def test_the_wrong_way_round(self):
    self.assertIsNone(
      variances.corrected_count(BEFORE, after(BATCH), after(BATCH * 12 / 11))
    )

  def test_a_factor_of_no_whole_number(self):
    self.assertIsNone(
      variances.corrected_count(BEFORE, after(1.3 * BATCH), after(BATCH))
    )

  def test_too_few_channels_to_tell(self):
    self.assertIsNone(
      variances.corrected_count(
        BEFORE[:2], after(BATCH * 12 / 11)[:2], after(BATCH)[:2]
      )
    )


BOTH = ('n/moving_mean', 'n/moving_variance')


def _statistics(names=BOTH[1:], **tf2):
  return facts.MovingStatistics(
    names,
    {'n/moving_variance': ('v',), 'n/moving_mean': ('m',)},
    {'n/moving_variance': BEFORE, 'n/moving_mean': BEFORE},
    {'v': after(BATCH * 12 / 11), 'm': after(BATCH)},
    {
      'n/moving_variance': tf2.get('variance', after(BATCH)),
      'n/moving_mean': tf2.get('mean', after(BATCH)),
    },
  )


CASES = (
  rule_cases.Case(
    variances.uncorrected_variance,
    fires=((_statistics(), 'n/(n-1) with n=12 values'),),
    misses=(
      _statistics(BOTH, mean=2 * BEFORE),
      _statistics(()),
      _statistics(variance=after(BATCH, 0.99)),
    ),
  ),
)


class VariancesTest(rule_cases.RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
