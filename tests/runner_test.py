"""Failures read well under each test runner, and tests can be sharded."""

import functools
import os
import re
import subprocess
import sys

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest, parameterized

_PACKAGE = os.path.dirname(os.path.abspath(tf_equiv.__file__))
_FOLDER = os.path.dirname(os.path.abspath(__file__))
_HELPER = 'runner_test_helper'

# (name, command line, whether it prints tracebacks as unittest does)
_RUNNERS = (
  ('absltest', (_HELPER + '.py',), True),
  ('unittest', ('-m', 'unittest', _HELPER), True),
  (
    'pytest',
    ('-m', 'pytest', '-p', 'no:cacheprovider', '--color=no', _HELPER + '.py'),
    False,
  ),
)


@functools.cache
def run_helper(*arguments, **environment):
  """Runs the helper in a fresh process; returns (exit status, all output)."""
  env = {
    name: value
    for name, value in os.environ.items()
    # What this test got from its own runner.
    if not name.startswith(('TEST_', 'TESTBRIDGE_', 'PYTEST_', 'XML_'))
  }
  env.pop('TF_EQUIV_SEED_MODES', None)
  # Users of `python -m unittest` find their test in the current folder.
  env.pop('PYTHONSAFEPATH', None)
  env['PYTHONPATH'] = os.pathsep.join([os.path.dirname(_PACKAGE), *sys.path])
  env.update(environment)
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', *arguments],
    cwd=_FOLDER,
    env=env,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout


def failure_of(output, test, as_unittest):
  """Returns the part of a runner's output that is about a failed test."""
  if as_unittest:
    # Since Python 3.11 the name of the method follows that of the class.
    start = r'^FAIL: test_forward \([\w.]*%s(?:\.test_forward)?\)\n' % test
    end = r'\n\n'
  else:
    start, end = r'^_+ %s\.test_forward _+\n' % test, r'\n(_+|=+) '
  parts = re.split(start, output, maxsplit=1, flags=re.MULTILINE)
  return re.split(end, parts[1])[0]


class FailureTest(parameterized.TestCase):
  def run_helper(self, arguments):
    status, output = run_helper(*arguments)
    self.assertEqual(status, 1, output)
    return output

  def failure(self, test, arguments, as_unittest):
    return failure_of(self.run_helper(arguments), test, as_unittest)

  @parameterized.named_parameters(*_RUNNERS)
  def test_output_differs(self, arguments, as_unittest):
    text = self.failure('OutputFaultTest', arguments, as_unittest)
    self.assertIn(
      "AssertionError: Outputs differ: 1 of 1, first outputs['scores'] "
      '(inference, fixed weights)\n',
      text,
    )
    self.assertIn("outputs['scores']  float32[5, 2]: 10 of 10 elements", text)
    self.assertRegex(text, r'\n *(E +)?Next: \w+')

  @parameterized.named_parameters(*_RUNNERS)
  def test_variable_differs(self, arguments, as_unittest):
    text = self.failure('VariableFaultTest', arguments, as_unittest)
    self.assertIn(
      'AssertionError: Variables differ: 2 missing in TF2, 2 extra in TF2; '
      'outputs were not compared',
      text,
    )
    self.assertIn('net/hidden/kernel', text)
    self.assertRegex(text, r'\n *(E +)?Next: .*rename_variable')

  @parameterized.named_parameters(*_RUNNERS)
  def test_traceback_ends_at_the_assertion(self, arguments, as_unittest):
    for test in ('OutputFaultTest', 'VariableFaultTest'):
      text = self.failure(test, arguments, as_unittest)
      if as_unittest:
        frames = re.findall(r'^  File "(.*)", line \d+', text, flags=re.M)
      else:
        frames = re.findall(r'^([^\s:]+):\d+: ', text, flags=re.M)
      self.assertLen(frames, 1, text)
      self.assertEqual(os.path.basename(frames[0]), _HELPER + '.py')
      self.assertIn('self.assertForwardEquivalent()\n', text)
      self.assertNotIn('During handling of', text)
      self.assertNotIn(_PACKAGE + os.sep, text)

  @parameterized.named_parameters(*_RUNNERS)
  def test_the_others_pass(self, arguments, as_unittest):
    output = self.run_helper(arguments)
    if as_unittest:
      self.assertIn('\nFAILED (failures=2, skipped=', output)
    else:
      self.assertIn(' 2 failed, 10 passed', output)


class ShardingTest(absltest.TestCase):
  """Bazel's `shard_count` sets these variables, which absltest obeys."""

  def names_of_run(self, **environment):
    _, output = run_helper(_HELPER + '.py', **environment)
    return re.findall(r'^\[ RUN +\] (\S+)$', output, flags=re.M)

  def test_shards_share_out_the_tests(self):
    everything = self.names_of_run()
    steps = [test for test in everything if test.startswith('StepsTest.test_')]
    self.assertContainsSubset(
      ['StepsTest.test_step1_no_new_variables', 'StepsTest.test_session'], steps
    )
    shards = [
      self.names_of_run(TEST_TOTAL_SHARDS='3', TEST_SHARD_INDEX=str(index))
      for index in range(3)
    ]
    self.assertCountEqual(sum(shards, []), everything)
    for shard in shards:
      self.assertGreater(len(set(shard).intersection(steps)), 1)

  def test_one_seed_mode_as_the_bazel_macro_runs_it(self):
    tests = self.names_of_run(TF_EQUIV_SEED_MODES='constant')
    self.assertIn('StepsTest.test_step4_training_constant', tests)
    self.assertNotIn('num_random_ops', ' '.join(tests))


if __name__ == '__main__':
  absltest.main()
