"""A multilayer perceptron of bare variables, as TF1 code writes it."""

import tensorflow as tf

v1 = tf.compat.v1

# (name, units, initializer of the weights, initializer of the biases,
# activation)
LAYERS = (
  (
    'hidden1',
    32,
    v1.glorot_uniform_initializer(),
    v1.constant_initializer(0.1),
    tf.nn.relu,
  ),
  (
    'hidden2',
    16,
    v1.truncated_normal_initializer(stddev=0.2),
    v1.zeros_initializer(),
    tf.nn.tanh,
  ),
  (
    'output',
    5,
    v1.random_normal_initializer(stddev=0.1),
    v1.zeros_initializer(),
    tf.identity,
  ),
)
WEIGHT_DECAY = 1e-3


def mlp(inputs):
  """Builds the network, which is the same in training and in inference.

  Args:
    inputs: float32 of shape (batch, 20).

  Returns:
    A dict of `logits` and `probabilities`, both of shape (batch, 5).
  """
  net = inputs
  with v1.variable_scope('mlp'):
    for name, units, initializer, bias_initializer, activation in LAYERS:
      with v1.variable_scope(name):
        weights = v1.get_variable(
          'weights',
          [net.shape.as_list()[-1], units],
          initializer=initializer,
          regularizer=_half_l2,
        )
        biases = v1.get_variable(
          'biases', [units], initializer=bias_initializer
        )
        net = activation(tf.matmul(net, weights) + biases)
  return {'logits': net, 'probabilities': tf.nn.softmax(net)}


def _half_l2(weights):
  """What `tf.contrib.layers.l2_regularizer` did: half the squares."""
  return WEIGHT_DECAY * tf.nn.l2_loss(weights)
