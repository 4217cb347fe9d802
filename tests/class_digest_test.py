"""Tests of a class that fail for one cause are told of in one digest."""

import io
import re
import unittest

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1


def network(inputs, training=False, epsilon=1e-3, alpha=0.2):
  net = v1.layers.dense(inputs, 8, name='first')
  net = v1.layers.batch_normalization(
    net, training=training, epsilon=epsilon, name='norm'
  )
  net = tf.nn.leaky_relu(net, alpha)
  return v1.layers.dense(net, 3, name='out')


class Migrated(tf.keras.layers.Layer):
  def __init__(self, **arguments):
    super().__init__()
    self.arguments = arguments

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    return network(inputs, bool(training), **self.arguments)


def make_class(base=tf_equiv.MigrationTestCase, fault=None, **tests):
  """Makes a test class whose TF2 side may have faults.

  Args:
    base: what it is derived from.
    fault: arguments of the network in TF2.
    **tests: the tests by name.
  """

  class NetTest(base):
    def make_inputs(self):
      return np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)

    def build_tf1(self, inputs, training):
      return network(inputs, training)

    def build_tf2(self):
      return Migrated(**(fault or {}))

  NetTest.__qualname__ = 'NetTest'
  for name, test in tests.items():
    setattr(NetTest, name, test)
  return NetTest


def forward(self):
  self.assertForwardEquivalent()


def training(self):
  self.assertForwardEquivalent(training=True)


def gradients(self):
  self.assertGradientsClose()


def variables(self):
  self.assertVariablesMatch()


def run(*classes, **keywords):
  """Runs classes; returns (result, what the runner prints before its list)."""
  suite = unittest.TestSuite(
    unittest.defaultTestLoader.loadTestsFromTestCase(cls) for cls in classes
  )
  stream = io.StringIO()
  result = unittest.TextTestRunner(stream, **keywords).run(suite)
  return result, stream.getvalue().split('=' * 70)[0]


def digest_of(text):
  """Returns the lines from the head of a digest on."""
  end = r'(?=\n\n|\n-{70}|\n[.FEsu]+\n|\Z)'
  (found,) = re.findall(r'^NetTest: .*?' + end, text, re.M | re.S)
  return found.splitlines()


class CausesTest(parameterized.TestCase):
  def test_one_fault_that_all_see_is_one_cause(self):
    cls = make_class(
      fault={'epsilon': 1e-1},
      test_forward=forward,
      test_gradients=gradients,
      test_training=training,
      test_variables=variables,
    )
    result, text = run(cls)
    self.assertLen(result.failures, 3)
    lines = digest_of(text)
    self.assertEqual(lines[0], 'NetTest: 3 of 4 tests fail, for 1 cause:')
    self.assertRegex(lines[1], r'^  1\. TF1 norm/\S+ \(\w+\)  at \S+_test\.py:')
    self.assertRegex(lines[2], r'^     TF2 \S*norm/\S+ \(\w+\)  at \S+\.py:')
    self.assertIn('epsilon', '\n'.join(lines[3:-1]))
    self.assertEqual(
      lines[-1], '     3 tests: test_forward, test_gradients, test_training'
    )
    self.assertNotIn('\n  2. ', text)
    self.assertNotIn('test_variables', text)

  def test_two_faults_are_two_causes(self):
    def renamed(self):
      self.rename_variable = lambda name: name.replace('first', 'second')
      self.assertVariablesMatch()

    def renamed_forward(self):
      self.rename_variable = lambda name: name.replace('first', 'second')
      self.assertForwardEquivalent()

    cls = make_class(
      fault={'alpha': 0.3},
      test_forward=forward,
      test_training=training,
      test_gradients=gradients,
      test_renamed=renamed,
      test_renamed_forward=renamed_forward,
    )
    _, text = run(cls)
    lines = digest_of(text)
    self.assertEqual(lines[0], 'NetTest: 5 of 5 tests fail, for 2 causes:')
    second = next(i for i, line in enumerate(lines) if line[:5] == '  2. ')
    self.assertIn('LeakyRelu', lines[1])
    self.assertIn('0.2', '\n'.join(lines[1:second]))
    self.assertIn('0.3', '\n'.join(lines[1:second]))
    self.assertEqual(
      lines[second:],
      [
        '  2. Variables differ: 2 missing in TF2, 2 extra in TF2',
        '     2 tests: test_renamed, test_renamed_forward',
      ],
    )

  def test_faults_of_one_network(self):
    cls = make_class(
      fault={'alpha': 0.3, 'epsilon': 1e-1},
      test_forward=forward,
      test_gradients=gradients,
    )
    _, text = run(cls)
    lines = digest_of(text)
    self.assertEqual(lines[0], 'NetTest: 2 of 2 tests fail, for 2 causes:')
    self.assertEqual(
      lines.count('     2 tests: test_forward, test_gradients'), 2
    )

  def test_other_failures_are_causes_by_what_they_say(self):
    def other(self):
      self.assertEqual(1, 2)

    def broken(self):
      raise OSError('no disk\x1b[2J\nmore')

    cls = make_class(
      test_a=other, test_b=other, test_broken=broken, test_ok=forward
    )
    result, text = run(cls)
    self.assertLen(result.errors, 1)
    self.assertEqual(
      digest_of(text),
      [
        'NetTest: 3 of 4 tests fail, for 2 causes:',
        '  1. AssertionError: 1 != 2',
        '     2 tests: test_a, test_b',
        '  2. OSError: no disk\\x1b[2J',
        '     1 test: test_broken',
      ],
    )


