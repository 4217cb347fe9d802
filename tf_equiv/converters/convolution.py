"""Convolutions: one layer that became two."""

from tf_equiv.converters.converter import Converter, Targets, check_names


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
    check_names(tf1_scope=tf1_scope, depthwise=depthwise)
    if pointwise is not None:
      check_names(pointwise=pointwise)
    if bias is not None:
      check_names(bias=bias)
    targets: Targets = {}
    for names, target in (
      (('depthwise_kernel', 'depthwise_weights'), depthwise),
      (('pointwise_kernel', 'pointwise_weights'), pointwise),
      (('bias', 'biases'), bias),
    ):
      if target:
        for name in names:
          targets[f'{tf1_scope}/{name}'] = {target: lambda value: value}
    super().__init__(targets)
