"""Assertions write reports, whatever fails, and wherever they are told to."""

import errno
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl import flags
from absl.testing import absltest, flagsaver, parameterized

from tf_equiv import reporting
from tf_equiv.report import files, html

v1 = tf.compat.v1
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


def legacy(inputs, training, epsilon=1e-3):
  with v1.variable_scope('net'):
    net = v1.layers.dense(inputs, 8, name='first')
    net = v1.layers.batch_normalization(
      net, training=training, epsilon=epsilon, name='bn'
    )
    net = v1.layers.dropout(net, 0.4, training=training)
    return {'scores': v1.layers.dense(net, 3, name='scores')}


class Migrated(tf.keras.layers.Layer):
  def __init__(self, draws=0, counts=False, **arguments):
    super().__init__()
    self.arguments, self.draws, self.counts = arguments, draws, counts

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    for _ in range(self.draws):
      tf.random.normal((2, 2))
    if self.counts:
      tf.Variable(1.0, name='counter')
    return legacy(inputs, bool(training), **self.arguments)


class Pair(tf_equiv.MigrationTestCase):
  """A pair whose TF2 side has a fault on demand."""

  fault: dict = {}
  rate = 1e-3

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return legacy(inputs, training)

  def build_tf2(self):
    return Migrated(**self.fault)

  def build_tf1_optimizer(self):
    return v1.train.GradientDescentOptimizer(1e-3)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.legacy.SGD(self.rate)

  def test_it(self):
    """Makes the pair a test, with a name."""


def pair(fault=None, **attributes):
  case = Pair('test_it')
  case.fault = fault or {}
  for name, value in attributes.items():
    setattr(case, name, value)
  return case


class ReportTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.enterContext(self.environment(TF_EQUIV_REPORT_DIR=self.folder))

  def environment(self, **variables):
    """An environment without what this test's own runner says."""
    kept = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('TEST_UNDECLARED', 'TF_EQUIV_', 'TEST_TARGET'))
    }
    return mock.patch.dict(os.environ, {**kept, **variables}, clear=True)

  def enterContext(self, context):  # New in Python 3.11.
    value = context.__enter__()
    self.addCleanup(context.__exit__, None, None, None)
    return value

  def failure(self, assertion, *arguments, **keywords):
    """Returns (message, report as data, page) of a failing assertion."""
    with self.assertRaises(AssertionError) as raised:
      assertion(*arguments, **keywords)
    message = str(raised.exception)
    last = message.splitlines()[-1]
    self.assertStartsWith(last, 'Report: ' + self.folder)
    return (message, *self.read(last[len('Report: ') :]))

  def read(self, path):
    self.assertEndsWith(path, '.html')
    with open(path[: -len('html')] + 'json', encoding='utf-8') as file:
      report = json.load(file)
    with open(path, encoding='utf-8') as file:
      return report, file.read()


