"""A two-layer network: all assertions against the same checks by hand.

    .venv/bin/python -m benchmarks.overhead --rounds 5

Printed are the seconds after the import, and their ratio; then what a failing
assertion costs, which looks for the first op that differs, and its ratio to the
passing one.
"""

import argparse
import statistics
import time

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
_TOLERANCE = {'rtol': 1e-6, 'atol': 1e-5}
_MODES = ('constant', 'num_random_ops')
_TRAINABLE = (
  'hidden/kernel:0',
  'hidden/bias:0',
  'norm/gamma:0',
  'norm/beta:0',
  'logits/kernel:0',
  'logits/bias:0',
)


def network(inputs, training, epsilon=1e-3):
  """Two layers, batch normalization, dropout and regularizers."""
  # The default initializers are out of reach of TensorFlow's own seed tool.
  arguments = {
    'kernel_regularizer': tf.keras.regularizers.l2(1e-3),
    'kernel_initializer': v1.glorot_uniform_initializer(),
  }
  net = v1.layers.dense(inputs, 64, name='hidden', **arguments)
  net = v1.layers.batch_normalization(
    net, training=training, epsilon=epsilon, name='norm'
  )
  net = v1.layers.dropout(tf.nn.relu(net), 0.5, training=training)
  return v1.layers.dense(net, 10, name='logits', **arguments)


class Network(tf.keras.layers.Layer):
  """The network behind the shim."""

  def __init__(self, epsilon=1e-3):
    super().__init__()
    self.epsilon = epsilon

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    """Calls the network."""
    return network(inputs, bool(training), self.epsilon)


class Case(tf_equiv.MigrationTestCase):
  """Both sides."""

  epsilon = 1e-3

  def runTest(self):
    """Lets the class be instantiated."""

  def make_inputs(self):
    """Returns a batch."""
    return np.random.default_rng(0).normal(size=(32, 100)).astype(np.float32)

  def build_tf1(self, inputs, training):
    """Builds the network."""
    return network(inputs, training)

  def build_tf2(self):
    """Returns the layer."""
    return Network(self.epsilon)


def library() -> None:
  """All assertions in both modes."""
  case = Case()
  case.assertNoNewVariables()
  case.assertVariablesMatch()
  case.assertForwardEquivalent()
  for mode in _MODES:
    case.assertForwardEquivalent(seed_mode=mode)
    case.assertTrainingEquivalent(seed_mode=mode)
    case.assertGradientsClose(seed_mode=mode)


def _check(first, second) -> None:
  for a, b in zip(first, second, strict=True):
    np.testing.assert_allclose(a, b, **_TOLERANCE)


def _loss(outputs, losses):
  return tf.reduce_mean(tf.square(outputs)) + tf.add_n(losses)


def _session_side(inputs, training, mode, fixed, gradients):
  """Returns what the TF1 side computes."""
  tool = v1.keras.utils.DeterministicRandomTestTool(mode=mode)
  graph = tf.Graph()
  with tool.scope(), graph.as_default(), v1.Session(graph=graph) as session:
    fed = v1.placeholder(tf.float32, inputs.shape)
    outputs = network(fed, training)
    losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    variables = v1.global_variables()
    fetches = [outputs, *losses]
    if gradients:
      by_name = {v.name: v for v in v1.trainable_variables()}
      trainable = [by_name[name] for name in _TRAINABLE]
      fetches += v1.gradients(_loss(outputs, losses), trainable)
    session.run(v1.global_variables_initializer())
    if fixed is not None:
      session.run([v1.assign(v, fixed(v.op.name, v.shape)) for v in variables])
    weights = dict(
      zip((v.name for v in variables), session.run(variables), strict=True)
    )
    return weights, session.run(fetches, {fed: inputs})


def _eager_side(inputs, training, mode, weights, gradients):
  """Returns what the TF2 side computes, with the weights given by name."""
  tool_class = v1.keras.utils.DeterministicRandomTestTool
  model, tool = Network(), tool_class(mode=mode)
  if weights is not None:
    model(inputs, training=training)
    for variable in model.variables:
      variable.assign(weights[variable.name])
  with tool.scope(), tf.GradientTape() as tape:
    if weights is not None and mode == 'num_random_ops':
      tool.operation_seed = 1  # The first was that of an initializer.
    outputs = model(inputs, training=training)
    losses = model.losses
    loss = _loss(outputs, losses)
  found = [outputs, *losses]
  if gradients:
    by_name = {v.name: v for v in model.trainable_variables}
    found += tape.gradient(loss, [by_name[n] for n in _TRAINABLE])
  return found


def by_hand() -> None:
  """The same checks in plain TensorFlow."""
  inputs = Case().make_inputs()

  def fixed(name, shape):
    return tf_equiv.named_weights(name, shape.as_list(), np.float32)

  # Steps 1 and 2.
  model = Network()
  model(inputs)
  before = [v.numpy() for v in model.variables]
  for training in (False, True, True):
    model(inputs, training=training)
    if not training:
      _check(before, [v.numpy() for v in model.variables])
  assert len(model.variables) == len(before)
  with tf.Graph().as_default():
    network(v1.placeholder(tf.float32, inputs.shape), False)
    tf1 = {v.name: (v.shape, v.trainable) for v in v1.global_variables()}
  model = Network()
  model(inputs)
  model(inputs)
  tf2 = {v.name: (v.shape, v.trainable) for v in model.variables}
  assert tf1 == tf2 and len(tf1) == 8
  # Step 3.
  weights, tf1 = _session_side(inputs, False, 'constant', fixed, False)
  _check(tf1, _eager_side(inputs, False, 'constant', weights, False))
  # Step 4, and gradients.
  for mode in _MODES:
    for training, gradients in ((False, False), (True, False), (True, True)):
      chosen = fixed if gradients else None
      weights, tf1 = _session_side(inputs, training, mode, chosen, gradients)
      given = weights if gradients else None
      _check(tf1, _eager_side(inputs, training, mode, given, gradients))


def _timed(function) -> float:
  start = time.perf_counter()
  function()
  return time.perf_counter() - start


def failing() -> None:
  """A forward pass with another epsilon."""
  case = Case()
  case.epsilon = 1e-5
  try:
    case.assertForwardEquivalent()
  except AssertionError as error:
    assert 'is 0.001 in TF1 and 1e-05 in TF2' in str(error), error
  else:
    raise SystemExit('The fault was not found.')


def passing() -> None:
  """The same without a fault."""
  Case().assertForwardEquivalent()


def main() -> None:
  """Times all of it, alternating."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--rounds', type=int, default=5)
  rounds = parser.parse_args().rounds
  first = _timed(library)
  print('all assertions, first time after the import: %.2f s' % first)
  _timed(by_hand)
  for names, functions in (
    (('by hand', 'tf_equiv'), (by_hand, library)),
    (('passing', 'failing'), (passing, failing)),
  ):
    spent = []
    for i in range(rounds):
      order = (0, 1) if i % 2 == 0 else (1, 0)
      pair = [0.0, 0.0]
      for k in order:
        pair[k] = _timed(functions[k])
      spent.append(pair)
    ratios = [b / a for a, b in spent]
    print(
      '%s %.2f s, %s %.2f s (medians); ratio min %.2f  median %.2f  max %.2f'
      % (
        names[0],
        statistics.median(a for a, _ in spent),
        names[1],
        statistics.median(b for _, b in spent),
        min(ratios),
        statistics.median(ratios),
        max(ratios),
      ),
      flush=True,
    )


if __name__ == '__main__':
  main()
