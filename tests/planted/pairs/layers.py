"""Convolutions, dense layers, embeddings and activations."""

import functools

import keras
import numpy as np
import tensorflow as tf
import tf_slim as slim

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers

_IMAGES = pair.numbers(3, 9, 9, 3)


# A network of tf_slim, whose layers have defaults of their own.


def slim_network(x, training):
  """Two convolutions, one with batch normalization; returns all end points."""
  ends = {}
  with slim.arg_scope([slim.batch_norm], is_training=training):
    ends['conv1'] = slim.conv2d(
      x, 4, 3, stride=2, normalizer_fn=slim.batch_norm, scope='conv1'
    )
  # FAULT: relu_of_slim_forgotten
  ends['conv2'] = slim.conv2d(ends['conv1'], 5, 3, rate=2, scope='conv2')
  ends['logits'] = slim.fully_connected(
    slim.flatten(ends['conv2']), 2, activation_fn=None, scope='logits'
  )
  return ends


def slim_rewrite(
  relu='relu', bias=False, gamma=False, rate=2, normalized_first=True
):
  """Returns a `build_tf2` of the same network in Keras."""

  def build():
    x = tf.keras.Input([9, 9, 3])
    ends = {}
    # FAULT: bias_beside_normalizer
    net = layers.Conv2D(
      4, 3, strides=2, padding='same', use_bias=bias, name='conv1'
    )(x)
    # FAULT: gamma_that_slim_leaves_out
    norm = layers.BatchNormalization(
      momentum=0.999, epsilon=1e-3, scale=gamma, name='conv1/BatchNorm'
    )
    # FAULT: relu_before_batch_norm
    both = [norm, layers.ReLU()]
    for layer in both if normalized_first else both[::-1]:
      net = layer(net)
    ends['conv1'] = net
    # FAULT: relu_of_slim_forgotten, dilation_forgotten
    ends['conv2'] = layers.Conv2D(
      5, 3, dilation_rate=rate, padding='same', activation=relu, name='conv2'
    )(net)
    flat = layers.Flatten()(ends['conv2'])
    ends['logits'] = layers.Dense(2, name='logits')(flat)
    return tf.keras.Model(x, ends)

  return build


def _slim_name(name):
  return name.replace('weights', 'kernel').replace('biases', 'bias')


# Convolutions whose padding does not depend on the size of the input, as in
# the residual networks of tf_slim.


def padded_network(x, training, fixed=True):
  """Pads by hand where the stride is not one."""
  del training
  if fixed:
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
  # FAULT: same_padding_with_stride
  net = v1.layers.conv2d(
    x,
    4,
    3,
    strides=2,
    padding='valid' if fixed else 'same',
    activation=tf.nn.relu,
    name='conv',
  )
  return tf.reduce_mean(net, axis=[1, 2])


# A decoder to an odd size.


def decoder(x, training):
  """Doubles the size of the input, less one."""
  del training
  with v1.variable_scope('up'):
    kernel = v1.get_variable('kernel', [3, 3, 4, 3])
    bias = v1.get_variable('bias', [4], initializer=v1.zeros_initializer())
  net = tf.nn.conv2d_transpose(x, kernel, [3, 7, 7, 4], 2, padding='SAME')
  return tf.nn.bias_add(net, bias)


class Decoder(tf.keras.Model):
  """The same, or doubled and cropped."""

  def __init__(self, cropped):
    super().__init__(name='decoder')
    self.up = layers.Conv2DTranspose(
      4,
      3,
      strides=2,
      padding='same',
      output_padding=None if cropped else 0,
      name='up',
    )

  def call(self, x):
    # FAULT: transposed_convolution_cropped
    return self.up(x)[:, :7, :7]


# A network that TF1 ran channels first, so that its dense layer wants them so.


def flattened(x, training, channels_first=True):
  """A dense layer on all pixels."""
  del training
  net = v1.layers.conv2d(x, 4, 3, activation=tf.nn.relu, name='conv')
  if channels_first:
    net = tf.transpose(net, [0, 3, 1, 2])
  return v1.layers.dense(v1.layers.flatten(net), 3, name='fc')


def flattened_rewrite(permuted):
  """Returns a `build_tf2` of the same network in Keras."""
  permute = [layers.Permute((3, 1, 2))] if permuted else []
  return lambda: tf.keras.Sequential(
    [
      layers.Conv2D(4, 3, activation='relu', name='conv'),
      *permute,
      layers.Flatten(),
      # FAULT: flattened_channels_last
      layers.Dense(3, name='fc'),
    ]
  )


