"""Learning rates that depend on the step, and the step that they depend on."""

import numpy as np
import tensorflow as tf

from tests.planted import pair
from tests.planted.pairs import optimizers as base

v1 = tf.compat.v1
train = v1.train
optimizers = tf.keras.optimizers
schedules = optimizers.schedules


def _step():
  return train.get_or_create_global_step()


def _of(tf1, tf2, **methods):
  """What makes a pair of a TF1 learning rate and of one of Keras."""
  return {
    **base.NETWORK,
    'build_tf1_optimizer': lambda: train.GradientDescentOptimizer(tf1()),
    # FAULT: rate_of_the_first_step_kept
    'build_tf2_optimizer': lambda: optimizers.SGD(tf2()),
    **methods,
  }


def _stairs():
  return train.exponential_decay(0.1, _step(), 2, 0.5, staircase=True)


def _piecewise():
  return train.piecewise_constant(_step(), [0, 1], [0.1, 0.05, 0.01])


def _cosine():
  return train.cosine_decay(0.1, _step(), 4, alpha=0.2)


def _polynomial():
  return train.polynomial_decay(0.1, _step(), 2, 0.02, power=2.0)


def _restarts():
  return train.cosine_decay_restarts(0.1, _step(), 1)


def _warm_up():
  """Grows linearly to the rate of an exponential decay, over two steps."""
  step = tf.cast(_step(), tf.float32)
  rate = train.exponential_decay(0.1, _step(), 10, 0.5)
  return tf.cond(step < 2.0, lambda: 0.1 * (step + 1) / 2, lambda: rate)


def _transformer():
  """The rate of "Attention is all you need", of a model of width 8."""
  step = tf.cast(_step() + 1, tf.float32)
  return 8**-0.5 * tf.minimum(step**-0.5, step * 2**-1.5)


class WarmUp(schedules.LearningRateSchedule):
  """The same as a schedule of Keras."""

  def __init__(self, steps):
    self.steps = steps
    self.then = schedules.ExponentialDecay(0.1, 10, 0.5)

  def __call__(self, step):
    step = tf.cast(step, tf.float32)
    if not self.steps:
      # FAULT: warm_up_forgotten
      return self.then(step)
    warm = 0.1 * (step + 1) / self.steps
    return tf.where(step < self.steps, warm, self.then(step))


class Transformer(schedules.LearningRateSchedule):
  """The same as a schedule of Keras."""

  def __init__(self, offset):
    self.offset = offset

  def __call__(self, step):
    step = tf.cast(step, tf.float32) + self.offset
    # FAULT: steps_counted_from_one
    return 8**-0.5 * tf.minimum(step**-0.5, step * 2**-1.5)


class Loop:
  """A training loop that counts its steps."""

  def __init__(self, counts=1, tf1_counts=True):
    self.counts, self.tf1_counts = counts, tf1_counts

  def build_tf2_optimizer(self):
    self.optimizer = optimizers.SGD(schedules.ExponentialDecay(0.1, 2, 0.5))
    return self.optimizer

  def train_tf1(self, inputs):
    step = _step()
    # FAULT: steps_that_tf1_never_counted
    rate = train.exponential_decay(0.1, step, 2, 0.5)
    outputs = base.network(inputs, True)
    loss = base.square_error(outputs, inputs)
    # FAULT: steps_that_tf1_never_counted
    operation = train.GradientDescentOptimizer(rate).minimize(
      loss, global_step=step if self.tf1_counts else None
    )
    return {'outputs': outputs, 'train': operation}

  def train_tf2(self, model, inputs):
    with tf.GradientTape() as tape:
      outputs = model(inputs['x'], training=True)
      loss = base.square_error(outputs, inputs)
    # FAULT: steps_counted_twice
    self.optimizer.minimize(loss, model.trainable_variables, tape)
    self.optimizer.iterations.assign_add(self.counts - 1)
    return {'outputs': outputs}

  def methods(self):
    """What to override."""
    return {
      **base.NETWORK,
      'build_tf2_optimizer': self.build_tf2_optimizer,
      'train_tf1': self.train_tf1,
      'train_tf2': self.train_tf2,
    }


def _momentum(rate):
  return train.MomentumOptimizer(rate, 0.9)


def _rate_at(step):
  return 'Training diverges at step %d of 3 in learning rate' % step


