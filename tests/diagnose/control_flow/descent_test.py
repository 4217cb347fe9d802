"""The op at fault is named inside of loops and branches."""

import tf_equiv  # isort: skip (before tensorflow)
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair
from tf_equiv.diagnose.control_flow import iterations as turns

v1 = tf.compat.v1

_BATCH, _TIME, _UNITS = 3, 5, 4
_FIRST_LINES = 12


def weights(name, shape):
  return v1.get_variable(name, shape)


def lstm(x, forget_bias=1.0):
  cell = v1.nn.rnn_cell.BasicLSTMCell(_UNITS, forget_bias=forget_bias)
  return v1.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]


def static_lstm(x, forget_bias=1.0):
  cell = v1.nn.rnn_cell.BasicLSTMCell(_UNITS, forget_bias=forget_bias)
  with v1.variable_scope('rnn'):
    state = cell.zero_state(_BATCH, tf.float32)
    outputs = []
    for t in range(_TIME):
      output, state = cell(x[:, t], state)
      outputs.append(output)
  return tf.stack(outputs, axis=1)


def gru(x, activation=tf.tanh):
  cell = v1.nn.rnn_cell.GRUCell(_UNITS, activation=activation)
  return v1.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]


def power(x, factor=0.5, turns=6):
  kernel = weights('kernel', [4, 4])

  def body(i, y):
    y = tf.tanh(tf.matmul(y, kernel))
    y = y * factor  # the scale of each turn
    return i + 1, y

  return tf.while_loop(lambda i, _: i < turns, body, [0, x[:, 0]])[1]


def late(x, factor=0.5):
  """From the third turn on, another op runs."""
  kernel = weights('kernel', [4, 4])

  def body(i, y):
    y = tf.tanh(tf.matmul(y, kernel))
    return i + 1, tf.where(i > 1, y * factor, y)

  return tf.while_loop(lambda i, _: i < 30, body, [0, x[:, 0]])[1]


def grow(x, factor=0.5):
  """Another op runs in the last two turns; all are put out."""
  kernel = weights('kernel', [4, 4])

  def step(y, i):
    y = tf.tanh(tf.matmul(y, kernel))
    return tf.where(i > 2, y * factor, y)

  return tf.scan(step, tf.range(5), initializer=x[:, 0])


def nested(x, factor=0.5):
  kernel = weights('kernel', [4, 4])

  def inner(j, y):
    return j + 1, tf.sin(y) * factor  # inside the inner loop

  def outer(i, y):
    y = tf.matmul(y, kernel)
    y = tf.while_loop(lambda j, _: j < 2, inner, [0, y])[1]
    return i + 1, y + 1.0

  return tf.while_loop(lambda i, _: i < 3, outer, [0, x[:, 0]])[1]


def mapped(x, factor=0.5):
  kernel = weights('kernel', [4, 4])
  return tf.map_fn(lambda row: tf.matmul(row, kernel) * factor, x)


def scanned(x, factor=0.5):
  kernel = weights('kernel', [4, 4])
  return tf.scan(
    lambda y, row: tf.tanh(tf.matmul(y, kernel)) * factor + row,
    tf.transpose(x, [1, 0, 2]),
  )


def branch(x, factor=0.5):
  kernel = weights('kernel', [4, 4])
  y = tf.matmul(x[:, 0], kernel)
  return v1.cond(
    tf.reduce_sum(tf.square(y)) > 0,
    lambda: tf.sin(y) * factor,  # the branch that is taken
    lambda: y * 7.0,
  )


def nested_branches(x, factor=0.5):
  kernel = weights('kernel', [4, 4])
  y = tf.matmul(x[:, 0], kernel)

  def outer():
    z = tf.cos(y)
    return v1.cond(
      tf.reduce_sum(z) > 1e3, lambda: z * 3.0, lambda: tf.sin(z) * factor
    )

  return v1.cond(tf.reduce_sum(tf.square(y)) > 0, outer, lambda: y * 7.0)


def branch_in_loop(x, factor=0.5):
  kernel = weights('kernel', [4, 4])

  def body(i, y):
    y = tf.matmul(y, kernel)
    y = v1.cond(i > 1, lambda: tf.sin(y) * factor, lambda: tf.cos(y))
    return i + 1, y

  return tf.while_loop(lambda i, _: i < 4, body, [0, x[:, 0]])[1]


def chosen(x, factor=0.5):
  kernel = weights('kernel', [4, 4])
  y = tf.matmul(x[:, 0], kernel)
  return tf.switch_case(
    tf.cast(tf.reduce_sum(tf.square(y)) > 0, tf.int32),
    [lambda: y * 3.0, lambda: tf.sin(y) * factor, lambda: y * 7.0],
  )


def unrolled(x, factor=0.5, turns=6):
  kernel, y = weights('kernel', [4, 4]), x[:, 0]
  for _ in range(turns):
    y = tf.tanh(tf.matmul(y, kernel))
    y = y * factor  # the scale of each turn
  return y


def case_of(tf2, tf1, v2=True):
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(_BATCH, _TIME, 4),
      build_tf1=lambda x, training: tf1(x),
      build_tf2=pair.shim(lambda x, training: tf2(x)),
      tf1_behavior=tf_equiv.TF1Behavior(control_flow_v2=v2),
    )
  )


