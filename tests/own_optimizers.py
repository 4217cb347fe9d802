"""Optimizers of one's own, as research code has them, and their ports."""

import re

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
RATE, DECAY = 0.02, 0.05
EXCLUDED = 'norm|offset'


class DecayedMoments(v1.train.Optimizer):
  """Moments without bias correction, and decoupled weight decay."""

  def __init__(self, rate, excluded=EXCLUDED):
    super().__init__(False, 'DecayedMoments')
    self.learning_rate = rate
    self.decay_rate = DECAY
    self.stability = 1e-5
    self.excluded = excluded

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    """Updates, and leaves the step to the caller, as BERT does."""
    assignments = []
    for gradient, variable in grads_and_vars:
      if gradient is None:
        continue
      first, second = (
        v1.get_variable(
          f'{variable.op.name}/{slot}',
          variable.shape.as_list(),
          initializer=v1.zeros_initializer(),
          trainable=False,
        )
        for slot in ('wd_m', 'wd_v')
      )
      new_first = 0.8 * first + 0.2 * gradient
      new_second = 0.9 * second + 0.1 * tf.square(gradient)
      update = new_first / (tf.sqrt(new_second) + self.stability)
      if not re.search(self.excluded, variable.op.name):
        update += self.decay_rate * variable
      assignments += [
        variable.assign(variable - self.learning_rate * update),
        first.assign(new_first),
        second.assign(new_second),
      ]
    return tf.group(*assignments, name=name)


class Wrapper(v1.train.Optimizer):
  """Hands on averages of gradients, which it keeps, to another optimizer."""

  def __init__(self, inner):
    super().__init__(False, 'Wrapper')
    self._inner = inner

  def compute_gradients(self, *args, **kwargs):
    return self._inner.compute_gradients(*args, **kwargs)

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    averaged = []
    for gradient, variable in grads_and_vars:
      kept = v1.get_variable(
        variable.op.name + '/kept',
        variable.shape.as_list(),
        initializer=v1.zeros_initializer(),
        trainable=False,
      )
      with tf.control_dependencies([kept.assign_add(gradient)]):
        averaged.append((tf.identity(gradient), variable))
    finite = tf.reduce_all(
      [tf.reduce_all(tf.math.is_finite(g)) for g, _ in averaged]
    )
    return tf.cond(
      finite,
      lambda: self._inner.apply_gradients(averaged, global_step, name),
      tf.no_op,
    )


class PlainMoments:
  """The port of `DecayedMoments` as a plain object."""

  def __init__(self, rate=RATE, excluded=EXCLUDED, corrected=False):
    self.learning_rate = rate
    self.weight_decay = DECAY
    self.epsilon = 1e-5
    self.excluded = excluded
    self.corrected = corrected
    self.firsts, self.seconds = {}, {}

  def apply_gradients(self, grads_and_vars):
    for gradient, variable in grads_and_vars:
      key = variable.ref()
      if key not in self.firsts:
        with tf.init_scope():
          zeros = tf.zeros(variable.shape)
          self.firsts[key] = tf.Variable(zeros, trainable=False)
          self.seconds[key] = tf.Variable(zeros, trainable=False)
      first, second = self.firsts[key], self.seconds[key]
      first.assign(0.8 * first + 0.2 * gradient)
      second.assign(0.9 * second + 0.1 * tf.square(gradient))
      update = first / (tf.sqrt(second) + self.epsilon)
      if self.corrected:
        update *= 0.1**0.5 / 0.2  # Right for the first step.
      if not re.search(self.excluded, variable.name):
        update += self.weight_decay * variable
      variable.assign_sub(self.learning_rate * update)


def network(x):
  with v1.variable_scope('net'):
    x = v1.layers.dense(x, 4, tf.tanh, name='hidden')
    gain = v1.get_variable('norm', [4], initializer=v1.ones_initializer())
    offset = v1.get_variable('offset', [4])
    return v1.layers.dense(x * gain + offset, 2, name='out')


class Net(tf.keras.Model):
  def __init__(self):
    super().__init__(name='net')
    self.hidden = tf.keras.layers.Dense(4, 'tanh', name='hidden')
    self.norm = self.add_weight(name='norm', shape=[4])
    self.offset = self.add_weight(name='offset', shape=[4])
    self.out = tf.keras.layers.Dense(2, name='out')

  def call(self, x):
    return self.out(self.hidden(x) * self.norm + self.offset)


class Case(tf_equiv.MigrationTestCase):
  """A small network whose optimizers are of one's own."""

  def make_batch(self, step):
    return np.random.default_rng(step).normal(size=(6, 3)).astype(np.float32)

  def make_inputs(self):
    return self.make_batch(0)

  def build_tf1(self, inputs, training):
    return network(inputs)

  def build_tf2(self):
    return Net()

  def rename_variable(self, tf1_name):
    head, _, last = tf1_name.rpartition('/')
    return last if head == 'net' else tf1_name

  def clip_gradients(self, gradients):
    return tf.clip_by_global_norm(gradients, 1.0)[0]

  def build_tf1_optimizer(self):
    return DecayedMoments(RATE)

  def build_tf2_optimizer(self):
    return PlainMoments()

  def rename_slot(self, tf1_slot):
    return {'wd_m': 'firsts', 'wd_v': 'seconds'}.get(tf1_slot, tf1_slot)

  def rename_hyperparameter(self, tf1_name):
    return {'decay_rate': 'weight_decay', 'stability': 'epsilon'}.get(tf1_name)
