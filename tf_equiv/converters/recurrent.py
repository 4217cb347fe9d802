"""Recurrent layers: gates in another order, one kernel for two."""

from collections.abc import Callable

import numpy as np

from tf_equiv.converters.converter import (
  MAX_SIZE,
  Conversion,
  Converter,
  Targets,
  check_layers,
  check_names,
)
from tf_equiv.core import arguments

# From the number of units, the rows of a kernel.
_Part = Callable[[int], slice]


class LSTM(Converter):
  """`BasicLSTMCell`, `LSTMCell` and `LSTMBlockCell` to a Keras LSTM.

  TF1 keeps one kernel, [inputs + units, 4 * units], with the gates i, j (new
  input), f, o (tensorflow/python/ops/rnn_cell_impl.py, in 2.x
  tf_keras/src/layers/rnn/legacy_cells.py), and adds `forget_bias` to f when it
  runs. Keras keeps two kernels with the gates i, f, c, o and no such constant.
  Peepholes and projections have no counterpart in Keras.
  """

  def __init__(self, tf1_scope: str, tf2_layer: str, forget_bias: float = 1.0):
    """Names the layer.

    Args:
      tf1_scope: of the cell's variables, such as 'rnn/basic_lstm_cell'.
      tf2_layer: of the Keras variables, such as 'lstm/lstm_cell'.
      forget_bias: that of the TF1 cell, 1.0 by default.
    """
    check_names(tf1_scope=tf1_scope, tf2_layer=tf2_layer)
    forget_bias = arguments.check_number(forget_bias, 'forget_bias')

    def gates(value: np.ndarray) -> tuple[np.ndarray, ...]:
      i, j, f, o = np.split(value, 4, axis=-1)
      return i, f, j, o

    def kernel(part: _Part) -> Conversion:
      def convert(value: np.ndarray) -> np.ndarray:
        units = value.shape[-1] // 4
        return np.concatenate(gates(value), axis=-1)[part(units)]

      return convert

    def bias(value: np.ndarray) -> np.ndarray:
      i, f, j, o = gates(value)
      return np.concatenate([i, f + np.asarray(forget_bias, f.dtype), j, o])

    super().__init__(
      {
        tf1_scope + '/kernel': {
          tf2_layer + '/kernel': kernel(lambda units: slice(None, -units)),
          tf2_layer + '/recurrent_kernel': kernel(
            lambda units: slice(-units, None)
          ),
        },
        tf1_scope + '/bias': {tf2_layer + '/bias': bias},
      }
    )


class GRU(Converter):
  """`GRUCell` and `CudnnCompatibleGRUCell` to a Keras GRU.

  TF1 keeps one kernel for the gates r, u and one for the candidate; Keras keeps
  one of the inputs and one of the state, with the order z (which is u), r, h.
  `GRUCell` resets the state before the product, `reset_after=False` in Keras;
  `CudnnCompatibleGRUCell` after it, `reset_after=True` with a bias of two rows:
  one more than TF1 has for the gates, which stays zero, but is trained, so that
  outputs can be compared, but not training.
  """

  def __init__(self, tf1_scope: str, tf2_layer: str, reset_after: bool = False):
    """Names the layer.

    Args:
      tf1_scope: of the cell's variables, such as 'rnn/gru_cell'.
      tf2_layer: of the Keras variables, such as 'gru/gru_cell'.
      reset_after: that of the Keras layer; True for `CudnnCompatibleGRUCell`.
    """
    check_names(tf1_scope=tf1_scope, tf2_layer=tf2_layer)
    arguments.check_bool(reset_after, 'reset_after')
    kernel = tf2_layer + '/kernel'
    recurrent = tf2_layer + '/recurrent_kernel'
    bias = tf2_layer + '/bias'

    def of_gates(part: _Part | None) -> Conversion:
      def convert(value: np.ndarray) -> np.ndarray:
        units = value.shape[-1] // 2
        r, u = np.split(value, 2, axis=-1)
        whole = np.concatenate([u, r, np.zeros_like(r)], axis=-1)
        return whole if part is None else whole[part(units)]

      return convert

    def of_candidate(part: _Part | None) -> Conversion:
      def convert(value: np.ndarray) -> np.ndarray:
        units = value.shape[-1]
        zeros = np.zeros_like(value)
        whole = np.concatenate([zeros, zeros, value], axis=-1)
        return whole if part is None else whole[part(units)]

      return convert

    def inputs(units: int) -> slice:
      return slice(None, -units)

    def state(units: int) -> slice:
      return slice(-units, None)

    def row(index: int, convert: Conversion) -> Conversion:
      def place(value: np.ndarray) -> np.ndarray:
        found = convert(value)
        rows = [np.zeros_like(found), np.zeros_like(found)]
        rows[index] = found
        return np.stack(rows)

      return place

    targets: Targets = {
      tf1_scope + '/gates/kernel': {
        kernel: of_gates(inputs),
        recurrent: of_gates(state),
      }
    }
    candidate = tf1_scope + '/candidate'
    if reset_after:
      targets[tf1_scope + '/gates/bias'] = {bias: row(0, of_gates(None))}
      for index, (part, target) in enumerate(
        (('input', kernel), ('hidden', recurrent))
      ):
        scope = f'{candidate}/{part}_projection'
        targets[scope + '/kernel'] = {target: of_candidate(None)}
        targets[scope + '/bias'] = {bias: row(index, of_candidate(None))}
    else:
      targets[tf1_scope + '/gates/bias'] = {bias: of_gates(None)}
      targets[candidate + '/kernel'] = {
        kernel: of_candidate(inputs),
        recurrent: of_candidate(state),
      }
      targets[candidate + '/bias'] = {bias: of_candidate(None)}
    super().__init__(targets)


