"""Attention: projections that are fused, or have heads as a dimension."""

from collections.abc import Mapping

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
    check_names(tf1_scope=tf1_scope)
    layers = check_layers(tf2_layers, 3)
    if heads is not None:
      arguments.check_count(heads, 'heads', 1, MAX_SIZE)

    def part(index: int) -> Conversion:
      def convert(value: np.ndarray) -> np.ndarray:
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
    tf1_scopes: Mapping[str, str],
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
    check_names(tf2_layer=tf2_layer, output=output)
    arguments.check_count(heads, 'heads', 1, MAX_SIZE)
    parts = ('query', 'key', 'value', 'output')
    if not isinstance(tf1_scopes, Mapping) or not set(tf1_scopes) <= set(parts):
      raise arguments.wrong(
        'tf1_scopes', f'a dict of scopes by {", ".join(parts)}', tf1_scopes
      )
    targets: Targets = {}
    for part, scope in tf1_scopes.items():
      arguments.check_text(scope, f'tf1_scopes[{part!r}]')
      if part == 'output':
        layer = f'{tf2_layer}/{output}'

        def kernel(value: np.ndarray) -> np.ndarray:
          return value.reshape(heads, -1, value.shape[-1])

        def bias(value: np.ndarray) -> np.ndarray:
          return value

      else:
        layer = f'{tf2_layer}/{part}'

        def kernel(value: np.ndarray) -> np.ndarray:
          return _with_heads(value, heads)

        bias = kernel
      targets[scope + '/kernel'] = {layer + '/kernel': kernel}
      targets[scope + '/bias'] = {layer + '/bias': bias}
    super().__init__(targets)


def _with_heads(value: np.ndarray, heads: int) -> np.ndarray:
  return value.reshape(*value.shape[:-1], heads, -1)
