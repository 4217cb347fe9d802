"""Faults of clipping and of learning rates that a few steps do not awake."""

import tensorflow as tf

from tests.planted import dormant_pair as dormant

v1 = tf.compat.v1
train = v1.train
optimizers = tf.keras.optimizers
schedules = optimizers.schedules


def _fault(name, culprit, **methods):
  network = dormant.between(tf.tanh, tf.tanh)
  return dormant.Dormant(name, {**network, **methods}, dormant.STEPS, culprit)


def _clips(name, culprit, tf1, tf2=list, optimizer=None):
  methods = {'clip_gradients_tf1': tf1, 'clip_gradients_tf2': tf2}
  if optimizer is not None:
    methods['build_tf2_optimizer'] = optimizer
  return _fault(name, culprit, **methods)


def _rates(name, culprit, tf1, tf2):
  def legacy():
    step = train.get_or_create_global_step()
    return train.GradientDescentOptimizer(tf1(step))

  return _fault(
    name,
    culprit,
    build_tf1_optimizer=legacy,
    build_tf2_optimizer=lambda: optimizers.SGD(tf2()),
  )


def by_global_norm(gradients):
  """Clips by the norm of all."""
  return tf.clip_by_global_norm(gradients, 50.0)[0]


def by_norm(gradients):
  """Clips each by its own norm."""
  return [tf.clip_by_norm(g, 50.0) for g in gradients]


def by_value(gradients):
  """Clips each number."""
  return [tf.clip_by_value(g, -40.0, 40.0) for g in gradients]


def _piecewise(boundary):
  return schedules.PiecewiseConstantDecay([boundary, 5000], [0.1, 0.05, 0.01])


FAULTS = (
  _clips('global_norm_lost', 'clip', by_global_norm),
  _clips('norm_of_each', 'clip_by_norm', by_global_norm, by_norm),
  _clips('clip_of_values_lost', 'clip', by_value),
  _clips(
    'clipnorm_for_global_clipnorm',
    'gradients',
    by_global_norm,
    optimizer=lambda: optimizers.SGD(0.1, clipnorm=50.0),
  ),
  _clips(
    'global_norm_of_5000',
    'gradients',
    by_global_norm,
    lambda gradients: tf.clip_by_global_norm(gradients, 5000.0)[0],
  ),
  _rates(
    'boundary_at_2000',
    'at step 1001',
    lambda step: train.piecewise_constant(
      step, [1000, 5000], [0.1, 0.05, 0.01]
    ),
    lambda: _piecewise(2000),
  ),
  _rates(
    'stairs_of_another_height',
    'at step 1000',
    lambda step: train.exponential_decay(0.1, step, 1000, 0.5, staircase=True),
    lambda: schedules.ExponentialDecay(0.1, 1000, 0.9, staircase=True),
  ),
  _rates(
    'no_cycle',
    'at step',
    lambda step: train.polynomial_decay(0.1, step, 1000, 0.01, cycle=True),
    lambda: schedules.PolynomialDecay(0.1, 1000, 0.01),
  ),
  _rates(
    'last_rate_of_cosine',
    'at step',
    lambda step: train.cosine_decay(0.1, step, 10**5, alpha=0.1),
    lambda: schedules.CosineDecay(0.1, 10**5),
  ),
  _rates(
    'rate_never_lowered',
    'at step 10001',
    lambda step: train.piecewise_constant(step, [10000], [0.1, 0.01]),
    lambda: 0.1,
  ),
  _rates(
    'boundary_belongs_to_what_follows',
    'at step 1000',
    lambda step: train.piecewise_constant(step, [1000], [0.1, 0.01]),
    lambda: schedules.PiecewiseConstantDecay([999], [0.1, 0.01]),
  ),
)


def _clean_rates(name, tf1, tf2):
  return _rates(name, '', tf1, tf2)


class _Piecewise(schedules.LearningRateSchedule):
  """Two rates, written by hand."""

  def __call__(self, step):
    return tf.where(tf.cast(step, tf.int64) <= 1000, 0.1, 0.01)


CLEAN = (
  _clips('global_norm_of_both', '', by_global_norm, by_global_norm),
  _clips(
    'global_norm_of_the_optimizer',
    '',
    by_global_norm,
    optimizer=lambda: optimizers.SGD(0.1, global_clipnorm=50.0),
  ),
  _clips(
    'clipvalue_of_the_optimizer',
    '',
    by_value,
    optimizer=lambda: optimizers.SGD(0.1, clipvalue=40.0),
  ),
  _clean_rates(
    'piecewise_by_hand',
    lambda step: train.piecewise_constant(step, [1000], [0.1, 0.01]),
    lambda: _Piecewise(),
  ),
  _clean_rates(
    'stairs',
    lambda step: train.exponential_decay(0.1, step, 1000, 0.5, staircase=True),
    lambda: schedules.ExponentialDecay(0.1, 1000, 0.5, staircase=True),
  ),
  _clean_rates(
    'polynomial',
    lambda step: train.polynomial_decay(0.1, step, 1000, 0.01, power=2.0),
    lambda: schedules.PolynomialDecay(0.1, 1000, 0.01, power=2.0),
  ),
  _clean_rates(
    'cosine',
    lambda step: train.cosine_decay(0.1, step, 10**5, alpha=0.1),
    lambda: schedules.CosineDecay(0.1, 10**5, alpha=0.1),
  ),
)
