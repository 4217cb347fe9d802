"""A sentence classifier, an LSTM with dropout, as TF1 code writes it."""

import tensorflow as tf

v1 = tf.compat.v1

VOCABULARY = 50
CLASSES = 3


def classifier(words, is_training):
  """Builds the network.

  Args:
    words: numbers of words, int32 of shape (batch, time).
    is_training: bool, whether dropout is on.

  Returns:
    A dict of `logits`, shape (batch, CLASSES), and `state`, the last state of
    the LSTM as a tuple (c, h).
  """
  with v1.variable_scope('classifier'):
    table = v1.get_variable(
      'embedding', (VOCABULARY, 16), initializer=v1.glorot_uniform_initializer()
    )
    cell = v1.nn.rnn_cell.LSTMCell(
      24, initializer=v1.glorot_uniform_initializer(), name='lstm'
    )
    if is_training:
      cell = v1.nn.rnn_cell.DropoutWrapper(cell, output_keep_prob=0.7)
    # With several iterations at once, dropout would draw in any order.
    outputs, state = v1.nn.dynamic_rnn(
      cell,
      tf.nn.embedding_lookup(table, words),
      dtype=tf.float32,
      parallel_iterations=1,
    )
    net = tf.reduce_max(outputs, axis=1)
    logits = v1.layers.dense(
      net,
      CLASSES,
      kernel_initializer=v1.glorot_uniform_initializer(),
      name='logits',
    )
    return {'logits': logits, 'state': state}


class Classifier:
  """What `tf_equiv.Tf1Interpreter` runs in TensorFlow 1.x."""

  def build_tf1(self, inputs, training):
    """Builds the network."""
    return classifier(inputs, is_training=training)

  def build_tf1_optimizer(self):
    """Returns the optimizer."""
    return v1.train.AdamOptimizer(0.01)
