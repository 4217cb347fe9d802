"""Tests of whether two graphs are written in the same way."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.dormant import suspects
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1
_LABEL = ('outputs', 'outputs')


def captured(build, side='TF1'):
  """Returns the graph of a function of one input as a capture."""
  with tf.Graph().as_default() as graph:
    x = v1.placeholder(tf.float32, [2, 3], 'x')
    result = build(x)
  return capture.Capture(
    side,
    graph,
    {_LABEL: result},
    {x.name: np.ones([2, 3], np.float32)},
    {x.name: ''},
    {},
    {},
  )


def are_same(first, second):
  """Returns whether two functions are surely the same."""
  captures = captured(first), captured(second, 'TF2')
  return suspects.are_same(captures, [_LABEL], {})


def by_length(x):
  """Divides by a number that is computed from the shape of the input."""
  return x / tf.cast(v1.shape(x)[1], tf.float32)


def draw(x, seed=3):
  return x + tf.random.uniform([2, 3], seed=seed)


class AreSameTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('ops', lambda x: tf.nn.relu(2.0 * x) + 1.0),
    ('names', lambda x: tf.identity(tf.nn.relu(x), name='other')),
    ('shapes', by_length),
    ('draws', draw),
  )
  def test_yes(self, build):
    self.assertTrue(are_same(build, build))

  def test_operands_that_may_be_swapped(self):
    self.assertTrue(are_same(lambda x: x + 1.0, lambda x: 1.0 + x))

  @parameterized.named_parameters(
    ('types', tf.nn.relu, tf.nn.relu6),
    ('constants', lambda x: x * 2.0, lambda x: x * 3.0),
    ('attributes', lambda x: tf.nn.leaky_relu(x, 0.1), tf.nn.leaky_relu),
    ('order', lambda x: x - 1.0, lambda x: 1.0 - x),
    ('dtypes', lambda x: tf.cast(x, tf.int32), lambda x: tf.cast(x, tf.int64)),
    # What they give is the same for these inputs, but for no others.
    ('shape_or_constant', by_length, lambda x: x / 3.0),
    (
      'axes_of_the_shape',
      by_length,
      lambda x: x / tf.cast(v1.shape(x)[0] + 1, tf.float32),
    ),
    ('random_or_not', draw, lambda x: x + 0.5),
  )
  def test_no(self, first, second):
    self.assertFalse(are_same(first, second))

  def test_loops_are_not_told(self):
    def loop(x):
      return tf.while_loop(
        lambda y: tf.reduce_sum(y) < 9, lambda y: 2 * y, [x]
      )[0]

    self.assertFalse(are_same(loop, loop))


if __name__ == '__main__':
  absltest.main()
