"""Whatever goes wrong in the other interpreter is said, and leaves nothing.

The other interpreter is a second process of the one that runs the test.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv import class_state

v1 = tf.compat.v1

_FOLDER = os.path.dirname(os.path.abspath(__file__))
# What Bazel and pytest tell this Python, the other one needs as well.
_PYTHON_PATH = os.pathsep.join(filter(None, sys.path))


def interpreter(model, **arguments):
  arguments = {'python': sys.executable, 'sys_path': [_FOLDER], **arguments}
  arguments.setdefault('env', {'PYTHONPATH': _PYTHON_PATH})
  return tf_equiv.Tf1Interpreter('legacy_faults:' + model, **arguments)


class Migrated(tf.keras.layers.Layer):
  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    with v1.variable_scope('net'):
      hidden = v1.layers.dense(inputs, 4, name='hidden')
      hidden = v1.layers.dropout(hidden, 0.5, training=bool(training))
      return {'scores': v1.layers.dense(hidden, 2, name='scores')}


class Case(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

  def build_tf2(self):
    return Migrated()

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)


def case_of(reference, **attributes):
  attributes['tf1_reference'] = reference
  return type('Case', (Case,), attributes)()


def processes():
  """Returns {number: command line} of all descendants of this process."""
  parents, commands = {}, {}
  for name in filter(str.isdigit, os.listdir('/proc')):
    with contextlib.suppress(OSError):
      with open('/proc/%s/stat' % name) as file:
        parents[int(name)] = int(file.read().rpartition(')')[2].split()[1])
      with open('/proc/%s/cmdline' % name, 'rb') as file:
        commands[int(name)] = file.read().replace(b'\0', b' ').decode()
  found, pending = {}, [os.getpid()]
  while pending:
    parent = pending.pop()
    children = [n for n, p in parents.items() if p == parent]
    found.update((n, commands.get(n, '')) for n in children)
    pending += children
  return found


def sleepers():
  """Returns the processes that `Hangs` starts, whosever children they are."""
  found = []
  for name in filter(str.isdigit, os.listdir('/proc')):
    with contextlib.suppress(OSError):
      with open('/proc/%s/cmdline' % name) as file:
        if file.read() == 'sleep\0001000.%d\0' % os.getpid():
          found.append(name)
  return found


class FaultTest(absltest.TestCase):
  """Each test checks that no process, file or descriptor is left."""

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    previous = tempfile.tempdir
    tempfile.tempdir = self.folder
    self.addCleanup(setattr, tempfile, 'tempdir', previous)
    self._before = processes(), os.listdir('/proc/self/fd')

  def assertNothingLeft(self):
    self.assertEqual(os.listdir(self.folder), [])
    new = {n: c for n, c in processes().items() if n not in self._before[0]}
    self.assertEqual(new, {})
    self.assertLessEqual(len(os.listdir('/proc/self/fd')), len(self._before[1]))

  def error_of(self, reference, cls=tf_equiv.EnvironmentSetupError):
    """Returns the message of a failing assertion; nothing may be left."""
    case = case_of(reference)
    try:
      with self.assertRaises(cls) as caught:
        case.assertForwardEquivalent()
    finally:
      type(case).tearDownClass()
    self.assertNothingLeft()
    return str(caught.exception)


class StartTest(FaultTest):
  """The interpreter is not one that can run the TF1 side."""

  def test_none_is_named(self):
    environment = dict(os.environ)
    self.addCleanup(os.environ.update, environment)
    os.environ.pop('TF_EQUIV_TF1_PYTHON', None)
    message = self.error_of(interpreter('Good', python=None))
    self.assertStartsWith(
      message, 'Tf1Interpreter needs an interpreter with TensorFlow 1.x. Name'
    )
    for way in ('python=', '--tf1_python', 'TF_EQUIV_TF1_PYTHON', 'venv tf115'):
      self.assertIn(way, message)

  def test_the_environment_names_it(self):
    environment = dict(os.environ)
    self.addCleanup(os.environ.update, environment)
    self.addCleanup(os.environ.pop, 'TF_EQUIV_TF1_PYTHON')
    os.environ['TF_EQUIV_TF1_PYTHON'] = '/nowhere/python'
    message = self.error_of(interpreter('Good', python=None))
    self.assertIn('TF_EQUIV_TF1_PYTHON), does not exist', message)

  def test_no_such_file(self):
    message = self.error_of(interpreter('Good', python='/nowhere/python'))
    self.assertStartsWith(
      message,
      'The interpreter of the TF1 side, /nowhere/python (from python= of '
      'Tf1Interpreter), does not exist.',
    )

  def test_a_folder(self):
    message = self.error_of(interpreter('Good', python='/usr'))
    self.assertIn('is a folder; its Python is probably /usr/bin/pyt', message)

  def test_not_executable(self):
    with tempfile.NamedTemporaryFile() as file:
      os.chmod(file.name, stat.S_IRUSR)
      with self.assertRaisesRegex(
        tf_equiv.EnvironmentSetupError, 'is not executable'
      ):
        case_of(interpreter('Good', python=file.name)).assertVariablesMatch()

  def test_no_python(self):
    for program, what in (
      ('/bin/false', 'ended with exit status 1'),
      ('/bin/true', 'ended with exit status 0'),
    ):
      message = self.error_of(interpreter('Good', python=program))
      self.assertStartsWith(
        message, 'The interpreter of the TF1 side %s; nothing was' % what
      )
      self.assertIn('stage: starting Python and importing TensorFlow', message)
      self.assertIn('interpreter: ' + program, message)

  def test_not_a_program(self):
    path = os.path.join(_FOLDER, 'text')
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
      path = os.path.join(folder, 'text')
      with open(path, 'w') as file:
        file.write('text')
      os.chmod(path, 0o755)
      message = self.error_of(interpreter('Good', python=path))
    self.assertIn('text, cannot be started: ', message)
    self.assertIn('Exec format error', message)

  def _error_with_module(self, name, text):
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
      os.makedirs(os.path.join(folder, name))
      with open(os.path.join(folder, name, '__init__.py'), 'w') as file:
        file.write(text)
      path = os.pathsep.join([folder, _PYTHON_PATH])
      return self.error_of(interpreter('Good', env={'PYTHONPATH': path}))

  def test_no_tensorflow(self):
    message = self._error_with_module(
      'tensorflow', 'raise ImportError("No module named \'tensorflow\'")'
    )
    self.assertStartsWith(message, 'The interpreter of the TF1 side, ')
    self.assertIn(
      "cannot import tensorflow (ImportError: No module named 'tensorflow')",
      message,
    )
    self.assertIn('pip install tensorflow==1.15.5', message)

  def test_a_folder_that_is_called_tensorflow(self):
    message = self._error_with_module('tensorflow', '')
    self.assertIn('imports as tensorflow is something else', message)

  def test_too_old_a_tensorflow(self):
    message = self._error_with_module('tensorflow', "__version__ = '1.12.3'")
    self.assertIn('it has TensorFlow 1.12.3; needed is 1.13 or', message)

  def test_no_numpy(self):
    message = self._error_with_module('numpy', 'raise ImportError("none")')
    self.assertIn('cannot import numpy (ImportError: none)', message)


class ModelTest(FaultTest):
  """The user's module is not what it is said to be."""

  def test_no_such_module(self):
    reference = tf_equiv.Tf1Interpreter(
      'legcy_faults:Good',
      python=sys.executable,
      sys_path=[_FOLDER],
      env={'PYTHONPATH': _PYTHON_PATH},
    )
    message = self.error_of(reference, tf_equiv.UsageError)
    self.assertStartsWith(message, "model='legcy_faults:Good': ")
    self.assertIn("finds no module 'legcy_faults'", message)
    self.assertIn('sys_path, which is [%r]' % _FOLDER, message)

  def test_no_such_folder(self):
    message = self.error_of(
      interpreter('Good', sys_path=['legacy_repo']), tf_equiv.UsageError
    )
    self.assertIn("holds 'legacy_repo', but there is no folder", message)
    self.assertIn(os.path.join(_FOLDER, 'legacy_repo'), message)

  def test_a_folder_beside_the_test(self):
    name = os.path.basename(_FOLDER)
    reference = interpreter('Godo', sys_path=[os.path.join('..', name)])
    message = self.error_of(reference, tf_equiv.UsageError)
    self.assertIn('legacy_faults has no Godo; it has ', message)

  def test_an_error_while_importing(self):
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
      with open(os.path.join(folder, 'broken.py'), 'w') as file:
        file.write('import tf_equiv\nx = tf_equiv.MigrationTestCase\n')
      reference = tf_equiv.Tf1Interpreter(
        'broken',
        python=sys.executable,
        sys_path=[folder],
        env={'PYTHONPATH': _PYTHON_PATH},
      )
      message = self.error_of(reference, tf_equiv.ModelCodeError)
    self.assertIn('tf_equiv has no MigrationTestCase here: where', message)
    self.assertIn('broken.py:2  x = tf_equiv.MigrationTestCase', message)


