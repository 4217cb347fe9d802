import numpy as np
from absl.testing import absltest

from tf_equiv.diagnose import factors


class RatioTest(absltest.TestCase):
  def test_multiples(self):
    x = np.random.default_rng(0).normal(size=(3, 4))
    for factor in (-1.0, 0.5, 3.0, -0.3):
      self.assertAlmostEqual(factors.ratio_of(x, factor * x), factor)

  def test_what_is_none(self):
    x = np.random.default_rng(0).normal(size=(3, 4))
    for other in (x, x + 1, x * (1 + 1e-8), np.zeros_like(x), x * x):
      self.assertIsNone(factors.ratio_of(x, other))
    self.assertIsNone(factors.ratio_of(np.zeros(5), x[0]))

  def test_few_numbers_prove_nothing(self):
    self.assertIsNone(factors.ratio_of(np.ones(2), 2 * np.ones(2)))
    lone = np.array([1.0, 0, 0, 0])
    self.assertIsNone(factors.ratio_of(lone, 2 * lone))


if __name__ == '__main__':
  absltest.main()
