"""Tests of the judgement over training steps, on arrays alone."""

import dataclasses

import numpy as np
from absl.testing import absltest

from tests.compare import step_cases
from tf_equiv.compare import criteria, judge_steps, optimizers
from tf_equiv.compare.outcome import Kind
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.compare.vacuity import Reason


def _judge(tf1, tf2, plan=step_cases.PLAN, **kwargs):
  return judge_steps.judge_training(
    'assertX',
    plan,
    tf1,
    tf2,
    step_cases.pair(tf1, tf2),
    criteria.Criteria(**kwargs),
  )


class JudgeTrainingTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.tf1, self.tf2 = step_cases.sides()

  def test_pass(self):
    found = _judge(self.tf1, self.tf2)
    self.assertIs(found.kind, Kind.PASS)
    self.assertLen(found.steps, 2)
    self.assertEqual(found.compared['steps'], 2)
    self.assertEqual(found.compared['gradients'], 4)
    self.assertNotIn('variables that are trained', found.compared)
    (power,) = found.power
    self.assertEqual((power.count, power.still), (2, ()))

  def test_comparisons_end_with_the_step_that_differs(self):
    self.tf2.steps[0].loss = np.float32(9)
    found = _judge(self.tf1, self.tf2)
    self.assertIs(found.kind, Kind.STEPS)
    self.assertEqual(found.failing(), [Key(Quantity.LOSS, 1)])
    self.assertEqual({key.step for key in found.comparisons}, {1})
    self.assertLen(found.steps, 2)

  def test_the_first_quantity_decides(self):
    step = self.tf2.steps[1]
    step.outputs = [(path, 2 * x) for path, x in step.outputs]
    step.loss = np.float32(9)
    (update,) = step.updates
    step.updates = [dataclasses.replace(update, learning_rate=np.float32(1))]
    found = _judge(self.tf1, self.tf2)
    self.assertEqual(
      [(key.quantity, key.step) for key in found.failing()],
      [
        (Quantity.LEARNING_RATE, 2),
        (Quantity.OUTPUTS, 2),
        (Quantity.LOSS, 2),
      ],
    )

  def test_weights_stop_the_comparison(self):
    self.tf2.weights = [x + 1 for x in self.tf2.weights]
    plan = dataclasses.replace(step_cases.PLAN, weights='seeded')
    found = _judge(self.tf1, self.tf2, plan)
    self.assertIs(found.kind, Kind.VALUES)
    self.assertTrue(found.stopped)
    self.assertEmpty(found.steps)
    self.assertEqual(found.failing(), [Key(Quantity.WEIGHTS)])

  def _other_momentum(self):
    for step in self.tf2.steps:
      (update,) = step.updates
      spec = dataclasses.replace(
        update.optimizer, hyperparameters={'momentum': 0.5}
      )
      step.updates = [dataclasses.replace(update, optimizer=spec)]

  def test_hyperparameters_differ_though_the_steps_agree(self):
    self._other_momentum()
    found = _judge(self.tf1, self.tf2)
    self.assertIs(found.kind, Kind.HYPERPARAMETERS)
    (difference,) = found.evidence_of(optimizers.OptimizerDifference)
    self.assertEqual(difference.difference.name, 'momentum')
    allowed = _judge(self.tf1, self.tf2, compare_hyperparameters=False)
    self.assertTrue(allowed.passed)
    self.assertEmpty(allowed.evidence)

  def test_nothing_trained(self):
    for side in (self.tf1, self.tf2):
      for step in side.steps:
        step.variables = side.weight_of()
    self.assertIs(_judge(self.tf1, self.tf2).kind, Kind.NO_UPDATES)
    self.assertTrue(_judge(self.tf1, self.tf2, allow_empty=True).passed)

  def test_agreement_that_proves_nothing(self):
    for side in (self.tf1, self.tf2):
      for step in side.steps:
        step.loss = np.float32(1)
    found = _judge(self.tf1, self.tf2)
    self.assertIs(found.kind, Kind.VACUOUS)
    self.assertIs(found.vacuity.reason, Reason.EQUAL_LOSSES)
    allowed = _judge(self.tf1, self.tf2, allow_vacuous=True)
    self.assertTrue(allowed.passed)
    self.assertEqual(allowed.vacuity, found.vacuity)


if __name__ == '__main__':
  absltest.main()
