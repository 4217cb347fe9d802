"""Recurrent networks: gates, states, directions and lengths."""

import functools

import numpy as np
import tensorflow as tf

from tests.planted import pair
from tf_equiv import converters

v1 = tf.compat.v1
layers = tf.keras.layers

_BATCH, _TIME, _FEATURES, _UNITS = 3, 4, 5, 4
_SEQUENCES = pair.numbers(_BATCH, _TIME, _FEATURES)
_CELL = 'rnn/basic_lstm_cell'


def lstm(x, training, cell=v1.nn.rnn_cell.BasicLSTMCell, **arguments):
  """Outputs and last state of an LSTM."""
  del training
  # FAULT: peepholes_lost
  outputs, state = v1.nn.dynamic_rnn(
    cell(_UNITS, **arguments), x, dtype=tf.float32
  )
  return {'outputs': outputs, 'c': state.c, 'h': state.h}


class KerasLSTM(tf.keras.Model):
  """The same in Keras."""

  def __init__(self, exchanged=False, **arguments):
    super().__init__(name='net')
    self.exchanged = exchanged
    self.lstm = layers.LSTM(
      _UNITS, return_sequences=True, return_state=True, name='lstm', **arguments
    )

  def call(self, x):
    # FAULT: forget_bias_forgotten, gates_in_the_order_of_tf1, states_exchanged
    outputs, h, c = self.lstm(x)
    if self.exchanged:  # as if they came in the order of TF1
      c, h = h, c
    return {'outputs': outputs, 'c': c, 'h': h}


_KERAS_CELL = 'net/lstm/lstm_cell'
_CONVERTER = converters.LSTM(_CELL, _KERAS_CELL)
_PEEPHOLES = converters.LSTM('rnn/lstm_cell', _KERAS_CELL)


def _split_only(tf1_name, value, tf2_name):
  """Splits the kernel, but leaves the gates as TF1 has them."""
  if tf1_name.endswith('bias'):
    return value
  is_state = tf2_name.endswith('recurrent_kernel')
  return value[-_UNITS:] if is_state else value[:-_UNITS]


# Keras' own LSTM of TF1.


def graph_lstm(x, training):
  """The LSTM of TF1's Keras, whose gates are hard sigmoids."""
  del training
  return v1.keras.layers.LSTM(_UNITS, name='lstm')(x)


def graph_lstm_rewrite(**arguments):
  """Returns a `build_tf2` of the same layer."""
  return lambda: tf.keras.Sequential(
    # FAULT: hard_sigmoid_became_sigmoid
    [layers.LSTM(_UNITS, name='lstm', **arguments)]
  )


# Gated recurrent units.


def gru(x, training):
  """Outputs of a GRU."""
  del training
  cell = v1.nn.rnn_cell.GRUCell(_UNITS)
  return v1.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]


def gru_rewrite(reset_after, **arguments):
  """Returns a `build_tf2` of the same in Keras."""
  return lambda: tf.keras.Sequential(
    [
      # FAULT: gru_reset_after, gru_of_another_activation
      layers.GRU(
        _UNITS,
        return_sequences=True,
        reset_after=reset_after,
        name='gru',
        **arguments,
      )
    ]
  )


_GRU = converters.GRU('rnn/gru_cell', 'gru/gru_cell')


def _gru_with_two_biases(tf1_name, value, tf2_name):
  value = _GRU.convert(tf1_name, value, tf2_name)
  if not tf2_name.endswith('bias'):
    return value
  return np.stack([value, np.zeros_like(value)])


# Sequences of several lengths.


def _padded():
  generator = np.random.default_rng(0)
  return {
    'x': generator.normal(size=(_BATCH, _TIME, _FEATURES)).astype(np.float32),
    'lengths': np.array([4, 2, 3], np.int32),
  }


def lengths(inputs, training, last_output=False, all_outputs=False):
  """The state after the last element of each sequence.

  Args:
    inputs: sequences and their lengths.
    training: ignored.
    last_output: returns the last output instead, which is zero behind the end
      of a sequence.
    all_outputs: returns all of them.
  """
  del training
  outputs, state = v1.nn.dynamic_rnn(
    v1.nn.rnn_cell.BasicLSTMCell(_UNITS),
    inputs['x'],
    inputs['lengths'],
    dtype=tf.float32,
  )
  if all_outputs:
    return outputs
  return outputs[:, -1] if last_output else state.h


class Lengths(tf.keras.Model):
  """The same in Keras."""

  def __init__(self, masked=True, **arguments):
    super().__init__(name='net')
    self.lstm = layers.LSTM(_UNITS, name='lstm', **arguments)
    self.masked = masked

  def call(self, inputs):
    mask = tf.sequence_mask(inputs['lengths'], _TIME)
    # FAULT: lengths_ignored, last_output_of_padded_sequence
    # FAULT: padded_steps_repeated, lengths_of_outputs_ignored
    return self.lstm(inputs['x'], mask=mask if self.masked else None)


