"""Mistakes with layers and activations."""

import math
from collections import Counter
from typing import Any

from tf_equiv.compare import divergence
from tf_equiv.diagnose.rules import evidence
from tf_equiv.diagnose.rules.evidence import Kind

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
_CLIPS = {'ClipByValue', 'Maximum', 'Minimum', 'Relu6'}
_PADS = {'Pad', 'PadV2', 'MirrorPad'}
_REDUCTIONS = {
  'Mean',
  'Sum',
  'Max',
  'Min',
  'Prod',
  'All',
  'Any',
  'ArgMax',
  'ArgMin',
  'EuclideanNorm',
}
_OF_PYTHON = {'PyFunc', 'PyFuncStateless', 'EagerPyFunc'}
_RTOL = 1e-5
# Number in the approximation of the GELU by tanh.
_OF_GELU = 0.044715


def resizing(found: divergence.Divergence) -> str:
  """Images are resized with other corners or centers."""
  names = {each.subject for each in evidence.of_kind(found, Kind.ATTRIBUTE)}
  for key in ('align_corners', 'half_pixel_centers'):
    if key in names:
      return (
        f'Images are resized with another {key}: tf.image.resize of TF2 '
        'always takes half-pixel centers; use tf.compat.v1.image.resize with '
        'the arguments of TF1.'
      )
  return ''


def keep_prob(found: divergence.Divergence) -> str:
  """What TF1 keeps was taken for what TF2 drops."""
  rates = _dropout_rates(found)
  if rates is None or abs(sum(rates) - 1) >= 1e-4:
    return ''
  return (
    'The dropout rates add up to 1 (%.4g and %.4g): keep_prob of TF1 is '
    '1 - rate of TF2.' % rates
  )


def dropout_rate(found: divergence.Divergence) -> str:
  """Dropout has another rate."""
  rates = _dropout_rates(found)
  if rates is None:
    return ''
  return 'The dropout rate is %.4g in TF1 and %.4g in TF2.' % rates


def _dropout_rates(
  found: divergence.Divergence,
) -> tuple[float, float] | None:
  """Returns the rates behind the constants of a dropout."""
  pair = evidence.pair(found, Kind.CONSTANT)
  if pair is None or 'dropout' not in evidence.name(found):
    return None
  op_type = '' if found.tf1 is None else found.tf1.op_type
  if op_type == 'Mul':  # By 1 / (1 - rate).
    pair = tuple(1 - 1 / x if x else -1.0 for x in pair)
  elif op_type in ('RealDiv', 'Add', 'AddV2'):  # What is kept.
    pair = tuple(1 - x for x in pair)
  return pair if all(0 <= rate <= 1 for rate in pair) else None


def leaky_slope(found: divergence.Divergence) -> str:
  """A leaky ReLU has another slope."""
  pair = evidence.pair(found, Kind.ATTRIBUTE, 'alpha')
  if pair is None or 'leakyrelu' not in evidence.name(found):
    return ''
  return (
    'The slope of the leaky ReLU is %g in TF1 and %g in TF2: tf.nn.leaky_relu '
    'defaults to 0.2, Keras to 0.3.' % pair
  )


def dilation(found: divergence.Divergence) -> str:
  """One side alone dilates the kernel of a convolution."""
  if not _slides_window(found) or 'SpaceToBatchND' not in _lone_types(found):
    return ''
  if any(
    each.subject == 'dilations'
    for each in evidence.of_kind(found, Kind.ATTRIBUTE)
  ):
    return ''  # The other side does so by the attribute.
  return 'One side dilates the kernel (rate, dilation_rate), the other not.'


def padding(found: divergence.Divergence) -> str:
  """A convolution or pooling pads its input in another way."""
  differs = any(
    each.subject == 'padding'
    for each in evidence.of_kind(found, Kind.ATTRIBUTE)
  )
  if not _slides_window(found) or not (
    differs or _PADS.intersection(_lone_types(found))
  ):
    return ''
  return (
    'The sides pad differently: SAME with a stride pads unevenly and by the '
    'size of the input, unlike explicit padding before VALID.'
  )


def _slides_window(found: divergence.Divergence) -> bool:
  return any(map(evidence.WINDOWS.search, evidence.types(found)))