class SilentTest(parameterized.TestCase):
  """Nothing is said where a digest would say nothing more."""

  def assertSilent(self, *classes):
    result, text = run(*classes)
    self.assertNotIn('fail, for', text)
    self.assertNotIn('cause', text)
    return result

  def test_clean(self):
    cls = make_class(test_forward=forward, test_gradients=gradients)
    self.assertTrue(self.assertSilent(cls).wasSuccessful())
    self.assertNotIn('_tf_equiv_shared', vars(cls))

  def test_one_failure(self):
    def fails(self):
      self.fail('alone')

    cls = make_class(test_forward=forward, test_other=fails)
    self.assertLen(self.assertSilent(cls).failures, 1)

  def test_what_is_expected_to_fail_has_not_failed(self):
    def caught(self):
      with self.assertRaises(AssertionError):
        self.assertForwardEquivalent()

    def skipped(self):
      raise unittest.SkipTest('not here')

    def fails(self):
      self.fail('alone')

    cls = make_class(
      fault={'alpha': 0.3},
      test_caught=caught,
      test_caught_too=caught,
      test_expected=unittest.expectedFailure(forward),
      test_skipped=skipped,
      test_fails=fails,
    )
    result = self.assertSilent(cls)
    self.assertLen(result.failures, 1)
    self.assertLen(result.expectedFailures, 1)

  def test_unexpected_success_is_no_cause(self):
    def fails(self):
      self.fail('alone')

    cls = make_class(
      test_fails=fails, test_expected=unittest.expectedFailure(variables)
    )
    self.assertLen(self.assertSilent(cls).unexpectedSuccesses, 1)


