"""The perceptron, rewritten for TF2 as a functional tf_keras model.

Import tf_equiv before this module, so that `tf.keras` is tf_keras.
"""

import tensorflow as tf

from examples.mlp import legacy

_LAYER_NAMES = {
  'hidden1': 'encoder_1',
  'hidden2': 'encoder_2',
  'output': 'classifier',
}
_WEIGHT_NAMES = {'weights': 'kernel', 'biases': 'bias'}


def native_mlp():
  """Returns a model that computes what `legacy.mlp` does."""
  initializers = tf.keras.initializers
  # tf_keras does not halve the squares.
  l2 = tf.keras.regularizers.L2(legacy.WEIGHT_DECAY / 2)
  inputs = tf.keras.Input((20,), name='features')
  net = tf.keras.layers.Dense(
    32,
    'relu',
    kernel_initializer=initializers.GlorotUniform(),
    bias_initializer=initializers.Constant(0.1),
    kernel_regularizer=l2,
    name='encoder_1',
  )(inputs)
  net = tf.keras.layers.Dense(
    16,
    'tanh',
    kernel_initializer=initializers.TruncatedNormal(stddev=0.2),
    kernel_regularizer=l2,
    name='encoder_2',
  )(net)
  logits = tf.keras.layers.Dense(
    5,
    kernel_initializer=initializers.RandomNormal(stddev=0.1),
    kernel_regularizer=l2,
    name='classifier',
  )(net)
  probabilities = tf.keras.layers.Softmax(name='probabilities')(logits)
  return tf.keras.Model(
    inputs,
    {'logits': logits, 'probabilities': probabilities},
    name='native_mlp',
  )


def rename_variable(tf1_name):
  """Returns the name in `native_mlp` of a variable of `legacy.mlp`.

  Args:
    tf1_name: such as 'mlp/hidden1/weights', without ':0'.

  Returns:
    Such as 'encoder_1/kernel', without ':0'.
  """
  _, layer, weight = tf1_name.split('/')
  return '%s/%s' % (_LAYER_NAMES[layer], _WEIGHT_NAMES[weight])
