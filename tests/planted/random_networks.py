"""Random networks with several faults each, and whether one run names them.

`python -m tests.planted.random_networks [--count N] [--seed S] [--keras 3]`
makes networks, plants two to six independent faults in the TF2 side of each,
runs three training steps once, and prints the score: faults that the verdict
names, repairs that were proven, places that have no fault, and clean networks
that alarm. TF2 is the code of TF1 behind the modeling shim, or layers of
tf_keras; with `--keras 3` layers of Keras 3.
"""

import argparse
import dataclasses
import os
import sys
import time
from typing import Any

if '--keras' in sys.argv and '3' in sys.argv:
  os.environ['TF_USE_LEGACY_KERAS'] = '0'

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1

SHIM, NATIVE = 'shim', 'native'
_ACTIVATIONS = ('relu', 'elu', 'tanh', 'sigmoid', 'softplus')
# Of a block: what its parameters are in TF1, and in a faulty TF2.
_BLOCKS: dict[str, dict[str, tuple[Any, Any]]] = {
  'conv': {
    'activation': ('elu', 'tanh'),
    'dilation': (1, 2),
    'l2': (1e-2, 2e-2),
  },
  'strided': {'padding': ('same', 'valid'), 'strides': (2, 1)},
  'norm': {'epsilon': (1e-3, 1e-1), 'momentum': (0.9, 0.99)},
  'pool': {'kind': ('max', 'avg')},
  'residual': {'scale': (0.5, 1.0), 'activation': ('tanh', 'sigmoid')},
  'branches': {'order': (False, True)},
  'leaky': {'alpha': (0.2, 0.3)},
  'clip': {'limit': (0.5, 1.0)},
  'unit': {'axis': (-1, 1), 'epsilon': (8.0, 1e-2)},
  'gate': {'activation': ('sigmoid', 'tanh')},
  'shift': {'amount': (0.25, -0.25)},
}
_TAIL: dict[str, dict[str, tuple[Any, Any]]] = {
  'reduce': {'kind': ('mean', 'sum')},
  'hidden': {'activation': ('relu', 'tanh'), 'use_bias': (True, False)},
  'dropout': {'rate': (0.3, 0.5)},
  'temperature': {'value': (2.0, 1.0)},
}
_LOSS: dict[str, tuple[Any, Any]] = {
  'smoothing': (0.1, 0.0),
  'weight': (1.0, 0.5),
  'reduction': ('mean', 'sum'),
}
_TRAIN: dict[str, tuple[Any, Any]] = {
  'rate': (1e-2, 2e-2),
  'clip': (0.05, 0.02),
}
_OPTIMIZERS: dict[str, dict[str, tuple[Any, Any]]] = {
  'adam': {
    'beta_1': (0.9, 0.8),
    'beta_2': (0.999, 0.99),
    'epsilon': (1e-3, 1e-7),
  },
  'momentum': {'momentum': (0.9, 0.5), 'nesterov': (False, True)},
  'rmsprop': {'rho': (0.9, 0.8), 'epsilon': (1e-3, 1e-7)},
}
CLASSES = 4


@dataclasses.dataclass(frozen=True)
class Fault:
  """A fault: which parameter of which block differs, and how."""

  block: str
  kind: str
  parameter: str
  tf1: Any
  tf2: Any


