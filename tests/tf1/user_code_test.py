"""Tests of the explanations of errors in the user's code."""

import unittest

import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.core import errors
from tf_equiv.tf1 import user_code

v1 = tf.compat.v1

_LEGACY_KERAS = 'TF_USE_LEGACY_KERAS=1'
_GRAPH_ONLY = 'a graph-only property of a tensor'


def _run(side, function, what='build'):
  with user_code.running(side, what):
    return function()


# (name, side, error of the user's code, class, what the advice mentions)
_KNOWN = (
  (
    'layers_of_keras_3',
    'TF1',
    AttributeError('`batch_normalization` is not available with Keras 3.'),
    errors.EnvironmentSetupError,
    _LEGACY_KERAS,
  ),
  (
    'missing_in_keras_3',
    'TF2',
    AttributeError("module 'keras._tf_keras.keras' has no attribute 'legacy'"),
    errors.EnvironmentSetupError,
    _LEGACY_KERAS,
  ),
  (
    'contrib_import',
    'TF1',
    ModuleNotFoundError("No module named 'tensorflow.contrib'"),
    errors.ModelCodeError,
    'tf_slim replaces contrib.slim',
  ),
  (
    'contrib_attribute',
    'TF2',
    AttributeError("module 'tensorflow' has no attribute 'contrib'"),
    errors.ModelCodeError,
    'tf_slim replaces contrib.slim',
  ),
  (
    'dimension_value',
    'TF1',
    AttributeError("'int' object has no attribute 'value'"),
    errors.ModelCodeError,
    'TF1Behavior(v2_tensorshape=False)',
  ),
  (
    'unknown_dimension_value',
    'TF1',
    AttributeError("'NoneType' object has no attribute 'value'"),
    errors.ModelCodeError,
    'TF1Behavior(v2_tensorshape=False)',
  ),
  (
    'shim_on_keras_3',
    'TF2',
    ValueError(
      '`tf.compat.v1.keras.utils.track_tf1_layers_and_variables` must be '
      'applied to a method of a subclassed `tf.Module`'
    ),
    errors.EnvironmentSetupError,
    'tf_keras',
  ),
  (
    'partitioner',
    'TF2',
    ValueError('`partitioner` arg for `get_variable` is unsupported in TF2.'),
    errors.ModelCodeError,
    'drop the partitioner',
  ),
  (
    'tensor_name',
    'TF2',
    AttributeError('Tensor.name is undefined when eager execution is enabled.'),
    errors.ModelCodeError,
    _GRAPH_ONLY,
  ),
  (
    'placeholder',
    'TF2',
    RuntimeError('tf.placeholder() is not compatible with eager execution.'),
    errors.ModelCodeError,
    _GRAPH_ONLY,
  ),
  (
    'tensor_op',
    'TF2',
    AttributeError(
      "'tensorflow.python.framework.ops.EagerTensor' object has no attribute "
      "'op'"
    ),
    errors.ModelCodeError,
    _GRAPH_ONLY,
  ),
)


class KnownErrorsTest(parameterized.TestCase):
  @parameterized.named_parameters(*_KNOWN)
  def test_is_explained(self, side, error, cls, advice):
    def model():
      raise error  # the line of the model

    with self.assertRaises(cls) as caught:
      _run(side, model, 'build_it')
    message = str(caught.exception)
    lines = message.splitlines()
    self.assertEqual(
      lines[0],
      'build_it could not run on the %s side; nothing was compared.' % side,
    )
    self.assertRegex(
      lines[1], r'^  at .*user_code_test\.py:\d+  raise error  # the line of'
    )
    self.assertStartsWith(lines[2], '  %s: ' % type(error).__name__)
    self.assertIn(advice, message)
    self.assertIs(caught.exception.__cause__, error)

  def test_errors_of_this_tensorflow_are_known(self):
    tensor = tf.constant(1.0)
    for function in (
      lambda: tensor.name,
      lambda: tensor.graph,
      lambda: tensor.op,
      lambda: v1.placeholder(tf.float32),
    ):
      with self.assertRaisesRegex(errors.ModelCodeError, _GRAPH_ONLY):
        _run('TF2', function)

  def test_dimension_of_this_tensorflow(self):
    def model():
      with tf.Graph().as_default():
        return v1.placeholder(tf.float32, [None, 3]).shape[0].value

    with self.assertRaisesRegex(errors.ModelCodeError, 'v2_tensorshape=False'):
      _run('TF1', model)

  @parameterized.named_parameters(
    row[:3] for row in _KNOWN if row[4] in (_GRAPH_ONLY, 'drop the partitioner')
  )
  def test_the_other_side_is_not_explained(self, unused_side, error):
    def model():
      raise error

    with self.assertRaises(type(error)) as caught:
      _run('TF1', model)
    self.assertIs(caught.exception, error)

  def test_long_errors_are_cut(self):
    def model():
      text = ['x when eager execution is enabled', ''] + ['more'] * 100
      raise RuntimeError('\n'.join(text))

    with self.assertRaises(errors.ModelCodeError) as caught:
      _run('TF2', model)
    self.assertLess(len(str(caught.exception).splitlines()), 8)


class UnknownErrorsTest(parameterized.TestCase):
  @parameterized.parameters(
    ValueError('shapes (2,) and (3,) do not fit'),
    AttributeError("'Model' object has no attribute 'dense'"),
    KeyError('logits'),
    ZeroDivisionError(),
    tf.errors.InvalidArgumentError(None, None, 'wrong'),
    errors.UsageError('tensor.name is undefined when eager execution is enab'),
    AssertionError('not supported when eager execution is enabled'),
    unittest.SkipTest('no module when eager execution is enabled'),
    KeyboardInterrupt(),
  )
  def test_pass_unchanged(self, error):
    def model():
      raise error

    for side in ('TF1', 'TF2'):
      with self.assertRaises(type(error)) as caught:
        _run(side, model)
      self.assertIs(caught.exception, error)
      self.assertIsNone(error.__cause__)

  def test_no_error(self):
    self.assertEqual(_run('TF1', lambda: 5), 5)


if __name__ == '__main__':
  absltest.main()
