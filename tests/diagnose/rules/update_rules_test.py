"""Tests what the numbers of updates say of the rule behind them."""

import math

import numpy as np
from absl.testing import absltest

from tests.diagnose.rules import rule_cases
from tf_equiv.diagnose import facts
from tf_equiv.diagnose.rules import table, update_rules

_RNG = np.random.default_rng(0)
_WEIGHTS = {
  'net/kernel': _RNG.normal(size=(4, 3)),
  'net/bias': _RNG.normal(size=(5,)),
}
_CHANGES = {n: _RNG.normal(size=w.shape) for n, w in _WEIGHTS.items()}


def updates(change, names=tuple(_WEIGHTS), step=1, **hyperparameters):
  """Updates of TF2 that are a function of (change of TF1, weights, name)."""
  return facts.Updates(
    step,
    _WEIGHTS,
    {n: _CHANGES[n] for n in names},
    {n: change(_CHANGES[n], _WEIGHTS[n], n) for n in names},
    0.1,
    ('Legacy', 'Ported'),
    ({}, hyperparameters),
    3,
  )


def correction(step):
  return math.sqrt(1 - 0.999**step) / (1 - 0.9**step)


def moments(gap):
  return facts.FirstMoments(
    _WEIGHTS,
    _CHANGES,
    {n: c + gap(_WEIGHTS[n]) for n, c in _CHANGES.items()},
    0.9,
  )


def losses(factors, sizes=(6,)):
  tf1 = [1.5, 2.5]
  tf2 = [f * x for f, x in zip(factors, tf1, strict=True)]
  return facts.ScalarLosses(['loss', 'loss'], tf1, tf2, sizes)


CASES = (
  rule_cases.Case(
    update_rules.lone_decay,
    (
      (
        updates(lambda c, w, n: c - 0.1 * 0.01 * w),
        'TF2 decays net/bias, net/kernel',
      ),
    ),
    (
      updates(lambda c, w, n: c - 0.001),
      updates(lambda c, w, n: c - 0.001 * np.abs(w)),
    ),
  ),
  rule_cases.Case(
    update_rules.bias_correction,
    (
      (
        updates(lambda c, w, n: correction(1) * c),
        'Ported of TF2 corrects the bias',
      ),
    ),
    (
      updates(lambda c, w, n: 0.3 * c),
      updates(lambda c, w, n: correction(1) * c, step=2),
    ),
  ),
  rule_cases.Case(
    update_rules.coupled_decay,
    (
      (
        moments(lambda w: 0.1 * 0.01 * w),
        'TF2 adds weight decay to the gradient',
      ),
    ),
    (moments(np.square), moments(np.ones_like)),
  ),
  rule_cases.Case(
    update_rules.scaled_loss,
    (
      (losses([1 / 6, 1 / 6]), 'a sum over it in TF1, a mean in TF2'),
      (losses([0.3, 0.3]), 'is 0.3 times that of TF1'),
    ),
    (losses([0.3, 0.4]), losses([1.0, 1.0])),
  ),
)


class CasesTest(rule_cases.RuleTestCase):
  cases = CASES


