from absl.testing import absltest

from tests.diagnose.rules.rule_cases import (
  Case,
  Difference,
  Kind,
  RuleTestCase,
  constant,
  diverge,
)
from tf_equiv.diagnose.rules import optimizers

_NORM = 'clip_by_norm/mul (Mul)'
_GLOBAL = 'clip_by_global_norm/mul (Mul)'


def _gradients(*differences, tf1, tf2, group='gradients'):
  return diverge(*differences, tf1=tf1, tf2=tf2, group=group)


def _factor(tf1, tf2):
  return Difference(Kind.FACTOR, 'gradients/MatMul', tf1, tf2)


CASES = (
  Case(
    optimizers.clipping,
    (
      (
        _gradients(tf1=_GLOBAL, tf2=_NORM),
        'clipped by their global norm in TF1, each by its own norm in TF2',
      ),
      (
        _gradients(tf1=_NORM, tf2='grad/mul (Mul)'),
        'clipped each by its own norm in TF1, and not in TF2.',
      ),
      (
        _gradients(tf1='grad/mul (Mul)', tf2='clip_by_value/min (Minimum)'),
        'clipped by value in TF2, and not in TF1.',
      ),
      (
        _gradients(constant(1.0, 5.0), tf1=_NORM, tf2=_NORM),
        'Gradients are clipped at 1 and at 5.',
      ),
    ),
    (
      _gradients(tf1=_GLOBAL, tf2=_NORM, group='outputs'),
      _gradients(tf1=_NORM, tf2=_NORM),
      _gradients(constant(1.0, 5.0), tf1='a (Mul)', tf2='a (Mul)'),
    ),
  ),
  Case(
    optimizers.scaled_gradient,
    (
      (
        diverge(_factor(-0.3, 1.0), group='gradients'),
        'reversed (times -0.3) on its way in TF1, and passed on as it is in',
      ),
      (
        diverge(_factor(-0.3, -1.0), group='gradients'),
        'reversed (times -0.3) on its way in TF1, and reversed (times -1) in',
      ),
      (
        diverge(_factor(1.0, 0.5), group='input gradients'),
        'passed on as it is on its way in TF1, and scaled (times 0.5) in TF2',
      ),
    ),
    (
      diverge(_factor(-0.3, 1.0), group='outputs'),
      diverge(Difference(Kind.MULTIPLE, tf1=1.0, tf2=2.0), group='gradients'),
    ),
  ),
  Case(
    optimizers.staircase,
    (
      (
        diverge(only=('decay/a (Floor)', ''), group='learning rate'),
        'decays in steps (staircase=True) in TF1, and smoothly in TF2.',
      ),
      (
        diverge(only=('', 'decay/a (Floor)'), group='learning rate'),
        'decays in steps (staircase=True) in TF2, and smoothly in TF1.',
      ),
    ),
    (
      diverge(only=('decay/a (Floor)', ''), group='outputs'),
      diverge(only=('a (Floor)', 'b (Floor)'), group='learning rate'),
    ),
  ),
)


class OptimizersTest(RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
