"""Losses: reductions, weights, logits, regularization, lost gradients."""

import functools

import numpy as np
import tensorflow as tf
import tf_slim as slim

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers

_BATCH, _FEATURES, _CLASSES = 4, 5, 3


# A classifier of examples that have labels and weights.


def _examples():
  generator = np.random.default_rng(0)
  return {
    'x': generator.normal(size=(_BATCH, _FEATURES)).astype(np.float32),
    'labels': np.eye(_CLASSES, dtype=np.float32)[[0, 2, 1, 2]],
    'weights': np.array([1.0, 0.0, 2.0, 0.5], np.float32),
  }


def classifier(inputs, training):
  """Scores of the classes."""
  del training
  return v1.layers.dense(inputs['x'], _CLASSES, name='logits')


def classifier_rewrite(activation=None):
  """Returns a `build_tf2` of the same network in Keras."""
  return lambda: tf.keras.Sequential(
    [
      layers.Lambda(lambda inputs: inputs['x']),
      # FAULT: softmax_twice
      layers.Dense(_CLASSES, activation, name='logits'),
    ]
  )


def _cross_entropy(logits, inputs):
  return v1.losses.softmax_cross_entropy(
    inputs['labels'], logits, inputs['weights'], label_smoothing=0.1
  )


def _keras_cross_entropy(smoothing=0.1, weighted=True):
  """Weighted as TF1 does it: by the mean over weights that are not zero."""

  def compute_loss(logits, inputs):
    # FAULT: label_smoothing_forgotten, weights_forgotten
    loss = tf.keras.losses.CategoricalCrossentropy(
      from_logits=True, label_smoothing=smoothing, reduction='none'
    )(inputs['labels'], logits)
    weights = inputs['weights'] if weighted else tf.ones_like(loss)
    present = tf.math.count_nonzero(weights, dtype=tf.float32)
    return tf.reduce_sum(loss * weights) / present

  return compute_loss


def _keras_loss(loss, weighted=True):
  """Calls a loss of Keras."""

  def compute_loss(logits, inputs):
    weights = inputs['weights'] if weighted else None
    # FAULT: probabilities_for_logits, mean_over_batch_for_nonzero_weights
    # FAULT: mean_square_for_half_of_sum, cosine_similarity_for_distance
    return loss(inputs['labels'], logits, sample_weight=weights)

  return compute_loss


def _sparse_cross_entropy(logits, inputs):
  labels = tf.argmax(inputs['labels'], axis=-1)
  return tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  )


def _weighted_sigmoid(logits, inputs):
  return tf.reduce_mean(
    v1.nn.weighted_cross_entropy_with_logits(
      inputs['labels'], logits, pos_weight=3.0
    )
  )


def _weighted_sigmoid_by_hand(negative):
  """Weights the labels that are one, or those that are zero."""

  def compute_loss(logits, inputs):
    labels = inputs['labels']
    # FAULT: negative_labels_weighted
    loss = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    weighted = 1 - labels if negative else labels
    return tf.reduce_mean(loss * (1 + 2.0 * weighted))

  return compute_loss


def _half_square(logits, inputs):
  return tf.nn.l2_loss(logits - inputs['labels'])


def _huber(logits, inputs):
  return v1.losses.huber_loss(3 * inputs['labels'], logits, delta=0.5)


def _keras_huber(**arguments):
  def compute_loss(logits, inputs):
    # FAULT: delta_of_huber_forgotten
    return tf.keras.losses.Huber(**arguments)(3 * inputs['labels'], logits)

  return compute_loss


def _cosine(logits, inputs):
  logits = tf.nn.l2_normalize(logits, axis=-1)
  return v1.losses.cosine_distance(inputs['labels'], logits, axis=-1)


# A network with regularized weights.


def regularized(x, training, scale=2e-2, hidden=True, output=True):
  """Two dense layers of tf_slim with weight decay."""
  del training
  decay = slim.l2_regularizer(scale)
  net = slim.fully_connected(
    x, 6, weights_regularizer=decay if hidden else None, scope='hidden'
  )
  # FAULT: regularizer_forgotten
  return slim.fully_connected(
    net,
    2,
    activation_fn=None,
    weights_regularizer=decay if output else None,
    scope='out',
  )