class UpdateRulesTest(absltest.TestCase):
  def test_weight_decay_of_some(self):
    found = updates(lambda c, w, n: c - 0.1 * 0.01 * w, ['net/bias'])
    text = table.recognize(found)
    self.assertStartsWith(text, 'TF2 decays net/bias (3 others agree) more')
    self.assertIn('0.01 times the weights', text)

  def test_weight_decay_of_tf1(self):
    text = table.recognize(updates(lambda c, w, n: c + 0.1 * 0.02 * w))
    self.assertStartsWith(text, 'TF1 decays net/bias, net/kernel')
    self.assertIn('0.02 times the weights', text)

  def test_other_strengths_are_no_decay(self):
    strengths = {'net/kernel': 0.01, 'net/bias': 0.03}
    found = updates(lambda c, w, n: c - 0.1 * strengths[n] * w)
    self.assertEqual(table.recognize(found), '')

  def test_constant_is_no_decay(self):
    found = updates(lambda c, w, n: c - 0.01)
    self.assertEqual(table.recognize(found), '')

  def test_noise(self):
    found = updates(lambda c, w, n: c + _RNG.normal(size=c.shape))
    self.assertEqual(table.recognize(found), '')

  def test_bias_correction(self):
    for step in (1, 3):
      with self.subTest(step=step):
        factor = correction(step)
        found = updates(lambda c, w, n, k=factor: k * c, step=step)
        text = table.recognize(found)
        self.assertIn('Ported of TF2 corrects the bias', text)
        self.assertIn('Legacy of TF1 does not', text)
        found = updates(lambda c, w, n, k=factor: c / k, step=step)
        text = table.recognize(found)
        self.assertIn('Legacy of TF1 corrects the bias', text)

  def test_bias_correction_of_other_decays(self):
    betas = {'beta_1': 0.8, 'beta_2': 0.99}
    factor = math.sqrt(1 - 0.99) / (1 - 0.8)
    found = updates(lambda c, w, n: factor * c, **betas)
    self.assertIn('corrects the bias', table.recognize(found))
    found = updates(lambda c, w, n: correction(1) * c, **betas)
    self.assertEqual(table.recognize(found), '')

  def test_bias_correction_and_decay_of_all(self):
    factor = correction(1)
    own = {'net/kernel': 0.01, 'net/bias': 0.0}

    def change(c, w, n):
      return factor * (c + 0.1 * own[n] * w) - 0.1 * 0.01 * w

    text = table.recognize(updates(change, weight_decay=0.01))
    self.assertIn('corrects the bias', text)
    self.assertIn('Besides, TF2 decays net/bias, which TF1 does not', text)
    self.assertNotIn('net/kernel', text)

  def test_another_factor(self):
    self.assertEqual(table.recognize(updates(lambda c, w, n: 2 * c)), '')


class MomentsTest(absltest.TestCase):
  def recognize(self, gap):
    return table.recognize(
      facts.FirstMoments(
        _WEIGHTS,
        _CHANGES,
        {n: c + gap(_WEIGHTS[n]) for n, c in _CHANGES.items()},
        0.9,
      )
    )

  def test_coupled_in_tf2(self):
    text = self.recognize(lambda w: 0.1 * 0.01 * w)
    self.assertIn('(1 - beta_1) times 0.01', text)
    self.assertIn('TF2 adds weight decay to the gradient', text)

  def test_coupled_in_tf1(self):
    text = self.recognize(lambda w: -0.1 * 0.01 * w)
    self.assertIn('TF1 adds weight decay to the gradient', text)

  def test_other_moments(self):
    self.assertEqual(self.recognize(np.square), '')


class LossesTest(absltest.TestCase):
  def recognize(self, factor, gradients=None, sizes=(6,)):
    tf1 = [1.5, 2.5]
    return table.recognize(
      facts.ScalarLosses(
        ['loss', 'loss'], tf1, [factor * x for x in tf1], sizes, gradients
      )
    )

  def test_mean_against_sum(self):
    text = self.recognize(1 / 6, 1 / 6)
    self.assertIn('is 1/6 times that of TF1', text)
    self.assertIn('so are the gradients', text)
    self.assertIn('a sum over it in TF1, a mean in TF2', text)

  def test_weight(self):
    text = self.recognize(0.3)
    self.assertIn('is 0.3 times that of TF1', text)
    self.assertNotIn('mean in', text)
    self.assertNotIn('gradients', text)

  def test_no_multiple(self):
    found = facts.ScalarLosses(['a', 'b'], [1.0, 2.0], [2.0, 3.0], (2,))
    self.assertEqual(table.recognize(found), '')

  def test_weight_decay_of_equal_weights(self):
    ones = np.ones(5)
    changes = {'gain': _CHANGES['net/bias']}

    def of(tf2, tf1=changes, agreeing=3):
      found = facts.Updates(
        1,
        {'gain': ones},
        tf1,
        {'gain': tf2},
        0.1,
        ('Legacy', 'Ported'),
        ({}, {}),
        agreeing,
      )
      return update_rules.lone_decay(found)

    text = of(changes['gain'] - 0.001)
    self.assertStartsWith(text, 'The updates of gain (3 others agree) are')
    self.assertIn('the learning rate times 0.01 times the weights', text)
    self.assertNotIn('decays', text)
    self.assertEqual(of(1.1 * changes['gain']), '')
    # Any rule moves all by the same where the gradients are the same.
    self.assertEqual(of(0.4 * ones, {'gain': 0.5 * ones}), '')
    self.assertEqual(of(changes['gain'] - 0.001, agreeing=0), '')


if __name__ == '__main__':
  absltest.main()