class CodeTest(FaultTest):
  """The user's code raises, and one process serves on."""

  def _error(self, case, name, cls):
    case.make_inputs = lambda: {name: np.ones((5, 3), np.float32)}
    with self.assertRaises(cls) as caught:
      case.assertForwardEquivalent()
    return str(caught.exception)

  def test_all(self):
    case = case_of(interpreter('ByName'))
    case.call_tf2 = lambda model, inputs, training: model(*inputs.values())
    for _ in range(2):
      self._check_traceback(case)
      self._check_others(case)
    self.assertLen(processes(), len(self._before[0]) + 1)
    case.make_inputs = lambda: {'Good': np.ones((5, 3), np.float32)}
    self.assertTrue(case.assertForwardEquivalent().passed)
    type(case).tearDownClass()
    self.assertNothingLeft()

  def _check_traceback(self, case):
    message = self._error(case, 'Raises', tf_equiv.ModelCodeError)
    self.assertRegex(
      message,
      r'^The TF1 code failed where the TF1 side runs \(Python 3[\d.]+, '
      r'TensorFlow 2[\d.]+\); nothing was compared\.\n  ValueError: ',
    )
    lines = [line for line in message.splitlines() if '.py:' in line]
    self.assertLen(lines, 3)
    self.assertIn('(inputs[name], training)  (in build_tf1)', lines[0])
    self.assertIn('return self._deeper(inputs)  (in build_tf1)', lines[1])
    self.assertIn('# the wrong shape  (in _deeper)', lines[2])

  def _check_others(self, case):
    message = self._error(case, 'Asserts', AssertionError)
    self.assertStartsWith(message, 'a batch of 77\nAn assertion failed in bu')
    self.assertIn("== 77, 'a batch of 77'\nThis was where the TF1", message)
    message = self._error(case, 'Skips', unittest.SkipTest)
    self.assertEqual(message, 'no such GPU')
    message = self._error(case, 'Nothing', tf_equiv.UsageError)
    self.assertStartsWith(message, 'build_tf1 returned None; return the out')
    message = self._error(case, 'Exits', tf_equiv.ModelCodeError)
    self.assertIn('SystemExit: no license', message)
    self.assertIn("sys.exit('no license')  (in build_tf1)", message)


