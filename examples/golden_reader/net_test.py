"""Holds the NumPy port against what TensorFlow 1.15.5 has computed."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from examples.golden_reader import net, reader
from tf_equiv.golden import archive, index, schema

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))
_TESTDATA = os.path.join(_ROOT, 'tests', 'references', 'testdata')
_GOLDEN = os.path.join(_TESTDATA, 'tf115.golden')


def make_inputs():
  """The inputs that were recorded; the golden holds a digest of them."""
  random = np.random.RandomState(0)
  return random.standard_normal((4, 8, 8, 3)).astype(np.float32)


def weights_of(observed):
  names = [each['name'] for each in observed['variables']]
  return dict(zip(names, observed['weights'], strict=True))


class PortTest(parameterized.TestCase):
  @parameterized.parameters('constant', 'num_random_ops')
  def test_forward_pass(self, seed_mode):
    golden = reader.Golden(_GOLDEN)
    (entry,) = golden.find(
      kind='run', weights='seeded', seed_mode=seed_mode, training=False
    )
    made_by = golden.manifests[entry['manifest']]
    self.assertEqual(made_by['tensorflow'], '1.15.5')
    images = make_inputs()
    self.assertEqual(
      reader.digest_of_inputs(images), entry['plan']['inputs']['']['digest']
    )
    observed = golden.observation(entry)
    weights, outputs = weights_of(observed), dict(observed['outputs'])
    logits = net.net(weights, images)
    allowed = {'rtol': 1e-6, 'atol': 1e-5 * np.abs(logits).max()}
    np.testing.assert_allclose(logits, outputs["['logits']"], **allowed)
    # A port with another epsilon is found.
    with self.assertRaises(AssertionError):
      np.testing.assert_allclose(
        net.net(weights, images, 1e-2), outputs["['logits']"], **allowed
      )


class ReaderTest(absltest.TestCase):
  def test_reads_what_the_library_reads(self):
    for name in ('tf115.golden', 'tf221.golden'):
      path = os.path.join(_TESTDATA, name)
      golden = reader.Golden(path)
      self.assertEqual(golden.entries, index.read_index(path)['entries'])
      for entry in golden.entries:
        wanted = schema.load(path, entry, 'observation')
        found = golden.observation(entry)
        self.assertEqual(
          [each['name'] for each in found['variables']],
          [each.name for each in wanted.variables],
        )
        self._assert_equal(found['weights'], wanted.weights)
        self._assert_equal(found['gradients'], wanted.gradients)
        self._assert_equal(
          [array for _, array in found['outputs']],
          [array for _, array in wanted.outputs],
        )
        self._assert_equal(
          [each['loss'] for each in found['steps']],
          [each.loss for each in wanted.steps],
        )

  def _assert_equal(self, found, wanted):
    self.assertLen(found, len(wanted))
    for first, second in zip(found, wanted, strict=True):
      np.testing.assert_array_equal(first, second)

  def test_all_kinds_of_values(self):
    small = tf.constant([[1.5, -2.0]], tf.bfloat16).numpy()
    value = {
      'texts': np.array([['a', 'bcd'], ['', 'é']], object),
      'small': small,
      'none': None,
      'nan': float('nan'),
      'pair': (1, [np.int64(3)]),
    }
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'a.golden')
      with archive.updated(path) as writer:
        digest = writer.add(value)
        entry = {'objects': {'observation': digest}, 'plan': {}}
        writer.index['entries'].append(entry)
      found = reader.Golden(path).observation(entry)
    self.assertEqual(
      found['texts'].tolist(), [[b'a', b'bcd'], [b'', 'é'.encode()]]
    )
    np.testing.assert_array_equal(found['small'], small.astype(np.float32))
    self.assertIsNone(found['none'])
    self.assertNotEqual(found['nan'], found['nan'])
    self.assertEqual(found['pair'], (1, [3]))

  def test_needs_numpy_only(self):
    path = os.path.join(_ROOT, 'examples', 'golden_reader', 'reader.py')
    with open(path, encoding='utf-8') as file:
      self.assertLessEqual(len(file.readlines()), 100)
    code = (
      'import sys; sys.modules.update(tensorflow=None, tf_equiv=None)\n'
      'sys.path.insert(0, sys.argv[1]); import reader\n'
      'golden = reader.Golden(sys.argv[2])\n'
      'print(sum(bool(golden.observation(e)) for e in golden.entries))'
    )
    done = subprocess.run(
      [sys.executable, '-c', code, os.path.dirname(path), _GOLDEN],
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=60,
    )
    self.assertEqual(done.stdout, '8\n')


class DamagedTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = os.path.join(folder.name, 'a.golden')

  def rewrite(self, change):
    """Copies the golden, each member as `change(name, data)` gives it."""
    with (
      zipfile.ZipFile(_GOLDEN) as old,
      zipfile.ZipFile(self.path, 'w') as new,
    ):
      for name in old.namelist():
        data = change(name, old.read(name))
        if data is not None:
          new.writestr(name, data)

  def read_all(self):
    golden = reader.Golden(self.path)
    for entry in golden.entries:
      golden.observation(entry)

  def test_whole(self):
    self.rewrite(lambda name, data: data)
    self.read_all()

  def test_changed_members(self):
    for folder in ('arrays/', 'objects/'):
      with self.subTest(folder):
        self.rewrite(
          lambda name, data, folder=folder: (
            data[:-1] + b'\x00' if name.startswith(folder) else data
          )
        )
        with self.assertRaisesRegex(
          reader.DamagedError, f'{folder}.* has another SHA-256'
        ):
          self.read_all()

  def test_missing_members(self):
    self.rewrite(
      lambda name, data: None if name.startswith('arrays/') else data
    )
    with self.assertRaisesRegex(reader.DamagedError, 'cannot be read'):
      self.read_all()

  def test_bytes_that_were_overwritten(self):
    shutil.copy(_GOLDEN, self.path)
    with open(self.path, 'r+b') as file:
      file.seek(os.path.getsize(self.path) // 3)
      file.write(b'\xff' * 20000)
    with self.assertRaises(reader.DamagedError):
      self.read_all()

  def test_half_of_it_and_none(self):
    with open(_GOLDEN, 'rb') as file:
      data = file.read()
    for part in (data[: len(data) // 2], b'', b'no archive'):
      with open(self.path, 'wb') as file:
        file.write(part)
      with self.assertRaisesRegex(reader.DamagedError, 'is no golden'):
        self.read_all()

  def test_other_format(self):
    self.rewrite(
      lambda name, data: (
        data.replace(b'golden 1', b'golden 2') if name == 'index.json' else data
      )
    )
    with self.assertRaisesRegex(
      reader.DamagedError, "has the format 'tf_equiv golden 2'"
    ):
      self.read_all()


if __name__ == '__main__':
  absltest.main()
