"""Tests of finding the user's line."""

import os
import sys
import unittest
from unittest import mock

from tf_equiv.core.source_line import SourceLine

import tf_equiv  # isort: skip  (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim
from absl.testing import absltest, parameterized

from tf_equiv.core import nest
from tf_equiv.tf1 import source_lines

_SLIM = os.path.dirname(tf_slim.__file__)


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

  def test_skip(self):
    def inner():
      return source_lines.user_line(2)

    line = inner()  # the caller's line
    self.assertEqual(line.code, "line = inner()  # the caller's line")

  def test_looks_through_library_code(self):
    found = []

    def function(unused_path, unused_leaf):
      # Called by nest.map_leaves: two frames up is library code.
      found.append(source_lines.user_line(2))

    nest.map_leaves(function, [1])  # called here
    self.assertEqual(
      found[0].code, 'nest.map_leaves(function, [1])  # called here'
    )

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
