"""The perceptron, migrated to TF2 with the modeling shim."""

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf

from examples.mlp import legacy


class Mlp(tf.keras.layers.Layer):
  """The TF1 code, unchanged, as a layer that owns its variables."""

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs):
    return legacy.mlp(inputs)
