"""Tests that `runner_test.py` runs: some that must fail, and some that pass."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

v1 = tf.compat.v1


def legacy(inputs):
  with v1.variable_scope('net'):
    hidden = v1.layers.dense(inputs, 4, activation=tf.nn.relu, name='hidden')
    return {'scores': v1.layers.dense(hidden, 2, name='scores')}


class Migrated(tf.Module):
  @tf_equiv.track_tf1_style_variables
  def __call__(self, inputs):
    return legacy(inputs)


class Pair(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return legacy(inputs)

  def build_tf2(self):
    return Migrated()


class OutputFaultTest(Pair):
  def call_tf2(self, model, inputs, training):
    return {'scores': 1.01 * model(inputs)['scores']}

  def test_forward(self):
    self.assertForwardEquivalent()


class VariableFaultTest(Pair):
  def rename_variable(self, tf1_name):
    return tf1_name.replace('hidden', 'encoder')

  def test_forward(self):
    self.assertForwardEquivalent()


class StepsTest(tf_equiv.GuideSteps, Pair):
  """Passes."""


if __name__ == '__main__':
  absltest.main()