class CrashTest(FaultTest):
  """The process ends, hangs, or talks."""

  def test_killed(self):
    message = self.error_of(interpreter('Killed'))
    self.assertStartsWith(
      message,
      'The interpreter of the TF1 side was killed by SIGKILL; nothing was '
      'compared.\n  stage: building the graph (inference, fixed weights)\n',
    )
    self.assertIn('interpreter: ' + sys.executable, message)
    self.assertIn('when memory runs out', message)

  def test_segmentation_fault(self):
    message = self.error_of(interpreter('Segfault'))
    self.assertIn('was killed by SIGSEGV', message)
    self.assertIn('about to read from nowhere', message)
    self.assertRegex(
      message, r'  at .*legacy_faults\.py:\d+  ctypes.string_at\(0\)\n'
    )
    self.assertIn('The crash is in native code', message)

  def test_ends_without_a_word(self):
    message = self.error_of(interpreter('ExitsHard'))
    self.assertIn('ended with exit status 0; nothing was compared', message)

  def test_closes_its_connection(self):
    message = self.error_of(interpreter('ClosesEverything'))
    self.assertStartsWith(
      message,
      'The interpreter of the TF1 side closed its connection to the test; '
      'nothing was compared.\n',
    )
    self.assertNotRegex(message, 'SIGKILL|memory|exit status')

  def test_writes_to_the_pipe_of_the_replies(self):
    for name in ('WritesToAllPipes', 'WritesReplies'):
      start = time.monotonic()
      message = self.error_of(interpreter(name))
      self.assertLess(time.monotonic() - start, 300)
      self.assertStartsWith(
        message,
        'The interpreter of the TF1 side sent what is no reply of tf_equiv; it '
        'was ended, and nothing was compared.\n  it sent: ',
      )
    self.assertIn('it sent: \'{"id": 2, "result": "reply1"}\'\n', message)
    self.assertIn('stage: building the graph', message)
    self.assertIn('file descriptor which it has not opened', message)

  def test_patches_json(self):
    case = case_of(interpreter('PatchesJson'))
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertTrue(case.assertForwardEquivalent(training=True).passed)
    type(case).tearDownClass()
    self.assertNothingLeft()

  def test_starts_processes_in_sessions_of_their_own(self):
    case = case_of(interpreter('Daemons'))
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertLen(sleepers(), 3)
    start = time.monotonic()
    type(case).tearDownClass()
    self.assertLess(time.monotonic() - start, 30)
    self.assertNothingLeft()
    self.assertEmpty(sleepers())

  def test_ends_and_leaves_processes(self):
    start = time.monotonic()
    message = self.error_of(interpreter('DaemonsAndEnds'))
    self.assertLess(time.monotonic() - start, 300)
    self.assertIn('ended with exit status 9', message)
    # One is neither a child of it nor has its environment.
    for number in sleepers():
      os.kill(int(number), signal.SIGKILL)

  def test_comes_back_twice(self):
    case = case_of(interpreter('ReturnsTwice'))
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertTrue(case.assertForwardEquivalent(training=True).passed)
    type(case).tearDownClass()
    self.assertNothingLeft()
    message = self.error_of(interpreter('RaisesTwice'), tf_equiv.ModelCodeError)
    self.assertIn('ValueError: in both', message)

  def test_dies_while_a_child_lives(self):
    message = self.error_of(interpreter('Forks'))
    self.assertIn('ended with exit status 9', message)

  def test_hangs(self):
    reference = interpreter('Hangs')
    reference.defines('build_tf1')  # It has started.
    reference._client._process._timeout = 3.0
    message = self.error_of(reference)
    self.assertStartsWith(
      message, 'The interpreter of the TF1 side did not answer within 3 s'
    )
    self.assertIn('stage: building the graph', message)
    self.assertRegex(
      message, r'  at .*legacy_faults\.py:\d+  time.sleep\(1\)  # here it hangs'
    )
    self.assertIn('pass timeout= to Tf1Interpreter', message)
    self.assertEmpty(sleepers())

  def test_garbage_on_stdout(self):
    case = case_of(interpreter('Noisy'))
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertTrue(case.assertForwardEquivalent(training=True).passed)
    type(case).tearDownClass()
    self.assertNothingLeft()

  def test_no_room_for_results(self):
    message = self.error_of(interpreter('NoRoom'))
    self.assertStartsWith(
      message, 'The results of the TF1 side cannot be written: '
    )
    self.assertIn('File too large', message)
    self.assertIn('TMPDIR', message)

  def test_no_room_for_inputs(self):
    case = case_of(interpreter('Good'))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    self.assertTrue(case.assertVariablesMatch().passed)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
      with self.assertRaises(tf_equiv.EnvironmentSetupError) as caught:
        case.assertForwardEquivalent()
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    self.assertIn('cannot be written to', str(caught.exception))
    self.assertIn('TMPDIR', str(caught.exception))
    self.assertTrue(case.assertForwardEquivalent().passed)
    type(case).tearDownClass()
    self.assertNothingLeft()


