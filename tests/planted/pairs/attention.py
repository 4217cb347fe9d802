"""Attention, and normalization of layers and batches."""

import functools

import keras
import numpy as np
import tensorflow as tf
import tf_slim as slim

from tests.planted import pair
from tf_equiv import converters

v1 = tf.compat.v1
layers = tf.keras.layers

_BATCH, _TIME, _HEADS, _SIZE = 3, 5, 2, 3
_WIDTH = _HEADS * _SIZE


def _sequences():
  generator = np.random.default_rng(0)
  x = generator.normal(size=(_BATCH, _TIME, _WIDTH)).astype(np.float32)
  padding = np.arange(_TIME) >= np.array([[5], [3], [4]])
  return {'x': x, 'padding': padding.astype(np.float32)}


# An encoder block as those of BERT and of tensor2tensor.


def block(
  inputs,
  training,
  scale=_SIZE,
  mask='added',
  axis=-1,
  heads='transposed',
  norm='after',
  rate=0.25,
):
  """Self-attention with a residual, normalized; returns all end points."""
  x, padding = inputs['x'], inputs['padding']
  ends = {}

  def normalize(net):
    return slim.layer_norm(net, begin_norm_axis=-1, scope='norm')

  def split_heads(net):
    net = tf.reshape(net, [_BATCH, _TIME, _HEADS, _SIZE])
    return tf.transpose(net, [0, 2, 1, 3])

  with v1.variable_scope('block'):
    net = normalize(x) if norm == 'before' else x
    query, key, value = (
      # FAULT: normalized_before
      split_heads(v1.layers.dense(net, _WIDTH, name=name))
      for name in ('query', 'key', 'value')
    )
    # FAULT: scaled_by_width_of_all_heads, not_scaled
    scores = tf.matmul(query, key, transpose_b=True) / np.sqrt(scale)
    padding = padding[:, None, None, :]
    if mask == 'of queries':
      padding = tf.transpose(padding, [0, 1, 3, 2])
    if mask:
      # FAULT: mask_of_queries_for_keys, mask_forgotten
      scores += -1e9 * padding
    # FAULT: softmax_over_queries
    ends['weights'] = weights = tf.nn.softmax(scores, axis=axis)
    if training and rate:
      # FAULT: attention_dropout_forgotten
      weights = v1.nn.dropout(weights, rate=rate)
    ends['heads'] = net = tf.matmul(weights, value)
    if heads == 'transposed':
      net = tf.transpose(net, [0, 2, 1, 3])
    net = tf.reshape(net, [_BATCH, _TIME, _WIDTH])
    # FAULT: heads_merged_without_transposing
    ends['attended'] = v1.layers.dense(net, _WIDTH, name='output')
    net = x + ends['attended']
    ends['block'] = normalize(net) if norm == 'after' else net
  return ends


def block_without_dropout(inputs, training):
  """The end points that Keras shows, too; its dropout draws otherwise."""
  ends = block(inputs, training, rate=0.0)
  return {key: ends[key] for key in ('attended', 'block')}


class Block(tf.keras.Model):
  """The same with the layers of Keras."""

  def __init__(self, epsilon=1e-12, inverted=False):
    super().__init__(name='block')
    self.attention = layers.MultiHeadAttention(_HEADS, _SIZE, name='attention')
    # FAULT: epsilon_of_keras_layer_norm
    self.norm = layers.LayerNormalization(epsilon=epsilon, name='norm')
    self.inverted = inverted

  def call(self, inputs):
    x, padding = inputs['x'], inputs['padding']
    mask = padding > 0 if self.inverted else padding == 0
    # FAULT: padding_mask_inverted
    attended = self.attention(x, x, attention_mask=mask[:, None])
    # FAULT: epsilon_of_keras_layer_norm
    return {'attended': attended, 'block': self.norm(x + attended)}


_BLOCK_NAMES = converters.Mapping(
  {
    'block/norm/gamma': 'block/norm/gamma',
    'block/norm/beta': 'block/norm/beta',
  },
  converters.Attention(
    {n: 'block/' + n for n in ('query', 'key', 'value', 'output')},
    'block/attention',
    _HEADS,
  ),
)