class RunTest(parameterized.TestCase):
  """What counts as a test, and where the digest is printed."""

  def test_skipped_tests_do_not_count(self):
    def fails(self):
      self.fail('so')

    def skipped(self):
      self.skipTest('not here')

    cls = make_class(test_a=fails, test_b=fails, test_c=skipped)
    _, text = run(cls)
    self.assertStartsWith(
      digest_of(text)[0], 'NetTest: 2 of 2 tests fail, for 1 cause:'
    )

  def test_subtests_are_parts_of_one_test(self):
    def parts(self):
      for text in ('one', 'two', 'one', ''):
        with self.subTest(text=text):
          if text:
            self.fail(text)

    def one(self):
      self.fail('one')

    _, text = run(make_class(test_one=one, test_parts=parts))
    self.assertEqual(
      digest_of(text),
      [
        'NetTest: 2 of 2 tests fail, for 2 causes:',
        '  1. AssertionError: one',
        '     2 tests: test_one, test_parts',
        '  2. AssertionError: two',
        '     1 test: test_parts',
      ],
    )
    _, text = run(make_class(test_parts=parts))
    self.assertNotIn('fail, for', text)

  def test_derived_classes_have_their_own(self):
    def fails(self):
      self.fail(self.reason)

    base = make_class(test_a=fails, test_b=fails)
    base.reason = 'base'
    derived = make_class(base, test_c=fails)
    derived.reason = 'derived'
    derived.__qualname__ = 'DerivedTest'
    _, text = run(base, derived)
    self.assertEqual(
      digest_of(text),
      [
        'NetTest: 2 of 2 tests fail, for 1 cause:',
        '  1. AssertionError: base',
        '     2 tests: test_a, test_b',
      ],
    )
    self.assertIn(
      '\nDerivedTest: 3 of 3 tests fail, for 1 cause:\n'
      '  1. AssertionError: derived\n'
      '     3 tests: test_a, test_b, test_c\n',
      text,
    )

  def test_a_test_that_runs_again_counts_once(self):
    runs = []

    def flaky(self):
      runs.append(self)
      if len(runs) == 1:
        self.fail('first time')

    def fails(self):
      self.fail('so')

    cls = make_class(test_flaky=flaky, test_other=fails)
    cls.setUpClass()
    result = unittest.TextTestResult(stream := io.StringIO(), False, 0)
    for name in ('test_flaky', 'test_flaky', 'test_other'):
      self.assertIs(cls(name).run(result), result)
    cls.tearDownClass()
    self.assertLen(result.failures, 2)
    self.assertEqual(stream.getvalue(), '')

  def test_errors_after_a_test_belong_to_it(self):
    def cleanup(self):
      self.addCleanup(self.fail, 'cleanup')
      self.fail('body')

    def fails(self):
      self.fail('body')

    _, text = run(make_class(test_a=cleanup, test_b=fails), buffer=True)
    self.assertEqual(
      digest_of(text),
      [
        'NetTest: 2 of 2 tests fail, for 2 causes:',
        '  1. AssertionError: body',
        '     2 tests: test_a, test_b',
        '  2. AssertionError: cleanup',
        '     1 test: test_a',
      ],
    )

  def test_many_are_capped(self):
    def fails(self):
      self.fail(self._testMethodName)

    def same(self):
      self.fail('same')

    tests = {f'test_{i:02}': fails for i in range(12)}
    tests.update({f'test_same_{i:02}': same for i in range(10)})
    lines = digest_of(run(make_class(**tests))[1])
    self.assertEqual(lines[0], 'NetTest: 22 of 22 tests fail, for 13 causes:')
    self.assertEqual(
      lines[2],
      '     10 tests: %s and 2 more'
      % ', '.join(f'test_same_{i:02}' for i in range(8)),
    )
    self.assertEqual(lines[-1], '... and 3 more')

  def test_a_runner_that_knows_no_subtests(self):
    class Result:
      failures = ()

      def __init__(self):
        self.errors = []

      def startTest(self, test):
        pass

      stopTest = addSuccess = startTest

      def addFailure(self, test, error):
        self.errors.append(error[1])

      addError = addFailure

    def fails(self):
      with self.subTest():
        self.fail('so')

    result = Result()
    cls = make_class(test_a=fails)
    cls('test_a').run(result)
    self.assertEqual(list(map(str, result.errors)), ['so'])
    cls.tearDownClass()

  def test_alone(self):
    cls = make_class(test_forward=forward)
    result = cls('test_forward').run()
    self.assertEmpty(result.failures + result.errors)
    cls.tearDownClass()


if __name__ == '__main__':
  absltest.main()
