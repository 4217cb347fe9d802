"""Two threads are refused, in words that say so, before anything changes."""

import random
import tempfile
import threading

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_keras
from absl.testing import absltest, parameterized

from tf_equiv import compat

v1 = tf.compat.v1


class Case(tf_equiv.MigrationTestCase):
  def __init__(self, hook=lambda: None):
    super().__init__()
    self.hook = hook

  def runTest(self):
    """The case is used without a runner."""

  def make_inputs(self):
    return np.ones((2, 3), np.float32)

  def build_tf1(self, inputs, training):
    return v1.layers.dense(inputs, 2, name='dense')

  def build_tf2(self):
    self.hook()
    return tf_keras.Sequential([tf_keras.layers.Dense(2, name='dense')])


def seeded():
  with tf_equiv.deterministic_seeds():
    pass


def scoped():
  with tf_equiv.assert_no_variable_creations():
    pass


def state():
  """Returns what is patched for the whole process, and the seeds."""
  return (
    compat.get_seed_is_patched(),
    dict(vars(compat.seeds._keras_random_generator_class())),
    [on() for on, *_ in compat.behavior._toggles().values()],
    random.getstate(),
    np.random.get_state()[1].tolist(),
    tf_keras.layers.Layer.__init__,
  )


def in_thread(function):
  """Runs a function in another thread, and returns what it raises."""
  caught = []

  def run():
    try:
      function()
    except Exception as error:
      caught.append(error)

  thread = threading.Thread(target=run, name='the other')
  thread.start()
  thread.join()
  return caught[0] if caught else None


class ThreadsTest(parameterized.TestCase):
  @parameterized.parameters(
    lambda: Case().assertForwardEquivalent(),
    lambda: Case().assertVariablesMatch(),
    lambda: Case().assertNoNewVariables(),
    lambda: Case().locateDivergence(),
    seeded,
    scoped,
  )
  def test_another_thread_is_refused(self, function):
    before, errors = state(), []

    def hook():
      during = state()
      errors.append(in_thread(function))
      self.assertEqual(state(), during)

    self.assertTrue(Case(hook).assertForwardEquivalent().passed)
    self.assertIsInstance(errors[0], tf_equiv.UsageError)
    self.assertRegex(str(errors[0]), "thread 'MainThread'.*thread 'the other'")
    self.assertEqual(state(), before)

  def test_between_the_sides_of_a_checkpoint(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    with tf.Graph().as_default(), v1.Session() as session:
      v1.get_variable('dense/kernel', [3, 2])
      v1.get_variable('dense/bias', [2])
      session.run(v1.global_variables_initializer())
      path = v1.train.Saver().save(session, folder.name + '/tf1')
    case, errors = Case(), []

    def rename_variable(name):  # No side runs while names are paired.
      errors.append(in_thread(seeded))
      return name

    case.rename_variable = rename_variable
    self.assertTrue(case.assertCheckpointEquivalent(path).passed)
    self.assertNotEmpty(errors)
    for error in errors:
      self.assertRegex(str(error), "at work in the thread 'MainThread'")

  def test_beside_a_context_of_seeds(self):
    with tf_equiv.deterministic_seeds():
      error = in_thread(seeded)
    self.assertRegex(str(error), "at work in the thread 'MainThread'")
    with (
      tf_equiv.deterministic_seeds(),
      self.assertRaisesRegex(tf_equiv.UsageError, 'already active'),
    ):
      seeded()

  def test_one_after_the_other(self):
    for _ in range(2):
      self.assertIsNone(in_thread(lambda: Case().assertForwardEquivalent()))
    self.assertTrue(Case().assertForwardEquivalent().passed)

  def test_after_an_error(self):
    def fail():
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      Case(fail).assertForwardEquivalent()
    self.assertIsNone(in_thread(seeded))


if __name__ == '__main__':
  absltest.main()
