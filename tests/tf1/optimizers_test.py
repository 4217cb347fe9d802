import os
import tempfile

import tf_equiv  # noqa: F401 isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests import optimizer_formulas as formulas
from tf_equiv.tf1 import optimizers, serialization

v1 = tf.compat.v1
train = v1.train
LR = 0.1
STEPS = 4

# name -> (optimizer, kind, formula, hyperparameters that it must report)
ROWS = {
  'gradient descent': (
    lambda: train.GradientDescentOptimizer(LR),
    'gradient descent',
    formulas.gradient_descent,
    {},
  ),
  'momentum': (
    lambda: train.MomentumOptimizer(LR, 0.8),
    'momentum',
    formulas.momentum,
    {'momentum': 0.8, 'nesterov': False},
  ),
  'nesterov': (
    lambda: train.MomentumOptimizer(LR, 0.8, use_nesterov=True),
    'momentum',
    formulas.momentum,
    {'momentum': 0.8, 'nesterov': True},
  ),
  'adam': (
    lambda: train.AdamOptimizer(LR, 0.7, 0.9, 0.01),
    'adam',
    formulas.adam,
    {'beta_1': 0.7, 'beta_2': 0.9, 'epsilon': 0.01},
  ),
  'rmsprop': (
    lambda: train.RMSPropOptimizer(LR, decay=0.7, epsilon=0.01),
    'rmsprop',
    formulas.rms_prop,
    {'rho': 0.7, 'momentum': 0.0, 'epsilon': 0.01, 'centered': False},
  ),
  'rmsprop centered momentum': (
    lambda: train.RMSPropOptimizer(LR, 0.7, 0.5, 0.01, centered=True),
    'rmsprop',
    formulas.rms_prop,
    {'rho': 0.7, 'momentum': 0.5, 'epsilon': 0.01, 'centered': True},
  ),
  'adagrad': (
    lambda: train.AdagradOptimizer(LR, 0.3),
    'adagrad',
    formulas.adagrad,
    {'initial_accumulator_value': 0.3},
  ),
  'adadelta': (
    lambda: train.AdadeltaOptimizer(LR, 0.7, 0.01),
    'adadelta',
    formulas.adadelta,
    {'rho': 0.7, 'epsilon': 0.01},
  ),
  'ftrl': (
    lambda: train.FtrlOptimizer(LR, -0.6, 0.2, 0.01, 0.02),
    'ftrl',
    formulas.ftrl,
    {
      'learning_rate_power': -0.6,
      'initial_accumulator_value': 0.2,
      'l1': 0.01,
      'l2': 0.02,
      'l2_shrinkage': 0.0,
      'beta': 0.0,
    },
  ),
}


def gradients():
  rng = np.random.default_rng(0)
  return [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(STEPS)]


def initial():
  return np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)


class TrainedTest(parameterized.TestCase):
  """Several real updates in a session."""

  @parameterized.product(name=tuple(ROWS), resource=(True, False))
  def test_slots_are_those_of_the_formula(self, name, resource):
    make, kind, formula, hyperparameters = ROWS[name]
    with tf.Graph().as_default(), v1.Session() as session:
      weights = v1.get_variable(
        'w', initializer=initial(), use_resource=resource
      )
      gradient = v1.placeholder(tf.float32, [3, 2])
      optimizer = make()
      update = optimizer.apply_gradients([(gradient, weights)])
      slots = optimizers.slots_of(optimizer, weights)
      others = optimizers.other_variables_of(optimizer)
      everything = {v.op.name for v in v1.global_variables()}
      session.run(v1.global_variables_initializer())
      for value in gradients():
        session.run(update, {gradient: value})
      after, found = session.run([weights, slots])
      owned = optimizers.all_variables_of(optimizer, weights) + others
    spec = optimizers.describe(optimizer)
    self.assertEqual(spec.kind, kind)
    self.assertEqual(spec.hyperparameters, hyperparameters)
    expected, expected_slots = formula(
      initial().astype(np.float64), gradients(), LR, **hyperparameters
    )
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)
    self.assertCountEqual(found, expected_slots)
    for meaning, value in expected_slots.items():
      np.testing.assert_allclose(
        found[meaning], value, rtol=1e-5, atol=1e-6, err_msg=meaning
      )
    self.assertEqual({v.op.name for v in owned}, everything - {'w'})

  @parameterized.parameters(*ROWS)
  def test_the_learning_rate_is_the_tensor_that_the_update_reads(self, name):
    make = ROWS[name][0]
    with tf.Graph().as_default() as graph:
      weights = v1.get_variable('w', initializer=initial(), use_resource=True)
      optimizer = make()
      optimizer.apply_gradients([(tf.constant(gradients()[0]), weights)])
      rate = optimizers.learning_rate_of(optimizer)
      (update,) = [
        op for op in graph.get_operations() if 'ResourceApply' in op.type
      ]
      self.assertIn(rate.name, [tensor.name for tensor in update.inputs])
      with v1.Session() as session:
        self.assertAlmostEqual(session.run(rate), LR)

  def test_a_schedule_gives_the_rate_of_each_step(self):
    with tf.Graph().as_default(), v1.Session() as session:
      weights = v1.get_variable('w', initializer=initial())
      step = train.get_or_create_global_step()
      optimizer = train.AdamOptimizer(
        train.piecewise_constant(step, [0], [1.0, 0.5])
      )
      update = optimizer.apply_gradients(
        [(tf.constant(gradients()[0]), weights)], global_step=step
      )
      # The read of the schedule must not come after the counting.
      rate = optimizers.learning_rate_of(optimizer)
      session.run(v1.global_variables_initializer())
      rates = [session.run([rate, update])[0] for _ in range(3)]
    self.assertEqual(rates, [1.0, 0.5, 0.5])

  def test_an_unused_optimizer_has_no_slots(self):
    with tf.Graph().as_default():
      weights = v1.get_variable('w', initializer=initial())
      optimizer = train.AdamOptimizer(0.25)
      self.assertEmpty(optimizers.slots_of(optimizer, weights))
      self.assertEmpty(optimizers.other_variables_of(optimizer))
      self.assertEqual(optimizers.learning_rate_of(optimizer), 0.25)


