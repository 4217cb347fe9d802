"""Training steps, assignments and shapes are followed to their ops."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers
schedules = tf.keras.optimizers.schedules


def network(x, training):
  net = v1.layers.dense(x, 4, name='dense')
  net = v1.layers.batch_normalization(
    net, momentum=0.9, training=training, fused=False, name='norm'
  )
  return v1.layers.dense(tf.nn.relu(net), 2, name='out')


def rewrite(momentum=0.9):
  return lambda: tf.keras.Sequential(
    [
      layers.Dense(4, name='dense'),
      layers.BatchNormalization(momentum=momentum, name='norm'),
      layers.ReLU(),
      layers.Dense(2, name='out'),
    ]
  )


def case_of(**methods):
  defaults = dict(
    make_inputs=pair.numbers(5, 3), build_tf1=network, build_tf2=rewrite()
  )
  return pair.PairCase(pair.clean('pair', **{**defaults, **methods}))


def message_of(function, *args, **kwargs):
  try:
    function(*args, **kwargs)
  except AssertionError as error:
    return str(error)
  raise ValueError('no failure')


def by_step():
  return v1.train.exponential_decay(
    0.1, v1.train.get_or_create_global_step(), 2, 0.5
  )


class StepsTest(parameterized.TestCase):
  def test_clean(self):
    verdict = case_of().assertTrainingEquivalent(steps=2)
    self.assertIn('the steps change 6 of 6 trained variables', str(verdict))
    self.assertIsNone(verdict.divergence)

  def test_moving_statistic_in_a_step(self):
    case = case_of(build_tf2=rewrite(momentum=0.99))
    text = message_of(case.assertTrainingEquivalent, steps=2)
    lines = text.splitlines()
    self.assertIn('in the variables that are not trained', lines[0])
    self.assertIn('norm/AssignMovingAvg', lines[2])
    self.assertIn('steps_test.py:', lines[2])
    self.assertIn('steps_test.py:', lines[3])
    self.assertIn('    decay: TF1 0.9, TF2 0.99', lines)
    self.assertIn('Next: The momentum (decay) of batch normalization', text)
    self.assertLess(len(lines), 41)

  def test_learning_rate_of_a_schedule(self):
    case = case_of(
      build_tf1_optimizer=lambda: v1.train.GradientDescentOptimizer(by_step()),
      build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(
        schedules.ExponentialDecay(0.1, 4, 0.5)
      ),
    )
    text = message_of(case.assertTrainingEquivalent, steps=2)
    self.assertIn('TF1 ExponentialDecay/truediv (RealDiv)', text)
    self.assertIn('constant (operand 1): TF1 2, TF2 4', text)
    self.assertRegex(text, r'TF2 .*steps_test.py:\d+  schedules.Exponential')

  def test_update_of_an_optimizer(self):
    case = case_of(
      build_tf1_optimizer=lambda: v1.train.AdamOptimizer(0.01),
      build_tf2_optimizer=lambda: tf.keras.optimizers.Adam(
        0.01, beta_1=0.5, epsilon=1e-8
      ),
    )
    lines = message_of(case.assertTrainingEquivalent, steps=2).splitlines()
    self.assertIn('ResourceApplyAdam', lines[2])
    self.assertIn('v1.train.AdamOptimizer(0.01)', lines[2])
    self.assertIn('tf.keras.optimizers.Adam', lines[3])
    self.assertEqual(lines[4], '    repair: beta_1 0.9 for 0.5')
    self.assertIn('beta_1: AdamOptimizer 0.9, Adam 0.5', lines[5])

  def test_vacuous_steps(self):
    case = case_of(
      make_batch=lambda step: np.full([7, 3], 0.3 + step, np.float32),
      compute_loss=lambda outputs, inputs: tf.reduce_mean((outputs - 1) ** 2),
    )
    text = message_of(case.assertTrainingEquivalent, steps=2)
    self.assertStartsWith(text, 'Vacuous agreement proves nothing: in the fir')
    verdict = case.assertTrainingEquivalent(steps=2, allow_vacuous=True)
    self.assertEqual(verdict.kind, 'vacuous')
    self.assertIn('vacuous: in the first step', str(verdict))


class ShapesTest(absltest.TestCase):
  def _text(self, tf1, tf2):
    def build(x, training, pool):
      del training
      return v1.layers.dense(pool(x), 2, name='out')

    case = case_of(
      make_inputs=pair.numbers(3, 4, 5, 6),
      build_tf1=lambda x, training: build(x, training, tf1),
      build_tf2=pair.shim(lambda x, training: build(x, training, tf2)),
    )
    return message_of(case.assertVariablesMatch)

  def test_op_before_the_kernel(self):
    text = self._text(
      lambda x: tf.nn.relu(tf.reduce_mean(x, [1, 2])),
      lambda x: tf.nn.relu(tf.reduce_mean(x, [1, 3])),
    )
    self.assertIn('TF1 Mean (Mean)', text)
    self.assertIn('shape: TF1 [3, 6], TF2 [3, 5]', text)
    self.assertIn('constant (operand 1): TF1 [1, 2], TF2 [1, 3]', text)


if __name__ == '__main__':
  del tf_equiv
  absltest.main()
