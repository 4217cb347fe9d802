"""`GuideSteps` makes the documented tests, and `SEED_MODES` obeys the shell."""

import os
import subprocess
import sys
import unittest

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim
from absl.testing import absltest, parameterized
from tf_slim.nets import resnet_v1

v1 = tf.compat.v1
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))

_ONCE = {
  'test_step1_no_new_variables': ('assertNoNewVariables', {}),
  'test_step2_variables_match': ('assertVariablesMatch', {}),
  'test_step3_forward_with_fixed_weights': ('assertForwardEquivalent', {}),
  'test_beyond': ('assertNoDormantDifferences', {}),
}
_PER_MODE = {
  'test_step4_inference_': 'assertForwardEquivalent',
  'test_step4_training_': 'assertTrainingEquivalent',
  'test_gradients_': 'assertGradientsClose',
}


def documented(modes):
  """Returns {test: (assertion, arguments)} for these seed modes."""
  tests = dict(_ONCE)
  for test, assertion in _PER_MODE.items():
    for mode in modes:
      tests[test + mode] = assertion, {'seed_mode': tf_equiv.SeedMode(mode)}
  return tests


def names_of_tests(cls):
  # TensorFlow's TestCase has a method of this name that is no test.
  names = unittest.TestLoader().getTestCaseNames(cls)
  return [name for name in names if name != 'test_session']


def recorded_call(test):
  """Returns (assertion, arguments), the one call that a test makes."""
  calls = []

  class Recorder(tf_equiv.GuideSteps):
    def __getattr__(self, name):
      return lambda **arguments: calls.append((name, arguments))

  getattr(Recorder(), test)()
  (call,) = calls
  return call


class TestsTest(absltest.TestCase):
  def test_documented_tests_and_no_others(self):
    class Steps(tf_equiv.GuideSteps, tf_equiv.MigrationTestCase):
      pass

    modes = [name for name, _ in tf_equiv.SEED_MODES]
    self.assertCountEqual(names_of_tests(Steps), documented(modes))

  def test_each_makes_its_assertion(self):
    modes = [name for name, _ in tf_equiv.SEED_MODES]
    for test, call in documented(modes).items():
      with self.subTest(test):
        self.assertEqual(recorded_call(test), call)
        method = getattr(tf_equiv.GuideSteps, test)
        self.assertEqual(method.__name__, test)
        self.assertTrue(method.__doc__)

  def test_fault_fails_the_steps_that_depend_on_it(self):
    class Net(tf.Module):
      @tf_equiv.track_tf1_style_variables
      def __call__(self, x, training):
        return net(x, 0.3, training)

    def net(x, rate, training):
      x = v1.layers.dense(x, 8, name='dense')
      return v1.layers.dropout(x, rate, training=training)

    class WrongDropout(tf_equiv.GuideSteps, tf_equiv.MigrationTestCase):
      def make_inputs(self):
        return np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)

      def build_tf1(self, inputs, training):
        return net(inputs, 0.4, training)

      def build_tf2(self):
        return Net()

    suite = unittest.TestSuite(map(WrongDropout, names_of_tests(WrongDropout)))
    result = unittest.TestResult()
    suite.run(result)
    self.assertEmpty(result.errors)
    self.assertEqual(result.testsRun, len(names_of_tests(WrongDropout)))
    failed = [test.id().split('.')[-1] for test, _ in result.failures]
    self.assertCountEqual(
      failed,
      [
        test
        for test in names_of_tests(WrongDropout)
        if test.startswith(('test_step4_training', 'test_gradients'))
      ],
    )


class EnvironmentVariableTest(parameterized.TestCase):
  """TF_EQUIV_SEED_MODES is read when tf_equiv is imported."""

  def run_python(self, modes):
    environment = dict(
      os.environ,
      PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]),
      TF_CPP_MIN_LOG_LEVEL='3',
    )
    environment.pop('TF_EQUIV_SEED_MODES', None)
    if modes is not None:
      environment['TF_EQUIV_SEED_MODES'] = modes
    code = (
      'import tf_equiv\n'
      'print(*(name for name, _ in tf_equiv.SEED_MODES))\n'
      'print(*(n for n in dir(tf_equiv.GuideSteps) if n[:5] == "test_"))'
    )
    return subprocess.run(
      [sys.executable, '-c', code],
      env=environment,
      capture_output=True,
      text=True,
      timeout=300,
    )

  @parameterized.named_parameters(
    ('unset', None, ['constant', 'num_random_ops']),
    ('empty', '', ['constant', 'num_random_ops']),
    ('one', 'num_random_ops', ['num_random_ops']),
    ('two', ' num_random_ops,constant, ', ['num_random_ops', 'constant']),
  )
  def test_restricts_modes_and_tests(self, value, modes):
    done = self.run_python(value)
    self.assertEqual(done.returncode, 0, done.stderr)
    shown_modes, shown_tests = done.stdout.splitlines()
    self.assertEqual(shown_modes.split(), modes)
    self.assertCountEqual(shown_tests.split(), documented(modes))

  def test_unknown_mode(self):
    done = self.run_python('constant,random')
    self.assertNotEqual(done.returncode, 0)
    self.assertEndsWith(
      done.stderr.strip(),
      "UsageError: The environment variable TF_EQUIV_SEED_MODES='constant,"
      "random': Unknown seed_mode 'random'; expected one of 'constant', "
      "'num_random_ops'.",
    )


class SeedModesTest(parameterized.TestCase, tf_equiv.MigrationTestCase):
  """`SEED_MODES` feeds `named_parameters`."""

  @parameterized.named_parameters(*tf_equiv.SEED_MODES)
  def test_mode(self, mode):
    self.assertIsInstance(mode, tf_equiv.SeedMode)
    self.assertEndsWith(self.id(), '.test_mode_' + mode.value)


def resnet(images, training):
  with slim.arg_scope(resnet_v1.resnet_arg_scope()):
    logits, _ = resnet_v1.resnet_v1_50(images, 10, is_training=training)
  return logits


class Resnet(tf.keras.layers.Layer):
  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    return resnet(inputs, bool(training))


class ResnetTest(tf_equiv.GuideSteps, tf_equiv.MigrationTestCase):
  """A network with batch normalization, as tf_slim has it, passes."""

  def make_inputs(self):
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3))
    return images.astype(np.float32)

  def build_tf1(self, inputs, training):
    return resnet(inputs, training)

  def build_tf2(self):
    return Resnet()


if __name__ == '__main__':
  absltest.main()
