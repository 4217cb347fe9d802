"""Tests of observations."""

import dataclasses

import numpy as np
from absl.testing import absltest

from tf_equiv.core import observation


def _spec(name, trainable=True, shape=(2, 3)):
  return observation.VariableSpec(name, shape, 'float32', trainable)


class VariableSpecTest(absltest.TestCase):
  def test_str(self):
    self.assertEqual(str(_spec('a')), 'float32[2,3]')
    self.assertEqual(str(_spec('a', False, ())), 'float32[] not trainable')
    self.assertEqual(str(_spec('a', shape=(None, 3))), 'float32[None,3]')

  def test_is_a_value(self):
    self.assertEqual(_spec('a'), _spec('a'))
    self.assertNotEqual(_spec('a'), _spec('a', False))
    with self.assertRaises(dataclasses.FrozenInstanceError):
      _spec('a').name = 'b'


class ObservationTest(absltest.TestCase):
  def test_weight_of(self):
    observed = observation.Observation(
      'TF1',
      variables=[_spec('a'), _spec('b')],
      weights=[np.zeros(1), np.ones(1)],
    )
    self.assertEqual(list(observed.weight_of()), ['a', 'b'])
    self.assertEqual(observed.weight_of()['b'], [1.0])

  def test_trainable_keeps_the_order(self):
    observed = observation.Observation(
      'TF1', variables=[_spec('c'), _spec('a', False), _spec('b')]
    )
    self.assertEqual([s.name for s in observed.trainable()], ['c', 'b'])

  def test_containers_are_not_shared(self):
    observation.Observation('TF1').losses.append(1)
    self.assertEmpty(observation.Observation('TF1').losses)


if __name__ == '__main__':
  absltest.main()
