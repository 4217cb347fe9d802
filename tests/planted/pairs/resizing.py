"""Resizing of images, pooling, and what moves between space and channels."""

import functools

import tensorflow as tf
import tf_slim as slim

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers


def network(x, training, resize):
  """Convolution, resizing or pooling, and another convolution.

  The first convolution has no activation, so that pooled values are of both
  signs.
  """
  del training
  net = v1.layers.conv2d(x, 4, 3, padding='same', name='conv')
  net = resize(net)
  net = v1.layers.conv2d(net, 3, 3, padding='same', name='head')
  return {'map': net, 'mean': tf.reduce_mean(net, axis=[1, 2])}


class Rewritten(tf.keras.Model):
  """The same in Keras."""

  def __init__(self, resize):
    super().__init__(name='net')
    self.conv = layers.Conv2D(4, 3, padding='same', name='conv')
    self.head = layers.Conv2D(3, 3, padding='same', name='head')
    self.resize = resize

  def call(self, x):
    # FAULT: doubled_by_interpolation, stride_of_slim_pooling
    net = self.head(self.resize(self.conv(x)))
    return {'map': net, 'mean': tf.reduce_mean(net, axis=[1, 2])}


def _bilinear(x, **arguments):
  # FAULT: align_corners_lost
  return v1.image.resize_bilinear(x, [9, 9], **arguments)


def _align_corners(x):
  return _bilinear(x, align_corners=True)


def _corners_by_hand(x):
  """Interpolates as `align_corners=True` does, in the terms of TF2."""
  scale = (x.shape[1] - 1) / (9 - 1)
  places = tf.range(9, dtype=tf.float32) * scale
  low = tf.minimum(tf.cast(tf.floor(places), tf.int32), x.shape[1] - 2)
  part = places - tf.cast(low, tf.float32)
  for axis, shape in ((1, [1, -1, 1, 1]), (2, [1, 1, -1, 1])):
    weight = tf.reshape(part, shape)
    first, second = (
      tf.gather(x, low, axis=axis),
      tf.gather(x, low + 1, axis=axis),
    )
    x = first * (1 - weight) + second * weight
  return x


def _tf2_resize(method, size=(9, 9)):
  # FAULT: bilinear_with_half_pixel_centers, nearest_with_half_pixel_centers
  # FAULT: bicubic_of_another_kernel
  return lambda x: tf.image.resize(x, size, method)


def _nearest(x):
  return v1.image.resize_nearest_neighbor(x, [3, 3])


def _nearest_by_stride(x):
  return x[:, ::2, ::2]


def _double(x):
  return v1.image.resize_nearest_neighbor(x, [12, 12])


def _bicubic(x):
  return v1.image.resize_bicubic(x, [9, 9])


def _average(x):
  return tf.nn.avg_pool2d(x, 3, 2, 'SAME')


def _average_padded(x):
  """Counts the zeros of the padding, too."""
  # FAULT: average_counts_padding
  return tf.nn.avg_pool2d(
    tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), 3, 2, 'VALID'
  )


def _maximum(x):
  return tf.nn.max_pool2d(x, 3, 2, 'SAME')


def _maximum_padded(x):
  """Takes the zeros of the padding for values."""
  # FAULT: maximum_of_padding
  return tf.nn.max_pool2d(
    tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), 3, 2, 'VALID'
  )


def _slim_maximum(x):
  return slim.max_pool2d(x, 3)


def _global_by_axes(*axes):
  def pool(x):
    # FAULT: pooled_over_wrong_axes
    return tf.reduce_mean(x, axis=axes, keepdims=True)

  return pool


def _shuffle(x):
  return tf.nn.depth_to_space(x, 2)


def _shuffle_by_hand(channels_first):
  """Moves channels into blocks of 2 x 2, which come first or last in them."""

  def shuffle(x):
    n, height, width, channels = x.shape
    depth = channels // 4
    if channels_first:
      x = tf.reshape(x, [n, height, width, depth, 2, 2])
      # FAULT: depth_to_space_channels_first
      x = tf.transpose(x, [0, 1, 4, 2, 5, 3])
    else:
      x = tf.reshape(x, [n, height, width, 2, 2, depth])
      x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
    return tf.reshape(x, [n, 2 * height, 2 * width, depth])

  return shuffle


