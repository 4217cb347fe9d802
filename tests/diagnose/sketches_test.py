import numpy as np
from absl.testing import absltest, parameterized

from tests.diagnose.small_graphs import array
from tf_equiv.diagnose import sketches

SKETCHER = sketches.Sketcher()


def distance(a, b):
  return sketches.distance(
    SKETCHER.sketch(np.asarray(a)), SKETCHER.sketch(np.asarray(b))
  )


def rearranged(a, b):
  return sketches.rearranged(
    SKETCHER.sketch(np.asarray(a)), SKETCHER.sketch(np.asarray(b)), 1e-6
  )


class DistanceTest(parameterized.TestCase):
  @parameterized.parameters(1, 8, 1 << 13, 20000)
  def test_equal(self, size):
    self.assertEqual(distance(array(0, size), array(0, size)), 0.0)

  @parameterized.parameters(8, 20000)
  def test_estimates_the_root_mean_square(self, size):
    a, step = array(0, size), 1e-3 * array(1, size)
    true = np.sqrt(np.mean(step * step)) / np.max(np.abs(a))
    found = distance(a, a + step)
    self.assertGreater(found, true / 3)
    self.assertLess(found, true * 3)

  def test_shape(self):
    self.assertEqual(distance(np.zeros((2, 3)), np.zeros((3, 2))), np.inf)

  def test_zeros_and_nothing(self):
    self.assertEqual(distance(np.zeros(3), np.zeros(3)), 0.0)
    self.assertEqual(distance(np.zeros(0), np.zeros(0)), 0.0)

  def test_dtypes(self):
    self.assertEqual(distance(np.arange(5), np.arange(5.0)), 0.0)
    self.assertGreater(distance(np.array([True, False]), np.array([1, 1])), 0.1)

  def test_complex_numbers(self):
    a = array(0, 50) + 1j * array(1, 50)
    self.assertEqual(distance(a, a.copy()), 0.0)
    self.assertGreater(distance(a, a + 1j * array(2, 50)), 0.1)
    self.assertGreater(distance(a, a.conj()), 0.1)
    self.assertTrue(SKETCHER.sketch(np.full(3, 1 + 2j)).is_constant)
    self.assertFalse(SKETCHER.sketch(np.array([1 + 2j, 1 - 2j])).is_constant)

  def test_large_numbers_do_not_hide_small_ones(self):
    a = np.array([-1e9, 0.5, 0.25, 2.0])
    self.assertGreater(distance(a, a + [0.0, 0.0, 0.1, 0.0]), 1e-4)

  def test_nan_and_infinity(self):
    a = np.array([1.0, np.nan, 2.0])
    self.assertEqual(distance(a, a), 0.0)
    self.assertGreater(distance(a, [1.0, 3.0, 2.0]), 1e-2)
    self.assertGreater(distance(a, [1.0, np.inf, 2.0]), 1e-4)
    self.assertGreater(distance([1.0, -np.inf], [1.0, np.inf]), 1e-2)

  def test_sketchers_agree(self):
    other = sketches.Sketcher().sketch(array(0))
    self.assertEqual(sketches.distance(other, SKETCHER.sketch(array(0))), 0.0)


class RearrangedTest(absltest.TestCase):
  def test_another_order(self):
    self.assertTrue(rearranged(array(0), array(0)[::-1]))
    self.assertTrue(
      rearranged(array(0, 12).reshape(3, 4), array(0, 12).reshape(3, 4).T)
    )

  def test_other_numbers(self):
    self.assertFalse(rearranged(array(0), array(1)))
    self.assertFalse(rearranged(array(0), array(0, 9)))

  def test_few_numbers_prove_nothing(self):
    self.assertFalse(rearranged([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]))
    self.assertFalse(rearranged(np.ones(9), np.ones(9)))


class SketchTest(absltest.TestCase):
  def test_constant(self):
    self.assertTrue(SKETCHER.sketch(np.full(5, 2.0)).is_constant)
    self.assertFalse(SKETCHER.sketch(array(0)).is_constant)
    self.assertEqual(SKETCHER.sketch(np.zeros((2, 3))).size, 6)
    self.assertEqual(SKETCHER.sketch(np.array([1.0, -4.0])).magnitude, 4.0)


if __name__ == '__main__':
  absltest.main()
