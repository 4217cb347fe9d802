"""Inception-ResNet-v2, migrated to TF2 with the modeling shim."""

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
import tf_slim as slim

from examples.inception_resnet_v2 import network


class InceptionResnetV2(tf.keras.layers.Layer):
  """The TF1 code, unchanged, as a layer that owns its variables."""

  def __init__(self, num_classes=1001, **kwargs):
    super().__init__(**kwargs)
    self.num_classes = num_classes

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    with slim.arg_scope(network.arg_scope()):
      return network.inception_resnet_v2(
        inputs, self.num_classes, is_training=bool(training)
      )
