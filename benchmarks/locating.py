"""Plants faults deep in Inception-ResNet-v2; prints what finding them costs.

`python -m benchmarks.locating [NAME ...]` runs a failing
assertForwardEquivalent for each fault: whether the message names the layer,
the time of the assertion with and without locating (wall and CPU), and the peak
memory. `--large` runs one fault on 32 images, whose values take 40 GB.
`--several [1 2 5 10]` plants so many faults at once, and tells how many of them
one run names, and what each further one costs over the first.
"""

import resource
import sys
import time
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim

from examples.inception_resnet_v2 import migrated, network, pairs
from tf_equiv.diagnose import diagnoser

v1 = tf.compat.v1


def _layer(scope, change):
  """Returns a fault that changes the output of the layer of a scope."""

  def planted(original):
    def build(net, node):
      here = '/'.join((v1.get_variable_scope().name, node.scope))
      if not here.endswith(scope):
        return original(net, node)
      return change(net, node, original)

    return build

  return '_build', planted


def _output(function):
  return lambda net, node, build: function(build(net, node))


def _arguments(**arguments):
  def change(net, node, build):
    with slim.arg_scope([slim.conv2d], **arguments):
      return build(net, node)

  return change


def _epsilon(net, node, build):
  params = {'decay': 0.9997, 'epsilon': 1e-5, 'scale': True}
  return _arguments(normalizer_params=params)(net, node, build)


def _replaced(**fields):
  return lambda net, node, build: build(net, node._replace(**fields))


def _exchanged(net, node, build):
  del build
  with v1.variable_scope(node.scope):
    branches = []
    for i, branch in enumerate(node.branches):
      with v1.variable_scope('Branch_%d' % i):
        part = net
        for each in branch:
          part = network._build(part, each)
        branches.append(part)
  return tf.concat(branches[::-1], 3)


# name -> (fault, part of a name that the message must hold)
FAULTS = {
  'scale': (
    _layer('block35_6', _replaced(scale=0.16)),
    'Repeat/block35_6/mul',
  ),
  'activation': (
    _layer('block17_10', _replaced(activation=tf.nn.elu)),
    'Repeat_1/block17_10',
  ),
  'no_activation': (
    _layer('Mixed_6a/Branch_1/Conv2d_0b_3x3', _arguments(activation_fn=None)),
    'Mixed_6a/Branch_1/Conv2d_0b_3x3',
  ),
  'epsilon': (
    _layer('block17_3/Branch_1/Conv2d_0b_1x7', _epsilon),
    'block17_3/Branch_1/Conv2d_0b_1x7/BatchNorm',
  ),
  'concat': (_layer('Mixed_5b', _exchanged), 'Mixed_5b/concat'),
  'pooling': (
    _layer(
      'Mixed_6a/Branch_2/MaxPool_1a_3x3', _replaced(function=slim.avg_pool2d)
    ),
    'Mixed_6a/Branch_2/MaxPool_1a_3x3',
  ),
  'halved': (_layer('block8_4', _output(lambda x: 0.5 * x)), 'block8_4'),
  'added': (_layer('block8_2', _output(lambda x: x + 1e-3)), 'block8_2'),
  'transposed': (
    _layer(
      'Mixed_5b/Branch_0/Conv2d_1x1',
      _output(lambda x: tf.transpose(x, [0, 2, 1, 3])),
    ),
    'Mixed_5b/',
  ),
  'padding': (
    _layer(
      'InceptionResnetV2/MaxPool_3a_3x3',
      lambda net, node, build: build(net, node._replace(padding='SAME'))[
        :, 1:, 1:
      ],
    ),
    'MaxPool_3a_3x3',
  ),
}


# Faults that do not hide each other, in the order in which they are planted.
SEVERAL = (
  'scale',
  'activation',
  'epsilon',
  'halved',
  'concat',
  'added',
  'pooling',
  'scale_17',
  'scale_8',
  'no_activation',
)
_MORE = {
  'scale_17': (
    _layer('block17_7', _replaced(scale=0.12)),
    'Repeat_1/block17_7',
  ),
  'scale_8': (
    _layer('block8_6', _replaced(scale=0.25)),
    'Repeat_2/block8_6',
  ),
}


