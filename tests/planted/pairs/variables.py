"""Variables that are made anew, lost, duplicated, frozen or laid out anew."""

import functools

import numpy as np
import tensorflow as tf

from tests.planted import pair

v1 = tf.compat.v1

_WORDS, _SIZE = 11, 6


# Two towers that share their weights.


def _pairs_of_images():
  generator = np.random.default_rng(0)
  return {
    side: generator.normal(size=(4, 5)).astype(np.float32)
    for side in ('left', 'right')
  }


def siamese(inputs, training, shared=True, scope='tower', name='fc'):
  """Similarity of two inputs, embedded by one dense layer."""
  del training

  def tower(x, index):
    with v1.variable_scope(
      scope if shared or not index else 'other', reuse=v1.AUTO_REUSE
    ):
      # FAULT: shim_forgotten, towers_shared_by_mistake, another_scope
      return v1.layers.dense(x, 4, tf.nn.tanh, name=name)

  left, right = tower(inputs['left'], 0), tower(inputs['right'], 1)
  return {'similarity': tf.reduce_sum(left * right, axis=-1)}


class Siamese(tf.keras.Model):
  """The same with Keras layers, one for each tower or one for both."""

  def __init__(self, shared=True):
    super().__init__(name='siamese')
    dense = functools.partial(tf.keras.layers.Dense, 4, 'tanh')
    self.left = dense(name='fc')
    # FAULT: towers_no_longer_shared, towers_shared_by_mistake
    self.right = self.left if shared else dense(name='fc_right')

  def call(self, inputs):
    left, right = self.left(inputs['left']), self.right(inputs['right'])
    return {'similarity': tf.reduce_sum(left * right, axis=-1)}


def _siamese_name(name):
  return {
    'tower/fc/kernel': 'siamese/fc/kernel',
    'tower/fc/bias': 'siamese/fc/bias',
    'other/fc/kernel': 'siamese/fc_right/kernel',
    'other/fc/bias': 'siamese/fc_right/bias',
  }[name]


class SiamesePerCall(tf.keras.Model):
  """Makes its Keras layer in each call."""

  def call(self, inputs):
    # FAULT: keras_layer_per_call
    dense = tf.keras.layers.Dense(4, 'tanh', name='fc')
    left, right = dense(inputs['left']), dense(inputs['right'])
    return {'similarity': tf.reduce_sum(left * right, axis=-1)}


class Undecorated(tf.keras.layers.Layer):
  """The legacy code, called without the shim's decorator."""

  def call(self, inputs, training=None):
    # FAULT: shim_forgotten
    return siamese(inputs, training)


# A language model whose softmax is tied to its embedding.


def _ids():
  generator = np.random.default_rng(0)
  return generator.integers(0, _WORDS, (3, 4)).astype(np.int32)


def tied(ids, training, trainable=True):
  """Scores of all words, by the table that also embeds them."""
  del training
  with v1.variable_scope('lm'):
    table = v1.get_variable('table', [_WORDS, _SIZE], trainable=trainable)
    net = tf.nn.embedding_lookup(table, ids)
    weights = v1.get_variable('weights', [_SIZE, _SIZE])
    net = tf.tanh(tf.tensordot(net, weights, [[2], [0]]))
  with v1.variable_scope('lm', reuse=True):
    table = v1.get_variable('table', trainable=trainable)
  return tf.tensordot(net, table, [[2], [1]])


class Tied(tf.Module):
  """The same as a module with variables of its own."""

  def __init__(self, untied=False, frozen=False, hidden=False, turned=False):
    super().__init__(name='lm')
    glorot = v1.glorot_uniform_initializer()
    with self.name_scope:
      # FAULT: embedding_frozen, pretrained_embedding_no_longer_frozen
      self.table = tf.Variable(
        glorot([_WORDS, _SIZE]), trainable=not frozen, name='table'
      )
      # FAULT: variable_left_untracked
      weights = tf.Variable(glorot([_SIZE, _SIZE]), name='weights')
      if untied:
        # FAULT: embedding_untied
        self.output = tf.Variable(glorot([_WORDS, _SIZE]), name='output')
      else:
        self.output = self.table
    self.turned = turned
    if hidden:
      self.weights = lambda: weights
    else:
      self._weights = weights
      self.weights = lambda: self._weights

  def __call__(self, ids):
    net = tf.nn.embedding_lookup(self.table, ids)
    # As PyTorch does, which keeps kernels as [outputs, inputs].
    axis = 1 if self.turned else 0
    # FAULT: square_kernel_not_turned
    net = tf.tanh(tf.tensordot(net, self.weights(), [[2], [axis]]))
    return tf.tensordot(net, self.output, [[2], [1]])


