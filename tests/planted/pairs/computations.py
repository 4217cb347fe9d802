"""Layers that are written by hand, and attributes that are lost."""

import functools

import numpy as np
import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1

_BATCH, _TIME, _UNITS = 3, 4, 8


def attention(x, training, scaled=True):
  """Scores, weights and a mean of values, without a word of attention."""
  del training
  q, k, v = (v1.layers.dense(x, _UNITS, name=name) for name in 'qkv')
  # FAULT: scores_not_scaled
  near = tf.matmul(q, k, transpose_b=True)
  if scaled:
    near = near / float(np.sqrt(_UNITS))
  # FAULT: scores_not_scaled
  return v1.layers.dense(tf.matmul(tf.nn.softmax(near), v), 3, name='out')


def feed_forward(x, training, by_tanh=True):
  """Two dense layers with a GELU between them."""
  del training
  h = v1.layers.dense(x, _UNITS, name='fc')
  if by_tanh:
    cube = h + 0.044715 * h * h * h
    share = 1.0 + tf.tanh(float(np.sqrt(2 / np.pi)) * cube)
  else:
    # FAULT: erf_for_tanh
    share = 1.0 + tf.math.erf(h / float(np.sqrt(2.0)))
  # FAULT: erf_for_tanh
  return v1.layers.dense(0.5 * h * share, 3, name='proj')


def standardized(x, training, axes=(-1,), epsilon=1e-3):
  """A layer that takes off the mean, and divides by the deviation."""
  del training
  h = v1.layers.dense(x, _UNITS, name='fc')
  g = v1.get_variable('g', [_UNITS], initializer=v1.ones_initializer())
  # FAULT: statistics_over_other_axes
  u = tf.reduce_mean(h, axes, keepdims=True)
  # FAULT: statistics_over_other_axes
  s = tf.reduce_mean(tf.square(h - u), axes, keepdims=True)
  # FAULT: another_epsilon_by_hand
  h = (h - u) * tf.math.rsqrt(s + epsilon)
  # FAULT: another_epsilon_by_hand
  return v1.layers.dense(h * g, 3, name='out')


def gate(x, training, hard=True):
  """A dense layer whose activation is a hard sigmoid, written by hand."""
  del training
  h = v1.layers.dense(x, _UNITS, name='fc')
  # FAULT: sigmoid_for_hard_sigmoid
  y = tf.clip_by_value(0.2 * h + 0.5, 0.0, 1.0) if hard else tf.sigmoid(h)
  # FAULT: sigmoid_for_hard_sigmoid
  return v1.layers.dense(y, 3, name='out')


@tf.custom_gradient
def _turned(x):
  # FAULT: gradient_not_reversed
  return tf.identity(x), lambda gradient: -0.25 * gradient


def adversarial(x, training, turned=True):
  """Two heads, of which one trains the features against itself."""
  del training
  h = v1.layers.dense(x, _UNITS, tf.nn.tanh, name='features')
  # FAULT: gradient_not_reversed
  other = _turned(h) if turned else tf.identity(h)
  return {
    'label': v1.layers.dense(h, 3, name='label'),
    'domain': v1.layers.dense(other, 2, name='domain'),
  }


def decoded(inputs, training, merged=True):
  """The best sequence of labels, and something that has variables."""
  del training
  labels = inputs['steps']
  # FAULT: repeated_labels_not_merged
  found, _ = v1.nn.ctc_beam_search_decoder(
    labels, np.array([5], np.int32), merge_repeated=merged
  )
  return {
    'labels': tf.sparse.to_dense(found[0]),
    'other': v1.layers.dense(inputs['x'], 3, name='fc'),
  }


def _steps():
  """Steps that say 1, blank, 1, 2, 2 of the labels 0, 1, 2 and blank."""
  steps = np.full((5, 1, 4), -4.0, np.float32)
  for i, label in enumerate((1, 3, 1, 2, 2)):
    steps[i, 0, label] = 4.0
  return {'steps': steps, 'x': pair.numbers(_BATCH, 5)()}


