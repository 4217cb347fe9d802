"""Tests of graphs that several plans share."""

import dataclasses

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import shared_graphs
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1


def doubled(x):
  """A loop of control flow v2 with a variable."""
  w = v1.get_variable('w', [3])
  return tf.while_loop(
    lambda i, _: i < 4, lambda i, y: (i + 1, tf.tanh(y * w)), [0, x]
  )[1]


class LoopCase(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.ones([2, 3], np.float32)

  def build_tf1(self, inputs, training):
    return doubled(inputs)

  def build_tf2(self):
    return doubled


def loops_of(graph):
  """Returns the number of outputs of each loop of a forward pass."""
  return [
    len(op.outputs)
    for op in graph.get_operations()
    if op.type in ('While', 'StatelessWhile') and 'grad' not in op.name
  ]


class LengthenedTest(absltest.TestCase):
  def test_a_capture_has_no_outputs_for_gradients(self):
    methods = LoopCase()._session.methods
    program, plan = methods.tf1_program(), methods.make_plan()
    plan = dataclasses.replace(plan, weights=plan_lib.FIXED)
    graphs, key = shared_graphs.SharedGraphs(), shared_graphs.key_of(plan)
    bare = graphs.get(program, plan, key)
    before = loops_of(bare.graph)
    self.assertFalse(bare.has_longer_loops)
    graphs.get(program, dataclasses.replace(plan, gradients=True), key)
    again = graphs.get(program, plan, key)
    self.assertGreater(loops_of(again.graph), before)
    self.assertTrue(again.has_longer_loops)
    captured = capture.capture(program, plan, {}, again)
    self.assertEqual(loops_of(captured.graph), before)

  def test_without_loops_nothing_is_built_again(self):
    class Case(LoopCase):
      def build_tf1(self, inputs, training):
        return inputs * v1.get_variable('w', [3])

    methods = Case()._session.methods
    program, plan = methods.tf1_program(), methods.make_plan()
    graphs, key = shared_graphs.SharedGraphs(), shared_graphs.key_of(plan)
    graphs.get(program, dataclasses.replace(plan, gradients=True), key)
    built = graphs.get(program, plan, key)
    self.assertFalse(built.has_longer_loops)
    captured = capture.capture(program, plan, {}, built)
    self.assertIs(captured.graph, built.graph)


if __name__ == '__main__':
  absltest.main()
