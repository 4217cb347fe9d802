"""LeNet in `tf.compat.v1.layers`, as TF1 code writes it."""

import tensorflow as tf

v1 = tf.compat.v1

NUM_CLASSES = 10
DROPOUT_RATE = 0.4
WEIGHT_DECAY = 5e-4


def lenet(inputs, is_training):
  """Builds the network.

  Args:
    inputs: images, float32 of shape (batch, 28, 28, 1).
    is_training: bool, whether dropout is on.

  Returns:
    A dict of `logits` and `probabilities`, both of shape (batch, 10).
  """
  l2 = tf.keras.regularizers.l2(WEIGHT_DECAY)
  with v1.variable_scope('lenet'):
    net = v1.layers.conv2d(
      inputs,
      6,
      5,
      padding='same',
      activation=tf.nn.relu,
      kernel_regularizer=l2,
      name='conv1',
    )
    net = v1.layers.max_pooling2d(net, 2, 2, name='pool1')
    net = v1.layers.conv2d(
      net, 16, 5, activation=tf.nn.relu, kernel_regularizer=l2, name='conv2'
    )
    net = v1.layers.max_pooling2d(net, 2, 2, name='pool2')
    net = v1.layers.flatten(net, name='flatten')
    net = v1.layers.dense(
      net, 120, activation=tf.nn.relu, kernel_regularizer=l2, name='fc3'
    )
    net = v1.layers.dropout(
      net, DROPOUT_RATE, training=is_training, name='dropout3'
    )
    logits = v1.layers.dense(
      net, NUM_CLASSES, kernel_regularizer=l2, name='logits'
    )
    return {'logits': logits, 'probabilities': tf.nn.softmax(logits)}


class Lenet:
  """What `tf_equiv.Tf1Interpreter` runs in TensorFlow 1.x."""

  def build_tf1(self, inputs, training):
    """Builds the network."""
    return lenet(inputs, is_training=training)

  def build_tf1_optimizer(self):
    """Returns the optimizer."""
    return v1.train.AdamOptimizer(0.001)
