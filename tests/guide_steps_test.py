"""`GuideSteps` makes the documented tests, and `SEED_MODES` obeys the shell."""

import unittest

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim
from absl.testing import absltest, parameterized
from tf_slim.nets import resnet_v1

from tests.compat import fresh_python

v1 = tf.compat.v1

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
    code = (
      'import os\n'
      'os.environ.update(%r)\n'
      'import tf_equiv\n'
      'print(*(name for name, _ in tf_equiv.SEED_MODES))\n'
      'print(*(n for n in dir(tf_equiv.GuideSteps) if n[:5] == "test_"))'
    ) % ({} if modes is None else {'TF_EQUIV_SEED_MODES': modes})
    return fresh_python.run(code, 'import tensorflow', TF_USE_LEGACY_KERAS='1')

  @parameterized.named_parameters(
    ('unset', None, ['constant', 'num_random_ops']),
    ('empty', '', ['constant', 'num_random_ops']),
    ('one', 'num_random_ops', ['num_random_ops']),
    ('two', ' num_random_ops,constant, ', ['num_random_ops', 'constant']),
  )
  def test_restricts_modes_and_tests(self, value, modes):
    status, output = self.run_python(value)
    self.assertEqual(status, 0, output)
    shown_modes, shown_tests = output.splitlines()
    self.assertEqual(shown_modes.split(), modes)
    self.assertCountEqual(shown_tests.split(), documented(modes))

  def test_unknown_mode(self):
    status, output = self.run_python('constant,random')
    self.assertNotEqual(status, 0)
    self.assertEndsWith(
      output.strip(),
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
  """The public network with two units in each block, of fewer channels."""
  blocks = [
    resnet_v1.resnet_v1_block('block%d' % i, depth, num_units=2, stride=stride)
    for i, (depth, stride) in enumerate(((16, 2), (32, 2), (64, 2), (128, 1)))
  ]
  with slim.arg_scope(resnet_v1.resnet_arg_scope()):
    logits, _ = resnet_v1.resnet_v1(
      images, blocks, 10, is_training=training, scope='resnet_v1'
    )
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
