"""Validates the migration of the LSTM with dropout."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from examples.lstm import legacy, migrated


class LstmTest(tf_equiv.GuideSteps, tf_equiv.MigrationTestCase):
  def make_inputs(self):
    rng = np.random.default_rng(0)
    return rng.integers(legacy.VOCABULARY, size=(4, 7)).astype(np.int32)

  def build_tf1(self, inputs, training):
    return legacy.classifier(inputs, is_training=training)

  def build_tf2(self):
    return migrated.Classifier()

  def call_tf2(self, model, inputs, training):
    # Eager loops draw in each turn anew, loops of a graph do not.
    return tf.function(model)(inputs, training=training)

  def build_tf1_optimizer(self):
    return legacy.Classifier().build_tf1_optimizer()

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)

  def test_training_steps(self):
    self.assertTrainingEquivalent(steps=3)


if __name__ == '__main__':
  absltest.main()
