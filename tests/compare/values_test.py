"""Tests of the comparison of arrays."""

from unittest import mock

import ml_dtypes
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import tolerances, values
from tf_equiv.report import numbers

_DEFAULT = tolerances.Tolerance()
_INEXACT = (
  np.float16,
  np.float32,
  np.float64,
  ml_dtypes.bfloat16,
  np.complex64,
  np.complex128,
)


def _compare(tf1, tf2, tolerance=_DEFAULT, **kwargs):
  return values.compare_arrays('x', tf1, tf2, tolerance, **kwargs)


class CompareInexactTest(parameterized.TestCase):
  @parameterized.parameters(*_INEXACT)
  def test_equal_arrays_pass(self, dtype):
    array = np.linspace(-3.0, 3.0, 12).reshape(3, 4).astype(dtype)
    found = _compare(array, array.copy())
    self.assertTrue(found.passed)
    self.assertEqual(found.differing, 0)
    self.assertEqual(found.count, 12)
    self.assertEqual(found.shape, (3, 4))
    self.assertEqual(found.dtype, np.dtype(dtype).name)
    self.assertEqual(found.difference, 0.0)
    self.assertEqual(found.needed_atol, 0.0)

  @parameterized.parameters(*_INEXACT)
  def test_one_unit_in_the_last_place_passes(self, dtype):
    array = np.linspace(1.0, 3.0, 12).astype(dtype)
    real = np.finfo(dtype) if dtype is not ml_dtypes.bfloat16 else None
    step = float(real.eps) if real else 2.0**-7
    self.assertTrue(_compare(array, array * dtype(1 + step)).passed)

  @parameterized.parameters(*_INEXACT)
  def test_a_tenth_of_one_element_is_found(self, dtype):
    array = np.ones((2, 3, 4), dtype)
    other = array.copy()
    other[1, 0, 2] = 1.125
    found = _compare(array, other)
    self.assertFalse(found.passed)
    self.assertEqual(found.differing, 1)
    self.assertEqual(found.worst_index, (1, 0, 2))
    self.assertEqual(found.tf1_value, 1.0)
    self.assertEqual(found.tf2_value, 1.125)
    self.assertEqual(found.difference, 0.125)
    self.assertLess(found.allowed, 0.125)
    self.assertGreater(found.allowed, 0.0)

  def test_the_imaginary_part_counts(self):
    found = _compare(np.array([1 + 1j]), np.array([1 - 1j]))
    self.assertFalse(found.passed)
    self.assertEqual(found.difference, 2.0)

  def test_factor_of_two_in_tiny_values_is_found(self):
    tiny = np.array([1e-9, -2e-9], np.float32)
    found = _compare(tiny, tiny * 2)
    self.assertFalse(found.passed)
    self.assertEqual(found.differing, 2)

  def test_rounding_of_large_values_passes(self):
    large = np.array([1e3, 1e-3], np.float32)
    other = large + np.array([0, 1e-3], np.float32)  # 1e-6 of the scale
    self.assertTrue(_compare(large, other).passed)
    self.assertFalse(_compare(large, large + np.float32(0.1)).passed)

  def test_given_atol_is_literal(self):
    tiny = np.array([1e-9], np.float32)
    given = tolerances.Tolerance(rtol=0, atol=1e-5)
    self.assertTrue(_compare(tiny, tiny * 2, given).passed)
    large = np.array([1e6], np.float32)
    self.assertFalse(_compare(large, large + 1, given).passed)

  def test_given_atol_is_inclusive(self):
    given = tolerances.Tolerance(rtol=0, atol=0.5)
    zero = np.array([0.0])
    self.assertTrue(_compare(zero, zero + 0.5, given).passed)
    self.assertFalse(_compare(zero, zero + np.nextafter(0.5, 1), given).passed)

  def test_rtol_refers_to_tf1(self):
    given = tolerances.Tolerance(rtol=0.5, atol=0)
    self.assertFalse(_compare(np.array([1.0]), np.array([2.0]), given).passed)
    self.assertTrue(_compare(np.array([2.0]), np.array([1.0]), given).passed)

  def test_group_scale_forgives_noise_far_below_it(self):
    noise = np.array([1e-7, -1e-7], np.float32)
    self.assertFalse(_compare(noise, -noise).passed)
    self.assertTrue(_compare(noise, -noise, group_scale=1.0).passed)
    self.assertFalse(_compare(noise * 100, -noise, group_scale=1.0).passed)

  @parameterized.parameters(*_INEXACT)
  def test_nan_equals_nothing(self, dtype):
    array = np.array([1, np.nan], dtype)
    found = _compare(array, array)
    self.assertFalse(found.passed)
    self.assertEqual(found.differing, 1)
    self.assertEqual(found.worst_index, (1,))
    self.assertTrue(np.isnan(found.difference))
    self.assertEqual(found.needed_atol, np.inf)

  @parameterized.parameters(*_INEXACT)
  def test_equal_nan(self, dtype):
    tolerance = tolerances.Tolerance(equal_nan=True)
    array = np.array([1, np.nan], dtype)
    self.assertTrue(_compare(array, array, tolerance).passed)
    self.assertFalse(_compare(array, np.ones(2, dtype), tolerance).passed)
    self.assertFalse(_compare(np.ones(2, dtype), array, tolerance).passed)

  def test_nan_does_not_blur_the_scale(self):
    array = np.array([np.nan, 1e-9], np.float32)
    other = np.array([np.nan, 2e-9], np.float32)
    found = _compare(array, other, tolerances.Tolerance(equal_nan=True))
    self.assertFalse(found.passed)
    self.assertEqual(found.worst_index, (1,))

  @parameterized.parameters(*_INEXACT)
  def test_infinities(self, dtype):
    infinite = np.array([np.inf, -np.inf, 1], dtype)
    self.assertTrue(_compare(infinite, infinite).passed)
    for other in ([np.inf, np.inf, 1], [np.inf, 1, 1], [np.inf, np.nan, 1]):
      found = _compare(infinite, np.array(other, dtype))
      self.assertFalse(found.passed)
      self.assertEqual(found.worst_index, (1,))
      self.assertEqual(found.needed_atol, np.inf)
    found = _compare(np.array([1], dtype), np.array([np.inf], dtype))
    self.assertFalse(found.passed)
    self.assertEqual(found.difference, np.inf)

  def test_infinity_does_not_excuse_other_elements(self):
    found = _compare(np.array([np.inf, 1.0]), np.array([np.inf, 2.0]))
    self.assertFalse(found.passed)
    self.assertEqual(found.worst_index, (1,))

  def test_scalars(self):
    self.assertTrue(_compare(np.float32(1), np.array(1, np.float32)).passed)
    found = _compare(np.float32(1), np.float32(3))
    self.assertFalse(found.passed)
    self.assertEqual(found.worst_index, ())
    self.assertEqual(found.shape, ())
    self.assertEqual(found.tf2_value, 3.0)

  @parameterized.parameters(np.float32, np.int32, np.bool_, object)
  def test_empty_arrays_pass_and_count_nothing(self, dtype):
    found = _compare(np.zeros((0, 3), dtype), np.zeros((0, 3), dtype))
    self.assertTrue(found.passed)
    self.assertEqual(found.count, 0)
    self.assertIsNone(found.tf1_value)

  def test_zeros_against_anything(self):
    self.assertTrue(_compare(np.zeros(3), np.zeros(3)).passed)
    self.assertFalse(_compare(np.zeros(3), np.full(3, 1e-30)).passed)

  def test_does_not_overflow_where_float16_would(self):
    found = _compare(np.float16([6e4]), np.float16([-6e4]))
    self.assertEqual(found.difference, 120000.0)
    self.assertFalse(found.passed)

  @parameterized.parameters(*range(1, 12))
  def test_chunks_do_not_change_the_result(self, chunk):
    generator = np.random.default_rng(0)
    array = generator.normal(size=(2, 5))
    other = array + generator.normal(size=(2, 5)) * 1e-3
    other[1, 3] += 1.0
    whole = _compare(array, other)
    with mock.patch.object(values, '_CHUNK', chunk):
      self.assertEqual(_compare(array, other), whole)
    self.assertEqual(whole.worst_index, (1, 3))
    self.assertEqual(whole.differing, 10)

  @parameterized.product(
    dtype=[np.float16, np.float32, np.float64, ml_dtypes.bfloat16],
    rtol=[None, 0.0, 1e-3, 0.5],
    scale=[1e-4, 1.0, 1e2],
  )
  def test_needed_atol_passes(self, dtype, rtol, scale):
    generator = np.random.default_rng(1)
    for _ in range(20):
      array = (generator.normal(size=7) * scale).astype(dtype)
      noise = generator.normal(size=7) * 10.0 ** generator.uniform(-6, 1)
      other = (array.astype(float) * (1 + noise)).astype(dtype)
      found = _compare(array, other, tolerances.Tolerance(rtol=rtol))
      if found.passed:
        continue
      shown = float(numbers.number_up(found.needed_atol))
      self.assertGreaterEqual(shown, found.needed_atol)
      self.assertLess(shown, found.needed_atol * 1.011)
      for needed in (np.nextafter(found.needed_atol, np.inf), shown):
        given = tolerances.Tolerance(rtol=rtol, atol=needed)
        self.assertTrue(_compare(array, other, given).passed)
      less = tolerances.Tolerance(rtol=rtol, atol=found.needed_atol * 0.99)
      self.assertFalse(_compare(array, other, less).passed)

  @parameterized.parameters(0.0, 0.001, 0.5, 0.25)
  def test_needed_atol_of_round_numbers_passes(self, rtol):
    for tf1 in np.arange(1, 30):
      for tf2 in np.arange(1, 30):
        a, b = np.array([tf1 / 10]), np.array([tf2 / 10])
        found = _compare(a, b, tolerances.Tolerance(rtol=rtol))
        if not found.passed:
          shown = float(numbers.number_up(found.needed_atol))
          given = tolerances.Tolerance(rtol=rtol, atol=shown)
          self.assertTrue(_compare(a, b, given).passed, (tf1, tf2))