def message(case) -> str:
  try:
    case.assertForwardEquivalent()
  except AssertionError as error:
    return str(error)
  raise ValueError('passes')


_FAULTS = (
  ('lstm', lstm, {'forget_bias': 0.0}, 'basic_lstm_cell', 'iteration 2 of 5'),
  ('gru', gru, {'activation': tf.nn.relu}, 'gru_cell/Tanh', 'iteration 1 of 5'),
  ('while', power, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'iteration 1 of 6'),
  ('late', late, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'iteration 3 of 30'),
  ('nested', nested, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'iteration 1 of 2'),
  ('mapped', mapped, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'iteration 1 of 3'),
  ('scan', scanned, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'iteration 1 of 4'),
  ('branch', branch, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'that is taken'),
  (
    'nested_branches',
    nested_branches,
    {'factor': 0.25},
    'TF1 0.5, TF2 0.25',
    'in the branch that is taken',
  ),
  ('case', chosen, {'factor': 0.25}, 'TF1 0.5, TF2 0.25', 'branch 1'),
  (
    'branch_in_loop',
    branch_in_loop,
    {'factor': 0.25},
    'TF1 0.5, TF2 0.25',
    'iteration 3 of 4',
  ),
)


class InsideTest(parameterized.TestCase):
  @parameterized.named_parameters(
    *(
      ('%s_v%d' % (name, 1 + v2), *rest, v2)
      for name, *rest in _FAULTS
      for v2 in (False, True)
    )
  )
  def test_names_the_fault(self, function, changed, culprit, place, v2):
    text = message(case_of(lambda x: function(x, **changed), function, v2))
    first = '\n'.join(text.splitlines()[:_FIRST_LINES])
    self.assertIn(culprit, first)
    self.assertIn(place, first)
    self.assertRegex(first, r'TF1 .* at \S*descent_test\.py:\d+')
    self.assertRegex(first, r'TF2 .* at \S*descent_test\.py:\d+')
    self.assertNotIn('tf_equiv_', text)
    self.assertLess(len(text.splitlines()), 41)

  @parameterized.product(v2=(False, True))
  def test_loop_against_none(self, v2):
    """One side has a loop, the other writes it out."""
    case = case_of(lambda x: unrolled(x, 0.25), power, v2)
    first = '\n'.join(message(case).splitlines()[:_FIRST_LINES])
    self.assertIn('in iteration 1 of 6 of TF1 while, which TF2 computes', first)
    self.assertIn('TF1 0.5, TF2 0.25', first)
    self.assertIn('y = y * factor', first)
    case = case_of(lambda x: power(x, 0.25), unrolled, v2)
    first = '\n'.join(message(case).splitlines()[:_FIRST_LINES])
    self.assertIn('which TF1 computes without a loop', first)
    self.assertIn('TF1 0.5, TF2 0.25', first)
    self.assertTrue(
      case_of(unrolled, power, v2).assertForwardEquivalent().passed
    )

  @parameterized.product(v2=(False, True))
  def test_static_rnn(self, v2):
    case = case_of(lambda x: static_lstm(x, 0.0), lstm, v2)
    first = '\n'.join(message(case).splitlines()[:_FIRST_LINES])
    self.assertIn('in iteration 2 of 5 of TF1 rnn/while', first)
    self.assertIn('constant (operand 1): TF1 1, TF2 0', first)
    self.assertTrue(
      case_of(static_lstm, lstm, v2).assertForwardEquivalent().passed
    )

  @parameterized.product(v2=(False, True))
  def test_step_of_what_cannot_be_entered(self, v2):
    """So much is said where there are more turns than can be walked."""
    with mock.patch.object(turns, '_STAGES', (2,)):
      text = message(case_of(lambda x: grow(x, 0.25), grow, v2))
    self.assertIn('outputs of the loop first differ at step 4 of 5', text)
    text = message(case_of(lambda x: grow(x, 0.25), grow, v2))
    self.assertIn('in iteration 4 of 5', text)

  @parameterized.product(v2=(False, True))
  def test_what_goes_wrong_inside_is_said(self, v2):
    error = ValueError('no such thing')
    with mock.patch.object(turns, 'walk', side_effect=error):
      text = message(case_of(lambda x: power(x, 0.25), power, v2))
    self.assertIn('could not be looked inside (ValueError: no such', text)
    self.assertIn('while', text.splitlines()[2])

  @parameterized.product(v2=(False, True))
  def test_number_of_iterations(self, v2):
    text = message(case_of(lambda x: power(x, turns=5), power, v2))
    self.assertIn('iterations of the loop: TF1 6, TF2 5', text)

  @parameterized.named_parameters(
    *((name, function) for name, function, *_ in _FAULTS)
  )
  def test_clean(self, function):
    for v2 in (False, True):
      case = case_of(function, function, v2)
      self.assertTrue(case.assertForwardEquivalent().passed)
      self.assertIsNone(case.locateDivergence().divergence)


if __name__ == '__main__':
  absltest.main()
