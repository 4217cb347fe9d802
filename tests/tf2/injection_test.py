"""The draws of TF1 take the place of those of TF2, and hide no fault."""

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.planted import pair

v1 = tf.compat.v1


def case_of(tf1, tf2, **methods):
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(4, 6),
      build_tf1=lambda x, training: tf1(x),
      build_tf2=lambda: tf2,
      **methods,
    )
  )


def noise(shape, seeds=(1, 2)):
  return tf.random.stateless_normal(shape, seeds)


def compare(case, **options):
  return case.assertTrainingEquivalent(
    weights='fixed', seed_mode='num_random_ops', **options
  )


class Noisy(tf.Module):
  def __init__(self, function):
    super().__init__()
    self.function = function

  def __call__(self, x, training=None):
    return self.function(x)


class InjectionTest(absltest.TestCase):
  def test_loop_with_a_draw_in_each_turn(self):
    def once(x):
      mask = tf.random.normal([4, 6])
      return x + 3.0 * mask

    def each(x):
      return tf.while_loop(
        lambda i, _: i < 3,
        lambda i, y: (i + 1, y + noise([4, 6], tf.stack([i, i]))),
        [tf.constant(0), x],
      )[1]

    with self.assertRaises(AssertionError) as caught:
      compare(case_of(once, Noisy(each)), variants='function')
    self.assertRegex(
      str(caught.exception), r'TF2 draws normal float32\[4, 6\].*inside a loop'
    )

  def test_integers_of_another_range(self):
    def tf1(x):
      return x + tf.cast(tf.random.uniform([4, 6], 0, 10, tf.int32), x.dtype)

    def tf2(x):
      drawn = tf.random.stateless_uniform([4, 6], [1, 2], 0, 20, tf.int32)
      return x + tf.cast(drawn, x.dtype)

    with self.assertRaises(AssertionError):
      compare(case_of(tf1, Noisy(tf2)))

  def test_draws_in_another_order_agree(self):
    def tf1(x):
      a, b = tf.random.normal([4, 6]), tf.random.normal([6])
      return x * a + b

    def tf2(x):
      b, a = noise([6]), noise([4, 6])
      return x * a + b

    verdict = compare(case_of(tf1, Noisy(tf2)))
    self.assertIn('TF2 computed with the 2 random draw(s)', str(verdict))

  def test_missing_draw_is_named_with_its_line(self):
    def tf1(x):
      return x + tf.random.normal([4, 6])

    def tf2(x):
      return x + noise([4, 6]) + 0.1 * noise([6])

    with self.assertRaises(AssertionError) as caught:
      compare(case_of(tf1, Noisy(tf2)))
    self.assertRegex(
      str(caught.exception),
      r'without counterpart is nothing in TF1, normal float32\[6\] at '
      r'.*injection_test\.py:\d+',
    )

  def test_saved_model_really_runs(self):
    def tf1(x):
      return x + tf.random.normal([4, 6])

    def tf2(x):
      # What Python does while the function is traced is not exported.
      factor = 1.0 if tf.executing_eagerly() else 2.0
      return factor * (x + noise([4, 6]))

    with self.assertRaises(AssertionError):
      compare(case_of(tf1, Noisy(tf2)), variants='saved_model')
    verdict = compare(
      case_of(tf1, Noisy(lambda x: x + noise([4, 6]))), variants='saved_model'
    )
    self.assertIn('TF2 computed with the 1 random draw(s)', str(verdict))

  def test_noise_in_the_loss(self):
    layer = keras.layers.Dense(3, name='d')
    layer.build([4, 6])

    def tf1(x):
      return v1.layers.dense(x, 3, name='d')

    case = case_of(
      tf1,
      keras.Sequential([layer]),
      compute_loss_tf1=lambda y, x: tf.reduce_mean(
        y * tf.random.normal([4, 3])
      ),
      compute_loss_tf2=lambda y, x: tf.reduce_mean(y * noise([4, 3])),
      rename_variable=lambda name: name,
    )
    case.rename_variable = lambda name: 'd/' + name.split('/')[-1]
    case.assertGradientsClose()


del tf_equiv, np

if __name__ == '__main__':
  absltest.main()