class FailuresTest(ReportTestCase):
  """Each kind of failure has a report with what is known of it."""

  def test_outputs(self):
    case = pair({'epsilon': 1e-2})
    case.assertVariablesMatch()
    message, report, page = self.failure(case.assertForwardEquivalent)
    self.assertStartsWith(message, 'Outputs differ: 1 of 1')
    lines = message.splitlines()
    self.assertRegex(lines[-2], '^(Next: |      )')
    self.assertEqual(report['message'], '\n'.join(lines[:-1]))
    name = 'Pair.test_it-assertForwardEquivalent'
    self.assertCountEqual(
      os.listdir(self.folder),
      [
        name + ending
        for ending in ('.html', '.json', '_repro.py', '_repro.npz')
      ],
    )
    self.assertEqual(
      report['reproductions'],
      [
        {
          'place': 1,
          'file': name + '_repro.py',
          'repaired': True,
          'problem': '',
        }
      ],
    )
    self.assertIn(f'{name}_repro.py: it shows the difference', page)
    self.assertEqual(report['kind'], 'real')
    self.assertIn('net/bn', report['parting']['tf1']['name'])
    self.assertIn('reports_test.py', report['parting']['tf1']['line'])
    self.assertTrue(any(layer['differs'] for layer in report['layers']))
    self.assertEqual(
      [step['assertion'] for step in report['earlier']],
      ['assertVariablesMatch'],
    )
    self.assertLen(report['variables'], 8)
    self.assertEqual(report['settings']['weights'], 'fixed by reset_weights')
    self.assertIn('float32[16, 5]', report['settings']['inputs'])
    for side in ('TF1', 'TF2'):
      self.assertEqual(
        report['environments'][side]['tensorflow'], tf.__version__
      )
    self.assertIn('<svg', page)
    self.assertIn('First divergence', page)

  def test_variables(self):
    case = pair(rename_variable=lambda name: name.replace('first', 'second'))
    _, report, page = self.failure(case.assertVariablesMatch)
    problems = [row['problem'] for row in report['variables'] if row['problem']]
    self.assertCountEqual(
      problems,
      ['extra in TF2'] * 2
      + [
        'missing in TF2 (expected as net/second/%s)' % name
        for name in ('bias', 'kernel')
      ],
    )
    self.assertIn('expected as net/second/kernel', page)
    message, report, _ = self.failure(case.assertForwardEquivalent)
    self.assertIn('outputs were not compared', message)
    self.assertCountEqual(report['environments'], ['TF1', 'TF2'])

  def test_new_variables(self):
    message, report, page = self.failure(
      pair({'counts': True}).assertNoNewVariables
    )
    self.assertIn('counter', ' '.join(report['evidence']))
    self.assertIn(report['evidence'][0].partition("'")[0], page)
    self.assertIn(report['headline'], message)

  def test_draws(self):
    case = pair({'draws': 1})
    _, report, page = self.failure(
      case.assertForwardEquivalent, seed_mode='num_random_ops'
    )
    first = report['draws'][0]
    self.assertIsNone(first['tf1'])
    self.assertEqual(first['tf2']['mark'], 'only in TF2')
    self.assertEqual([row['same'] for row in report['draws']].count(False), 1)
    initial = [row for row in report['variables'] if row['errors']]
    self.assertEqual(initial[0]['errors'][0]['stage'], 'initial value')
    self.assertFalse(initial[0]['errors'][0]['passed'])
    self.assertIn('<strong class="bad">only in TF2</strong>', page)

  def test_gradients(self):
    class Stopped(Pair):
      def compute_loss_tf2(self, outputs, inputs):
        return 1.5 * self.compute_loss(outputs, inputs)

    _, report, page = self.failure(Stopped('test_it').assertGradientsClose)
    rows = report['comparisons']['gradients']
    self.assertLen(rows, 6)
    self.assertFalse(rows[0]['passed'])
    self.assertIn('<h2 id="gradients">', page)

  def test_training_steps(self):
    case = pair(rate=2e-3)
    _, report, page = self.failure(case.assertTrainingEquivalent, steps=3)
    self.assertEqual([s['number'] for s in report['training']], [1, 2, 3])
    for step in report['training']:
      first, second = step['scalars']['loss']
      self.assertAlmostEqual(first, second, places=4)
      self.assertIn('variables', [group['name'] for group in step['groups']])
    stages = {e['stage'] for row in report['variables'] for e in row['errors']}
    self.assertContainsSubset(['after step 1', 'after step 3'], stages)
    self.assertIn('<h2 id="training">', page)
    self.assertIn('training step</text>', page)

  def test_checkpoint(self):
    path = os.path.join(self.folder, 'model')
    names = {'net/first/kernel': (5, 8), 'net/first/bias': (8,)}
    tf.raw_ops.SaveV2(
      prefix=path,
      tensor_names=list(names),
      shape_and_slices=[''] * 2,
      tensors=[tf.zeros(shape) for shape in names.values()],
    )
    message, report, _ = self.failure(pair().assertCheckpointEquivalent, path)
    self.assertIn('checkpoint', message)
    self.assertEqual(report['assertion'], 'assertCheckpointEquivalent')
    self.assertNotEmpty(report['evidence'])

  def test_message_of_the_user(self):
    message, _, _ = self.failure(
      pair({'epsilon': 1e-2}).assertForwardEquivalent, msg='see ticket 7'
    )
    self.assertIn('see ticket 7', message.splitlines()[-2])

  def test_second_failure_of_a_test(self):
    case = pair({'epsilon': 1e-2})
    self.failure(case.assertForwardEquivalent)
    message, report, _ = self.failure(case.assertForwardEquivalent)
    self.assertEndsWith(message, 'assertForwardEquivalent-2.html')
    self.assertEqual([step['passed'] for step in report['earlier']], [False])

  def test_steps_are_those_of_one_run(self):
    case = pair()
    for _ in range(2):
      verdict = case.assertVariablesMatch()
      self.assertEmpty(verdict.earlier)
      case.doCleanups()


