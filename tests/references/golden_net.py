"""The net of golden_legacy.py in TF2, and a test case that has no TF1 code."""

import os

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

_FOLDER = os.path.dirname(os.path.abspath(__file__))
# Recorded on TensorFlow 1.15.5; golden_tf115_test.py says how.
RECORDED = os.path.join('testdata', 'tf115.golden')


class Net(tf.keras.Model):
  """The migrated net."""

  def __init__(self, epsilon=1e-3, rate=0.4, stddev=None):
    super().__init__(name='net')
    layers = tf.keras.layers
    init = stddev and tf.compat.v1.truncated_normal_initializer(stddev=stddev)
    self.conv = layers.Conv2D(
      8,
      3,
      kernel_regularizer=tf.keras.regularizers.l2(1e-3),
      kernel_initializer=init or 'glorot_uniform',
      name='conv',
    )
    self.bn = layers.BatchNormalization(epsilon=epsilon, name='bn')
    self.dropout = layers.Dropout(rate, name='dropout')
    self.logits = layers.Dense(5, name='logits')

  def call(self, images, training=None):
    x = self.bn(self.conv(images), training=training)
    x = tf.reduce_mean(tf.nn.relu(x), [1, 2])
    return {'logits': self.logits(self.dropout(x, training=training))}


class NetCase(tf_equiv.MigrationTestCase):
  """Everything but the TF1 side."""

  seed = 0

  def make_inputs(self):
    # Unlike those of default_rng, its numbers never change.
    random = np.random.RandomState(self.seed)
    return random.standard_normal((4, 8, 8, 3)).astype(np.float32)

  def build_tf2(self):
    return Net()

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)


class RecordedNet(NetCase):
  """Records, and replays, all kinds of plans."""

  tf1_reference = tf_equiv.Golden(RECORDED)

  def test_variables(self):
    self.assertVariablesMatch()

  def test_forward(self):
    self.assertForwardEquivalent()
    for mode in tf_equiv.SeedMode:
      self.assertForwardEquivalent(seed_mode=mode)

  def test_training(self):
    for mode in tf_equiv.SeedMode:
      self.assertTrainingEquivalent(seed_mode=mode)

  def test_gradients(self):
    self.assertGradientsClose(inputs=True)

  def test_steps(self):
    self.assertTrainingEquivalent(steps=2)
