"""Faults that the inputs of their pairs do not awake."""

import numpy as np
import tensorflow as tf

from tests.planted import dormant_pair as dormant

v1 = tf.compat.v1
math = tf.math


def _fault(name, culprit, methods, by=dormant.FORWARD):
  return dormant.Dormant(name, methods, by, culprit)


def _between(name, culprit, tf1, tf2, style='native', by=dormant.FORWARD):
  return _fault(name, culprit, dormant.between(tf1, tf2, style), by)


def _plain(
  name, culprit, tf1, tf2, inputs=dormant.NUMBERS, by=dormant.THOROUGH
):
  return _fault(name, culprit, dormant.plain(tf1, tf2, inputs), by)


def _hot(x):
  """Numbers in the range of one, for any input."""
  return tf.nn.sigmoid(x)


ACTIVATIONS = (
  _between('relu_for_relu6', 'Relu6', tf.nn.relu6, tf.nn.relu),
  _between('relu_for_relu6_shim', 'Relu6', tf.nn.relu6, tf.nn.relu, 'shim'),
  _between('relu_for_relu6_keras', 'Relu6', tf.nn.relu6, tf.nn.relu, 'keras'),
  _between(
    'relu6_for_relu_gradients',
    'Relu6',
    tf.nn.relu,
    tf.nn.relu6,
    by=dormant.GRADIENTS,
  ),
  _between(
    'clip_lost',
    'clip_by_value',
    lambda x: tf.clip_by_value(x, -10.0, 10.0),
    tf.identity,
  ),
  _between(
    'clip_below_lost',
    'clip_by_value',
    lambda x: tf.clip_by_value(x, -10.0, 10.0),
    lambda x: tf.minimum(x, 10.0),
    'shim',
  ),
  _between(
    'clip_of_20',
    '20',
    lambda x: tf.clip_by_value(x, -10.0, 10.0),
    lambda x: tf.clip_by_value(x, -20.0, 20.0),
    'keras',
  ),
  _between(
    'cap_lost', 'Minimum', lambda x: tf.minimum(x, 30.0), tf.identity, 'keras'
  ),
  _between(
    'linear_tail',
    'SelectV2',
    lambda x: tf.where(x > 5.0, 5.0 + math.log1p(tf.abs(x - 5.0)), x),
    tf.identity,
  ),
  _between(
    'huber_of_10',
    'SelectV2',
    lambda x: tf.where(tf.abs(x) < 10.0, x * x / 2, 10 * tf.abs(x) - 50),
    lambda x: x * x / 2,
    'shim',
  ),
)

GUARDS = (
  _between(
    'norm_plus_epsilon',
    'l2_normalize',
    lambda x: math.l2_normalize(x, -1),
    lambda x: x / (tf.norm(x, axis=-1, keepdims=True) + 1e-6),
  ),
  _between(
    'log_plus_epsilon',
    'Maximum',
    lambda x: math.log(tf.maximum(_hot(x), 1e-7)),
    lambda x: math.log(_hot(x) + 1e-7),
    'shim',
  ),
  _between(
    'log_without_guard',
    'Maximum',
    lambda x: math.log(tf.maximum(_hot(x), 1e-7)),
    lambda x: math.log(_hot(x)),
    'keras',
  ),
  _between(
    'no_nan_lost',
    'DivNoNan',
    lambda x: math.divide_no_nan(x, tf.reduce_sum(tf.nn.relu(x))),
    lambda x: x / tf.reduce_sum(tf.nn.relu(x)),
  ),
  _between(
    'epsilon_outside',
    'Sqrt',
    lambda x: (
      x * math.rsqrt(math.reduce_variance(x, -1, keepdims=True) + 1e-10)
    ),
    lambda x: x / (math.reduce_std(x, -1, keepdims=True) + 1e-10),
    'shim',
  ),
  _plain(
    'clip_of_probability_lost',
    'clip_by_value',
    lambda x: -math.log(tf.clip_by_value(_hot(x), 1e-6, 1 - 1e-6)),
    lambda x: -math.log(_hot(x)),
    by=dormant.FORWARD,
  ),
  _plain(
    'count_without_guard',
    'Maximum',
    lambda x: (
      tf.reduce_sum(x['x'] * x['mask'], 1)
      / tf.maximum(tf.reduce_sum(x['mask'], 1), 1.0)
    ),
    lambda x: (
      tf.reduce_sum(x['x'] * x['mask'], 1) / tf.reduce_sum(x['mask'], 1)
    ),
    lambda: {'x': dormant.NUMBERS(), 'mask': np.ones([4, 6], np.float32)},
    dormant.FORWARD,
  ),
)


def _masked(x, hidden):
  scores = x['x'] + (1.0 - x['mask']) * hidden
  return tf.nn.softmax(scores)


def _with_mask():
  return {'x': dormant.NUMBERS(), 'mask': np.ones([4, 6], np.float32)}


