"""The two sides of Inception-ResNet-v2, with the inputs to compare them on."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

from examples.inception_resnet_v2 import legacy, migrated, network

NUM_CLASSES = legacy.NUM_CLASSES
NUM_VARIABLES = 1114


class Migration(tf_equiv.MigrationTestCase):
  """The two sides; subclasses say with which inputs.

  The TF1 side needs nothing of the test case, so it says so: then classes that
  are used one after another share its graphs.
  """

  tf1_reference = tf_equiv.InProcess()
  build_tf1 = staticmethod(legacy.build_tf1)
  # Cross entropy, with the auxiliary classifier counting 0.4.
  compute_loss = staticmethod(legacy.compute_loss)

  def build_tf2(self):
    return migrated.InceptionResnetV2(NUM_CLASSES)


class OnesMigration(Migration):
  """The guide's own inputs and weights."""

  reset_weights = tf_equiv.constant_weights(0.001)

  def make_inputs(self):
    size = network.DEFAULT_IMAGE_SIZE
    return np.ones((1, size, size, 3), np.float32)


class RandomMigration(Migration):
  """Inputs that prove something: batch statistics are not degenerate."""

  def make_inputs(self):
    size = network.DEFAULT_IMAGE_SIZE
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, size, size, 3)).astype(np.float32)


class FunctionalMigration(OnesMigration):
  """The layer inside of a Keras functional model."""

  def build_tf2(self):
    return functional(super().build_tf2())


def functional(layer):
  """Returns a Keras functional model of a layer."""
  size = network.DEFAULT_IMAGE_SIZE
  inputs = tf.keras.Input((size, size, 3))
  return tf.keras.Model(inputs, layer(inputs))


def regularization_loss(verdict):
  """Returns the sum of the regularization losses, (TF1's, TF2's)."""
  total = verdict.comparisons['regularization losses'][-1]
  return total.tf1_value, total.tf2_value


def a_logit(verdict):
  """Returns one of the logits, (TF1's, TF2's)."""
  (logits,) = (
    c for c in verdict.comparisons['outputs'] if c.name[-3:] == '[0]'
  )
  return logits.tf1_value, logits.tf2_value
