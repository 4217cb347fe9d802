"""The TF1 side of Inception-ResNet-v2, also for TensorFlow 1.x itself.

`tf_equiv.Tf1Interpreter('examples.inception_resnet_v2.legacy', ...)` runs it.
"""

import tensorflow as tf
import tf_slim as slim

from examples.inception_resnet_v2 import network

NUM_CLASSES = 1000


def build_tf1(inputs, training):
  """Builds the network."""
  with slim.arg_scope(network.arg_scope()):
    return network.inception_resnet_v2(
      inputs, NUM_CLASSES, is_training=training
    )


def compute_loss(outputs, inputs):
  """Returns the cross entropy; the auxiliary classifier counts 0.4."""
  logits, end_points = outputs
  labels = tf.range(tf.shape(inputs)[0], dtype=tf.int32)
  losses = [
    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
    for x in (logits, end_points['AuxLogits'])
  ]
  return tf.reduce_mean(losses[0] + 0.4 * losses[1])