def _lone_types(found: divergence.Divergence) -> list[str]:
  return [op.op_type for side in (0, 1) for op in evidence.lone(found, side)]


def computed(found: divergence.Divergence) -> str:
  """An activation is another one, whatever ops it is written with."""
  for each in evidence.of_kind(found, Kind.COMPUTES):
    mine, theirs = each.tf1, each.tf2
    if {mine, theirs} == {'gelu(tanh)', 'gelu(erf)'}:
      by_tanh, by_erf = ('TF1', 'TF2')[:: 1 if 'tanh' in mine else -1]
      return (
        f'{by_tanh} approximates the GELU by tanh, {by_erf} does not (it takes '
        f'erf): pass approximate={mine == "gelu(tanh)"} to tf.nn.gelu.'
      )
    if mine == 'identity':
      return f'TF2 applies {theirs}, which TF1 does not have there.'
    if theirs == 'identity':
      return f'The activation {mine} of TF1 is missing in TF2.'
    text = f'The activation is {mine} in TF1 and {theirs} in TF2'
    if mine.startswith('hard_sigmoid') and theirs.startswith('hard_sigmoid'):
      text += ' (that of Keras 3): write the one of TF1 out'
    elif 'hard_sigmoid' in mine and theirs == 'sigmoid':
      text += ': a hard sigmoid is no sigmoid'
    elif mine == 'sigmoid' and 'hard_sigmoid' in theirs:
      text += ': a hard sigmoid is no sigmoid'
    return text + '.'
  return ''


def attention_scale(found: divergence.Divergence) -> str:
  """One side alone divides products by the root of their length."""
  factors = evidence.pair(found, Kind.FACTOR)
  size = evidence.pair(found, Kind.SUMMED_OVER)
  if factors is None or size is None or size[0] <= 1:
    return ''
  root = math.sqrt(size[0])
  for side, other, i, j in evidence.BOTH_WAYS:
    if math.isclose(factors[j], 1, rel_tol=_RTOL) and math.isclose(
      factors[i] * root, 1, rel_tol=_RTOL
    ):
      return (
        f'{side} divides the products (the scores of an attention) by the '
        f'square root of their length, sqrt({size[0]:g}), {other} does not.'
      )
  return ''


def overflow(found: divergence.Divergence) -> str:
  """One side alone leaves the range of float32."""
  for each in evidence.of_kind(found, Kind.OVERFLOW):
    return (
      f'{each.side} overflows in float32 where the other side does not: write '
      'it in the stable form (tf.nn.softplus, tf.nn.log_softmax, losses from '
      'logits).'
    )
  return ''


def decoder(found: divergence.Divergence) -> str:
  """A decoder gets other arguments."""
  op = found.tf1
  if op is None or 'Decoder' not in op.op_type:
    return ''
  others = evidence.of_kind(found, Kind.ATTRIBUTE)
  if not others:
    return ''
  shown = ', '.join(
    f'{each.subject} is {each.tf1} in TF1 and {each.tf2} in TF2'
    for each in others
  )
  text = f'{op.op_type} gets other arguments: {shown}'
  merges = [x for x in others if x.subject == 'merge_repeated']
  if merges and merges[0].tf1 and not merges[0].tf2:
    text += (
      '; tf.nn.ctc_beam_search_decoder of TF2 never merges: use '
      'tf.compat.v1.nn.ctc_beam_search_decoder'
    )
  return text + '.'


def python_function(found: divergence.Divergence) -> str:
  """A function of Python gives other numbers for the same inputs."""
  ops = found.tf1, found.tf2
  if any(op is None or op.op_type not in _OF_PYTHON for op in ops):
    return ''
  if found.only_tf1 or found.only_tf2:
    return ''
  return (
    'The function of Python that is called there (py_func, numpy_function) '
    'gives other numbers in TF2 for the same inputs.'
  )


def partition_strategy(found: divergence.Divergence) -> str:
  """The rows of a table in parts are kept in another order."""
  for each in evidence.of_kind(found, Kind.PARTITIONED):
    in_turn, in_blocks = evidence.SIDES[:: 1 if each.tf1 == 'mod' else -1]
    return (
      f"{in_turn} takes the rows of the parts in turn (partition_strategy='mod'"
      f', the default of tf.compat.v1), {in_blocks} one part after another '
      "('div', the only way of tf.nn.embedding_lookup in TF2): use "
      'tf.compat.v1.nn.embedding_lookup, or rearrange the rows.'
    )
  return ''


