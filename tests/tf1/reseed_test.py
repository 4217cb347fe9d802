import dataclasses

from tf_equiv.core.seed_mode import SeedMode

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim
from absl.testing import absltest, parameterized

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import reseed, runner, shared_graphs

v1 = tf.compat.v1
CONSTANT, ORDER = SeedMode.CONSTANT, SeedMode.NUM_RANDOM_OPS


def dense(inputs, training):
  net = v1.layers.dense(inputs, 6, name='a')
  net = v1.layers.dropout(net, 0.5, training=training)
  net = slim.fully_connected(net, 6, scope='b')
  net += tf.random.normal(tf.shape(net)) * v1.get_variable('scale', ())
  return tf.nn.dropout(net, rate=0.25)


def loop(inputs, training):
  del training
  return tf.while_loop(
    lambda i, x: i < 3,
    lambda i, x: (i + 1, x + tf.random.uniform(tf.shape(x))),
    (0, v1.layers.dense(inputs, 2, name='a')),
  )[1]


def plan_of(mode, **arguments):
  return plan_lib.RunPlan(
    inputs=np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32),
    weights=plan_lib.SEEDED,
    seed_mode=mode,
    **arguments,
  )


def noisy_loss(outputs, inputs):
  del inputs
  noise = tf.random.uniform(tf.shape(outputs))
  return tf.reduce_mean(outputs * noise)


class ReseedTest(parameterized.TestCase):
  def assertSame(self, first, second):
    for name in ('weights', 'outputs', 'losses', 'gradients', 'loss'):
      a, b = (getattr(side, name) for side in (first, second))
      self.assertEqual(
        np.asarray(a, object).shape, np.asarray(b, object).shape, name
      )
      self.assertEqual(repr(a), repr(b), name)
    for (_, a), (_, b) in zip(first.outputs, second.outputs, strict=True):
      np.testing.assert_array_equal(a, b)
    for a, b in zip(first.weights, second.weights, strict=True):
      np.testing.assert_array_equal(a, b)
    for a, b in zip(first.gradients, second.gradients, strict=True):
      np.testing.assert_array_equal(a, b)
    self.assertEqual(first.draws, second.draws)
    self.assertEqual(first.variables, second.variables)

  @parameterized.product(
    training=(False, True), gradients=(False, True), first=(CONSTANT, ORDER)
  )
  def test_equals_a_build(self, training, gradients, first):
    program = program_lib.Program(dense, compute_loss=noisy_loss)
    graphs = shared_graphs.SharedGraphs()
    second = ORDER if first is CONSTANT else CONSTANT
    for mode in (first, second, first):
      plan = plan_of(mode, training=training, gradients=gradients)
      built = graphs.get(program, plan, 'key')
      self.assertSame(
        runner.run(program, plan, built), runner.run(program, plan)
      )
    self.assertLen(graphs, 1)

  def test_gradients_are_added_later(self):
    program = program_lib.Program(dense, compute_loss=noisy_loss)
    graphs = shared_graphs.SharedGraphs()
    for mode, gradients, inputs in (
      (CONSTANT, False, False),
      (CONSTANT, True, False),
      (ORDER, True, True),
      (ORDER, False, False),
      (CONSTANT, True, True),
    ):
      plan = plan_of(mode, gradients=gradients, input_gradients=inputs)
      built = graphs.get(program, plan, 'key')
      self.assertSame(
        runner.run(program, plan, built), runner.run(program, plan)
      )

  def test_modes_differ(self):
    program = program_lib.Program(dense)
    graphs = shared_graphs.SharedGraphs()
    a, b = (
      runner.run(program, plan, graphs.get(program, plan, 'key'))
      for plan in (plan_of(CONSTANT), plan_of(ORDER))
    )
    self.assertNotAllClose(a.outputs[0][1], b.outputs[0][1])

  def assertNotAllClose(self, a, b):
    self.assertGreater(np.max(np.abs(a - b)), 1e-3)

  def test_every_draw_is_found(self):
    program = program_lib.Program(dense)
    built = graph_lib.build(program, plan_of(ORDER, training=True))
    ops = reseed.seeded_ops(built, 42)
    self.assertLen(ops, len(built.draws))
    self.assertGreater(len(ops), 5)

  def test_draws_in_a_function_need_another_build(self):
    program = program_lib.Program(loop)
    built = graph_lib.build(program, plan_of(ORDER))
    self.assertIsNone(reseed.seeded_ops(built, 42))
    graphs = shared_graphs.SharedGraphs()
    for mode in (CONSTANT, ORDER, CONSTANT):
      plan = plan_of(mode)
      found = runner.run(program, plan, graphs.get(program, plan, 'key'))
      self.assertSame(found, runner.run(program, plan))

  def test_an_op_with_the_seeds_of_a_draw(self):
    def build(inputs, training):
      del training
      tf.raw_ops.RandomUniform(
        shape=[2], dtype=tf.float32, seed=42, seed2=0, name='own'
      )
      return inputs + tf.random.uniform((5,))

    built = graph_lib.build(program_lib.Program(build), plan_of(ORDER))
    self.assertIsNone(reseed.seeded_ops(built, 42))


class SharedGraphsTest(absltest.TestCase):
  def test_builds_once(self):
    calls = []

    def build(inputs, training):
      calls.append(training)
      return dense(inputs, training)

    program = program_lib.Program(build)
    graphs = shared_graphs.SharedGraphs(most=2)
    plans = [plan_of(mode) for mode in (CONSTANT, ORDER)]
    plans += [dataclasses.replace(plan, gradients=True) for plan in plans]
    for plan in plans:
      graphs.get(program, plan, shared_graphs.key_of(plan))
    self.assertEqual(calls, [False])

  def test_key(self):
    plan = plan_of(ORDER)
    same = dataclasses.replace(plan, inputs=plan.inputs + 1, gradients=True)
    self.assertEqual(shared_graphs.key_of(plan), shared_graphs.key_of(same))
    for change in (
      {'training': True},
      {'inputs': plan.inputs[:2]},
      {'inputs': plan.inputs.astype(np.float64)},
      {'inputs': {'x': plan.inputs}},
      {'inputs': [plan.inputs]},
      {'seed': 1},
    ):
      other = dataclasses.replace(plan, **change)
      self.assertNotEqual(
        shared_graphs.key_of(plan), shared_graphs.key_of(other), change
      )

  def test_keeps_few(self):
    program, graphs = program_lib.Program(dense), shared_graphs.SharedGraphs(2)
    plan = plan_of(ORDER)
    for key in 'aba':
      graphs.get(program, plan, key)
    graphs.get(program, plan, 'c')
    self.assertLen(graphs, 2)
    self.assertIn('a', graphs)
    self.assertNotIn('b', graphs)
    graphs.forget('a')
    self.assertNotIn('a', graphs)
    graphs.clear()
    self.assertEmpty(graphs)

  def test_seconds_are_counted_once(self):
    program, graphs = program_lib.Program(dense), shared_graphs.SharedGraphs()
    plan = plan_of(ORDER)
    first, second = (graphs.get(program, plan, 'a').seconds for _ in range(2))
    self.assertGreater(first, 0)
    self.assertEqual(second, 0)


if __name__ == '__main__':
  absltest.main()
