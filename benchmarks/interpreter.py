"""Measures what the TF1 side in another interpreter costs.

`python -m benchmarks.interpreter [--tf1_python=PATH]` prints the wall time of
the start of the process, of an empty command, and of the tests of `GuideSteps`
for LeNet with the TF1 side in this process and in the other.
"""

import time
import unittest

import tf_equiv  # isort: skip (before tensorflow)
from absl import app

from benchmarks import matrix
from examples.lenet import legacy

COMMANDS = 200


class InProcessLenet(tf_equiv.GuideSteps, matrix.Lenet):
  """With the TF1 side in this process."""

  tf1_reference = tf_equiv.InProcess()

  def build_tf1(self, inputs, training):
    """Builds the network."""
    return legacy.lenet(inputs, is_training=training)


class InterpreterLenet(tf_equiv.GuideSteps, matrix.Lenet):
  """With the TF1 side in the other interpreter."""


def _seconds(cls) -> dict[str, float]:
  """Runs all tests of a class; returns the wall time of each."""
  found, start = {}, time.time()
  loader = unittest.TestLoader()
  cls.setUpClass()
  for name in loader.getTestCaseNames(cls):
    if name != 'test_session':
      begin, result = time.time(), unittest.TestResult()
      cls(name)(result)
      assert result.wasSuccessful(), result.errors + result.failures
      found[name] = time.time() - begin
  cls.tearDownClass()
  found['in all'] = time.time() - start
  return found


def main(unused_argv):
  """Prints the numbers."""
  reference = matrix.interpreter('examples.lenet.legacy:Lenet')
  start = time.time()
  reference.start()
  print('start, without waiting: %.3f s' % (time.time() - start))
  reference.defines('build_tf1')
  print('start, until TensorFlow is imported: %.2f s' % (time.time() - start))
  case = matrix.Lenet('run')
  methods = case._session.methods
  plan = methods.make_plan()
  run = reference.submit(methods.tf1_program(), plan)
  weights = run.result().weight_of()
  captured = run.capture(plan, weights)
  names = [op.name for op in captured.graph.get_operations()][:COMMANDS]
  start = time.time()
  for name in names:
    captured.line_of(name)
  each = (time.time() - start) / len(names)
  print('a command without arrays: %.2f ms' % (1000 * each))
  reference.close()
  _seconds(InProcessLenet)  # The first run imports and initializes.
  first, second = _seconds(InProcessLenet), _seconds(InterpreterLenet)
  print('LeNet, seconds: in this process, in the other interpreter')
  for name in first:
    print('  %-42s %6.2f %6.2f' % (name, first[name], second[name]))


if __name__ == '__main__':
  app.run(main)
