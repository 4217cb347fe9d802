"""Classic mistakes of a migration, recognized by the evidence.

Each rule looks at a place where the sides part and names the mistake, and the
usual remedy, only where the evidence fits it.
"""

import re
from collections.abc import Callable

from tf_equiv.compare import divergence

_NUMBER = r'(-?[\d.]+(?:e[-+]?\d+)?)'
_ACTIVATIONS = {
  'Relu',
  'Relu6',
  'Elu',
  'Selu',
  'Tanh',
  'Sigmoid',
  'Softmax',
  'Softplus',
  'LeakyRelu',
}

# Where more ops are on one side only, the activation is not what differs.
_MOST_AROUND_ACTIVATION = 6


def recognize(place: divergence.Divergence) -> str:
  """Names the mistake that the evidence fits, '' if none does."""
  for rule in _RULES:
    sentence = rule(place)
    if sentence:
      return sentence
  return ''


def _name(place) -> str:
  return ('%s %s' % (place.tf1, place.tf2)).lower()


def _pair_of(place, key: str):
  """Returns the two numbers of a difference of this name, or None."""
  pattern = re.compile(r'^%s: TF1 %s, TF2 %s$' % (key, _NUMBER, _NUMBER))
  for line in place.differences:
    found = pattern.match(line)
    if found:
      return float(found.group(1)), float(found.group(2))
  return None


def _numbers(place, side: str) -> list[float]:
  for line in place.differences:
    prefix = 'numbers only in %s: ' % side
    if line.startswith(prefix):
      return [float(x) for x in line[len(prefix) :].split(', ')]
  return []


def _epsilon(place) -> str:
  pair = _pair_of(place, 'epsilon')
  if pair is None and 'norm' in _name(place):
    small = [
      [x for x in _numbers(place, side) if 0 < x <= 0.01]
      for side in ('TF1', 'TF2')
    ]
    pair = (small[0][0], small[1][0]) if all(small) else None
  if pair is None and 'norm' in _name(place):
    pair = _pair_of(place, r'constant \(operand \d\)')
    if pair and not 0 < max(pair) <= 0.1:
      pair = None
  if pair is None:
    return ''
  return (
    'The epsilon of the normalization is %g in TF1 and %g in TF2: defaults '
    'differ between libraries, so give the value of TF1 to the layer.' % pair
  )


def _flag(place) -> str:
  if not any(line.startswith('is_training:') for line in place.differences):
    return ''
  return (
    'One side normalizes with the statistics of the batch, the other with the '
    'moving ones: hand the training flag on to the layer.'
  )


def _resizing(place) -> str:
  for key in ('align_corners', 'half_pixel_centers'):
    if any(line.startswith(key + ':') for line in place.differences):
      return (
        'Images are resized with another %s: tf.image.resize of TF2 always '
        'takes half-pixel centers; use tf.compat.v1.image.resize with the '
        'arguments of TF1.' % key
      )
  return ''


def _padding(place) -> str:
  lone = [p.op_type for p in (*place.only_tf1, *place.only_tf2)]
  differs = any(line.startswith('padding:') for line in place.differences)
  if 'SpaceToBatchND' in lone:
    return 'One side dilates the kernel (rate, dilation_rate), the other not.'
  if not differs and not {'Pad', 'PadV2', 'MirrorPad'} & set(lone):
    return ''
  return (
    'The sides pad differently: SAME with a stride pads unevenly and by the '
    'size of the input, unlike explicit padding before VALID.'
  )


def _dropout(place) -> str:
  pair = _pair_of(place, r'constant \(operand \d\)')
  if pair is None or 'dropout' not in _name(place):
    return ''
  mul = place.tf1 is not None and place.tf1.op_type in ('Mul', 'RealDiv')
  rates = [1 - 1 / x if mul and x else x for x in pair]
  if abs(sum(rates) - 1) < 1e-4:
    return (
      'The dropout rates add up to 1 (%.4g and %.4g): keep_prob of TF1 is '
      '1 - rate of TF2.' % tuple(rates)
    )
  return 'The dropout rate is %.4g in TF1 and %.4g in TF2.' % tuple(rates)


