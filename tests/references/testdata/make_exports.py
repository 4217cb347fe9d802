"""Writes the exports in this folder; to be run by TensorFlow 1.15.

    python3.7 make_exports.py FOLDER

They are those of one small classifier, as legacy projects leave them behind:
a checkpoint with its MetaGraph, made while training; a SavedModel for serving;
and frozen graphs, from reference and from resource variables.
"""

import os
import shutil
import sys

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def network(images, is_training, resource=False):
  """Convolution, batch normalization, dropout, and logits of three classes."""
  with v1.variable_scope('net', use_resource=resource):
    x = v1.layers.conv2d(
      images,
      4,
      3,
      padding='same',
      name='conv',
      kernel_regularizer=lambda w: 1e-3 * tf.nn.l2_loss(w),
    )
    x = v1.layers.batch_normalization(x, training=is_training, name='bn')
    x = tf.nn.relu(x)
    x = v1.layers.max_pooling2d(x, 2, 2)
    x = v1.layers.flatten(x)
    x = v1.layers.dropout(x, 0.25, training=is_training)
    return v1.layers.dense(x, 3, name='logits')


def inputs():
  """Returns placeholders for images, labels and the training flag."""
  return (
    v1.placeholder(tf.float32, [None, 8, 8, 1], name='images'),
    v1.placeholder(tf.int64, [None], name='labels'),
    v1.placeholder_with_default(False, [], name='is_training'),
  )


def train_some(session, images, labels, is_training, train_op):
  """Takes a few steps, so that no variable is what it was initialized to."""
  random = np.random.RandomState(0)
  for _ in range(5):
    session.run(
      train_op,
      {
        images: random.normal(size=(16, 8, 8, 1)),
        labels: random.randint(3, size=16),
        is_training: True,
      },
    )


def write_checkpoint(folder):
  """Writes classifier.ckpt, with its MetaGraph."""
  with tf.Graph().as_default(), v1.Session() as session:
    v1.set_random_seed(1)
    images, labels, is_training = inputs()
    logits = network(images, is_training)
    tf.nn.softmax(logits, name='probabilities')
    v1.losses.sparse_softmax_cross_entropy(labels, logits)
    loss = tf.identity(v1.losses.get_total_loss(), name='total_loss')
    step = v1.train.get_or_create_global_step()
    rate = v1.train.exponential_decay(0.01, step, 10, 0.5)
    updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(updates):
      train_op = v1.train.AdamOptimizer(rate, epsilon=1e-5).minimize(
        loss, global_step=step, name='train'
      )
    session.run(v1.global_variables_initializer())
    train_some(session, images, labels, is_training, train_op)
    v1.train.Saver().save(
      session,
      os.path.join(folder, 'classifier.ckpt'),
      write_state=False,
      strip_default_attrs=True,  # It is a third smaller.
    )


def write_serving(folder, checkpoint):
  """Writes the SavedModel `serving` and the frozen graph `frozen.pb`."""
  shutil.rmtree(os.path.join(folder, 'serving'), ignore_errors=True)
  with tf.Graph().as_default() as graph, v1.Session() as session:
    images = v1.placeholder(tf.float32, [None, 8, 8, 1], name='images')
    logits = network(images, False)
    probabilities = tf.nn.softmax(logits, name='probabilities')
    v1.train.Saver().restore(session, checkpoint)
    v1.saved_model.simple_save(
      session,
      os.path.join(folder, 'serving'),
      {'images': images},
      {'logits': logits, 'probabilities': probabilities},
    )
    frozen = v1.graph_util.convert_variables_to_constants(
      session, graph.as_graph_def(), ['probabilities']
    )
    v1.train.write_graph(frozen, folder, 'frozen.pb', as_text=False)


def write_resource(folder, checkpoint):
  """Writes `frozen_resource.pb`, whose weights were resource variables."""
  with tf.Graph().as_default() as graph, v1.Session() as session:
    images = v1.placeholder(tf.float32, [None, 8, 8, 1], name='images')
    tf.nn.softmax(network(images, False, True), name='probabilities')
    v1.train.Saver().restore(session, checkpoint)
    frozen = v1.graph_util.convert_variables_to_constants(
      session, graph.as_graph_def(), ['probabilities']
    )
    v1.train.write_graph(frozen, folder, 'frozen_resource.pb', as_text=False)


def write_words(folder):
  """Writes the SavedModel `words`, whose vocabulary is an asset."""
  target = os.path.join(folder, 'words')
  shutil.rmtree(target, ignore_errors=True)
  vocabulary = os.path.join(folder, 'vocabulary.txt')
  with open(vocabulary, 'w') as file:
    file.write('a\nb\nc\n')
  with tf.Graph().as_default(), v1.Session() as session:
    v1.set_random_seed(2)
    words = v1.placeholder(tf.string, [None], name='words')
    table = tf.contrib.lookup.index_table_from_file(
      vocabulary, num_oov_buckets=1
    )
    embedding = v1.get_variable('embedding', [4, 2])
    found = tf.nn.embedding_lookup(embedding, table.lookup(words))
    session.run([v1.global_variables_initializer(), v1.tables_initializer()])
    v1.saved_model.simple_save(
      session,
      target,
      {'words': words},
      {'found': found},
      legacy_init_op=v1.tables_initializer(),
    )
  os.remove(vocabulary)


def main(folder):
  """Writes all of them."""
  checkpoint = os.path.join(folder, 'classifier.ckpt')
  write_checkpoint(folder)
  write_serving(folder, checkpoint)
  write_resource(folder, checkpoint)
  write_words(folder)


if __name__ == '__main__':
  main(sys.argv[1])