# A dense network with one normalization, of layers or of batches.


def normalized(x, training, normalize):
  """A convolution, its normalization, and the mean over the image."""
  net = v1.layers.conv2d(x, 4, 3, use_bias=False, name='conv')
  net = tf.nn.relu(normalize(net, training))
  return v1.layers.dense(tf.reduce_mean(net, [1, 2]), 2, name='out')


def normalized_rewrite(layer, k=tf.keras):
  """Returns a `build_tf2` of the same network in Keras."""
  return lambda: k.Sequential(
    [
      k.layers.Conv2D(4, 3, use_bias=False, name='conv'),
      # FAULT: layer_norm_of_each_pixel
      layer(),
      k.layers.ReLU(),
      k.layers.GlobalAveragePooling2D(),
      k.layers.Dense(2, name='out'),
    ]
  )


def _slim_layer_norm(net, training):
  """Normalizes all pixels and channels of an image together."""
  del training
  return slim.layer_norm(net, scope='norm')


def _slim_batch_norm(net, training):
  return slim.batch_norm(
    net, decay=0.9, scale=True, epsilon=1e-5, is_training=training, scope='norm'
  )


def _layer_norm_of(axis):
  return functools.partial(
    layers.LayerNormalization, axis=axis, epsilon=1e-12, name='norm'
  )


class ImageNorm(layers.Layer):
  """Normalizes an image as `tf.contrib.layers.layer_norm` does."""

  def __init__(self):
    super().__init__(name='norm')

  def build(self, shape):
    self.gamma = self.add_weight('gamma', shape[-1:], initializer='ones')
    self.beta = self.add_weight('beta', shape[-1:], initializer='zeros')

  def call(self, x):
    mean, variance = tf.nn.moments(x, [1, 2, 3], keepdims=True)
    return tf.nn.batch_normalization(
      x, mean, variance, self.beta, self.gamma, 1e-12
    )


def _batch_norm(k=tf.keras, momentum=0.9, epsilon=1e-5, **arguments):
  # FAULT: epsilon_of_keras_batch_norm, momentum_of_keras_batch_norm
  # FAULT: biased_variance_of_keras_3
  return lambda: k.layers.BatchNormalization(
    momentum=momentum, epsilon=epsilon, name='norm', **arguments
  )


class NormInInference(layers.BatchNormalization):
  """Is called without the training flag, as by a forgetful model."""

  def call(self, x, training=None):
    del training
    # FAULT: batch_norm_without_training_flag
    return super().call(x, training=False)


_BLOCK = dict(make_inputs=_sequences, build_tf1=block)
_BLOCK_IN_KERAS = dict(
  make_inputs=_sequences,
  build_tf1=block_without_dropout,
  rename_variable=_BLOCK_NAMES.rename,
  convert_variable=_BLOCK_NAMES.convert,
  weights='fixed',
)
_LAYER_NORM = dict(
  make_inputs=pair.numbers(3, 6, 6, 2),
  build_tf1=functools.partial(normalized, normalize=_slim_layer_norm),
)
_BATCH_NORM = dict(
  make_inputs=pair.numbers(3, 6, 6, 2),
  build_tf1=functools.partial(normalized, normalize=_slim_batch_norm),
)


def _block(**fault):
  return pair.shim(functools.partial(block, **fault))


