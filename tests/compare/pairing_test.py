"""Tests of how values of TF1 are carried to TF2."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import pairing
from tf_equiv.core import errors, observation
from tf_equiv.core.observation import (
  Observation,
  StepObservation,
  VariableSpec,
)


def _spec(name, shape=(2,), trainable=True):
  return VariableSpec(name, shape, 'float32', trainable)


def _observed(*specs, **fields):
  return Observation('TF1', variables=list(specs), **fields)


def _affine(tf1_name, value, tf2_name):
  """Doubles, and adds one."""
  del tf1_name, tf2_name
  return 2 * value + 1


def _joined(tf1_name, value, tf2_name):
  """Puts 'a' and 'b' into the halves of one variable."""
  del tf2_name
  empty = np.zeros_like(value)
  parts = [value, empty] if tf1_name == 'a' else [empty, value]
  return np.concatenate(parts)


def _pair(tf1, tf2, **mapping):
  return pairing.VariableMapping(**mapping).pair(
    _observed(*tf1), _observed(*tf2)
  )


_JOINED = dict(
  tf1=[_spec('a'), _spec('b')],
  tf2=[_spec('ab', (4,))],
  rename=lambda name: 'ab',
  convert=_joined,
)


class CarryTest(absltest.TestCase):
  def test_into_names_and_layouts_of_tf2(self):
    paired = _pair(
      [_spec('w', (2, 1))],
      [_spec('kernel', (1, 2))],
      rename=lambda name: 'kernel',
      convert=lambda tf1_name, value, tf2_name: value.T,
    )
    carried = paired.carry({'w': np.array([[1.0], [2.0]])})
    np.testing.assert_array_equal(carried['kernel'], [[1.0, 2.0]])
    self.assertEqual(paired.tf1_names(), {'kernel': ('w',)})
    self.assertEqual(paired.tf1_name(), {'kernel': 'w'})

  def test_one_that_was_split(self):
    paired = _pair(
      [_spec('w', (4,))],
      [_spec('low'), _spec('high')],
      rename=lambda name: ('low', 'high'),
      convert=lambda tf1_name, value, tf2_name: (
        value[:2] if tf2_name == 'low' else value[2:]
      ),
    )
    carried = paired.carry({'w': np.arange(4.0)})
    np.testing.assert_array_equal(carried['low'], [0, 1])
    np.testing.assert_array_equal(carried['high'], [2, 3])

  def test_several_that_became_one(self):
    paired = _pair(**_JOINED)
    values = {'a': np.array([1.0, 2.0]), 'b': np.array([3.0, 4.0])}
    np.testing.assert_array_equal(paired.carry(values)['ab'], [1, 2, 3, 4])
    self.assertEqual(paired.tf1_names(), {'ab': ('a', 'b')})
    self.assertEqual(paired.tf1_name(), {'ab': 'a'})

  def test_what_is_not_complete_is_left_out(self):
    self.assertEmpty(_pair(**_JOINED).carry({'a': np.ones(2)}))

  def test_only_the_linear_part(self):
    paired = _pair([_spec('w')], [_spec('w')], convert=_affine)
    value = {'w': np.array([1.0, 2.0], np.float32)}
    np.testing.assert_array_equal(paired.carry(value)['w'], [3, 5])
    linear = paired.carry_linear(value)['w']
    np.testing.assert_array_equal(linear, [2, 4])
    self.assertEqual(linear.dtype, np.float32)

  def test_an_offset_does_not_swallow_small_gradients(self):
    paired = _pair([_spec('w')], [_spec('w')], convert=_affine)
    gradient = np.array([1e-9, 3e-9], np.float32)
    np.testing.assert_allclose(
      paired.carry_linear({'w': gradient})['w'], 2 * gradient, rtol=1e-6
    )

  def test_gradients_that_do_not_exist(self):
    paired = _pair(**_JOINED)
    one = paired.carry_gradients({'a': None, 'b': np.array([3.0, 4.0])})
    np.testing.assert_array_equal(one['ab'], [0, 0, 3, 4])
    self.assertEqual(paired.carry_gradients({'a': None}), {'ab': None})
    self.assertEmpty(paired.carry_gradients({}))

  def test_state_of_a_step(self):
    paired = _pair([_spec('w')], [_spec('w')], convert=_affine)
    one = {'w': np.ones(2, np.float32)}
    step = StepObservation(
      variables=one, slots={'momentum': one, observation.MOVING_AVERAGE: one}
    )
    variables, slots = paired.carry_state(step)
    np.testing.assert_array_equal(variables['w'], [3, 3])
    np.testing.assert_array_equal(slots['momentum']['w'], [2, 2])
    average = slots[observation.MOVING_AVERAGE]['w']
    np.testing.assert_array_equal(average, [3, 3])


class ConvertedTest(absltest.TestCase):
  def test_which_values_are_changed(self):
    paired = _pair(
      [_spec('v'), _spec('w')],
      [_spec('v'), _spec('w')],
      convert=lambda tf1_name, value, tf2_name: (
        value[::-1] if tf1_name == 'w' else value
      ),
    )
    values = {'v': np.array([1.0, 2.0]), 'w': np.array([1.0, 2.0])}
    self.assertEqual(paired.converted(values), {'w'})
    self.assertTrue(paired.keeps_layout('v', values))
    self.assertFalse(paired.keeps_layout('w', values))

  def test_layout_of_what_was_joined_is_another(self):
    values = {'a': np.ones(2), 'b': np.ones(2)}
    self.assertFalse(_pair(**_JOINED).keeps_layout('a', values))

  def test_none_is_refused(self):
    convert = pairing.checked(lambda tf1_name, value, tf2_name: None)
    with self.assertRaisesRegex(
      errors.UsageError,
      r"convert_variable\('w', <array of shape \(2,\)>, 'v'\) returned None",
    ):
      convert('w', np.zeros(2), 'v')

  def test_lists_become_arrays(self):
    convert = pairing.checked(lambda tf1_name, value, tf2_name: [1, 2])
    self.assertIsInstance(convert('w', np.zeros(2), 'v'), np.ndarray)


class VariableMappingTest(absltest.TestCase):
  def test_variables_of_optimizers_may_be_ignored(self):
    tf1 = _observed(_spec('w'), optimizer_variables=['w/Adam'])
    mapping = pairing.VariableMapping(ignored=('Adam$', 'epoch'))
    with self.assertRaisesRegex(errors.UsageError, "'epoch'.*matches no"):
      mapping.pair(tf1, _observed(_spec('w')))
    paired = mapping.pair(tf1, _observed(_spec('w')), others=['epoch'])
    self.assertTrue(paired.table.passed)

  def test_flags_count_where_they_are_known(self):
    trained, frozen = _spec('w'), _spec('w', trainable=False)
    mapping = pairing.VariableMapping()
    paired = mapping.pair(_observed(trained), _observed(frozen))
    self.assertLen(paired.table.trainable, 1)
    self.assertFalse(paired.blocks_values)
    unknown = _observed(trained, unknown=[observation.TRAINABLE])
    self.assertTrue(mapping.pair(unknown, _observed(frozen)).table.passed)

  def test_what_does_not_correspond_blocks_values(self):
    paired = _pair([_spec('w')], [_spec('v')])
    self.assertTrue(paired.blocks_values)
    self.assertEmpty(paired.carry({'w': np.ones(2)}))

  def test_untracked_variables_are_known(self):
    tf2 = _observed(untracked=[_spec('lost')])
    paired = pairing.VariableMapping().pair(_observed(), tf2)
    self.assertEqual([s.name for s in paired.table.untracked], ['lost'])


if __name__ == '__main__':
  absltest.main()
