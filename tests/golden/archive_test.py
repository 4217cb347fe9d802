"""The container: what is written, what is damaged, and who writes when."""

import io
import os
import subprocess
import sys
import tempfile
import threading
import zipfile

import tf_equiv  # isort: skip (before tensorflow)
import ml_dtypes
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.core import locking
from tf_equiv.golden import archive

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))
_WRITE = """
import sys
import numpy as np
from tf_equiv.golden import archive
path, name = sys.argv[1:]
for i in range(10):
  with archive.updated(path) as writer:
    value = {'name': name, 'array': np.full(50, i), 'same': np.arange(99)}
    writer.index['entries'].append({'objects': {name: writer.add(value)}})
"""


class ArchiveTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.path = os.path.join(folder.name, 'new', 'a.golden')

  def add(self, value, **entry):
    with archive.updated(self.path) as writer:
      digest = writer.add(value)
      entry['objects'] = {'it': digest}
      writer.index['entries'].append(entry)
    return digest

  def refused(self, function, *args):
    with self.assertRaises(archive.DamagedError) as caught:
      function(*args)
    return str(caught.exception)


class WritingTest(ArchiveTestCase):
  def test_round_trip(self):
    value = {
      'a': np.arange(6.0).reshape(2, 3),
      'b': [np.float32(2), (np.array([b'x', b'']), None)],
      'half': np.ones(3, ml_dtypes.bfloat16),
    }
    loaded = archive.load(self.path, self.add(value))
    np.testing.assert_array_equal(loaded['a'], value['a'])
    self.assertEqual(loaded['b'][1][0].tolist(), [b'x', b''])
    self.assertEqual(loaded['half'].dtype, ml_dtypes.bfloat16)
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ['a.golden'])

  def test_numpy_reads_the_arrays(self):
    self.add({'a': np.arange(6.0)})
    with zipfile.ZipFile(self.path) as members:
      (name,) = [n for n in members.namelist() if n.endswith('.npy')]
      with members.open(name) as stream:
        np.testing.assert_array_equal(np.load(stream), np.arange(6.0))

  def test_equal_arrays_are_stored_once(self):
    self.add({'a': np.arange(100), 'b': np.arange(100)})
    self.add({'c': np.arange(100)})
    names = list(archive.sizes(self.path))
    self.assertLen([n for n in names if n.startswith('arrays/')], 1)
    self.assertLen([n for n in names if n.startswith('objects/')], 2)

  def test_what_is_not_mentioned_is_removed(self):
    random = np.random.default_rng(0)
    for size in (1000, 2000, 3000):
      self.add({'a': random.normal(size=size)}, size=size)
    large = os.path.getsize(self.path)
    with archive.updated(self.path) as writer:
      writer.index['entries'] = writer.index['entries'][:1]
    self.assertLess(os.path.getsize(self.path), large / 3)
    self.assertEqual(archive.check(self.path), 2)

  def test_an_error_leaves_the_file_as_it_was(self):
    self.add([1])
    with open(self.path, 'rb') as file:
      before = file.read()
    with self.assertRaisesRegex(tf_equiv.UsageError, 'A object cannot be'):
      self.add([object()])
    with open(self.path, 'rb') as file:
      self.assertEqual(file.read(), before)
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ['a.golden'])

  def test_folder_that_is_not_writable(self):
    with open(os.path.join(self.folder, 'new'), 'w'):
      pass  # A file where a folder should be.
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'cannot be written: the folder .* is not writable'
    ):
      self.add([1])

  def test_large_noise_is_not_compressed_in_vain(self):
    self.add({'z': np.zeros(9999)})
    self.add(np.random.default_rng(0).normal(size=99999).astype(np.float32))
    with zipfile.ZipFile(self.path) as members:
      methods = {
        info.file_size > 200000: info.compress_type
        for info in members.infolist()
        if info.filename.startswith('arrays/')
      }
    self.assertEqual(
      methods, {False: zipfile.ZIP_DEFLATED, True: zipfile.ZIP_STORED}
    )


