"""Pairs of TF1 training and its migration that part late, or never.

Each fault is below what a single step may differ by, or is not awake in the
first steps: it adds up, or comes with a later batch or step number.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
train = v1.train
keras = tf.keras
schedules = keras.optimizers.schedules

STEPS = 30


@dataclasses.dataclass(frozen=True)
class Late:
  """TF1 training and its migration.

  Attributes:
    name: says what is wrong with it, or why it is right.
    methods: template methods as functions without `self`.
    culprit: what the message must name; '' where the pair is clean.
    start_step: number of the first step.
    least: the earliest step at which the curves may part.
  """

  name: str
  methods: dict[str, Any]
  culprit: str = ''
  start_step: int = 0
  least: int = 1


class LateCase(tf_equiv.MigrationTestCase):
  """The test case of a pair; not collected by itself."""

  def __init__(self, pair: Late):
    super().__init__()
    self.__dict__.update(pair.methods)

  def runTest(self):
    """Lets the class be instantiated without a test of its own."""

  def make_batch(self, step):
    return batch(step)

  def make_inputs(self):
    return self.make_batch(0)

  def build_tf1(self, inputs, training):
    return dense_tf1(inputs['x'])

  def build_tf2(self):
    return dense_tf2()

  def call_tf2(self, model, inputs, training):
    return model(inputs['x'], training=training)

  def compute_loss(self, outputs, inputs):
    return squares(outputs, inputs)

  def build_tf1_optimizer(self):
    return train.GradientDescentOptimizer(0.1)

  def build_tf2_optimizer(self):
    return keras.optimizers.SGD(0.1)


def batch(step, scale=1.0):
  """Returns the batch of a step: the target is a function of the inputs."""
  x = np.random.default_rng(step).normal(size=(8, 5)).astype(np.float32)
  x *= np.float32(scale)
  return {'x': x, 'y': np.sin(x[:, :3])}


def dense_tf1(x, activation=tf.tanh):
  net = v1.layers.dense(x, 6, activation, name='hidden')
  return v1.layers.dense(net, 3, name='out')


def dense_tf2(activation='tanh'):
  return keras.Sequential(
    [
      keras.layers.Dense(6, activation, name='hidden'),
      keras.layers.Dense(3, name='out'),
    ]
  )


def squares(outputs, inputs):
  return tf.reduce_mean(tf.square(outputs - inputs['y']))


def _optimizers(tf1, tf2):
  return {'build_tf1_optimizer': tf1, 'build_tf2_optimizer': tf2}


def _rates(tf1: Callable[[Any], Any], tf2: Callable[[], Any]):
  return _optimizers(
    lambda: train.GradientDescentOptimizer(
      tf1(train.get_or_create_global_step())
    ),
    lambda: keras.optimizers.SGD(tf2()),
  )


def _adam(epsilon):
  return _optimizers(
    lambda: train.AdamOptimizer(0.01),
    lambda: keras.optimizers.Adam(0.01, epsilon=epsilon),
  )


def _momentum(value, nesterov=False):
  return _optimizers(
    lambda: train.MomentumOptimizer(0.05, 0.9, use_nesterov=nesterov),
    lambda: keras.optimizers.SGD(0.05, value, nesterov=nesterov),
  )


def _adagrad(start):
  return _optimizers(
    lambda: train.AdagradOptimizer(0.1, 0.1),
    # Keras adds an epsilon that TF1 does not have.
    lambda: keras.optimizers.Adagrad(0.1, start, epsilon=0.0),
  )


def _normalized(epsilon, fused=False):
  def tf1(inputs, training):
    net = v1.layers.dense(inputs['x'], 6, name='hidden')
    net = v1.layers.batch_normalization(
      net, training=training, fused=fused, name='norm', epsilon=1e-3
    )
    return v1.layers.dense(tf.tanh(net), 3, name='out')

  def tf2():
    return keras.Sequential(
      [
        keras.layers.Dense(6, name='hidden'),
        keras.layers.BatchNormalization(
          name='norm', epsilon=epsilon, fused=fused
        ),
        keras.layers.Activation('tanh'),
        keras.layers.Dense(3, name='out'),
      ]
    )

  return {'build_tf1': tf1, 'build_tf2': tf2}


def _clips(tf1, tf2, later=1.0):
  """Clips gradients, which batches from step 20 on make larger."""
  return {
    'make_batch': lambda step: batch(step, later if step >= 20 else 1.0),
    'clip_gradients_tf1': tf1,
    'clip_gradients_tf2': tf2,
  }


def _by_global_norm(gradients):
  return tf.clip_by_global_norm(gradients, 3.0)[0]


def _activations(tf1, tf2, scale):
  """Batches from step 20 on are larger."""
  return {
    'make_batch': lambda step: batch(step, scale if step >= 20 else 1.0),
    'build_tf1': lambda inputs, training: dense_tf1(inputs['x'], tf1),
    'build_tf2': lambda: dense_tf2(tf2),
    **_optimizers(
      lambda: train.GradientDescentOptimizer(1e-4),
      lambda: keras.optimizers.SGD(1e-4),
    ),
  }


def _penalty(amount):
  """Adds a penalty of the weights to the loss of TF2."""

  def build():
    regularizer = keras.regularizers.L2(amount)
    return keras.Sequential(
      [
        keras.layers.Dense(
          6, 'tanh', kernel_regularizer=regularizer, name='hidden'
        ),
        keras.layers.Dense(3, name='out'),
      ]
    )

  def legacy(inputs, training):
    net = v1.layers.dense(
      inputs['x'],
      6,
      tf.tanh,
      kernel_regularizer=keras.regularizers.L2(1e-3),
      name='hidden',
    )
    return v1.layers.dense(net, 3, name='out')

  return {'build_tf1': legacy, 'build_tf2': build}


def _staircase(is_stair):
  return _rates(
    lambda step: train.exponential_decay(0.1, step, 100, 0.5, staircase=True),
    lambda: schedules.ExponentialDecay(0.1, 100, 0.5, staircase=is_stair),
  )


def _piecewise(boundary):
  return _rates(
    lambda step: train.piecewise_constant(step, [1000], [0.1, 0.01]),
    lambda: schedules.PiecewiseConstantDecay([boundary], [0.1, 0.01]),
  )


def _cosine(alpha):
  return _rates(
    lambda step: train.cosine_decay(0.1, step, 1000, alpha=0.01),
    lambda: schedules.CosineDecay(0.1, 1000, alpha=alpha),
  )


def _polynomial(steps, end=0.0):
  return _rates(
    lambda step: train.polynomial_decay(0.1, step, 1000, 0.0),
    lambda: schedules.PolynomialDecay(0.1, steps, end),
  )


def _dropout(rate):
  def tf1(inputs, training):
    net = v1.layers.dense(inputs['x'], 6, tf.tanh, name='hidden')
    net = v1.layers.dropout(net, 0.3, training=training)
    return v1.layers.dense(net, 3, name='out')

  def tf2():
    return keras.Sequential(
      [
        keras.layers.Dense(6, 'tanh', name='hidden'),
        keras.layers.Dropout(rate),
        keras.layers.Dense(3, name='out'),
      ]
    )

  return {'build_tf1': tf1, 'build_tf2': tf2}


def _scaled_loss(scale):
  return {
    'compute_loss_tf2': lambda outputs, inputs: squares(outputs, inputs) * scale
  }


def _keras_sgd(**options):
  return {'build_tf2_optimizer': lambda: keras.optimizers.SGD(0.1, **options)}


FAULTS = (
  Late('weight_decay_of_1e-5', _keras_sgd(weight_decay=1e-5), 'weight_decay'),
  Late('epsilon_of_1e-7', _adam(1e-7), 'epsilon'),
  Late('momentum_of_0.9001', _momentum(0.9001), 'momentum'),
  Late('accumulator_of_0.1001', _adagrad(0.1001), 'accumulator'),
  Late('epsilon_of_batch_norm', _normalized(1.05e-3), 'norm'),
  Late('penalty_of_1.01e-3', _penalty(1.01e-3), 'hidden'),
  Late('loss_by_1_and_2e-5', _scaled_loss(1.00002), 'loss'),
  Late('staircase_lost', _staircase(False), 'learning rate', 95),
  Late('boundary_at_1010', _piecewise(1010), 'learning rate', 990, 10),
  Late('alpha_of_cosine_lost', _cosine(0.0), 'learning rate', 990),
  Late('decay_over_1010_steps', _polynomial(1010), 'learning rate', 0, 2),
  Late('end_of_decay', _polynomial(1000, 1e-3), 'learning rate', 980),
  Late(
    'clipping_lost', _clips(_by_global_norm, list, 10.0), 'gradients', 0, 20
  ),
  Late(
    'relu6_for_relu',
    _activations(tf.nn.relu, lambda x: tf.minimum(tf.nn.relu(x), 6.0), 20.0),
    'hidden',
    0,
    20,
  ),
  Late('dropout_of_0.3_and_2e-5', _dropout(0.30002), 'dropout'),
)

CLEAN = (
  Late('gradient_descent', {}),
  Late('adam', _adam(1e-8)),
  Late('momentum', _momentum(0.9)),
  Late('nesterov', _momentum(0.9, nesterov=True)),
  Late('adagrad', _adagrad(0.1)),
  Late('batch_norm', _normalized(1e-3)),
  # The gradient of a bias before batch normalization is rounding noise, which
  # Adam makes as large as all others.
  Late('noise_in_adam', {**_normalized(1e-3), **_adam(1e-8)}),
  Late('penalty', _penalty(1e-3)),
  Late('staircase', _staircase(True), '', 95),
  Late('boundary', _piecewise(1000), '', 990),
  Late('cosine', _cosine(0.01), '', 990),
  Late('decay', _polynomial(1000), '', 980),
  Late('clipping', _clips(_by_global_norm, _by_global_norm, 10.0)),
  Late('relu_of_large_batches', _activations(tf.nn.relu, tf.nn.relu, 20.0)),
  Late('dropout', _dropout(0.3)),
  # Rounding grows in every step.
  Late(
    'chaos',
    _optimizers(
      lambda: train.GradientDescentOptimizer(3.0),
      lambda: keras.optimizers.SGD(3.0),
    ),
  ),
)
