"""The tests of the variant 'mirrored', which mirrored_test.py runs."""

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.tf2 import variant_nets as nets

# As the error advises if there is one only.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)


class MirroredTest(absltest.TestCase):
  def test_clean(self):
    for case in (
      nets.Case(),
      nets.native_case(tf.keras),
      nets.native_case(keras),
    ):
      case.assertForwardEquivalent(variants='mirrored')
      case.assertGradientsClose(training=False, variants='mirrored')

  def test_sum_of_losses(self):
    case = nets.Case()
    case.compute_loss = lambda outputs, inputs: tf.reduce_sum(outputs)
    with self.assertRaisesRegex(
      AssertionError,
      r'(?s)^The loss differs \(so do the gradients\) \[fails in: mirrored; '
      r'passes in: eager\].*each loss must be a mean over the batch',
    ):
      case.assertGradientsClose(training=False, variants=('eager', 'mirrored'))

  def test_beside_all_others(self):
    case = nets.native_case(keras, rate=0.0)
    case.build_tf1 = lambda x, training: nets.legacy_net(x, training, 0.0)
    case.assertForwardEquivalent(variants=tf_equiv.VARIANTS)

  def test_what_cannot_be_compared(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'cannot be compared in training mode'
    ):
      nets.Case().assertGradientsClose(variants='mirrored')
    case = nets.Case()
    case.make_inputs = lambda: np.ones((5, 6), np.float32)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'splits the first dimension.*shape \[5, 6\]'
    ):
      case.assertForwardEquivalent(variants='mirrored')


if __name__ == '__main__':
  absltest.main()