# Both directions.


def both_directions(x, training):
  """Outputs of an LSTM and of one that runs backwards."""
  del training
  cells = [v1.nn.rnn_cell.BasicLSTMCell(_UNITS) for _ in range(2)]
  outputs, _ = v1.nn.bidirectional_dynamic_rnn(*cells, x, dtype=tf.float32)
  return tf.concat(outputs, axis=-1)


class BothDirections(tf.keras.Model):
  """The same with two layers of Keras."""

  def __init__(self, turned_back=True):
    super().__init__(name='net')
    arguments = dict(units=_UNITS, return_sequences=True)
    self.forwards = layers.LSTM(**arguments, name='fw')
    self.backwards = layers.LSTM(**arguments, go_backwards=True, name='bw')
    self.turned_back = turned_back

  def call(self, x):
    backwards = self.backwards(x)
    if self.turned_back:
      backwards = tf.reverse(backwards, axis=[1])
    # FAULT: backward_outputs_not_turned_back
    return tf.concat([self.forwards(x), backwards], axis=-1)


_DIRECTIONS = converters.Mapping(
  *(
    converters.LSTM(
      'bidirectional_rnn/%s/basic_lstm_cell' % way, 'net/%s/lstm_cell' % way
    )
    for way in ('fw', 'bw')
  )
)


# A stack of cells with wrappers, unrolled.


def stack(x, training, residual=True, keep=0.75, time_major=False):
  """Two LSTMs, the second residual, with dropout in between."""
  rnn_cell = v1.nn.rnn_cell
  keep = keep if training else 1.0
  first = rnn_cell.DropoutWrapper(
    rnn_cell.BasicLSTMCell(_UNITS), output_keep_prob=keep
  )
  second = rnn_cell.BasicLSTMCell(_UNITS)
  if residual:
    second = rnn_cell.ResidualWrapper(second)
  cell = rnn_cell.MultiRNNCell([first, second])
  # FAULT: batch_and_time_exchanged
  x = tf.unstack(x, axis=0 if time_major else 1)
  # FAULT: residual_wrapper_lost, keep_prob_as_rate
  outputs, _ = v1.nn.static_rnn(cell, x, dtype=tf.float32)
  return tf.stack(outputs, axis=0 if time_major else 1)


_LSTM = dict(
  make_inputs=_SEQUENCES,
  build_tf1=lstm,
  rename_variable=_CONVERTER.rename,
  weights='fixed',
)
_LENGTHS = dict(
  make_inputs=_padded,
  rename_variable=_CONVERTER.rename,
  convert_variable=_CONVERTER.convert,
  weights='fixed',
)
_GRUS = dict(
  make_inputs=_SEQUENCES,
  build_tf1=gru,
  rename_variable=_GRU.rename,
  weights='fixed',
)
_GRAPH_LSTM = dict(
  make_inputs=_SEQUENCES,
  build_tf1=graph_lstm,
  weights='fixed',
)
_BOTH = dict(
  make_inputs=_SEQUENCES,
  build_tf1=both_directions,
  rename_variable=_DIRECTIONS.rename,
  convert_variable=_DIRECTIONS.convert,
  weights='fixed',
)
_STACK = dict(make_inputs=_SEQUENCES, build_tf1=stack)

