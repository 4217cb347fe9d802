import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.diagnose import formulas


def _numbers(*shape, scale=2.0):
  return scale * np.random.default_rng(1).normal(size=shape)


class ActivationsTest(parameterized.TestCase):
  @parameterized.parameters(*formulas.ACTIVATIONS)
  def test_each_is_told_from_all_others(self, name):
    x = _numbers(40, 7, scale=4.0)
    values = {'a': formulas.ACTIVATIONS[name](x)}
    self.assertEqual(formulas.activations_of(x, values), {name: 'a'})

  def test_numbers_that_tell_nothing(self):
    x = _numbers(5, 4, scale=0.5)  # None is above 6.
    self.assertEmpty(formulas.activations_of(x, {'a': np.maximum(x, 0)}))

  def test_other_functions(self):
    x = _numbers(5, 4)
    values = {'square': x * x, 'same': x, 'shift': np.tanh(x) + 0.01}
    self.assertEmpty(formulas.activations_of(x, values))

  def test_other_shape(self):
    x = _numbers(5, 4)
    self.assertEmpty(formulas.activations_of(x, {'a': np.tanh(x).T}))


class NormalizationsTest(parameterized.TestCase):
  @parameterized.parameters(((1,),), ((2,),), ((1, 2),), ((0, 1),), ((0,),))
  def test_axes_and_epsilon(self, axes):
    x = _numbers(4, 5, 6)
    mean = x.mean(axes, keepdims=True)
    variance = x.var(axes, keepdims=True)
    for made in (
      variance + 1e-3,
      1 / np.sqrt(variance + 1e-3),
      (x - mean) / np.sqrt(variance + 1e-3),
      ((x - mean) / np.sqrt(variance + 1e-3)).reshape(1, -1),
    ):
      found = formulas.normalization_of(x, {'a': made})
      self.assertIsNotNone(found)
      self.assertEqual((found.statistic, found.axes), ('variance', axes))
      self.assertAlmostEqual(found.epsilon, 1e-3, delta=1e-6)

  @parameterized.parameters(0.0, 1e-12, 1e-5, 0.1)
  def test_epsilons(self, epsilon):
    x = _numbers(4, 6)
    made = 1 / np.sqrt(x.var(-1) + epsilon)
    found = formulas.normalization_of(x, {'a': made})
    self.assertAlmostEqual(found.epsilon, epsilon, delta=1e-3 * epsilon + 1e-14)

  def test_mean_of_squares(self):
    x = _numbers(4, 6) + 1
    made = x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-2)
    found = formulas.normalization_of(x, {'a': made})
    self.assertEqual((found.statistic, found.axes), ('mean of squares', (1,)))

  def test_what_is_no_normalization(self):
    x = _numbers(4, 5, 6)
    variance = x.var(-1, keepdims=True)
    for made in (
      x,
      0.1 * x,
      0.1 * (x - x.mean()),
      x - x.mean(-1, keepdims=True),
      x.mean(-1),
      3 * variance,
      variance,  # Without an epsilon it is but a variance.
      _numbers(4, 5, 1),
    ):
      self.assertIsNone(formulas.normalization_of(x, {'a': made}))

  def test_two_at_once(self):
    x = _numbers(4, 5, 6)
    values = {
      'a': x.var(-1) + 1e-3,
      'b': x.var((1, 2)) + 1e-3,
    }
    self.assertIsNone(formulas.normalization_of(x, values))


if __name__ == '__main__':
  absltest.main()
