"""Averages of the weights, which a training loop keeps for evaluation."""

import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1


class Averaged:
  """A training loop that averages the weights."""

  def __init__(self, decay=0.9, before=False, late=False):
    self.decay, self.before, self.late = decay, before, late

  def network(self, x, training):
    del training
    return v1.layers.dense(x, 3, name='dense')

  def build_tf2(self):
    self.average = tf.train.ExponentialMovingAverage(self.decay)
    return pair.Shim(self.network)

  def build_tf2_optimizer(self):
    self.optimizer = tf.keras.optimizers.SGD(0.1)
    if self.late:  # starts when it is first applied, after the first update
      self.average = tf.train.ExponentialMovingAverage(self.decay)
    return self.optimizer

  def train_tf1(self, inputs):
    outputs = self.network(inputs, True)
    loss = tf.reduce_mean(tf.square(outputs))
    average = v1.train.ExponentialMovingAverage(0.9)
    operation = v1.train.GradientDescentOptimizer(0.1).minimize(loss)
    with tf.control_dependencies([operation]):
      operation = average.apply(v1.trainable_variables())
    return {'outputs': outputs, 'train': operation}

  def train_tf2(self, model, inputs):
    with tf.GradientTape() as tape:
      outputs = model(inputs, training=True)
      loss = tf.reduce_mean(tf.square(outputs))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    if self.before:
      # FAULT: averaged_before_the_update
      self.average.apply(variables)
    self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    if not self.before:
      # FAULT: decay_of_averaged_weights, average_starts_after_the_first_update
      self.average.apply(variables)
    return {'outputs': outputs}

  def methods(self):
    """What to override."""
    return dict(
      make_inputs=pair.numbers(4, 5),
      build_tf1=self.network,
      build_tf2=self.build_tf2,
      build_tf2_optimizer=self.build_tf2_optimizer,
      train_tf1=self.train_tf1,
      train_tf2=self.train_tf2,
    )


PAIRS = (
  pair.clean('averaged_weights', **Averaged().methods()),
  pair.faulty(
    'decay_of_averaged_weights',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the slots (moving average)',
    'dense/kernel',
    culprit='decay: TF1 0.9, TF2 0.99',
    **Averaged(decay=0.99).methods(),
  ),
  pair.faulty(
    'averaged_before_the_update',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the slots (moving average)',
    culprit='dense/kernel is assigned by ExponentialMovingAverage',
    **Averaged(before=True).methods(),
  ),
  pair.faulty(
    'average_starts_after_the_first_update',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the slots (moving average)',
    culprit='slots (moving average)',
    **Averaged(late=True).methods(),
  ),
)
