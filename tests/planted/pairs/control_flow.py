"""Loops and branches of all kinds, and a branch that only Python sees."""

import functools

import tensorflow as tf

from tests.planted import pair
from tf_equiv import TF1Behavior

v1 = tf.compat.v1

_INPUTS = pair.numbers(3, 5, 4)
_BEHAVIOR = TF1Behavior(control_flow_v2=False)  # As in TF 1.15.


def refine(x, training, damping=0.5, turns=4):
  """Refines an estimate in several turns."""
  del training
  kernel = v1.get_variable('kernel', [4, 4])

  def body(i, estimate):
    update = tf.tanh(tf.matmul(estimate, kernel))
    # FAULT: loop_with_wrong_factor
    return i + 1, estimate + damping * update

  # FAULT: loop_ends_early
  _, found = tf.while_loop(lambda i, _: i < turns, body, [0, x[:, 0]])
  return found


def refine_unrolled(x, training, damping=0.5):
  """The same without a loop of TensorFlow."""
  del training
  kernel, estimate = v1.get_variable('kernel', [4, 4]), x[:, 0]
  for _ in range(4):
    # FAULT: unrolled_with_wrong_factor
    estimate += damping * tf.tanh(tf.matmul(estimate, kernel))
  return estimate


def recur(x, training, activation=tf.tanh):
  """A gated recurrent unit."""
  del training
  cell = v1.nn.rnn_cell.GRUCell(4, activation=activation)
  # FAULT: activation_in_cell
  return v1.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]


def normalize_rows(x, training, epsilon=1e-3):
  """Normalizes each row of a batch by itself."""
  del training
  kernel = v1.get_variable('kernel', [4, 4])

  def one(rows):
    rows = tf.matmul(rows, kernel)
    # FAULT: epsilon_in_map
    return rows / (tf.norm(rows, axis=-1, keepdims=True) + epsilon)

  return tf.map_fn(one, x)


def clip_large(x, training, limit=1.0):
  """Scales what is larger than a limit."""
  del training
  net = v1.layers.dense(x[:, 0], 4, name='dense')
  norm = tf.norm(net)
  return v1.cond(norm > limit, lambda: net * (limit / norm), lambda: net)


class ClipLarge(tf.keras.Model):
  """The same; Python decides."""

  def __init__(self, limit=1.0):
    super().__init__(name='net')
    self.dense = tf.keras.layers.Dense(4, name='dense')
    self.limit = limit

  def call(self, x):
    net = self.dense(x[:, 0])
    norm = tf.norm(net)
    if norm.numpy() > self.limit:
      # FAULT: limit_in_branch_of_python
      net = net * (self.limit / norm)
    return net


_REFINE = dict(make_inputs=_INPUTS, build_tf1=refine, tf1_behavior=_BEHAVIOR)
_RECUR = dict(make_inputs=_INPUTS, build_tf1=recur, tf1_behavior=_BEHAVIOR)
# The mean of the squares of what has one length is a constant.
_LOSS = dict(compute_loss=lambda outputs, inputs: tf.reduce_mean(outputs))
_ROWS = dict(make_inputs=_INPUTS, build_tf1=normalize_rows, **_LOSS)
_CLIP = dict(
  make_inputs=_INPUTS,
  build_tf1=clip_large,
  tf1_behavior=_BEHAVIOR,
  rename_variable=pair.below('net'),
  **_LOSS,
)


def _fault(name, culprit, function, methods, **changed):
  """A pair whose outputs differ because of a changed argument."""
  return pair.faulty(
    name,
    pair.FORWARD,
    'Outputs differ',
    culprit=culprit,
    **methods,
    build_tf2=pair.shim(functools.partial(function, **changed)),
  )


PAIRS = (
  pair.clean('loop_v1_against_v2', **_REFINE, build_tf2=pair.shim(refine)),
  pair.clean('loop_unrolled', **_REFINE, build_tf2=pair.shim(refine_unrolled)),
  pair.clean('recurrent_v1_against_v2', **_RECUR, build_tf2=pair.shim(recur)),
  pair.clean('rows_mapped', **_ROWS, build_tf2=pair.shim(normalize_rows)),
  pair.clean('branch_of_python', **_CLIP, build_tf2=ClipLarge),
  _fault(
    'loop_with_wrong_factor', 'TF1 0.5, TF2 0.25', refine, _REFINE, damping=0.25
  ),
  _fault(
    'unrolled_with_wrong_factor',
    'TF1 0.5, TF2 0.25',
    refine_unrolled,
    _REFINE,
    damping=0.25,
  ),
  _fault(
    'loop_ends_early',
    'iterations of the loop: TF1 4, TF2 3',
    refine,
    _REFINE,
    turns=3,
  ),
  _fault(
    'activation_in_cell',
    'only TF1 rnn/while/gru_cell/Tanh (Tanh)',
    recur,
    _RECUR,
    activation=tf.nn.softsign,
  ),
  _fault(
    'epsilon_in_map', 'TF1 0.001, TF2 0.01', normalize_rows, _ROWS, epsilon=1e-2
  ),
  pair.faulty(
    'limit_in_branch_of_python',
    pair.FORWARD,
    'Outputs differ',
    culprit='TF1 1, TF2 0.5',
    **_CLIP,
    build_tf2=lambda: ClipLarge(limit=0.5),
  ),
)