class CompareExactTest(parameterized.TestCase):
  @parameterized.parameters(
    np.int8, np.int32, np.int64, np.uint8, np.uint32, np.uint64
  )
  def test_integers_must_be_equal(self, dtype):
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    self.assertTrue(_compare(array, array.copy()).passed)
    other = array.copy()
    other[0, 1] += 1
    other[1, 1] += 5
    found = _compare(array, other, tolerances.Tolerance(rtol=1, atol=100))
    self.assertFalse(found.passed)
    self.assertEqual(found.differing, 2)
    self.assertEqual(found.worst_index, (1, 1))
    self.assertEqual(found.difference, 5.0)
    self.assertEqual((found.tf1_value, found.tf2_value), (4, 9))
    self.assertEqual(found.needed_atol, np.inf)

  def test_gap_of_extreme_integers_does_not_wrap(self):
    limits = np.iinfo(np.int64)
    found = _compare(np.array([0, limits.min, 3]), np.array([1, limits.max, 0]))
    self.assertEqual(found.worst_index, (1,))
    self.assertEqual(found.difference, 2.0**64)

  def test_integers_beyond_the_precision_of_floats(self):
    found = _compare(np.array([2**60]), np.array([2**60 + 1]))
    self.assertFalse(found.passed)
    self.assertEqual(found.difference, 1.0)

  def test_the_worst_of_many_integers(self):
    array = np.zeros(30000, np.int32)
    other = np.ones(30000, np.int32)
    other[25000] = -7
    found = _compare(array, other)
    self.assertEqual(found.worst_index, (25000,))
    self.assertEqual(found.differing, 30000)

  def test_booleans(self):
    array = np.array([True, False, True])
    self.assertTrue(_compare(array, array.copy()).passed)
    found = _compare(array, np.array([True, True, True]))
    self.assertFalse(found.passed)
    self.assertEqual(found.worst_index, (1,))

  def test_text_equals_its_bytes(self):
    for other in (np.array(['a', 'ü']), np.array(['a', 'ü'], object)):
      encoded = np.array([b'a', 'ü'.encode()], object)
      self.assertTrue(_compare(encoded, other).passed)
      self.assertTrue(_compare(other, encoded).passed)
      self.assertEqual(_compare(encoded, other).dtype, 'string')

  def test_other_text(self):
    found = _compare(np.array([b'a', b'b']), np.array(['a', 'longer']))
    self.assertFalse(found.passed)
    self.assertEqual(found.worst_index, (1,))
    self.assertEqual((found.tf1_value, found.tf2_value), (b'b', 'longer'))

  def test_text_of_rank_zero(self):
    self.assertTrue(_compare(np.array(b'a'), np.array('a')).passed)
    self.assertFalse(_compare(np.array(b'a'), np.array('b')).passed)


