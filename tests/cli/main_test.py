"""`python -m tf_equiv record`, `show` and `diff`, as users type them."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.cli import main
from tf_equiv.golden import archive

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))
_TESTS = '''
import tf_equiv  # isort: skip
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def legacy(inputs, scale=1.0):
  kernel = v1.get_variable('net/kernel', (3, 2))
  return {'logits': scale * tf.tanh(tf.matmul(inputs, kernel))}


class Net(tf.Module):
  @tf_equiv.track_tf1_style_variables
  def __call__(self, inputs):
    return legacy(inputs)


class NetTest(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.random.RandomState(0).normal(size=(4, 3)).astype('float32')

  def build_tf1(self, inputs, training):
    return legacy(inputs)

  def build_tf2(self):
    return Net()

  def build_tf1_optimizer(self):
    return v1.train.GradientDescentOptimizer(0.1)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.SGD(0.1)

  def test_forward(self):
    self.assertVariablesMatch()
    self.assertForwardEquivalent()
    self.assertForwardEquivalent(seed_mode='constant')

  def test_training(self):
    self.assertGradientsClose()
    self.assertTrainingEquivalent(steps=2, weights='fixed')


class WithGolden(NetTest):
  tf1_reference = tf_equiv.Golden('data/with.golden', keep=('graph',))


class Fewer(NetTest):
  test_training = None


class ScaledTest(NetTest):
  """Fails, but is recorded."""

  def build_tf1(self, inputs, training):
    return legacy(inputs, 1.01)


class NoModel:
  pass
'''


class MainTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    # A name of its own, because it stays imported.
    self.stem = 'net_%s_test' % re.sub(
      r'\W', '_', os.path.basename(self.folder)
    )
    self.file = os.path.join(self.folder, self.stem + '.py')
    with open(self.file, 'w') as file:
      file.write(_TESTS)
    self.enter_context(absltest.mock.patch.object(sys, 'path', [*sys.path]))
    self.enter_context(absltest.mock.patch.dict(os.environ))
    self.addCleanup(sys.modules.pop, self.stem, None)

  def environment(self, **more):
    """Returns that of a process which imports from here and the folder."""
    folders = [_ROOT, self.folder, *sys.path]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(folders), **more)

  def path(self, name):
    return os.path.join(self.folder, name)

  def run_main(self, *arguments):
    """Runs a command; returns (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      code = main.main([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()

  def record(self, name, output, *more):
    target = '%s:%s' % (self.file, name)
    return self.run_main('record', target, '-o', self.path(output), *more)


class RecordTest(MainTestCase):
  def test_prints_what_was_recorded(self):
    code, out, err = self.record('NetTest', 'a.golden')
    self.assertEqual(code, 0, err)
    self.assertRegex(
      out,
      r'a\.golden: 5 recording\(s\), \d+\.\d KB\n'
      r'recorded on \d{4}-\d\d-\d\d with\n'
      r'  TensorFlow %s, Python 3\.\d+\.\d+, NumPy \d'
      % re.escape(tf.__version__),
    )
    self.assertIn('  by tf_equiv 0.1.0, through InProcess()\n', out)
    self.assertIn('%s:NetTest\n  inference, fixed weights,' % self.stem, out)
    self.assertIn(
      'training, fixed weights, seed_mode=num_random_ops, steps=2', out
    )
    self.assertIn('  inputs: float32[4,3] sha256 ', out)
    self.assertIn('  TF1 code: build_tf1(), build_tf1_optimizer()', out)
    self.assertIn('Ran 2 tests', err)

  def test_replays_what_was_recorded(self):
    code, _, err = self.run_main('record', '%s:WithGolden' % self.file)
    self.assertEqual(code, 0, err)
    self.assertEqual(os.listdir(self.path('data')), ['with.golden'])
    done = subprocess.run(
      [
        sys.executable,
        '-W',
        'ignore',
        '-m',
        'unittest',
        self.stem + '.WithGolden',
      ],
      cwd=self.folder,
      env=self.environment(),
      stderr=subprocess.PIPE,
      text=True,
      timeout=300,
    )
    self.assertEqual(done.returncode, 0, done.stderr)

  def test_stale_recordings_go_away(self):
    self.record('NetTest', 'a.golden')
    self.record('WithGolden', 'a.golden')
    path = self.path('a.golden')
    self.assertLen(archive.read_index(path)['entries'], 10)
    with open(self.file, 'a') as file:
      file.write('\n\nNetTest.test_training = None\n')
    sys.modules.pop(self.stem)
    code, out, _ = self.record('NetTest', 'a.golden')
    self.assertEqual(code, 0)
    self.assertIn('dropped 2 recording(s) of %s:NetTest' % self.stem, out)
    self.assertLen(archive.read_index(path)['entries'], 8)
    self.record('Fewer', 'a.golden', '--anew')
    self.assertLen(archive.read_index(path)['entries'], 3)

  def test_anew_takes_the_place_of_a_damaged_file(self):
    with open(self.path('a.golden'), 'w') as file:
      file.write('no golden')
    code, _, err = self.record('Fewer', 'a.golden')
    self.assertEqual(code, 2)
    self.assertIn('is no golden of tf_equiv', err)
    self.assertEqual(self.record('Fewer', 'a.golden', '--anew')[0], 0)

  def test_failed_tests(self):
    code, out, err = self.record('ScaledTest', 'a.golden')
    self.assertEqual(code, 1)
    self.assertIn('Some tests failed; what their TF1 side computed was', out)
    self.assertIn('Outputs differ', err)
    self.assertGreater(
      len(archive.read_index(self.path('a.golden'))['entries']), 2
    )

  def test_keep(self):
    code, out, _ = self.record('Fewer', 'a.golden', '--keep', 'weights')
    self.assertEqual(code, 0)
    self.assertIn('no graph: it was recorded without the graph', out)

  @parameterized.parameters(
    ('nowhere:NetTest', "There is no module 'nowhere'"),
    ('nowhere.py:NetTest', "There is no file 'nowhere.py'"),
    (
      'FILE:Nothing',
      "has no MigrationTestCase called 'Nothing'; it defines Net",
    ),
    ('FILE:NoModel', "has no MigrationTestCase called 'NoModel'"),
    ('FILE:NetTest', 'NetTest has no golden: its tf1_reference is InProcess()'),
  )
  def test_wrong_targets(self, target, message):
    code, _, err = self.run_main('record', target.replace('FILE', self.file))
    self.assertEqual(code, 2)
    self.assertIn(message, err)

  def test_wrong_options(self):
    code, _, err = self.record('NetTest', 'a', '--tf1_python', sys.executable)
    self.assertEqual(code, 2)
    self.assertIn('Give --model as well', err)
    code, _, err = self.record('NetTest', 'a', '--keep', 'graf')
    self.assertEqual(code, 2)
    self.assertIn("some of 'graph', 'weights'", err)
    self.assertEqual(self.run_main('record')[0], 2)
    self.assertEqual(self.run_main('forget')[0], 2)

  def test_another_interpreter(self):
    with open(self.path('legacy_net.py'), 'w') as file:
      file.write(
        'import tensorflow as tf\n'
        'def build_tf1(inputs, training):\n'
        "  kernel = tf.compat.v1.get_variable('net/kernel', (3, 2))\n"
        "  return {'logits': tf.tanh(tf.matmul(inputs, kernel))}\n"
      )
    code, out, err = self.record(
      'Fewer',
      'a.golden',
      *('--tf1_python', sys.executable),
      *('--model', 'legacy_net', '--sys_path', self.folder),
    )
    self.assertEqual(code, 0, err)
    self.assertIn("through Tf1Interpreter('legacy_net')", out)
    self.assertIn('legacy_net.py', out)


class ShowTest(MainTestCase):
  def test_no_arrays_and_a_check(self):
    self.record('NetTest', 'a.golden')
    code, out, _ = self.run_main('show', '--check', self.path('a.golden'))
    self.assertEqual(code, 0)
    self.assertRegex(out, r'checked: \d\d members are intact')
    self.assertNotIn('array', out)
    self.assertLess(len(out.splitlines()), 25)

  def test_damaged(self):
    self.record('NetTest', 'a.golden')
    with open(self.path('a.golden'), 'r+b') as file:
      file.seek(60)
      file.write(b'\xff' * 100)
    code, _, err = self.run_main('show', '--check', self.path('a.golden'))
    self.assertEqual(code, 2)
    self.assertStartsWith(err, 'tf_equiv: ')
    self.assertIn('is damaged: its member', err)

  def test_as_a_program(self):
    done = subprocess.run(
      [sys.executable, '-m', 'tf_equiv', 'show', self.path('none.golden')],
      cwd=_ROOT,
      env=dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path])),
      stderr=subprocess.PIPE,
      text=True,
      timeout=300,
    )
    self.assertEqual(done.returncode, 2)
    self.assertIn('tf_equiv: There is no file', done.stderr)


