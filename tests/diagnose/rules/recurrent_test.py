from absl.testing import absltest

from tests.diagnose.rules.rule_cases import (
  Case,
  Difference,
  Kind,
  RuleTestCase,
  diverge,
  numbers,
)
from tf_equiv.compare import difference
from tf_equiv.diagnose.rules import recurrent

_BIAS = Difference(Kind.SAME_NUMBERS, 'rnn/lstm/bias')
_LSTM = {'variables': ('rnn/lstm/bias',)}

_SELECTS = difference.one_sided(Kind.LOOP_OPS, 0, ('GreaterEqual', 'Select'))

CASES = (
  Case(
    recurrent.lost_mask,
    (
      (
        diverge(_SELECTS, tf1='rnn/while (While)', tf2='l/while (While)'),
        'TF1 selects by step inside of the loop',
      ),
      (
        diverge(
          tf1='rnn/while/add (Add)',
          tf2='lstm/while/add (Add)',
          only=('', 'lstm/while/m (TensorListGetItem);lstm/a (SelectV2)'),
        ),
        'TF2 selects by step inside of the loop',
      ),
    ),
    (
      diverge(_SELECTS),
      diverge(only=('rnn/a (Select)', 'rnn/b (SelectV2)')),
      diverge(tf1='rnn/while (While)', tf2='l/while (While)'),
      # A loss that one side alone computes in a loop.
      diverge(_SELECTS, tf1='CTCLoss (CTCLoss)', tf2='ctc/while (While)'),
      # An activation that selects, and no step.
      diverge(
        tf1='rnn/while/add (Add)',
        tf2='lstm/while/add (Add)',
        only=('rnn/while/a (SelectV2)', ''),
      ),
    ),
  ),
  Case(
    recurrent.reset_after,
    (
      (
        diverge(Difference(Kind.TWO_ROWS, 'gru/bias')),
        'pass reset_after=False',
      ),
    ),
    (diverge(_BIAS, **_LSTM),),
  ),
  Case(
    recurrent.gate_order,
    (
      (
        diverge(Difference(Kind.SAME_ORDER, 'lstm/kernel')),
        'The gates are in another order',
      ),
    ),
    (diverge(_BIAS, **_LSTM),),
  ),
  Case(
    recurrent.hard_sigmoid_gates,
    (
      (
        diverge(*numbers((0.2, 0.5)), **_LSTM),
        'The gates of TF1 are hard sigmoids, those of TF2 are not: pass '
        "recurrent_activation='hard_sigmoid'.",
      ),
      (
        diverge(*numbers((), (0.2, 0.5)), tf1='rnn/loop (While)'),
        'The gates of TF2 are hard sigmoids, those of TF1 are not: pass '
        "recurrent_activation='sigmoid'.",
      ),
    ),
    (
      diverge(*numbers((0.2, 0.5))),
      diverge(*numbers((0.2,)), **_LSTM),
      diverge(*numbers((0.2, 0.5), (3.0, 6.0)), **_LSTM),
    ),
  ),
  Case(
    recurrent.forget_bias,
    (
      (
        diverge(_BIAS, *numbers((1.0,)), **_LSTM),
        'TF1 adds a forget bias of 1 inside the LSTM cell',
      ),
    ),
    (
      diverge(_BIAS, *numbers((1.0, 2.0)), **_LSTM),
      diverge(_BIAS, *numbers((), (1.0,)), **_LSTM),
      diverge(_BIAS, *numbers((1.0,)), variables=('rnn/gru/bias',)),
      diverge(*numbers((1.0,)), **_LSTM),
    ),
  ),
)


class RecurrentTest(RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