# A dense network with the activation to be tried.


def activated(x, training, activation):
  """Two dense layers with an activation in between."""
  del training
  hidden = activation(v1.layers.dense(x, 6, name='hidden'))
  return {'hidden': hidden, 'out': v1.layers.dense(hidden, 2, name='out')}


def activated_rewrite(activation, k=tf.keras):
  """Returns a `build_tf2` of the same network in Keras."""

  def build():
    x = k.Input([4])
    hidden = k.layers.Dense(6, name='hidden')(x)
    # FAULT: leaky_relu_of_keras, exact_gelu, hard_sigmoid_of_keras_3
    hidden = k.layers.Activation(activation)(hidden)
    out = k.layers.Dense(2, name='out')(hidden)
    return k.Model(x, {'hidden': hidden, 'out': out})

  return build


def _gelu(x):
  """As the BERT of TF1 computes it."""
  return 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _hard_sigmoid(x):
  """As Keras 2 defines it."""
  return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


# Bags of words.


def _bags():
  generator = np.random.default_rng(0)
  ids = generator.integers(1, 9, (4, 5)).astype(np.int32)
  ids[[0, 1, 1, 3], [4, 3, 4, 4]] = 0  # padding
  return ids


def bags(ids, training):
  """Embeddings of the words of each text, divided by the root of their number.

  Returns:
    The scores, and the best.
  """
  del training
  table = v1.get_variable('bags/table', [9, 6])
  words = tf.sparse.from_dense(ids)
  net = v1.nn.embedding_lookup_sparse(table, words, None, combiner='sqrtn')
  logits = v1.layers.dense(net, 3, name='bags/out')
  return {'logits': logits, 'best': tf.argmax(logits, axis=-1)}


class Bags(tf.keras.Model):
  """The same without sparse tensors."""

  def __init__(self, power=0.5, padding=True, best=tf.int64):
    super().__init__(name='bags')
    self.table = layers.Embedding(
      9, 6, embeddings_initializer='glorot_uniform', name='table'
    )
    self.out = layers.Dense(3, name='out')
    self.power, self.padding, self.best = power, padding, best

  def call(self, ids):
    words = tf.cast(ids > 0, tf.float32)[..., None]
    if not self.padding:
      words = tf.ones_like(words)
    # FAULT: combiner_mean_for_sqrtn, padding_embedded
    total = tf.reduce_sum(self.table(ids) * words, axis=1)
    # FAULT: combiner_mean_for_sqrtn
    logits = self.out(total / tf.reduce_sum(words, axis=1) ** self.power)
    # FAULT: argmax_of_another_dtype
    return {'logits': logits, 'best': tf.argmax(logits, -1, self.best)}


def _bags_name(name):
  return name.replace('bags/table', 'bags/table/embeddings')


_SLIM = dict(
  make_inputs=_IMAGES, build_tf1=slim_network, rename_variable=_slim_name
)
_PADDED = dict(make_inputs=pair.numbers(3, 8, 8, 3), build_tf1=padded_network)
_DECODER = dict(
  make_inputs=pair.numbers(3, 4, 4, 3),
  build_tf1=decoder,
  rename_variable=pair.below('decoder'),
  weights='fixed',
)
_FLATTENED = dict(make_inputs=_IMAGES, build_tf1=flattened)
_BAGS = dict(make_inputs=_bags, build_tf1=bags, rename_variable=_bags_name)


def _activated(activation):
  return dict(
    make_inputs=pair.numbers(5, 4),
    build_tf1=functools.partial(activated, activation=activation),
  )


_KERAS_3 = dict(
  build_tf2_optimizer=lambda: keras.optimizers.SGD(0.1),
  weights='fixed',
)

