"""Classic mistakes of a migration, recognized by the evidence.

Each rule looks at a place where the sides part and names the mistake, and the
usual remedy, only where the evidence fits it.
"""

import fractions
import re
from collections.abc import Callable

from tf_equiv.compare import divergence

# Numbers of elements that a wrong reduction may multiply or divide by.
_MAX_ELEMENTS = 64
_NUMBER = r'(-?[\d.]+(?:e[-+]?\d+)?)'
# Ops that slide a window over their input.
_WINDOWS = re.compile(r'Conv|Pool|Dilation2D')
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
_MAX_AROUND_ACTIVATION = 6


def recognize(place: divergence.Divergence) -> str:
  """Names the mistake that the evidence fits, '' if none does."""
  for rule in _RULES:
    sentence = rule(place)
    if sentence:
      return sentence
  return ''


def _name(place) -> str:
  return (f'{place.tf1} {place.tf2}').lower()


def _pair_of(place, key: str):
  """Returns the two numbers of a difference of this name, or None."""
  pattern = re.compile(f'^{key}: TF1 {_NUMBER}, TF2 {_NUMBER}$')
  for line in place.differences:
    found = pattern.match(line)
    if found:
      return float(found.group(1)), float(found.group(2))
  return None


def _numbers(place, side: str) -> list[float]:
  for line in place.differences:
    prefix = f'numbers only in {side}: '
    if line.startswith(prefix):
      return [float(x) for x in line[len(prefix) :].split(', ')]
  return []


def _is_assigned(place) -> bool:
  """Tells whether a value that is assigned to a variable was looked into."""
  return any(' is assigned by ' in line for line in place.differences)


def _lone_types(place, side: str) -> list[str]:
  return [p.op_type for p in getattr(place, 'only_' + side)]


def _decay(place) -> str:
  pair = _pair_of(place, 'decay')
  if pair is None:
    return ''
  names = [x for x in place.differences if ' is assigned by ' in x]
  if any('moving_' in line.split(' ')[0] for line in names):
    return (
      'The momentum (decay) of batch normalization is %g in TF1 and %g in TF2: '
      'defaults differ (tf.compat.v1.layers and Keras 0.99, tf_slim 0.999), so '
      'give the value of TF1 to the layer.' % pair
    )
  return 'The decay of the moving average is %g in TF1 and %g in TF2.' % pair


def _not_updated(place) -> str:
  for line in place.differences:
    if line.startswith('only TF1 assigns '):
      return (
        'TF1 updates the variable in training (UPDATE_OPS), TF2 never does: '
        'assign it in the call with training=True, and hand the flag on.'
      )
    if line.startswith('only TF2 assigns '):
      return (
        'TF2 updates the variable in training, the training step of TF1 never '
        'does: it does not run UPDATE_OPS. Decide which is meant; '
        'trainable=False keeps batch normalization of Keras from updating.'
      )
  return ''


def _epsilon(place) -> str:
  if _is_assigned(place):
    return ''  # Which says nothing of what normalizes.
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
  reads = re.compile(r'^only TF[12] reads .*moving_(mean|variance)')
  if not any(
    line.startswith('is_training:')
    or (reads.match(line) and not _is_assigned(place))
    for line in place.differences
  ):
    return ''
  return (
    'One side normalizes with the statistics of the batch, the other with the '
    'moving ones: hand the training flag on to the layer (one of Keras whose '
    'trainable is False always takes the moving ones).'
  )


def _resizing(place) -> str:
  for key in ('align_corners', 'half_pixel_centers'):
    if any(line.startswith(key + ':') for line in place.differences):
      return (
        f'Images are resized with another {key}: tf.image.resize of TF2 '
        'always takes half-pixel centers; use tf.compat.v1.image.resize with '
        'the arguments of TF1.'
      )
  return ''