def regularized_rewrite(scale):
  """Returns a `build_tf2` of the same network in Keras."""

  def dense(units, name, activation=None):
    l2 = tf.keras.regularizers.L2(scale)
    # FAULT: l2_without_half, factor_of_regularizer
    return layers.Dense(units, activation, kernel_regularizer=l2, name=name)

  return lambda: tf.keras.Sequential(
    [dense(6, 'hidden', 'relu'), dense(2, 'out')]
  )


def _slim_name(name):
  return name.replace('weights', 'kernel').replace('biases', 'bias')


# Q-learning, whose targets are constants for the gradients.


def _transitions():
  generator = np.random.default_rng(0)
  return {
    key: generator.normal(size=(_BATCH, _FEATURES)).astype(np.float32)
    for key in ('now', 'then')
  }


def q_network(inputs, training, stop=True):
  """Values of the actions now, and of the best one then."""
  del training

  def values(x):
    with v1.variable_scope('q', reuse=v1.AUTO_REUSE):
      net = v1.layers.dense(x, 6, tf.nn.relu, name='hidden')
      return v1.layers.dense(net, 2, name='values')

  best = tf.reduce_max(values(inputs['then']), axis=-1)
  target = 1.0 + 0.9 * best
  return {
    'now': values(inputs['now']),
    # FAULT: stop_gradient_lost
    'target': tf.stop_gradient(target) if stop else target,
  }


def _temporal_difference(outputs, inputs):
  del inputs
  error = outputs['now'][:, 0] - outputs['target']
  return tf.reduce_mean(tf.square(error))


# Speech, with connectionist temporal classification.

_TIME = 6


def _speech():
  generator = np.random.default_rng(0)
  return {
    'x': generator.normal(size=(_TIME, 2, _FEATURES)).astype(np.float32),
    'labels': np.array([[1, 2], [2, 1]], np.int32),
  }


def recognizer(inputs, training):
  """Scores of the letters and of the blank, time first."""
  del training
  return v1.layers.dense(inputs['x'], 4, name='letters')


def _ctc(logits, inputs):
  """The last class is the blank."""
  labels = tf.sparse.from_dense(inputs['labels'])
  return tf.reduce_mean(v1.nn.ctc_loss(labels, logits, [_TIME, _TIME]))


def _ctc_of_tf2(blank):
  def compute_loss(logits, inputs):
    # FAULT: blank_of_ctc_first
    loss = tf.nn.ctc_loss(
      inputs['labels'], logits, [2, 2], [_TIME, _TIME], blank_index=blank
    )
    return tf.reduce_mean(loss)

  return compute_loss


def _of(tf1, tf2, **arguments):
  return dict(
    make_inputs=_examples,
    build_tf1=classifier,
    build_tf2=classifier_rewrite(**arguments),
    rename_variable=pair.below('sequential'),
    compute_loss_tf1=tf1,
    compute_loss_tf2=tf2,
  )


_REGULARIZED = dict(
  make_inputs=pair.numbers(_BATCH, _FEATURES),
  build_tf1=regularized,
)
_Q_LEARNING = dict(make_inputs=_transitions, build_tf1=q_network)
_SPEECH = dict(
  make_inputs=_speech,
  build_tf1=recognizer,
  build_tf2=pair.shim(recognizer),
  compute_loss_tf1=_ctc,
)
_CATEGORICAL = tf.keras.losses.CategoricalCrossentropy
_LOSS = 'The loss differs'

