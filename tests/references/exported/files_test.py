"""Each way in which the files of an export can be wrong has a clear message."""

import os
import shutil

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized
from google.protobuf import text_format

from tests.references.exported_test_helper import data_path, temporary_folder
from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.references.exported import files

v1 = tf.compat.v1


def read_saved_model(folder, signature='serving_default', tags=('serve',)):
  return files.read_saved_model(folder, signature, tags)


class _FilesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = temporary_folder(self)

  def path(self, *parts):
    return os.path.join(self.folder, *parts)

  def write(self, name, data):
    with open(self.path(name), 'wb') as file:
      file.write(data)
    return self.path(name)

  def fails(self, message, function, *args):
    with self.assertRaises(errors.UsageError) as caught:
      function(*args)
    text = str(caught.exception).replace(self.folder, 'DIR')
    self.assertIn(message.replace(data_path(''), 'DATA/'), self.short(text))

  def short(self, text):
    return text.replace(data_path(''), 'DATA/')


def contents(name):
  with open(data_path(name), 'rb') as file:
    return file.read()


class SavedModelTest(_FilesTest):
  def test_reads(self):
    for path in (data_path('serving'), data_path('serving/saved_model.pb')):
      export = read_saved_model(path)
      self.assertEqual(export.title, 'SavedModel %r' % data_path('serving'))
      self.assertEqual(
        sorted(export.signature['outputs']), ['logits', 'probabilities']
      )
      self.assertLen(export.checkpoint.entries, 8)

  def test_text(self):
    saved = compat.export_messages().SavedModel()
    saved.ParseFromString(contents('serving/saved_model.pb'))
    text = text_format.MessageToString(saved).encode()
    self.write('saved_model.pbtxt', text)
    export = read_saved_model(self.folder)
    self.assertIn('images', export.signature['inputs'])
    self.assertIsNone(export.checkpoint)

  def test_tags_as_a_string(self):
    read_saved_model(data_path('serving'), tags='serve')

  def test_no_path(self):
    for path in (None, 3, ''):
      self.fails(
        'export_dir is %r; expected a path' % (path,), read_saved_model, path
      )

  def test_no_folder(self):
    self.fails(
      "There is no SavedModel in 'DATA/servings': there is no such folder. "
      "Beside it are 'serving'.",
      read_saved_model,
      data_path('servings'),
    )

  def test_file_instead_of_folder(self):
    self.fails(
      'it is a file. Give the folder that holds saved_model.pb; for other '
      'exports there are tf_equiv.MetaGraph and tf_equiv.FrozenGraph.',
      read_saved_model,
      data_path('frozen.pb'),
    )

  def test_folder_of_an_estimator(self):
    shutil.copytree(data_path('serving'), self.path('1600000000'))
    self.fails(
      'it has no file saved_model.pb. Folders in it have one: give '
      "'DIR/1600000000'.",
      read_saved_model,
      self.folder,
    )

  def test_folder_of_checkpoints(self):
    self.write('model.ckpt.meta', b'')
    self.fails(
      "It has 'model.ckpt.meta', for which there is tf_equiv.MetaGraph.",
      read_saved_model,
      self.folder,
    )

  def test_tags(self):
    self.fails(
      "SavedModel 'DATA/serving' has no graph with the tags ('gpu', 'serve'); "
      "it has graphs with ('serve',). Give tags=('serve',).",
      read_saved_model,
      data_path('serving'),
      'serving_default',
      ('serve', 'gpu'),
    )
    self.fails(
      'tags is 3; expected strings',
      read_saved_model,
      data_path('serving'),
      'serving_default',
      3,
    )

  def test_signature(self):
    self.fails(
      "SavedModel 'DATA/serving' has no signature 'serving_defualt'; it has "
      "'serving_default'. Did you mean 'serving_default'?",
      read_saved_model,
      data_path('serving'),
      'serving_defualt',
    )
    self.fails(
      "has no signature 'predict_images'; it has 'serving_default'. Give one "
      'of them, or signature=None with inputs and outputs by the names of '
      'tensors.',
      read_saved_model,
      data_path('serving'),
      'predict_images',
    )

  def test_of_tf2(self):
    module = tf.Module()
    module.f = tf.function(
      lambda x: 2 * x, input_signature=[tf.TensorSpec([None], tf.float32)]
    )
    tf.saved_model.save(module, self.folder, signatures=module.f)
    self.fails(
      "SavedModel 'DIR' is one of TF2: tf.saved_model.save wrote it, so it has "
      'no graph of TF1',
      read_saved_model,
      self.folder,
    )

  def test_truncated(self):
    shutil.copytree(data_path('serving'), self.path('cut'))
    self.write('cut/saved_model.pb', contents('serving/saved_model.pb')[:9000])
    self.fails(
      "'DIR/cut/saved_model.pb' is damaged or incomplete: as a SavedModel of "
      '9000 bytes it cannot be read',
      read_saved_model,
      self.path('cut'),
    )

  def test_without_its_values(self):
    shutil.copytree(data_path('serving'), self.path('cut'))
    os.remove(self.path('cut', 'variables', 'variables.index'))
    self.fails(
      "Checkpoint 'DIR/cut/variables/variables' is incomplete: its file "
      "'variables.index' is missing",
      read_saved_model,
      self.path('cut'),
    )


