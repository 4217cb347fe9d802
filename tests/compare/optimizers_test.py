import dataclasses

from absl.testing import absltest, parameterized

from tf_equiv.compare import optimizers
from tf_equiv.report import hyperparameters
from tf_equiv.tf1.optimizers import OptimizerSpec

ADAM = {'beta_1': 0.9, 'beta_2': 0.999, 'epsilon': 1e-8}
RMSPROP = {'rho': 0.9, 'momentum': 0.0, 'epsilon': 1e-10, 'centered': False}
FTRL = {
  'learning_rate_power': -0.5,
  'initial_accumulator_value': 0.1,
  'l1': 0.0,
  'l2': 0.0,
  'l2_shrinkage': 0.0,
  'beta': 0.0,
}


def of_tf1(kind, **hyperparameters):
  return OptimizerSpec('InTf1', kind, hyperparameters)


def of_tf2(kind, **hyperparameters):
  return OptimizerSpec('InTf2', kind, hyperparameters)


def differences(first, second):
  return [
    (found.name, found.tf1_value, found.tf2_value)
    for found in optimizers.compare_specs(first, second)
  ]


class CompareSpecsTest(parameterized.TestCase):
  @parameterized.parameters(
    ('adam', ADAM, 'epsilon', 1e-7),
    ('adam', ADAM, 'beta_1', 0.5),
    ('adam', ADAM, 'beta_2', 0.99),
    ('nadam', ADAM, 'epsilon', 1e-7),
    ('momentum', {'momentum': 0.9, 'nesterov': False}, 'momentum', 0.99),
    ('momentum', {'momentum': 0.9, 'nesterov': False}, 'nesterov', True),
    ('rmsprop', RMSPROP, 'rho', 0.99),
    ('rmsprop', RMSPROP, 'epsilon', 1e-7),
    ('rmsprop', RMSPROP, 'momentum', 0.9),
    ('rmsprop', RMSPROP, 'centered', True),
    (
      'adagrad',
      {'initial_accumulator_value': 0.1},
      'initial_accumulator_value',
      0.0,
    ),
    ('adadelta', {'rho': 0.95, 'epsilon': 1e-8}, 'epsilon', 1e-7),
    ('adadelta', {'rho': 0.95, 'epsilon': 1e-8}, 'rho', 0.9),
    *(('ftrl', FTRL, name, value - 0.25) for name, value in FTRL.items()),
  )
  def test_a_hyperparameter_that_differs(self, kind, given, name, value):
    first = of_tf1(kind, **given)
    self.assertEmpty(differences(first, of_tf2(kind, **given)))
    second = of_tf2(kind, **{**given, name: value})
    self.assertEqual(differences(first, second), [(name, given[name], value)])
    (found,) = optimizers.compare_specs(first, second)
    self.assertNotEmpty(hyperparameters.consequence(found))

  @parameterized.parameters(
    ('weight_decay', 0.01, 0.0),
    ('amsgrad', True, False),
    ('adaptive_epsilon', True, False),
    ('ema_momentum', 0.99, None),
    ('ema_overwrite_frequency', 100.0, None),
    ('gradient_accumulation_steps', 4.0, None),
  )
  def test_what_keras_adds_counts_where_it_is_set(self, name, value, off):
    first = of_tf1('adam', **ADAM)
    second = of_tf2('adam', **ADAM, **{name: off})
    self.assertEmpty(differences(first, second))
    second = of_tf2('adam', **ADAM, **{name: value})
    self.assertEqual(differences(first, second), [(name, None, value)])
    (found,) = optimizers.compare_specs(first, second)
    self.assertIn('TF2', hyperparameters.consequence(found))

  def test_clipping_is_no_difference(self):
    first = of_tf1('adam', **ADAM)
    second = of_tf2('adam', **ADAM, clipnorm=1.0, global_clipnorm=2.0)
    self.assertEmpty(differences(first, second))

  def test_float32_is_no_difference(self):
    first = of_tf1('adam', **ADAM)
    second = of_tf2(
      'adam', beta_1=0.8999999761581421, beta_2=0.9990000128746033, epsilon=1e-8
    )
    self.assertEmpty(differences(first, second))
    second = dataclasses.replace(
      second, hyperparameters={**second.hyperparameters, 'beta_2': 0.99901}
    )
    self.assertLen(differences(first, second), 1)

  def test_what_is_not_known_is_no_difference(self):
    first = of_tf1('adam', beta_1=0.9, epsilon=1e-8)
    self.assertEmpty(differences(first, of_tf2('adam', **ADAM)))
    self.assertEmpty(differences(of_tf1('adam', **ADAM), of_tf2('adam')))

  def test_another_algorithm_is_one_difference(self):
    first = of_tf1('momentum', momentum=0.9, nesterov=False)
    second = of_tf2('adam', **ADAM, weight_decay=0.1)
    self.assertEqual(differences(first, second), [('kind', 'momentum', 'adam')])
    self.assertEqual(
      differences(of_tf1('adam', **ADAM), of_tf2('adamw', **ADAM)),
      [('kind', 'adam', 'adamw')],
    )

  def test_an_unknown_algorithm_is_none(self):
    for first, second in (('other', 'adamw'), ('adam', 'other')):
      self.assertEmpty(
        differences(of_tf1(first, epsilon=1.0), of_tf2(second, epsilon=2.0))
      )

  def test_momentum_of_zero_is_gradient_descent(self):
    first = of_tf1('momentum', momentum=0.0, nesterov=True)
    second = of_tf2('gradient descent', momentum=0.0, nesterov=False)
    self.assertEmpty(differences(first, second))
    first = of_tf1('gradient descent')
    second = of_tf2('momentum', momentum=0.9, nesterov=False)
    self.assertEqual(
      differences(first, second), [('kind', 'gradient descent', 'momentum')]
    )

  @parameterized.parameters(
    (1e-7, 0.1, False),
    (0.0, 0.1, False),
    (1e-3, 0.1, True),
    (1e-7, 1e-4, True),
  )
  def test_adagrad_epsilon_counts_where_it_matters(
    self, epsilon, accumulator, matters
  ):
    first = of_tf1('adagrad', initial_accumulator_value=accumulator)
    second = of_tf2(
      'adagrad', initial_accumulator_value=accumulator, epsilon=epsilon
    )
    expected = [('epsilon', None, epsilon)] if matters else []
    self.assertEqual(differences(first, second), expected)

  def test_differences_are_sorted(self):
    second = of_tf2('adam', beta_1=0.5, beta_2=0.5, epsilon=1.0, amsgrad=True)
    self.assertEqual(
      [name for name, _, _ in differences(of_tf1('adam', **ADAM), second)],
      ['amsgrad', 'beta_1', 'beta_2', 'epsilon'],
    )

  def test_adadelta_epsilon_has_another_consequence(self):
    # Its updates start with the root of epsilon.
    texts = []
    for kind in ('adam', 'adadelta'):
      (found,) = optimizers.compare_specs(
        of_tf1(kind, epsilon=1e-8), of_tf2(kind, epsilon=1e-7)
      )
      texts.append(hyperparameters.consequence(found))
    self.assertIn('small', texts[0])
    self.assertIn('first updates', texts[1])


if __name__ == '__main__':
  absltest.main()
