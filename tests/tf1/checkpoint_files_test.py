"""What may stand in the place of a checkpoint's files."""

import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.tf1 import checkpoint, checkpoint_files

v1 = tf.compat.v1
_VERSIONS = {'V1': v1.train.SaverDef.V1, 'V2': v1.train.SaverDef.V2}


class FilesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.prefix = os.path.join(self.folder, 'model.ckpt')

  def save(self, version):
    with tf.Graph().as_default(), v1.Session() as session:
      v1.get_variable('w', initializer=np.ones(3, np.float32))
      session.run(v1.global_variables_initializer())
      saver = v1.train.Saver(write_version=_VERSIONS[version])
      saver.save(session, self.prefix, write_meta_graph=False)

  def refused(self, path=None):
    with self.assertRaises(tf_equiv.UsageError) as caught:
      opened = checkpoint.open_checkpoint(path or self.prefix)
      for name in opened.entries:
        opened.value(name)
    text = str(caught.exception)
    self.assertLess(len(text), 2000)
    return text

  def replace(self, path, kind):
    if os.path.exists(path):
      os.unlink(path)
    if kind == 'pipe':
      os.mkfifo(path)
    elif kind == 'device':
      os.symlink('/dev/zero', path)
    elif kind == 'loop':
      os.symlink(os.path.basename(path), path)
    elif kind == 'folder':
      os.mkdir(path)

  @parameterized.product(
    file=[
      ('V1', ''),
      ('V2', '.index'),
      ('V2', '.data-00000-of-00001'),
    ],
    kind=['pipe', 'device', 'loop', 'folder'],
  )
  def test_no_file(self, file, kind):
    version, ending = file
    self.save(version)
    self.assertIn('w', checkpoint.open_checkpoint(self.prefix).entries)
    path = self.prefix + ending
    self.replace(path, kind)
    text = self.refused()
    if kind in ('pipe', 'device'):
      self.assertIn(f'{path!r} is a pipe or a device, where a file of', text)
    elif version == 'V2' and kind == 'folder':
      self.assertIn(f'{path!r} is a folder, where a file of a', text)
    else:  # As if it were not there.
      self.assertIn(self.folder, text)

  @parameterized.parameters('pipe', 'device', 'folder', 'loop')
  def test_state_that_is_no_file(self, kind):
    self.save('V2')
    state = os.path.join(self.folder, 'checkpoint')
    self.assertEqual(checkpoint_files.find_prefix(self.folder), self.prefix)
    self.replace(state, kind)
    text = self.refused(self.folder)
    self.assertIn(repr(state), text)

  @parameterized.parameters(
    b'\xff\xfe\x00',
    b'model_checkpoint_path: "',
    b'colour: "red"',
    b'model_checkpoint_path: 3',
    b'model_checkpoint_path: "a\\000b"',
    b'#' * (11 << 20),
  )
  def test_damaged_state(self, content):
    self.save('V2')
    with open(os.path.join(self.folder, 'checkpoint'), 'wb') as file:
      file.write(content)
    text = self.refused(self.folder)
    self.assertIn("The file 'checkpoint' in", text)
    self.assertIn('is damaged: it does not name the latest checkpoint', text)
    self.assertIn("The folder has 'model.ckpt'", text)

  def test_state_that_names_a_device(self):
    self.save('V2')
    with open(os.path.join(self.folder, 'checkpoint'), 'w') as file:
      file.write('model_checkpoint_path: "/dev/zero"')
    self.assertIn(
      "'/dev/zero' is a pipe or a device", self.refused(self.folder)
    )

  def test_path_with_a_zero(self):
    self.assertIn('is no path of a checkpoint', self.refused('a\0b'))


if __name__ == '__main__':
  absltest.main()
