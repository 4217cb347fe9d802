import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import optimizers, update_mistakes

WEIGHTS = {'w': np.array([1.0, -2.0, 3.0]), 'v': np.array([[0.5, 4.0]])}
GRADIENTS = {'w': np.array([0.3, 0.1, 0.2]), 'v': np.array([[0.1, -0.7]])}


def difference(name, first, second):
  return [
    (
      'AdamOptimizer',
      'Adam',
      optimizers.HyperparameterDifference(name, first, second),
    )
  ]


class HyperparametersTest(parameterized.TestCase):
  @parameterized.parameters(
    ('epsilon', 1e-8, 1e-7, 'pass epsilon=1e-08 to Adam'),
    ('beta_2', 0.999, 0.99, 'pass beta_2=0.999 to Adam'),
    ('nesterov', True, False, 'pass nesterov=True to Adam'),
    ('weight_decay', None, 0.1, 'weight_decay=0.1 of Adam, decoupled'),
    ('kind', 'momentum', 'gradient descent', 'TF1 trains by momentum'),
  )
  def test_is_named(self, name, first, second, text):
    found = difference(name, first, second)
    self.assertIn(text, update_mistakes.of_hyperparameters(found))

  def test_nothing_differs(self):
    self.assertEqual(update_mistakes.of_hyperparameters([]), '')
    found = difference('amsgrad', None, True)
    self.assertEqual(update_mistakes.of_hyperparameters(found), '')


class RatesTest(parameterized.TestCase):
  @parameterized.parameters(
    ([0.4, 0.2, 0.1], [0.2, 0.1, 0.05], 'one step ahead of'),
    ([0.4, 0.2, 0.1], [0.8, 0.4, 0.2], 'one step behind'),
  )
  def test_off_by_one(self, tf1, tf2, text):
    self.assertIn(text, update_mistakes.of_rates(tf1, tf2))

  @parameterized.parameters(
    ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]),  # constant
    ([0.4, 0.2, 0.1], [0.4, 0.3, 0.2]),
    ([0.4, 0.2], [0.2, 0.1]),  # too few to tell
    ([0.1, 0.1, 0.05], [0.1, 0.1, 0.1]),  # never decays
  )
  def test_something_else(self, tf1, tf2):
    self.assertEqual(update_mistakes.of_rates(tf1, tf2), '')


class GradientsTest(absltest.TestCase):
  def _of(self, first, second, decay=None):
    return update_mistakes.of_gradients(WEIGHTS, first, second, decay)

  def _decayed(self, factor):
    return {n: g + factor * WEIGHTS[n] for n, g in GRADIENTS.items()}

  def test_regularization_on_one_side(self):
    text = self._of(self._decayed(0.1), GRADIENTS)
    self.assertIn('by 0.1 times the weights: the loss of TF1', text)
    self.assertNotIn('decoupled', text)
    text = self._of(GRADIENTS, self._decayed(0.1))
    self.assertIn('the loss of TF2', text)

  def test_decoupled_in_the_optimizer(self):
    text = self._of(self._decayed(0.1), GRADIENTS, 0.1)
    self.assertIn('weight_decay=0.1 of the TF2 optimizer is decoupled', text)

  def test_gradients_that_differ_in_another_way(self):
    twice = {name: 2 * gradient for name, gradient in GRADIENTS.items()}
    self.assertEqual(self._of(twice, GRADIENTS, 0.1), '')
    mixed = {**self._decayed(0.1), 'v': self._decayed(0.2)['v']}
    self.assertEqual(self._of(mixed, GRADIENTS), '')
    self.assertEqual(self._of({}, {}), '')


if __name__ == '__main__':
  absltest.main()
