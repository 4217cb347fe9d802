"""Times the guide's steps 1 to 4 by hand against `MigrationTestCase`.

    .venv/bin/python benchmarks/guide_vs_tf_equiv.py --rounds 3

Both sides validate Inception-ResNet-v2 on the guide's image of ones, each as a
whole process, alternating. Printed are wall time, CPU time and peak memory of
every run, and the ratios tf_equiv / guide of each round. tf_equiv checks more
than the guide (each variable's initial value, each regularization loss, all
end points, variables unchanged by inference); a run that did not do all of the
guide's checks exits with an error and is not counted.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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


def library():
  """The same steps with tf_equiv."""
  import tf_equiv  # isort: skip (before tensorflow)
  from examples.inception_resnet_v2 import pairs

  def case(cls):
    return type(cls.__name__, (cls,), {'runTest': lambda self: None})()

  del tf_equiv
  ones = case(pairs.OnesMigration)
  verdicts = [
    ones.assertNoNewVariables(),
    ones.assertVariablesMatch(),
    ones.assertForwardEquivalent(),
    ones.assertForwardEquivalent(seed_mode='num_random_ops'),
    # On an image of ones, which proves nothing; so does the guide.
    ones.assertTrainingEquivalent(
      seed_mode='num_random_ops', allow_vacuous=True
    ),
    case(pairs.FunctionalMigration).assertTrainingEquivalent(
      seed_mode='constant', allow_vacuous=True
    ),
  ]
  for verdict in verdicts:
    assert verdict.passed and verdict.compared['variables'] == 1114


def measure(side):
  """Runs a side in a process of its own; returns (wall, CPU, peak)."""
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  start = time.time()
  process = subprocess.Popen(
    [sys.executable, '-W', 'ignore', __file__, '--side', side],
    env=dict(os.environ, PYTHONPATH=_ROOT, TF_CPP_MIN_LOG_LEVEL='3'),
    stderr=subprocess.PIPE,
    text=True,
  )
  _, errors = process.communicate()
  wall = time.time() - start
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  if process.returncode:
    raise SystemExit('The %s side failed:\n%s' % (side, errors))
  cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
  peak = int(errors.rsplit('peak kB ', 1)[1])
  return wall, cpu, peak / 1024


def main():
  """Runs the rounds and prints the ratios."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--side', choices=('guide', 'library'))
  arguments = parser.parse_args()
  if arguments.side:
    {'guide': guide, 'library': library}[arguments.side]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print('peak kB %d' % peak, file=sys.stderr)
    return
  ratios = []
  for i in range(arguments.rounds):
    sides = ('guide', 'library') if i % 2 == 0 else ('library', 'guide')
    results = {side: measure(side) for side in sides}
    for side in ('guide', 'library'):
      print('round %d  %-8s wall %6.1f s  CPU %6.1f s  peak %6.0f MB' % (
        (i + 1, side) + results[side]
      ), flush=True)  # fmt: skip
    ratios.append(
      [b / a for a, b in zip(results['guide'], results['library'], strict=True)]
    )
  for name, values in zip(
    ('wall', 'CPU', 'peak memory'), zip(*ratios, strict=True), strict=True
  ):
    print('ratio %-12s min %.2f  median %.2f  max %.2f' % (
      name, min(values), statistics.median(values), max(values)
    ))  # fmt: skip


if __name__ == '__main__':
  main()
