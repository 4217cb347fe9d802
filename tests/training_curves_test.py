"""Free training of both sides: what passes, what fails, wrong use."""

import dataclasses
import itertools
import json
import os
import sys
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1
_STEPS = 6


class Model(tf.Module):
  """A layer whose weights are transposed."""

  def __init__(self):
    super().__init__()
    self.w = tf.Variable(tf.zeros([3, 4]), name='w')

  def __call__(self, x):
    return tf.matmul(x, self.w, transpose_b=True)


class Case(tf_equiv.MigrationTestCase):
  """A linear layer whose batches say which step they are for."""

  def make_batch(self, step):
    x = np.random.default_rng(step).normal(size=(6, 4)).astype(np.float32)
    return {'x': x, 'step': np.array(step, np.float32)}

  def make_inputs(self):
    return self.make_batch(0)

  def build_tf1(self, inputs, training):
    return tf.matmul(inputs['x'], v1.get_variable('w', [4, 3]))

  def build_tf2(self):
    return Model()

  def call_tf2(self, model, inputs, training):
    return model(inputs['x'])

  def convert_variable(self, tf1_name, value, tf2_name):
    return value.T

  def compute_loss(self, outputs, inputs):
    return tf.reduce_mean(tf.square(outputs - inputs['x'][:, :3]))

  def build_tf1_optimizer(self):
    return v1.train.GradientDescentOptimizer(0.1)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.SGD(0.1)


def case(**methods):
  found = Case()
  for name, method in methods.items():
    setattr(found, name, method)
  return found


def temporary(test):
  """Returns a folder that is there for one test."""
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return folder.name


def train(test, **arguments):
  return test.assertTrainingCurvesMatch(**{'steps': _STEPS, **arguments})


class PassTest(absltest.TestCase):
  def test_verdict(self):
    verdict = train(case())
    self.assertTrue(verdict.passed)
    self.assertEqual(verdict.compared['steps'], _STEPS)
    self.assertIn('trained freely', verdict.conditions)
    self.assertIn('TF1 agrees with itself to 1e-05 in all 6', str(verdict))
    self.assertNotIn('does not repeat', str(verdict))
    found = verdict.outcome.curves
    self.assertEqual((found.steps, found.runs, found.horizon), (6, 3, 6))
    (loss,) = [each for each in found.series if each.name == 'loss']
    self.assertLess(loss.tf1[-1], loss.tf1[0])
    np.testing.assert_allclose(loss.tf1, loss.tf2, rtol=1e-5)
    self.assertGreater(np.max(loss.spread), 0.0)

  def test_curves_are_those_of_training(self):
    """The steps go on from their own state, which TF1 alone says too."""
    test = case()
    found = train(test).outcome.curves
    (loss,) = [each for each in found.series if each.name == 'loss']
    single = test.assertTrainingEquivalent(steps=_STEPS, weights='fixed')
    fixed = train(test, weights='fixed').outcome.curves.series
    (again,) = [each for each in fixed if each.name == 'loss']
    np.testing.assert_allclose(
      again.tf1, [step['loss'][0].tf1_value for step in single.steps], rtol=1e-6
    )
    self.assertFalse(np.allclose(again.tf1, loss.tf1))

  def test_adam_that_starts_late(self):
    def tf1():
      step = v1.train.get_or_create_global_step()
      return v1.train.AdamOptimizer(
        v1.train.exponential_decay(0.01, step, 500, 0.5, staircase=True)
      )

    def tf2():
      rate = tf.keras.optimizers.schedules.ExponentialDecay(
        0.01, 500, 0.5, staircase=True
      )
      return tf.keras.optimizers.Adam(rate, epsilon=1e-8)

    verdict = train(
      case(build_tf1_optimizer=tf1, build_tf2_optimizer=tf2), start_step=997
    )
    (rate,) = [
      s for s in verdict.outcome.curves.series if s.name == 'learning rate'
    ]
    np.testing.assert_allclose(rate.tf1, [5e-3] * 3 + [2.5e-3] * 3, rtol=1e-5)
    self.assertIn('start_step=997', verdict.conditions)

  def test_own_steps(self):
    def train_tf1(inputs):
      loss = Case().compute_loss(Case().build_tf1(inputs, True), inputs)
      optimizer = v1.train.GradientDescentOptimizer(0.1)
      return {'loss': loss, 'train': optimizer.minimize(loss)}

    test = case(train_tf1=train_tf1)

    def build_tf2_optimizer():
      test.optimizer = tf.keras.optimizers.SGD(test.rate)
      return test.optimizer

    def train_tf2(model, inputs):
      with tf.GradientTape() as tape:
        loss = test.compute_loss(test.call_tf2(model, inputs, True), inputs)
      gradients = tape.gradient(loss, [model.w])
      test.optimizer.apply_gradients(zip(gradients, [model.w], strict=True))
      return {'loss': loss}

    test.build_tf2_optimizer, test.train_tf2 = build_tf2_optimizer, train_tf2
    test.rate = 0.1
    verdict = train(test)
    names = [each.name for each in verdict.outcome.curves.series]
    self.assertIn("outputs['loss']", names)
    test.rate = 0.11
    with self.assertRaisesRegex(
      AssertionError, 'in the learning rate: TF1 0.1'
    ):
      train(test)

  def test_seeds(self):
    verdict = train(case(), seeds=5, steps=4)
    self.assertIn('over 5 seeds the final loss of TF2 differs', str(verdict))
    self.assertIn('the new version ends where the old one does', str(verdict))
    seeds = verdict.outcome.curves.seeds
    self.assertLen(set(seeds.tf1), 5)
    self.assertGreater(seeds.spread, 0.0)


