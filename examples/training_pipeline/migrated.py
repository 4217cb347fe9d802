"""The same classifier and its training in tf_keras."""

import tensorflow as tf

from examples.training_pipeline import legacy

keras = tf.keras


def model():
  """Returns the network, which takes features and returns logits."""
  return keras.Sequential(
    [
      keras.layers.Dense(units, name=f'layer{i + 1}')
      for i, units in enumerate(legacy.UNITS)
    ]
  )


def loss_of(logits, labels):
  """Returns the mean cross-entropy of labels, which are class numbers."""
  cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)
  return cross_entropy(tf.one_hot(labels, legacy.CLASSES), logits)


def optimizer(decay_steps=legacy.DECAY_STEPS):
  """Returns the optimizer.

  Args:
    decay_steps: after how many steps its rate is zero.
  """
  rate = keras.optimizers.schedules.PolynomialDecay(
    legacy.LEARNING_RATE, decay_steps, end_learning_rate=0.0
  )
  return keras.optimizers.SGD(rate)
