"""What a model keeps between steps: statistics, counters, states."""

import functools

import numpy as np
import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers

_X = pair.numbers(4, 5)


def _update(operation):
  """Leaves an update to the training loop, as TF1 code does."""
  v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, operation)


# Batch normalization, fine-tuned with its parameters frozen.


def batch_norm(x, training, trainable=True, decay=0.9):
  """A dense layer, normalized."""
  net = v1.layers.dense(x, 6, use_bias=False, name='dense')
  net = v1.layers.batch_normalization(
    net, momentum=decay, trainable=trainable, training=training, name='norm'
  )
  return v1.layers.dense(tf.nn.relu(net), 2, name='out')


def batch_norm_rewrite(trainable=True):
  """Returns a `build_tf2` of the same in Keras."""

  def build():
    # FAULT: frozen_batch_norm_uses_moving_statistics
    # FAULT: updates_that_tf1_never_ran
    norm = layers.BatchNormalization(momentum=0.9, name='norm')
    norm.trainable = trainable
    return tf.keras.Sequential(
      [
        layers.Dense(6, use_bias=False, name='dense'),
        norm,
        layers.ReLU(),
        layers.Dense(2, name='out'),
      ]
    )

  return build


class BatchNorm(tf.Module):
  """The same by hand."""

  def __init__(self, updates=True, mean_of_moving=False):
    super().__init__()
    glorot = v1.glorot_uniform_initializer()
    self.kernel = tf.Variable(glorot([5, 6]), name='dense/kernel')
    self.gamma = tf.Variable(tf.ones([6]), name='norm/gamma')
    self.beta = tf.Variable(tf.zeros([6]), name='norm/beta')
    # FAULT: moving_statistics_not_updated
    self.mean = tf.Variable(
      tf.zeros([6]), trainable=False, name='norm/moving_mean'
    )
    self.variance = tf.Variable(
      tf.ones([6]), trainable=False, name='norm/moving_variance'
    )
    self.out = tf.Variable(glorot([6, 2]), name='out/kernel')
    self.bias = tf.Variable(tf.zeros([2]), name='out/bias')
    self.updates, self.mean_of_moving = updates, mean_of_moving

  def __call__(self, x, training=False):
    net = tf.matmul(x, self.kernel)
    mean, variance = self.mean, self.variance
    if training:
      mean, variance = tf.nn.moments(net, [0])
      if self.mean_of_moving:  # gradients no longer flow through the moments
        # FAULT: moments_are_constants_for_gradients
        mean, variance = tf.stop_gradient(mean), tf.stop_gradient(variance)
      if self.updates:
        for old, new in ((self.mean, mean), (self.variance, variance)):
          old.assign_sub(0.1 * (old - new))
    net = tf.nn.batch_normalization(
      net, mean, variance, self.beta, self.gamma, 1e-3
    )
    return tf.matmul(tf.nn.relu(net), self.out) + self.bias


# Observations of reinforcement learning, normalized by what was seen so far.


def observations(x, training):
  """Subtracts a running mean, which moves faster at the beginning."""
  count = v1.get_variable(
    'count', [], tf.int64, v1.zeros_initializer(), trainable=False
  )
  average = v1.train.ExponentialMovingAverage(0.99, num_updates=count)
  batch = tf.reduce_mean(x, axis=0, name='batch')
  average.apply([batch])  # makes the variable
  net = v1.layers.dense(x - average.average(batch), 3, name='dense')
  if training:
    with tf.control_dependencies([net]):
      update = average.apply([batch])
    with tf.control_dependencies([update]):
      _update(count.assign_add(1))
  return net


def baseline(x, training):
  """Keeps an unbiased running mean of its outputs, for a report."""
  net = v1.layers.dense(x, 3, name='dense')
  batch = tf.reduce_mean(net, axis=0, name='batch')
  average = v1.train.ExponentialMovingAverage(0.99, zero_debias=True)
  update = average.apply([batch])
  if training:
    _update(update)
  return net


class Observations(tf.Module):
  """The observations as a module."""

  def __init__(self, ramp=True, counts=1, always=False):
    super().__init__()
    self.count = tf.Variable(np.int64(0), trainable=False, name='count')
    self.mean = tf.Variable(tf.zeros([5]), trainable=False, name='mean')
    glorot = v1.glorot_uniform_initializer()
    self.kernel = tf.Variable(glorot([5, 3]), name='dense/kernel')
    self.bias = tf.Variable(tf.zeros([3]), name='dense/bias')
    self.ramp, self.counts, self.always = ramp, counts, always

  def __call__(self, x, training=False):
    net = tf.matmul(x - self.mean, self.kernel) + self.bias
    if training or self.always:
      decay = 0.99
      if self.ramp:
        count = tf.cast(self.count, tf.float32)
        decay = tf.minimum(decay, (1 + count) / (10 + count))
      batch = tf.reduce_mean(x, axis=0)
      # FAULT: decay_does_not_depend_on_updates, updated_in_inference
      self.mean.assign_sub((1 - decay) * (self.mean - batch))
      # FAULT: counted_twice, updated_in_inference
      self.count.assign_add(self.counts)
    return net