def _shuffled(x, training, shuffle):
  del training
  net = v1.layers.conv2d(x, 8, 3, padding='same', name='conv')
  return v1.layers.conv2d(shuffle(net), 2, 3, name='head')


def _of(tf1, tf2=None, rewritten=None):
  """What makes a pair of two ways to resize, the second one in Keras or not."""
  build_tf2 = pair.shim(functools.partial(network, resize=tf2))
  if rewritten is not None:
    build_tf2 = lambda: Rewritten(rewritten)  # noqa: E731
  return dict(
    make_inputs=pair.numbers(3, 6, 6, 2),
    build_tf1=functools.partial(network, resize=tf1),
    build_tf2=build_tf2,
    **({} if rewritten is None else {'rename_variable': pair.below('net')}),
  )


def _of_shuffles(tf2):
  return dict(
    make_inputs=pair.numbers(3, 4, 4, 2),
    build_tf1=functools.partial(_shuffled, shuffle=_shuffle),
    build_tf2=pair.shim(functools.partial(_shuffled, shuffle=tf2)),
  )


_MAP = "first outputs['map']"

PAIRS = (
  pair.clean('bilinear_of_tf1_kept', **_of(_bilinear, rewritten=_bilinear)),
  pair.clean('align_corners_by_hand', **_of(_align_corners, _corners_by_hand)),
  pair.clean(
    'nearest_by_stride', **_of(_nearest, rewritten=_nearest_by_stride)
  ),
  pair.clean(
    'nearest_doubled', **_of(_double, rewritten=layers.UpSampling2D(2))
  ),
  pair.clean(
    'average_pooling_same',
    **_of(_average, rewritten=layers.AveragePooling2D(3, 2, 'same')),
  ),
  pair.clean(
    'slim_max_pooling',
    **_of(_slim_maximum, rewritten=layers.MaxPooling2D(3, 2)),
  ),
  pair.clean('depth_to_space_by_hand', **_of_shuffles(_shuffle_by_hand(False))),
  pair.faulty(
    'bilinear_with_half_pixel_centers',
    pair.FORWARD,
    _MAP,
    culprit='half_pixel_centers: TF1 False',
    **_of(_bilinear, rewritten=_tf2_resize('bilinear')),
  ),
  pair.faulty(
    'align_corners_lost',
    pair.FORWARD,
    _MAP,
    culprit='align_corners: TF1 True, TF2 False',
    **_of(_align_corners, _bilinear),
  ),
  pair.faulty(
    'nearest_with_half_pixel_centers',
    pair.FORWARD,
    _MAP,
    culprit='half_pixel_centers: TF1 False',
    **_of(_nearest, rewritten=_tf2_resize('nearest', (3, 3))),
  ),
  pair.faulty(
    'bicubic_of_another_kernel',
    pair.FORWARD,
    _MAP,
    culprit='half_pixel_centers: TF1 False',
    **_of(_bicubic, rewritten=_tf2_resize('bicubic')),
  ),
  pair.faulty(
    'doubled_by_interpolation',
    pair.FORWARD,
    _MAP,
    culprit='only TF1 ResizeNearestNeighbor',
    **_of(_double, rewritten=layers.UpSampling2D(2, interpolation='bilinear')),
  ),
  pair.faulty(
    'average_counts_padding',
    pair.FORWARD,
    _MAP,
    culprit='only TF2 shim/Pad',
    **_of(_average, _average_padded),
  ),
  pair.faulty(
    'maximum_of_padding',
    pair.FORWARD,
    _MAP,
    culprit='only TF2 shim/Pad',
    **_of(_maximum, _maximum_padded),
  ),
  pair.faulty(
    'stride_of_slim_pooling',
    pair.FORWARD,
    _MAP,
    culprit='strides: TF1 [1, 2, 2, 1]',
    **_of(_slim_maximum, rewritten=layers.MaxPooling2D(3)),
  ),
  pair.faulty(
    'pooled_over_wrong_axes',
    pair.VARIABLES,
    'head/kernel: TF1 [3, 3, 4, 3], TF2 [3, 3, 1, 3]',
    culprit='Mean',
    **_of(_global_by_axes(1, 2), _global_by_axes(2, 3)),
  ),
  pair.faulty(
    'depth_to_space_channels_first',
    pair.FORWARD,
    'Outputs differ',
    culprit='only TF1 DepthToSpace',
    **_of_shuffles(_shuffle_by_hand(True)),
  ),
)