def _half(place) -> str:
  pair = _pair_of(place, r'constant \(operand \d\)')
  if pair is None or 'regulariz' not in _name(place):
    return ''
  if pair[0] and abs(pair[1] / pair[0] - 2) < 1e-4:
    return (
      'The factor of the regularizer is doubled: tf.nn.l2_loss takes half of '
      'the sum of squares, Keras L2 all of it; give Keras half of the factor.'
    )
  return 'The factor of the regularizer is %g in TF1 and %g in TF2.' % pair


def _forget_bias(place) -> str:
  same = any(
    x.endswith('holds the same numbers in both') for x in place.differences
  )
  if same and _numbers(place, 'TF1') == [1.0] and 'lstm' in _reads(place):
    return (
      'TF1 adds a forget bias of 1 inside the LSTM cell; Keras keeps it in '
      'the bias variable: add 1 to the forget part in convert_variable '
      '(tf_equiv.converters.LSTM does).'
    )
  return ''


def _hard_sigmoid(place) -> str:
  for side, other in (('TF1', 'TF2'), ('TF2', 'TF1')):
    numbers = _numbers(place, side)
    if 0.2 in numbers and 0.5 in numbers:
      return (
        'An activation is a hard sigmoid in %s and another one in %s: '
        "tf.keras.layers.LSTM takes recurrent_activation='hard_sigmoid', which "
        'was the default of TF1.' % (side, other)
      )
  return ''


def _reads(place) -> str:
  return ' '.join(place.variables).lower()


def _activation(place) -> str:
  if len(place.only_tf1) + len(place.only_tf2) > _MOST_AROUND_ACTIVATION:
    return ''
  mine = [p for p in place.only_tf1 if p.op_type in _ACTIVATIONS]
  theirs = [p for p in place.only_tf2 if p.op_type in _ACTIVATIONS]
  if mine and not theirs:
    return 'The activation %s of TF1 is missing in TF2.' % mine[0].op_type
  if theirs and not mine:
    return 'TF2 applies %s, which TF1 does not have there.' % theirs[0].op_type
  if mine and theirs:
    return 'The activation is %s in TF1 and %s in TF2.' % (
      mine[0].op_type,
      theirs[0].op_type,
    )
  return ''


def _slope(place) -> str:
  pair = _pair_of(place, 'alpha')
  if pair is None:
    return ''
  return (
    'The slope of the leaky ReLU is %g in TF1 and %g in TF2: tf.nn.leaky_relu '
    'defaults to 0.2, Keras to 0.3.' % pair
  )


def _smoothing(place) -> str:
  if 'cross_entropy' not in _name(place) and 'crossentropy' not in _name(place):
    return ''
  if any(0.5 <= x < 1 for x in _numbers(place, 'TF1')):
    return 'TF1 smooths the labels (label_smoothing), TF2 does not.'
  return ''


def _reduction(place) -> str:
  types = {p.op_type for p in (place.tf1, place.tf2) if p is not None}
  lone = {p.op_type for p in (*place.only_tf1, *place.only_tf2)}
  if not types & {'DivNoNan', 'Mean', 'Sum', 'L2Loss'}:
    return ''
  if 'loss' not in _name(place) and not lone & {'Equal', 'Select', 'SelectV2'}:
    return ''
  return (
    'The loss is reduced differently: tf.compat.v1.losses divides by the '
    'number of nonzero weights, Keras by the batch size or not at all.'
  )


def _stop(place) -> str:
  for line in place.differences:
    if line.startswith('only TF1 stops the gradient'):
      return 'A tf.stop_gradient of TF1 is missing in TF2.'
    if line.startswith('only TF2 stops the gradient'):
      return 'TF2 has a tf.stop_gradient that TF1 does not have.'
  return ''


def _order(place) -> str:
  if any(x.startswith('order of operands') for x in place.differences):
    return 'The operands are the same, but in another order.'
  return ''


_RULES: tuple[Callable[[divergence.Divergence], str], ...] = (
  _epsilon,
  _flag,
  _resizing,
  _dropout,
  _half,
  _slope,
  _smoothing,
  _forget_bias,
  _hard_sigmoid,
  _padding,
  _activation,
  _stop,
  _reduction,
  _order,
)
