"""The repairs of tf_slim, each with a test that fails without it."""

from absl.testing import absltest

from tests.compat.fresh_python import run

# What runs before the code of a test.
_RIGHT = 'import tf_equiv, tensorflow'
_LATE = 'import tensorflow'

_BATCH_NORM = """
import tensorflow as tf, tf_slim as slim
with tf.Graph().as_default():
  x = tf.compat.v1.placeholder('float32', (2, 4, 4, 3))
  print(slim.batch_norm(x, fused=False).shape)
"""

_FIX_B_USERS = """
import tensorflow as tf, tf_slim as slim
with tf.Graph().as_default():
  x = tf.compat.v1.placeholder('float32', (2, 3))
  slim.local_variable(1.0)
  y = slim.batch_norm(x, updates_collections=None)
  loss = tf.reduce_mean(slim.fully_connected(y, 1))
  slim.learning.create_train_op(
      loss, tf.compat.v1.train.GradientDescentOptimizer(0.1),
      clip_gradient_norm=1.0)
  print('built')
"""


class TfSlimTest(absltest.TestCase):
  def test_batch_norm_fails_without_fix_a(self):
    status, output = run(_BATCH_NORM, _LATE, TF_USE_LEGACY_KERAS='1')
    self.assertNotEqual(status, 0)
    self.assertIn("No module named 'tf_keras.legacy_tf_layers'", output)

  def test_batch_norm_works_with_fix_a(self):
    status, output = run(_BATCH_NORM, _RIGHT)
    self.assertEqual(status, 0, output)
    self.assertIn('(2, 4, 4, 3)', output)

  def test_batch_norm_works_with_keras_3_as_tf_keras(self):
    status, output = run('import tf_equiv' + _BATCH_NORM, _LATE)
    self.assertEqual(status, 0, output)
    self.assertIn('(2, 4, 4, 3)', output)

  def test_moved_attributes_fail_without_fix_b(self):
    status, output = run(_FIX_B_USERS, _LATE, TF_USE_LEGACY_KERAS='1')
    self.assertNotEqual(status, 0)
    self.assertIn('has no attribute', output)

  def test_moved_attributes_work_with_fix_b(self):
    status, output = run(_FIX_B_USERS, _RIGHT)
    self.assertEqual(status, 0, output)
    self.assertIn('built', output)

  def test_repairs_change_nothing_that_is_intact(self):
    code = """
    import tensorflow as tf
    from tensorflow.python.framework import ops
    from tensorflow.python.layers import normalization
    ops.Tensor = 'mine'
    class Loader: __name__ = 'elsewhere.normalization'
    normalization.normalization = loader = Loader()
    import tf_equiv
    assert ops.Tensor == 'mine'
    assert normalization.normalization is loader
    """
    status, output = run(code, _LATE)
    self.assertEqual(status, 0, output)


if __name__ == '__main__':
  absltest.main()