def _padding(place) -> str:
  lone = [p.op_type for p in (*place.only_tf1, *place.only_tf2)]
  differs = any(line.startswith('padding:') for line in place.differences)
  around = [p.op_type for p in (place.tf1, place.tf2) if p is not None] + lone
  if not any(_WINDOWS.search(op_type) for op_type in around):
    return ''
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


def _cells(place) -> str:
  """Names what was forgotten where recurrent cells were carried over."""
  ends = [line.split(' ', 1)[-1] for line in place.differences]
  if any(end.startswith('has one row in TF1, two in TF2') for end in ends):
    return (
      'The GRU of Keras resets after the multiplication (reset_after=True, '
      'with two biases), the GRUCell of TF1 before: pass reset_after=False.'
    )
  if any(end.startswith('has its columns in the order') for end in ends):
    return (
      'The gates are in another order: TF1 keeps i, j, f, o in the columns of '
      'the kernel, Keras i, f, c, o; reorder them in convert_variable '
      '(tf_equiv.converters.LSTM does).'
    )
  mine, theirs = _numbers(place, 'TF1'), _numbers(place, 'TF2')
  if {0.2, 0.5} <= set(mine) and not {3, 6} <= set(theirs):
    return (
      'The gates of TF1 are hard sigmoids, those of TF2 are not: pass '
      "recurrent_activation='hard_sigmoid'."
    )
  same = 'holds the same numbers in both' in ends
  if same and mine == [1.0] and 'lstm' in _reads(place):
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
        f'An activation is a hard sigmoid in {side} and another one in '
        f'{other}: tf.keras.layers.LSTM takes '
        "recurrent_activation='hard_sigmoid', which was the default of TF1."
      )
  return ''


def _reads(place) -> str:
  return ' '.join(place.variables).lower()


def _gelu(place) -> str:
  for side, other in (('TF1', 'TF2'), ('TF2', 'TF1')):
    if 0.044715 in _numbers(place, side):
      return (
        f'{side} approximates the GELU by tanh, {other} does not: '
        'approximate=True of tf.nn.gelu does what the BERT of TF1 did.'
      )
  return ''


def _hard_sigmoid(place) -> str:
  numbers = [set(_numbers(place, side)) for side in ('TF1', 'TF2')]
  for i, (side, other) in enumerate((('TF1', 'TF2'), ('TF2', 'TF1'))):
    if {0.2, 0.5} <= numbers[i] and {3, 6} <= numbers[1 - i]:
      return (
        f'The hard sigmoid of {side} is 0.2 x + 0.5, that of {other} relu6(x '
        '+ 3) / 6 (Keras 3): write the one of TF1 out.'
      )
  return ''


def _clipping(place) -> str:
  """Names how gradients are clipped, where the sides do it differently."""
  if place.group != 'gradients':
    return ''
  if not any(p and 'clip_by' in p.name for p in _around(place)):
    return ''
  ways = []
  for node, lone in (
    (place.tf1, place.only_tf1),
    (place.tf2, place.only_tf2),
  ):
    names = [p.name for p in (node, *lone) if p is not None]
    ways.append(next((w for k, w in _CLIPPING if k in ' '.join(names)), ''))
  if ways[0] == ways[1]:
    pair = _pair_of(place, r'constant \(operand \d\)')
    return (
      '' if pair is None else 'Gradients are clipped at %g and at %g.' % pair
    )
  if not all(ways):
    there, other = ('TF1', 'TF2') if ways[0] else ('TF2', 'TF1')
    return (
      f'Gradients are clipped {ways[0] or ways[1]} in {there}, and not in '
      f'{other}.'
    )
  return (
    'Gradients are clipped %s in TF1, %s in TF2: use the same of clipvalue, '
    'clipnorm and global_clipnorm, or clip_gradients.' % tuple(ways)
  )


_CLIPPING = (
  ('clip_by_global_norm', 'by their global norm'),
  ('clip_by_norm', 'each by its own norm'),
  ('clip_by_value', 'by value'),
)


def _around(place):
  return (place.tf1, place.tf2, *place.only_tf1, *place.only_tf2)


