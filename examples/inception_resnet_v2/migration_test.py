"""Validates the migration of Inception-ResNet-v2, all steps of the guide.

The numbers are those that TensorFlow's guide "Validating correctness &
numerical equivalence" prints for an image of ones.
"""

import numpy as np
from absl.testing import absltest

from examples.inception_resnet_v2 import migrated, pairs


def functional_model():
  return pairs.functional(migrated.InceptionResnetV2(pairs.NUM_CLASSES))


class GuideTest(pairs.OnesMigration):
  """The guide's steps, with the guide's numbers."""

  def assertPrinted(self, values, printed):
    for value in values:
      # The sum of a constant tensor depends on the threads that share it.
      np.testing.assert_allclose(value, printed, rtol=5e-6)

  def test_step1_no_new_variables(self):
    verdict = self.assertNoNewVariables()
    self.assertEqual(verdict.compared['variables'], pairs.NUM_VARIABLES)

  def test_step2_variables_match(self):
    verdict = self.assertVariablesMatch()
    self.assertEqual(verdict.compared['variables'], pairs.NUM_VARIABLES)

  def test_step3_fixed_weights(self):
    verdict = self.assertForwardEquivalent()
    self.assertPrinted(pairs.regularization_loss(verdict), 0.001182976)
    self.assertPrinted(pairs.a_logit(verdict), 0.00299837)

  def test_step4_inference(self):
    verdict = self.assertForwardEquivalent(seed_mode='num_random_ops')
    self.assertPrinted(pairs.regularization_loss(verdict), 1.2254326)

  def test_step4_training_proves_nothing(self):
    # With an image of ones all batch variances are zero.
    with self.assertRaises(AssertionError) as caught:
      self.assertTrainingEquivalent(seed_mode='num_random_ops')
    self.assertRegex(
      str(caught.exception),
      r'^Vacuous agreement .*: \d+ of 18 outputs are rounding noise',
    )
    # The mean of equal numbers is a little off, over a deviation of zero.
    self.assertRegex(
      str(caught.exception),
      r'\n  rounding grows \de\+\d+-fold in TF1 at InceptionResnetV2/'
      r'Conv2d_1a_3x3/BatchNorm/FusedBatchNormV3 .* at .*network.py:\d+',
    )

  # The TF1 side of the functional model is the same.

  def test_step5_functional_passes_in_constant_mode(self):
    self.build_tf2 = functional_model
    verdict = self.assertTrainingEquivalent(
      seed_mode='constant', allow_vacuous=True
    )
    for value in pairs.regularization_loss(verdict):
      np.testing.assert_allclose(value, 1.2239965, rtol=5e-6)

  def test_step5_functional_fails_in_num_random_ops_and_says_why(self):
    self.build_tf2 = functional_model
    with self.assertRaises(AssertionError) as caught:
      self.assertTrainingEquivalent(seed_mode='num_random_ops')
    text = str(caught.exception)
    self.assertStartsWith(text, 'Initial weights differ: 1 of 1114')
    self.assertIn('InceptionResnetV2/Logits/Logits/weights', text)
    self.assertIn('random numbers are drawn in another order', text)
    self.assertRegex(
      text, r'random_uniform\[1x1536\] in .*: TF1 draw \d+, TF2 draw \d+'
    )
    self.assertIn('network.py:', text)
    self.assertIn('TF2 creates all variables before the forward pass', text)


class RandomInputsTest(pairs.RandomMigration):
  def test_inference(self):
    verdict = self.assertForwardEquivalent(seed_mode='num_random_ops')
    self.assertStartsWith(verdict.power, 'outputs respond to 1')
    self.assertLen(verdict.response.effects, pairs.NUM_VARIABLES)

  def test_training(self):
    # Sound, although in training mode as the image of ones was.
    verdict = self.assertTrainingEquivalent(seed_mode='num_random_ops')
    self.assertEmpty(verdict.kind)
    self.assertIn('more are compared by their updates', verdict.power)

  def test_gradients(self):
    verdict = self.assertGradientsClose(seed_mode='num_random_ops')
    trainable = [c for c in verdict.comparisons['gradients'] if c.count]
    self.assertGreater(len(trainable), 600)


if __name__ == '__main__':
  absltest.main()
