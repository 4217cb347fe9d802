"""Validates a training pipeline: single steps, then a hundred on their own.

TensorFlow's page on debugging a migrated pipeline compares the loss of ten
steps to within 1e-5, and that of a hundred to within 5 %. Here TF1 says itself
how far apart the sides may be; the test prints that beside these numbers.
"""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
from absl.testing import absltest

from examples.training_pipeline import legacy, migrated

_OF_TEN, _OF_HUNDRED = 1e-5, 0.05


class PipelineTest(tf_equiv.MigrationTestCase):
  decay_steps = legacy.DECAY_STEPS

  def make_inputs(self):
    return {
      'features': np.ones((2, 3), np.float32),
      'labels': np.array([0, 1], np.int32),
    }

  def build_tf1(self, inputs, training):
    del training  # The network has no dropout.
    return legacy.logits_of(inputs['features'])

  def build_tf2(self):
    return migrated.model()

  def call_tf2(self, model, inputs, training):
    return model(inputs['features'], training=training)

  def compute_loss_tf1(self, outputs, inputs):
    return legacy.loss_of(outputs, inputs['labels'])

  def compute_loss_tf2(self, outputs, inputs):
    return migrated.loss_of(outputs, inputs['labels'])

  def build_tf1_optimizer(self):
    return legacy.optimizer()

  def build_tf2_optimizer(self):
    return migrated.optimizer(self.decay_steps)

  def test_learning_rate_loss_and_gradients(self):
    self.assertTrainingEquivalent(steps=3, allow_vacuous=True)

  def test_hundred_steps(self):
    verdict = self.assertTrainingCurvesMatch(steps=100)
    curves = verdict.outcome.curves
    (loss,) = [each for each in curves.series if each.name == 'loss']
    apart = loss.differences / loss.tf1
    allowed = loss.allowed / loss.tf1
    for steps, tolerance in ((10, _OF_TEN), (100, _OF_HUNDRED)):
      found = np.max(apart[:steps])
      print(
        f'{steps} steps: relative difference of the loss {found:.2g}; allowed '
        f'{np.max(allowed[:steps]):.2g}, by the page {tolerance:g}'
      )
      self.assertLess(found, tolerance)
      self.assertLess(np.max(allowed[:steps]), 2 * _OF_TEN)
    self.assertEqual(curves.horizon, 100)

  def test_another_schedule(self):
    self.decay_steps = 1100
    with self.assertRaises(AssertionError) as caught:
      self.assertTrainingCurvesMatch(steps=20)
    message = str(caught.exception)
    self.assertStartsWith(
      message, 'Training curves part at step 2 of 20 in the learning rate'
    )
    self.assertIn('1000 for 1100', message)


if __name__ == '__main__':
  absltest.main()