PAIRS = (
  pair.clean(
    'lstm_behind_shim',
    make_inputs=_SEQUENCES,
    build_tf1=lstm,
    build_tf2=pair.shim(lstm),
  ),
  pair.clean(
    'lstm_converted',
    **_LSTM,
    convert_variable=_CONVERTER.convert,
    build_tf2=KerasLSTM,
  ),
  pair.clean(
    'gru_reset_before',
    **_GRUS,
    convert_variable=_GRU.convert,
    build_tf2=gru_rewrite(False),
  ),
  pair.clean(
    'lengths_as_mask', **_LENGTHS, build_tf1=lengths, build_tf2=Lengths
  ),
  pair.clean(
    'padded_steps_of_zeros',
    **_LENGTHS,
    build_tf1=functools.partial(lengths, all_outputs=True),
    build_tf2=lambda: Lengths(return_sequences=True, zero_output_for_mask=True),
  ),
  pair.clean('both_directions', **_BOTH, build_tf2=BothDirections),
  pair.clean('stack_behind_shim', **_STACK, build_tf2=pair.shim(stack)),
  pair.clean(
    'keras_lstm_with_hard_sigmoid',
    **_GRAPH_LSTM,
    build_tf2=graph_lstm_rewrite(recurrent_activation='hard_sigmoid'),
  ),
  pair.faulty(
    'forget_bias_forgotten',
    pair.FORWARD,
    "first outputs['c']",
    culprit='bias holds the same numbers in both',
    **_LSTM,
    convert_variable=converters.LSTM(_CELL, _KERAS_CELL, 0.0).convert,
    build_tf2=KerasLSTM,
  ),
  pair.faulty(
    'gates_in_the_order_of_tf1',
    pair.FORWARD,
    "first outputs['c']",
    culprit='has its columns in the order of TF1',
    **_LSTM,
    convert_variable=_split_only,
    build_tf2=KerasLSTM,
  ),
  pair.faulty(
    'states_exchanged',
    pair.FORWARD,
    "TF1 outputs['c'] equals TF2 outputs['h']",
    culprit="TF1 outputs['c'] equals TF2 outputs['h']",
    **_LSTM,
    convert_variable=_CONVERTER.convert,
    build_tf2=lambda: KerasLSTM(exchanged=True),
  ),
  pair.faulty(
    'hard_sigmoid_became_sigmoid',
    pair.FORWARD,
    'Outputs differ',
    culprit='only in TF1: 0, 0.2, 0.5, 1',
    **_GRAPH_LSTM,
    build_tf2=graph_lstm_rewrite(),
  ),
  pair.faulty(
    'peepholes_lost',
    pair.VARIABLES,
    '3 missing in TF2',
    'rnn/lstm_cell/w_f_diag  float32[4]',
    culprit='rnn/lstm_cell/w_f_diag',
    make_inputs=_SEQUENCES,
    build_tf1=functools.partial(
      lstm, cell=v1.nn.rnn_cell.LSTMCell, use_peepholes=True
    ),
    rename_variable=_PEEPHOLES.rename,
    convert_variable=_PEEPHOLES.convert,
    build_tf2=KerasLSTM,
    weights='fixed',
  ),
  pair.faulty(
    'gru_reset_after',
    pair.FORWARD,
    'Outputs differ',
    culprit='one row in TF1, two in TF2',
    **_GRUS,
    convert_variable=_gru_with_two_biases,
    build_tf2=gru_rewrite(True),
  ),
  pair.faulty(
    'gru_of_another_activation',
    pair.FORWARD,
    'Outputs differ',
    culprit='sequential/gru/',
    **_GRUS,
    convert_variable=_GRU.convert,
    build_tf2=gru_rewrite(False, activation='sigmoid'),
  ),
  pair.faulty(
    'lengths_ignored',
    pair.FORWARD,
    'Outputs differ',
    culprit='net/lstm/',
    **_LENGTHS,
    build_tf1=lengths,
    build_tf2=lambda: Lengths(masked=False),
  ),
  pair.faulty(
    'last_output_of_padded_sequence',
    pair.FORWARD,
    'Outputs differ',
    culprit='net/lstm/',
    **_LENGTHS,
    build_tf1=functools.partial(lengths, last_output=True),
    build_tf2=Lengths,
  ),
  pair.faulty(
    'padded_steps_repeated',
    pair.FORWARD,
    'repeat the last output in TF2: pass zero_output_for_mask=True',
    culprit='Select',
    **_LENGTHS,
    build_tf1=functools.partial(lengths, all_outputs=True),
    build_tf2=lambda: Lengths(return_sequences=True),
  ),
  pair.faulty(
    'lengths_of_outputs_ignored',
    pair.FORWARD,
    'the lengths (sequence_length, a mask) do not reach the layer in TF2',
    culprit='Select',
    **_LENGTHS,
    build_tf1=functools.partial(lengths, all_outputs=True),
    build_tf2=lambda: Lengths(masked=False, return_sequences=True),
  ),
  pair.faulty(
    'backward_outputs_not_turned_back',
    pair.FORWARD,
    'Outputs differ',
    culprit='only TF1 ReverseV2',
    **_BOTH,
    build_tf2=lambda: BothDirections(turned_back=False),
  ),
  pair.faulty(
    'residual_wrapper_lost',
    pair.FORWARD,
    'Outputs differ',
    culprit='multi_rnn_cell/cell_1_1/add',
    **_STACK,
    build_tf2=pair.shim(functools.partial(stack, residual=False)),
  ),
  pair.faulty(
    'keep_prob_as_rate',
    pair.TRAINING,
    'Outputs differ',
    'rates add up to 1',
    culprit='cell_0/dropout/Mul',
    **_STACK,
    build_tf2=pair.shim(functools.partial(stack, keep=0.25)),
  ),
  pair.faulty(
    'batch_and_time_exchanged',
    pair.FORWARD,
    'Outputs differ',
    culprit='axis: TF1 1, TF2 0',
    make_inputs=pair.numbers(_TIME, _TIME, _FEATURES),
    build_tf1=stack,
    build_tf2=pair.shim(functools.partial(stack, time_major=True)),
  ),
)