PAIRS = (
  # TF1 guards against a batch without any weight.
  pair.clean(
    'cross_entropy',
    allow_dormant=True,
    **_of(_cross_entropy, _keras_cross_entropy()),
  ),
  pair.clean(
    'sparse_cross_entropy',
    **_of(
      _sparse_cross_entropy,
      _keras_loss(_CATEGORICAL(from_logits=True), weighted=False),
    ),
  ),
  pair.clean(
    'weighted_labels',
    **_of(_weighted_sigmoid, _weighted_sigmoid_by_hand(negative=False)),
  ),
  pair.clean('huber', **_of(_huber, _keras_huber(delta=0.5))),
  pair.clean(
    'weight_decay_halved',
    **_REGULARIZED,
    rename_variable=_slim_name,
    build_tf2=regularized_rewrite(1e-2),
  ),
  pair.clean(
    'q_learning',
    **_Q_LEARNING,
    build_tf2=pair.shim(q_network),
    compute_loss=_temporal_difference,
  ),
  pair.clean('ctc', **_SPEECH, compute_loss_tf2=_ctc_of_tf2(-1)),
  pair.faulty(
    'probabilities_for_logits',
    pair.GRADIENTS,
    _LOSS,
    'pass from_logits=True to the loss',
    culprit='categorical_crossentropy',
    **_of(_sparse_cross_entropy, _keras_loss(_CATEGORICAL(), weighted=False)),
  ),
  pair.faulty(
    'softmax_twice',
    pair.FORWARD,
    'Outputs differ',
    'activation',
    culprit='logits/Softmax',
    **_of(
      _sparse_cross_entropy,
      _keras_loss(_CATEGORICAL(from_logits=True), weighted=False),
      activation='softmax',
    ),
  ),
  pair.faulty(
    'label_smoothing_forgotten',
    pair.GRADIENTS,
    _LOSS,
    culprit='0.03333333, 0.9',
    **_of(_cross_entropy, _keras_cross_entropy(smoothing=0.0)),
  ),
  pair.faulty(
    'mean_over_batch_for_nonzero_weights',
    pair.GRADIENTS,
    _LOSS,
    'reduction of the loss',
    culprit='num_present',
    **_of(
      _cross_entropy,
      _keras_loss(_CATEGORICAL(from_logits=True, label_smoothing=0.1)),
    ),
  ),
  pair.faulty(
    'weights_forgotten',
    pair.GRADIENTS,
    _LOSS,
    culprit='operands: TF1 has 2, TF2 has 1',
    **_of(_cross_entropy, _keras_cross_entropy(weighted=False)),
  ),
  pair.faulty(
    'negative_labels_weighted',
    pair.GRADIENTS,
    _LOSS,
    culprit='logistic_loss',
    **_of(_weighted_sigmoid, _weighted_sigmoid_by_hand(negative=True)),
  ),
  pair.faulty(
    'mean_square_for_half_of_sum',
    pair.GRADIENTS,
    _LOSS,
    'The loss is reduced differently (TF2 is 1/6 times TF1)',
    culprit='TF1 L2Loss',
    **_of(
      _half_square,
      _keras_loss(tf.keras.losses.MeanSquaredError(), weighted=False),
    ),
  ),
  pair.faulty(
    'delta_of_huber_forgotten',
    pair.GRADIENTS,
    _LOSS,
    culprit='huber_loss/',
    **_of(_huber, _keras_huber()),
  ),
  pair.faulty(
    'cosine_similarity_for_distance',
    pair.GRADIENTS,
    _LOSS,
    culprit='cosine_similarity',
    **_of(
      _cosine,
      _keras_loss(tf.keras.losses.CosineSimilarity(), weighted=False),
    ),
  ),
  pair.faulty(
    'l2_without_half',
    pair.FORWARD,
    'Regularization losses differ',
    'half of the sum of squares',
    culprit='TF1 0.02, TF2 0.04',
    **_REGULARIZED,
    rename_variable=_slim_name,
    build_tf2=regularized_rewrite(2e-2),
  ),
  pair.faulty(
    'factor_of_regularizer',
    pair.FORWARD,
    'Regularization losses differ',
    'The factor of the regularizer is 0.02 in TF1 and 0.03 in TF2',
    culprit='TF1 0.02, TF2 0.03',
    **_REGULARIZED,
    rename_variable=_slim_name,
    build_tf2=regularized_rewrite(1.5e-2),
  ),
  pair.faulty(
    'regularizer_forgotten',
    pair.FORWARD,
    'Regularization losses differ',
    'out/weights: TF2 has no such regularization loss',
    culprit='only TF1 regularizes out/weights',
    **_REGULARIZED,
    build_tf2=pair.shim(functools.partial(regularized, output=False)),
  ),
  pair.faulty(
    'stop_gradient_lost',
    pair.GRADIENTS,
    'Gradients differ: 4 of 4',
    'tf.stop_gradient',
    culprit='only TF1 stops the gradient',
    **_Q_LEARNING,
    build_tf2=pair.shim(functools.partial(q_network, stop=False)),
    compute_loss=_temporal_difference,
  ),
  pair.faulty(
    'blank_of_ctc_first',
    pair.GRADIENTS,
    _LOSS,
    culprit='TF1 CTCLoss',
    **_SPEECH,
    compute_loss_tf2=_ctc_of_tf2(0),
  ),
)
