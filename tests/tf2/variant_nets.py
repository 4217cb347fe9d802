"""Nets with dropout, for tests of the variants of the TF2 side."""

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def legacy_net(x, training, rate=0.4):
  with v1.variable_scope('net'):
    net = v1.layers.dense(x, 16, tf.nn.relu, name='hidden')
    net = v1.layers.dropout(net, rate, training=training)
    return v1.layers.dense(net, 4, name='out')


class Net(tf.keras.layers.Layer):
  """The shim."""

  @tf_equiv.track_tf1_style_variables
  def call(self, x, training=None):
    return legacy_net(x, bool(training))


def native_net(k, rate=0.4, before=False, twice=False):
  inputs = net = k.Input((6,))
  dropout = k.layers.Dropout(rate)
  layers = [k.layers.Dense(16, 'relu', name='hidden'), dropout]
  for layer in layers[::-1] if before else layers:
    net = layer(net)
  if twice:
    net = k.layers.Dropout(rate)(net)
  return k.Model(inputs, k.layers.Dense(4, name='out')(net))


class Subclassed(keras.Model):
  """Keras 3, subclassed, with noise of another kind in place of dropout."""

  def __init__(self):
    super().__init__()
    self.hidden = keras.layers.Dense(16, 'relu', name='hidden')
    self.noise = keras.layers.GaussianNoise(0.5)
    self.out = keras.layers.Dense(4, name='out')

  def call(self, x, training=None):
    return self.out(self.noise(self.hidden(x), training=training))


class Case(tf_equiv.MigrationTestCase):
  """A dense net with dropout."""

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return legacy_net(inputs, training)

  def build_tf2(self):
    return Net()

  def build_tf1_optimizer(self):
    return v1.train.AdamOptimizer(0.01)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)


def native_case(k, **arguments):
  case = Case()
  case.build_tf2 = lambda: native_net(k, **arguments)
  case.rename_variable = lambda name: name.replace('net/', '')
  case.build_tf2_optimizer = lambda: k.optimizers.Adam(0.01, epsilon=1e-8)
  return case
