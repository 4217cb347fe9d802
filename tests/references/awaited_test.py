import dataclasses

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

from tf_equiv.core import observation
from tf_equiv.references import awaited


class AwaitedObservationTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.waits = 0
    self.observation = observation.Observation('TF1', notes=['a'])
    self.awaited = awaited.AwaitedObservation(self._wait)

  def _wait(self):
    self.waits += 1
    return self.observation

  def test_waits_once_when_looked_at(self):
    self.assertIsInstance(self.awaited, observation.Observation)
    self.assertEqual(self.waits, 0)
    self.assertEqual(self.awaited.side, 'TF1')
    # Also for what has a default in the class.
    self.assertIsNone(self.awaited.loss)
    self.assertEqual(self.waits, 1)
    self.assertIs(type(self.awaited), observation.Observation)

  def test_methods_and_dataclass_functions(self):
    self.assertEqual(self.awaited.weight_of(), {})
    other = awaited.AwaitedObservation(self._wait)
    self.assertEqual(dataclasses.replace(other, side='x').notes, ['a'])
    third = awaited.AwaitedObservation(self._wait)
    self.assertIn("side='TF1'", repr(third))

  def test_changes_reach_the_observation(self):
    self.awaited.optimizer_variables += ('slot',)
    self.awaited.injected = True
    self.assertEqual(self.observation.optimizer_variables, ['slot'])
    self.assertTrue(self.observation.injected)

  def test_setting_waits_too(self):
    self.awaited.injected = True
    self.assertEqual(self.waits, 1)
    self.assertTrue(self.observation.injected)

  def test_failures_are_raised_at_each_look(self):
    def fail():
      raise tf_equiv.ModelCodeError('no')

    broken = awaited.AwaitedObservation(fail)
    for _ in range(2):
      with self.assertRaisesRegex(tf_equiv.ModelCodeError, 'no'):
        print(broken.weights)


if __name__ == '__main__':
  absltest.main()
