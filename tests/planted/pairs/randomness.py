"""Initializers, dropout, noise, and the order in which they draw."""

import functools

import keras
import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers

_X = pair.numbers(4, 5)


# A dense network: its initializers, and where its dropout is.


def network(
  x,
  training,
  initializer=None,
  rate=0.25,
  dropout_first=False,
  always=False,
  scaled=True,
):
  """Two dense layers with dropout in between."""

  def dropout(net):
    if not (training or always):
      return net
    if scaled:
      # FAULT: dropout_moved, dropout_in_inference
      return v1.nn.dropout(net, rate=rate)
    # FAULT: dropout_not_scaled
    return net * tf.cast(tf.random.uniform([4, 6]) >= rate, tf.float32)

  net = x
  if dropout_first:
    net = dropout(net)
  # FAULT: normal_for_truncated_normal, deviation_of_initializer
  # FAULT: default_initializer
  net = v1.layers.dense(
    net,
    6,
    tf.nn.relu,
    kernel_initializer=initializer or v1.truncated_normal_initializer(0, 0.5),
    name='hidden',
  )
  if not dropout_first:
    net = dropout(net)
  return v1.layers.dense(net, 3, name='out')


def scaled_by_variance(x, training, distribution='truncated_normal'):
  """A dense layer as residual networks initialize it."""
  del training
  initializer = v1.variance_scaling_initializer(
    2.0, mode='fan_in', distribution=distribution
  )
  # FAULT: distribution_of_variance_scaling
  return v1.layers.dense(x, 6, kernel_initializer=initializer, name='dense')


class Rewritten(tf.keras.Model):
  """The dense network in Keras."""

  def __init__(self, rate=0.25, out_first=False):
    super().__init__(name='net')
    self.hidden = layers.Dense(
      6,
      'relu',
      kernel_initializer=v1.truncated_normal_initializer(0, 0.5),
      name='hidden',
    )
    # FAULT: keep_prob_for_rate, another_dropout_rate
    self.dropout = layers.Dropout(rate)
    self.out = layers.Dense(3, name='out')
    self.out_first = out_first

  def call(self, x, training=None):
    if self.out_first:
      # FAULT: layers_built_in_another_order
      self.out(tf.zeros([1, 6]))
    net = self.dropout(self.hidden(x), training=training)
    return self.out(net)


def keras_3_rewrite(rate=0.25, dropout_first=False):
  """Returns a `build_tf2` in Keras 3, whose dropout has seeds of its own."""

  def build():
    hidden = keras.layers.Dense(6, 'relu', name='hidden')
    # FAULT: keep_prob_for_rate_in_keras_3, dropout_moved_in_keras_3
    both = [hidden, keras.layers.Dropout(rate)]
    return keras.Sequential(
      [
        *(both[::-1] if dropout_first else both),
        keras.layers.Dense(3, name='out'),
      ]
    )

  return build


# Dropout of whole channels.


def channels(x, training, whole=True):
  """A convolution whose output channels are dropped, each as a whole."""
  net = v1.layers.conv2d(x, 6, 3, name='conv')
  if training:
    shape = [3, 1, 1, 6] if whole else None
    net = v1.nn.dropout(net, noise_shape=shape, rate=0.4)
  return tf.reduce_mean(net, axis=[1, 2])


def channels_rewrite(layer):
  """Returns a `build_tf2` of the same in Keras."""
  # FAULT: noise_shape_lost
  return lambda: tf.keras.Sequential(
    [
      layers.Conv2D(6, 3, name='conv'),
      layer,
      layers.GlobalAveragePooling2D(),
    ]
  )


# A variational autoencoder.


def autoencoder(x, training, half=True, noise='normal', in_inference=True):
  """Encodes, samples by the reparameterization trick, and decodes."""
  net = v1.layers.dense(x, 6, tf.nn.tanh, name='encoder')
  mean = v1.layers.dense(net, 2, name='mean')
  log_variance = v1.layers.dense(net, 2, name='log_variance')
  if training or in_inference:
    epsilon = (
      # FAULT: uniform_noise_for_normal
      tf.random.normal([4, 2])
      if noise == 'normal'
      else tf.random.uniform([4, 2])
    )
    # FAULT: deviation_is_half_the_log_variance, no_noise_in_inference
    net = mean + tf.exp((0.5 if half else 1.0) * log_variance) * epsilon
  else:
    net = mean
  return {'sample': net, 'decoded': v1.layers.dense(net, 5, name='decoder')}


