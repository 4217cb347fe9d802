"""Rewrites that are the same function for all inputs."""

import numpy as np
import tensorflow as tf

from tests.planted import dormant_pair as dormant
from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers
math = tf.math


def _between(name, tf1, tf2, style='native', by=dormant.THOROUGH):
  return dormant.Dormant(name, dormant.between(tf1, tf2, style), by)


def _plain(name, tf1, tf2, inputs=dormant.NUMBERS, by=dormant.THOROUGH):
  return dormant.Dormant(name, dormant.plain(tf1, tf2, inputs), by)


def _axis_norm(x):
  mean = tf.reduce_mean(x, -1, keepdims=True)
  centered = x - mean
  variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
  return centered / tf.sqrt(variance + 1e-3)


def _moments(x):
  mean, variance = tf.nn.moments(x, [-1], keepdims=True)
  return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)


def _gelu(x):
  return 0.5 * x * (1.0 + math.erf(x / np.float32(np.sqrt(2.0))))


def _masked():
  mask = np.random.default_rng(7).integers(0, 2, [4, 6]).astype(np.float32)
  mask[:, 0] = 1
  return {'x': dormant.NUMBERS(), 'mask': mask}


def _lengths():
  return {
    'x': dormant.NUMBERS(),
    'length': np.array([6, 3, 1, 4], np.int32),
  }


ACTIVATIONS = (
  _between(
    'relu6_by_clip', tf.nn.relu6, lambda x: tf.clip_by_value(x, 0.0, 6.0)
  ),
  _between(
    'relu6_of_relu',
    tf.nn.relu6,
    lambda x: tf.minimum(tf.nn.relu(x), 6.0),
    'shim',
    dormant.GRADIENTS,
  ),
  _between(
    'relu_by_maximum', tf.nn.relu, lambda x: tf.maximum(x, 0.0), 'keras'
  ),
  _between(
    'leaky_by_maximum',
    lambda x: tf.nn.leaky_relu(x, 0.2),
    lambda x: tf.maximum(x, 0.2 * x),
    by=dormant.GRADIENTS,
  ),
  _between('square_by_product', tf.square, lambda x: x * x),
  _between('square_by_power', tf.square, lambda x: x**2, 'shim'),
  _between(
    'root_by_power',
    lambda x: tf.sqrt(1.0 + x * x),
    lambda x: (1.0 + tf.square(x)) ** 0.5,
    'keras',
  ),
  _between('absolute_by_maximum', tf.abs, lambda x: tf.maximum(x, -x), 'shim'),
  _between(
    'swish', tf.nn.swish, lambda x: x * tf.sigmoid(x), by=dormant.GRADIENTS
  ),
  _between('gelu_by_erf', tf.nn.gelu, _gelu, 'keras'),
  _between(
    'clip_of_sigmoid', tf.sigmoid, lambda x: tf.minimum(tf.sigmoid(x), 2)
  ),
  _between(
    'clip_of_tanh',
    tf.tanh,
    lambda x: tf.clip_by_value(tf.tanh(x), -1.5, 1.5),
    'shim',
  ),
  _between(
    'relu_of_softplus',
    lambda x: math.softplus(x),
    lambda x: tf.nn.relu(math.softplus(x)),
    'keras',
  ),
  _between(
    'sigmoid_by_tanh',
    tf.sigmoid,
    lambda x: 0.5 * (1.0 + tf.tanh(0.5 * x)),
    'shim',
  ),
  _between(
    'softplus_that_is_stable',
    math.softplus,
    lambda x: tf.maximum(x, 0.0) + math.log1p(tf.exp(-tf.abs(x))),
  ),
  _between(
    'elu_by_where',
    tf.nn.elu,
    lambda x: tf.where(x > 0, x, math.expm1(tf.minimum(x, 0.0))),
    'shim',
    dormant.GRADIENTS,
  ),
)