def _with_length():
  return {'x': dormant.NUMBERS(), 'length': np.full([4], 6, np.int32)}


MASKS = (
  _plain(
    'mask_of_1e4',
    'mask',
    lambda x: _masked(x, -1e9),
    lambda x: _masked(x, -1e4),
    _with_mask,
  ),
  _plain(
    'mask_ignored',
    'Mul',
    lambda x: tf.reduce_mean(x['x'] * x['mask'], 1),
    lambda x: tf.reduce_mean(x['x'], 1),
    _with_mask,
    dormant.FORWARD,
  ),
  _plain(
    'mask_after_softmax',
    'Softmax',
    lambda x: _masked(x, -1e9),
    lambda x: tf.nn.softmax(x['x']) * x['mask'],
    _with_mask,
    dormant.FORWARD,
  ),
  _plain(
    'length_ignored',
    'SequenceMask',
    lambda x: tf.reduce_sum(
      x['x'] * tf.sequence_mask(x['length'], 6, tf.float32), 1
    ),
    lambda x: tf.reduce_sum(x['x'], 1),
    _with_length,
    dormant.FORWARD,
  ),
  _fault(
    'padding_counted',
    'not_equal',
    dormant.table(
      lambda table, x: tf.reduce_sum(
        tf.gather(table, x)
        * tf.cast(tf.not_equal(x, 0), tf.float32)[..., tf.newaxis],
        1,
      ),
      lambda table, x: tf.reduce_sum(tf.gather(table, x), 1),
      dormant.ids(4, 5),
    ),
  ),
  _plain(
    'pool_pads_with_zeros',
    'MaxPool',
    lambda x: tf.nn.max_pool2d(x, 3, 2, 'SAME'),
    lambda x: tf.nn.max_pool2d(
      tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), 3, 2, 'VALID'
    ),
    lambda: np.abs(dormant.IMAGES()),
    dormant.FORWARD,
  ),
)

IDS = (
  _fault(
    'unknown_ids_not_clipped',
    'TF2 alone',
    dormant.table(
      lambda table, x: tf.gather(table, tf.minimum(x, 8)),
      lambda table, x: tf.gather(table, x),
      dormant.ids(4, 5),
    ),
    dormant.THOROUGH,
  ),
  _fault(
    'negative_ids_not_clipped',
    'TF2 alone',
    dormant.table(
      lambda table, x: tf.gather(table, tf.maximum(x, 0)),
      lambda table, x: tf.gather(table, x),
      dormant.ids(4, 5),
    ),
    dormant.THOROUGH,
  ),
  _fault(
    'unknown_ids_were_zero',
    'TF2 alone',
    dormant.table(
      lambda table, x: tf.tensordot(tf.one_hot(x, 9), table, 1),
      lambda table, x: tf.gather(table, x),
      dormant.ids(4, 5),
    ),
    dormant.THOROUGH,
  ),
  _fault(
    'largest_id_shared',
    'Minimum',
    dormant.table(
      lambda table, x: tf.gather(table, x),
      lambda table, x: tf.gather(table, tf.minimum(x, 7)),
      dormant.ids(4, 5),
    ),
    dormant.THOROUGH,
  ),
  _plain(
    'truncated_remainder',
    'FloorMod',
    lambda x: math.floormod(x, 5),
    lambda x: tf.truncatemod(x, 5),
    dormant.ids(4, 5),
  ),
)


def _symmetric():
  images = dormant.IMAGES()
  return images + images.transpose(0, 2, 1, 3)


SIZES = (
  _plain(
    'squeeze_of_all',
    'batch of 1',
    lambda x: tf.squeeze(tf.reduce_sum(x, 1, keepdims=True), 1),
    lambda x: tf.squeeze(tf.reduce_sum(x, 1, keepdims=True)),
  ),
  _plain(
    'divided_by_the_batch_of_the_test',
    'RealDiv',
    lambda x: tf.reduce_sum(x, 0) / tf.cast(tf.shape(x)[0], tf.float32),
    lambda x: tf.reduce_sum(x, 0) / 4.0,
  ),
  _plain(
    'padding_of_even_sizes',
    '9 in place of 8',
    lambda x: tf.nn.max_pool2d(x, 3, 2, 'SAME'),
    lambda x: tf.nn.max_pool2d(
      tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]], constant_values=-1e9),
      3,
      2,
      'VALID',
    ),
    dormant.IMAGES,
  ),
  _plain(
    'pool_of_fixed_size',
    '9 in place of 8',
    lambda x: tf.reduce_mean(x, [1, 2]),
    lambda x: tf.reshape(tf.nn.avg_pool2d(x, 8, 8, 'VALID'), [-1, 3]),
    dormant.IMAGES,
  ),
  _plain(
    'rows_for_columns',
    'Mean',
    lambda x: tf.reduce_mean(x, 1),
    lambda x: tf.reduce_mean(x, 2),
    _symmetric,
    dormant.FORWARD,
  ),
  _plain(
    'transposed_images',
    'ksize',
    lambda x: tf.nn.avg_pool2d(x, [2, 1], [2, 1], 'VALID'),
    lambda x: tf.transpose(
      tf.nn.avg_pool2d(x, [1, 2], [1, 2], 'VALID'), [0, 2, 1, 3]
    ),
    _symmetric,
    dormant.FORWARD,
  ),
  _plain(
    'mean_of_the_batch_of_the_test',
    'Mul',
    lambda x: x - tf.reduce_mean(x, 0),
    lambda x: x - 0.25 * tf.reduce_sum(x, 0),
  ),
  _plain(
    'last_of_six',
    'StridedSlice',
    lambda x: x[:, -1],
    lambda x: x[:, 5],
  ),
)