class Autoencoder(tf.keras.Model):
  """The same in Keras, with a generator of random numbers of its own."""

  def __init__(self, transposed=False):
    super().__init__(name='vae')
    self.encoder = layers.Dense(6, 'tanh', name='encoder')
    self.mean = layers.Dense(2, name='mean')
    self.log_variance = layers.Dense(2, name='log_variance')
    self.decoder = layers.Dense(5, name='decoder')
    self.generator = tf.random.Generator.from_seed(7)
    self.transposed = transposed

  def call(self, x):
    net = self.encoder(x)
    mean, log_variance = self.mean(net), self.log_variance(net)
    if self.transposed:
      # FAULT: noise_of_generator_transposed
      epsilon = tf.transpose(self.generator.normal([2, 4]))
    else:
      epsilon = self.generator.normal([4, 2])
    net = mean + tf.exp(0.5 * log_variance) * epsilon
    return {'sample': net, 'decoded': self.decoder(net)}


# A network whose inputs are disturbed in training.


def disturbed(x, training, deviation=0.5, uses=2):
  """Adds noise to the input, and other noise to the features."""
  first = deviation * tf.random.normal([4, 5])
  if training:
    x += first
  net = v1.layers.dense(x, 5, tf.nn.tanh, name='dense')
  if training:
    # FAULT: same_noise_used_twice
    net += deviation * tf.random.normal([4, 5]) if uses == 2 else first
  return net


_NETWORK = dict(make_inputs=_X, build_tf1=network)
_VARIANCE = dict(make_inputs=_X, build_tf1=scaled_by_variance)
_CHANNELS = dict(make_inputs=pair.numbers(3, 6, 6, 2), build_tf1=channels)
_AUTOENCODER = dict(make_inputs=_X, build_tf1=autoencoder)
_KERAS_3 = dict(
  **_NETWORK,
  rename_variable=pair.below('sequential'),
  build_tf2_optimizer=lambda: keras.optimizers.SGD(0.1),
  weights='fixed',
)
_GENERATOR = dict(
  **_AUTOENCODER,
  rename_variable=pair.below('vae'),
  weights='fixed',
)
_DISTURBED = dict(make_inputs=_X, build_tf1=disturbed)


def _of(function, **fault):
  return pair.shim(functools.partial(function, **fault))