PAIRS = (
  pair.clean('block_behind_shim', **_BLOCK, build_tf2=_block()),
  pair.clean('block_in_keras', **_BLOCK_IN_KERAS, build_tf2=Block),
  pair.clean(
    'layer_norm_of_images',
    **_LAYER_NORM,
    build_tf2=normalized_rewrite(ImageNorm),
  ),
  pair.clean(
    'batch_norm', **_BATCH_NORM, build_tf2=normalized_rewrite(_batch_norm())
  ),
  pair.faulty(
    'scaled_by_width_of_all_heads',
    pair.FORWARD,
    "first outputs['weights']",
    'scale',
    culprit='TF1 1.732051, TF2 2.44949',
    **_BLOCK,
    build_tf2=_block(scale=_WIDTH),
  ),
  pair.faulty(
    'not_scaled',
    pair.FORWARD,
    "first outputs['weights']",
    culprit='TF1 1.732051, TF2 1',
    **_BLOCK,
    build_tf2=_block(scale=1),
  ),
  pair.faulty(
    'mask_of_queries_for_keys',
    pair.FORWARD,
    "first outputs['weights']",
    culprit='operand 1 holds the same numbers',
    **_BLOCK,
    build_tf2=_block(mask='of queries'),
  ),
  pair.faulty(
    'mask_forgotten',
    pair.FORWARD,
    "first outputs['weights']",
    culprit='-1e+09',
    **_BLOCK,
    build_tf2=_block(mask=''),
  ),
  pair.faulty(
    'softmax_over_queries',
    pair.FORWARD,
    "first outputs['weights']",
    'axis',
    culprit='shim/block/transpose_3',
    **_BLOCK,
    build_tf2=_block(axis=-2),
  ),
  pair.faulty(
    'heads_merged_without_transposing',
    pair.FORWARD,
    "first outputs['attended']",
    culprit='but in another order',
    **_BLOCK,
    build_tf2=_block(heads='as they are'),
  ),
  pair.faulty(
    'normalized_before',
    pair.FORWARD,
    "first outputs['weights']",
    culprit='TF2 reads shim/block/norm',
    **_BLOCK,
    build_tf2=_block(norm='before'),
  ),
  pair.faulty(
    'attention_dropout_forgotten',
    pair.TRAINING,
    'because random numbers are drawn in another order',
    'only in TF1',
    'random_uniform[3x2x5x5]',
    culprit='block/dropout',
    **_BLOCK,
    build_tf2=_block(rate=0.0),
  ),
  pair.faulty(
    'padding_mask_inverted',
    pair.FORWARD,
    "first outputs['attended']",
    culprit='block/attention/softmax/sub',
    **_BLOCK_IN_KERAS,
    build_tf2=lambda: Block(inverted=True),
  ),
  pair.faulty(
    'epsilon_of_keras_layer_norm',
    pair.FORWARD,
    "first outputs['block']",
    'epsilon',
    culprit='only in TF1: 1e-12',
    **_BLOCK_IN_KERAS,
    build_tf2=lambda: Block(epsilon=1e-3),
  ),
  pair.faulty(
    'layer_norm_of_each_pixel',
    pair.FORWARD,
    'Outputs differ',
    culprit='TF1 [1, 2, 3], TF2 3',
    **_LAYER_NORM,
    build_tf2=normalized_rewrite(_layer_norm_of(-1)),
  ),
  pair.faulty(
    'epsilon_of_keras_batch_norm',
    pair.FORWARD,
    'Outputs differ',
    'epsilon',
    culprit='epsilon: TF1 1e-05, TF2 0.001',
    **_BATCH_NORM,
    build_tf2=normalized_rewrite(_batch_norm(epsilon=1e-3)),
  ),
  pair.faulty(
    'momentum_of_keras_batch_norm',
    pair.TRAINING,
    'Variables updated by the forward pass differ: 2 of 2',
    'momentum (decay) of batch normalization',
    culprit='decay: TF1 0.9, TF2 0.99',
    **_BATCH_NORM,
    build_tf2=normalized_rewrite(_batch_norm(momentum=0.99)),
  ),
  pair.faulty(
    'batch_norm_without_training_flag',
    pair.TRAINING,
    'Outputs differ',
    'hand the training flag on to the layer',
    culprit='is_training: TF1 True',
    **_BATCH_NORM,
    build_tf2=normalized_rewrite(
      functools.partial(
        NormInInference, momentum=0.9, epsilon=1e-5, name='norm'
      )
    ),
  ),
  pair.faulty(
    'biased_variance_of_keras_3',
    pair.TRAINING,
    '1 of 2, first sequential/norm/moving_variance',
    'n/(n-1)',
    culprit='moving_variance is assigned by',
    **_BATCH_NORM,
    rename_variable=pair.below('sequential'),
    build_tf2=normalized_rewrite(_batch_norm(keras), keras),
    weights='fixed',
  ),
)
