import numpy as np
from absl.testing import absltest

from tests.diagnose.rules.rule_cases import (
  Case,
  RuleTestCase,
  constant,
  diverge,
  numbers,
)
from tf_equiv.compare import tolerances, values
from tf_equiv.diagnose.rules import losses

_REGULARIZER = {'tf1': 'w/Regularizer/mul (Mul)'}
_SPARSE = {'tf1': 'loss/a (SparseSoftmaxCrossEntropyWithLogits)'}
_ENTROPY = {'tf1': 'softmax_cross_entropy_loss/mul (Mul)'}


def _loss(tf1, tf2, group='loss', op='loss/value (Mean)'):
  compared = values.compare_arrays(
    'loss', np.array(tf1), np.array(tf2), tolerances.Tolerance()
  )
  return diverge(tf1=op, tf2=op, comparison=compared, group=group)


CASES = (
  Case(
    losses.doubled_regularizer,
    (
      (
        diverge(constant(0.02, 0.04), **_REGULARIZER),
        'The factor of the regularizer is doubled',
      ),
    ),
    (
      diverge(constant(0.02, 0.03), **_REGULARIZER),
      diverge(constant(0.04, 0.02), **_REGULARIZER),
      diverge(constant(0.0, 0.02), **_REGULARIZER),
      diverge(constant(0.02, 0.04)),
    ),
  ),
  Case(
    losses.regularizer,
    (
      (
        diverge(constant(0.02, 0.03), **_REGULARIZER),
        'The factor of the regularizer is 0.02 in TF1 and 0.03 in TF2.',
      ),
    ),
    (
      diverge(constant(0.02, 0.03)),
      diverge(constant((1.0, 2.0), (1.0, 3.0)), **_REGULARIZER),
    ),
  ),
  Case(
    losses.from_logits,
    (
      (
        diverge(*numbers((), (1e-7, 1.0)), only=('', 'a (Log)'), **_SPARSE),
        'Keras takes the logits for probabilities',
      ),
    ),
    (
      diverge(*numbers((), (1e-7, 1.0)), **_SPARSE),
      diverge(*numbers((), (1e-6,)), only=('', 'a (Log)'), **_SPARSE),
      diverge(*numbers((1e-7,)), only=('', 'a (Log)'), **_SPARSE),
      diverge(*numbers((), (1e-7,)), only=('', 'a (Log)')),
    ),
  ),
  Case(
    losses.label_smoothing,
    (
      (
        diverge(*numbers((0.9, 0.025)), **_ENTROPY),
        'TF1 smooths the labels (label_smoothing=0.1), TF2 does not.',
      ),
      (
        diverge(*numbers((), (0.9, 0.025)), **_ENTROPY),
        'TF2 smooths the labels (label_smoothing=0.1), TF1 does not.',
      ),
    ),
    (
      diverge(*numbers((0.9, 0.023)), **_ENTROPY),
      diverge(*numbers((0.9,)), **_ENTROPY),
      diverge(*numbers((0.9, 0.025))),
    ),
  ),
  Case(
    losses.reduction,
    (
      (
        _loss(4.0, 3.0),
        'The loss is reduced differently (TF2 is 3/4 times TF1)',
      ),
    ),
    (
      _loss(4.0, 3.01234567),
      _loss(4.0, 400.0),
      _loss(0.0, 3.0),
      _loss([4.0, 4.0], [3.0, 3.0]),
      _loss(4.0, 3.0, group='outputs'),
      _loss(4.0, 3.0, op='loss/value (Exp)'),
    ),
  ),
)


class LossesTest(RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