class CompareSpecsTest(absltest.TestCase):
  def test_other_dtype(self):
    found = _compare(np.zeros(3, np.float32), np.zeros(3))
    self.assertFalse(found.passed)
    self.assertEqual(
      found.problem,
      values.Problem(values.ProblemKind.DTYPE, 'float32', 'float64'),
    )

  def test_other_shape(self):
    found = _compare(np.zeros((3, 1)), np.zeros(3))
    self.assertFalse(found.passed)
    self.assertEqual(
      found.problem, values.Problem(values.ProblemKind.SHAPE, (3, 1), (3,))
    )

  def test_text_is_no_number(self):
    found = _compare(np.array(['1']), np.array([1]))
    self.assertEqual(
      found.problem, values.Problem(values.ProblemKind.DTYPE, 'string', 'int64')
    )

  def test_bfloat16_is_not_float16(self):
    found = _compare(np.zeros(1, ml_dtypes.bfloat16), np.zeros(1, np.float16))
    self.assertEqual(
      found.problem,
      values.Problem(values.ProblemKind.DTYPE, 'bfloat16', 'float16'),
    )

  def test_order_is_kept(self):
    self.assertEqual(_compare(np.ones(1), np.ones(1), order=7).order, 7)
    self.assertEqual(_compare(np.ones(1), np.ones(2), order=7).order, 7)
    self.assertEqual(_compare(np.array(1), np.array(2), order=7).order, 7)