PAIRS = (
  pair.clean('dropout_behind_shim', **_NETWORK, build_tf2=_of(network)),
  pair.clean(
    'dropout_of_keras',
    **_NETWORK,
    build_tf2=Rewritten,
    rename_variable=pair.below('net'),
  ),
  pair.clean('dropout_of_keras_3', **_KERAS_3, build_tf2=keras_3_rewrite()),
  pair.clean(
    'variance_scaling', **_VARIANCE, build_tf2=_of(scaled_by_variance)
  ),
  pair.clean(
    'dropout_of_channels',
    **_CHANNELS,
    build_tf2=channels_rewrite(layers.SpatialDropout2D(0.4)),
  ),
  pair.clean('autoencoder', **_AUTOENCODER, build_tf2=_of(autoencoder)),
  pair.clean('autoencoder_with_generator', **_GENERATOR, build_tf2=Autoencoder),
  pair.clean('disturbed', **_DISTURBED, build_tf2=_of(disturbed)),
  pair.faulty(
    'normal_for_truncated_normal',
    pair.INITIAL,
    'Initial weights differ',
    'first hidden/kernel',
    'truncated_normal[5x6] initial value of hidden/kernel',
    'same initializers',
    culprit='initializer: TF1 TruncatedNormal, TF2 RandomNormal',
    **_NETWORK,
    build_tf2=_of(network, initializer=v1.random_normal_initializer(0, 0.5)),
  ),
  pair.faulty(
    'deviation_of_initializer',
    pair.INITIAL,
    'Initial weights differ: 1 of 4, first hidden/kernel',
    'same initializers',
    culprit='stddev: TF1 0.5, TF2 1',
    **_NETWORK,
    build_tf2=_of(network, initializer=v1.truncated_normal_initializer()),
  ),
  pair.faulty(
    'default_initializer',
    pair.INITIAL,
    'Initial weights differ: 1 of 4, first hidden/kernel',
    'random_uniform[5x6]',
    culprit='initializer: TF1 TruncatedNormal, TF2 RandomUniform',
    **_NETWORK,
    build_tf2=_of(network, initializer=v1.glorot_uniform_initializer()),
  ),
  pair.faulty(
    'distribution_of_variance_scaling',
    pair.INITIAL,
    'Initial weights differ: 1 of 2, first dense/kernel',
    culprit='initializer: TF1 TruncatedNormal, TF2 RandomUniform',
    **_VARIANCE,
    build_tf2=_of(scaled_by_variance, distribution='uniform'),
  ),
  pair.faulty(
    'layers_built_in_another_order',
    pair.INITIAL,
    'because random numbers are drawn in another order',
    'initial value of out/kernel: TF1 draw 1, TF2 draw 0',
    culprit='initial value of out/kernel: TF1 draw 1, TF2 draw 0',
    **_NETWORK,
    build_tf2=lambda: Rewritten(out_first=True),
    rename_variable=pair.below('net'),
  ),
  pair.faulty(
    'keep_prob_for_rate',
    pair.TRAINING,
    'Outputs differ',
    'keep_prob of TF1 is 1 - rate of TF2',
    culprit='TF1 1.333333, TF2 4',
    **_NETWORK,
    build_tf2=lambda: Rewritten(rate=0.75),
    rename_variable=pair.below('net'),
  ),
  pair.faulty(
    'another_dropout_rate',
    pair.TRAINING,
    'Outputs differ',
    'The dropout rate is 0.25 in TF1 and 0.5 in TF2',
    culprit='TF1 1.333333, TF2 2',
    **_NETWORK,
    build_tf2=lambda: Rewritten(rate=0.5),
    rename_variable=pair.below('net'),
  ),
  pair.faulty(
    'keep_prob_for_rate_in_keras_3',
    pair.TRAINING,
    'Outputs differ',
    'keep_prob of TF1 is 1 - rate of TF2',
    culprit='TF1 1.333333, TF2 4',
    **_KERAS_3,
    build_tf2=keras_3_rewrite(rate=0.75),
  ),
  pair.faulty(
    'dropout_moved_in_keras_3',
    pair.TRAINING,
    'Outputs differ',
    'uniform float32[4, 6] in dropout/random_uniform in TF1',
    'uniform float32[4, 5] in TF2',
    culprit='stateless_dropout',
    **_KERAS_3,
    build_tf2=keras_3_rewrite(dropout_first=True),
  ),
  pair.faulty(
    'noise_of_generator_transposed',
    pair.FORWARD,
    "first outputs['sample']",
    culprit='only TF2 vae/transpose',
    **_GENERATOR,
    build_tf2=lambda: Autoencoder(transposed=True),
  ),
  pair.faulty(
    'dropout_not_scaled',
    pair.TRAINING,
    'Outputs differ',
    'dropout',
    culprit='numbers only in TF1: 1.333333',
    **_NETWORK,
    build_tf2=_of(network, scaled=False),
  ),
  pair.faulty(
    'dropout_moved',
    pair.TRAINING,
    'because random numbers are drawn in another order',
    'was moved',
    'randomness.py:',
    culprit='operand: TF1 reads inputs, TF2 reads shim/dropout/SelectV2',
    **_NETWORK,
    build_tf2=_of(network, dropout_first=True),
  ),
  pair.faulty(
    'dropout_in_inference',
    pair.FORWARD,
    'Outputs differ',
    'only in TF2',
    'random_uniform[4x6]',
    culprit='only TF2 shim/dropout/',
    **_NETWORK,
    build_tf2=_of(network, always=True),
  ),
  pair.faulty(
    'noise_shape_lost',
    pair.TRAINING,
    'Outputs differ',
    'random_uniform[3x1x1x6]',
    'random_uniform[3x4x4x6]',
    culprit='dropout/GreaterEqual',
    **_CHANNELS,
    # FAULT: noise_shape_lost
    build_tf2=channels_rewrite(layers.Dropout(0.4)),
  ),
  pair.faulty(
    'deviation_is_half_the_log_variance',
    pair.FORWARD,
    "first outputs['sample']",
    culprit='TF1 0.5, TF2 1',
    **_AUTOENCODER,
    build_tf2=_of(autoencoder, half=False),
  ),
  pair.faulty(
    'uniform_noise_for_normal',
    pair.FORWARD,
    "first outputs['sample']",
    'random_normal[4x2]',
    'random_uniform[4x2]',
    culprit='only TF1 random_normal/mul',
    **_AUTOENCODER,
    build_tf2=_of(autoencoder, noise='uniform'),
  ),
  pair.faulty(
    'no_noise_in_inference',
    pair.FORWARD,
    "first outputs['sample']",
    'only in TF1',
    culprit='only TF1 reads log_variance/bias',
    **_AUTOENCODER,
    build_tf2=_of(autoencoder, in_inference=False),
  ),
  pair.faulty(
    'same_noise_used_twice',
    pair.TRAINING,
    'Outputs differ',
    'only in TF1',
    culprit='only TF1 random_normal_1/mul',
    **_DISTURBED,
    build_tf2=_of(disturbed, uses=1),
  ),
)
