"""How time and memory grow with the size of a model.

    .venv/bin/python -m benchmarks.scaling

Validates ResNet-v1 of tf_slim.nets (inference with fixed weights, inference
with initial weights, a training pass) at depths 50, 101, 152 and 200, and
ResNet-v1-50 at several batch sizes and image sizes, each in a process of its
own. Printed are seconds and MB per thousand TF1 ops and per million parameters,
without what the import of TensorFlow takes, and how the cost of each size
compares with that of the one before: 1.0 is proportional to the number of ops
(of elements, for batch and image).
"""

import argparse
import json
import resource
import time

from benchmarks import processes

_DEPTHS = ('50', '101', '152', '200')
_SIZES = ((2, 64), (4, 64), (8, 64), (8, 128), (8, 224))


def measure(depth: str, batch: int, size: int) -> None:
  """Validates one network in this process; prints what it cost as JSON."""
  import tf_equiv  # isort: skip (before tensorflow)
  import numpy as np
  import tensorflow as tf
  import tf_slim as slim
  from tf_slim.nets import resnet_v1

  def forward(inputs, training):
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
      net = getattr(resnet_v1, 'resnet_v1_' + depth)
      return net(inputs, 10, is_training=training)

  class Layer(tf.keras.layers.Layer):
    @tf_equiv.track_tf1_style_variables
    def call(self, inputs, training=None):
      return forward(inputs, bool(training))

  class Case(tf_equiv.MigrationTestCase):
    def make_inputs(self):
      rng = np.random.default_rng(0)
      return rng.normal(size=(batch, size, size, 3)).astype(np.float32)

    def build_tf1(self, inputs, training):
      return forward(inputs, training)

    def build_tf2(self):
      return Layer()

    def runTest(self):
      """Lets the class be instantiated."""

  case = Case()
  imported = _peak()
  start, cpu = time.time(), time.process_time()
  verdicts = (
    case.assertForwardEquivalent(),
    case.assertForwardEquivalent(seed_mode='num_random_ops'),
    case.assertTrainingEquivalent(seed_mode='num_random_ops'),
  )
  wall, cpu = time.time() - start, time.process_time() - cpu
  with tf.Graph().as_default() as graph:
    forward(tf.compat.v1.placeholder(tf.float32, (batch, size, size, 3)), True)
    ops = len(graph.get_operations())
    parameters = sum(
      v.shape.num_elements() for v in tf.compat.v1.global_variables()
    )
  print(
    json.dumps(
      {
        'ops': ops,
        'parameters': parameters,
        'outputs': verdicts[0].compared['outputs'],
        'wall': wall,
        'cpu': cpu,
        'memory': _peak() - imported,
      }
    )
  )


def _peak() -> float:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _row(name: str, found: dict, before: dict | None, per: str) -> None:
  growth = ''
  if before is not None:
    share = found[per] / before[per]
    growth = '  x%.2f %s: wall %.2f, CPU %.2f, memory %.2f of proportional' % (
      share,
      per,
      *(found[k] / before[k] / share for k in ('wall', 'cpu', 'memory')),
    )
  ops, parameters = found['ops'] / 1e3, found['parameters'] / 1e6
  print(
    '%-18s %6d ops %5.1f M parameters  %6.1f s wall %6.1f s CPU %6.0f MB  '
    '%5.2f s %4.0f MB per 1000 ops  %5.2f s %4.0f MB per M parameters%s'
    % (
      name,
      found['ops'],
      parameters,
      found['wall'],
      found['cpu'],
      found['memory'],
      found['cpu'] / ops,
      found['memory'] / ops,
      found['cpu'] / parameters,
      found['memory'] / parameters,
      growth,
    ),
    flush=True,
  )


def _measured(depth: str, batch: int, size: int) -> dict:
  cost = processes.run(
    ['-m', 'benchmarks.scaling', '--one', depth, str(batch), str(size)]
  )
  found = json.loads(cost.output.splitlines()[-1])
  found['elements'] = batch * size * size
  return found


def main() -> None:
  """Measures all sizes."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--one', nargs=3)
  arguments = parser.parse_args()
  if arguments.one:
    depth, batch, size = arguments.one
    measure(depth, int(batch), int(size))
    return
  before = None
  for depth in _DEPTHS:
    found = _measured(depth, 2, 64)
    _row('resnet_v1_' + depth, found, before, 'ops')
    before = found
  before = None
  for batch, size in _SIZES:
    found = _measured('50', batch, size)
    _row('%d x %dx%d' % (batch, size, size), found, before, 'elements')
    before = found


if __name__ == '__main__':
  main()