def reduced_axes(found: divergence.Divergence) -> str:
  """A reduction takes other axes."""
  ops = found.tf1, found.tf2
  if any(op is None or op.op_type not in _REDUCTIONS for op in ops):
    return ''
  for each in evidence.of_kind(found, Kind.CONSTANT):
    if each.operand == 1 and ops[0].op_type == ops[1].op_type:
      return (
        f'{ops[0].op_type} takes the axes {_axes(each.tf1)} in TF1, and '
        f'{_axes(each.tf2)} in TF2.'
      )
  return ''


def _axes(value: Any) -> list[int]:
  return list(value) if isinstance(value, tuple) else [value]


def gelu(found: divergence.Divergence) -> str:
  """One side alone approximates the GELU."""
  for side, other, i, _ in evidence.BOTH_WAYS:
    if evidence.has_numbers(found, i, _OF_GELU):
      return (
        f'{side} approximates the GELU by tanh, {other} does not: '
        'approximate=True of tf.nn.gelu does what the BERT of TF1 did.'
      )
  return ''


def hard_sigmoid_of_keras_3(found: divergence.Divergence) -> str:
  """The hard sigmoid of Keras 3 has another slope."""
  for side, other, i, j in evidence.BOTH_WAYS:
    if evidence.has_numbers(found, i, 0.2, 0.5) and evidence.has_numbers(
      found, j, 3, 6
    ):
      return (
        f'The hard sigmoid of {side} is 0.2 x + 0.5, that of {other} relu6(x '
        '+ 3) / 6 (Keras 3): write the one of TF1 out.'
      )
  return ''


def hard_sigmoid(found: divergence.Divergence) -> str:
  """An activation is a hard sigmoid on one side alone."""
  for side, other, i, _ in evidence.BOTH_WAYS:
    if (
      evidence.has_numbers(found, i, 0.2, 0.5)
      and _CLIPS.intersection(evidence.types(found, i))
      and not evidence.is_recurrent(found)
    ):
      return (
        f'An activation is a hard sigmoid in {side} and another one in '
        f'{other}: write the one of TF1 out.'
      )
  return ''


def activation(found: divergence.Divergence) -> str:
  """An activation is missing, too many, or another one."""
  if len(found.only_tf1) + len(found.only_tf2) > _MAX_AROUND_ACTIVATION:
    return ''
  mine, theirs = _lone_activations(found)
  if mine and not theirs:
    return f'The activation {mine[0]} of TF1 is missing in TF2.'
  if theirs and not mine:
    return f'TF2 applies {theirs[0]}, which TF1 does not have there.'
  if mine and theirs and mine[0] != theirs[0]:
    return f'The activation is {mine[0]} in TF1 and {theirs[0]} in TF2.'
  return ''


def _lone_activations(
  found: divergence.Divergence,
) -> tuple[list[str], list[str]]:
  """Returns the types of the activations that one side alone applies."""
  sides = []
  for end, lone in (
    (found.tf1, found.only_tf1),
    (found.tf2, found.only_tf2),
  ):
    ops = [*lone, *([] if end is None else [end])]
    sides.append([op.op_type for op in ops if op.op_type in _ACTIVATIONS])
  first, second = (Counter(side) for side in sides)
  return list((first - second).elements()), list((second - first).elements())


def stopped_gradient(found: divergence.Divergence) -> str:
  """One side alone stops a gradient, which is why the gradients differ."""
  for each in evidence.of_kind(found, Kind.STOPS_GRADIENT):
    if not evidence.of_kind(found, Kind.STOP_EXPLAINS):
      return ''
    if each.side == 'TF1':
      return 'A tf.stop_gradient of TF1 is missing in TF2.'
    return 'TF2 has a tf.stop_gradient that TF1 does not have.'
  return ''


def operand_order(found: divergence.Divergence) -> str:
  """An op reads the same in another order."""
  if not evidence.of_kind(found, Kind.OPERAND_ORDER):
    return ''
  return 'The operands are the same, but in another order.'
