"""Times the guide's steps 1 to 4 by hand against `MigrationTestCase`.

    .venv/bin/python -m benchmarks.guide_vs_tf_equiv --rounds 5

All sides validate Inception-ResNet-v2 on the guide's image of ones, each as a
whole process, alternating: the guide, tf_equiv with the TF1 side in the same
process, and tf_equiv with it in a `Tf1Interpreter` (of this Python), where it
works while TF2 does. Printed are wall time, CPU time and peak memory of every
run, those of its child processes included, and the ratios tf_equiv / guide of
each round. tf_equiv checks more than the guide (each variable's initial value,
each regularization loss, all end points, moving statistics, variables unchanged
by inference, no variable created in training, what the outputs respond to); a
run that did not do all of the guide's checks exits with an error and is not
counted.
"""

import argparse
import statistics
import sys

from benchmarks import processes

_TOLERANCE = {'rtol': 1e-6, 'atol': 1e-5}


def guide():
  """The guide's steps 1 to 4, as one writes them by hand."""
  import tf_equiv  # isort: skip (repairs tf_slim, which the guide had no need of)
  import numpy as np
  import tensorflow as tf
  import tf_slim as slim

  from examples.inception_resnet_v2 import migrated, network

  del tf_equiv
  v1 = tf.compat.v1
  tool_class = v1.keras.utils.DeterministicRandomTestTool
  ones = np.ones((1, 299, 299, 3), np.float32)

  def forward(inputs, is_training):
    with slim.arg_scope(network.arg_scope()):
      return network.inception_resnet_v2(inputs, 1000, is_training=is_training)

  def check(first, second):
    for a, b in zip(first, second, strict=True):
      np.testing.assert_allclose(a, b, **_TOLERANCE)

  # Step 1.
  model = migrated.InceptionResnetV2(1000)
  model(ones)
  count = len(model.variables)
  model(ones)
  model(ones)
  assert len(model.variables) == count

  # Step 2.
  with tf.Graph().as_default():
    forward(tf.ones(ones.shape), False)
    tf1 = {v.name: (v.trainable, v.shape) for v in v1.global_variables()}
  model = migrated.InceptionResnetV2(1000)
  model(ones, training=False)
  model(ones, training=False)
  tf2 = {v.name: (v.trainable, v.shape) for v in model.variables}
  assert tf1 == tf2 and len(tf1) == len(model.variables) == 1114

  # Step 3.
  graph = tf.Graph()
  with graph.as_default(), v1.Session(graph=graph) as session:
    out, _ = forward(tf.ones(ones.shape), False)
    reset = [v.assign(tf.ones_like(v) * 0.001) for v in v1.global_variables()]
    session.run(tf.group(reset))
    losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    tf1 = session.run(tf.math.add_n(losses)), session.run(out)
  model = migrated.InceptionResnetV2(1000)
  model(ones, training=False)
  for variable in model.variables:
    variable.assign(tf.ones_like(variable) * 0.001)
  out, _ = model(ones, training=False)
  check(tf1, (tf.math.add_n(model.losses), out))

  # Step 4, inference, training, and training in a functional model.
  for mode, training, functional in (
    ('num_random_ops', False, False),
    ('num_random_ops', True, False),
    ('constant', True, True),
  ):
    tool = tool_class(mode=mode)
    graph = tf.Graph()
    with tool.scope(), graph.as_default(), v1.Session(graph=graph) as session:
      out, _ = forward(tf.ones(ones.shape), training)
      session.run(v1.global_variables_initializer())
      losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
      tf1 = session.run(tf.math.add_n(losses)), session.run(out)
    tool = tool_class(mode=mode)
    with tool.scope():
      model = migrated.InceptionResnetV2(1000)
      if functional:
        inputs = tf.keras.Input(shape=ones.shape[1:])
        model = tf.keras.Model(inputs=inputs, outputs=model(inputs))
      out, _ = model(ones, training=training)
      check(tf1, (tf.math.add_n(model.losses), out))


def library(reference=None):
  """The same steps with tf_equiv."""
  import tf_equiv  # isort: skip (before tensorflow)
  from examples.inception_resnet_v2 import pairs

  class Ones(pairs.OnesMigration):
    tf1_reference = reference or tf_equiv.InProcess()

    def runTest(self):
      """The case is used without a runner."""

  Ones.setUpClass()
  case = Ones()
  verdicts = [
    case.assertNoNewVariables(),
    case.assertVariablesMatch(),
    case.assertForwardEquivalent(),
    case.assertForwardEquivalent(seed_mode='num_random_ops'),
    # On an image of ones, which proves nothing; so does the guide.
    case.assertTrainingEquivalent(
      seed_mode='num_random_ops', allow_vacuous=True
    ),
    case.assertTrainingEquivalent(
      seed_mode='constant', variants='functional', allow_vacuous=True
    ),
  ]
  Ones.tearDownClass()
  for verdict in verdicts:
    assert verdict.passed and verdict.compared['variables'] == 1114


def worker():
  """The same with the TF1 side in another process."""
  import tf_equiv  # isort: skip (before tensorflow)

  library(
    tf_equiv.Tf1Interpreter(
      'examples.inception_resnet_v2.legacy',
      python=sys.executable,
      sys_path=[processes.ROOT],
    )
  )


_SIDES = {'guide': guide, 'library': library, 'worker': worker}


def _run_round(number: int) -> dict[str, processes.Cost]:
  names = list(_SIDES)
  first = number % len(names)
  costs = {}
  for name in names[first:] + names[:first]:
    costs[name] = processes.run(
      ['-m', 'benchmarks.guide_vs_tf_equiv', '--side', name]
    )
    print('round %d  %-8s wall %6.1f s  CPU %6.1f s  peak %6.0f MB' % (
      number + 1, name, costs[name].wall, costs[name].cpu, costs[name].peak
    ), flush=True)  # fmt: skip
  return costs


def main():
  """Runs the rounds and prints the ratios."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--side', choices=list(_SIDES))
  arguments = parser.parse_args()
  if arguments.side:
    _SIDES[arguments.side]()
    return
  rounds = [_run_round(i) for i in range(arguments.rounds)]
  for side in list(_SIDES)[1:]:
    for what in ('wall', 'cpu', 'peak'):
      ratios = [
        getattr(costs[side], what) / getattr(costs['guide'], what)
        for costs in rounds
      ]
      print('%-8s %-5s / guide: min %.2f  median %.2f  max %.2f' % (
        side, what, min(ratios), statistics.median(ratios), max(ratios)
      ))  # fmt: skip


if __name__ == '__main__':
  main()
