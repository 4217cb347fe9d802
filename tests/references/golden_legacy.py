"""A small net as TF1 code, for TensorFlow 1.15 as well as for 2.x."""

import tensorflow as tf

v1 = tf.compat.v1


def net(images, is_training):
  """Returns the logits of images of the shape (batch, 8, 8, 3)."""
  with v1.variable_scope('net'):
    x = v1.layers.conv2d(
      images,
      8,
      3,
      kernel_regularizer=tf.keras.regularizers.l2(1e-3),
      name='conv',
    )
    x = v1.layers.batch_normalization(x, training=is_training, name='bn')
    x = tf.reduce_mean(tf.nn.relu(x), [1, 2])
    x = v1.layers.dropout(x, 0.4, training=is_training, name='dropout')
    return {'logits': v1.layers.dense(x, 5, name='logits')}


def build_tf1(inputs, training):
  """What `tf_equiv.Tf1Interpreter` asks for."""
  return net(inputs, training)


def build_tf1_optimizer():
  """The optimizer of the training steps."""
  return v1.train.AdamOptimizer(0.01)