SUMS = (
  _between(
    'mean_by_sum',
    lambda x: x - tf.reduce_mean(x, -1, keepdims=True),
    lambda x: x - tf.reduce_sum(x, -1, keepdims=True) / 6.0,
  ),
  _between('normalized_over_features', _axis_norm, _moments, 'shim'),
  _between(
    'softmax_by_hand',
    tf.nn.softmax,
    lambda x: (
      tf.exp(x - tf.reduce_max(x, -1, keepdims=True))
      / tf.reduce_sum(
        tf.exp(x - tf.reduce_max(x, -1, keepdims=True)), -1, keepdims=True
      )
    ),
    'keras',
  ),
  _between(
    'log_softmax_by_logsumexp',
    tf.nn.log_softmax,
    lambda x: x - math.reduce_logsumexp(x, -1, keepdims=True),
  ),
  _between(
    'norm_by_hand',
    lambda x: math.l2_normalize(x, -1),
    lambda x: (
      x * math.rsqrt(tf.maximum(tf.reduce_sum(x * x, -1, keepdims=True), 1e-12))
    ),
    'shim',
  ),
  _between(
    'product_by_einsum',
    lambda x: tf.matmul(x, x, transpose_b=True) @ x,
    lambda x: tf.einsum('ij,jk->ik', tf.einsum('ik,jk->ij', x, x), x),
  ),
  _between(
    'sum_by_ones',
    lambda x: x * tf.reduce_sum(x, -1, keepdims=True),
    lambda x: x * tf.matmul(x, tf.ones([6, 1])),
    'keras',
  ),
  _between(
    'quotient_by_reciprocal',
    lambda x: x / (1.0 + tf.abs(x)),
    lambda x: x * math.reciprocal(1.0 + tf.abs(x)),
    'shim',
  ),
  _between(
    'split_and_joined',
    tf.tanh,
    lambda x: tf.concat([tf.tanh(p) for p in tf.split(x, 2, -1)], -1),
    'keras',
  ),
  _between(
    'sum_in_another_order',
    lambda x: x + tf.tanh(x) + tf.sin(x),
    lambda x: tf.add_n([tf.sin(x), x, tf.tanh(x)]),
  ),
  _plain(
    'running_sum_by_product',
    lambda x: tf.cumsum(x, 1),
    lambda x: tf.matmul(x, tf.linalg.band_part(tf.ones([6, 6]), 0, -1)),
    by=dormant.FORWARD,
  ),
  _plain(
    'transposed_twice',
    lambda x: tf.reduce_max(x, [1, 2]),
    lambda x: tf.reduce_max(tf.transpose(x, [0, 2, 1, 3]), [1, 2]),
    dormant.IMAGES,
  ),
  _plain(
    'mean_of_the_batch',
    lambda x: tf.reduce_mean(x, 0),
    lambda x: tf.reduce_sum(x, 0) / tf.cast(tf.shape(x)[0], tf.float32),
  ),
  _plain(
    'pool_by_mean',
    lambda x: tf.reduce_mean(x, [1, 2]),
    lambda x: layers.GlobalAveragePooling2D()(x),
    dormant.IMAGES,
  ),
  _plain(
    'halves_rounded_alike',
    tf.round,
    math.rint,
  ),
  _plain(
    'quotient_of_whole_numbers',
    lambda x: x // 3,
    lambda x: tf.cast(tf.floor(tf.cast(x, tf.float64) / 3.0), tf.int32),
    dormant.ids(4, 5),
    dormant.FORWARD,
  ),
)

MASKS = (
  _plain(
    'mask_by_where',
    lambda x: x['x'] * x['mask'],
    lambda x: tf.where(x['mask'] > 0, x['x'], tf.zeros_like(x['x'])),
    _masked,
  ),
  _plain(
    'mask_by_subtraction',
    lambda x: tf.nn.softmax(x['x'] + (1.0 - x['mask']) * -1e9),
    lambda x: tf.nn.softmax(x['x'] - 1e9 * (1.0 - x['mask'])),
    _masked,
  ),
  _plain(
    'length_by_range',
    lambda x: x['x'] * tf.sequence_mask(x['length'], 6, tf.float32),
    lambda x: (
      x['x'] * tf.cast(tf.range(6)[None] < x['length'][:, None], tf.float32)
    ),
    _lengths,
  ),
  _plain(
    'cond_by_where',
    lambda x: tf.cond(
      tf.reduce_sum(x) > 0, lambda: tf.tanh(x), lambda: tf.sin(x)
    ),
    lambda x: tf.where(tf.reduce_sum(x) > 0, tf.tanh(x), tf.sin(x)),
  ),
  dormant.Dormant(
    'rows_by_one_hot',
    dormant.table(
      lambda table, x: tf.gather(table, x),
      lambda table, x: tf.tensordot(tf.one_hot(x, 9), table, 1),
      dormant.ids(4, 5),
    ),
    dormant.THOROUGH,
  ),
  dormant.Dormant(
    'rows_looked_up',
    dormant.table(
      lambda table, x: tf.nn.embedding_lookup(table, x),
      lambda table, x: tf.reshape(
        tf.gather(table, tf.reshape(x, [-1])), [-1, 5, 4]
      ),
      dormant.ids(4, 5),
    ),
    dormant.THOROUGH,
  ),
)


def _images(x, training):
  x = v1.layers.conv2d(x, 4, 3, 2, 'same', name='conv')
  x = tf.nn.relu(
    v1.layers.batch_normalization(x, training=training, name='norm')
  )
  x = tf.reduce_mean(x, [1, 2])
  return v1.layers.dense(x, 3, name='out')


def _keras_images():
  return tf.keras.Sequential(
    [
      layers.Conv2D(4, 3, 2, 'same', name='conv'),
      layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name='norm'),
      layers.ReLU(),
      layers.GlobalAveragePooling2D(),
      layers.Dense(3, name='out'),
    ]
  )


NETWORKS = (
  dormant.Dormant(
    'network_of_images',
    {
      'make_inputs': dormant.IMAGES,
      'build_tf1': _images,
      'build_tf2': _keras_images,
    },
    dormant.THOROUGH,
  ),
  dormant.Dormant(
    'network_of_images_in_the_shim',
    {
      'make_inputs': dormant.IMAGES,
      'build_tf1': _images,
      'build_tf2': pair.shim(_images),
    },
    dormant.THOROUGH,
  ),
)

CLEAN = (*ACTIVATIONS, *SUMS, *MASKS, *NETWORKS)
