"""Tests of finding the user's line."""

import contextlib
import importlib.util
import os
import sys
import tempfile
import unittest
from unittest import mock

from tf_equiv.core.source_line import SourceLine

import tf_equiv  # isort: skip  (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim
from absl.testing import absltest, parameterized

from tf_equiv import compat
from tf_equiv.core import nest
from tf_equiv.tf1 import source_lines

_SLIM = os.path.dirname(tf_slim.__file__)


def package_function(expression):
  """Returns a function that seems to be one of this package."""
  path = os.path.join(os.path.dirname(tf_equiv.__file__), 'tf1', 'some.py')
  code = compile(f'lambda: {expression}', path, 'eval')
  return eval(code, {'source_lines': source_lines, 'tf': tf})


class IsLibraryFileTest(parameterized.TestCase):
  @parameterized.parameters(
    tf_equiv.__file__,
    source_lines.__file__,
    unittest.__file__,
    os.__file__,
    np.__file__,
    absltest.__file__,
    tf.nn.relu.__code__.co_filename,
    os.path.join(_SLIM, 'layers', 'layers.py'),
    os.path.join(_SLIM, 'ops', 'arg_scope.py'),
    '/x/site-packages/tf_keras/src/engine/base_layer.py',
    '/x/site-packages/keras/src/layers/layer.py',
    '/x/site-packages/tensorflow_core/python/ops/nn.py',
    '<string>',
    '<frozen importlib._bootstrap>',
    '',
  )
  def test_libraries(self, filename):
    self.assertTrue(source_lines.is_library_file(filename))

  @parameterized.parameters(
    __file__,
    os.path.join(_SLIM, 'nets', 'vgg.py'),
    '/x/site-packages/some_models/resnet.py',
    '/home/someone/keras_models/net.py',
    '/home/someone/tf_equivalence/net.py',
    'relative/net.py',
  )
  def test_user_code(self, filename):
    self.assertFalse(source_lines.is_library_file(filename))


class UserLineTest(absltest.TestCase):
  def test_finds_this_line(self):
    line = source_lines.user_line()  # the line to be found
    self.assertEqual(line.filename, __file__)
    self.assertEqual(line.function, 'test_finds_this_line')
    self.assertEqual(
      line.code, 'line = source_lines.user_line()  # the line to be found'
    )

  def test_looks_through_library_code(self):
    found = []

    def function(unused_path, unused_leaf):
      found.append(source_lines.user_line())  # called by nest.map_leaves

    nest.map_leaves(function, [1])
    self.assertIn('# called by nest.map_leaves', found[0].code)

  def test_leaves_out_frames_of_this_package(self):
    found = []

    def note(made):
      nest.map_leaves(lambda *_: found.append(found_from_inside()), made)

    found_from_inside = package_function('source_lines.user_line()')
    note([1])
    self.assertEqual(found[0].filename, __file__)
    self.assertIn('found_from_inside()', found[0].code)

  def test_leaves_out_methods_of_what_is_made(self):
    found = []

    class Layer:
      def __init__(self):
        found.append(source_lines.user_line(of=self))

    Layer()  # made here
    self.assertIn('# made here', found[0].code)

  def test_finds_the_line_behind_autograph(self):
    found = []

    @tf.function
    def traced(x):
      if x > 0:
        found.append(source_lines.user_line())  # in generated code
        x += 1
      return x

    traced(tf.constant(1.0))
    self.assertEqual(found[0].filename, __file__)
    self.assertIn('# in generated code', found[0].code)


class CallsUserTest(absltest.TestCase):
  """A marked function ends the search, whatever its file is called."""

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = os.path.join(folder, 'some_module.py')
    with open(path, 'w') as file:
      file.write('def call(user):\n  return user()\n')
      file.write('def not_marked(user):\n  return user()\n')
    spec = importlib.util.spec_from_file_location('some_module', path)
    self.module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(self.module)
    calling = absltest.mock.patch.object(source_lines, '_CALLING', set())
    self.enter_context(calling)
    self.assertIs(source_lines.calls_user(self.module.call), self.module.call)

  def test_nothing_further_out_is_found(self):
    library = package_function('source_lines.user_line()')
    self.assertEqual(self.module.call(library), SourceLine())
    line = self.module.not_marked(library)
    self.assertEqual(line.filename, self.module.__file__)

  def test_what_it_calls_is_found(self):
    def user():
      return source_lines.user_line()  # the user's code

    self.assertIn("# the user's code", self.module.call(user).code)

  def test_nothing_further_out_is_found_for_an_op(self):
    library = package_function('tf.no_op()')
    with tf.Graph().as_default():
      marked = self.module.call(library)
      other = self.module.not_marked(library)
    of_stack = source_lines.user_line_of_stack
    self.assertEqual(of_stack(compat.op_stack(marked)), SourceLine())
    line = of_stack(compat.op_stack(other))
    self.assertEqual(line.filename, self.module.__file__)

  def test_a_method_is_marked_below_other_decorators(self):
    class Runner:
      @contextlib.contextmanager
      @source_lines.calls_user
      def active(self, library):
        yield library()

    with Runner().active(package_function('source_lines.user_line()')) as line:
      self.assertEqual(line, SourceLine())


class CallingFrameTest(absltest.TestCase):
  def test_the_first_frame_outside_of_this_package(self):
    frame = package_function('source_lines.calling_frame()')()
    self.assertIs(frame, sys._getframe())

  def test_of_a_call_from_elsewhere(self):
    self.assertIs(source_lines.calling_frame(), sys._getframe())


class TracebackTest(absltest.TestCase):
  def test_innermost_user_line(self):
    try:
      nest.map_leaves(lambda path, leaf: 1 / leaf, [0])  # divides
    except ZeroDivisionError:
      line = source_lines.user_line_of_traceback(sys.exc_info()[2])
    self.assertIn('# divides', line.code)
    self.assertEqual(line.filename, __file__)

  def test_error_in_a_library(self):
    try:
      np.linalg.inv(np.zeros((2, 3)))  # not square
    except np.linalg.LinAlgError:
      line = source_lines.user_line_of_traceback(sys.exc_info()[2])
    self.assertIn('# not square', line.code)

  def test_nothing(self):
    self.assertEqual(source_lines.user_line_of_traceback(None), SourceLine())


class SourceLineTest(absltest.TestCase):
  def test_unknown(self):
    self.assertEqual(str(SourceLine()), 'unknown line')
    self.assertEqual(SourceLine().code, '')

  def test_unreadable(self):
    self.assertEqual(str(SourceLine('gone.py', 5)), 'gone.py:5')

  def test_shows_the_code(self):
    line = SourceLine(__file__, 1)
    self.assertRegex(
      str(line), r'source_lines_test\.py:1  """Tests of finding the'
    )

  def test_shortens_installed_files(self):
    name = os.path.join(os.sep, 'venv', 'site-packages', 'nets', 'a.py')
    self.assertEqual(
      str(SourceLine(name, 5)), os.path.join('nets', 'a.py') + ':5'
    )

  def test_shortens_files_below_the_current_folder(self):
    name = os.path.join(os.getcwd(), 'nets', 'a.py')
    self.assertEqual(
      str(SourceLine(name, 5)), os.path.join('nets', 'a.py') + ':5'
    )


class WithoutCurrentFolderTest(absltest.TestCase):
  def test_a_line_is_shown_all_the_same(self):
    line = SourceLine('/models/net.py', 3, 'forward')
    with mock.patch.object(os.path, 'relpath', side_effect=FileNotFoundError):
      self.assertEqual(str(line), '/models/net.py:3')


if __name__ == '__main__':
  absltest.main()