@dataclasses.dataclass(frozen=True)
class Network:
  """A random network.

  Attributes:
    style: SHIM or NATIVE.
    blocks: (name, kind, parameters) of each block, in order.
    faults: what differs in TF2.
    seed: what it was made with.
  """

  style: str
  blocks: tuple[tuple[str, str, dict[str, Any]], ...]
  faults: tuple[Fault, ...]
  seed: int

  def of_tf2(self) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Returns the blocks with the faults."""
    changed = {(f.block, f.parameter): f.tf2 for f in self.faults}
    return tuple(
      (
        name,
        kind,
        {key: changed.get((name, key), x) for key, x in parameters.items()},
      )
      for name, kind, parameters in self.blocks
    )


def generate(seed: int, faults: int | None = None) -> Network:
  """Returns a random network.

  Args:
    seed: of all that is random about it.
    faults: number of faults; None for two to six.
  """
  random = np.random.default_rng(seed)
  kinds = list(random.permutation(sorted(_BLOCKS)))
  kinds = kinds[: int(random.integers(5, 9))]
  kinds.insert(0, 'conv')
  found = [
    (kind, {key: values for key, values in _BLOCKS[kind].items()})
    for kind in kinds
  ]
  found += [(kind, dict(values)) for kind, values in _TAIL.items()]
  optimizer = str(random.choice(sorted(_OPTIMIZERS)))
  found += [
    ('loss', dict(_LOSS)),
    ('train', dict(_TRAIN)),
    (optimizer, dict(_OPTIMIZERS[optimizer])),
  ]
  names = [f'b{i}_{kind}' for i, (kind, _) in enumerate(found)]
  candidates = [
    Fault(name, kind, key, *values)
    for name, (kind, choices) in zip(names, found, strict=True)
    for key, values in choices.items()
  ]
  count = int(random.integers(2, 7)) if faults is None else faults
  planted: list[Fault] = []
  for i in random.permutation(len(candidates)):
    # One in each block, so that they are independent.
    if len(planted) < count and candidates[i].block not in (
      f.block for f in planted
    ):
      planted.append(candidates[i])
  return Network(
    str(random.choice([SHIM, NATIVE])),
    tuple(
      (name, kind, {key: values[0] for key, values in choices.items()})
      for name, (kind, choices) in zip(names, found, strict=True)
    ),
    tuple(planted),
    seed,
  )


class _V1Layers:
  """Makes layers of `tf.compat.v1.layers`."""

  def __init__(self, training: bool):
    self._training = training

  def conv(self, x, name, l2=0.0, **arguments):
    regularizer = None
    if l2:
      regularizer = lambda w: l2 * tf.nn.l2_loss(w)  # noqa: E731
    return v1.layers.conv2d(
      x,
      6,
      3,
      name=name,
      kernel_regularizer=regularizer,
      strides=arguments.get('strides', 1),
      padding=arguments.get('padding', 'same'),
      dilation_rate=arguments.get('dilation', 1),
    )

  def norm(self, x, name, epsilon, momentum):
    return v1.layers.batch_normalization(
      x,
      epsilon=epsilon,
      momentum=momentum,
      training=self._training,
      name=name,
    )

  def dense(self, x, name, units):
    return v1.layers.dense(x, units, name=name)

  def dropout(self, x, name, rate):
    return v1.layers.dropout(x, rate, training=self._training, name=name)


class _KerasLayers:
  """Makes layers of Keras once, and calls them."""

  def __init__(self):
    self.layers: dict[str, Any] = {}
    self.training = False

  def _layer(self, name, make):
    if name not in self.layers:
      self.layers[name] = make()
    return self.layers[name]

  def conv(self, x, name, l2=0.0, **arguments):
    keras = tf.keras
    make = lambda: keras.layers.Conv2D(  # noqa: E731
      6,
      3,
      name=name,
      kernel_regularizer=keras.regularizers.L2(l2 / 2) if l2 else None,
      strides=arguments.get('strides', 1),
      padding=arguments.get('padding', 'same'),
      dilation_rate=arguments.get('dilation', 1),
    )
    return self._layer(name, make)(x)

  def norm(self, x, name, epsilon, momentum):
    make = lambda: tf.keras.layers.BatchNormalization(  # noqa: E731
      epsilon=epsilon, momentum=momentum, name=name
    )
    return self._layer(name, make)(x, training=self.training)

  def dense(self, x, name, units):
    make = lambda: tf.keras.layers.Dense(units, name=name)  # noqa: E731
    return self._layer(name, make)(x)

  def dropout(self, x, name, rate):
    make = lambda: tf.keras.layers.Dropout(rate, name=name)  # noqa: E731
    return self._layer(name, make)(x, training=self.training)


def _block(x, name, kind, p, layers):  # One branch for each kind.
  if kind == 'conv':
    net = layers.conv(x, name, l2=p['l2'], dilation=p['dilation'])
    with tf.name_scope(name):
      return getattr(tf.nn, p['activation'])(net)
  if kind == 'strided':
    return layers.conv(x, name, strides=p['strides'], padding=p['padding'])
  if kind == 'norm':
    return layers.norm(x, name, p['epsilon'], p['momentum'])
  if kind == 'residual':
    inner = layers.conv(x, name)
    with tf.name_scope(name):
      return x + p['scale'] * getattr(tf.nn, p['activation'])(inner)
  if kind == 'hidden':
    net = layers.dense(x, name, 8)
    with tf.name_scope(name):
      if not p['use_bias']:  # The variable is there, and not used.
        net = net - layers_bias(layers, name, net)
      return getattr(tf.nn, p['activation'])(net)
  if kind == 'gate':
    inner = layers.conv(x, name)
    with tf.name_scope(name):
      return x * getattr(tf.nn, p['activation'])(inner)
  if kind == 'dropout':
    return layers.dropout(x, name, p['rate'])
  with tf.name_scope(name):
    return _op(x, kind, p)


def layers_bias(layers, name, net):
  """Returns half of what a layer computes, in place of its bias."""
  del layers, name
  return 0.5 * net


def _op(x, kind, p):
  if kind == 'pool':
    function = tf.nn.max_pool2d if p['kind'] == 'max' else tf.nn.avg_pool2d
    return function(x, 3, 1, 'SAME')
  if kind == 'branches':
    parts = [tf.sin(x), tf.cos(x)]
    both = tf.concat(parts[::-1] if p['order'] else parts, -1)
    return both[..., 3:9]
  if kind == 'leaky':
    return tf.nn.leaky_relu(x, p['alpha'])
  if kind == 'clip':
    return tf.clip_by_value(x, -p['limit'], p['limit'])
  if kind == 'unit':
    return tf.nn.l2_normalize(x, p['axis'], p['epsilon'])
  if kind == 'shift':
    return x + p['amount']
  if kind == 'reduce':
    function = tf.reduce_mean if p['kind'] == 'mean' else tf.reduce_sum
    return function(x, [1, 2])
  if kind == 'temperature':
    return x / p['value']
  raise ValueError(kind)


def forward(x, blocks, layers):
  """Runs the blocks; the last layer gives a logit for each class."""
  for name, kind, parameters in blocks:
    if kind in ('loss', 'train', *_OPTIMIZERS):
      continue
    if kind == 'temperature':
      x = layers.dense(x, 'logits', CLASSES)
    x = _block(x, name, kind, parameters, layers)
  return x


def _parameters(blocks) -> dict[str, Any]:
  """Returns the parameters of loss, training and optimizer by kind."""
  return {
    kind: p for _, kind, p in blocks if kind in ('loss', 'train', *_OPTIMIZERS)
  }


def loss(outputs, blocks):
  """Returns the loss of the logits."""
  p = _parameters(blocks)['loss']
  with tf.name_scope('objective'):
    labels = np.eye(CLASSES, dtype=np.float32)[[0, 1, 2, 3]]
    smoothed = labels
    if p['smoothing']:
      smoothed = tf.constant(labels) * (1 - p['smoothing']) + (
        p['smoothing'] / CLASSES
      )
    found = tf.nn.softmax_cross_entropy_with_logits(smoothed, outputs)
    reduce = tf.reduce_mean if p['reduction'] == 'mean' else tf.reduce_sum
    return p['weight'] * reduce(found)


def _optimizer_of_tf1(blocks):
  found = _parameters(blocks)
  rate = found['train']['rate']
  if 'adam' in found:
    p = found['adam']
    return v1.train.AdamOptimizer(rate, p['beta_1'], p['beta_2'], p['epsilon'])
  if 'momentum' in found:
    p = found['momentum']
    return v1.train.MomentumOptimizer(
      rate, p['momentum'], use_nesterov=p['nesterov']
    )
  p = found['rmsprop']
  return v1.train.RMSPropOptimizer(rate, p['rho'], epsilon=p['epsilon'])


def _optimizer_of_tf2(blocks):
  found = _parameters(blocks)
  optimizers, rate = tf.keras.optimizers, found['train']['rate']
  if 'adam' in found:
    p = found['adam']
    return optimizers.Adam(rate, p['beta_1'], p['beta_2'], p['epsilon'])
  if 'momentum' in found:
    p = found['momentum']
    return optimizers.SGD(rate, p['momentum'], nesterov=p['nesterov'])
  p = found['rmsprop']
  return v1.train.RMSPropOptimizer(rate, p['rho'], epsilon=p['epsilon'])


def case_of(network: Network, faulty: bool = True) -> pair.PairCase:
  """Returns the test case of a network.

  Args:
    network: the network.
    faulty: whether its faults are planted.
  """
  first = network.blocks
  second = network.of_tf2() if faulty else first
  methods: dict[str, Any] = {
    'make_inputs': pair.numbers(4, 8, 8, 3, seed=network.seed),
    'build_tf1': lambda x, training: forward(x, first, _V1Layers(training)),
    'compute_loss_tf1': lambda outputs, inputs: loss(outputs, first),
    'compute_loss_tf2': lambda outputs, inputs: loss(outputs, second),
    'build_tf1_optimizer': lambda: _optimizer_of_tf1(first),
    'build_tf2_optimizer': lambda: _optimizer_of_tf2(second),
    'clip_gradients_tf1': lambda g: _clipped(g, first),
    'clip_gradients_tf2': lambda g: _clipped(g, second),
  }
  if network.style == SHIM:
    methods['build_tf2'] = pair.shim(
      lambda x, training: forward(x, second, _V1Layers(training))
    )
  else:
    methods['build_tf2'] = lambda: native(second)
    methods['rename_variable'] = pair.below('net')
  methods = {k: x for k, x in methods.items() if hasattr(pair.PairCase, k)}
  return pair.PairCase(pair.clean(f'network {network.seed}', **methods))


def native(blocks):
  """Returns a model of Keras with the blocks."""

  class Net(tf.keras.Model):
    """The migrated model."""

    def __init__(self):
      super().__init__(name='net')
      self.made = _KerasLayers()

    def call(self, inputs, training=False):
      self.made.training = bool(training)
      found = forward(inputs, blocks, self.made)
      for name, layer in self.made.layers.items():
        if not hasattr(self, 'layer_' + name):
          setattr(self, 'layer_' + name, layer)
      return found

  return Net()


def _clipped(gradients, blocks):
  limit = _parameters(blocks)['train']['clip']
  with tf.name_scope('clipping'):
    return [None if g is None else tf.clip_by_norm(g, limit) for g in gradients]


@dataclasses.dataclass
class Outcome:
  """What one run names.

  Attributes:
    named: faults that are named.
    missed: those that are not.
    wrong: places without a fault, as text.
    repaired: faults of attributes and constants whose repair was proven.
    repairable: number of those faults.
    text: the message.
  """

  named: list[Fault]
  missed: list[Fault]
  wrong: list[str]
  repaired: int
  repairable: int
  text: str


_WORDS = {
  'rate': ('learning rate',),
  'clip': ('clip',),
  'smoothing': ('objective',),
  'weight': ('objective',),
  'reduction': ('objective',),
}
# Faults that are an attribute or a constant of an op.
_SIMPLE = {
  'dilation',
  'l2',
  'padding',
  'strides',
  'epsilon',
  'momentum',
  'scale',
  'alpha',
  'limit',
  'axis',
  'amount',
  'value',
  'weight',
  'beta_1',
  'beta_2',
  'rho',
  'nesterov',
}


def names(found: Any, fault: Fault) -> bool:
  """Returns whether a place is that of a fault."""
  ops = [found.tf1, found.tf2, *found.only_tf1, *found.only_tf2]
  where = ' '.join(p.name for p in ops if p is not None)
  where += ' ' + ' '.join(found.variables)
  what = ' '.join(map(str, found.differences)) + ' ' + found.mistake
  if fault.kind in _OPTIMIZERS:
    return fault.parameter in what
  if fault.kind == 'train':
    text = f'{where} {found.group}'.lower()
    return any(word in text for word in _WORDS[fault.parameter])
  if fault.kind == 'loss':
    return 'objective' in where
  return fault.block in where


def examine(network: Network, steps: int = 2) -> Outcome:
  """Runs the training steps of a network once, and reads the verdict."""
  case = case_of(network)
  try:
    case.assertTrainingEquivalent(steps=steps, weights='fixed')
  except AssertionError as error:
    text, places = str(error), list(error.verdict.divergences)
  else:
    text, places = 'passed', []
  named = [f for f in network.faults if any(names(p, f) for p in places)]
  wrong = [
    str(p.tf1 or p.tf2)
    for p in places
    if not any(names(p, f) for f in network.faults)
  ]
  simple = [f for f in network.faults if f.parameter in _SIMPLE]
  repaired = [
    f
    for f in simple
    if any(names(p, f) and p.repair is not None for p in places)
  ]
  missed = [f for f in network.faults if f not in named]
  return Outcome(named, missed, wrong, len(repaired), len(simple), text)


def alarms(network: Network, steps: int = 2) -> str:
  """Returns the message that a network without faults fails with, or ''."""
  try:
    case_of(network, faulty=False).assertTrainingEquivalent(
      steps=steps, weights='fixed'
    )
  except AssertionError as error:
    return str(error)
  return ''


def main() -> int:
  """Prints the score; returns whether it is worse than it must be."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--count', type=int, default=20)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--clean', type=int, default=3)
  parser.add_argument('--keras', default='2')
  parser.add_argument('-v', action='store_true')
  arguments = parser.parse_args()
  start, outcomes = time.time(), []
  for seed in range(arguments.seed, arguments.seed + arguments.count):
    network = generate(seed)
    if arguments.keras == '3':
      network = dataclasses.replace(network, style=NATIVE)
    outcome = examine(network)
    outcomes.append(outcome)
    print(
      '%d %s: %d of %d named, missed %s, wrong %s, %d of %d repaired'
      % (
        seed,
        network.style,
        len(outcome.named),
        len(network.faults),
        [(f.block, f.parameter) for f in outcome.missed],
        outcome.wrong,
        outcome.repaired,
        outcome.repairable,
      ),
      flush=True,
    )
    if arguments.v and (outcome.missed or outcome.wrong):
      print([(f.block, f.parameter) for f in network.faults])
      print(outcome.text, flush=True)
  silent = [
    generate(seed)
    for seed in range(arguments.seed, arguments.seed + arguments.clean)
  ]
  if arguments.keras == '3':
    silent = [dataclasses.replace(n, style=NATIVE) for n in silent]
  texts = [text for text in map(alarms, silent) if text]
  print('\n'.join(texts[:3]))
  print('\n'.join(score(outcomes, len(texts), len(silent))))
  print('%.0f s' % (time.time() - start))
  return 0


def score(outcomes: list[Outcome], alarmed: int, clean: int) -> list[str]:
  """Returns the score, line by line."""
  named = sum(len(x.named) for x in outcomes)
  count = named + sum(len(x.missed) for x in outcomes)
  return [
    'faults named in one run: %d of %d' % (named, count),
    'repairs proven: %d of %d attributes and constants'
    % (
      sum(x.repaired for x in outcomes),
      sum(x.repairable for x in outcomes),
    ),
    'places without a fault: %d' % sum(len(x.wrong) for x in outcomes),
    'clean networks that alarm: %d of %d' % (alarmed, clean),
  ]


del tf_equiv

if __name__ == '__main__':
  sys.exit(main())