class Baseline(tf.Module):
  """The baseline as a module, whose mean starts at zero and stays biased."""

  def __init__(self):
    super().__init__()
    self.mean = tf.Variable(tf.zeros([3]), trainable=False, name='mean')
    glorot = v1.glorot_uniform_initializer()
    self.kernel = tf.Variable(glorot([5, 3]), name='dense/kernel')
    self.bias = tf.Variable(tf.zeros([3]), name='dense/bias')

  def __call__(self, x, training=False):
    net = tf.matmul(x, self.kernel) + self.bias
    if training:
      # FAULT: zero_debias_lost
      self.mean.assign_sub(0.01 * (self.mean - tf.reduce_mean(net, axis=0)))
    return net


def _observation_name(name):
  if name.endswith(('biased', 'local_step')):
    return None
  return 'mean' if name.endswith('ExponentialMovingAverage') else name


# Spectral normalization.


def spectral(x, training):
  """A dense layer whose kernel is divided by its largest singular value."""
  kernel = v1.get_variable('kernel', [5, 4])
  u = v1.get_variable(
    'u', [1, 4], initializer=v1.truncated_normal_initializer(), trainable=False
  )
  v = tf.nn.l2_normalize(tf.matmul(u, kernel, transpose_b=True))
  new = tf.nn.l2_normalize(tf.matmul(v, kernel))
  # FAULT: gradients_through_singular_vectors
  v, new = tf.stop_gradient(v), tf.stop_gradient(new)
  sigma = tf.matmul(tf.matmul(v, kernel), new, transpose_b=True)
  if training:
    with tf.control_dependencies([sigma]):
      _update(u.assign(new))
  return tf.matmul(x, kernel / sigma)


class Spectral(tf.Module):
  """The same as a module."""

  def __init__(self, updates=True, stops=True):
    super().__init__()
    initial = v1.glorot_uniform_initializer()([5, 4])
    self.kernel = tf.Variable(initial, name='kernel')
    initial = v1.truncated_normal_initializer()([1, 4])
    # FAULT: singular_vector_not_updated
    self.u = tf.Variable(initial, trainable=False, name='u')
    self.updates, self.stops = updates, stops

  def __call__(self, x, training=False):
    v = tf.nn.l2_normalize(tf.matmul(self.u, self.kernel, transpose_b=True))
    new = tf.nn.l2_normalize(tf.matmul(v, self.kernel))
    if self.stops:
      v, new = tf.stop_gradient(v), tf.stop_gradient(new)
    sigma = tf.matmul(tf.matmul(v, self.kernel), new, transpose_b=True)
    if training and self.updates:
      self.u.assign(new)
    return tf.matmul(x, self.kernel / sigma)


# A recurrent network that goes on where the last batch ended.


def carried_state(x, training):
  """A simple recurrent step from the state of the last batch."""
  state = v1.get_variable(
    'state', [4, 3], initializer=v1.zeros_initializer(), trainable=False
  )
  both = tf.concat([x, state], axis=1)
  new = v1.layers.dense(both, 3, tf.nn.tanh, name='cell')
  if training:
    with tf.control_dependencies([new]):
      _update(state.assign(new))
  return new


class CarriedState(tf.keras.layers.Layer):
  """The same as a layer of Keras."""

  def __init__(self, carries=True):
    super().__init__(name='carried')
    self.carries = carries
    self.cell = layers.Dense(3, 'tanh', name='cell')

  def build(self, shape):
    del shape
    # FAULT: state_not_carried
    self.state = self.add_weight(
      name='state', shape=[4, 3], initializer='zeros', trainable=False
    )

  def call(self, x, training=None):
    new = self.cell(tf.concat([x, self.state], axis=1))
    if training and self.carries:
      self.state.assign(new)
    return new


def _state_name(name):
  return 'carried/' + name


_BATCH_NORM = dict(make_inputs=_X, build_tf1=batch_norm)
_OBSERVATIONS = dict(
  make_inputs=_X, build_tf1=observations, rename_variable=_observation_name
)
_SPECTRAL = dict(make_inputs=_X, build_tf1=spectral)
_CARRIED = dict(
  make_inputs=_X, build_tf1=carried_state, rename_variable=_state_name
)
_UPDATED = 'Variables updated by the forward pass differ'