class CudnnLSTM(Converter):
  """The opaque parameters of `tf.contrib.cudnn_rnn.CudnnLSTM` to Keras LSTMs.

  cuDNN's canonical order (NVIDIA cuDNN API, cudnnGetRNNLinLayerMatrixParams):
  for each layer the matrices W_i, W_f, W_c, W_o of the inputs and R_i, R_f,
  R_c, R_o of the state, each [units, inputs]; after those of all layers, the
  biases in the same order. Keras has one bias, the sum of both, whose gradient
  is that of each: it learns half as fast as the sum of two, so outputs can be
  compared, but not training.
  """

  def __init__(
    self, tf1_name: str, tf2_layers: list[str], input_size: int, units: int
  ):
    """Names the layers.

    Args:
      tf1_name: of the variable, such as 'cudnn_lstm/opaque_kernel'.
      tf2_layers: of the Keras variables of each layer, such as
        ['lstm/lstm_cell', 'lstm_1/lstm_cell'].
      input_size: size of the inputs of the first layer.
      units: size of the state.
    """
    check_names(tf1_name=tf1_name)
    layers = check_layers(tf2_layers)
    arguments.check_count(input_size, 'input_size', 1, MAX_SIZE)
    arguments.check_count(units, 'units', 1, MAX_SIZE)
    sizes = [input_size] + [units] * (len(layers) - 1)
    total = sum(4 * units * (size + units + 2) for size in sizes)
    targets: dict[str, Conversion] = {}
    start = 0
    bias_start = total - len(sizes) * 8 * units

    def matrix(start: int, size: int) -> Conversion:
      def convert(value: np.ndarray) -> np.ndarray:
        _check_size(value, total)
        flat = value[start : start + 4 * units * size]
        return flat.reshape(4 * units, size).T

      return convert

    def bias(start: int) -> Conversion:
      def convert(value: np.ndarray) -> np.ndarray:
        _check_size(value, total)
        both = value[start : start + 8 * units].reshape(2, -1)
        found: np.ndarray = both.sum(axis=0)
        return found

      return convert

    for i, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
      targets[layer + '/kernel'] = matrix(start, size)
      start += 4 * units * size
      targets[layer + '/recurrent_kernel'] = matrix(start, units)
      start += 4 * units * units
      targets[layer + '/bias'] = bias(bias_start + i * 8 * units)
    super().__init__({tf1_name: targets})


def _check_size(value: np.ndarray, total: int) -> None:
  if value.shape != (total,):
    raise ValueError(f'expected a vector of {total} parameters')