class MetaGraphTest(_FilesTest):
  def test_reads(self):
    for name in ('classifier.ckpt.meta', 'classifier.ckpt'):
      export = files.read_meta_graph(data_path(name), None)
      self.assertNotEmpty(export.meta.graph_def.node)

  def test_missing(self):
    self.fails(
      "There is no MetaGraph 'DATA/model.meta'. The folder has "
      "'classifier.ckpt.meta'.",
      files.read_meta_graph,
      data_path('model.meta'),
      None,
    )
    self.fails(
      "There is no MetaGraph 'DIR/model.meta'. The folder has no file that "
      "ends in '.meta'.",
      files.read_meta_graph,
      self.path('model.meta'),
      None,
    )
    self.fails(
      "There is no MetaGraph 'DIR/no/model.meta': its folder does not exist.",
      files.read_meta_graph,
      self.path('no', 'model.meta'),
      None,
    )

  def test_folder(self):
    self.fails(
      "'DATA/serving' is a SavedModel: give it to tf_equiv.SavedModel.",
      files.read_meta_graph,
      data_path('serving'),
      None,
    )
    self.fails(
      "'DIR' is a folder; expected the file of a MetaGraph.",
      files.read_meta_graph,
      self.folder,
      None,
    )

  def test_missing_checkpoint(self):
    self.fails(
      "There is no checkpoint 'DATA/classifier'. The folder has",
      files.read_meta_graph,
      data_path('classifier.ckpt.meta'),
      data_path('classifier'),
    )

  def test_frozen_graph(self):
    path = self.write('model.meta', contents('frozen.pb'))
    self.fails(
      "'DIR/model.meta' is a GraphDef; if it is frozen, give it to "
      'tf_equiv.FrozenGraph.',
      files.read_meta_graph,
      path,
      None,
    )

  def test_truncated(self):
    path = self.write('model.meta', contents('classifier.ckpt.meta')[:50000])
    self.fails(
      "'DIR/model.meta' is damaged or incomplete: as a MetaGraphDef of 50000 "
      'bytes it cannot be read',
      files.read_meta_graph,
      path,
      None,
    )


class FrozenGraphTest(_FilesTest):
  def test_text(self):
    graph_def = v1.GraphDef.FromString(contents('frozen.pb'))
    text = text_format.MessageToString(graph_def).encode()
    export = files.read_frozen_graph(self.write('a.pbtxt', text))
    self.assertEqual(export.meta.graph_def, graph_def)
    self.assertTrue(export.frozen)
    self.fails(
      "'DIR/a.pb' is a GraphDef as text; give it the ending '.pbtxt'",
      files.read_frozen_graph,
      self.write('a.pb', text),
    )

  def test_binary_named_text(self):
    path = self.write('a.pbtxt', contents('frozen.pb'))
    self.fails("'DIR/a.pbtxt' is a GraphDef", files.read_frozen_graph, path)

  def test_empty(self):
    self.fails(
      "'DIR/a.pb' is an empty file. Copy it again from its source",
      files.read_frozen_graph,
      self.write('a.pb', b''),
    )

  def test_no_nodes(self):
    data = v1.GraphDef(versions={'producer': 9}).SerializeToString()
    self.fails(
      "'DIR/a.pb' is no frozen graph (GraphDef): it was read, and holds no "
      'graph. Copy it again',
      files.read_frozen_graph,
      self.write('a.pb', data),
    )

  @parameterized.parameters(
    (b'\x89HDF\r\n\x1a\n', 'an HDF5 file, as Keras writes it (.h5)'),
    (b'PK\x03\x04abc', 'a zip archive (.keras, .npz)'),
    (b'\x1f\x8b\x08\x00', 'compressed by gzip; unpack it first'),
    (b'\x1c\x00\x00\x00TFL3\x00', 'a TensorFlow Lite model'),
    (b'version https://git-lfs.github.com', 'a pointer of Git LFS'),
  )
  def test_other_kinds(self, data, kind):
    self.fails(
      "'DIR/a.pb' is %s" % kind,
      files.read_frozen_graph,
      self.write('a.pb', data),
    )

  @parameterized.parameters(
    ('classifier.ckpt.meta', 'a MetaGraph; give it to tf_equiv.MetaGraph'),
    (
      'serving/saved_model.pb',
      'the graph of a SavedModel; give its folder to tf_equiv.SavedModel',
    ),
  )
  def test_other_exports(self, name, kind):
    self.fails(
      'is %s. Expected is a frozen graph (GraphDef).' % kind,
      files.read_frozen_graph,
      data_path(name),
    )

  def test_garbage(self):
    self.fails(
      "'DIR/a.pb' is ",
      files.read_frozen_graph,
      self.write('a.pb', bytes(range(256)) * 4),
    )

  @parameterized.parameters(4000, 2000, 100, 10)
  def test_truncated(self, size):
    path = self.write('a.pb', contents('frozen.pb')[:size])
    self.fails("'DIR/a.pb' is ", files.read_frozen_graph, path)


class NamesTest(absltest.TestCase):
  def test_listed(self):
    self.assertEqual(files.listed(['b', 'a', 'b']), "'a', 'b'")
    self.assertEndsWith(
      files.listed('%02d' % i for i in range(14)), "'09', and 4 more"
    )

  def test_similar(self):
    names = ['net/logits/BiasAdd', 'images', 'net/conv/Conv2D', 'Images_1']
    self.assertEqual(files.similar('image', names), ['images', 'Images_1'])
    self.assertEqual(
      files.similar('logits/BiasAdd', names), ['net/logits/BiasAdd']
    )
    self.assertEqual(files.similar('xyz', names), [])


if __name__ == '__main__':
  absltest.main()
