"""Training loops of the user's own: parts of a model, and several losses."""

import functools

import numpy as np
import tensorflow as tf

from tests.planted import pair
from tests.planted.pairs import optimizers as base

v1 = tf.compat.v1
train = v1.train


class OwnLoop:
  """A network with weight decay; only its last layer is trained."""

  def __init__(self, all_layers=False, decay=True, decoupled=None):
    self.all_layers, self.decay = all_layers, decay
    self.decoupled = decoupled

  def build_tf2_optimizer(self):
    self.optimizer = tf.keras.optimizers.SGD(0.1, weight_decay=self.decoupled)
    return self.optimizer

  def train_tf1(self, inputs):
    outputs = base.network(inputs, True, decay=0.1)
    losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    loss = base.square_error(outputs, inputs) + tf.add_n(losses)
    operation = base.descent().minimize(
      loss,
      train.get_or_create_global_step(),
      [v for v in v1.trainable_variables() if v.name.startswith('out/')],
    )
    return {'outputs': outputs, 'train': operation}

  def train_tf2(self, model, inputs):
    with tf.GradientTape() as tape:
      outputs = model(inputs['x'], training=True)
      loss = base.square_error(outputs, inputs)
      if self.decay:
        loss += tf.add_n(model.losses)
    layer = model if self.all_layers else model.layers[-1]
    variables = layer.trainable_variables
    # FAULT: regularization_left_out_of_loop, coupled_decay_became_decoupled
    gradients = tape.gradient(loss, variables)
    # FAULT: all_layers_trained
    self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return {'outputs': outputs}

  def methods(self):
    """What to override."""
    return {
      **base.NETWORK,
      'build_tf1': functools.partial(base.network, decay=0.1),
      'build_tf2': base.rewrite(decay=0.1),
      'build_tf2_optimizer': self.build_tf2_optimizer,
      'train_tf1': self.train_tf1,
      'train_tf2': self.train_tf2,
    }


# An adversarial network.


def _noise_and_data():
  generator = np.random.default_rng(0)
  return {
    'noise': generator.normal(size=(6, 3)).astype(np.float32),
    'real': generator.normal(size=(6, 4)).astype(np.float32),
  }


def adversaries(inputs, training):
  """Scores of what is generated and of what is real."""
  del training
  with v1.variable_scope('generator'):
    net = v1.layers.dense(inputs['noise'], 5, tf.nn.tanh, name='hidden')
    fake = v1.layers.dense(net, 4, name='out')

  def score(x):
    with v1.variable_scope('discriminator', reuse=v1.AUTO_REUSE):
      net = v1.layers.dense(x, 5, tf.nn.tanh, name='hidden')
      return v1.layers.dense(net, 1, name='score')

  return {'fake': score(fake), 'real': score(inputs['real'])}


def _adversarial_losses(scores):
  def entropy(label, key):
    labels = tf.fill([6, 1], label)
    return tf.reduce_mean(
      tf.nn.sigmoid_cross_entropy_with_logits(labels, scores[key])
    )

  return {
    'discriminator': entropy(0.0, 'fake') + entropy(1.0, 'real'),
    'generator': entropy(1.0, 'fake'),
  }


class Adversaries:
  """Trains the discriminator, then the generator."""

  def __init__(self, order=('discriminator', 'generator'), trains=None):
    self.order = order
    self.trains = trains or {key: key for key in order}

  def build_tf2_optimizer(self):
    self.optimizers = {key: base.sgd() for key in self.order}
    return self.optimizers

  def train_tf1(self, inputs):
    losses = _adversarial_losses(adversaries(inputs, True))
    return [
      {
        key + '_loss': losses[key],
        'train': base.descent().minimize(
          losses[key],
          var_list=v1.trainable_variables(key + '/'),
        ),
      }
      for key in ('discriminator', 'generator')
    ]

  def train_tf2(self, model, inputs):
    found = {}
    for key in self.order:
      with tf.GradientTape() as tape:
        loss = _adversarial_losses(model(inputs, training=True))[key]
      variables = [
        v
        for v in model.trainable_variables
        if v.name.startswith(self.trains[key] + '/')
      ]
      gradients = tape.gradient(loss, variables)
      pairs = zip(gradients, variables, strict=True)
      # FAULT: adversaries_swapped, generator_first
      self.optimizers[key].apply_gradients(pairs)
      found[key + '_loss'] = loss
    return found

  def methods(self):
    """What to override."""
    return dict(
      make_inputs=_noise_and_data,
      build_tf1=adversaries,
      build_tf2=pair.shim(adversaries),
      build_tf2_optimizer=self.build_tf2_optimizer,
      train_tf1=self.train_tf1,
      train_tf2=self.train_tf2,
    )


_SWAPPED = {'discriminator': 'generator', 'generator': 'discriminator'}

PAIRS = (
  pair.clean('last_layer_only', **OwnLoop().methods()),
  pair.clean('adversaries', **Adversaries().methods()),
  pair.faulty(
    'all_layers_trained',
    pair.UPDATES,
    'an optimizer of TF2 trains it, but none of TF1',
    'hidden/kernel',
    culprit='TF1 does not train hidden/bias',
    **OwnLoop(all_layers=True).methods(),
  ),
  pair.faulty(
    'regularization_left_out_of_loop',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients: 1 of 2',
    'out/kernel',
    culprit='only TF1 gradients/out/kernel/Regularizer',
    **OwnLoop(decay=False).methods(),
  ),
  pair.faulty(
    'coupled_decay_became_decoupled',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in the gradients: 1 of 2',
    'The weight_decay=0.1 of the TF2 optimizer is decoupled',
    culprit='only TF1 gradients/out/kernel/Regularizer',
    **OwnLoop(decay=False, decoupled=0.1).methods(),
  ),
  pair.faulty(
    'adversaries_swapped',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in',
    culprit='order of updates: TF1 trains discriminator',
    **Adversaries(trains=_SWAPPED).methods(),
  ),
  pair.faulty(
    'generator_first',
    pair.UPDATES,
    'Training diverges at step 1 of 3 in',
    'discriminator_loss',
    culprit='order of updates: TF1 trains discriminator',
    **Adversaries(order=('generator', 'discriminator')).methods(),
  ),
)