def embedded(ids, training, strategy='mod'):
  """Rows of a table that is kept in three parts."""
  del training
  parts = [v1.get_variable('rows_%d' % i, [4, _UNITS]) for i in range(3)]
  # FAULT: rows_in_blocks
  rows = v1.nn.embedding_lookup(parts, ids, partition_strategy=strategy)
  return v1.layers.dense(rows, 3, name='out')


def _ids():
  return np.array([[0, 1, 5, 11], [3, 7, 2, 10]], np.int32)


_X = pair.numbers(_BATCH, _TIME, 5)
_ATTENTION = dict(make_inputs=_X, build_tf1=attention)
_FEED_FORWARD = dict(
  make_inputs=pair.numbers(_BATCH, 5, scale=2.0), build_tf1=feed_forward
)
_STANDARDIZED = dict(make_inputs=_X, build_tf1=standardized)
_GATE = dict(make_inputs=pair.numbers(_BATCH, 5, scale=2.0), build_tf1=gate)
_ADVERSARIAL = dict(make_inputs=pair.numbers(6, 5), build_tf1=adversarial)
_DECODED = dict(make_inputs=_steps, build_tf1=decoded)
_EMBEDDED = dict(make_inputs=_ids, build_tf1=embedded)


def _other(function, **arguments):
  return pair.shim(functools.partial(function, **arguments))


PAIRS = (
  pair.clean('scores', **_ATTENTION, build_tf2=_other(attention)),
  pair.clean('standardized', **_STANDARDIZED, build_tf2=_other(standardized)),
  pair.clean('adversarial', **_ADVERSARIAL, build_tf2=_other(adversarial)),
  pair.faulty(
    'scores_not_scaled',
    pair.FORWARD,
    'divides the products',
    culprit='0.3535534 times',
    **_ATTENTION,
    build_tf2=_other(attention, scaled=False),
  ),
  pair.faulty(
    'erf_for_tanh',
    pair.FORWARD,
    'approximates the GELU by tanh',
    culprit='gelu(tanh) in TF1, gelu(erf) in TF2',
    **_FEED_FORWARD,
    build_tf2=_other(feed_forward, by_tanh=False),
  ),
  pair.faulty(
    'statistics_over_other_axes',
    pair.FORWARD,
    'axes [2] in TF1',
    culprit='Mean',
    **_STANDARDIZED,
    build_tf2=_other(standardized, axes=(1, 2)),
  ),
  pair.faulty(
    'another_epsilon_by_hand',
    pair.FORWARD,
    'The epsilon of the normalization is 0.001 in TF1 and 0.1 in TF2',
    culprit='0.001',
    **_STANDARDIZED,
    build_tf2=_other(standardized, epsilon=0.1),
  ),
  pair.faulty(
    'sigmoid_for_hard_sigmoid',
    pair.FORWARD,
    'hard sigmoid',
    culprit='hard_sigmoid(0.2 x + 0.5) in TF1, sigmoid in TF2',
    **_GATE,
    build_tf2=_other(gate, hard=False),
  ),
  pair.faulty(
    'gradient_not_reversed',
    pair.GRADIENTS,
    'reversed (times -0.25)',
    culprit='-0.25 times',
    **_ADVERSARIAL,
    build_tf2=_other(adversarial, turned=False),
  ),
  pair.faulty(
    'repeated_labels_not_merged',
    pair.FORWARD,
    "Outputs differ in shape: 1, first outputs['labels']",
    culprit='merge_repeated: TF1 True, TF2 False',
    **_DECODED,
    build_tf2=_other(decoded, merged=False),
  ),
  pair.faulty(
    'rows_in_blocks',
    pair.FORWARD,
    'partition_strategy',
    culprit='embedding_lookup',
    **_EMBEDDED,
    build_tf2=_other(embedded, strategy='div'),
  ),
)