def _turn(tf1_name, value, tf2_name):
  del tf1_name
  return value.T if tf2_name == 'lm/weights' else value


# A regression with explicit variables, whose outputs fade with its age.


def regression(x, training):
  """A linear layer, and a count of the calls that inference leaves alone."""
  del training
  age = v1.get_variable(
    'age', [], tf.int64, v1.zeros_initializer(), trainable=False
  )
  kernel = v1.get_variable('kernel', [2, 5])
  # FAULT: bias_forgotten
  bias = v1.get_variable('bias', [2], initializer=v1.zeros_initializer())
  net = tf.matmul(x, kernel, transpose_b=True) + bias
  return net / (1.0 + tf.cast(age, tf.float32))


class Regression(tf.Module):
  """The same as a module."""

  def __init__(self, age_dtype=tf.int64, shape=(2, 5), bias=True):
    super().__init__()
    glorot = v1.glorot_uniform_initializer()
    age = tf.zeros([], age_dtype)
    # FAULT: counter_of_another_dtype
    self.age = tf.Variable(age, trainable=False, name='age')
    # FAULT: kernel_transposed
    self.kernel = tf.Variable(glorot(shape), name='kernel')
    if bias:
      self.bias = tf.Variable(tf.zeros([2]), name='bias')

  def __call__(self, x):
    net = tf.matmul(x, self.kernel, transpose_b=self.kernel.shape[0] == 2)
    net += getattr(self, 'bias', 0.0)
    return net / (1.0 + tf.cast(self.age, tf.float32))


class VariablePerCall(tf.Module):
  """Makes a variable where TF1 code made one in its graph."""

  def __call__(self, x):
    # FAULT: tf_variable_per_call
    kernel = tf.Variable(v1.glorot_uniform_initializer()([2, 5]), name='kernel')
    return tf.matmul(x, kernel, transpose_b=True)


# Query, key and value in one kernel, or in three.


def packed(x, training):
  """Products of queries and keys, weighting values."""
  del training
  # FAULT: query_key_value_in_another_order
  parts = v1.layers.dense(x, 12, use_bias=False, name='qkv')
  # FAULT: query_key_value_in_another_order
  query, key, value = tf.split(parts, 3, axis=-1)
  return tf.nn.softmax(query * key) * value


class Unpacked(tf.keras.Model):
  """The same with three layers."""

  def __init__(self):
    super().__init__(name='unpacked')
    self.parts = [
      tf.keras.layers.Dense(4, use_bias=False, name=name)
      for name in ('query', 'key', 'value')
    ]

  def call(self, x):
    query, key, value = (part(x) for part in self.parts)
    return tf.nn.softmax(query * key) * value


def _unpacked_names(name):
  del name
  return tuple(
    'unpacked/%s/kernel' % part for part in ('query', 'key', 'value')
  )


def _unpack(order):
  def convert(tf1_name, value, tf2_name):
    del tf1_name
    return np.split(value, 3, axis=1)[order.index(tf2_name.split('/')[1])]

  return convert


_SIAMESE = dict(make_inputs=_pairs_of_images, build_tf1=siamese)
_TIED = dict(make_inputs=_ids, build_tf1=tied)
_REGRESSION = dict(make_inputs=pair.numbers(4, 5), build_tf1=regression)
_PACKED = dict(
  make_inputs=pair.numbers(4, 5),
  build_tf1=packed,
  build_tf2=Unpacked,
  rename_variable=_unpacked_names,
  weights='fixed',
)

