"""A classifier of three dense layers, and how TF1 trains it."""

import tensorflow as tf

v1 = tf.compat.v1

CLASSES = 3
UNITS = (2, 2, CLASSES)
LEARNING_RATE, DECAY_STEPS = 1e-3, 1000


def logits_of(features):
  """Builds the network.

  Args:
    features: float32 of shape (batch, 3).

  Returns:
    The logits, of shape (batch, 3).
  """
  net = features
  for i, units in enumerate(UNITS):
    net = v1.layers.dense(net, units, name=f'layer{i + 1}')
  return net


def loss_of(logits, labels):
  """Returns the mean cross-entropy of labels, which are class numbers."""
  return v1.losses.softmax_cross_entropy(tf.one_hot(labels, CLASSES), logits)


def optimizer():
  """Returns the optimizer, whose rate falls to zero in 1000 steps."""
  rate = v1.train.polynomial_decay(
    LEARNING_RATE,
    v1.train.get_or_create_global_step(),
    DECAY_STEPS,
    end_learning_rate=0.0,
  )
  return v1.train.GradientDescentOptimizer(rate)
