"""The op at fault is named where the TF2 side cannot be traced."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers


def branching(x, training, factor=0.5):
  net = v1.layers.dense(x, 8, name='first')
  net = v1.layers.batch_normalization(net, training=training, name='norm')
  net = tf.nn.relu(net)
  net = tf.cond(
    tf.reduce_sum(net) > 1.0, lambda: net * factor, lambda: net * 2.0
  )
  return v1.layers.dense(net, 3, name='out')


class Branching(tf.keras.Model):
  """The same, with a branch on a value that Python sees."""

  def __init__(self, epsilon=1e-3, factor=0.5):
    super().__init__(name='net')
    self.first = layers.Dense(8, name='first')
    self.norm = layers.BatchNormalization(epsilon=epsilon, name='norm')
    self.out = layers.Dense(3, name='out')
    self.factor = factor

  def call(self, x, training=False):
    net = tf.nn.relu(self.norm(self.first(x), training=training))
    if net.numpy().sum() > 1.0:
      net = net * self.factor  # the branch that is taken
    else:
      net = net * 2.0
    return self.out(net)


_WORDS = ['a', 'b', 'c', 'd']


def words():
  return np.array([['a', 'c'], ['d', 'b'], ['b', 'b']])


def embedded(x, training):
  del training
  table = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer(
      tf.constant(_WORDS), tf.range(4, dtype=tf.int64)
    ),
    -1,
  )
  rows = v1.get_variable('table', [4, 5])
  net = tf.gather(rows, table.lookup(x))
  return v1.layers.dense(tf.nn.softplus(net), 3, name='out')


class Embedded(tf.keras.Model):
  """The same, with a table that is no part of the model."""

  def __init__(self, factor=1.0, activation=tf.nn.softplus):
    super().__init__(name='net')
    self.table = tf.lookup.StaticHashTable(
      tf.lookup.KeyValueTensorInitializer(
        tf.constant(_WORDS), tf.range(4, dtype=tf.int64)
      ),
      -1,
    )
    self.rows = tf.Variable(tf.zeros([4, 5]), name='table')
    self.out = layers.Dense(3, name='out')
    self.factor, self.activation = factor, activation

  def call(self, x):
    net = self.activation(tf.gather(self.rows, self.table.lookup(x)))
    return self.out(net * self.factor)


def rename(name):
  return name if name == 'table' else 'net/' + name


def branching_case(**arguments):
  return pair.PairCase(
    pair.clean(
      'branching',
      make_inputs=pair.numbers(4, 5),
      build_tf1=branching,
      build_tf2=lambda: Branching(**arguments),
      rename_variable=rename,
    )
  )


def table_case(**arguments):
  return pair.PairCase(
    pair.clean(
      'table',
      make_inputs=words,
      build_tf1=embedded,
      build_tf2=lambda: Embedded(**arguments),
      rename_variable=rename,
    )
  )


def message(assertion, **arguments) -> str:
  try:
    assertion(**arguments)
  except AssertionError as error:
    return str(error)
  raise ValueError('passes')


class EagerTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'epsilon',
      {'epsilon': 1e-2},
      'constant (operand 1): TF1 0.001, TF2 0.01',
      'net/norm/AddV2',
    ),
    (
      'factor',
      {'factor': 0.25},
      'constant (operand 1): TF1 0.5, TF2 0.25',
      'net = net * self.factor',
    ),
  )
  def test_branch_on_a_value(self, changed, difference, culprit):
    case = branching_case(**changed)
    text = message(case.assertForwardEquivalent)
    lines = text.splitlines()
    self.assertEqual(lines[1], '  first divergence:')
    self.assertIn('eager_test.py:', lines[2])
    self.assertIn('eager_test.py:', lines[3])
    first = '\n'.join(lines[:12])
    self.assertIn(difference, first)
    self.assertIn(culprit, first)
    self.assertIn('TF2 cannot be traced (AttributeError:', first)
    self.assertIn("has no attribute 'numpy' at", first)
    self.assertIn('its ops were recorded as they ran, in float32', first)
    self.assertNotIn('remains in float64', text)
    self.assertLess(len(lines), 41)
    self.assertIn(difference, str(case.locateDivergence()))

  def test_in_training_with_gradients(self):
    case = branching_case(factor=0.25)
    for assertion in (case.assertTrainingEquivalent, case.assertGradientsClose):
      text = message(assertion)
      self.assertIn('constant (operand 1): TF1 0.5, TF2 0.25', text)
      self.assertIn('recorded as they ran', text)
    text = message(case.assertTrainingEquivalent, steps=2)
    self.assertIn('constant (operand 1): TF1 0.5, TF2 0.25', text)

  @parameterized.named_parameters(
    ('factor', {'factor': 0.5}, 'only TF2 net/Mul (Mul)'),
    ('activation', {'activation': tf.nn.relu}, 'only TF2 net/Relu (Relu)'),
  )
  def test_table(self, changed, culprit):
    text = message(table_case(**changed).assertForwardEquivalent)
    self.assertIn(culprit, '\n'.join(text.splitlines()[:12]))
    self.assertIn('a table, an iterator', text)

  @parameterized.named_parameters(
    ('branching', branching_case), ('table', table_case)
  )
  def test_clean(self, make_case):
    case = make_case()
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertTrue(
      case.assertGradientsClose(seed_mode='num_random_ops').passed
    )
    verdict = case.locateDivergence()
    self.assertIsNone(verdict.divergence)
    self.assertIn('result(s) agree', str(verdict))

  def test_state_is_left_as_it_was(self):
    eager = tf.config.functions_run_eagerly()
    message(branching_case(factor=0.25).assertForwardEquivalent)
    self.assertEqual(tf.config.functions_run_eagerly(), eager)


del tf_equiv

if __name__ == '__main__':
  absltest.main()
