from absl.testing import absltest

from tests.diagnose.rules.rule_cases import (
  Case,
  Difference,
  Kind,
  RuleTestCase,
  assigned,
  attribute,
  constant,
  diverge,
  numbers,
)
from tf_equiv.compare import difference, divergence
from tf_equiv.diagnose.rules import statistics

_DECAY = Difference(Kind.DECAY, tf1=0.9, tf2=0.99)
_EPSILON = 'epsilon of the normalization is 1e-12 in TF1 and 0.001 in TF2'
_EXPLAINS = Difference(Kind.EPSILON, tf1=1e-12, tf2=0.001)
_NORM = {'tf1': 'layer_norm/add (Add)', 'tf2': 'norm/add (Add)'}


def _normalizes(kind, axes, other, others):
  return Difference(Kind.NORMALIZES, 'net/x', (kind, axes), (other, others))


def _only(kind, side, value, **fields):
  return diverge(difference.one_sided(kind, side, value, **fields))


def _assigns(side, group, variables=()):
  return diverge(
    difference.one_sided(Kind.ASSIGNS, side, 'op', subject='w'),
    group=group,
    variables=variables,
  )


CASES = (
  Case(
    statistics.assigned_in_forward_pass,
    (
      (
        _assigns(1, divergence.FORWARD_ASSIGNMENTS, ('w',)),
        'forward pass of TF2 itself assigns w, which is trained; that of TF1',
      ),
      (
        _assigns(0, divergence.FORWARD_ASSIGNMENTS, ('w',)),
        'assign it in the call with training=True',
      ),
    ),
    (
      _assigns(1, 'updated variables', ('w',)),
      diverge(_DECAY, group=divergence.FORWARD_ASSIGNMENTS),
    ),
  ),
  Case(
    statistics.momentum,
    (
      (
        diverge(_DECAY, assigned('bn/moving_mean')),
        'The momentum (decay) of batch normalization is 0.9 in TF1 and 0.99',
      ),
    ),
    (
      diverge(_DECAY, assigned('bn/average')),
      diverge(assigned('bn/moving_mean')),
    ),
  ),
  Case(
    statistics.decay,
    (
      (
        diverge(_DECAY, assigned('bn/average')),
        'The decay of the moving average is 0.9 in TF1 and 0.99 in TF2.',
      ),
    ),
    (diverge(assigned('bn/average'), constant(0.9, 0.99)),),
  ),
  Case(
    statistics.average_not_applied,
    (
      (
        _assigns(0, 'slots (moving average)'),
        'TF1 keeps a moving average of the variable in training',
      ),
      (
        _assigns(1, 'slots (moving average)'),
        '(ExponentialMovingAverage.apply), TF1 never does',
      ),
    ),
    (
      _assigns(0, 'updated variables'),
      diverge(assigned('w'), group='slots (moving average)'),
    ),
  ),
  Case(
    statistics.not_updated_in_tf2,
    (
      (
        _assigns(0, 'updated variables'),
        'TF1 updates the variable in training, TF2 never does',
      ),
    ),
    (
      _assigns(1, 'updated variables'),
      _assigns(0, 'slots (moving average)'),
      diverge(assigned('bn/moving_mean')),
    ),
  ),
  Case(
    statistics.not_updated_in_tf1,
    (
      (
        _assigns(1, 'updated variables', ('bn/moving_mean',)),
        'does: it does not run UPDATE_OPS',
      ),
      (
        _assigns(1, 'updated variables', ('dense/kernel',)),
        'compute with the new value and do not assign it',
      ),
    ),
    (
      _assigns(0, 'updated variables'),
      _assigns(1, 'slots (moving average)'),
    ),
  ),
  Case(
    statistics.axes,
    (
      (
        diverge(_normalizes('variance', (2,), 'variance', (1, 2))),
        'takes the variance over the axes [2] in TF1, and over [1, 2] in TF2',
      ),
      (
        diverge(_normalizes('variance', (2,), 'mean of squares', (2,))),
        'root of the variance (axes [2]) in TF1, of the mean of squares',
      ),
    ),
    (diverge(_EXPLAINS), diverge(constant((2,), (1, 2)), **_NORM)),
  ),
  Case(
    statistics.epsilon,
    (
      (diverge(_EXPLAINS), _EPSILON),
      (diverge(_EXPLAINS, constant(1e-12, 0.001), **_NORM), _EPSILON),
      (
        diverge(attribute('epsilon', 1e-12, 0.001), recorded=True),
        _EPSILON,
      ),
    ),
    (
      # Other epsilons, of which nobody has tried what they explain.
      diverge(attribute('epsilon', 1e-12, 0.001)),
      diverge(*numbers((1e-12, 2.0), (0.001,)), **_NORM),
      diverge(constant(1e-12, 0.001), **_NORM),
      diverge(_EXPLAINS, assigned('bn/moving_mean')),
      diverge(constant(1e-12, 0.001)),
      diverge(constant(1.0, 0.001), **_NORM),
      diverge(*numbers((1e-12,)), **_NORM),
      diverge(constant(0.05, 0.01), tf1='clip_by_norm/mul (Mul)'),
      diverge(constant(0.05, 0.01), tf1='clip_by_global_norm/mul (Mul)'),
      diverge(constant(0.05, 0.01), tf1='random_normal/mul (Mul)'),
    ),
  ),
  Case(
    statistics.training_flag,
    (
      (
        diverge(attribute('is_training', True, False)),
        'One side normalizes with the statistics of the batch',
      ),
      (
        _only(Kind.READS, 1, ('bn/gamma', 'bn/moving_variance')),
        'hand the training flag on to the layer',
      ),
    ),
    (
      _only(Kind.READS, 1, ('bn/gamma',)),
      diverge(
        difference.one_sided(Kind.READS, 0, ('bn/moving_mean',)),
        assigned('bn/moving_mean'),
      ),
    ),
  ),
)


class StatisticsTest(RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