class LifeTest(FaultTest):
  """One process serves a class; one that is gone is replaced."""

  def _worker(self):
    (number,) = (
      n
      for n, command in processes().items()
      if n not in self._before[0]
      and os.path.join('worker', 'main.py') in command
    )
    return number

  def test_one_process_for_all_assertions(self):
    case = case_of(interpreter('Good'))
    type(case).setUpClass()
    first = self._worker()
    case.assertVariablesMatch()
    case.assertForwardEquivalent()
    self.assertEqual(self._worker(), first)
    type(case).tearDownClass()
    self.assertNothingLeft()

  def test_dies_between_assertions(self):
    folder = tempfile.mkdtemp(dir='/tmp')
    self.addCleanup(shutil.rmtree, folder)
    path = os.path.join(folder, 'exit')
    env = {'PYTHONPATH': _PYTHON_PATH, 'EXIT_FILE': path}
    case = case_of(interpreter('DiesLater', env=env))
    self.assertTrue(case.assertForwardEquivalent().passed)
    first = self._worker()
    with open(path, 'w'):
      pass
    time.sleep(1.5)
    os.unlink(path)
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertNotEqual(self._worker(), first)
    type(case).tearDownClass()
    self.assertNothingLeft()

  def test_killed_between_assertions(self):
    case = case_of(interpreter('Good'))
    self.assertTrue(case.assertForwardEquivalent().passed)
    os.kill(self._worker(), signal.SIGKILL)
    self.assertTrue(case.assertForwardEquivalent().passed)
    type(case).tearDownClass()
    self.assertNothingLeft()

  def test_an_assertion_after_a_crash(self):
    case = case_of(interpreter('Killed'))
    for _ in range(2):
      with self.assertRaisesRegex(tf_equiv.EnvironmentSetupError, 'SIGKILL'):
        case.assertForwardEquivalent()
    self.assertNothingLeft()

  def test_without_tear_down(self):
    case = case_of(interpreter('Good'))
    case.assertVariablesMatch()
    self._worker()
    class_state.shared_of(type(case)).references = []
    type(case).tf1_reference = None
    del case
    import gc

    gc.collect()
    self.assertNothingLeft()

  def test_the_parent_is_killed(self):
    script = (
      'import tf_equiv, time, sys\n'
      'reference = tf_equiv.Tf1Interpreter(\n'
      '  %r, python=sys.executable, sys_path=[%r])\n'
      'reference.start()\n'
      'print(reference._client._process._process.pid, flush=True)\n'
      'time.sleep(1000)\n' % ('legacy_faults:Good', _FOLDER)
    )
    root = os.path.dirname(os.path.dirname(tf_equiv.__file__))
    path = os.pathsep.join([root, _PYTHON_PATH])
    parent = subprocess.Popen(
      [sys.executable, '-c', script],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      env={**os.environ, 'PYTHONPATH': path, 'TMPDIR': self.folder},
      text=True,
    )
    worker = int(parent.stdout.readline())
    self.assertNotEmpty(os.listdir(self.folder))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.time() + 20
    while time.time() < until and os.path.exists('/proc/%d' % worker):
      with open('/proc/%d/stat' % worker) as file:
        if re.search(r'\) Z ', file.read()):  # Left to the init process.
          break
      time.sleep(0.1)
    else:
      self.assertFalse(os.path.exists('/proc/%d' % worker))
    self.assertEmpty(os.listdir(self.folder))