PAIRS = (
  pair.clean(
    'slim_behind_shim',
    make_inputs=_IMAGES,
    build_tf1=slim_network,
    build_tf2=pair.shim(slim_network),
  ),
  pair.clean('slim_rewritten', **_SLIM, build_tf2=slim_rewrite()),
  pair.clean('padded_by_hand', **_PADDED, build_tf2=pair.shim(padded_network)),
  pair.clean(
    'odd_transposed_convolution',
    **_DECODER,
    build_tf2=lambda: Decoder(cropped=False),
  ),
  pair.clean(
    'flattened_channels_first', **_FLATTENED, build_tf2=flattened_rewrite(True)
  ),
  pair.clean(
    'leaky_relu',
    **_activated(tf.nn.leaky_relu),
    build_tf2=activated_rewrite(layers.LeakyReLU(0.2)),
  ),
  pair.clean(
    'hard_sigmoid',
    **_activated(_hard_sigmoid),
    build_tf2=activated_rewrite('hard_sigmoid'),
  ),
  pair.clean(
    'gelu_in_keras_3',
    **_activated(_gelu),
    **_KERAS_3,
    build_tf2=activated_rewrite(
      functools.partial(keras.activations.gelu, approximate=True), keras
    ),
  ),
  # TF1 leaves out the last bags where these are empty.
  pair.clean('bags_of_words', **_BAGS, build_tf2=Bags, allow_dormant=True),
  pair.faulty(
    'relu_of_slim_forgotten',
    pair.FORWARD,
    "2 of 3, first outputs['conv2']",
    'activation',
    culprit='only TF1 conv2/Relu',
    **_SLIM,
    build_tf2=slim_rewrite(relu=None),
  ),
  pair.faulty(
    'bias_beside_normalizer',
    pair.VARIABLES,
    '1 extra in TF2',
    'conv1/bias  float32[4]',
    culprit='conv1/bias',
    **_SLIM,
    build_tf2=slim_rewrite(bias=True),
  ),
  pair.faulty(
    'gamma_that_slim_leaves_out',
    pair.VARIABLES,
    '1 extra in TF2',
    'conv1/BatchNorm/gamma  float32[4]',
    culprit='conv1/BatchNorm/gamma',
    **_SLIM,
    build_tf2=slim_rewrite(gamma=True),
  ),
  pair.faulty(
    'dilation_forgotten',
    pair.FORWARD,
    "2 of 3, first outputs['conv2']",
    culprit='SpaceToBatchND',
    **_SLIM,
    build_tf2=slim_rewrite(rate=1),
  ),
  pair.faulty(
    'relu_before_batch_norm',
    pair.FORWARD,
    "3 of 3, first outputs['conv1']",
    culprit='only TF2 model/re_lu/Relu',
    **_SLIM,
    build_tf2=slim_rewrite(normalized_first=False),
  ),
  pair.faulty(
    'same_padding_with_stride',
    pair.FORWARD,
    'Outputs differ',
    'padding',
    culprit='padding: TF1 VALID, TF2 SAME',
    **_PADDED,
    build_tf2=pair.shim(functools.partial(padded_network, fixed=False)),
  ),
  pair.faulty(
    'transposed_convolution_cropped',
    pair.FORWARD,
    'Outputs differ',
    culprit='TF2 [3, 8, 8, 4]',
    **_DECODER,
    build_tf2=lambda: Decoder(cropped=True),
  ),
  pair.faulty(
    'flattened_channels_last',
    pair.FORWARD,
    'Outputs differ',
    culprit='same numbers in both, but in another',
    **_FLATTENED,
    build_tf2=flattened_rewrite(False),
  ),
  pair.faulty(
    'leaky_relu_of_keras',
    pair.FORWARD,
    "first outputs['hidden']",
    'activation',
    culprit='alpha: TF1 0.2, TF2 0.3',
    **_activated(tf.nn.leaky_relu),
    build_tf2=activated_rewrite(layers.LeakyReLU()),
  ),
  pair.faulty(
    'exact_gelu',
    pair.FORWARD,
    "first outputs['hidden']",
    'activation',
    culprit='0.044715',
    **_activated(_gelu),
    build_tf2=activated_rewrite('gelu'),
  ),
  pair.faulty(
    'hard_sigmoid_of_keras_3',
    pair.FORWARD,
    "first outputs['hidden']",
    'activation',
    culprit='numbers only in TF2: 3, 6',
    **_activated(_hard_sigmoid),
    **_KERAS_3,
    build_tf2=activated_rewrite('hard_sigmoid', keras),
  ),
  pair.faulty(
    'combiner_mean_for_sqrtn',
    pair.FORWARD,
    "first outputs['logits']",
    culprit='embedding_lookup_sparse',
    **_BAGS,
    build_tf2=lambda: Bags(power=1.0),
  ),
  pair.faulty(
    'padding_embedded',
    pair.FORWARD,
    "first outputs['logits']",
    culprit='dense_to_sparse/NotEqual',
    **_BAGS,
    build_tf2=lambda: Bags(padding=False),
  ),
  pair.faulty(
    'argmax_of_another_dtype',
    pair.FORWARD,
    "outputs['best']: TF1 int64[4], TF2 int32[4]",
    culprit='ArgMax',
    **_BAGS,
    build_tf2=lambda: Bags(best=tf.int32),
  ),
)
