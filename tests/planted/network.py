"""A small network with a knob for each fault that migrations plant in it."""

import dataclasses

import tensorflow as tf

v1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class Knobs:
  """What may differ between the two sides; the defaults are the TF1 side's."""

  epsilon: float = 1e-3
  momentum: float = 0.9
  padding: str = 'same'
  activation: str = 'relu'
  concat_reversed: bool = False
  softmax_axis: int = -1
  residual_scale: float = 0.17
  use_bias: bool = True
  l2: float = 1e-3
  regularize_output: bool = True
  initializer: str = 'default'
  rate: float = 0.4
  dropout_before_hidden: bool = False
  batch_norm_training: str = 'follow'  # or 'always'
  batch_norm_trainable: bool = True
  output_name: str = 'output'
  extra_variable: bool = False
  variable_dtype: str = 'float32'
  scale_shape: tuple = (1, 8)
  stop_gradient: bool = False
  variable_per_call: str = ''  # 'tf.Variable', 'keras', 'unnamed'
  mutate: bool = False
  outputs: str = 'dict'


def network(x, training, knobs):
  """Convolution, batch norm, residual, dropout and two dense layers."""

  def l2(w):
    return knobs.l2 * tf.nn.l2_loss(w)

  with v1.variable_scope('net'):
    net = v1.layers.conv2d(
      x,
      8,
      3,
      strides=2,
      padding=knobs.padding,
      use_bias=knobs.use_bias,
      kernel_initializer=_initializer(knobs.initializer),
      kernel_regularizer=l2,
      name='conv',
    )
    net = v1.layers.batch_normalization(
      net,
      epsilon=knobs.epsilon,
      momentum=knobs.momentum,
      training=training or knobs.batch_norm_training == 'always',
      trainable=knobs.batch_norm_trainable,
      name='bn',
    )
    net = getattr(tf.nn, knobs.activation)(net)
    net += knobs.residual_scale * v1.layers.conv2d(net, 8, 1, name='residual')
    pooled = tf.reduce_mean(net, axis=[1, 2])
    pooled = pooled * _scale(knobs)
    parts = [pooled, tf.square(pooled)]
    net = tf.concat(parts[::-1] if knobs.concat_reversed else parts, axis=1)
    if knobs.dropout_before_hidden:
      net = v1.layers.dropout(net, knobs.rate, training=training)
    net = v1.layers.dense(net, 16, activation=tf.nn.relu, name='hidden')
    if not knobs.dropout_before_hidden:
      net = v1.layers.dropout(net, knobs.rate, training=training)
    if knobs.stop_gradient:
      net = tf.stop_gradient(net)
    logits = v1.layers.dense(
      net,
      4,
      kernel_regularizer=l2 if knobs.regularize_output else None,
      name=knobs.output_name,
    )
  return _outputs(logits, tf.nn.softmax(logits, knobs.softmax_axis), knobs)


def _initializer(name):
  if name == 'default':
    return None
  return v1.truncated_normal_initializer(stddev=0.2)


def _scale(knobs):
  dtype = tf.as_dtype(knobs.variable_dtype)
  scale = v1.get_variable(
    'scale',
    knobs.scale_shape,
    dtype,
    initializer=v1.ones_initializer(),
  )
  if knobs.extra_variable:
    v1.get_variable('forgotten', [3], initializer=v1.zeros_initializer())
  return tf.reshape(tf.cast(scale, tf.float32), [1, 8])


def _outputs(logits, probabilities, knobs):
  if knobs.outputs == 'dict':
    return {'logits': logits, 'probabilities': probabilities}
  if knobs.outputs == 'missing key':
    return {'logits': logits}
  if knobs.outputs == 'None':
    return {'logits': logits, 'probabilities': None}
  if knobs.outputs == 'tuple':
    return logits, probabilities
  if knobs.outputs == 'exchanged':
    return {'logits': probabilities, 'probabilities': logits}
  if knobs.outputs == 'another dtype':
    return {
      'logits': logits,
      'probabilities': tf.cast(probabilities, tf.float16),
    }
  raise ValueError(knobs.outputs)
