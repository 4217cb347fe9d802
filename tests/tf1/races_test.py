"""Tests which reads and assignments of variables are found to race."""

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.tf1 import races

v1 = tf.compat.v1


def assign_with_the_rate_in_no_order():
  """The learning rate reads the step that the train op assigns."""
  step = v1.train.get_or_create_global_step()
  weight = v1.get_variable('w', initializer=1.0)
  rate = v1.train.exponential_decay(0.1, step, 1, 0.5)
  (gradient,) = v1.gradients(weight * weight, [weight])
  update = weight.assign(weight - rate * gradient)
  return tf.group(update, step.assign(step + 1))


def assign_after_the_update():
  step = v1.train.get_or_create_global_step()
  weight = v1.get_variable('w', initializer=1.0)
  rate = v1.train.exponential_decay(0.1, step, 1, 0.5)
  (gradient,) = v1.gradients(weight * weight, [weight])
  update = weight.assign(weight - rate * gradient)
  with tf.control_dependencies([update]):
    return tf.group(step.assign_add(1))


def minimize():
  step = v1.train.get_or_create_global_step()
  weight = v1.get_variable('w', initializer=1.0)
  rate = v1.train.exponential_decay(0.1, step, 1, 0.5)
  optimizer = v1.train.AdamOptimizer(rate)
  return optimizer.minimize(tf.square(weight) ** 2, global_step=step)


def two_optimizers_in_one_run():
  """Each loss reads the weight that the other's optimizer assigns."""
  first = v1.get_variable('first', initializer=1.0)
  second = v1.get_variable('second', initializer=2.0)
  optimizer = v1.train.GradientDescentOptimizer(0.1)
  return tf.group(
    optimizer.minimize(tf.square(first * second), var_list=[first]),
    optimizer.minimize(tf.square(first + second), var_list=[second]),
  )


def moving_average():
  statistic = v1.get_variable('mean', initializer=0.0, trainable=False)
  return tf.group(statistic.assign(0.9 * statistic + 0.1))


def read_after():
  value = v1.get_variable('v', initializer=0.0)
  with tf.control_dependencies([value.assign(1.0)]):
    return tf.group(value.read_value() + 1.0)


class RacesTest(parameterized.TestCase):
  def found(self, build, resource):
    behavior = tf_equiv.TF1Behavior(resource_variables=resource)
    with behavior.active(), tf.Graph().as_default():
      return races.find([build()])

  @parameterized.product(
    build=(
      assign_after_the_update,
      minimize,
      moving_average,
      read_after,
    ),
    resource=(True, False),
  )
  def test_ordered(self, build, resource):
    self.assertEqual(self.found(build, resource), [])

  @parameterized.parameters(True, False)
  def test_step_and_rate(self, resource):
    (race,) = self.found(assign_with_the_rate_in_no_order, resource)
    self.assertEqual(race.variable, 'global_step')
    self.assertIn('exponential_decay', str(race.read_at))
    self.assertIn('step.assign(step + 1)', str(race.assigned_at))
    note = races.note(race)
    self.assertIn('reads global_step', note)
    self.assertIn(f'races_test.py:{race.read_at.lineno}', note)
    self.assertIn(f'races_test.py:{race.assigned_at.lineno}', note)

  @parameterized.parameters(True, False)
  def test_optimizers_side_by_side(self, resource):
    found = self.found(two_optimizers_in_one_run, resource)
    self.assertEqual([race.variable for race in found], ['first', 'second'])


if __name__ == '__main__':
  absltest.main()
