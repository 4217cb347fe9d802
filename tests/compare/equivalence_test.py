"""Tests of the two one-sided tests, and of Student's distribution."""

import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import equivalence
from tf_equiv.compare.equivalence import Decision


class StudentTest(parameterized.TestCase):
  # From printed tables of the distribution.
  @parameterized.parameters(
    (0.95, 1, 6.314),
    (0.95, 2, 2.920),
    (0.95, 4, 2.132),
    (0.95, 9, 1.833),
    (0.95, 19, 1.729),
    (0.95, 30, 1.697),
    (0.95, 120, 1.658),
    (0.975, 4, 2.776),
    (0.975, 10, 2.228),
    (0.99, 5, 3.365),
    (0.995, 3, 5.841),
    (0.9, 1, 3.078),
  )
  def test_quantile(self, probability, freedom, expected):
    found = equivalence.student_quantile(probability, freedom)
    self.assertAlmostEqual(found, expected, delta=6e-4)

  def test_median(self):
    self.assertAlmostEqual(equivalence.student_distribution(0.0, 7), 0.5)

  def test_quantile_is_the_inverse(self):
    for freedom in (1, 3, 8, 40):
      found = equivalence.student_quantile(0.95, freedom)
      self.assertAlmostEqual(
        equivalence.student_distribution(found, freedom), 0.95, delta=1e-9
      )


class CompareTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.tf1 = [1.0, 1.2, 0.9, 1.1, 1.05, 0.95]

  def test_equal_samples_are_equivalent(self):
    found = equivalence.compare(self.tf1, self.tf1, 0.5)
    self.assertIs(found.decision, Decision.EQUIVALENT)
    self.assertEqual((found.difference, found.low, found.high), (0, 0, 0))
    self.assertAlmostEqual(found.spread, np.std(self.tf1, ddof=1))
    self.assertAlmostEqual(found.margin, found.spread / 2)
    self.assertEqual(found.needed, 0)

  def test_interval_is_that_of_the_paired_test(self):
    tf2 = [x + d for x, d in zip(self.tf1, [1, -1, 2, 0, 1, -1], strict=True)]
    found = equivalence.compare(self.tf1, tf2, 100.0)
    apart = np.array([1, -1, 2, 0, 1, -1])
    reach = 2.015 * np.std(apart, ddof=1) / 6**0.5
    self.assertAlmostEqual(found.high - found.difference, reach, delta=1e-3)
    self.assertAlmostEqual(found.difference, 1 / 3)
    self.assertIs(found.decision, Decision.EQUIVALENT)

  def test_a_shift_by_more_than_the_margin_is_different(self):
    noise = [0.001, -0.001, 0.002, 0.0, -0.002, 0.001]
    for shift in (0.2, -0.2):
      tf2 = [x + shift + n for x, n in zip(self.tf1, noise, strict=True)]
      found = equivalence.compare(self.tf1, tf2, 0.5)
      self.assertIs(found.decision, Decision.DIFFERENT)
      self.assertEqual(found.difference > 0, shift > 0)

  def test_a_shift_within_the_margin_is_equivalent(self):
    noise = [0.001, -0.001, 0.002, 0.0, -0.002, 0.001]
    tf2 = [x + 0.02 + n for x, n in zip(self.tf1, noise, strict=True)]
    found = equivalence.compare(self.tf1, tf2, 0.5)
    self.assertIs(found.decision, Decision.EQUIVALENT)

  def test_noise_larger_than_the_margin_does_not_decide(self):
    noise = [0.3, -0.3, 0.2, -0.2, 0.25, -0.25]
    tf2 = [x + n for x, n in zip(self.tf1, noise, strict=True)]
    found = equivalence.compare(self.tf1, tf2, 0.5)
    self.assertIs(found.decision, Decision.UNDECIDED)
    self.assertGreater(found.needed, 6)
    again = equivalence.compare(
      self.tf1 * (found.needed // 6 + 1), tf2 * (found.needed // 6 + 1), 0.5
    )
    self.assertIs(again.decision, Decision.EQUIVALENT)

  def test_losses_that_are_all_the_same(self):
    found = equivalence.compare([2.0] * 5, [2.0] * 5, 0.5)
    self.assertIs(found.decision, Decision.EQUIVALENT)
    found = equivalence.compare([2.0] * 5, [2.1] * 5, 0.5)
    self.assertIs(found.decision, Decision.DIFFERENT)

  def test_what_is_not_finite(self):
    nan = float('nan')
    found = equivalence.compare([1.0, nan], [1.0, 1.0], 0.5)
    self.assertIs(found.decision, Decision.DIFFERENT)
    found = equivalence.compare([1.0, nan], [1.0, nan], 0.5)
    self.assertIs(found.decision, Decision.UNDECIDED)


if __name__ == '__main__':
  absltest.main()
