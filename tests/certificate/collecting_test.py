"""Suites of tests collect what they have proven; the ratchet reads it."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, flagsaver

from tf_equiv.certificate import files
from tf_equiv.cli import main

v1 = tf.compat.v1
# Under some runners packages come before it.
_CLASS = 'collecting_test.NetTest'
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


def legacy(inputs, scale=1.0):
  net = v1.layers.dense(inputs, 4, tf.nn.elu, name='conv1')
  return scale * v1.layers.dense(net, 2, name='conv4')


class Net(tf.Module):
  @tf_equiv.track_tf1_style_variables
  def __call__(self, inputs):
    return legacy(inputs)


class Pair(tf_equiv.MigrationTestCase):
  modes: tuple = ('constant', 'num_random_ops')
  scale = 1.0
  allow_dormant = True  # The search for others takes longer than the rest.

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return legacy(inputs, self.scale)

  def build_tf2(self):
    return Net()

  def build_tf1_optimizer(self):
    return v1.train.GradientDescentOptimizer(0.1)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.legacy.SGD(0.1)


def forward(self):
  self.assertVariablesMatch()
  self.assertForwardEquivalent(atol=1e-4)


def training(self):
  for mode in self.modes:
    self.assertTrainingEquivalent(seed_mode=mode, steps=2)


def variables(self):
  self.assertVariablesMatch()


def make_class(**attributes):
  tests = {'test_forward': forward, 'test_training': training}
  return type('NetTest', (Pair,), {**tests, **attributes})


class CollectingTestCase(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    patch = mock.patch.dict(os.environ)
    patch.start()
    self.addCleanup(patch.stop)
    os.environ.pop('TEST_UNDECLARED_OUTPUTS_DIR', None)
    os.environ.pop('TF_EQUIV_CERTIFICATE', None)

  def path(self, name):
    return os.path.join(self.folder, name)

  def certify(self, name, *, count=2, **attributes):
    """Runs a class with a certificate; returns (entries, result)."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(
      make_class(**attributes)
    )
    path = self.path(name)
    with mock.patch.dict(os.environ, TF_EQUIV_CERTIFICATE=path):
      result = unittest.TextTestRunner(io.StringIO()).run(suite)
    self.assertLen({e['test'] for e in files.read(path)}, count)
    return files.read(path), result

  def ratchet(self, *names):
    """Runs the command; returns (exit code, what it prints)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      code = main.main(['ratchet', *map(self.path, names)])
    return code, out.getvalue() + err.getvalue()


class EntriesTest(CollectingTestCase):
  def test_what_is_proven(self):
    entries, result = self.certify('a.json')
    self.assertTrue(result.wasSuccessful())
    matched, passed, constant, numbered = entries
    self.assertEqual(matched['assertion'], 'assertVariablesMatch')
    self.assertEqual(passed['assertion'], 'assertForwardEquivalent')
    self.assertEqual(passed['test'], 'test_forward')
    self.assertEndsWith(passed['class'], _CLASS)
    self.assertEqual(passed['terms']['atol'], 1e-4)
    self.assertIsNone(passed['terms']['rtol'])
    self.assertEqual(passed['tolerance'], {'float32': [1e-6, 1e-4]})
    self.assertFalse(passed['terms']['training'])
    self.assertFalse(passed['terms']['searched'])
    self.assertEqual(passed['terms']['variants'], ['eager'])
    self.assertEqual(passed['layers'], ['conv1', 'conv4'])
    self.assertLen(passed['variables'], 4)
    self.assertEqual(passed['silent'], [])
    self.assertEqual(passed['versions']['TF2']['tensorflow'], tf.__version__)
    self.assertEqual(constant['terms']['seed_mode'], 'constant')
    self.assertEqual(numbered['terms']['seed_mode'], 'num_random_ops')
    self.assertEqual(numbered['terms']['steps'], 2)
    self.assertEqual(numbered['compared']['gradients'], 8)

  def test_failing_tests_certify_nothing(self):
    self.certify('a.json', count=1, test_training=None)
    entries, result = self.certify(
      'a.json', count=0, test_training=None, scale=1.01
    )
    self.assertLen(result.failures, 1)
    # Not even what held before the assertion that failed.
    self.assertEmpty(entries)

  def test_which_tests_do(self):
    def expected(self):
      self.assertVariablesMatch()
      with self.assertRaises(AssertionError):
        self.scale = 2.0
        self.assertForwardEquivalent()

    def located(self):
      self.locateDivergence()

    def late(self):
      self.assertVariablesMatch()
      self.addCleanup(self.fail, 'in the end')

    def skipped(self):
      self.assertVariablesMatch()
      self.skipTest('no machine for it')

    def other(self):
      type(self)('test_located').assertVariablesMatch()

    entries, _ = self.certify(
      'a.json',
      count=1,
      test_forward=unittest.expectedFailure(late),
      test_training=unittest.expectedFailure(lambda self: None),
      test_expected=expected,
      test_late=late,
      test_located=located,
      test_skipped=skipped,
      test_other=other,
    )
    self.assertEqual(
      [(e['test'], e['assertion']) for e in entries],
      [('test_expected', 'assertVariablesMatch')],
    )

  def test_no_certificate_is_wanted(self):
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(
      make_class(test_training=None)
    )
    unittest.TextTestRunner(io.StringIO()).run(suite)
    self.assertEqual(os.listdir(self.folder), [])

  def test_bazel(self):
    os.environ['TEST_UNDECLARED_OUTPUTS_DIR'] = self.folder
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(
      make_class(test_training=None)
    )
    with flagsaver.flagsaver(certificate='equivalence.json'):
      unittest.TextTestRunner(io.StringIO()).run(suite)
    self.assertLen(files.read(self.path('equivalence.json')), 2)

  def test_a_file_that_cannot_be_written_fails_the_test(self):
    with open(self.path('other.json'), 'w') as file:
      file.write('{"format": "other 1"}')
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(
      make_class(test_training=None)
    )
    with mock.patch.dict(
      os.environ, TF_EQUIV_CERTIFICATE=self.path('other.json')
    ):
      result = unittest.TextTestRunner(io.StringIO()).run(suite)
    ((_, text),) = result.errors
    self.assertIn("other.json' has the format 'other 1'; this version", text)
    self.assertFalse(result.wasSuccessful())


class RatchetTest(CollectingTestCase):
  def test_losses(self):
    self.certify('old.json')
    self.assertEqual(
      self.ratchet('old.json', 'old.json'),
      (0, 'nothing is lost: 4 claims as before, 0 more\n'),
    )
    self.certify('mode.json', modes=('constant',))
    code, text = self.ratchet('old.json', 'mode.json')
    self.assertEqual(code, 1)
    self.assertEqual(
      text,
      'lost: training steps of NetTest in num_random_ops (initial weights)\n'
      f'{self.path("mode.json")} proves less than {self.path("old.json")}\n',
    )

    # With zeros as inputs, the first kernel has no effect. Its bias has.
    self.certify(
      'blind.json',
      make_inputs=lambda self: np.zeros((6, 3), np.float32),
      test_training=variables,
    )
    code, text = self.ratchet('old.json', 'blind.json')
    self.assertEqual(code, 1)
    self.assertIn(
      'lost: variable conv1/kernel is no longer covered in NetTest\n', text
    )
    self.assertIn('lost: training steps of NetTest in constant', text)
    self.assertEqual(text.count('lost:'), 3)

  def test_a_variable_that_is_ignored(self):
    def one(self):
      self.assertForwardEquivalent()

    self.certify('old.json', count=1, test_forward=one, test_training=None)
    self.certify(
      'new.json',
      count=1,
      test_forward=one,
      test_training=None,
      ignored_variables=('conv4/bias',),
    )
    code, text = self.ratchet('old.json', 'new.json')
    self.assertEqual(code, 1)
    self.assertIn(
      'lost: variable conv4/bias is no longer covered in NetTest\n', text
    )
    self.assertEqual(text.count('lost:'), 1)

  def test_files_that_cannot_be_compared(self):
    self.certify('a.json', count=1, test_training=None)
    with open(self.path('a.json')) as file:
      text = file.read()
    with open(self.path('edited.json'), 'w') as file:
      file.write(text.replace('conv4/bias', 'conv5/bias'))
    with open(self.path('other.json'), 'w') as file:
      file.write('{"format": "tf_equiv report 1"}')
    for name, said in (
      ('none.json', 'tf_equiv: There is no file'),
      ('edited.json', 'was changed after it was written'),
      ('other.json', "has the format 'tf_equiv report 1'"),
    ):
      for names in ((name, 'a.json'), ('a.json', name)):
        with self.subTest(names):
          code, text = self.ratchet(*names)
          self.assertEqual(code, 2)
          self.assertIn(said, text)

  def test_shards_and_no_tensorflow(self):
    def gradients(self):
      self.assertGradientsClose()

    self.certify('old.json', test_training=gradients)
    self.certify('a.json', count=1, test_training=None)
    self.certify('b.json', count=1, test_forward=None, test_training=gradients)
    self.assertEqual(self.ratchet('old.json', 'a.json')[0], 1)
    code = (
      'import sys; from tf_equiv.cli import main\n'
      'code = main.main(sys.argv[1:])\n'
      'print("IMPORTED", "tensorflow" in sys.modules); sys.exit(code)'
    )
    names = map(self.path, ('old.json', 'a.json', 'b.json'))
    done = subprocess.run(
      [sys.executable, '-c', code, 'ratchet', *names],
      env={**os.environ, 'PYTHONPATH': os.pathsep.join([_ROOT, *sys.path])},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=120,
    )
    self.assertEqual(done.returncode, 0, done.stdout)
    self.assertIn('IMPORTED False', done.stdout)
    self.assertIn('nothing is lost: 3 claims', done.stdout)


_SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import collecting_test
from absl.testing import absltest

class NetTest(collecting_test.Pair):
  test_forward = collecting_test.forward

  def test_variables(self):
    self.assertVariablesMatch(training=True)

absltest.main()
"""


class ProcessesTest(CollectingTestCase):
  def test_processes_and_the_flag(self):
    with open(self.path('net_test.py'), 'w') as file:
      file.write(_SCRIPT.format(folder=os.path.dirname(__file__)))
    for name in list(os.environ):  # Of the runner of this test.
      if name.startswith(('TEST', 'XML_')):
        del os.environ[name]
    processes = [
      subprocess.Popen(
        [sys.executable, 'net_test.py', '--certificate=out.json', test],
        cwd=self.folder,
        env={
          **os.environ,
          'PYTHONPATH': os.pathsep.join([_ROOT, *sys.path]),
          'TEST_TMPDIR': self.path(test),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
      )
      for test in ('NetTest.test_forward', 'NetTest.test_variables')
    ]
    for process in processes:
      out, _ = process.communicate(timeout=300)
      self.assertEqual(process.returncode, 0, out)
    entries = files.read(self.path('out.json'))
    self.assertLen(entries, 3)
    # The name of the file stands for that of the program.
    self.assertEqual({e['class'] for e in entries}, {'net_test.NetTest'})


if __name__ == '__main__':
  absltest.main()