class ScaleTest(absltest.TestCase):
  def test_largest_finite_magnitude(self):
    self.assertEqual(values.scale_of(np.array([1.0, -3.0, np.nan])), 3.0)
    self.assertEqual(values.scale_of(np.array([np.inf, 2.0])), 2.0)
    self.assertEqual(values.scale_of(np.array([3 + 4j])), 5.0)
    self.assertEqual(values.scale_of(np.array([np.inf])), 0.0)

  def test_nothing_to_measure(self):
    for array in (None, np.zeros(0), np.array([5]), np.array(['a'])):
      self.assertEqual(values.scale_of(array), 0.0)

  def test_chunks(self):
    with mock.patch.object(values, '_CHUNK', 2):
      self.assertEqual(values.scale_of(np.array([1.0, 9.0, -2.0])), 9.0)


class CompareGradientsTest(absltest.TestCase):
  def test_bias_before_batch_norm_is_no_alarm(self):
    kernel = np.array([1.0, -0.5], np.float32)
    noise = np.array([1e-7], np.float32)
    found = values.compare_gradients(
      ['kernel', 'bias'], [kernel, noise], [kernel, -noise], _DEFAULT
    )
    self.assertEqual([c.name for c in found], ['kernel', 'bias'])
    self.assertTrue(all(c.passed for c in found))

  def test_factor_of_two_in_a_tiny_group_is_found(self):
    tiny = np.array([1e-9], np.float32)
    found = values.compare_gradients(['w'], [tiny], [tiny * 2], _DEFAULT)
    self.assertFalse(found[0].passed)

  def test_none_on_both_sides_is_not_compared(self):
    self.assertEmpty(values.compare_gradients(['w'], [None], [None], _DEFAULT))

  def test_none_on_one_side(self):
    one = np.ones(1)
    found = values.compare_gradients(
      ['a', 'b'], [None, one], [one, None], _DEFAULT
    )
    self.assertFalse(found[0].passed)
    self.assertFalse(found[1].passed)
    kind = values.ProblemKind.NO_GRADIENT
    self.assertEqual(
      [c.problem for c in found[:2]],
      [values.Problem(kind, False, True), values.Problem(kind, True, False)],
    )

  def test_lists_of_other_lengths_are_refused(self):
    with self.assertRaises(ValueError):
      values.compare_gradients(['a'], [np.ones(1)], [], _DEFAULT)


class UpdateToleranceTest(absltest.TestCase):
  def _passes(self, before, tf1, tf2, tolerance=None):
    tolerance = tolerance or tolerances.Tolerance()
    before, tf1, tf2 = (np.array(x, np.float32) for x in (before, tf1, tf2))
    allowed = values.update_tolerance(before, tf1, tolerance)
    return values.compare_arrays('v', tf1, tf2, allowed).passed

  def test_rounded_momentum_passes(self):
    factor = np.float32(1) - np.float32(0.9997)
    mean = np.float32([0.5, -2.0])
    self.assertFalse(np.allclose(factor * mean, 0.0003 * mean, rtol=1e-5))
    self.assertTrue(self._passes([0, 0], 0.0003 * mean, factor * mean))

  def test_another_momentum_or_no_update_fails(self):
    before = [1.0, 1.0]  # a moving variance
    tf1 = [1 + 3e-4, 1 - 1e-4]
    self.assertTrue(self._passes(before, tf1, tf1))
    self.assertFalse(self._passes(before, tf1, [1 + 3.3e-4, 1 - 1.1e-4]))
    self.assertFalse(self._passes(before, tf1, before))
    self.assertFalse(self._passes(before, before, [1 + 3e-6, 1]))

  def test_a_given_atol_is_taken(self):
    given = tolerances.Tolerance(atol=1.0)
    self.assertTrue(self._passes([1.0], [1.5], [2.4], given))

  def test_integers_stay_exact(self):
    counter = np.array([3])
    tolerance = tolerances.Tolerance()
    self.assertIs(
      values.update_tolerance(counter, counter + 1, tolerance), tolerance
    )


if __name__ == '__main__':
  absltest.main()