def _all_of(names):
  """Returns several faults as one, and what their names must hold."""
  known = {**FAULTS, **_MORE}

  def planted(original):
    for name in names:
      original = known[name][0][1](original)
    return original

  return ('_build', planted), [known[name][1] for name in names]


class Faulty(pairs.RandomMigration):
  """The migration with a fault on the TF2 side."""

  fault, count = None, 1

  def build_tf2(self):
    """Returns the layer with the fault."""
    name, planted = self.fault
    original = getattr(network, name)

    class Planted(migrated.InceptionResnetV2):
      """Plants the fault while it is called."""

      def call(self, inputs, training=None):
        with mock.patch.object(network, name, planted(original)):
          return super().call(inputs, training)

    return Planted(pairs.NUM_CLASSES)

  def make_inputs(self):
    """Returns `count` images."""
    images = super().make_inputs()
    return np.tile(images, [(self.count + 3) // 4, 1, 1, 1])[: self.count]


def _now() -> np.ndarray:
  """Returns wall time and CPU time in seconds."""
  return np.array([time.time(), time.process_time()])


def measure(name: str, count: int = 1) -> bool:
  """Runs the failing assertion; prints a line; tells whether it is right."""
  fault, wanted = FAULTS[name]
  case = Faulty()
  case.fault, case.count = fault, count
  spent = []
  explain = diagnoser.Diagnoser.explain

  def timed(self, *arguments):
    start = _now()
    found = explain(self, *arguments)
    spent.append(_now() - start)
    return found

  start = _now()
  with mock.patch.object(diagnoser.Diagnoser, 'explain', timed):
    try:
      case.assertForwardEquivalent()
    except AssertionError as error:
      lines = str(error).splitlines()
    else:
      lines = ['passed']
  whole = _now() - start
  alone = whole - spent[0]
  found = wanted in '\n'.join(lines[1:12])
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  print(
    '%-14s %s  assertion %.1f s, with locating %.1f s; ratio of wall time %.2f,'
    ' of CPU time %.2f; peak %.2f GB'
    % (
      name,
      'named' if found else 'NOT NAMED',
      alone[0],
      whole[0],
      *(whole / alone),
      peak,
    ),
    flush=True,
  )
  if not found or '-v' in sys.argv:
    print('\n'.join(line[:160] for line in lines[:16]), flush=True)
  return found


def measure_several(counts) -> int:
  """Plants several faults at once; prints what each further one costs."""
  missed, first = 0, None
  for count in counts:
    names = SEVERAL[:count]
    case = Faulty()
    case.fault, wanted = _all_of(names)
    spent, explain = [], diagnoser.Diagnoser.explain

    def timed(self, *arguments, spent=spent, explain=explain):
      start = _now()
      found = explain(self, *arguments)
      spent.append(_now() - start)
      return found

    with mock.patch.object(diagnoser.Diagnoser, 'explain', timed):
      try:
        case.assertForwardEquivalent()
      except AssertionError as error:
        places = error.verdict.divergences
      else:
        places = ()
    texts = [
      ' '.join(
        p.name
        for p in (x.tf1, x.tf2, *x.only_tf1, *x.only_tf2)
        if p is not None
      )
      for x in places
    ]
    named = sum(any(part in text for text in texts) for part in wanted)
    seconds = spent[0][1]
    first = seconds if first is None else first
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
      '%d fault(s): %d named in %d places, %d repaired; locating %.1f s of CPU '
      'time, %.2f times that of the first, %.2f for each further one; peak '
      '%.2f GB'
      % (
        count,
        named,
        len(places),
        sum(x.repair is not None for x in places),
        seconds,
        seconds / first,
        (seconds / first - 1) / max(count - 1, 1),
        peak,
      ),
      flush=True,
    )
    missed += count - named
  return missed


def main() -> int:
  """Measures the faults that are asked for, else all."""
  if '--several' in sys.argv:
    counts = [int(x) for x in sys.argv[1:] if x.isdigit()]
    return measure_several(counts or [1, 2, 5, 10])
  if '--large' in sys.argv:
    return not measure('scale', 32)
  names = [n for n in sys.argv[1:] if n in FAULTS] or list(FAULTS)
  return sum(not measure(name) for name in names)


del tf_equiv

if __name__ == '__main__':
  sys.exit(bool(main()))
