"""What writers of checkpoints that are killed leave behind, and who removes it.

A writer is stopped at each of its moves: the folder is copied as it is then,
which is what a kill would leave.
"""

import os
import shutil
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.tf2 import checkpoint_files, temporary_folders

_RENAME = tf.io.gfile.rename


def write(output, value):
  model = tf.Module()
  model.w = tf.Variable([value] * 3, name='w')
  checkpoint_files.write(output, model, None, [model.w])


def read(output):
  return tf.train.load_checkpoint(output).get_tensor(
    'model/w/.ATTRIBUTES/VARIABLE_VALUE'
  )[0]


class WriteTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.output = os.path.join(self.folder, 'place', 'model')
    os.mkdir(os.path.dirname(self.output))

  def killed(self, old):
    """Returns the outputs of writers that were killed at each move."""
    if old:
      write(self.output, 1.0)
    found = []

    def rename(source, target):
      copy = os.path.join(self.folder, f'killed-{len(found)}')
      shutil.copytree(os.path.dirname(self.output), copy)
      found.append(os.path.join(copy, 'model'))
      _RENAME(source, target)

    with mock.patch.object(tf.io.gfile, 'rename', rename):
      write(self.output, 2.0)
    self.assertLen(found, 4 if old else 2)
    return found

  def left_behind(self, output):
    names = os.listdir(os.path.dirname(output))
    return [name for name in names if '.tmp-' in name]

  def test_nothing_is_left(self):
    write(self.output, 1.0)
    write(self.output, 2.0)
    self.assertEqual(read(self.output), 2.0)
    self.assertEmpty(self.left_behind(self.output))

  @parameterized.parameters(True, False)
  def test_the_next_writer_removes_it(self, old):
    for output in self.killed(old):
      self.assertLen(self.left_behind(output), 1)
      write(output, 3.0)
      self.assertEmpty(self.left_behind(output))
      self.assertEqual(read(output), 3.0)

  def test_the_old_checkpoint_is_put_back(self):
    for output in self.killed(old=True):
      with self.assertRaisesRegex(tf_equiv.UsageError, 'cannot be written'):
        with mock.patch.object(
          checkpoint_files.checkpoint, 'write', side_effect=OSError('full')
        ):
          write(output, 3.0)
      self.assertEqual(read(output), 1.0)
      self.assertEmpty(self.left_behind(output))

  def test_what_was_replaced_is_not_put_back(self):
    output = self.killed(old=True)[-1]
    for name in os.listdir(os.path.dirname(self.output)):
      shutil.copy(os.path.join(os.path.dirname(self.output), name), output[:-5])
    self.assertLen(self.left_behind(output), 1)
    with self.assertRaises(tf_equiv.UsageError):
      with mock.patch.object(
        checkpoint_files.checkpoint, 'write', side_effect=OSError('full')
      ):
        write(output, 3.0)
    self.assertEqual(read(output), 2.0)

  def test_a_writer_at_work_keeps_its_folder(self):
    with temporary_folders.beside(self.output) as folder:
      write(self.output, 1.0)
      self.assertTrue(os.path.isdir(folder))
    self.assertFalse(os.path.exists(folder))

  @parameterized.parameters(
    'model.tmp-abc',
    'model.tmp-' + 'g' * 32,
    'model2.tmp-' + '0' * 32,
    'xmodel.tmp-' + '0' * 32,
  )
  def test_other_folders_stay(self, name):
    other = os.path.join(os.path.dirname(self.output), name)
    os.mkdir(other)
    write(self.output, 1.0)
    self.assertTrue(os.path.isdir(other))

  def test_links_are_not_followed(self):
    target = os.path.join(self.folder, 'kept')
    os.mkdir(target)
    link = self.output + '.tmp-' + '0' * 32
    os.symlink(target, link)
    write(self.output, 1.0)
    self.assertTrue(os.path.isdir(target))
    self.assertTrue(os.path.islink(link))


if __name__ == '__main__':
  absltest.main()
