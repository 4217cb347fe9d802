"""Indexes of checkpoints that are wrong and have right checksums."""

import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.fuzz import mutations
from tf_equiv.tf1 import checkpoint, checkpoint_index


class IndexTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.prefix = os.path.join(self.folder, 'model.ckpt')
    self.path = self.prefix + '.index'
    tf.raw_ops.SaveV2(
      prefix=self.prefix,
      tensor_names=['net/a', 'net/b'],
      shape_and_slices=['', ''],
      tensors=[np.ones((1,) * 10, np.float32), np.zeros((3, 4))],
    )

  def read(self):
    with open(self.path, 'rb') as file:
      return file.read()

  def change(self, old, new):
    """Replaces bytes in the first block, and its checksum."""
    data = self.read()
    end = mutations.first_block(data)
    block = data[:end].replace(old, new)
    self.assertLen(block, end)
    self.assertNotEqual(block, data[:end])
    with open(self.path, 'wb') as file:
      file.write(block + mutations.checksum(block) + data[end + 4 :])

  def test_clean(self):
    self.assertEmpty(list(checkpoint_index.problems(self.read())))
    opened = checkpoint.open_checkpoint(self.prefix)
    self.assertEqual(opened.value('net/b').shape, (3, 4))

  def test_shape_that_cannot_be_counted(self):
    # TensorFlow ends the process: Check failed: 0 <= new_num_elements.
    self.change(b'\x12\x02\x08\x01', b'\x12\x02\x08\x7f')
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r"is damaged: in its index, 'net/a' has the shape \[127, .*\], which "
      'nothing has; copy it again from its source',
    ):
      checkpoint.open_checkpoint(self.prefix)

  def test_entry_that_is_no_message(self):
    # Check failed: entry.ParseFromString(...).
    self.change(b'\x12\x02\x08\x01', b'\x12\x7f\x08\x01')
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      "in its index, 'net/a' is described by no message",
    ):
      checkpoint.open_checkpoint(self.prefix)

  @parameterized.parameters(b'\x6e', b'\x7f', b'\x63', b'\x14')
  def test_dtype_that_no_value_has(self, dtype):
    # Unexpected type: 110.
    self.change(b'\x08\x01\x12', b'\x08' + dtype + b'\x12')
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      rf"'net/a' has the dtype {dtype[0]}, which no value has",
    ):
      checkpoint.open_checkpoint(self.prefix)

  def test_shape_that_is_too_large_for_the_file(self):
    self.change(b'\x12\x02\x08\x01', b'\x12\x02\x08\x40')
    self.assertEmpty(list(checkpoint_index.problems(self.read())))
    opened = checkpoint.open_checkpoint(self.prefix)
    with self.assertRaisesRegex(tf_equiv.UsageError, 'is damaged or incomplet'):
      opened.value('net/a')

  def test_what_is_no_index(self):
    data = self.read()
    for size in range(len(data)):
      self.assertEmpty(list(checkpoint_index.problems(data[:size])))
    for i in range(0, len(data), 3):
      changed = bytearray(data)
      changed[i] ^= 0x85
      list(checkpoint_index.problems(bytes(changed)))

  def test_index_that_is_too_large(self):
    with open(self.path, 'r+b') as file:
      file.truncate(1 << 29)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'is larger than any index of a checkpoint'
    ):
      checkpoint.open_checkpoint(self.prefix)


if __name__ == '__main__':
  absltest.main()