PAIRS = (
  pair.clean(
    'staircase',
    **_of(
      _stairs,
      lambda: schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True),
    ),
  ),
  pair.clean(
    'piecewise_constant',
    **_of(
      _piecewise,
      lambda: schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.05, 0.01]),
    ),
  ),
  pair.clean('warm_up', **_of(_warm_up, lambda: WarmUp(2))),
  pair.clean('transformer', **_of(_transformer, lambda: Transformer(1.0))),
  pair.clean('own_loop', **Loop().methods()),
  pair.faulty(
    'staircase_forgotten',
    pair.UPDATES,
    _rate_at(2),
    'TF1 0.100000001, TF2 0.0707',
    culprit='only TF1 ExponentialDecay/Floor',
    # FAULT: staircase_forgotten
    **_of(_stairs, lambda: schedules.ExponentialDecay(0.1, 2, 0.5)),
  ),
  pair.faulty(
    'decay_steps_in_epochs',
    pair.UPDATES,
    _rate_at(3),
    culprit='TF1 2, TF2 20',
    **_of(
      _stairs,
      # FAULT: decay_steps_in_epochs
      lambda: schedules.ExponentialDecay(0.1, 20, 0.5, staircase=True),
    ),
  ),
  pair.faulty(
    'boundary_one_step_late',
    pair.UPDATES,
    _rate_at(2),
    'TF1 0.05',
    culprit='PiecewiseConstant',
    **_of(
      _piecewise,
      # FAULT: boundary_one_step_late
      lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.05, 0.01]),
    ),
  ),
  pair.faulty(
    'alpha_of_cosine_forgotten',
    pair.UPDATES,
    _rate_at(2),
    culprit='TF1 0.8, TF2 1',
    # FAULT: alpha_of_cosine_forgotten
    **_of(_cosine, lambda: schedules.CosineDecay(0.1, 4)),
  ),
  pair.faulty(
    'power_of_polynomial_forgotten',
    pair.UPDATES,
    _rate_at(2),
    culprit='TF1 2, TF2 1',
    # FAULT: power_of_polynomial_forgotten
    **_of(_polynomial, lambda: schedules.PolynomialDecay(0.1, 2, 0.02)),
  ),
  pair.faulty(
    'restarts_forgotten',
    pair.UPDATES,
    _rate_at(2),
    culprit='TF2 CosineDecay',
    # FAULT: restarts_forgotten
    **_of(_restarts, lambda: schedules.CosineDecay(0.1, 1)),
  ),
  pair.faulty(
    'warm_up_forgotten',
    pair.UPDATES,
    _rate_at(1),
    culprit='in the branch that is taken (TF1 cond: true)',
    **_of(_warm_up, lambda: WarmUp(0)),
  ),
  pair.faulty(
    'steps_counted_from_one',
    pair.UPDATES,
    _rate_at(1),
    culprit='numbers only in TF2: 2',
    **_of(_transformer, lambda: Transformer(2.0)),
  ),
  pair.faulty(
    'rate_of_the_first_step_kept',
    pair.UPDATES,
    _rate_at(3),
    culprit='TF1 learning rate of GradientDescentOptimizer',
    **_of(
      _stairs,
      lambda: float(
        schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)(np.int64(0))
      ),
    ),
  ),
  pair.faulty(
    'momentum_under_a_schedule',
    pair.UPDATES,
    'Training diverges at step 2 of 3 in the slots (momentum)',
    'Keras multiplies each gradient',
    culprit='slots (momentum)',
    **{
      **base.NETWORK,
      'build_tf1_optimizer': lambda: _momentum(_piecewise()),
      # FAULT: momentum_under_a_schedule
      'build_tf2_optimizer': lambda: optimizers.SGD(
        schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.05, 0.01]),
        momentum=0.9,
      ),
    },
  ),
  pair.faulty(
    'another_momentum_under_a_schedule',
    pair.UPDATES,
    'Training diverges at step 2 of 3 in the slots (momentum)',
    'pass momentum=0.9 to SGD',
    culprit='momentum: MomentumOptimizer 0.9, SGD 0.8',
    **{
      **base.NETWORK,
      'build_tf1_optimizer': lambda: _momentum(_piecewise()),
      # FAULT: another_momentum_under_a_schedule
      'build_tf2_optimizer': lambda: optimizers.SGD(
        schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.05, 0.01]),
        momentum=0.8,
      ),
    },
  ),
  pair.faulty(
    'steps_counted_twice',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in step counter',
    'TF1 1, TF2 2',
    culprit='step counter',
    **Loop(counts=2).methods(),
  ),
  pair.faulty(
    'steps_that_tf1_never_counted',
    pair.UPDATES,
    _rate_at(2),
    culprit='worst TF1 0, TF2 1',
    **Loop(tf1_counts=False).methods(),
    rename_variable=lambda name: None if name == 'global_step' else name,
  ),
)
