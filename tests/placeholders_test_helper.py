"""A model class of TF1 that makes its placeholders, loss and train op."""

import os

import tensorflow as tf

import tf_equiv

v1 = tf.compat.v1

FOLDER = os.path.dirname(os.path.abspath(__file__))


def bound(inputs):
  """Returns what the placeholders stand for."""
  return {'ids': inputs['ids'], 'labels': inputs['labels'], 'scale': 1}


class Classifier:
  """As in repositories whose training script feeds `model.ids`."""

  def __init__(self):
    with tf.name_scope('feed'):
      self.ids = v1.placeholder(tf.int32, [None, 7], name='ids')
      self.labels = v1.placeholder(tf.float32, [None, 3], name='labels')
      self.scale = v1.placeholder(tf.float32, name='scale')
    words = v1.get_variable('words', [20, 6])
    hidden = tf.reduce_mean(tf.nn.embedding_lookup(words, self.ids), 1)
    self.logits = self.scale * v1.layers.dense(hidden, 3, name='out')
    self.loss = tf.reduce_mean(
      tf.nn.softmax_cross_entropy_with_logits(
        labels=self.labels, logits=self.logits
      )
    )
    self.step = tf.Variable(0, name='global_step', trainable=False)
    self.train_op = v1.train.AdamOptimizer(1e-3).minimize(
      self.loss, global_step=self.step
    )


class Legacy:
  """The TF1 side where another interpreter runs it."""

  def build_tf1(self, inputs, training):
    del training
    with tf_equiv.bound_placeholders(bound(inputs)):
      return Classifier().logits
