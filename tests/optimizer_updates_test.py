"""The numbers in docs/optimizers.md, measured on prescribed gradients.

Both sides get the same gradients for ten steps, so that only the optimizers
differ. What is measured after 1, 3 and 10 steps is the largest difference of
the change of the weights, relative to the largest change.
"""

import os
import re

import tf_equiv  # noqa: F401 isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests import optimizer_table as table
from tf_equiv.tf2 import optimizers

v1 = tf.compat.v1
train = v1.train

_DOCS = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
  'docs',
  'optimizers.md',
)
SHAPE = (6, 4)
STEPS = 10
SHOWN = (0, 2, 9)
# Differences of the change that are rounding; 1 - beta_2 of Adam is special.
ROUNDING = 1e-6
ROUNDING_OF_ADAM = 1e-5
EQUAL = {**table.EQUAL, **table.EQUAL_FROM_ONES}


def dense_gradients(scale=1.0):
  rng = np.random.default_rng(0)
  return [
    (scale * rng.normal(size=SHAPE)).astype(np.float32) for _ in range(STEPS)
  ]


def sparse_gradients(rows):
  """Returns (indices, values) of 'some' rows, or all with two 'repeated'."""
  rng = np.random.default_rng(1)
  found = []
  for _ in range(STEPS):
    indices = rng.permutation(SHAPE[0])
    if rows == 'some':
      indices = indices[:3]
    else:
      indices = np.concatenate([indices, rng.permutation(SHAPE[0])[:2]])
    values = rng.normal(size=(len(indices), SHAPE[1]))
    found.append((indices, values.astype(np.float32)))
  return found


def initial(row):
  """Zeros, in which the change is exact, but for Ftrl, which reads them."""
  if 'Ftrl' in row:
    return np.random.default_rng(9).normal(size=SHAPE).astype(np.float32)
  return np.zeros(SHAPE, np.float32)


def tensor(gradient):
  if isinstance(gradient, tuple):
    indices, values = gradient
    return tf.IndexedSlices(
      tf.constant(values), tf.constant(indices), tf.constant(SHAPE, tf.int64)
    )
  return tf.constant(gradient)


def tf1_weights(make, gradients, start):
  """Returns the weights after each step of a session."""
  found = []
  with tf.Graph().as_default(), v1.Session() as session:
    weights = v1.get_variable('w', initializer=start, use_resource=True)
    if isinstance(gradients[0], tuple):
      gradient = tf.IndexedSlices(
        v1.placeholder(tf.float32, [None, SHAPE[1]]),
        v1.placeholder(tf.int64, [None]),
        tf.constant(SHAPE, tf.int64),
      )
    else:
      gradient = v1.placeholder(tf.float32, SHAPE)
    update = make().apply_gradients(
      [(gradient, weights)], global_step=table.step()
    )
    session.run(v1.global_variables_initializer())
    for value in gradients:
      if isinstance(value, tuple):
        feed = {gradient.indices: value[0], gradient.values: value[1]}
      else:
        feed = {gradient: value}
      session.run(update, feed)
      found.append(session.run(weights))
  return found


def tf2_weights(optimizer, gradients, start):
  found = []
  variable = tf.Variable(start)
  optimizers.build(optimizer, [variable])
  for gradient in gradients:
    optimizer.apply_gradients([(tensor(gradient), variable)])
    found.append(variable.numpy())
  return found


def differences(row, family, gradients):
  """Returns the relative differences after each step."""
  tf1_optimizer, keras_optimizer = {**EQUAL, **table.UNEQUAL}[row][:2]
  start = initial(row)
  first = tf1_weights(tf1_optimizer, gradients, start)
  second = tf2_weights(keras_optimizer(table.KERAS[family]), gradients, start)
  found = []
  for a, b in zip(first, second, strict=True):
    a, b = (value.astype(np.float64) - start for value in (a, b))
    found.append(np.max(np.abs(a - b)) / np.max(np.abs(a)))
  return found


def rounding_of(row):
  return ROUNDING_OF_ADAM if row.startswith('Adam') else ROUNDING


def documented(header):
  """Yields (row, second cell, family, [cells]) of a table of the page."""
  with open(_DOCS, encoding='utf-8') as file:
    (text,) = re.findall(
      r'^\| %s \|.*\n\|-.*\n((?:\|.*\n)+)' % header, file.read(), re.M
    )
  for line in text.strip().split('\n'):
    row, second, *cells = (c.strip() for c in line.strip('|').split('|'))
    for family, cell in zip(table.KERAS, cells, strict=True):
      if family in table.families_of(row):
        yield row, second, family, cell
      elif cell != '-':
        raise ValueError('%s is not about %s' % (row, family))


def named(cases):
  return [(re.sub(r'\W+', '_', ' '.join(case[:3])), *case) for case in cases]


class EqualUpdatesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    named(
      (row, family, scale)
      for row in EQUAL
      for family in table.families_of(row)
      for scale in ('1', '1e-6')
    )
  )
  def test_dense(self, row, family, scale):
    found = differences(row, family, dense_gradients(float(scale)))
    self.assertLess(max(found), rounding_of(row))

  @parameterized.parameters(*table.KERAS)
  def test_under_a_schedule(self, family):
    gradients = dense_gradients()
    k = table.KERAS[family]

    def tf1_rate():
      return train.exponential_decay(0.1, table.step(), 2, 0.5)

    rate = table.schedules(k).ExponentialDecay(0.1, 2, 0.5)
    for tf1_optimizer, optimizer in (
      (lambda: train.AdamOptimizer(tf1_rate()), k.Adam(rate, epsilon=1e-8)),
      (lambda: train.AdagradOptimizer(tf1_rate()), k.Adagrad(rate)),
      (
        lambda: train.AdadeltaOptimizer(tf1_rate()),
        k.Adadelta(rate, epsilon=1e-8),
      ),
      (lambda: train.FtrlOptimizer(tf1_rate()), k.Ftrl(rate)),
      (
        lambda: train.RMSPropOptimizer(tf1_rate(), momentum=0.9),
        table.with_ones(k.RMSprop(rate, momentum=0.9, epsilon=1e-10)),
      ),
    ):
      start = initial(type(optimizer).__name__)
      first = tf1_weights(tf1_optimizer, gradients, start)[-1]
      second = tf2_weights(optimizer, gradients, start)[-1]
      largest = np.max(np.abs(first - start))
      np.testing.assert_allclose(
        second, first, rtol=0, atol=ROUNDING_OF_ADAM * largest
      )

  def test_what_is_left_of_adam_is_how_float32_writes_beta(self):
    # TF1 computes 1 - beta_2 in float32, where 0.999 is not exact.
    tf1, keras_ = (
      lambda: train.AdamOptimizer(0.01, 0.875, 1 - 2**-10),
      lambda k: k.Adam(0.01, 0.875, 1 - 2**-10, epsilon=1e-8),
    )
    gradients = dense_gradients()
    start = initial('Adam')
    first = tf1_weights(tf1, gradients, start)[0]
    for k in table.KERAS.values():
      second = tf2_weights(keras_(k), gradients, start)[0]
      np.testing.assert_allclose(second, first, rtol=1e-7)
    self.assertGreater(differences('Adam', 'tf_keras', gradients)[0], 5e-6)


class DocumentedNumbersTest(parameterized.TestCase):
  def _check(self, row, cell, found):
    if cell == '=':
      self.assertLess(max(found), rounding_of(row))
      return
    for i, text in zip(SHOWN, cell.split(','), strict=True):
      value = float(text)
      if value:
        self.assertAlmostEqual(found[i], value, delta=0.25 * value)
      else:
        self.assertLess(found[i], rounding_of(row))

  @parameterized.named_parameters(named(documented('how much')))
  def test_dense(self, row, scale, family, cell):
    found = differences(row, family, dense_gradients(float(scale)))
    self._check(row, cell, found)

  @parameterized.named_parameters(named(documented('sparse')))
  def test_sparse(self, row, rows, family, cell):
    self._check(row, cell, differences(row, family, sparse_gradients(rows)))

  def test_all_rows_are_documented(self):
    found = {(row, scale) for row, scale, _, _ in documented('how much')}
    self.assertEqual(
      found, {(row, scale) for row in table.UNEQUAL for scale in ('1', '1e-6')}
    )
    found = {(row, rows) for row, rows, _, _ in documented('sparse')}
    self.assertEqual(
      found,
      {(row, rows) for row in table.SPARSE for rows in ('some', 'repeated')},
    )


class SchedulesTest(parameterized.TestCase):
  @parameterized.parameters(*table.SCHEDULES)
  def test_every_step(self, row):
    tf1_rate, keras_rate = table.SCHEDULES[row]
    with tf.Graph().as_default(), v1.Session() as session:
      step = v1.placeholder(tf.int64, [])
      rate = tf1_rate(step)
      expected = [session.run(rate, {step: i}) for i in range(30)]
    self.assertGreater(len(set(expected)), 2)
    for family, k in table.KERAS.items():
      optimizer = k.SGD(keras_rate(table.schedules(k)))
      found = []
      for i in range(30):
        optimizers.set_iterations(optimizer, i)
        found.append(float(optimizers.learning_rate_of(optimizer)))
      np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=family)

  def test_decay_of_legacy_optimizers_is_inverse_time_decay(self):
    gradients, start = dense_gradients(), initial('')
    first = tf1_weights(
      lambda: train.GradientDescentOptimizer(
        train.inverse_time_decay(0.1, table.step(), 1, 0.3)
      ),
      gradients,
      start,
    )
    legacy = tf.keras.optimizers.legacy.SGD(0.1, decay=0.3)
    second = tf2_weights(legacy, gradients, start)
    np.testing.assert_allclose(second, first, rtol=1e-6)


