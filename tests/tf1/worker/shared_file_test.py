import errno
import os
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import ml_dtypes
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1.worker import shared_file


class ExchangeTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.path = os.path.join(folder.name, 'it')

  def _round_trip(self, value):
    shared_file.write(self.path, value)
    found = shared_file.read(self.path)
    self.assertEmpty(os.listdir(self.folder))
    return found

  @parameterized.parameters(
    'float16', 'float32', 'float64', 'int8', 'uint64', 'bool', 'complex64'
  )
  def test_dtypes_and_shapes(self, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    arrays = [array, array.T, array[:0], array[0, 0], array[:, 1]]
    for before, after in zip(arrays, self._round_trip(arrays), strict=True):
      self.assertEqual(after.dtype, array.dtype)
      self.assertEqual(after.shape, before.shape)
      np.testing.assert_array_equal(after, before)

  def test_what_numpy_does_not_have(self):
    half = np.arange(3).astype(ml_dtypes.bfloat16)
    text = np.array([b'a\0', b''], dtype=object)
    found = self._round_trip({'half': half, 'text': text, 'none': None})
    self.assertEqual(found['half'].dtype, ml_dtypes.bfloat16)
    self.assertEqual(found['text'].tolist(), [b'a\0', b''])
    self.assertIsNone(found['none'])

  def test_plans(self):
    plan = plan_lib.RunPlan(np.ones(3), batches=(np.ones(3), np.zeros(3)))
    found = self._round_trip(plan)
    self.assertEqual(found.describe(), plan.describe())
    np.testing.assert_array_equal(found.batches[0], np.ones(3))

  def test_arrays_may_be_changed(self):
    (array,) = self._round_trip([np.zeros(3)])
    array += 1
    np.testing.assert_array_equal(array, np.ones(3))

  def test_no_arrays(self):
    self.assertEqual(self._round_trip([]), [])

  def test_a_full_disk_leaves_nothing(self):
    full = OSError(errno.ENOSPC, 'No space left on device')
    with mock.patch.object(np, 'ascontiguousarray', side_effect=full):
      with self.assertRaises(OSError):
        shared_file.write(self.path, [np.ones(3)])
    self.assertEmpty(os.listdir(self.folder))

  def test_missing_and_damaged_files(self):
    with self.assertRaisesRegex(
      tf_equiv.EnvironmentSetupError, 'FileNotFoundError'
    ):
      shared_file.read(self.path)
    shared_file.write(self.path, [np.ones(300)])
    with open(self.path, 'rb') as stream:
      data = stream.read()
    for damaged in (data[:-8], data[:40], b'', b'text'):
      with open(self.path, 'wb') as stream:
        stream.write(damaged)
      with self.assertRaisesRegex(
        tf_equiv.EnvironmentSetupError, 'of another process, cannot be read'
      ):
        shared_file.read(self.path)


if __name__ == '__main__':
  absltest.main()