class WhenTest(ReportTestCase):
  """Which assertions write a report, and where."""

  def last_line(self, case=None):
    case = case or pair(rename_variable=lambda name: 'x' + name)
    with self.assertRaises(AssertionError) as raised:
      case.assertVariablesMatch()
    return str(raised.exception).splitlines()[-1]

  def test_no_directory_no_report(self):
    with self.environment():
      self.assertNotIn('Report', self.last_line())

  def test_pass_writes_nothing(self):
    self.assertEqual(pair().assertVariablesMatch().report, '')
    self.assertEmpty(os.listdir(self.folder))

  def test_pass_on_request(self):
    with self.environment(
      TF_EQUIV_REPORT_DIR=self.folder, TF_EQUIV_REPORT='always'
    ):
      verdict = pair().assertVariablesMatch()
    report, page = self.read(verdict.report)
    self.assertEqual(report['result'], 'pass')
    self.assertEqual(report['message'], str(verdict))
    self.assertIn('pass: tests', page.replace('__main__', 'tests'))

  def test_never(self):
    with self.environment(
      TF_EQUIV_REPORT_DIR=self.folder, TF_EQUIV_REPORT='never'
    ):
      self.assertNotIn('Report', self.last_line())
    self.assertEmpty(os.listdir(self.folder))

  def test_unknown_mode(self):
    with self.environment(
      TF_EQUIV_REPORT_DIR=self.folder, TF_EQUIV_REPORT='sometimes'
    ):
      self.assertEqual(
        self.last_line(),
        "Report: could not be written (BadModeError: TF_EQUIV_REPORT='"
        "sometimes'; expected always, failures, never)",
      )
      self.assertTrue(pair().assertVariablesMatch())

  def test_bazel(self):
    outputs = os.path.join(self.folder, 'test.outputs')
    with self.environment(
      TEST_UNDECLARED_OUTPUTS_DIR=outputs,
      TF_EQUIV_REPORT_DIR=self.folder,
      TEST_TARGET='//net:net_test',
    ):
      line = self.last_line()
    self.assertStartsWith(line, 'Report: ' + outputs + os.sep)
    report, page = self.read(line[len('Report: ') :])
    self.assertEqual(
      report['rerun']['Bazel'],
      'bazel test //net:net_test --test_filter=Pair.test_it',
    )
    self.assertIn(report['rerun']['Bazel'], page)

  def test_flags(self):
    other = os.path.join(self.folder, 'other')
    if not flags.FLAGS.is_parsed():  # by pytest
      flags.FLAGS.mark_as_parsed()
      self.addCleanup(flags.FLAGS.unparse_flags)
    with flagsaver.flagsaver(tf_equiv_report_dir=other):
      self.assertStartsWith(self.last_line(), 'Report: ' + other)
      with flagsaver.flagsaver(tf_equiv_report='never'):
        self.assertNotIn('Report', self.last_line())
    with self.assertRaises(ValueError):
      flags.FLAGS['tf_equiv_report'].parser.parse('sometimes')

  def test_flags_are_defined_once(self):
    code = (
      'import importlib, sys\n'
      'from tf_equiv import reporting\n'
      'importlib.reload(reporting)\n'
      'from absl import flags\n'
      'flags.FLAGS(["x", "--tf_equiv_report=always"])\n'
      'print(reporting._flag("tf_equiv_report"))\n'
    )
    done = run(['-c', code])
    self.assertEqual(done.stdout, 'always\n', done.stderr)

  def test_locate_divergence(self):
    verdict = pair({'epsilon': 1.0001e-3}).locateDivergence()
    self.assertEqual(verdict.report, '')
    path = tf_equiv.write_report(verdict, self.folder)
    report, page = self.read(path)
    self.assertEqual(report['result'], 'differs')
    self.assertIn('net/bn', report['headline'])
    self.assertNotEmpty(report['layers'])
    self.assertIn('First divergence', page)

  def test_verdict_of_a_pass(self):
    verdict = pair().assertForwardEquivalent()
    report, _ = self.read(tf_equiv.write_report(verdict, self.folder))
    self.assertEqual(report['result'], 'pass')
    self.assertEqual(report['groups'][0]['differing'], 0)
    self.assertIn('respond to', report['power'])


