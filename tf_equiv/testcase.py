"""`MigrationTestCase`: the base class of tests of a migration.

A complete test of a migration from TF1 to TF2:

    class MyMigrationTest(tf_equiv.MigrationTestCase):

      def make_inputs(self):
        return np.random.default_rng(0).normal(size=(4, 20)).astype('float32')

      def build_tf1(self, inputs, training):
        return legacy_forward(inputs, is_training=training)

      def build_tf2(self):
        return MigratedModel()

      def test_migration(self):
        self.assertNoNewVariables()
        self.assertVariablesMatch()
        self.assertForwardEquivalent()
        self.assertForwardEquivalent(seed_mode='num_random_ops')
        self.assertTrainingEquivalent(seed_mode='num_random_ops')
        self.assertGradientsClose(seed_mode='constant')
        self.assertCheckpointEquivalent('/path/to/model.ckpt')
"""

import unittest

import tensorflow as tf

from tf_equiv import class_state
from tf_equiv.assertions import (
  checkpoints,
  curves,
  divergence,
  dormant,
  forward,
  gradients,
  metrics,
  training,
  variables,
)

__unittest = True


class MigrationTestCase(
  variables.VariableAssertions,
  forward.ForwardAssertions,
  training.TrainingAssertions,
  curves.CurveAssertions,
  metrics.MetricAssertions,
  gradients.GradientAssertions,
  checkpoints.CheckpointAssertions,
  divergence.DivergenceMethods,
  dormant.DormantAssertions,
  tf.test.TestCase,
):
  """Base class for tests that a TF2 model computes what its TF1 code did.

  Subclasses define `make_inputs`, `build_tf1` and `build_tf2`; all other
  template methods have defaults. What is built is
  shared by the assertions that would build the same.

  Example:
    >>> class DenseTest(MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.random.default_rng(0).random((4, 3), np.float32)
    ...   def build_tf1(self, inputs, training):
    ...     return v1.layers.dense(inputs, 2, name='dense')
    ...   def build_tf2(self):
    ...     return tf.keras.Sequential([tf.keras.layers.Dense(2, name='dense')])
    ...   def test_migration(self):
    ...     self.assertVariablesMatch()
    ...     self.assertForwardEquivalent(seed_mode='num_random_ops')
    >>> DenseTest('test_migration').debug()

  Attributes:
    ignored_variables: regular expressions (`re.search`) of variables on
      either side that are no part of the comparison, and keep their initial
      values. One that matches nothing in any assertion of the class is an
      error.
    tf1_update_ops: whether the default training step of TF1 runs UPDATE_OPS.
    tf1_behavior: TF2 behaviours that are on while `build_tf1` runs.
    tf1_reference: where the TF1 side runs; in this process by default.
    share_tf2_models: whether an assertion may use the TF2 model of the one
      before it, where it would build and call the same: `build_tf2`,
      `call_tf2`, what they call, and what they read are what they were, and
      nothing but variables, which are set back, has changed in the model.
      Without it, each assertion builds the model.
    allow_dormant: whether assertions pass although the sides differ for other
      inputs, weights or steps than those that were compared.
  """

  @classmethod
  def setUpClass(cls) -> None:
    """Starts the reference of the class, without waiting for it."""
    super().setUpClass()
    class_state.begin(cls)

  def run(
    self, result: unittest.TestResult | None = None
  ) -> unittest.TestResult | None:
    """Runs the test, and notes for the end of the class what becomes of it."""
    if result is None:  # By itself, not among the tests of a class.
      return super().run()
    with class_state.shared_of(type(self)).tests.noting(self, result) as noting:
      super().run(noting)
    return result

  @classmethod
  def tearDownClass(cls) -> None:
    """Releases what the tests share: graphs, process, model.

    Where several have failed, a digest says each cause once.
    """
    class_state.end(cls)
    super().tearDownClass()