class DescribeTest(parameterized.TestCase):
  def test_tensors_are_read_where_they_can_be(self):
    with tf.Graph().as_default():
      unknown = v1.placeholder(tf.float32, [])
      optimizer = train.AdamOptimizer(0.1, unknown, tf.constant(0.5))
      spec = optimizers.describe(optimizer)
    self.assertEqual(spec.hyperparameters, {'beta_2': 0.5, 'epsilon': 1e-8})

  def test_variables_and_callables(self):
    optimizer = train.RMSPropOptimizer(
      0.1, decay=tf.Variable(0.5), momentum=lambda: 0.25
    )
    found = optimizers.describe(optimizer).hyperparameters
    self.assertEqual((found['rho'], found['momentum']), (0.5, 0.25))

  def test_subclasses_are_what_they_derive_from(self):
    class WarmAdam(train.AdamOptimizer):
      pass

    class NadamOptimizer(train.AdamOptimizer):  # As in tf.contrib.opt.
      pass

    class Own(train.Optimizer):
      def __init__(self):
        super().__init__(False, 'Own')

    spec = optimizers.describe(WarmAdam())
    self.assertEqual((spec.name, spec.kind), ('WarmAdam', 'adam'))
    self.assertEqual(optimizers.describe(NadamOptimizer()).kind, 'nadam')
    own = optimizers.describe(Own())
    self.assertEqual((own.kind, own.hyperparameters), ('other', {}))

  def test_slots_of_unknown_optimizers_keep_their_names(self):
    class SignMomentum(train.Optimizer):
      def __init__(self):
        super().__init__(False, 'SignMomentum')

      def _create_slots(self, var_list):
        for v in var_list:
          self._zeros_slot(v, 'speed', self._name)

      def _resource_apply_dense(self, grad, var):
        speed = self.get_slot(var, 'speed')
        return tf.group(speed.assign_add(grad), var.assign_sub(tf.sign(speed)))

    with tf.Graph().as_default():
      weights = v1.get_variable('w', initializer=initial(), use_resource=True)
      optimizer = SignMomentum()
      optimizer.apply_gradients([(tf.constant(gradients()[0]), weights)])
      self.assertEqual(list(optimizers.slots_of(optimizer, weights)), ['speed'])
      self.assertIsNone(optimizers.learning_rate_of(optimizer))

  def test_what_is_an_optimizer(self):
    self.assertTrue(optimizers.is_v1_optimizer(train.AdamOptimizer()))
    for other in (tf.keras.optimizers.Adam(), train.AdamOptimizer, None, 'a'):
      self.assertFalse(optimizers.is_v1_optimizer(other), other)

  def test_a_description_can_be_stored(self):
    spec = optimizers.describe(train.RMSPropOptimizer(0.1, centered=True))
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'spec.npz')
      serialization.save(path, spec)
      self.assertEqual(serialization.load(path), spec)


if __name__ == '__main__':
  absltest.main()
