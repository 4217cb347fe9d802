"""Optimizers, clipping, and sparse gradients."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1
train = v1.train
layers = tf.keras.layers
optimizers = tf.keras.optimizers


def batch(step):
  """A regression problem whose gradients differ in magnitude."""
  generator = np.random.default_rng(step)
  x = generator.normal(size=(6, 5)) * [1e-3, 0.1, 1.0, 3.0, 10.0]
  return {
    'x': x.astype(np.float32),
    'y': generator.normal(size=(6, 2)).astype(np.float32),
  }


def network(inputs, training, decay=0.0):
  """Two dense layers."""
  del training

  def l2(weights):
    return decay * tf.nn.l2_loss(weights)

  dense = functools.partial(
    v1.layers.dense, kernel_regularizer=l2 if decay else None
  )
  return dense(dense(inputs['x'], 4, tf.nn.tanh, name='hidden'), 2, name='out')


def rewrite(k=tf.keras, decay=0.0):
  """Returns a `build_tf2` of the same in Keras."""

  def dense(units, name, activation=None):
    l2 = k.regularizers.L2(decay / 2) if decay else None
    return k.layers.Dense(units, activation, kernel_regularizer=l2, name=name)

  return lambda: k.Sequential([dense(4, 'hidden', 'tanh'), dense(2, 'out')])


def _call(model, inputs, training):
  return model(inputs['x'], training=training)


def square_error(outputs, inputs):
  """The mean square error."""
  return tf.reduce_mean(tf.square(outputs - inputs['y']))


NETWORK = dict(
  make_inputs=lambda: batch(0),
  make_batch=batch,
  build_tf1=network,
  build_tf2=rewrite(),
  call_tf2=_call,
  compute_loss=square_error,
)


def _of(tf1, tf2, **methods):
  """What makes a pair of two optimizers."""
  return {
    **NETWORK,
    'build_tf1_optimizer': tf1,
    'build_tf2_optimizer': tf2,
    **methods,
  }


def _adam():
  return train.AdamOptimizer(0.01)


def _momentum():
  return train.MomentumOptimizer(0.1, 0.9)


def _nesterov():
  return train.MomentumOptimizer(0.1, 0.9, use_nesterov=True)


def _rms_prop():
  return train.RMSPropOptimizer(0.01, decay=0.9)


def _adagrad():
  return train.AdagradOptimizer(0.1, initial_accumulator_value=1.0)


def descent():
  return train.GradientDescentOptimizer(0.1)


def sgd():
  # FAULT: momentum_forgotten
  return optimizers.SGD(0.1)


class RMSpropFromOnes(optimizers.RMSprop):
  """Starts its mean squares at one, as TF1 does."""

  def build(self, variables):
    is_built = hasattr(self, '_velocities')
    super().build(variables)
    for slot in [] if is_built else self._velocities:
      slot.assign(tf.ones(slot.shape))


# Clipping.


def _by_global_norm(gradients):
  return tf.clip_by_global_norm(gradients, 0.1)[0]


def _by_norm(gradients):
  # FAULT: clipped_one_by_one, not_clipped
  return [tf.clip_by_norm(gradient, 0.1) for gradient in gradients]


def _by_value(gradients):
  return [tf.clip_by_value(gradient, -0.1, 0.1) for gradient in gradients]


def _biases_faster(gradients):
  """As `gradient_multipliers` of tf_slim: biases learn twice as fast."""
  # FAULT: multipliers_of_gradients_forgotten
  return [(2.0 if len(g.shape) == 1 else 1.0) * g for g in gradients]


# Embeddings, whose gradients are sparse and name some rows twice.


def _ids():
  return np.array([[1, 4, 1], [4, 1, 0]], np.int32)


def embedding(ids, training):
  """The mean of the embeddings of some words."""
  del training
  table = v1.get_variable('embedding/table', [6, 3])
  return tf.reduce_mean(tf.nn.embedding_lookup(table, ids), axis=1)


class Embedding(tf.Module):
  """The same."""

  def __init__(self):
    super().__init__(name='embedding')
    with self.name_scope:
      initial = v1.glorot_uniform_initializer()([6, 3])
      self.table = tf.Variable(initial, name='table')

  def __call__(self, ids):
    return tf.reduce_mean(tf.nn.embedding_lookup(self.table, ids), axis=1)


def _dense_by_overwriting(gradients):
  """Makes gradients dense, but keeps one of the values of each row only."""
  return [
    # FAULT: repeated_rows_overwritten
    tf.tensor_scatter_nd_update(
      tf.zeros(g.dense_shape), g.indices[:, None], g.values
    )
    for g in gradients
  ]


_EMBEDDING = dict(
  make_inputs=_ids,
  build_tf1=embedding,
  build_tf2=Embedding,
  build_tf1_optimizer=_adam,
  build_tf2_optimizer=lambda: optimizers.Adam(0.01, epsilon=1e-8),
)


PAIRS = (
  pair.clean('adam', **_of(_adam, lambda: optimizers.Adam(0.01, epsilon=1e-8))),
  pair.clean(
    'adam_of_keras_3',
    weights='fixed',
    **_of(
      _adam,
      lambda: keras.optimizers.Adam(0.01, epsilon=1e-8),
      build_tf2=rewrite(keras),
      rename_variable=pair.below('sequential'),
    ),
  ),
  pair.clean(
    'momentum_of_legacy_keras',
    **_of(
      _nesterov,
      lambda: optimizers.legacy.SGD(0.1, momentum=0.9, nesterov=True),
    ),
  ),
  pair.clean(
    'rms_prop_from_ones',
    **_of(_rms_prop, lambda: RMSpropFromOnes(0.01, rho=0.9, epsilon=1e-10)),
  ),
  pair.clean(
    'clipped_by_optimizer',
    **_of(
      descent,
      lambda: optimizers.SGD(0.1, global_clipnorm=0.1),
      clip_gradients_tf1=_by_global_norm,
    ),
  ),
  pair.clean('sparse_gradients', **_EMBEDDING),
  pair.faulty(
    'epsilon_of_adam',
    pair.UPDATES,
    'epsilon (TF1 1e-08, TF2 1e-07)',
    culprit='epsilon (TF1 1e-08, TF2 1e-07)',
    # FAULT: epsilon_of_adam
    **_of(_adam, lambda: optimizers.Adam(0.01)),
  ),
  pair.faulty(
    'beta_of_adam',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the slots (second moment)',
    'pass beta_2=0.999 to Adam',
    culprit='beta_2: AdamOptimizer 0.999, Adam 0.99',
    **_of(
      _adam,
      # FAULT: beta_of_adam
      lambda: optimizers.Adam(0.01, beta_2=0.99, epsilon=1e-8),
    ),
  ),
  pair.faulty(
    'another_momentum',
    pair.UPDATES,
    'Training diverges at step 2 of 3 in the slots (momentum)',
    'pass momentum=0.9 to SGD',
    culprit='momentum: MomentumOptimizer 0.9, SGD 0.8',
    # FAULT: another_momentum
    **_of(_momentum, lambda: optimizers.SGD(0.1, momentum=0.8)),
  ),
  pair.faulty(
    'nesterov_forgotten',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the variables',
    'nesterov: MomentumOptimizer True, SGD False',
    culprit='nesterov: MomentumOptimizer True',
    # FAULT: nesterov_forgotten
    **_of(_nesterov, lambda: optimizers.SGD(0.1, momentum=0.9)),
  ),
  pair.faulty(
    'momentum_forgotten',
    pair.UPDATES,
    'Training diverges at step 2 of 3 in the variables',
    'MomentumOptimizer momentum, SGD gradient descent',
    culprit='kind: MomentumOptimizer momentum',
    **_of(_momentum, sgd),
  ),
  pair.faulty(
    'rms_prop_from_zeros',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the slots (mean square)',
    'starts its mean square at one',
    culprit='slots (mean square)',
    # FAULT: rms_prop_from_zeros
    **_of(_rms_prop, lambda: optimizers.RMSprop(0.01, rho=0.9, epsilon=1e-10)),
  ),
  pair.faulty(
    'decay_of_rms_prop',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the slots (mean square)',
    'RMSPropOptimizer 0.9',
    culprit='rho: RMSPropOptimizer 0.9',
    # FAULT: decay_of_rms_prop
    **_of(_rms_prop, lambda: RMSpropFromOnes(0.01, rho=0.99, epsilon=1e-10)),
  ),
  pair.faulty(
    'initial_accumulator_of_adagrad',
    pair.UPDATES,
    'in the slots (accumulator)',
    'initial_accumulator_value: AdagradOptimizer 1.0, Adagrad 0.1',
    culprit='initial_accumulator_value',
    # FAULT: initial_accumulator_of_adagrad
    **_of(_adagrad, lambda: optimizers.Adagrad(0.1)),
  ),
  pair.faulty(
    'default_learning_rate',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in learning rate of AdagradOptimizer',
    culprit='learning rate of AdagradOptimizer',
    # FAULT: default_learning_rate
    **_of(_adagrad, lambda: optimizers.Adagrad(initial_accumulator_value=1.0)),
  ),
  pair.faulty(
    'weight_decay_twice',
    pair.UPDATES,
    'weight_decay: GradientDescentOptimizer',
    culprit='weight_decay: ',
    **_of(
      descent,
      # FAULT: weight_decay_twice
      lambda: optimizers.SGD(0.1, weight_decay=0.1),
      build_tf1=functools.partial(network, decay=0.1),
      build_tf2=rewrite(decay=0.1),
    ),
  ),
  pair.faulty(
    'clipped_one_by_one',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients',
    'clip',
    culprit='TF2 clip_by_norm',
    **_of(
      descent,
      sgd,
      clip_gradients_tf1=_by_global_norm,
      clip_gradients_tf2=_by_norm,
    ),
  ),
  pair.faulty(
    'clipped_by_value_of_optimizer',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients',
    culprit='TF2 clip_by_norm',
    **_of(
      descent,
      # FAULT: clipped_by_value_of_optimizer
      lambda: optimizers.SGD(0.1, clipnorm=0.1),
      clip_gradients_tf1=_by_value,
    ),
  ),
  pair.faulty(
    'not_clipped',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients',
    culprit='only TF1 clip_by_norm',
    **_of(descent, sgd, clip_gradients_tf1=_by_norm),
  ),
  pair.faulty(
    'multipliers_of_gradients_forgotten',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients: 2 of 4',
    'hidden/bias',
    culprit='op: TF1 Mul',
    **_of(descent, sgd, clip_gradients_tf1=_biases_faster),
  ),
  pair.faulty(
    'repeated_rows_overwritten',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients',
    'embedding/table',
    culprit='TensorScatterUpdate',
    **_EMBEDDING,
    clip_gradients_tf2=_dense_by_overwriting,
  ),
)
