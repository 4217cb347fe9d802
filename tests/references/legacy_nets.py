"""TF1 code for another interpreter; runs on Python 3.7 with TensorFlow 1.15."""

import collections

import tensorflow as tf

v1 = tf.compat.v1

Outputs = collections.namedtuple('Outputs', ['scores', 'ends'])


def net(x, training, epsilon=1e-3):
  """Convolution, batch normalization, dropout, dense."""
  with v1.variable_scope('net'):
    x = v1.layers.conv2d(
      x, 4, 3, kernel_regularizer=v1.keras.regularizers.l2(0.01), name='conv'
    )
    options = {'training': training, 'epsilon': epsilon, 'name': 'bn'}
    # One line, because Python 3.7 knows only the last one of a call.
    x = v1.layers.batch_normalization(x, **options)
    end = tf.nn.relu(x)
    x = v1.layers.dropout(end, 0.3, training=training)
    scores = v1.layers.dense(v1.layers.flatten(x), 3, name='dense')
    return Outputs(scores, {'relu': end, 'nothing': None})


class Net:
  """The whole of the TF1 side."""

  def build_tf1(self, inputs, training):
    return net(inputs.images, training)

  def compute_loss_tf1(self, outputs, inputs):
    return tf.reduce_mean(tf.square(outputs.scores - inputs.targets))

  def build_tf1_optimizer(self):
    return v1.train.AdamOptimizer(0.01)


class OwnStep(Net):
  """A training step of its own, in two phases."""

  def train_tf1(self, inputs):
    outputs = net(inputs.images, True)
    loss = self.compute_loss_tf1(outputs, inputs)
    variables = v1.trainable_variables()
    first = v1.train.GradientDescentOptimizer(0.1)
    train_op = first.minimize(loss, var_list=variables)
    return {'loss': loss, 'train_op': train_op}


class OldShapes(Net):
  """A dimension is an object with a value, as in TF1."""

  def build_tf1(self, inputs, training):
    assert inputs.images.shape[1].value == 6
    return net(inputs.images, training)