PAIRS = (
  pair.clean(
    'shared_towers_behind_shim', **_SIAMESE, build_tf2=pair.shim(siamese)
  ),
  pair.clean(
    'shared_towers_as_one_layer',
    **_SIAMESE,
    build_tf2=Siamese,
    rename_variable=_siamese_name,
  ),
  pair.clean('tied_embedding', **_TIED, build_tf2=Tied),
  pair.clean(
    'square_kernel_turned',
    **_TIED,
    build_tf2=lambda: Tied(turned=True),
    convert_variable=_turn,
    weights='fixed',
  ),
  pair.clean('regression', **_REGRESSION, build_tf2=Regression),
  pair.clean(
    'one_kernel_becomes_three',
    **_PACKED,
    convert_variable=_unpack(['query', 'key', 'value']),
  ),
  pair.faulty(
    'tf_variable_per_call',
    pair.NEW_VARIABLES,
    '1 variable(s) created after the first call',
    "'kernel'",
    'variables.py:',
    'tf.Variable',
    culprit="'kernel' float32[2x5], by tf.Variable",
    **_REGRESSION,
    build_tf2=VariablePerCall,
  ),
  pair.faulty(
    'keras_layer_per_call',
    pair.NEW_VARIABLES,
    'by Keras layer of fc (Dense)',
    'created in the call',
    culprit='by Keras layer of fc (Dense)',
    **_SIAMESE,
    build_tf2=SiamesePerCall,
  ),
  pair.faulty(
    'unnamed_layer_behind_shim',
    pair.NEW_VARIABLES,
    "'dense_1/kernel'",
    'variable_scope',
    culprit="'dense_1/kernel'",
    make_inputs=pair.numbers(4, 5),
    build_tf1=lambda x, training: v1.layers.dense(x, 3),
    # FAULT: unnamed_layer_behind_shim
    build_tf2=pair.shim(lambda x, training: v1.layers.dense(x, 3)),
  ),
  pair.faulty(
    'shim_forgotten',
    pair.NEW_VARIABLES,
    'track_tf1_style_variables',
    culprit="'tower/fc/kernel' float32[5x4], by get_variable",
    **_SIAMESE,
    build_tf2=Undecorated,
  ),
  pair.faulty(
    'towers_no_longer_shared',
    pair.VARIABLES,
    '2 extra in TF2',
    'siamese/fc_right/kernel  float32[5,4]',
    culprit='siamese/fc_right/kernel',
    **_SIAMESE,
    build_tf2=lambda: Siamese(shared=False),
    rename_variable=_siamese_name,
  ),
  pair.faulty(
    'towers_shared_by_mistake',
    pair.VARIABLES,
    '2 missing in TF2',
    'other/fc/kernel  float32[5,4]',
    culprit='other/fc/kernel',
    make_inputs=_pairs_of_images,
    build_tf1=functools.partial(siamese, shared=False),
    build_tf2=Siamese,
    rename_variable=_siamese_name,
  ),
  pair.faulty(
    'another_scope',
    pair.VARIABLES,
    '2 missing in TF2, 2 extra in TF2',
    "return 'model/' + tf1_name",
    'rename_variable',
    culprit='model/tower/fc/kernel',
    **_SIAMESE,
    build_tf2=pair.shim(functools.partial(siamese, scope='model/tower')),
  ),
  pair.faulty(
    'embedding_untied',
    pair.VARIABLES,
    '1 extra in TF2',
    'lm/output  float32[11,6]',
    'variables.py:',
    culprit='lm/output',
    **_TIED,
    build_tf2=lambda: Tied(untied=True),
  ),
  pair.faulty(
    'embedding_frozen',
    pair.VARIABLES,
    '1 with another trainable flag',
    'lm/table: TF1 trainable=True, TF2 trainable=False',
    culprit='lm/table: TF1 trainable=True',
    **_TIED,
    build_tf2=lambda: Tied(frozen=True),
  ),
  pair.faulty(
    'pretrained_embedding_no_longer_frozen',
    pair.VARIABLES,
    'lm/table: TF1 trainable=False, TF2 trainable=True',
    culprit='lm/table: TF1 trainable=False',
    make_inputs=_ids,
    build_tf1=functools.partial(tied, trainable=False),
    build_tf2=Tied,
  ),
  pair.faulty(
    'variable_left_untracked',
    pair.VARIABLES,
    'created by TF2, but not among the variables of the model',
    'lm/weights  float32[6,6]',
    'attribute of the model',
    culprit='lm/weights',
    **_TIED,
    build_tf2=lambda: Tied(hidden=True),
  ),
  pair.faulty(
    'square_kernel_not_turned',
    pair.FORWARD,
    'Outputs differ',
    culprit='only TF2 Tensordot/transpose',
    **_TIED,
    build_tf2=lambda: Tied(turned=True),
    weights='fixed',
  ),
  pair.faulty(
    'kernel_transposed',
    pair.VARIABLES,
    'kernel: TF1 [2, 5], TF2 [5, 2]  (transposed)',
    'convert_variable',
    culprit='kernel: TF1 [2, 5], TF2 [5, 2]',
    **_REGRESSION,
    build_tf2=lambda: Regression(shape=(5, 2)),
  ),
  pair.faulty(
    'counter_of_another_dtype',
    pair.VARIABLES,
    'age: TF1 int64, TF2 int32',
    culprit='age: TF1 int64, TF2 int32',
    **_REGRESSION,
    build_tf2=lambda: Regression(age_dtype=tf.int32),
  ),
  pair.faulty(
    'bias_forgotten',
    pair.VARIABLES,
    '1 missing in TF2',
    'bias  float32[2]',
    culprit='bias  float32[2]',
    **_REGRESSION,
    build_tf2=lambda: Regression(bias=False),
  ),
  pair.faulty(
    'query_key_value_in_another_order',
    pair.FORWARD,
    'Outputs differ',
    culprit='only TF1 split (Split)',
    **_PACKED,
    convert_variable=_unpack(['value', 'query', 'key']),
  ),
)
