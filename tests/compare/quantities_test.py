"""Tests of what a forward pass is compared in, on arrays alone."""

import dataclasses

import numpy as np
from absl.testing import absltest

from tests.compare import step_cases
from tf_equiv.compare import quantities
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.compare.values import Problem, ProblemKind
from tf_equiv.core import observation
from tf_equiv.core.plan import RunPlan

_FORWARD = RunPlan(np.ones(1))
_ALL = RunPlan(
  np.ones(1),
  training=True,
  weights='seeded',
  gradients=True,
  input_gradients=True,
  updates=True,
)

_FORWARD_IN_TRAINING = RunPlan(np.ones(1), training=True, updates=True)


def _sides(**fields):
  sides = step_cases.sides()
  for side in sides:
    side.loss = np.float32(1)
    side.gradients = [np.ones(3, np.float32), np.ones(2, np.float32)]
    side.input_gradients = {"['x']": np.ones(1)}
    side.updated = {'bn/moving_mean': side.weights[2] + 1}
  for name, value in fields.items():
    setattr(sides[1], name, value)
  return sides


def _pairs(plan, tf1, tf2):
  pairing = step_cases.pair(tf1, tf2)
  return dict(quantities.pairs_of_forward(plan, tf1, tf2, pairing))


class PairsOfForwardTest(absltest.TestCase):
  def test_the_plan_decides_what_is_compared(self):
    self.assertEqual(
      list(_pairs(_FORWARD, *_sides())),
      [Quantity.OUTPUTS, Quantity.REGULARIZATION_LOSSES],
    )
    self.assertEqual(
      list(_pairs(_ALL, *_sides())),
      [
        Quantity.WEIGHTS,
        Quantity.OUTPUTS,
        Quantity.REGULARIZATION_LOSSES,
        Quantity.UPDATED_VARIABLES,
        Quantity.LOSS,
        Quantity.GRADIENTS,
        Quantity.INPUT_GRADIENTS,
      ],
    )

  def test_unknown_losses_are_not_compared(self):
    tf1, tf2 = _sides()
    tf1.unknown = [observation.LOSSES]
    found = _pairs(_FORWARD, tf1, tf2)
    self.assertNotIn(Quantity.REGULARIZATION_LOSSES, found)

  def test_losses_of_one_side(self):
    tf1, tf2 = _sides(user_losses={"['a']": np.ones(()), "['b']": np.ones(())})
    tf1.user_losses = {"['a']": np.ones(())}
    first, second, total = _pairs(_ALL, tf1, tf2)[Quantity.LOSS]
    self.assertIsNone(first.problem)
    self.assertEqual(second.problem, Problem(ProblemKind.NO_LOSS, False, True))
    self.assertEqual(total.name, 'loss')

  def test_frozen_on_one_side(self):
    tf1, tf2 = _sides()
    tf2.variables[1] = dataclasses.replace(tf2.variables[1], trainable=False)
    tf2.gradients = tf2.gradients[:1]
    frozen, other = _pairs(_ALL, tf1, tf2)[Quantity.GRADIENTS]
    self.assertEqual(
      frozen.problem, Problem(ProblemKind.NOT_TRAINABLE, True, False)
    )
    self.assertEqual((frozen.name, other.name), ('v', 'w'))

  def test_update_of_what_tf2_trains(self):
    tf1, tf2 = _sides(updated={})
    tf2.variables[2] = dataclasses.replace(tf2.variables[2], trainable=True)
    (pair,) = _pairs(_FORWARD_IN_TRAINING, tf1, tf2)[Quantity.UPDATED_VARIABLES]
    self.assertIs(pair.problem.kind, ProblemKind.UNEXPECTED_UPDATE)

  def test_trained_variable_that_one_side_overwrites(self):
    for side in (0, 1):
      sides = _sides()
      before = sides[side].weights[1]
      sides[side].updated['v'] = before + np.float32(0.25)
      found = _pairs(_FORWARD_IN_TRAINING, *sides)
      pairs = {pair.name: pair for pair in found[Quantity.UPDATED_VARIABLES]}
      self.assertCountEqual(pairs, ['v', 'bn/moving_mean'])
      change = pairs['v'].tf2 - pairs['v'].tf1
      np.testing.assert_array_equal(change, -0.25 if not side else 0.25)

  def test_what_is_overwritten_is_said(self):
    tf1, tf2 = _sides()
    tf2.updated['v'] = tf2.weights[1] + np.float32(0.25)
    found = quantities.compare_forward(
      _FORWARD_IN_TRAINING,
      tf1,
      tf2,
      step_cases.pair(tf1, tf2),
      quantities.tolerances.Tolerance(),
    )[Key(Quantity.UPDATED_VARIABLES)]
    notes = {each.name: each.note for each in found}
    self.assertEqual(notes['v'].tf1, 0)
    self.assertAlmostEqual(notes['v'].tf2, 0.25, places=5)
    self.assertTrue(notes['v'].in_forward)
    self.assertIsNone(notes['bn/moving_mean'])


class CompareForwardTest(absltest.TestCase):
  def test_gradients_are_one_group(self):
    tf1, tf2 = _sides()
    tf1.gradients = [np.ones(3, np.float32), np.full(2, 1e-9, np.float32)]
    tf2.gradients = [np.ones(3, np.float32), np.full(2, -1e-9, np.float32)]
    pairing = step_cases.pair(tf1, tf2)
    tolerance = quantities.tolerances.Tolerance()
    found = quantities.compare_forward(_ALL, tf1, tf2, pairing, tolerance)
    gradients = found[Key(Quantity.GRADIENTS)]
    self.assertTrue(all(c.passed for c in gradients))

  def test_updates_are_judged_by_their_size(self):
    tf1, tf2 = _sides()
    before = tf1.weights[2]
    tf1.updated = {'bn/moving_mean': before + np.float32(1e-4)}
    tf2.updated = {'bn/moving_mean': before + np.float32(1.1e-4)}
    pairing = step_cases.pair(tf1, tf2)
    tolerance = quantities.tolerances.Tolerance()
    found = quantities.compare_forward(_ALL, tf1, tf2, pairing, tolerance)
    self.assertFalse(found[Key(Quantity.UPDATED_VARIABLES)][0].passed)


if __name__ == '__main__':
  absltest.main()
