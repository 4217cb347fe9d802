"""Tests that a second run in a session gives what a new session does."""

import contextlib
import gc
from unittest import mock

from tf_equiv.core.seed_mode import SeedMode

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import garbage, graph, random_values, runner
from tf_equiv.tf1 import program as program_lib

v1 = tf.compat.v1
_APART = '_run_updates_apart'


def normalized(inputs, training):
  net = v1.layers.dense(inputs, 6, name='a')
  net = v1.layers.batch_normalization(net, training=training, name='norm')
  net = v1.layers.dropout(net, 0.5, training=training)
  return v1.layers.dense(net, 2, name='b')


def looped(inputs, training):
  net = normalized(inputs, training)
  return tf.while_loop(
    lambda i, x: i < 3,
    lambda i, x: (i + 1, x + tf.random.uniform(tf.shape(x))),
    (0, net),
  )[1]


def with_callback(inputs, training):
  net = normalized(inputs, training)
  return net + v1.py_func(lambda: np.float32(0.0), [], tf.float32)


def with_noisy_update(inputs, training):
  net = normalized(inputs, training)
  noise = v1.get_variable('noise', (2,), trainable=False)
  update = v1.assign(noise, tf.random.normal((2,)))
  v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
  return net


def assigning(inputs, training):
  count = v1.get_variable(
    'count', (), trainable=False, initializer=v1.zeros_initializer()
  )
  with tf.control_dependencies([v1.assign_add(count, 1.0)]):
    return normalized(inputs, training) + count.read_value()


@contextlib.contextmanager
def _variables(use_resource):
  """Lets TF1 make resource variables, or those of TF1 (by reference)."""
  before = v1.resource_variables_enabled()
  switch = {
    True: v1.enable_resource_variables,
    False: v1.disable_resource_variables,
  }
  switch[use_resource]()
  try:
    yield
  finally:
    switch[before]()


def observed(build):
  """Runs a training pass with its updates."""
  inputs = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
  plan = plan_lib.RunPlan(
    inputs=inputs,
    training=True,
    weights=plan_lib.SEEDED,
    seed_mode=SeedMode.NUM_RANDOM_OPS,
    updates=True,
  )
  return runner.run(program_lib.Program(build), plan)


class UpdatesTest(parameterized.TestCase):
  def test_the_session_of_the_forward_pass_runs_the_updates(self):
    with mock.patch.object(runner, _APART) as apart:
      found = observed(normalized)
    apart.assert_not_called()
    moved = found.updated['norm/moving_mean']
    self.assertGreater(np.abs(moved).max(), 0)
    with mock.patch.object(runner, '_can_update_in_place', lambda built: False):
      expected = observed(normalized)
    self.assertEqual(repr(found.updated), repr(expected.updated))
    self.assertEqual(repr(found.outputs), repr(expected.outputs))
    self.assertEqual(found.jitter, expected.jitter)

  @parameterized.parameters(looped, with_callback, with_noisy_update, assigning)
  def test_a_session_of_their_own_where_a_second_run_could_differ(self, build):
    with mock.patch.object(
      runner, _APART, side_effect=getattr(runner, _APART)
    ) as apart:
      found = observed(build)
    apart.assert_called_once()
    self.assertIn('norm/moving_variance', found.updated)

  def test_weights_that_were_moved_are_set_back(self):
    """Token ids cannot be moved by a hair, so the weights are."""

    def embedded(ids, training):
      table = v1.get_variable('table', (5, 4))
      net = tf.nn.embedding_lookup(table, ids)
      mean = v1.get_variable('mean', (4,), trainable=False)
      update = v1.assign(mean, tf.reduce_mean(table, 0))
      v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
      return net * 3.0

    plan = plan_lib.RunPlan(
      inputs=np.array([1, 3, 3]), training=True, updates=True
    )
    found = runner.run(
      program_lib.Program(
        embedded, reset_weights=lambda n, s, d: np.full(s, 0.3, d)
      ),
      plan,
    )
    self.assertEqual(found.updated['mean'].tolist(), [np.float32(0.3)] * 4)
    self.assertGreater(found.jitter[''], 0)


class RepeatableTest(parameterized.TestCase):
  def is_repeatable(self, build, **arguments):
    with tf.Graph().as_default():
      x = v1.placeholder(tf.float32, (4, 3))
      targets = [build(x, True).op]
      held = random_values.random_ops(targets)
      return random_values.is_repeatable(targets, held, **arguments)

  @parameterized.parameters(True, False)
  def test_what_can_be_repeated(self, use_resource):
    with _variables(use_resource):
      self.assertTrue(self.is_repeatable(normalized))

  @parameterized.parameters(True, False)
  def test_what_assigns(self, use_resource):
    with _variables(use_resource):
      self.assertFalse(self.is_repeatable(assigning))
      self.assertTrue(self.is_repeatable(assigning, assigns=True))

  @parameterized.parameters(looped, with_callback, assigning)
  def test_what_cannot(self, build):
    self.assertFalse(self.is_repeatable(build))

  def test_draws_that_are_not_held(self):
    with tf.Graph().as_default():
      x = tf.random.uniform((2,))
      self.assertFalse(random_values.is_repeatable([x.op], []))
      self.assertTrue(random_values.is_repeatable([x.op], [x.op]))

  def test_of_a_graph(self):
    inputs = np.zeros((4, 3), np.float32)
    for build, expected in ((normalized, True), (looped, False)):
      built = graph.build(
        program_lib.Program(build), plan_lib.RunPlan(inputs, training=True)
      )
      self.assertEqual(built.repeatable, expected)


class GarbageTest(absltest.TestCase):
  def test_collection_is_paused_and_goes_on(self):
    self.assertTrue(gc.isenabled())
    with self.assertRaises(KeyError), garbage.collection_paused():
      self.assertFalse(gc.isenabled())
      with garbage.collection_paused():
        pass
      self.assertFalse(gc.isenabled())
      raise KeyError
    self.assertTrue(gc.isenabled())

  def test_stays_off_where_it_was_off(self):
    gc.disable()
    self.addCleanup(gc.enable)
    with garbage.collection_paused():
      pass
    self.assertFalse(gc.isenabled())


if __name__ == '__main__':
  absltest.main()
