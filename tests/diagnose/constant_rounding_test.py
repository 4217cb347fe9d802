"""Constants that were rounded to float32 otherwise are no difference."""

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair
from tf_equiv.report import differences

v1 = tf.compat.v1


def case_of(tf1, tf2, **methods):
  def build(function):
    return lambda x, training: function(v1.layers.dense(x, 4, name='dense'))

  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(4, 5),
      build_tf1=build(tf1),
      build_tf2=pair.shim(build(tf2)),
      **methods,
    )
  )


class RoundingTest(parameterized.TestCase):
  def test_another_constant_for_the_same(self):
    case = case_of(lambda x: x / 3.0**0.5, lambda x: x * 3.0**-0.5)
    self.assertIsNone(case.locateDivergence(gradients=True).divergence)

  @parameterized.parameters(1 + 2e-6, 1 - 2e-6, 1.001)
  def test_a_constant_that_is_another(self, factor):
    case = case_of(lambda x: x / 3.0**0.5, lambda x: x * 3.0**-0.5 * factor)
    self.assertIsNotNone(case.locateDivergence().divergence)

  def test_numbers_that_need_no_rounding(self):
    # 0.5 is exact, so that what differs by a few units is no rounding.
    case = case_of(lambda x: x * 0.5, lambda x: x * (0.5 + 2.0**-22))
    found = case.locateDivergence().divergence
    self.assertIn(
      'TF1 0.5, TF2 0.5000002', differences.describe(found.differences[0])
    )

  def test_a_bias_that_was_rounded_by_the_conversion(self):
    def convert(tf1_name, value, tf2_name):
      del tf2_name
      return value + 1 if tf1_name.endswith('bias') else value

    case = case_of(
      lambda x: tf.tanh(x + 1.0), tf.tanh, convert_variable=convert
    )
    self.assertIsNone(case.locateDivergence().divergence)

  def test_a_gradient_that_is_zero_but_for_rounding(self):
    case = case_of(
      lambda x: x - tf.reduce_mean(x, 0),
      lambda x: x - tf.reduce_sum(x, 0) * 0.25,
    )
    self.assertIsNone(case.locateDivergence(gradients=True).divergence)


if __name__ == '__main__':
  del tf_equiv
  absltest.main()
