"""Graphs with custom gradients are forgotten, and keep their gradients."""

import gc
import importlib
import weakref

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest

from tf_equiv import compat

v1 = tf.compat.v1


@tf.custom_gradient
def tripled(x):
  return 2.0 * x, lambda dy: 3.0 * dy


def registered():
  ops = importlib.import_module('tensorflow.python.framework.ops')
  names = ops.gradient_registry._registry
  return {name for name in names if name.startswith('CustomGradient')}


class CustomGradientsTest(absltest.TestCase):
  def test_a_graph_is_forgotten(self):
    before = registered()
    graph = tf.Graph()
    with graph.as_default(), compat.custom_gradients_forgotten():
      x = tf.constant(1.0)
      y = tripled(x)
    # Gradients can be made as long as there is the graph.
    with graph.as_default(), v1.Session() as session:
      self.assertEqual(session.run(v1.gradients(y, x)), [3.0])
    self.assertLen(registered() - before, 1)
    alive = weakref.ref(x)
    del graph, x, y, session
    gc.collect()
    self.assertIsNone(alive())
    self.assertEqual(registered(), before)

  def test_a_traced_function_is_forgotten(self):
    before = registered()
    with compat.custom_gradients_forgotten():
      function = tf.function(tripled)
      with tf.GradientTape() as tape:
        x = tf.constant(1.0)
        tape.watch(x)
        y = function(x)
      self.assertEqual(tape.gradient(y, x).numpy(), 3.0)
    self.assertNotEmpty(registered() - before)
    del function, tape, y
    gc.collect()
    self.assertEqual(registered(), before)

  def test_without_it_they_stay(self):
    """What this is for: it can be left out where this fails."""
    before = registered()
    with tf.Graph().as_default():
      tripled(tf.constant(1.0))
    gc.collect()
    self.assertNotEqual(registered(), before)


if __name__ == '__main__':
  absltest.main()