class RobustnessTest(ReportTestCase):
  """Nothing that goes wrong with a report hides the failure."""

  def message(self):
    case = pair({'epsilon': 1e-2})
    with self.assertRaises(AssertionError) as raised:
      case.assertForwardEquivalent()
    message = str(raised.exception)
    self.assertStartsWith(message, "Outputs differ: 1 of 1, first outputs['sco")
    self.assertRegex(message, r'\nNext: ')
    return message.splitlines()[-1]

  def test_folder_that_cannot_be_made(self):
    path = os.path.join(self.folder, 'file')
    with open(path, 'w', encoding='utf-8'):
      pass
    with self.environment(TF_EQUIV_REPORT_DIR=path):
      self.assertRegex(
        self.message(),
        r'^Report: could not be written \(FileExistsError: .*file',
      )

  def test_full_disk(self):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(files, 'write', side_effect=error):
      self.assertEqual(
        self.message(),
        'Report: could not be written (OSError: [Errno 28] No space left on '
        'device)',
      )
    self.assertEmpty(os.listdir(self.folder))

  def test_error_in_the_template(self):
    with mock.patch.object(html, '_read', lambda name: '{{ nothing.there }}'):
      line = self.message()
    self.assertRegex(
      line,
      r'^Report \(the HTML page could not be made: UndefinedError: '
      r"'nothing' is undefined\): .*\.json$",
    )

  def test_without_the_packages(self):
    blocked = {'jinja2': None, 'matplotlib': None}
    with mock.patch.dict(sys.modules, blocked):
      line = self.message()
    self.assertRegex(
      line,
      r'^Report \(Jinja2 and Matplotlib are not installed, so there is no HTML '
      r"page; for it: pip install 'tf_equiv\[report\]'\): .*\.json$",
    )
    self.assertLen(glob.glob(os.path.join(self.folder, '*.json')), 1)
    self.assertEmpty(glob.glob(os.path.join(self.folder, '*.html')))

  def test_anything_else(self):
    with mock.patch.object(
      reporting.writer, 'write', side_effect=RuntimeError('what\never')
    ):
      self.assertEqual(
        self.message(), 'Report: could not be written (RuntimeError: what)'
      )


_TEST_FILE = """
import tf_equiv
import numpy as np
from absl.testing import absltest

class ScaleTest(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.arange(1.0, 5.0)
  def build_tf1(self, inputs, training):
    return 2.0 * inputs
  def build_tf2(self):
    return lambda x: 3.0 * x
  def test_a(self):
    self.assertForwardEquivalent()
  def test_b(self):
    self.assertForwardEquivalent()
  def test_c(self):
    self.assertVariablesMatch(allow_empty=True)

if __name__ == '__main__':
  absltest.main()
"""


def run(arguments, folder=None, **environment):
  """Runs Python in a fresh process that knows of no other test runner."""
  env = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(
      ('TEST_', 'TESTBRIDGE_', 'PYTEST_', 'XML_', 'TF_EQUIV_')
    )
  }
  env.pop('PYTHONSAFEPATH', None)
  env['PYTHONPATH'] = os.pathsep.join([_ROOT, *sys.path])
  return subprocess.run(
    [sys.executable, '-W', 'ignore', *arguments],
    cwd=folder,
    env={**env, **environment},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE if folder is None else subprocess.STDOUT,
    text=True,
    timeout=600,
  )


