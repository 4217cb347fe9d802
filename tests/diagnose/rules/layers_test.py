from absl.testing import absltest

from tests.diagnose.rules.rule_cases import (
  Case,
  Difference,
  Kind,
  RuleTestCase,
  attribute,
  constant,
  diverge,
  numbers,
)
from tf_equiv.compare import difference
from tf_equiv.diagnose.rules import layers

_SCALED = {'tf1': 'dropout/Mul (Mul)', 'tf2': 'dropout/Mul (Mul)'}
_DIVIDED = {'tf1': 'dropout/div (RealDiv)', 'tf2': 'dropout/div (RealDiv)'}
_CONV = {'tf1': 'net/conv (Conv2D)', 'tf2': 'net/conv (Conv2D)'}
_HARD = (0.0, 0.2, 0.5, 1.0)
_STOPS = {'subject': 'net/add', 'detail': 'net.py:1'}


def _stops(side, *others):
  return diverge(
    difference.one_sided(Kind.STOPS_GRADIENT, side, 'net/stop', **_STOPS),
    *others,
  )


def _explains(side):
  return difference.one_sided(Kind.STOP_EXPLAINS, side, 'net/stop')


def _computes(tf1, tf2):
  return diverge(Difference(Kind.COMPUTES, 'net/x', tf1, tf2))


def _factor(tf1, tf2, *others):
  return diverge(Difference(Kind.FACTOR, 'net/MatMul', tf1, tf2), *others)


_SUMS = Difference(Kind.SUMMED_OVER, 'net/MatMul', 16, 16)
_DECODER = {
  side: 'CTCBeamSearchDecoder (CTCBeamSearchDecoder)' for side in ('tf1', 'tf2')
}
_MEAN = {'tf1': 'net/Mean (Mean)', 'tf2': 'net/Mean (Mean)'}
_PYTHON = {'tf1': 'net/PyFunc (PyFunc)', 'tf2': 'net/PyFunc (PyFunc)'}


