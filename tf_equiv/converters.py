"""Converters for layers whose variables Keras lays out in another way.

A converter knows the variables of one layer of TF1: what they are called in
TF2, and how their values move. Several are put together in a `Mapping`, to
which a test class delegates both template methods:

    class MyTest(tf_equiv.MigrationTestCase):
      mapping = tf_equiv.converters.Mapping(
        {'net/dense/kernel': 'dense/kernel', 'net/dense/bias': 'dense/bias'},
        tf_equiv.converters.LSTM('net/rnn/basic_lstm_cell', 'lstm/lstm_cell'),
      )

      def rename_variable(self, tf1_name):
        return self.mapping.rename(tf1_name)

      def convert_variable(self, tf1_name, value, tf2_name):
        return self.mapping.convert(tf1_name, value, tf2_name)

Only NumPy is needed. Names are without ':0'; for Keras 3 they are paths. All
conversions are affine, so that they apply to gradients and optimizer slots too.
"""

from collections.abc import Callable
from collections.abc import Mapping as _AbstractMapping
from typing import Any

import numpy as np

from tf_equiv.core import arguments, errors

__all__ = (
  'Attention',
  'BatchNorm',
  'Converter',
  'CudnnLSTM',
  'FusedQKV',
  'GRU',
  'LSTM',
  'Mapping',
  'SeparableConv',
)

# No layer has more units.
_MAX_SIZE = 2**31 - 1


