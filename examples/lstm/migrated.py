"""The sentence classifier, migrated to TF2 with the modeling shim."""

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf

from examples.lstm import legacy


class Classifier(tf.keras.layers.Layer):
  """The TF1 code, unchanged, as a layer that owns its variables."""

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    return legacy.classifier(inputs, is_training=bool(training))
