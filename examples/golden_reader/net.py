"""The net of tests/references/golden_legacy.py, ported to NumPy.

A port to JAX or PyTorch looks the same from the outside: it takes weights by
the names of TF1, and inputs.
"""

import numpy as np

# As in tf.compat.v1.layers.batch_normalization.
EPSILON = 1e-3


def net(weights, images, epsilon=EPSILON):
  """Returns the logits of images in inference.

  Args:
    weights: arrays by name.
    images: array of the shape (batch, height, width, channels).
    epsilon: of the batch normalization.
  """

  def of(name):
    return weights['net/' + name].astype(np.float64)

  kernel = of('conv/kernel')
  windows = np.lib.stride_tricks.sliding_window_view(
    images.astype(np.float64), kernel.shape[:2], axis=(1, 2)
  )
  x = np.einsum('bhwcij,ijco->bhwo', windows, kernel) + of('conv/bias')
  scale = of('bn/gamma') / np.sqrt(of('bn/moving_variance') + epsilon)
  x = (x - of('bn/moving_mean')) * scale + of('bn/beta')
  x = np.maximum(x, 0).mean(axis=(1, 2))
  return x @ of('logits/kernel') + of('logits/bias')