def _positive():
  return np.random.default_rng(4).uniform(0.1, 9, [4, 6]).astype(np.float32)


NUMBERS = (
  _plain(
    'truncated_division',
    'FloorDiv',
    lambda x: x // 2,
    lambda x: tf.truncatediv(x, 2),
    dormant.ids(4, 5),
  ),
  _plain(
    'halves_rounded_up',
    'Round',
    tf.round,
    lambda x: tf.floor(x + 0.5),
  ),
  _plain(
    'truncated_for_floor',
    'Floor',
    lambda x: tf.cast(tf.floor(x), tf.int32),
    lambda x: tf.cast(x, tf.int32),
    _positive,
    dormant.FORWARD,
  ),
  _plain(
    'overflow_of_half',
    'Cast',
    lambda x: x * x + 0.0,
    lambda x: tf.cast(tf.cast(tf.round(x), tf.float16), tf.float32) ** 2,
    lambda: np.round(_positive()),
    dormant.FORWARD,
  ),
  _plain(
    'saturation_lost',
    'Cast',
    lambda x: tf.cast(
      tf.cast(tf.clip_by_value(x, 0, 255), tf.int32), tf.float32
    ),
    lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32),
    lambda: 20 * _positive(),
    dormant.FORWARD,
  ),
  _plain(
    'product_of_int32',
    'Mul',
    lambda x: tf.cast(tf.cast(x, tf.int64) * tf.cast(x, tf.int64), tf.float32),
    lambda x: tf.cast(x * x, tf.float32),
    dormant.ids(4, 5),
  ),
  _plain(
    'last_of_ties',
    'ArgMax',
    lambda x: tf.argmax(x, 1),
    lambda x: 5 - tf.argmax(x[:, ::-1], 1),
  ),
  _plain(
    'log_of_softmax',
    'LogSoftmax',
    tf.nn.log_softmax,
    lambda x: math.log(tf.nn.softmax(x)),
  ),
  _plain(
    'log_of_sum_of_exp',
    'Exp',
    lambda x: math.reduce_logsumexp(x, 1),
    lambda x: math.log(tf.reduce_sum(tf.exp(x), 1)),
  ),
  _plain(
    'softplus_by_hand',
    'Softplus',
    math.softplus,
    lambda x: math.log(1.0 + tf.exp(x)),
  ),
)


def _gated(activation):
  def build(x, training):
    del training
    gate = v1.get_variable('gate', [], initializer=v1.zeros_initializer())
    return x + gate * activation(x)

  return build


class _Gated(tf.Module):
  def __init__(self):
    super().__init__()
    self.gate = tf.Variable(0.0, name='gate')

  def __call__(self, x):
    return x + self.gate * tf.nn.relu(x)


BRANCHES = (
  _fault(
    'gate_of_zero',
    'Tanh',
    {
      'make_inputs': dormant.NUMBERS,
      'build_tf1': _gated(tf.tanh),
      'build_tf2': _Gated,
    },
    dormant.SEEDED,
  ),
  _between(
    'branch_lost',
    'dormant_faults',
    lambda x: tf.cond(
      tf.reduce_max(x) > 20.0, lambda: x / 2.0, lambda: tf.identity(x)
    ),
    tf.identity,
  ),
  _between(
    'other_branch_differs',
    'dormant_faults',
    lambda x: tf.cond(
      tf.reduce_max(x) > 15.0, lambda: tf.tanh(x), lambda: tf.identity(x)
    ),
    lambda x: tf.cond(
      tf.reduce_max(x) > 15.0, lambda: tf.sigmoid(x), lambda: tf.identity(x)
    ),
    'shim',
  ),
  _between(
    'outlier_kept',
    'SelectV2',
    lambda x: tf.where(tf.abs(x) > 50.0, tf.zeros_like(x), x),
    tf.identity,
    'keras',
  ),
)

FAULTS = (
  *ACTIVATIONS,
  *GUARDS,
  *MASKS,
  *IDS,
  *SIZES,
  *NUMBERS,
  *BRANCHES,
)
