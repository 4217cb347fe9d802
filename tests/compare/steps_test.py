"""Tests of the comparison of training steps, on arrays alone."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

from tests.compare import step_cases
from tf_equiv.compare import criteria, pairing, steps, values
from tf_equiv.compare.quantity import Key, Quantity


def _comparer(tf1, tf2, convert=pairing.unchanged, **kwargs):
  return steps.StepComparer(
    tf1, tf2, step_cases.pair(tf1, tf2, convert), criteria.Criteria(**kwargs)
  )


class StepComparerTest(parameterized.TestCase):
  def test_quantities_come_in_the_order_of_causes(self):
    found = _comparer(*step_cases.sides()).compare(0)
    self.assertEqual(
      [key.name for key in found],
      [
        'learning rate',
        'outputs',
        'regularization losses',
        'loss',
        'gradients',
        'slots (momentum)',
        'variables',
        'variables that are not trained',
        'step counter',
      ],
    )
    self.assertEqual({key.step for key in found}, {1})
    self.assertTrue(all(c.passed for pairs in found.values() for c in pairs))

  def test_statistics_are_left_out_where_they_are_not_wanted(self):
    comparer = _comparer(*step_cases.sides(), compare_updates=False)
    key = Key(Quantity.UNTRAINED_VARIABLES, 1)
    self.assertNotIn(key, comparer.compare(0))

  @parameterized.parameters(
    ([0.5], [0.5, 0.25], (1, 2)), ([0.5, 0.25], [], (2, 0))
  )
  def test_times_trained(self, first, second, counts):
    tf1, tf2 = step_cases.sides()
    for side, gradients in ((tf1, first), (tf2, second)):
      (update,) = side.steps[0].updates
      side.steps[0].updates = [update] + [
        dataclasses.replace(update, gradients={'v': np.full(2, x, np.float32)})
        for x in gradients
      ]
      update.gradients.pop('v')
    (failed,) = [
      c
      for c in _comparer(tf1, tf2).compare(0)[Key(Quantity.GRADIENTS, 1)]
      if not c.passed
    ]
    kind = values.ProblemKind.TIMES_TRAINED
    self.assertEqual(failed.problem, values.Problem(kind, *counts))

  def test_slots_of_one_side(self):
    tf1, tf2 = step_cases.sides()
    for step in tf2.steps:
      step.slots = {'mean square': step.slots['momentum']}
    comparer = _comparer(tf1, tf2)
    for i in range(2):
      found = comparer.compare(i)
    self.assertNotIn(Quantity.SLOTS, [key.quantity for key in found])
    self.assertEqual(
      [(slot.meaning, slot.side) for slot in comparer.lone_slots],
      [('mean square', 1), ('momentum', 0)],
    )

  @parameterized.parameters(
    ('second moment', 8e-5, True),
    ('mean square', 8e-5, True),
    ('accumulator', 8e-5, True),
    ('second moment', 2e-4, False),
    ('first moment', 8e-5, False),
    ('first moment', 4e-5, True),
  )
  def test_squares_of_gradients_that_pass(self, meaning, error, passes):
    tf1, tf2 = step_cases.sides()
    for side, factor in ((tf1, 1.0), (tf2, 1 + error)):
      slots = {name: np.float32([1e-9, 5e-10]) for name in ('w', 'v')}
      slots['v'] = (factor * slots['v']).astype(np.float32)
      for step in side.steps:
        step.slots = {meaning: slots}
    found = _comparer(tf1, tf2).compare(0)[Key(Quantity.SLOTS, 1, slot=meaning)]
    self.assertNotEmpty(found)
    self.assertEqual(all(c.passed for c in found), passes)

  def test_values_are_converted(self):
    tf1, tf2 = step_cases.sides()

    def reverse(name, value, tf2_name):
      return value[::-1]

    found = _comparer(tf1, tf2, reverse).compare(0)
    self.assertFalse(found[Key(Quantity.GRADIENTS, 1)][0].passed)

  def test_noise_is_counted_and_not_compared(self):
    tf1, tf2 = step_cases.sides()
    # The first element of v gets a gradient far below that of all others.
    for side, noise in ((tf1, 1e-9), (tf2, -1e-9)):
      side.steps[0].updates[0].gradients['v'] = np.float32([noise, 1.0])
    tf2.steps[0].variables['v'] = tf2.steps[0].variables['v'] + np.float32(
      [1e-3, 0]
    )
    comparer = _comparer(tf1, tf2)
    found = comparer.compare(0)
    self.assertTrue(all(c.passed for c in found[Key(Quantity.VARIABLES, 1)]))
    self.assertEqual(comparer.uncertainty.noise['v'], 1)


class ChangeTest(parameterized.TestCase):
  @parameterized.parameters(
    (1.0, 0.0, values.Change(1.0, 0.0)),
    (0.0, 0.5, values.Change(0.0, 0.5)),
    (1.0, 2.0, values.Change(1.0, 2.0, 2.0)),
    (1.0, 1.001, None),
  )
  def test_of_both_sides(self, tf1, tf2, expected):
    before = np.array([3.0, 4.0])
    self.assertEqual(
      steps.change_of(before, before + tf1, before + tf2), expected
    )

  def test_that_is_no_multiple(self):
    before = np.zeros(2)
    found = steps.change_of(before, np.array([1.0, 0]), np.array([0, 1.0]))
    self.assertIsNone(found)


if __name__ == '__main__':
  absltest.main()