_LEGACY = """
import tensorflow as tf
v1 = tf.compat.v1

def build_tf1(inputs, training):
  return tf.matmul(inputs['x'], v1.get_variable('w', [4, 3]))

def compute_loss(outputs, inputs):
  return tf.reduce_mean(tf.square(outputs - inputs['x'][:, :3]))

def build_tf1_optimizer():
  return v1.train.GradientDescentOptimizer(0.1)
"""


class ReferencesTest(absltest.TestCase):
  def test_another_interpreter(self):
    folder = temporary(self)
    path = os.path.join(folder, 'legacy_curves.py')
    with open(path, 'w', encoding='utf-8') as file:
      file.write(_LEGACY)
    reference = tf_equiv.Tf1Interpreter(
      'legacy_curves', python=sys.executable, sys_path=[folder]
    )
    self.addCleanup(reference.close)
    verdict = train(case(tf1_reference=reference), steps=3)
    self.assertEqual(verdict.outcome.curves.runs, 3)
    self.assertIn('TF1 agrees with itself to 1e-05 in all 3', str(verdict))

  def test_a_recording(self):
    path = os.path.join(temporary(self), 'a.golden')
    recorder = tf_equiv.Golden(path, update=True)
    first = train(case(tf1_reference=recorder), steps=3)
    replay = tf_equiv.Golden(path, update=False)
    second = train(case(tf1_reference=replay), steps=3)
    for one, other in zip(
      first.outcome.curves.series, second.outcome.curves.series, strict=True
    ):
      np.testing.assert_array_equal(one.tf1, other.tf1)
    with self.assertRaisesRegex(tf_equiv.UsageError, 'steps=4|not recorded'):
      train(case(tf1_reference=replay), steps=4)


