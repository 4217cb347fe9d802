import os
import sys
import tempfile
import textwrap

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.worker import user_model

_ARGUMENTS = {'behavior': None, 'update_ops': True}


class UserModelTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.addCleanup(sys.path.__setitem__, slice(None), list(sys.path))
    self.addCleanup(self._forget, set(sys.modules))

  def _forget(self, known):
    for name in set(sys.modules) - known:
      del sys.modules[name]

  def _write(self, name, text):
    with open(os.path.join(self.folder, name + '.py'), 'w') as file:
      file.write(textwrap.dedent(text))

  def _load(self, name):
    return user_model.load(name, [self.folder])

  def test_functions_of_a_module(self):
    self._write(
      'plain',
      """
      tf1_update_ops = False
      def build_tf1(inputs, training): return inputs, training
      def compute_loss(outputs, inputs): return 'loss'
      """,
    )
    model = self._load('plain')
    self.assertEqual(model.defined(), ['build_tf1', 'compute_loss'])
    program = model.program(_ARGUMENTS, None)
    self.assertEqual(program.build(1, True), (1, True))
    self.assertEqual(program.compute_loss(1, 2), 'loss')
    self.assertFalse(program.update_ops)
    self.assertIsNone(program.train)
    self.assertEqual(program.clip_gradients([1]), [1])

  def test_methods_of_a_class(self):
    self._write(
      'nested',
      """
      class Models:
        class Net:
          def __init__(self, depth=3): self.depth = depth
          def build_tf1(self, inputs, training): return self.depth
          @staticmethod
          def compute_loss_tf1(outputs, inputs): return 'own'
          def compute_loss(self, outputs, inputs): return 'shared'
          def train_tf1(self, inputs): return 'step'
      """,
    )
    model = self._load('nested:Models.Net')
    program = model.program(_ARGUMENTS, None)
    self.assertEqual(program.build(None, False), 3)
    self.assertEqual(program.compute_loss(1, 2), 'own')
    self.assertEqual(program.train(None), 'step')
    self.assertTrue(program.update_ops)

  def test_behaviors(self):
    self._write('plain', 'def build_tf1(inputs, training): pass\n')
    model = self._load('plain')
    program = model.program(_ARGUMENTS, None)
    # In TF2, the default of a test case; in TF1, those of TF1.
    if not tf.__version__.startswith('1.'):
      self.assertEqual(program.behavior, program_lib.TF1Behavior())
    given = {'resource_variables': False, 'v2_tensorshape': False}
    program = model.program({'behavior': given, 'update_ops': True}, None)
    self.assertEqual(program.behavior, program_lib.TF1Behavior(**given))

  def test_a_missing_module(self):
    os.mkdir(os.path.join(self.folder, 'legacy'))
    with self.assertRaises(tf_equiv.UsageError) as caught:
      user_model.load('pakage.lenet', [self.folder])
    message = str(caught.exception)
    self.assertStartsWith(message, "model='pakage.lenet': the interpreter of t")
    self.assertIn(sys.executable, message)
    self.assertIn("finds no module 'pakage'", message)
    self.assertIn(repr(self.folder), message)

  def test_the_folder_instead_of_its_parent(self):
    package = os.path.join(self.folder, 'repo')
    os.mkdir(package)
    with self.assertRaises(tf_equiv.UsageError) as caught:
      user_model.load('repo.net', [package])
    self.assertIn('(did you mean %r?)' % self.folder, str(caught.exception))

  def test_a_missing_class(self):
    self._write('plain', 'import os\nclass Lenet: pass\ndef _x(): pass\n')
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'plain has no LeNet; it has Lenet\\.'
    ):
      self._load('plain:LeNet')

  def test_a_class_that_needs_arguments(self):
    self._write('plain', 'class Net:\n  def __init__(self, config): pass\n')
    with self.assertRaisesRegex(
      tf_equiv.UsageError, "without arguments, but missing a re.*'config'"
    ):
      self._load('plain:Net')

  def test_a_missing_method(self):
    self._write(
      'plain', 'class Net:\n  def build_tf_1(self, inputs, training): pass\n'
    )
    program = self._load('plain:Net').program(_ARGUMENTS, None)
    with self.assertRaises(tf_equiv.UsageError) as caught:
      program.build(None, False)
    self.assertEqual(
      str(caught.exception),
      'plain:Net has no build_tf1, which the TF1 side needs (it has '
      'build_tf_1). Define build_tf1(inputs, training) there.',
    )
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'plain:Net has no build_tf1_optimizer, which'
    ):
      program.build_optimizer()

  def test_a_missing_package(self):
    self._write('needy', 'import slim_of_1999.layers\n')
    with self.assertRaises(tf_equiv.EnvironmentSetupError) as caught:
      self._load('needy')
    message = str(caught.exception)
    self.assertIn("needy needs the module 'slim_of_1999'", message)
    self.assertIn('-m pip install slim_of_1999', message)

  def test_errors_of_the_module_pass(self):
    self._write('broken', 'raise KeyError("x")\n')
    with self.assertRaises(KeyError):
      self._load('broken')
    self._write('older', 'from tensorflow import no_such_name\n')
    with self.assertRaises(ImportError):
      self._load('older')


if __name__ == '__main__':
  absltest.main()