CASES = (
  Case(
    layers.resizing,
    (
      (
        diverge(attribute('half_pixel_centers', False, True)),
        'Images are resized with another half_pixel_centers',
      ),
      (
        diverge(attribute('align_corners', False, True)),
        'Images are resized with another align_corners',
      ),
    ),
    (diverge(attribute('size', (2, 2), (4, 4))),),
  ),
  Case(
    layers.keep_prob,
    (
      (
        diverge(constant(0.2, 0.8), tf1='dropout/less (GreaterEqual)'),
        'The dropout rates add up to 1 (0.2 and 0.8)',
      ),
      (
        diverge(constant(1 / 0.8, 1 / 0.2), **_SCALED),
        'The dropout rates add up to 1 (0.2 and 0.8)',
      ),
    ),
    (
      diverge(constant(0.2, 0.7), tf1='dropout/less (GreaterEqual)'),
      diverge(constant(0.2, 0.8), tf1='net/less (GreaterEqual)'),
    ),
  ),
  Case(
    layers.dropout_rate,
    (
      (
        diverge(constant(1 / 0.8, 1 / 0.7), **_SCALED),
        'The dropout rate is 0.2 in TF1 and 0.3 in TF2.',
      ),
      (
        diverge(constant(0.8, 0.7), **_DIVIDED),
        'The dropout rate is 0.2 in TF1 and 0.3 in TF2.',
      ),
    ),
    (
      diverge(constant(0.2, 0.7)),
      diverge(constant(0.5, 0.7), **_SCALED),
      diverge(constant(0.0, 2.0), **_SCALED),
      diverge(*numbers((0.2,), (0.7,)), **_SCALED),
    ),
  ),
  Case(
    layers.leaky_slope,
    (
      (
        diverge(attribute('alpha', 0.2, 0.3), tf1='net/lrelu (LeakyRelu)'),
        'The slope of the leaky ReLU is 0.2 in TF1 and 0.3 in TF2',
      ),
    ),
    (
      diverge(attribute('alpha', 0.2, 0.3)),
      diverge(constant(0.2, 0.3), tf1='net/lrelu (LeakyRelu)'),
    ),
  ),
  Case(
    layers.dilation,
    (
      (
        diverge(only=('a (SpaceToBatchND)', ''), **_CONV),
        'One side dilates the kernel',
      ),
    ),
    (
      diverge(only=('a (SpaceToBatchND)', '')),
      diverge(**_CONV),
      # Both do, one by an attribute.
      diverge(
        attribute('dilations', (1, 1, 1, 1), (1, 2, 2, 1)),
        only=('a (SpaceToBatchND)', ''),
        **_CONV,
      ),
    ),
  ),
  Case(
    layers.padding,
    (
      (
        diverge(attribute('padding', 'SAME', 'VALID'), **_CONV),
        'The sides pad differently',
      ),
      (diverge(only=('', 'a (Pad)'), **_CONV), 'The sides pad differently'),
    ),
    (
      diverge(attribute('padding', 'SAME', 'VALID')),
      diverge(only=('', 'a (Pad)')),
      diverge(only=('', 'a (Relu)'), **_CONV),
      diverge(attribute('strides', (1, 2), (1, 1)), **_CONV),
    ),
  ),
  Case(
    layers.computed,
    (
      (
        _computes('gelu(tanh)', 'gelu(erf)'),
        'TF1 approximates the GELU by tanh, TF2 does not (it takes erf): pass '
        'approximate=True',
      ),
      (
        _computes('gelu(erf)', 'gelu(tanh)'),
        'TF2 approximates the GELU by tanh, TF1 does not (it takes erf): pass '
        'approximate=False',
      ),
      (
        _computes('relu', 'elu'),
        'The activation is relu in TF1 and elu in TF2.',
      ),
      (
        _computes('hard_sigmoid(0.2 x + 0.5)', 'sigmoid'),
        'a hard sigmoid is no sigmoid',
      ),
      (
        _computes('sigmoid', 'hard_sigmoid(0.2 x + 0.5)'),
        'a hard sigmoid is no sigmoid',
      ),
      (
        _computes(
          'hard_sigmoid(0.2 x + 0.5)', 'hard_sigmoid(relu6(x + 3) / 6)'
        ),
        'that of Keras 3',
      ),
      (
        _computes('identity', 'relu'),
        'TF2 applies relu, which TF1 does not have there.',
      ),
      (
        _computes('relu', 'identity'),
        'The activation relu of TF1 is missing in TF2.',
      ),
    ),
    (diverge(*numbers((0.044715,), ())), diverge(only=('a (Relu)', ''))),
  ),
  Case(
    layers.attention_scale,
    (
      (
        _factor(0.25, 1.0, _SUMS),
        'TF1 divides the products (the scores of an attention) by the square '
        'root of their length, sqrt(16), TF2 does not.',
      ),
      (_factor(1.0, 0.25, _SUMS), 'TF2 divides the products'),
    ),
    (
      _factor(0.25, 1.0),
      _factor(0.2, 1.0, _SUMS),
      _factor(0.25, 0.5, _SUMS),
      diverge(_SUMS),
    ),
  ),
  Case(
    layers.overflow,
    (
      (
        diverge(difference.one_sided(Kind.OVERFLOW, 1, True, subject='a')),
        'TF2 overflows in float32 where the other side does not',
      ),
    ),
    (diverge(only=('', 'a (Exp)')),),
  ),
  Case(
    layers.decoder,
    (
      (
        diverge(attribute('merge_repeated', True, False), **_DECODER),
        'merge_repeated is True in TF1 and False in TF2; '
        'tf.nn.ctc_beam_search_decoder of TF2 never merges',
      ),
      (
        diverge(attribute('beam_width', 100, 10), **_DECODER),
        'beam_width is 100 in TF1 and 10 in TF2.',
      ),
    ),
    (
      diverge(**_DECODER),
      diverge(attribute('merge_repeated', True, False)),
    ),
  ),
  Case(
    layers.partition_strategy,
    (
      (
        diverge(Difference(Kind.PARTITIONED, '', 'mod', 'div')),
        'TF1 takes the rows of the parts in turn',
      ),
      (
        diverge(Difference(Kind.PARTITIONED, '', 'div', 'mod')),
        'TF2 takes the rows of the parts in turn',
      ),
    ),
    (diverge(constant(3, 5), tf1='embedding_lookup/mod (FloorMod)'),),
  ),
  Case(
    layers.python_function,
    ((diverge(**_PYTHON), 'gives other numbers in TF2 for the same inputs'),),
    (
      diverge(only=('', 'a (Mul)'), **_PYTHON),
      diverge(tf1='net/PyFunc (PyFunc)'),
    ),
  ),
  Case(
    layers.reduced_axes,
    (
      (
        diverge(constant((1, 2), 1), **_MEAN),
        'Mean takes the axes [1, 2] in TF1, and [1] in TF2.',
      ),
    ),
    (
      diverge(constant(1, 2)),
      diverge(Difference(Kind.CONSTANT, tf1=1, tf2=2, operand=0), **_MEAN),
      diverge(**_MEAN),
    ),
  ),
  Case(
    layers.gelu,
    (
      (
        diverge(*numbers((0.044715, 0.5), (0.5,))),
        'TF1 approximates the GELU by tanh, TF2 does not',
      ),
      (
        diverge(*numbers((), (0.044715,))),
        'TF2 approximates the GELU by tanh, TF1 does not',
      ),
    ),
    (diverge(*numbers((0.0447,), (0.5,))), diverge(constant(0.044715, 0.5))),
  ),
  Case(
    layers.hard_sigmoid_of_keras_3,
    (
      (
        diverge(*numbers((0.2, 0.5), (0.1666667, 3.0, 6.0))),
        'The hard sigmoid of TF1 is 0.2 x + 0.5, that of TF2 relu6(x + 3) / 6',
      ),
      (
        diverge(*numbers((3.0, 6.0), (0.2, 0.5))),
        'The hard sigmoid of TF2 is 0.2 x + 0.5, that of TF1 relu6(x + 3) / 6',
      ),
    ),
    (
      diverge(*numbers((0.2, 0.5), (6.0,))),
      diverge(*numbers((0.2,), (3.0, 6.0))),
    ),
  ),
  Case(
    layers.hard_sigmoid,
    (
      (
        diverge(*numbers(_HARD), only=('a (Maximum)', 'a (Sigmoid)')),
        'An activation is a hard sigmoid in TF1 and another one in TF2',
      ),
      (
        diverge(*numbers((), _HARD), only=('', 'a (ClipByValue)')),
        'An activation is a hard sigmoid in TF2 and another one in TF1',
      ),
    ),
    (
      diverge(*numbers(_HARD), only=('a (Mul)', 'a (Sigmoid)')),
      diverge(*numbers((0.2,)), only=('a (Maximum)', 'a (Sigmoid)')),
      diverge(*numbers(_HARD), only=('lstm/a (Maximum)', 'a (Sigmoid)')),
    ),
  ),
  Case(
    layers.activation,
    (
      (
        diverge(only=('a (Relu)', '')),
        'The activation Relu of TF1 is missing in TF2.',
      ),
      (
        diverge(only=('', 'a (Relu)')),
        'TF2 applies Relu, which TF1 does not have there.',
      ),
      (
        diverge(only=('a (Relu)', 'a (Elu)')),
        'The activation is Relu in TF1 and Elu in TF2.',
      ),
    ),
    (
      diverge(only=('a (Relu)', 'b (Relu)')),
      diverge(only=(';'.join(['a (Relu)'] * 7), '')),
      diverge(only=('a (Mul)', '')),
    ),
  ),
  Case(
    layers.stopped_gradient,
    (
      (
        _stops(0, _explains(0)),
        'A tf.stop_gradient of TF1 is missing in TF2.',
      ),
      (
        _stops(1, _explains(1)),
        'TF2 has a tf.stop_gradient that TF1 does not have.',
      ),
    ),
    # Of labels, say, which makes no gradient another one.
    (diverge(), _stops(0), _stops(1)),
  ),
  Case(
    layers.operand_order,
    (
      (
        diverge(Difference(Kind.OPERAND_ORDER, tf1=('a', 'b'), tf2=('b', 'a'))),
        'The operands are the same, but in another order.',
      ),
    ),
    (diverge(Difference(Kind.OPERAND, tf1='a', tf2='b')),),
  ),
)


class LayersTest(RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