class ClosedStreamsTest(parameterized.TestCase):
  """A daemon has no standard streams; its files get their numbers."""

  @parameterized.parameters('2', '0,1,2')
  def test_an_assertion_passes(self, closed):
    script = (
      'import os, sys\n'
      'for number in sys.argv[1].split(","):\n'
      '  os.close(int(number))\n'
      'from tests.references import interpreter_faults_test as faults\n'
      'case = faults.case_of(faults.interpreter("Good"))\n'
      'passed = case.assertForwardEquivalent().passed\n'
      'type(case).tearDownClass()\n'
      'os._exit(77 if passed else 1)\n'
    )
    root = os.path.dirname(os.path.dirname(tf_equiv.__file__))
    path = os.pathsep.join([root, _PYTHON_PATH])
    done = subprocess.run(
      [sys.executable, '-W', 'ignore', '-c', script, closed],
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      env={**os.environ, 'PYTHONPATH': path},
      timeout=120,
      check=False,
    )
    self.assertEqual(done.returncode, 77)


class AgreementTest(FaultTest):
  """What the test case defines must be where the TF1 side runs."""

  def _case(self, model, **attributes):
    case = case_of(interpreter(model), **attributes)
    self.addCleanup(type(case).tearDownClass)
    return case

  def test_a_loss_of_the_test_case_only(self):
    case = self._case(
      'Good', compute_loss=lambda self, outputs, inputs: outputs['scores'][0, 0]
    )
    with self.assertRaises(tf_equiv.UsageError) as caught:
      case.assertGradientsClose()
    self.assertStartsWith(
      str(caught.exception), 'The test case defines compute_loss, but Tf1Inter'
    )
    # Without gradients the loss is not asked for.
    self.assertTrue(case.assertForwardEquivalent().passed)

  def test_a_loss_of_the_model_only(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'defines compute_loss_tf1, but the test case'
    ):
      self._case('WithLoss').assertGradientsClose()

  def test_a_loss_on_both_sides(self):
    case = self._case(
      'WithLoss',
      compute_loss_tf2=lambda self, outputs, inputs: tf.reduce_sum(
        outputs['scores']
      ),
    )
    self.assertTrue(case.assertGradientsClose().passed)

  def test_train_tf2_without_train_tf1(self):
    case = self._case('Good', train_tf2=lambda self, model, inputs: {})
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r"TF1: Tf1Interpreter\('legacy_fa.* train_tf2 only"
    ):
      case.assertTrainingEquivalent(steps=1)

  def test_clipping_on_one_side(self):
    case = self._case('Good', clip_gradients=lambda self, gradients: gradients)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'The test case defines clip_gradients, but'
    ):
      case.assertTrainingEquivalent(steps=1)


if __name__ == '__main__':
  absltest.main()
