"""Checkpoints of format V1 that are wrong and have right checksums."""

import os
import struct
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

# The modules of protocol buffers are no part of the public API.
from tensorflow.core.util import saved_tensor_slice_pb2

from tests.fuzz import mutations
from tf_equiv.tf1 import checkpoint, checkpoint_index

v1 = tf.compat.v1
_EMPTY = struct.pack('<II', 0, 1)  # a block of no entry


def _number(value):
  found = b''
  while value >= 128:
    found, value = found + bytes([value & 127 | 128]), value >> 7
  return found + bytes([value])


def _block(entries):
  found, restarts = b'', []
  for key, value in entries:
    restarts.append(struct.pack('<I', len(found)))
    found += _number(0) + _number(len(key)) + _number(len(value)) + key + value
  return found + b''.join(restarts) + struct.pack('<I', len(restarts))


def table(entries):
  """Returns a table with one block of entries."""
  data, handles = b'', []

  def add(block):
    nonlocal data
    handles.append(_number(len(data)) + _number(len(block)))
    block += b'\0'  # not compressed
    data += block + mutations.checksum(block)

  add(_block(entries))
  add(_EMPTY)
  add(_block([(b'\xff', handles[0])]))
  footer = (handles[1] + handles[2]).ljust(40, b'\0')
  return data + footer + struct.pack('<Q', checkpoint_index._MAGIC)


class MalformedTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.path = os.path.join(folder, 'model.ckpt')
    with tf.Graph().as_default(), v1.Session() as session:
      v1.get_variable('net/a', [3, 4])
      session.run(v1.global_variables_initializer())
      saver = v1.train.Saver(write_version=v1.train.SaverDef.V1)
      saver.save(session, self.path, write_meta_graph=False)
    with open(self.path, 'rb') as file:
      self.entries = list(checkpoint_index._entries(file.read()))

  def change(self, index, change):
    """Changes the message of an entry: 0 for the list, 1 for the value."""
    key, value = self.entries[index]
    message = saved_tensor_slice_pb2.SavedTensorSlices.FromString(value)
    change(message)
    self.entries[index] = key, message.SerializeToString()

  def write(self):
    with open(self.path, 'wb') as file:
      file.write(table(self.entries))

  def fails(self):
    self.write()
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'is damaged or incomplete.*copy it again'
    ):
      checkpoint.open_checkpoint(self.path).value('net/a')

  def test_clean(self):
    self.change(0, lambda message: None)
    self.write()
    opened = checkpoint.open_checkpoint(self.path)
    self.assertEqual(opened.value('net/a').shape, (3, 4))

  @parameterized.parameters(-1, -5, 1 << 40, 1 << 62)
  def test_sizes(self, size):
    def change(message):
      for dim in message.meta.tensor[0].shape.dim:
        dim.size = size

    self.change(0, change)
    self.fails()

  def test_many_dimensions(self):
    def change(message):
      for _ in range(300):
        message.meta.tensor[0].shape.dim.add().size = 1

    self.change(0, change)
    self.fails()

  @parameterized.parameters(0, 7, 20, 99, 120)
  def test_dtypes(self, dtype):
    def change(message):
      message.meta.tensor[0].type = dtype

    self.change(0, change)
    self.fails()

  @parameterized.parameters(-3, 1 << 40)
  def test_slices(self, start):
    def change(message):
      extent = message.meta.tensor[0].slice[0].extent[0]
      extent.start, extent.length = start, 4

    self.change(0, change)
    self.fails()

  @parameterized.parameters(0, 2)
  def test_values_that_are_missing(self, count):
    def change(message):
      del message.data.data.float_val[count:]

    self.change(1, change)
    self.fails()

  @parameterized.parameters(0, 1)
  def test_entries_that_are_no_messages(self, index):
    self.entries[index] = self.entries[index][0], b'\xff' * 20
    self.fails()

  def test_no_list(self):
    del self.entries[0]
    self.fails()


if __name__ == '__main__':
  absltest.main()
