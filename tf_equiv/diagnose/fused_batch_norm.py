"""Fused batch normalization as elementary ops, for want of double kernels.

The formulas are those of S. Ioffe and C. Szegedy, "Batch Normalization:
Accelerating Deep Network Training by Reducing Internal Covariate Shift"
(https://arxiv.org/abs/1502.03167), section 3; the batch variance that the op
hands on is that times n/(n-1), with n values per channel
(https://www.tensorflow.org/api_docs/python/tf/raw_ops/FusedBatchNormV3).
"""

import numpy as np
import tensorflow as tf

FORWARD = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')
GRADIENT = (
  'FusedBatchNormGrad',
  'FusedBatchNormGradV2',
  'FusedBatchNormGradV3',
)


class _Maker:
  """Writes down ops on doubles, with names below that of a node."""

  def __init__(self, body, node):
    self._body, self._node, self._count = body, node, 0
    self.is_first_last = node.attr['data_format'].s == b'NCHW'
    self.axes = [0, 2, 3] if self.is_first_last else [0, 1, 2]

  def _name(self) -> str:
    self._count += 1
    return f'{self._node.name}/tf_equiv_{self._count}'

  def __call__(self, op_type: str, *inputs: str, **attrs) -> str:
    return self._body.add(op_type, self._name(), *inputs, T=tf.float64, **attrs)

  def constant(self, value, dtype=np.float64) -> str:
    return self._body.constant(self._name(), np.array(value, dtype))

  def reduce(self, op_type: str, x: str, keep: bool = False) -> str:
    """Reduces over all axes but that of the channels."""
    axes = self.constant(self.axes, np.int32)
    return self(op_type, x, axes, Tidx=tf.int32, keep_dims=keep)

  def per_channel(self, x: str) -> str:
    """Lets a vector of channels be broadcast to the shape of the images."""
    if not self.is_first_last:
      return x
    shape = self.constant([1, -1, 1, 1], np.int32)
    return self('Reshape', x, shape, Tshape=tf.int32)

  def flat(self, x: str) -> str:
    """Undoes `keep=True`: returns a vector of channels."""
    shape = self.constant([-1], np.int32)
    return self('Reshape', x, shape, Tshape=tf.int32)

  def epsilon(self) -> str:
    return self.constant(np.float32(self._node.attr['epsilon'].f))

  def is_training(self) -> bool:
    given = 'is_training' in self._node.attr
    return self._node.attr['is_training'].b if given else True

  def statistics(self, x: str):
    """Returns mean and variance of the batch, with all axes."""
    mean = self.reduce('Mean', x, keep=True)
    squares = self('SquaredDifference', x, mean)
    return mean, self.reduce('Mean', squares, keep=True)

  def deviation(self, variance: str) -> str:
    """Returns one over the standard deviation."""
    return self('Rsqrt', self('AddV2', variance, self.epsilon()))


def expand(body, node) -> dict[str, str]:
  """Adds the ops of a forward pass to a body.

  Args:
    body: a `float64.Body`.
    node: the fused op: x, scale, offset, mean and variance.

  Returns:
    References to the new outputs by those to the old.
  """
  make = _Maker(body, node)
  x, scale, offset, mean_in, variance_in = node.input[:5]
  if make.is_training():
    mean, variance = make.statistics(x)
    mean_out, variance_out = make.flat(mean), make.flat(variance)
    unbiased = make('Mul', variance_out, _correction(make, x, mean))
    kept = mean_out, unbiased
    factor = node.attr['exponential_avg_factor'].f
    if 'exponential_avg_factor' in node.attr and factor != 1.0:
      kept = [
        _average(make, old, new, factor)
        for old, new in zip((mean_in, variance_in), kept, strict=True)
      ]
  else:
    mean, variance = make.per_channel(mean_in), make.per_channel(variance_in)
    mean_out, variance_out = mean_in, variance_in
    kept = mean_in, variance_in
  centered = make('Mul', make('Sub', x, mean), make.deviation(variance))
  scaled = make('Mul', centered, make.per_channel(scale))
  y = make('AddV2', scaled, make.per_channel(offset))
  outputs = [y, *kept, mean_out, variance_out, make.constant(0.0)]
  return {
    body.ref(node.name, node.op, i): outputs[i]
    for i in range(6 if node.op.endswith('V3') else 5)
  }


def _correction(make, x, mean) -> str:
  """Returns n / (n - 1), or 1 for a single value per channel."""
  types = {'Tidx': tf.int32, 'keep_dims': False}
  every = make.constant([0, 1, 2, 3], np.int32)
  ones = make('OnesLike', x)
  total = make('Sum', ones, every, **types)
  channels = make('Sum', make('OnesLike', mean), every, **types)
  count = make('RealDiv', total, channels)
  less = make(
    'Maximum', make('Sub', count, make.constant(1.0)), make.constant(1.0)
  )
  return make('RealDiv', count, less)


def _average(make, old, new, factor) -> str:
  part = make('Mul', new, make.constant(np.float32(factor)))
  rest = make('Mul', old, make.constant(1.0 - np.float64(np.float32(factor))))
  return make('AddV2', rest, part)


def expand_gradient(body, node) -> dict[str, str]:
  """Adds the ops of a backward pass to a body.

  Args:
    body: a `float64.Body`.
    node: the fused op: gradient of y, x, scale, and two reserve spaces, which
      hold mean and variance in inference.

  Returns:
    References to the new outputs by those to the old.
  """
  make = _Maker(body, node)
  dy, x, scale, mean_in, variance_in = node.input[:5]
  if make.is_training():
    mean, variance = make.statistics(x)
  else:
    mean, variance = make.per_channel(mean_in), make.per_channel(variance_in)
  deviation = make.deviation(variance)
  normal = make('Mul', make('Sub', x, mean), deviation)
  projected = make('Mul', dy, normal)
  change = dy
  if make.is_training():
    change = make('Sub', dy, make.reduce('Mean', dy, keep=True))
    part = make('Mul', normal, make.reduce('Mean', projected, keep=True))
    change = make('Sub', change, part)
  factor = make('Mul', deviation, make.per_channel(scale))
  outputs = [
    make('Mul', change, factor),
    make.reduce('Sum', projected),
    make.reduce('Sum', dy),
    make.constant(0.0),
    make.constant(0.0),
  ]
  return {
    body.ref(node.name, node.op, i): output for i, output in enumerate(outputs)
  }
