"""Tests of what is said of the environment of a run."""

import os
import platform
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.tf1 import environment


class DescribeTest(absltest.TestCase):
  def test_versions(self):
    found = environment.describe()
    self.assertEqual(found['python'], platform.python_version())
    self.assertEqual(found['tensorflow'], tf.__version__)
    self.assertEqual(found['tf_equiv'], tf_equiv.__version__)
    self.assertEqual(found['processors'], str(os.cpu_count()))
    for name, value in found.items():
      self.assertIsInstance(value, str, name)

  def test_switches(self):
    with mock.patch.dict(os.environ, TF_ENABLE_ONEDNN_OPTS='0'):
      self.assertEqual(environment.describe()['TF_ENABLE_ONEDNN_OPTS'], '0')
    with mock.patch.dict(os.environ, clear=True):
      self.assertNotIn('TF_ENABLE_ONEDNN_OPTS', environment.describe())

  def test_processor(self):
    with tempfile.NamedTemporaryFile('w', suffix='cpuinfo') as file:
      file.write(
        'processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n'
        'flags\t\t: fpu avx2 sse avx avx512f fma\n\nprocessor\t: 1\n'
      )
      file.flush()
      with mock.patch.object(environment, '_CPU_FILE', file.name):
        found = environment.describe()
    self.assertEqual(found['processor'], 'Some CPU @ 2 GHz')
    self.assertEqual(found['processor flags'], 'avx avx2 avx512f fma')

  def test_no_file_about_the_processor(self):
    with mock.patch.object(environment, '_CPU_FILE', '/no/such/file'):
      found = environment.describe()
    self.assertEqual(found['processor'], platform.machine())
    self.assertNotIn('processor flags', found)


if __name__ == '__main__':
  absltest.main()