class RunnersTest(ReportTestCase):
  """The path is the last line of the message under each runner."""

  def setUp(self):
    super().setUp()
    self.out = os.path.join(self.folder, 'out')
    path = os.path.join(self.folder, 'scale_test.py')
    with open(path, 'w', encoding='utf-8') as file:
      file.write(_TEST_FILE)

  def reports(self):
    return sorted(map(os.path.basename, glob.glob(self.out + '/*-*.html')))

  def index(self):
    with open(os.path.join(self.out, 'index.html'), encoding='utf-8') as file:
      return file.read()

  def assertDigest(self, output):
    """The class ends with its one cause, and where all reports are."""
    self.assertRegex(
      output,
      r'\nScaleTest: 2 of 3 tests fail, for 1 cause:\n'
      r'  1\. TF1 \S+ \(Mul\)  at scale_test\.py:10  return 2\.0 \* inputs\n'
      r'     TF2 \S+ \(Mul\)  at scale_test\.py:12  return lambda .*\n'
      r'(     .*\n)*'
      r'     2 tests: test_a, test_b\n'
      r'All reports: \S*out/index\.html\n',
    )
    self.assertEqual(output.count('for 1 cause'), 1)

  def rerun(self, runner):
    path = glob.glob(self.out + '/*test_a*.json')[0]
    with open(path, encoding='utf-8') as file:
      return json.load(file)['rerun'][runner]

  def test_absltest(self):
    done = run(
      ['scale_test.py', '--tf_equiv_report_dir=out'], folder=self.folder
    )
    self.assertEqual(done.returncode, 1, done.stdout)
    found = re.findall(r'^Report: (.*)\n\n', done.stdout, flags=re.M)
    self.assertCountEqual([os.path.basename(x) for x in found], self.reports())
    self.assertLen(found, 2)
    self.assertDigest(done.stdout)
    self.assertIn('2 failed assertions in 2 tests, for 1 cause', self.index())
    command = self.rerun('absltest').split()
    self.assertEqual(command, ['python', 'scale_test.py', 'ScaleTest.test_a'])
    again = run(command[1:], folder=self.folder)
    self.assertIn('Ran 1 test', again.stdout)

  @parameterized.parameters('unittest -b', 'pytest -q -p no:cacheprovider')
  def test_digest(self, runner):
    done = run(
      ['-m', *runner.split(), 'scale_test.py'],
      folder=self.folder,
      TF_EQUIV_REPORT_DIR=self.out,
    )
    self.assertEqual(done.returncode, 1, done.stdout)
    self.assertDigest(done.stdout)

  def test_pytest_knows_better_which_tests_fail(self):
    path = os.path.join(self.folder, 'scale_test.py')
    with open(path, 'w', encoding='utf-8') as file:
      file.write(
        'import pytest\n'
        + _TEST_FILE.replace(
          '  def test_b', '  @pytest.mark.xfail\n  def test_b'
        ).replace(
          'self.assertVariablesMatch(allow_empty=True)', "pytest.skip('')"
        )
      )
    done = run(
      '-m pytest -q -p no:cacheprovider scale_test.py'.split(),
      folder=self.folder,
    )
    self.assertIn('1 failed, 2 skipped, 1 xfailed', done.stdout)
    self.assertNotIn('for 1 cause', done.stdout)

  def test_pytest_in_parallel(self):
    done = run(
      '-m pytest -q -p no:cacheprovider -n 2 scale_test.py'.split(),
      folder=self.folder,
      TF_EQUIV_REPORT_DIR=self.out,
    )
    self.assertEqual(done.returncode, 1, done.stdout)
    self.assertEqual(
      self.reports(),
      [
        'ScaleTest.test_a-assertForwardEquivalent.html',
        'ScaleTest.test_b-assertForwardEquivalent.html',
      ],
    )
    # Whichever process is the last, the list has what all have written.
    self.assertIn('2 failed assertions in 2 tests, for 1 cause', self.index())
    for name in self.reports():
      self.assertRegex(done.stdout, 'E +Report: %s/%s\n' % (self.out, name))
    self.assertEqual(
      self.rerun('pytest'),
      'python -m pytest scale_test.py::ScaleTest::test_a',
    )


if __name__ == '__main__':
  absltest.main()