class Converter:
  """Base class: a table of TF1 variables and of what becomes of each.

  Attributes:
    targets: for each TF1 name, a dict of TF2 name to function of the value.
  """

  def __init__(self, targets: dict[str, dict[str, Callable]]):
    if not isinstance(targets, dict) or not all(
      isinstance(name, str) and isinstance(of_name, dict)
      for name, of_name in targets.items()
    ):
      raise arguments.wrong(
        'targets', 'a dict of dicts of functions by name', targets
      )
    self.targets = targets

  def rename(self, tf1_name: str) -> Any:
    """Returns the TF2 names of a TF1 variable, for `rename_variable`.

    Args:
      tf1_name: the name on the TF1 side.

    Returns:
      A name, a tuple of names, or the name itself if it is none of the layer's.
    """
    names = tuple(self.targets.get(tf1_name, (tf1_name,)))
    return names[0] if len(names) == 1 else names

  def convert(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> np.ndarray:
    """Returns the value on the TF2 side, for `convert_variable`.

    Args:
      tf1_name: the name on the TF1 side.
      value: the value there.
      tf2_name: the name on the TF2 side.

    Returns:
      The value in TF2's layout.

    Raises:
      UsageError: if the value does not have the shape that the layer has.
    """
    function = self.targets.get(tf1_name, {}).get(tf2_name)
    if function is None:
      return value
    value = np.asarray(value)
    try:
      return function(value)
    except (ValueError, IndexError) as error:
      raise errors.UsageError(
        f'{type(self).__name__} cannot convert {tf1_name!r} of shape '
        f'{value.shape} into {tf2_name!r}: {error}. Check the arguments of '
        'the converter.'
      ) from error


class Mapping:
  """Plain renames and converters, put together."""

  def __init__(
    self,
    names: _AbstractMapping[str, Any] | Converter | None = None,
    *converters: Converter,
  ):
    """Puts renames and converters together.

    Args:
      names: TF2 name (or None for a variable that was dropped) by TF1 name.
        Other names stay as they are. May be left out.
      *converters: converters of layers.

    Raises:
      UsageError: for what is no name and no converter, and if two of them
        claim the same TF1 variable.
    """
    if isinstance(names, Converter):
      names, converters = None, (names, *converters)
    for converter in converters:
      if not isinstance(converter, Converter):
        raise arguments.wrong('converters', 'converters of layers', converter)
    if names is None:
      names = {}
    if not isinstance(names, _AbstractMapping):
      raise arguments.wrong('names', 'a dict of names', names)
    for name, renamed in names.items():
      arguments.check_text(name, 'A name in names')
      if not renamed and renamed is not None:
        raise arguments.wrong(
          f'names[{name!r}]', 'a name, a tuple of names, or None', renamed
        )
      if renamed is not None and not isinstance(renamed, str):
        arguments.check_texts(
          renamed, f'names[{name!r}]', 'a name, a tuple of names, or None'
        )
    self._names = dict(names)
    self._converters = converters
    seen = set(self._names)
    for converter in converters:
      twice = seen & set(converter.targets)
      if twice:
        raise errors.UsageError(
          'The mapping has more than one entry for '
          f'{", ".join(sorted(map(repr, twice)))}.'
        )
      seen |= set(converter.targets)

  def rename(self, tf1_name: str) -> Any:
    """Returns what `rename_variable` is to return; see `Converter.rename`."""
    if tf1_name in self._names:
      return self._names[tf1_name]
    converter = self._of(tf1_name)
    return tf1_name if converter is None else converter.rename(tf1_name)

  def convert(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> np.ndarray:
    """Returns what `convert_variable` is to return; see `Converter.convert`."""
    converter = self._of(tf1_name)
    if converter is None:
      return value
    return converter.convert(tf1_name, value, tf2_name)

  def _of(self, tf1_name):
    return next((c for c in self._converters if tf1_name in c.targets), None)


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
    _check_names(tf1_scope=tf1_scope, tf2_layer=tf2_layer)
    forget_bias = arguments.check_number(forget_bias, 'forget_bias')

    def gates(value):
      i, j, f, o = np.split(value, 4, axis=-1)
      return i, f, j, o

    def kernel(part):
      def convert(value):
        units = value.shape[-1] // 4
        return np.concatenate(gates(value), axis=-1)[part(units)]

      return convert

    def bias(value):
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
    _check_names(tf1_scope=tf1_scope, tf2_layer=tf2_layer)
    arguments.check_bool(reset_after, 'reset_after')
    kernel = tf2_layer + '/kernel'
    recurrent = tf2_layer + '/recurrent_kernel'
    bias = tf2_layer + '/bias'

    def of_gates(part):
      def convert(value):
        units = value.shape[-1] // 2
        r, u = np.split(value, 2, axis=-1)
        whole = np.concatenate([u, r, np.zeros_like(r)], axis=-1)
        return whole if part is None else whole[part(units)]

      return convert

    def of_candidate(part):
      def convert(value):
        units = value.shape[-1]
        zeros = np.zeros_like(value)
        whole = np.concatenate([zeros, zeros, value], axis=-1)
        return whole if part is None else whole[part(units)]

      return convert

    def inputs(units):
      return slice(None, -units)

    def state(units):
      return slice(-units, None)

    def row(index, convert):
      def place(value):
        found = convert(value)
        rows = [np.zeros_like(found), np.zeros_like(found)]
        rows[index] = found
        return np.stack(rows)

      return place

    targets = {
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
    _check_names(tf1_name=tf1_name)
    layers = _check_layers(tf2_layers)
    arguments.check_count(input_size, 'input_size', 1, _MAX_SIZE)
    arguments.check_count(units, 'units', 1, _MAX_SIZE)
    sizes = [input_size] + [units] * (len(layers) - 1)
    total = sum(4 * units * (size + units + 2) for size in sizes)
    targets, start = {}, 0
    bias_start = total - len(sizes) * 8 * units

    def matrix(start, size):
      def convert(value):
        _check_size(value, total)
        flat = value[start : start + 4 * units * size]
        return flat.reshape(4 * units, size).T

      return convert

    def bias(start):
      def convert(value):
        _check_size(value, total)
        return value[start : start + 8 * units].reshape(2, -1).sum(axis=0)

      return convert

    for i, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
      targets[layer + '/kernel'] = matrix(start, size)
      start += 4 * units * size
      targets[layer + '/recurrent_kernel'] = matrix(start, units)
      start += 4 * units * units
      targets[layer + '/bias'] = bias(bias_start + i * 8 * units)
    super().__init__({tf1_name: targets})


def _check_names(**names: Any) -> None:
  for argument, name in names.items():
    arguments.check_text(name, argument)


def _check_layers(layers: Any, count: int = 0) -> tuple[str, ...]:
  expected = f'a list of {count or "one or more"} names'
  several = isinstance(layers, (list, tuple))
  if not several or not layers or (count and len(layers) != count):
    raise arguments.wrong('tf2_layers', expected, layers)
  return arguments.check_texts(layers, 'tf2_layers', expected)


def _check_size(value, total) -> None:
  if value.shape != (total,):
    raise ValueError(f'expected a vector of {total} parameters')


class FusedQKV(Converter):
  """One projection to query, key and value in TF1, three in TF2.

  The kernel [features, 3 * width] holds them side by side. With `heads`, TF2's
  are those of `MultiHeadAttention`, [features, heads, width / heads].
  """

  def __init__(
    self, tf1_scope: str, tf2_layers: list[str], heads: int | None = None
  ):
    """Names the layers.

    Args:
      tf1_scope: of the dense layer, such as 'attention/qkv'.
      tf2_layers: of query, key and value.
      heads: number of heads where TF2's variables have them as a dimension.
    """
    _check_names(tf1_scope=tf1_scope)
    layers = _check_layers(tf2_layers, 3)
    if heads is not None:
      arguments.check_count(heads, 'heads', 1, _MAX_SIZE)

    def part(index):
      def convert(value):
        found = np.split(value, 3, axis=-1)[index]
        return found if heads is None else _with_heads(found, heads)

      return convert

    super().__init__(
      {
        f'{tf1_scope}/{kind}': {
          f'{layer}/{kind}': part(index) for index, layer in enumerate(layers)
        }
        for kind in ('kernel', 'bias')
      }
    )


class Attention(Converter):
  """Dense layers of query, key, value and output to `MultiHeadAttention`.

  TF1's kernels [features, heads * size] become [features, heads, size]; that of
  the output [heads * size, features] becomes [heads, size, features].
  """

  def __init__(
    self,
    tf1_scopes: _AbstractMapping[str, str],
    tf2_layer: str,
    heads: int,
    output: str = 'attention_output',
  ):
    """Names the layers.

    Args:
      tf1_scopes: scopes of the dense layers by 'query', 'key', 'value' and
        'output'; the last may be left out.
      tf2_layer: of the attention layer, such as 'multi_head_attention'.
      heads: number of heads.
      output: name of the output projection inside of the layer.
    """
    _check_names(tf2_layer=tf2_layer, output=output)
    arguments.check_count(heads, 'heads', 1, _MAX_SIZE)
    parts = ('query', 'key', 'value', 'output')
    if not isinstance(tf1_scopes, _AbstractMapping) or not set(
      tf1_scopes
    ) <= set(parts):
      raise arguments.wrong(
        'tf1_scopes', f'a dict of scopes by {", ".join(parts)}', tf1_scopes
      )
    targets = {}
    for part, scope in tf1_scopes.items():
      arguments.check_text(scope, f'tf1_scopes[{part!r}]')
      if part == 'output':
        layer = f'{tf2_layer}/{output}'

        def kernel(value):
          return value.reshape(heads, -1, value.shape[-1])

        def bias(value):
          return value

      else:
        layer = f'{tf2_layer}/{part}'

        def kernel(value):
          return _with_heads(value, heads)

        bias = kernel
      targets[scope + '/kernel'] = {layer + '/kernel': kernel}
      targets[scope + '/bias'] = {layer + '/bias': bias}
    super().__init__(targets)


def _with_heads(value, heads):
  return value.reshape(*value.shape[:-1], heads, -1)


class SeparableConv(Converter):
  """`separable_conv2d` of tf.layers or tf_slim to one or two Keras layers.

  All have depthwise kernels [height, width, inputs, multiplier]; only the names
  differ.
  """

  def __init__(
    self,
    tf1_scope: str,
    depthwise: str,
    pointwise: str | None = None,
    bias: str | None = None,
  ):
    """Names the layer.

    Args:
      tf1_scope: of the layer, such as 'SeparableConv2d'.
      depthwise: the TF2 variable, such as 'separable_conv2d/depthwise_kernel'.
      pointwise: the TF2 variable; for `DepthwiseConv2D` followed by `Conv2D`
        that of the latter, such as 'conv2d/kernel'. None where there is none.
      bias: the TF2 variable, if there is any.
    """
    _check_names(tf1_scope=tf1_scope, depthwise=depthwise)
    if pointwise is not None:
      _check_names(pointwise=pointwise)
    if bias is not None:
      _check_names(bias=bias)
    targets = {}
    for names, target in (
      (('depthwise_kernel', 'depthwise_weights'), depthwise),
      (('pointwise_kernel', 'pointwise_weights'), pointwise),
      (('bias', 'biases'), bias),
    ):
      for name in names if target else ():
        targets[f'{tf1_scope}/{name}'] = {target: lambda value: value}
    super().__init__(targets)


class BatchNorm(Converter):
  """Batch normalization, whatever shape TF1 keeps its parameters in.

  Hand-written code for NCHW keeps them as [1, C, 1, 1], fused and Keras layers
  as [C]; `data_format` itself changes no variable.
  """

  def __init__(self, tf1_scope: str, tf2_layer: str):
    """Names the layer.

    Args:
      tf1_scope: of the layer, such as 'BatchNorm'.
      tf2_layer: of the Keras layer, such as 'batch_normalization'.
    """
    _check_names(tf1_scope=tf1_scope, tf2_layer=tf2_layer)
    super().__init__(
      {
        f'{tf1_scope}/{name}': {
          f'{tf2_layer}/{name}': lambda value: value.reshape(-1)
        }
        for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')
      }
    )