def _staircase(place) -> str:
  floors = [_lone_types(place, side).count('Floor') for side in ('tf1', 'tf2')]
  if floors[0] == floors[1] or place.group != 'learning rate':
    return ''
  there, other = ('TF1', 'TF2') if floors[0] else ('TF2', 'TF1')
  return (
    f'The learning rate decays in steps (staircase=True) in {there}, and '
    f'smoothly in {other}.'
  )


def _activation(place) -> str:
  if len(place.only_tf1) + len(place.only_tf2) > _MAX_AROUND_ACTIVATION:
    return ''
  mine = [p for p in place.only_tf1 if p.op_type in _ACTIVATIONS]
  theirs = [p for p in place.only_tf2 if p.op_type in _ACTIVATIONS]
  if mine and not theirs:
    return f'The activation {mine[0].op_type} of TF1 is missing in TF2.'
  if theirs and not mine:
    return f'TF2 applies {theirs[0].op_type}, which TF1 does not have there.'
  if mine and theirs and mine[0].op_type != theirs[0].op_type:
    return (
      f'The activation is {mine[0].op_type} in TF1 and {theirs[0].op_type} in '
      'TF2.'
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


def _logits(place) -> str:
  mine = {p.op_type for p in (*place.only_tf1, place.tf1) if p is not None}
  theirs = {p.op_type for p in (*place.only_tf2, place.tf2) if p is not None}
  clipped = 1e-07 in _numbers(place, 'TF2')
  if clipped and 'Log' in theirs and mine & _CROSS_ENTROPIES:
    return (
      'Keras takes the logits for probabilities (it clips them and takes the '
      'logarithm): pass from_logits=True to the loss.'
    )
  return ''


_CROSS_ENTROPIES = {
  'SparseSoftmaxCrossEntropyWithLogits',
  'SoftmaxCrossEntropyWithLogits',
}


def _smoothing(place) -> str:
  if 'cross_entropy' not in _name(place) and 'crossentropy' not in _name(place):
    return ''
  for side, other in (('TF1', 'TF2'), ('TF2', 'TF1')):
    numbers = _numbers(place, side)
    for kept in numbers:
      # Labels become 1 - s and s / classes, the former with one of the latter.
      shares = [(1 - kept) / x for x in numbers if 0 < x < 0.5 < kept < 1]
      if any(abs(x - round(x)) < 1e-3 and round(x) > 1 for x in shares):
        return (
          f'{side} smooths the labels (label_smoothing={1 - kept:.3g}), '
          f'{other} does not.'
        )
  return ''


def _reduction(place) -> str:
  compared = place.comparison
  types = {p.op_type for p in (place.tf1, place.tf2) if p is not None}
  if (
    place.group != 'loss'
    or not types & {'DivNoNan', 'Mean', 'Sum', 'L2Loss', 'RealDiv', 'Mul'}
    or compared is None
    or compared.problem
    or compared.count != 1
    or not compared.tf1_value
  ):
    return ''
  ratio = compared.tf2_value / compared.tf1_value
  # Sums and means differ by numbers of elements.
  simple = fractions.Fraction(float(ratio)).limit_denominator(_MAX_ELEMENTS)
  if (
    abs(simple - ratio) > 1e-6 * abs(ratio)
    or not 0 < simple.numerator <= _MAX_ELEMENTS
    or simple == 1
  ):
    return ''
  return (
    f'The loss is reduced differently (TF2 is {simple} times TF1): '
    'tf.compat.v1.losses divides by the number of nonzero weights, Keras by '
    'the batch size or not at all.'
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
  _decay,
  _not_updated,
  _epsilon,
  _flag,
  _resizing,
  _dropout,
  _half,
  _slope,
  _logits,
  _smoothing,
  _cells,
  _padding,
  _gelu,
  _hard_sigmoid,
  _clipping,
  _staircase,
  _activation,
  _stop,
  _reduction,
  _order,
)
