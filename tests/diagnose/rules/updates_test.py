"""Tests of the rules about updates, on their numbers alone."""

import numpy as np
from absl.testing import absltest

from tests.diagnose.rules import rule_cases
from tests.diagnose.rules.rule_cases import Case, Difference, Kind
from tf_equiv.compare import optimizers
from tf_equiv.diagnose import facts
from tf_equiv.diagnose.rules import updates

WEIGHTS = {'w': np.array([1.0, -2.0, 3.0]), 'v': np.array([[0.5, 4.0]])}
GRADIENTS = {'w': np.array([0.3, 0.1, 0.2]), 'v': np.array([[0.1, -0.7]])}


def _difference(name, first, second):
  return optimizers.OptimizerDifference(
    'AdamOptimizer',
    'Adam',
    optimizers.HyperparameterDifference(name, first, second),
  )


def _decayed(factor):
  return {n: g + factor * WEIGHTS[n] for n, g in GRADIENTS.items()}


def _gradients(first, second, decay=None):
  return facts.Gradients(WEIGHTS, first, second, decay)


def _order(kind):
  return rule_cases.diverge(Difference(kind, '', 'a', 'b'))


GRADIENTS_OF_TF2 = {n: g + 1.0 for n, g in GRADIENTS.items()}


def _scaled(factor, losses=None, lone=''):
  second = {n: factor * g for n, g in GRADIENTS.items()}
  if lone:
    second[lone] = 2 * second[lone]
  return facts.Gradients(
    {}, GRADIENTS, second, trained=len(GRADIENTS), losses=losses
  )


CASES = (
  Case(
    updates.decoupled_decay,
    fires=(
      (
        _difference('weight_decay', None, 0.1),
        'weight_decay=0.1 of Adam, decoupled',
      ),
    ),
    misses=(_difference('ema_momentum', None, 0.1),),
  ),
  Case(
    updates.optimizer_epsilon,
    fires=((_difference('epsilon', 1e-8, 1e-7), 'pass epsilon=1e-08 to Adam'),),
    misses=(_difference('beta_2', 1e-8, 1e-7),),
  ),
  Case(
    updates.other_algorithm,
    fires=(
      (
        _difference('kind', 'momentum', 'gradient descent'),
        'TF1 trains by momentum, TF2 by gradient descent',
      ),
    ),
    misses=(_difference('momentum', 0.9, 0.8),),
  ),
  Case(
    updates.other_hyperparameter,
    fires=(
      (_difference('beta_2', 0.999, 0.99), 'pass beta_2=0.999 to Adam'),
      (_difference('nesterov', True, False), 'pass nesterov=True to Adam'),
    ),
    misses=(_difference('amsgrad', None, True),),
  ),
  Case(
    updates.reordered_updates,
    fires=((_order(Kind.UPDATE_ORDER), 'run in another order'),),
    misses=(_order(Kind.NOT_TRAINED), rule_cases.diverge()),
  ),
  Case(
    updates.shifted_rate,
    fires=(
      (facts.Rates([0.4, 0.2, 0.1], [0.2, 0.1, 0.05]), 'one step ahead of'),
      (facts.Rates([0.4, 0.2, 0.1], [0.8, 0.4, 0.2]), 'one step behind'),
    ),
    misses=(
      facts.Rates([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]),  # constant
      facts.Rates([0.4, 0.2, 0.1], [0.4, 0.3, 0.2]),
      facts.Rates([0.4, 0.2], [0.2, 0.1]),  # too few to tell
      facts.Rates([0.1, 0.1, 0.05], [0.1, 0.1, 0.1]),  # never decays
    ),
  ),
  Case(
    updates.lone_regularization,
    fires=(
      (
        _gradients(_decayed(0.1), GRADIENTS),
        'by 0.1 times the weights: the loss of TF1',
      ),
      (_gradients(GRADIENTS, _decayed(0.1)), 'the loss of TF2'),
      (
        _gradients(_decayed(0.1), GRADIENTS, 0.1),
        'weight_decay=0.1 of the TF2 optimizer is decoupled',
      ),
    ),
    misses=(
      _gradients({n: 2 * g for n, g in GRADIENTS.items()}, GRADIENTS, 0.1),
      _gradients({**_decayed(0.1), 'v': _decayed(0.2)['v']}, GRADIENTS),
      _gradients({}, {}),
    ),
  ),
)

CASES += (
  Case(
    updates.scaled_gradients,
    fires=(
      (_scaled(3.0), 'All gradients of TF2 are 3 times those of TF1: what'),
      (_scaled(3.0, (2.0, 6.0)), 'and so is the loss: it has another weight'),
      (_scaled(0.5, (2.0, 2.0)), 'although the losses agree: the gradients'),
    ),
    misses=(
      _scaled(1.5, lone='v'),
      facts.Gradients({}, GRADIENTS, GRADIENTS_OF_TF2, trained=2),
      facts.Gradients({}, {}, {}, trained=2),
      facts.Gradients(
        {}, {'w': GRADIENTS['w']}, {'w': 2 * GRADIENTS['w']}, trained=1
      ),
    ),
  ),
)


class UpdatesTest(rule_cases.RuleTestCase):
  cases = CASES

  def test_decay_of_the_optimizer_is_named_where_there_is_one(self):
    record = _gradients(_decayed(0.1), GRADIENTS)
    self.assertNotIn('decoupled', updates.lone_regularization(record))


if __name__ == '__main__':
  absltest.main()