class DiffTest(MainTestCase):
  def test_equal(self):
    for name in ('a.golden', 'b.golden'):
      self.record('NetTest', name)
    code, out, _ = self.run_main(
      'diff', self.path('a.golden'), self.path('b.golden')
    )
    self.assertEqual(code, 0, out)
    self.assertIn('A: %s\n   TensorFlow ' % self.path('a.golden'), out)
    self.assertIn(
      '  equal: inference, initial weights, seed_mode=constant\n', out
    )
    self.assertIn('exactly equal: 1 of 1 weights, 1 of 1 outputs', out)
    self.assertIn('1 of 1 gradients', out)
    self.assertIn('2 of 2 learning rate, 2 of 2 outputs', out)
    self.assertEndsWith(out, '5 plan(s) are equal within the tolerance\n')

  def test_different(self):
    self.record('NetTest', 'a.golden')
    self.record('ScaledTest', 'b.golden')
    code, out, _ = self.run_main(
      'diff', self.path('a.golden'), self.path('b.golden')
    )
    self.assertEqual(code, 1)
    self.assertIn(
      '  DIFFER: inference, fixed weights, seed_mode=constant\n', out
    )
    self.assertIn("    Outputs differ: 1 of 1, first outputs['logits']", out)
    self.assertRegex(out, r'worst at \[\d, \d\] A -?[\d.]+, B -?[\d.]+; differ')
    self.assertNotIn('TF1 0', out)
    self.assertNotIn('Next:', out)
    # ScaledTest stops at its first failure.
    self.assertIn('  only A has inference, initial weights', out)
    self.assertEndsWith(out, 'of 5 plan(s) differ\n')
    code, _, _ = self.run_main(
      'diff', self.path('a.golden'), self.path('b.golden'), '--rtol', '0.1'
    )
    self.assertEqual(code, 1)  # Some plans are in one only.

  def test_other_variables_and_weights(self):
    self.record('Fewer', 'a.golden')
    with open(self.file, 'a') as file:
      file.write('\n\nNetTest.reset_weights = tf_equiv.constant_weights(0.1)\n')
    sys.modules.pop(self.stem)
    self.record('Fewer', 'b.golden')
    code, out, _ = self.run_main(
      'diff', self.path('a.golden'), self.path('b.golden')
    )
    self.assertEqual(code, 1)
    self.assertIn('The fixed weights differ; nothing was compared', out)
    self.assertIn('net/kernel', out)
    self.assertIn('1 of 3 plan(s) differ', out)

  def test_steps_go_on_from_their_own_state(self):
    self.record('NetTest', 'a.golden')
    self.record('NetTest', 'b.golden')
    later = self._changed('b.golden', 1, 'variables')
    self.assertIn('  equal: training, fixed weights, seed_mode=num_ran', later)
    self.assertIn(
      'not judged, because each file went on from its own state: training '
      'diverges at step 2 of 2 in the variables: 1 of 1, first net/kernel',
      later,
    )
    first = self._changed('b.golden', 0, 'variables')
    self.assertIn(
      '    Training diverges at step 1 of 2 in the variables', first
    )
    rate = self._changed('b.golden', 1, 'rate')
    self.assertIn('    Training diverges at step 1 of 2 in the variables', rate)
    self.record('NetTest', 'b.golden')
    rate = self._changed('b.golden', 1, 'rate')
    self.assertIn('Training diverges at step 2 of 2 in learning rate of', rate)

  def _changed(self, name, step, what):
    """Changes a step in a golden; returns the output of diff."""
    path = self.path(name)
    with archive.updated(path) as writer:
      for entry in writer.index['entries']:
        if entry['plan'].get('batches'):
          observed = archive.load(path, entry['objects']['observation'])
          if what == 'rate':
            observed.steps[step].updates[0].learning_rate *= 2
          else:
            observed.steps[step].variables['net/kernel'] += 1e-3
          entry['objects']['observation'] = writer.add(observed)
    return self.run_main('diff', self.path('a.golden'), path)[1]

  def test_unusable(self):
    code, _, err = self.run_main('diff', self.path('a'), self.path('b'))
    self.assertEqual(code, 2)
    self.assertIn('There is no file', err)
    self.assertEqual(self.run_main('diff', self.path('a'))[0], 2)


