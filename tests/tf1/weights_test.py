"""Tests of fixed weights."""

import ml_dtypes
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.core import errors
from tf_equiv.core.observation import VariableSpec
from tf_equiv.tf1 import weights

_POSITIVE_NAMES = (
  'bn/moving_variance',
  'bn/running_var',
  'bn/variance',
  'moving_variance',
  'bn/moving_variance_1',
  'bn/moving_variance/biased',
  'stddev',
)

# Computed with NumPy 2; `RandomState` promises never to change.
_NET_KERNEL = [
  0.49581579276335463,
  0.6755438444592088,
  0.31361800717673677,
  0.6838734311399784,
]


class NamedWeightsTest(parameterized.TestCase):
  def test_repeatable(self):
    one = weights.named_weights('a/kernel', (3, 4), np.float32)
    two = weights.named_weights('a/kernel', (3, 4), np.float32)
    np.testing.assert_array_equal(one, two)
    self.assertEqual(one.dtype, np.float32)
    self.assertEqual(one.shape, (3, 4))

  def test_numbers_stay_the_same_in_all_versions(self):
    np.testing.assert_allclose(
      weights.named_weights('net/kernel', (2, 2), np.float64).ravel(),
      _NET_KERNEL,
      rtol=1e-12,
    )

  def test_global_generator_is_left_alone(self):
    state = np.random.get_state()[1].copy()
    weights.named_weights('a', (3,), np.float32)
    np.testing.assert_array_equal(np.random.get_state()[1], state)

  def test_depends_on_the_name(self):
    one = weights.named_weights('a/kernel', (4, 4), np.float32)
    two = weights.named_weights('b/kernel', (4, 4), np.float32)
    self.assertGreater(np.abs(one - two).min(), 0.0)

  def test_no_symmetry_hides_a_transpose(self):
    value = weights.named_weights('a', (4, 4), np.float32)
    self.assertLen(np.unique(value), 16)
    self.assertGreater(np.abs(value - value.T).max(), 0.1)

  @parameterized.parameters(((3, 3, 16, 32), 144), ((400, 30), 400))
  def test_scaled_by_fan_in(self, shape, fan_in):
    value = weights.named_weights('kernel', shape, np.float64)
    self.assertAlmostEqual(value.std() * np.sqrt(fan_in), 1.0, delta=0.05)
    self.assertAlmostEqual(value.mean() * np.sqrt(fan_in), 0.0, delta=0.05)

  def test_biases_are_small(self):
    value = weights.named_weights('bias', (5000,), np.float64)
    self.assertAlmostEqual(value.std(), 0.1, delta=0.01)

  @parameterized.parameters(*_POSITIVE_NAMES)
  def test_variances_are_positive(self, name):
    value = weights.named_weights(name, (1000,), np.float32)
    self.assertGreaterEqual(value.min(), 0.5)
    self.assertLessEqual(value.max(), 1.5)
    self.assertLess(value.min(), 0.6)
    self.assertGreater(value.max(), 1.4)

  @parameterized.parameters('variational/w', 'my_variable', 'a/vars', 'invar')
  def test_not_every_var_is_a_variance(self, name):
    self.assertLess(weights.named_weights(name, (1000,), np.float32).min(), 0)

  @parameterized.parameters('bn/gamma', 'ln/scale', 'gamma')
  def test_factors_are_around_one(self, name):
    value = weights.named_weights(name, (1000,), np.float32)
    self.assertAlmostEqual(value.mean(), 1.0, delta=0.02)
    self.assertAlmostEqual(value.std(), 0.1, delta=0.02)

  @parameterized.parameters(np.int32, np.int64, np.uint8)
  def test_integers_are_zero(self, dtype):
    value = weights.named_weights('step', (2,), dtype)
    self.assertEqual(value.dtype, dtype)
    self.assertEqual(value.tolist(), [0, 0])

  def test_booleans_alternate(self):
    value = weights.named_weights('mask', (3,), np.bool_)
    self.assertEqual(value.tolist(), [True, False, True])
    self.assertEqual(weights.named_weights('m', (), np.bool_).shape, ())

  def test_text_is_empty(self):
    value = weights.named_weights('words', (2,), object)
    self.assertEqual(value.tolist(), [b'', b''])

  @parameterized.parameters(
    np.float16, np.float64, ml_dtypes.bfloat16, np.complex64, np.complex128
  )
  def test_other_dtypes(self, dtype):
    value = weights.named_weights('kernel', (3, 2), dtype)
    self.assertEqual(value.dtype, dtype)
    self.assertTrue(np.isfinite(value).all())
    self.assertGreater(np.abs(value.astype(np.complex128)).min(), 0)

  def test_complex_has_an_imaginary_part(self):
    value = weights.named_weights('kernel', (3, 2), np.complex64)
    self.assertGreater(np.abs(value.imag).min(), 0)

  @parameterized.parameters(((),), ((0,),), ((3, 0),), ((0, 3),))
  def test_odd_shapes(self, shape):
    value = weights.named_weights('a', shape, np.float32)
    self.assertIsInstance(value, np.ndarray)
    self.assertEqual(value.shape, shape)