class OnlyInKerasTest(parameterized.TestCase):
  def _averages(self, make, gradients, start):
    """Moving averages of tf.train.ExponentialMovingAverage after each step."""
    found = []
    with tf.Graph().as_default(), v1.Session() as session:
      weights = v1.get_variable('w', initializer=start, use_resource=True)
      gradient = v1.placeholder(tf.float32, SHAPE)
      update = make().apply_gradients([(gradient, weights)])
      average = tf.train.ExponentialMovingAverage(0.9)
      with tf.control_dependencies([update]):
        update = average.apply([weights])
      session.run(v1.global_variables_initializer())
      for value in gradients:
        session.run(update, {gradient: value})
        found.append(session.run(average.average(weights)))
    return found

  @parameterized.parameters('tf_keras', 'Keras 3')
  def test_moving_average(self, family):
    gradients = dense_gradients()
    start = np.random.default_rng(9).normal(size=SHAPE).astype(np.float32)
    expected = self._averages(
      lambda: train.GradientDescentOptimizer(0.1), gradients, start
    )
    optimizer = table.KERAS[family].SGD(0.1, use_ema=True, ema_momentum=0.9)
    variable = tf.Variable(start)
    found = []
    for gradient in gradients:
      optimizer.apply_gradients([(tf.constant(gradient), variable)])
      slots = optimizers.slots_of(optimizer, variable)
      found.append(np.array(slots[optimizers.MOVING_AVERAGE].numpy()))
      if len(found) == 1:
        after = variable.numpy()
    if family == 'tf_keras':
      np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    else:
      # The first update replaces the average, later ones are averaged.
      np.testing.assert_allclose(found[0], after, rtol=1e-6)
      gap = [
        np.max(np.abs(a - b)) for a, b in zip(found, expected, strict=True)
      ]
      np.testing.assert_allclose(
        gap, gap[0] * 0.9 ** np.arange(STEPS), rtol=1e-3
      )
      self.assertGreater(gap[0], 0.1)

  @parameterized.parameters('tf_keras', 'Keras 3')
  def test_weight_decay_is_multiplied_by_the_learning_rate(self, family):
    optimizer = table.KERAS[family].SGD(0.1, weight_decay=0.5)
    variable = tf.Variable([2.0])
    optimizer.apply_gradients([(tf.constant([0.0]), variable)])
    np.testing.assert_allclose(variable, [2.0 - 0.1 * 0.5 * 2.0], rtol=1e-6)

  @parameterized.parameters(*table.KERAS)
  def test_clipping_is_that_of_tensorflow(self, family):
    gradients = [tf.constant([30.0, 40.0]), tf.constant([0.1])]
    for argument, expected in (
      ('clipnorm', [tf.clip_by_norm(g, 2.0) for g in gradients]),
      ('clipvalue', [tf.clip_by_value(g, -2.0, 2.0) for g in gradients]),
      ('global_clipnorm', tf.clip_by_global_norm(gradients, 2.0)[0]),
    ):
      optimizer = table.KERAS[family].SGD(1.0, **{argument: 2.0})
      variables = [tf.Variable(tf.zeros_like(g)) for g in gradients]
      optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
      for a, b in zip(variables, expected, strict=True):
        np.testing.assert_allclose(-a, b, rtol=1e-6, err_msg=argument)

  def test_two_clippings_at_once(self):
    given = [tf.constant([30.0, 40.0])]
    both = {'clipvalue': 1.0, 'clipnorm': 1.0}
    legacy = tf.keras.optimizers.legacy.SGD
    new = tf.keras.optimizers.SGD
    (found,) = optimizers.clipped(legacy(**both), given)
    np.testing.assert_allclose(found, [0.5**0.5, 0.5**0.5], rtol=1e-6)
    (found,) = optimizers.clipped(new(**both), given)
    np.testing.assert_allclose(found, [0.6, 0.8], rtol=1e-6)
    with self.assertRaisesRegex(ValueError, 'Only one of'):
      keras.optimizers.SGD(**both)

  def test_ftrl_sets_rows_without_gradient_to_zero(self):
    gradients, start = sparse_gradients('some')[:1], initial('Ftrl')
    (indices, _), row = gradients[0], EQUAL['Ftrl']
    rest = np.setdiff1d(np.arange(SHAPE[0]), indices)
    first = tf1_weights(row[0], gradients, start)[0]
    np.testing.assert_array_equal(first[rest], start[rest])
    for family in ('tf_keras', 'Keras 3'):
      second = tf2_weights(row[1](table.KERAS[family]), gradients, start)[0]
      np.testing.assert_array_equal(second[rest], np.zeros_like(second[rest]))

  def test_a_dense_gradient_mends_adam_of_keras_3(self):
    gradients = sparse_gradients('repeated')
    start = initial('Adam')
    first = tf1_weights(EQUAL['Adam'][0], gradients, start)
    optimizer = EQUAL['Adam'][1](keras.optimizers)
    dense = [tf.convert_to_tensor(tensor(g)).numpy() for g in gradients]
    second = tf2_weights(optimizer, dense, start)
    np.testing.assert_allclose(
      second, first, rtol=0, atol=ROUNDING_OF_ADAM * np.max(np.abs(first))
    )


if __name__ == '__main__':
  absltest.main()
