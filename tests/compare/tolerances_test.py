"""Tests of tolerances."""

import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import tolerances
from tf_equiv.core import errors


class ToleranceTest(parameterized.TestCase):
  @parameterized.parameters(
    ('float64', 1e-13, 1e-12),
    ('complex128', 1e-13, 1e-12),
    ('float32', 1e-6, 1e-5),
    ('complex64', 1e-6, 1e-5),
    ('float16', 2e-3, 4e-3),
    ('bfloat16', 1.6e-2, 3.2e-2),
  )
  def test_default_atol_is_relative_to_the_scale(self, dtype, rtol, atol):
    self.assertEqual(
      tolerances.Tolerance().resolve(dtype, scale=100.0), (rtol, atol * 100.0)
    )

  @parameterized.parameters('int32', 'uint8', 'bool', 'string')
  def test_exact_dtypes_have_no_tolerance(self, dtype):
    given = tolerances.Tolerance(rtol=0.5, atol=0.5)
    self.assertEqual(given.resolve(dtype, 10.0, 10.0), (0.0, 0.0))
    self.assertEqual(tolerances.Tolerance().resolve(dtype, 10.0), (0.0, 0.0))

  def test_given_numbers_are_taken_literally(self):
    given = tolerances.Tolerance(rtol=0.25, atol=0.5)
    self.assertEqual(given.resolve('float32', 1e6, 1e9), (0.25, 0.5))

  def test_one_given_number_leaves_the_other_default(self):
    self.assertEqual(
      tolerances.Tolerance(atol=0.5).resolve('float32', 2.0), (1e-6, 0.5)
    )
    self.assertEqual(
      tolerances.Tolerance(rtol=0.5).resolve('float32', 2.0), (0.5, 2e-5)
    )

  def test_zero_is_a_tolerance(self):
    given = tolerances.Tolerance(rtol=0, atol=0)
    self.assertEqual(given.resolve('float32', 2.0, 5.0), (0.0, 0.0))

  def test_group_raises_the_scale_of_a_small_array_only(self):
    tolerance = tolerances.Tolerance()
    _, small = tolerance.resolve('float32', 1e-9, group_scale=1.0)
    _, large = tolerance.resolve('float32', 0.5, group_scale=1.0)
    self.assertAlmostEqual(small, 1e-6, delta=1e-12)
    self.assertAlmostEqual(large, 5e-6, delta=1e-12)

  @parameterized.product(
    name=['rtol', 'atol'],
    value=[-1e-9, float('nan'), True, '1e-5', [1e-5], np.float32('nan'), 1j],
  )
  def test_refuses_what_is_no_tolerance(self, name, value):
    with self.assertRaisesRegex(
      errors.UsageError, '^%s must be a number that is not negative' % name
    ):
      tolerances.Tolerance(**{name: value})

  @parameterized.parameters('rtol', 'atol')
  def test_refuses_infinity(self, name):
    with self.assertRaisesRegex(
      errors.UsageError, '^%s is inf; with it everything would pass' % name
    ):
      tolerances.Tolerance(**{name: float('inf')})

  @parameterized.parameters(1, 0.5, np.float32(0.5), np.int64(2))
  def test_takes_numbers_of_numpy(self, value):
    rtol, atol = tolerances.Tolerance(value, value).resolve('float32', 1.0)
    self.assertEqual((rtol, atol), (float(value), float(value)))
    self.assertIsInstance(rtol, float)


if __name__ == '__main__':
  absltest.main()