class ConstantWeightsTest(absltest.TestCase):
  def test_guide_value(self):
    value = weights.constant_weights()('a', [2, 3], 'float32')
    np.testing.assert_array_equal(value, np.full((2, 3), 0.001, np.float32))
    self.assertEqual(value.dtype, np.float32)

  def test_is_no_method(self):
    class Owner:
      reset_weights = weights.constant_weights(0.5)

    self.assertEqual(
      Owner().reset_weights('a', (1,), 'float64').tolist(), [0.5]
    )


class CheckWeightTest(parameterized.TestCase):
  def _check(self, value, shape=(2,), dtype=np.float32):
    spec = VariableSpec('net/w', shape, np.dtype(dtype).name, True)
    return weights.check_weight(value, spec, np.dtype(dtype))

  @parameterized.parameters(
    np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.int32, np.bool_
  )
  def test_casts(self, dtype):
    value = self._check([1, 0], dtype=dtype)
    self.assertEqual(value.dtype, dtype)
    self.assertEqual(value.tolist(), [1, 0])

  def test_text(self):
    value = self._check(np.array([b'a', b'b'], object), dtype=object)
    self.assertEqual(value.tolist(), [b'a', b'b'])

  def test_none(self):
    with self.assertRaisesRegex(
      errors.UsageError, r"reset_weights\('net/w', \(2,\), float32\) returned N"
    ):
      self._check(None)

  @parameterized.parameters(5.0, [[1.0, 2.0, 3.0]], [[[1.0, 2.0]]])
  def test_shape(self, value):
    with self.assertRaisesRegex(
      errors.UsageError, r'array of shape .*; the variable has shape \(2,\)'
    ):
      self._check(value)

  def test_ragged(self):
    with self.assertRaisesRegex(errors.UsageError, 'a list, which is no array'):
      self._check([[1.0], [2.0, 3.0]])

  @parameterized.parameters('U', 'S', 'O')
  def test_text_for_numbers(self, kind):
    value = np.array(['1', '2']).astype(kind)
    with self.assertRaisesRegex(
      errors.UsageError, 'array of dtype .*; the variable has dtype float32'
    ):
      self._check(value)

  def test_complex_for_real(self):
    with self.assertRaisesRegex(errors.UsageError, 'returned complex numbers'):
      self._check(np.array([1j, 2]))
    self.assertEqual(
      self._check([1j, 2], dtype=np.complex64).dtype, np.complex64
    )

  @parameterized.product(
    value=[float('nan'), float('inf'), -float('inf')],
    dtype=[np.float32, np.float64, ml_dtypes.bfloat16, np.complex64],
  )
  def test_not_finite(self, value, dtype):
    with self.assertRaisesRegex(
      errors.UsageError, '1 values that are NaN or infinite; with them'
    ):
      self._check(np.array([value, 1]).astype(dtype), dtype=dtype)

  def test_overflow_of_the_cast(self):
    with self.assertRaisesRegex(
      errors.UsageError, '1 values that are NaN or infinite as float16; with'
    ):
      self._check([1e5, 1.0], dtype=np.float16)

  def test_nan_for_an_integer(self):
    with self.assertRaisesRegex(errors.UsageError, 'NaN or infinite; with'):
      self._check([np.nan, 1.0], dtype=np.int32)


if __name__ == '__main__':
  absltest.main()