class DocumentationTest(absltest.TestCase):
  def test_commands_are_understood(self):
    path = os.path.join(_ROOT, 'docs', 'references.md')
    with open(path, encoding='utf-8') as file:
      lines = re.findall(r'^\$ python -m tf_equiv (.*)$', file.read(), re.M)
    self.assertGreater(len(lines), 5)
    for line in lines:
      self.assertIsNotNone(main.parser().parse_args(shlex.split(line)).run)


class UpdatingTest(MainTestCase):
  """The flag and the variable, with real processes."""

  def run_tests(self, *arguments, **env):
    return subprocess.Popen(
      [sys.executable, '-W', 'ignore', *arguments],
      cwd=self.folder,
      env=self.environment(**env),
      stderr=subprocess.PIPE,
      text=True,
    )

  def test_processes_that_record_into_one_file(self):
    with open(self.file, 'a') as file:
      file.write('\n\nfrom absl.testing import absltest\nabsltest.main()\n')
    script = [self.file, '--update_goldens']
    os.environ.pop('TEST_TOTAL_SHARDS', None)  # setUp restores it.
    env = {'TEST_TMPDIR': self.path('tmp')}
    processes = [
      self.run_tests(*script, 'WithGolden.test_forward', **env),
      self.run_tests(*script, 'WithGolden.test_training', **env),
    ]
    for process in processes:
      _, err = process.communicate(timeout=300)
      self.assertEqual(process.returncode, 0, err)
      self.assertRegex(
        err, r'tf_equiv: recorded \d plan\(s\) into .*with\.golden'
      )
    path = self.path(os.path.join('data', 'with.golden'))
    entries = archive.read_index(path)['entries']
    self.assertLen(entries, 5)
    self.assertLen(os.listdir(self.path('data')), 1)

  def test_pytest(self):
    process = self.run_tests(
      *('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-k', 'WithGolden'),
      self.file,
      TF_EQUIV_UPDATE_GOLDENS='1',
    )
    _, err = process.communicate(timeout=300)
    self.assertEqual(process.returncode, 0, err)
    path = self.path(os.path.join('data', 'with.golden'))
    self.assertLen(archive.read_index(path)['entries'], 5)


if __name__ == '__main__':
  absltest.main()
