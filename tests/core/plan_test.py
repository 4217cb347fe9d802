"""Tests of plans and of the checks of inputs."""

import ml_dtypes
import numpy as np

from tf_equiv.core.seed_mode import SeedMode

import tf_equiv  # isort: skip  (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.core import plan


class DescribeTest(parameterized.TestCase):
  @parameterized.parameters(
    ({}, 'inference, fixed weights'),
    ({'training': True}, 'training, fixed weights, seed_mode=constant'),
    ({'weights': 'seeded'}, 'inference, initial weights, seed_mode=constant'),
    (
      {
        'training': True,
        'weights': 'seeded',
        'seed_mode': SeedMode.NUM_RANDOM_OPS,
      },
      'training, initial weights, seed_mode=num_random_ops',
    ),
  )
  def test_words(self, arguments, expected):
    self.assertEqual(
      plan.RunPlan(np.zeros(1), **arguments).describe(), expected
    )


class CheckInputsTest(parameterized.TestCase):
  @parameterized.parameters(
    np.bool_,
    np.uint8,
    np.int64,
    np.float16,
    np.float32,
    np.float64,
    np.complex64,
    ml_dtypes.bfloat16,
  )
  def test_takes_arrays(self, dtype):
    array = np.zeros((2, 3), dtype)
    self.assertIs(plan.check_inputs(array), array)

  def test_takes_text(self):
    for array in (
      np.array(['a']),
      np.array([b'a']),
      np.array([b'a', 'bc'], object),
    ):
      self.assertIs(plan.check_inputs(array), array)

  def test_keeps_the_nest(self):
    one, two = np.zeros(1), np.ones(2)
    found = plan.check_inputs({'a': (one, None), 'b': [two]})
    self.assertIs(found['a'][0], one)
    self.assertIsNone(found['a'][1])
    self.assertIs(found['b'][0], two)

  def test_numpy_scalars_become_arrays(self):
    found = plan.check_inputs([np.float32(2)])
    self.assertIsInstance(found[0], np.ndarray)
    self.assertEqual(found[0].shape, ())
    self.assertEqual(found[0].dtype, np.float32)

  @parameterized.parameters(None, [[]], {}, [[None, {}]])
  def test_no_array(self, *inputs):
    inputs = inputs[0] if inputs else {}
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'^make_inputs\(\) returned .* which holds no array'
    ):
      plan.check_inputs(inputs)

  def test_list_of_numbers(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'^make_inputs\(\)\[0\] is a float; expected a NumPy array.*wrap plain',
    ):
      plan.check_inputs([1.0, 2.0])

  @parameterized.parameters('text', b'bytes', True, 3, 1j)
  def test_plain_values(self, value):
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r"make_inputs\(\)\['x'\] is a %s; " % type(value).__name__,
    ):
      plan.check_inputs({'x': value})

  def test_tensors(self):
    eager = tf.zeros(2)
    with tf.Graph().as_default():
      symbolic = tf.zeros(2)
    for tensor in (eager, symbolic, tf.Variable(1.0)):
      with self.assertRaisesRegex(
        tf_equiv.UsageError, 'a tensor belongs to one side only'
      ):
        plan.check_inputs(tensor)

  def test_anything_else(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'is a set; .*convert it with np\.asarray'
    ):
      plan.check_inputs({1.0})

  def test_object_arrays(self):
    ragged = np.empty(2, object)
    ragged[:] = [[1], [2, 3]]
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'array of dtype object.*Ragged lists'
    ):
      plan.check_inputs(ragged)
    with self.assertRaises(tf_equiv.UsageError):
      plan.check_inputs(np.array(['2020-01-01'], 'datetime64'))

  def test_origin_is_named(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'^make_batch\(3\)\[1\] is a int'
    ):
      plan.check_inputs([np.zeros(1), 5], 'make_batch(3)')


class CheckTrainingTest(parameterized.TestCase):
  @parameterized.parameters(True, False, np.True_, np.False_)
  def test_bools(self, value):
    self.assertIs(plan.check_training(value), bool(value))

  @parameterized.parameters(None, 1, 0, 'True', [()], [(True,)])
  def test_others(self, value):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'training must be True or False, got '
    ):
      plan.check_training(value)


if __name__ == '__main__':
  absltest.main()
