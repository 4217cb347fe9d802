"""A disk that is full: what was there before stays whole, and nothing else.

On Linux, a small file system in memory is mounted where that is allowed.
Elsewhere no file of this process may become larger than a few kilobytes.
"""

import contextlib
import glob
import os
import resource
import signal
import subprocess
import sys
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.report import planted_verdicts as planted
from tf_equiv.golden import archive
from tf_equiv.report import writer

v1 = tf.compat.v1
_KB = 1 << 10
_ROOM = 64 * _KB
_LARGE = 20 * _ROOM  # bytes
_WRITE = """
import os, signal, sys
import numpy as np
from tests.report import planted_verdicts as planted
from tf_equiv.golden import archive
with archive.updated(sys.argv[1]) as writer:
  writer.add(np.ones(1000))
  os.kill(os.getpid(), signal.SIGKILL)
"""


@contextlib.contextmanager
def full_disk():
  """Yields a folder in which there is room for a small file only."""
  with tempfile.TemporaryDirectory() as folder:
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={_ROOM}', 'tmpfs', folder]
    try:
      mounted = not subprocess.run(
        mount, capture_output=True, check=False
      ).returncode
    except OSError:
      mounted = False
    if mounted:
      try:
        yield folder
      finally:
        subprocess.run(['umount', '-l', folder], check=True)
      return
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_ROOM, old[1]))
    try:
      yield folder
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, old)
      signal.signal(signal.SIGXFSZ, handler)


def noise(size):
  return np.random.default_rng(0).bytes(size)


class FullDiskTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(full_disk())

  def contents(self):
    found = {}
    for path in glob.glob(os.path.join(self.folder, '**'), recursive=True):
      if os.path.isfile(path):
        with open(path, 'rb') as file:
          found[os.path.relpath(path, self.folder)] = file.read()
    return found

  def test_the_disk_is_full(self):
    with self.assertRaises(OSError):
      with open(os.path.join(self.folder, 'x'), 'wb') as file:
        file.write(noise(_LARGE))

  def test_golden(self):
    path = os.path.join(self.folder, 'a.golden')
    with archive.updated(path) as writer_:
      digest = writer_.add(np.arange(10))
      writer_.index['entries'].append({'objects': {'it': digest}})
    before = self.contents()
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r"a\.golden' cannot be written \(.*\); what was there before is as it "
      r'was\. Make room, or record into another folder\.',
    ):
      with archive.updated(path) as writer_:
        writer_.add(np.frombuffer(noise(_LARGE), np.uint8))
    self.assertEqual(self.contents(), before)
    np.testing.assert_array_equal(archive.load(path, digest), np.arange(10))

  def test_report(self):
    verdict = planted.make('assertX', headline='Outputs differ', advice=[])
    path, _ = writer.write(verdict, self.folder, lambda document: b'small')
    before = self.contents()
    self.assertIn(os.path.basename(path), before)
    with self.assertRaises(OSError):
      writer.write(verdict, self.folder, lambda document: noise(_LARGE))
    self.assertEqual(self.contents(), before)

  def test_checkpoint(self):
    with tempfile.TemporaryDirectory() as source:
      with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable('w', initializer=np.ones(3, np.float32))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, source + '/small')
      model = tf.Module()
      model.w = tf.Variable([0.0, 0.0, 0.0], name='w')
      output = os.path.join(self.folder, 'model')
      tf_equiv.convert_checkpoint(source + '/small', model, output=output)
      before = self.contents()
      self.assertIn('model.index', before)
      # More than there is room for.
      model.other = tf.Variable(tf.ones(_LARGE // 4), name='other')
      with self.assertRaisesRegex(
        tf_equiv.UsageError,
        r"The checkpoint '.*model' cannot be written \(.*\); what was there "
        r'before is as it was\.',
      ):
        tf_equiv.convert_checkpoint(
          source + '/small',
          model,
          output=output,
          overwrite=True,
          ignored_variables=['other'],
        )
      self.assertEqual(self.contents(), before)


class KilledWriterTest(absltest.TestCase):
  def test_what_it_left_is_swept_by_the_next(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = os.path.join(folder, 'a.golden')
    with archive.updated(path) as writer_:
      writer_.index['entries'].append({'objects': {'it': writer_.add([1])}})
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    for _ in range(2):
      killed = subprocess.run(
        [sys.executable, '-c', _WRITE, path], env=env, check=False
      )
      self.assertEqual(killed.returncode, -signal.SIGKILL)
    # The second of them has swept what the first left.
    self.assertLen(os.listdir(folder), 2)
    others = ['.b.golden.abcdefgh.tmp', '.a.golden.tmp', 'a.golden.x.tmp']
    for name in others:
      with open(os.path.join(folder, name), 'w'):
        pass
    self.assertEqual(archive.check(path), 1)
    with archive.updated(path) as writer_:
      writer_.index['entries'].append({'objects': {'it': writer_.add([2])}})
    self.assertCountEqual(os.listdir(folder), ['a.golden', *others])


if __name__ == '__main__':
  absltest.main()