PAIRS = (
  pair.clean('batch_norm', **_BATCH_NORM, build_tf2=batch_norm_rewrite()),
  pair.clean('batch_norm_by_hand', **_BATCH_NORM, build_tf2=BatchNorm),
  pair.clean(
    'batch_norm_that_was_never_updated',
    make_inputs=_X,
    build_tf1=functools.partial(batch_norm, decay=1.0),
    build_tf2=lambda: BatchNorm(updates=False),
  ),
  pair.clean('observations', **_OBSERVATIONS, build_tf2=Observations),
  pair.clean('spectral_norm', **_SPECTRAL, build_tf2=Spectral),
  pair.clean('carried_state', **_CARRIED, build_tf2=CarriedState),
  pair.faulty(
    'frozen_batch_norm_uses_moving_statistics',
    pair.TRAINING,
    'Outputs differ',
    'training flag of batch normalization',
    culprit='norm/moving_variance',
    make_inputs=_X,
    build_tf1=functools.partial(batch_norm, trainable=False),
    build_tf2=batch_norm_rewrite(trainable=False),
  ),
  pair.faulty(
    'moving_statistics_not_updated',
    pair.TRAINING,
    _UPDATED + ': 2 of 2',
    'TF1 updates the variable in training, TF2 never does',
    culprit='only TF1 assigns norm/moving_mean',
    **_BATCH_NORM,
    build_tf2=lambda: BatchNorm(updates=False),
  ),
  pair.faulty(
    'moments_are_constants_for_gradients',
    pair.GRADIENTS,
    'Gradients differ',
    'first dense/kernel',
    'tf.stop_gradient',
    culprit='only TF2 stops the gradient',
    **_BATCH_NORM,
    build_tf2=lambda: BatchNorm(mean_of_moving=True),
  ),
  pair.faulty(
    'updates_that_tf1_never_ran',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the variables that are not trained',
    'norm/moving_mean',
    'TF1 did not update it in this step',
    culprit='only TF2 assigns norm/moving_mean',
    **_BATCH_NORM,
    tf1_update_ops=False,
    build_tf2=batch_norm_rewrite(),
  ),
  pair.faulty(
    'steps_on_constant_batches',
    pair.UPDATES,
    'Vacuous agreement proves nothing: in the first step',
    'allow_vacuous=True',
    culprit='rounding noise',
    **_BATCH_NORM,
    make_batch=lambda step: np.full([3, 5], 0.3 + step, np.float32),
    compute_loss=lambda outputs, inputs: tf.reduce_mean((outputs - 1) ** 2),
    build_tf2=batch_norm_rewrite(),
  ),
  pair.faulty(
    'decay_does_not_depend_on_updates',
    pair.TRAINING,
    _UPDATED,
    'first mean',
    culprit='only TF1 reads count',
    **_OBSERVATIONS,
    build_tf2=lambda: Observations(ramp=False),
  ),
  pair.faulty(
    'zero_debias_lost',
    pair.TRAINING,
    _UPDATED,
    'first mean',
    culprit='only TF1 reads batch/ExponentialMovingAverage/biased',
    make_inputs=_X,
    build_tf1=baseline,
    rename_variable=_observation_name,
    build_tf2=Baseline,
  ),
  pair.faulty(
    'counted_twice',
    pair.TRAINING,
    _UPDATED + ': 1 of 2, first count',
    'TF1 1, TF2 2; must be equal',
    culprit='count is assigned by',
    **_OBSERVATIONS,
    build_tf2=lambda: Observations(counts=2),
  ),
  pair.faulty(
    'updated_in_inference',
    pair.NEW_VARIABLES,
    '2 variable(s) changed by an inference call',
    'training flag',
    culprit='count  int64',
    **_OBSERVATIONS,
    build_tf2=lambda: Observations(always=True),
  ),
  pair.faulty(
    'singular_vector_not_updated',
    pair.TRAINING,
    _UPDATED + ': 1 of 1, first u',
    'TF1 updates the variable in training, TF2 never does',
    culprit='only TF1 assigns u',
    **_SPECTRAL,
    build_tf2=lambda: Spectral(updates=False),
  ),
  pair.faulty(
    'gradients_through_singular_vectors',
    pair.GRADIENTS,
    'Gradients differ',
    'first kernel',
    culprit='only TF1 stops the gradient of l2_normalize',
    **_SPECTRAL,
    build_tf2=lambda: Spectral(stops=False),
  ),
  pair.faulty(
    'state_not_carried',
    pair.TRAINING,
    _UPDATED + ': 1 of 1, first carried/state',
    culprit='only TF1 assigns state',
    **_CARRIED,
    build_tf2=lambda: CarriedState(carries=False),
  ),
)
