"""Normalization: parameters that have the shape of the activations."""

from tf_equiv.converters.converter import Converter, check_names


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
    check_names(tf1_scope=tf1_scope, tf2_layer=tf2_layer)
    super().__init__(
      {
        f'{tf1_scope}/{name}': {
          f'{tf2_layer}/{name}': lambda value: value.reshape(-1)
        }
        for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')
      }
    )