class DamageTest(ArchiveTestCase):
  def setUp(self):
    super().setUp()
    random = np.random.default_rng(0)
    self.digest = self.add({'a': random.normal(size=300), 'b': np.zeros(900)})
    with open(self.path, 'rb') as file:
      self.data = file.read()

  def write(self, data):
    with open(self.path, 'wb') as file:
      file.write(data)

  def test_every_flipped_byte_is_noticed_or_harmless(self):
    original = archive.load(self.path, self.digest)
    noticed = 0
    for i in range(0, len(self.data), 7):
      data = bytearray(self.data)
      data[i] ^= 0x21
      self.write(data)
      try:
        archive.check(self.path)
        loaded = archive.load(self.path, self.digest)
      except archive.DamagedError as error:
        noticed += 1
        self.assertIn(self.path, str(error))
      else:  # A date, or the like.
        np.testing.assert_array_equal(loaded['a'], original['a'])
    self.assertGreater(noticed, len(self.data) / 7 * 0.9)

  def test_every_truncation_is_noticed(self):
    for size in range(0, len(self.data), 101):
      self.write(self.data[:size])
      self.refused(archive.read_index, self.path)

  def test_member_is_named(self):
    with zipfile.ZipFile(self.path) as members:
      (info,) = [
        info
        for info in members.infolist()
        if info.filename.startswith('arrays/') and info.file_size < 3000
      ]
    data = bytearray(self.data)
    data[info.header_offset + 200] ^= 1
    self.write(data)
    self.assertRegex(
      self.refused(archive.load, self.path, self.digest),
      r'is damaged: its member .arrays/%s'
      % os.path.basename(info.filename).replace('.', r'\.'),
    )

  def test_content_under_another_name(self):
    # All of the ZIP file is in order, CRCs too.
    with zipfile.ZipFile(self.path) as old:
      with zipfile.ZipFile(self.path + '2', 'w') as new:
        for name in old.namelist():
          data = old.read(name)
          new.writestr(name, data[:-1] + b'!' if 'arrays' in name else data)
    self.assertIn(
      'has another SHA-256 than recorded',
      self.refused(archive.load, self.path + '2', self.digest),
    )

  def test_missing_member(self):
    with zipfile.ZipFile(self.path) as old:
      with zipfile.ZipFile(self.path + '2', 'w') as new:
        for name in old.namelist():
          if 'arrays' not in name:
            new.writestr(name, old.read(name))
    self.assertRegex(
      self.refused(archive.check, self.path + '2'), r"npy' is missing\."
    )

  def test_other_files(self):
    np.savez(self.path, a=np.ones(3))
    os.rename(self.path + '.npz', self.path)
    self.assertIn(
      "is no golden of tf_equiv: it has no member 'index.json'",
      self.refused(archive.read_index, self.path),
    )
    self.write(b'text')
    self.assertIn(
      'it is no ZIP file', self.refused(archive.read_index, self.path)
    )
    os.unlink(self.path)
    self.assertIn(
      'There is no file', self.refused(archive.read_index, self.path)
    )

  def test_pickles_are_refused(self):
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    with archive.updated(self.path) as writer:
      name = writer._put('arrays/%s.npy', stream.getvalue())
      text = '{"arrays": ["%s"], "value": {"array": 0, "dtype": "object"}}'
      digest = writer._put('objects/%s.json', (text % name).encode())
      writer.index['entries'].append({'objects': {'it': digest}})
    self.assertIn(
      'Object arrays cannot be loaded',
      self.refused(archive.load, self.path, digest),
    )


class ParallelTest(ArchiveTestCase):
  def test_processes_that_write_one_file(self):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
    processes = [
      subprocess.Popen([sys.executable, '-c', _WRITE, self.path, name], env=env)
      for name in 'abc'
    ]
    self.assertEqual([p.wait(timeout=300) for p in processes], [0, 0, 0])
    found = [
      (name, int(archive.load(self.path, digest)['array'][0]))
      for entry in archive.read_index(self.path)['entries']
      for name, digest in entry['objects'].items()
    ]
    self.assertCountEqual(found, [(n, i) for n in 'abc' for i in range(10)])
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ['a.golden'])

  def test_threads_that_write_one_file(self):
    threads = [threading.Thread(target=self.add, args=([i],)) for i in range(8)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertLen(archive.read_index(self.path)['entries'], 8)

  @parameterized.parameters(False, True)
  def test_waiting_ends(self, without_flock):
    os.makedirs(os.path.dirname(self.path))
    if without_flock:  # As on Windows.
      self.enter_context(absltest.mock.patch.object(locking, 'fcntl', None))
    self.enter_context(absltest.mock.patch.object(locking, 'PATIENCE', 0.1))
    with locking.locked(self.path):
      with self.assertRaisesRegex(
        tf_equiv.UsageError, 'Another process has kept .* locked for 0 s'
      ):
        self.add([1])
    self.add([1])
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ['a.golden'])


if __name__ == '__main__':
  absltest.main()