class FailureTest(parameterized.TestCase):
  def message(self, test, **arguments):
    with self.assertRaises(AssertionError) as caught:
      train(test, **arguments)
    self.verdict = caught.exception.verdict
    return str(caught.exception)

  def test_a_change_in_a_late_step(self):
    def compute_loss_tf2(outputs, inputs):
      loss = Case().compute_loss(outputs, inputs)
      return tf.where(inputs['step'] >= 3, 1.001 * loss, loss)

    message = self.message(case(compute_loss_tf2=compute_loss_tf2))
    self.assertRegex(
      message, r'^Training curves part at step 4 of 6 in the loss: TF1 [\d.]+,'
    )
    self.assertIn('(so do: norm of the gradients', message)
    self.assertIn('loss (1: TF1, 2: TF2, #: both, .: allowed)', message)
    self.assertRegex(message, r'located: Training diverges at step 4 of 4')
    self.assertNotIn('NaN', message)
    self.assertEqual(self.verdict.outcome.curves.leaves.step, 3)
    self.assertEqual(self.verdict.kind, 'real')

  def test_nan_of_tf2_alone(self):
    def compute_loss_tf2(outputs, inputs):
      loss = Case().compute_loss(outputs, inputs)
      return loss * tf.where(inputs['step'] >= 3, np.float32(np.nan), 1.0)

    message = self.message(case(compute_loss_tf2=compute_loss_tf2))
    self.assertStartsWith(
      message,
      'Training fails in TF2 alone: its loss is NaN at step 4 of 6, that of '
      'TF1 is not',
    )
    self.assertNotIn('in TF1 itself', message)

  def test_nan_of_tf1_itself(self):
    def compute_loss(outputs, inputs):
      loss = Case().compute_loss(outputs, inputs)
      return loss * tf.where(inputs['step'] >= 3, np.float32(np.nan), 1.0)

    test = case(compute_loss=compute_loss)
    message = self.message(test)
    self.assertStartsWith(
      message, 'Training fails in TF1 itself: its loss is NaN at step 4 of 6'
    )
    self.assertNotIn('TF2 alone', message)
    self.assertTrue(train(test, equal_nan=True).passed)
    self.assertTrue(train(test, steps=3).passed)

  def test_a_reference_that_does_not_repeat_itself(self):
    numbers = np.random.default_rng(0)

    def build_tf1(inputs, training):
      noise = v1.py_func(
        lambda: numbers.normal(0, 0.01, (6, 3)).astype(np.float32),
        [],
        tf.float32,
      )
      noise.set_shape([6, 3])
      return Case().build_tf1(inputs, training) + noise

    verdict = train(case(build_tf1=build_tf1), steps=3, factor=100.0)
    self.assertIn('TF1 does not repeat itself: the same step', str(verdict))
    self.assertGreater(verdict.outcome.curves.repeats, 1e-4)

  def test_variables_that_do_not_correspond(self):
    message = self.message(case(rename_variable=lambda name: 'other'))
    self.assertStartsWith(message, 'Variables differ')

  def test_vacuous(self):
    def compute_loss(outputs, inputs):
      return tf.reduce_sum(outputs) * 0.0

    message = self.message(case(compute_loss=compute_loss))
    self.assertRegex(message, '^(Vacuous agreement|No update was compared)')

  def test_report(self):
    folder = temporary(self)
    os.environ['TF_EQUIV_REPORT_DIR'] = folder
    self.addCleanup(os.environ.pop, 'TF_EQUIV_REPORT_DIR')
    build = lambda: tf.keras.optimizers.SGD(0.12)  # noqa: E731
    self.message(case(build_tf2_optimizer=build), steps=3)
    (name,) = [n for n in os.listdir(folder) if n.endswith('.json')]
    with open(os.path.join(folder, name), encoding='utf-8') as file:
      report = json.load(file)
    self.assertEqual(report['curves'][0]['name'], 'learning rate')
    self.assertEqual(report['curves'][0]['parts'], 1)
    self.assertLen(report['curves'][0]['tf1'], 3)


class UsageTest(parameterized.TestCase):
  @parameterized.parameters(
    ({'steps': 0}, 'steps must be an int that is positive, got 0'),
    ({'steps': 2.5}, 'steps must be an int'),
    ({'seeds': 3}, 'seeds must be 1 or at least 5, got 3'),
    ({'seeds': 5, 'weights': 'fixed'}, 'seeds must be 1 with weights='),
    ({'runs': 0}, 'runs must be an int that is positive'),
    ({'factor': 0.0}, 'factor must be a positive number, got 0.0'),
    ({'margin': -1}, 'margin must be a positive number, got -1'),
    ({'start_step': -1}, 'start_step must be an int that is not negative'),
    ({'weights': 'other'}, "weights must be 'fixed'"),
  )
  def test_arguments(self, arguments, pattern):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      train(case(), **arguments)

  @parameterized.named_parameters(
    ('generator', lambda: iter(())), ('list', lambda: [])
  )
  def test_exhausted_batches(self, make):
    batches = [Case().make_batch(step) for step in range(3)]
    if isinstance(make(), list):
      make_batch = batches.__getitem__
    else:
      left = itertools.chain(batches, make())
      make_batch = lambda step: next(left)  # noqa: E731
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'make_batch\(3\) raised \w+: the batches are exhausted after 3 of 6',
    ):
      train(case(make_batch=make_batch))

  def test_a_reference_that_cannot_train_freely(self):
    class Steps(tf_equiv.InProcess):
      def submit(self, program, plan):
        return super().submit(program, dataclasses.replace(plan, free_runs=0))

    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'cannot train freely: .* needs the TF1 side in this'
    ):
      train(case(tf1_reference=Steps()))


if __name__ == '__main__':
  absltest.main()
