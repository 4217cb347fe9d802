"""Initializers are described by what they draw and their numbers."""

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.core import plan
from tf_equiv.tf1 import graph, program, runner
from tf_equiv.tf1.capture import initializers

v1 = tf.compat.v1


def captured(initializer):
  def build(inputs, training):
    del training
    w = v1.get_variable('w', [3, 2], initializer=initializer)
    return tf.matmul(inputs, w)

  inputs = np.ones([1, 3], np.float32)
  return initializers.capture(program.Program(build), plan.RunPlan(inputs))['w']


class CaptureTest(parameterized.TestCase):
  def test_the_graph_can_be_run_afterwards(self):
    def build(inputs, training):
      del training
      w = v1.get_variable('w', [3, 2], initializer=v1.zeros_initializer())
      return tf.matmul(inputs, w)

    wanted = plan.RunPlan(np.ones([1, 3], np.float32))
    code = program.Program(build)
    built = graph.build(code, wanted)
    initializers.capture(code, wanted, built)
    # Fixed weights are fed in the place of what the initializer computes.
    self.assertLen(runner.run(code, wanted, built).outputs, 1)

  @parameterized.named_parameters(
    (
      'truncated',
      v1.truncated_normal_initializer(0.5, 0.05),
      'TruncatedNormal',
      {'mean': 0.5, 'stddev': 0.05},
    ),
    (
      'normal',
      v1.random_normal_initializer(0.0, 0.1),
      'RandomNormal',
      {'mean': 0.0, 'stddev': 0.1},
    ),
    (
      'uniform',
      v1.random_uniform_initializer(-0.25, 0.5),
      'RandomUniform',
      {'min': -0.25, 'max': 0.5},
    ),
    ('zeros', v1.zeros_initializer(), 'constant', {'value': 0.0}),
    ('constant', v1.constant_initializer(0.5), 'constant', {'value': 0.5}),
  )
  def test_describes(self, initializer, kind, numbers):
    found = captured(initializer)
    self.assertEqual(found.kind, kind)
    self.assertEqual(found.numbers, numbers)
    self.assertIn('initializers_test.py', found.line.filename)


if __name__ == '__main__':
  absltest.main()
