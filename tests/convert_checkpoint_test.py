"""`convert_checkpoint`: training goes on as in TF1, and what is refused."""

import os
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
import tf_keras
from absl.testing import absltest, parameterized

from tests import checkpoint_test_helper as helper

v1 = tf.compat.v1
V1 = v1.train.SaverDef.V1
legacy = tf_keras.optimizers.legacy
schedules = tf_keras.optimizers.schedules


def names_of_keras3(tf1_name):
  return helper.keras3_name(tf1_name)


def built(make):
  model = make()
  model(helper.BATCHES[0])
  return model


def build(optimizer, variables):
  if isinstance(optimizer, legacy.Optimizer):
    optimizer._create_all_weights(variables)
  else:
    optimizer.build(variables)


def train(model, optimizer, first, steps):
  """Trains on; returns the values after each step, in the model's order."""
  later = []
  for i in range(first, first + steps):
    with tf.GradientTape() as tape:
      loss = helper.loss_of(model(helper.BATCHES[i], training=True))
    variables = model.trainable_variables
    backends = [v if isinstance(v, tf.Variable) else v.value for v in variables]
    gradients = tape.gradient(loss, backends)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    later.append([np.array(v.numpy()) for v in model.trainable_variables])
  return later


def largest_difference(first, second):
  pairs = zip(first, second, strict=True)
  return max(float(np.abs(a - b).max()) for a, b in pairs)


class LegacySigned(v1.train.Optimizer):
  """Momentum in variables that `get_slot` does not know."""

  def __init__(self):
    super().__init__(False, 'LegacySigned')

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    assigned = [global_step.assign_add(1)]
    for gradient, variable in grads_and_vars:
      mean, unused = (
        v1.get_variable(
          f'{variable.op.name}/{slot}',
          variable.shape,
          initializer=v1.zeros_initializer(),
          trainable=False,
        )
        for slot in ('trust_m', 'trust_n')
      )
      new = 0.5 * mean + gradient
      assigned += [
        mean.assign(new),
        unused.assign(new),
        variable.assign_sub(0.01 * new),
      ]
    return tf.group(*assigned)


class Signed(tf_keras.optimizers.Optimizer):
  """The same in TF2."""

  def __init__(self):
    super().__init__('Signed')
    self._learning_rate = self._build_learning_rate(0.01)

  def build(self, var_list):
    super().build(var_list)
    if not hasattr(self, 'trusts'):
      self.trusts = [
        self.add_variable_from_reference(v, 'trust') for v in var_list
      ]

  def update_step(self, gradient, variable):
    mean = self.trusts[self._index_dict[self._var_key(variable)]]
    mean.assign(0.5 * mean + gradient)
    variable.assign_sub(0.01 * mean)


# (TF1 optimizer, its counterparts by kind of Keras)
def adam(epsilon=1e-3):
  return (
    lambda: v1.train.AdamOptimizer(0.01, epsilon=epsilon),
    lambda k: k.Adam(0.01, epsilon=epsilon),
  )


def momentum(nesterov=False):
  return (
    lambda: v1.train.MomentumOptimizer(0.05, 0.9, use_nesterov=nesterov),
    lambda k: k.SGD(0.05, momentum=0.9, nesterov=nesterov),
  )


def rmsprop(centered):
  return (
    lambda: v1.train.RMSPropOptimizer(
      0.005, 0.9, 0.5, epsilon=1e-3, centered=centered
    ),
    lambda k: k.RMSprop(
      0.005, 0.9, momentum=0.5, epsilon=1e-3, centered=centered
    ),
  )


def adagrad():
  return (
    lambda: v1.train.AdagradOptimizer(0.05, 0.1),
    lambda k: k.Adagrad(0.05, 0.1, epsilon=0.0),
  )


def adadelta():
  return (
    lambda: v1.train.AdadeltaOptimizer(1.0, 0.95, 1e-3),
    lambda k: k.Adadelta(1.0, 0.95, 1e-3),
  )


def ftrl():
  return (
    lambda: v1.train.FtrlOptimizer(0.05, l2_regularization_strength=0.01),
    lambda k: k.Ftrl(0.05, l2_regularization_strength=0.01),
  )


PAIRS = (
  adam(),
  momentum(),
  momentum(nesterov=True),
  rmsprop(False),
  rmsprop(True),
  adagrad(),
  adadelta(),
  ftrl(),
)
# Of the largest change: weights of one that change by a hundredth are only
# exact to this, and Adam divides by small numbers.
CLOSE = 2e-5
KINDS = {
  'tf_keras': (helper.native, tf_keras.optimizers, None),
  'legacy': (helper.native, legacy, None),
  'keras_3': (helper.Keras3, keras.optimizers, names_of_keras3),
}


class ConvertTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = os.path.join(folder.name, 'model.ckpt-3')
    self.folder = os.path.join(folder.name, 'tf2')
    os.mkdir(self.folder)
    self.output = os.path.join(self.folder, 'model')

  def save(self, optimizer=None, **arguments):
    optimizer = optimizer or adam()[0]
    return helper.save(self.path, optimizer=optimizer, **arguments)[1]

  def convert(self, model=None, optimizer=None, **arguments):
    arguments.setdefault('output', self.output)
    model = built(helper.native) if model is None else model
    return tf_equiv.convert_checkpoint(self.path, model, optimizer, **arguments)

  def refused(self, pattern, model=None, optimizer=None, **arguments):
    """Checks the error, and that files and variables are as before."""
    model = built(helper.native) if model is None else model
    before = helper.files_in(os.path.dirname(self.path))
    variables = list(getattr(model, 'variables', ()))
    values = [np.array(v.numpy()) for v in variables]
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern) as caught:
      self.convert(model, optimizer, **arguments)
    self.assertEqual(helper.files_in(os.path.dirname(self.path)), before)
    for variable, value in zip(variables, values, strict=True):
      np.testing.assert_array_equal(variable.numpy(), value)
    return str(caught.exception)


class TrainingGoesOnTest(ConvertTest):
  def restored(self, kind, optimizer):
    """A model and an optimizer as another process would restore them."""
    model = built(KINDS[kind][0])
    build(optimizer, model.trainable_variables)
    status = tf.train.Checkpoint(model=model, optimizer=optimizer).restore(
      self.output
    )
    status.assert_existing_objects_matched()
    status.assert_consumed()
    return model

  def assertGoesOn(self, kind, make_optimizer, later, with_slots=True):
    make, package, rename = KINDS[kind]
    optimizer = make_optimizer(package)
    done = self.convert(built(make), optimizer, rename_variable=rename)
    optimizer = make_optimizer(package)
    model = self.restored(kind, optimizer)
    if not with_slots:
      optimizer = make_optimizer(package)
      build(optimizer, model.trainable_variables)
    names = [
      'net/%s' % '/'.join(n.split('/')[-2:])
      for n in (getattr(v, 'path', v.name) for v in model.trainable_variables)
    ]
    names = [n.split(':')[0] for n in names]
    short = {'net/c/': 'net/conv/', 'net/n/': 'net/bn/', 'net/d/': 'net/dense/'}
    for a, b in short.items():
      names = [n.replace(a, b) for n in names]
    start = [np.array(v.numpy()) for v in model.trainable_variables]
    far = 0.0
    for found, expected in zip(
      train(model, optimizer, 3, len(later)), later, strict=True
    ):
      expected = [expected[name] for name in names]
      # The bias before the normalization only moves by rounding.
      change = largest_difference(expected, start)
      far = max(far, largest_difference(expected, found) / change)
    return done, far

  @parameterized.product(kind=tuple(KINDS), pair=PAIRS)
  def test_three_steps_are_as_in_tf1(self, kind, pair):
    later = self.save(pair[0], then=3)
    done, far = self.assertGoesOn(kind, pair[1], later)
    self.assertEqual(done.step, 3)
    self.assertEqual(done.variables, 8)
    self.assertGreaterEqual(done.slots, 6)
    self.assertEmpty(done.unused)
    self.assertLess(far, CLOSE)

  @parameterized.product(kind=tuple(KINDS), pair=PAIRS)
  def test_without_the_slots_they_are_not(self, kind, pair):
    later = self.save(pair[0], then=3)
    _, far = self.assertGoesOn(kind, pair[1], later, with_slots=False)
    self.assertGreater(far, 0.1)

  @parameterized.parameters(
    {'write_version': V1},
    {'sharded': True, 'shards': 3},
    {'write_version': V1, 'sharded': True, 'shards': 3},
  )
  def test_formats(self, **saver):
    later = self.save(then=3, **saver)
    _, far = self.assertGoesOn('tf_keras', adam()[1], later)
    self.assertLess(far, CLOSE)

  @parameterized.parameters('tf_keras', 'legacy')
  def test_momentum_takes_the_rate_of_the_next_update(self, kind):
    def tf1():
      rate = v1.train.piecewise_constant(
        v1.train.get_global_step(), [1], [0.1, 0.02]
      )
      return v1.train.MomentumOptimizer(rate, 0.9)

    def tf2(package):
      return package.SGD(
        schedules.PiecewiseConstantDecay([1], [0.1, 0.02]), 0.9
      )

    later = self.save(tf1, then=3)
    _, far = self.assertGoesOn(kind, tf2, later)
    self.assertLess(far, CLOSE)

  def test_optimizer_with_a_name_of_its_own(self):
    def tf1():
      return v1.train.AdamOptimizer(0.01, epsilon=1e-3, name='Mine')

    later = self.save(tf1, then=3)
    optimizer = tf_keras.optimizers.Adam(0.01, epsilon=1e-3)
    text = self.refused("it holds 'Mine', expected 'Adam'", None, optimizer)
    self.assertIn('pass it as optimizer_name', text)
    convert = self.convert
    self.convert = lambda *args, **kwargs: convert(
      *args, optimizer_name='Mine', **kwargs
    )
    _, far = self.assertGoesOn('tf_keras', adam()[1], later)
    self.assertLess(far, CLOSE)

  def test_slots_of_renamed_transposed_and_shifted_variables(self):
    class Turned(tf.Module):
      def __init__(self):
        self.net = built(helper.native)
        self.net.layers[-1].trainable = False
        self.left = tf.Variable(tf.zeros((3, 32)), name='left')
        self.right = tf.Variable(tf.zeros((3, 32)), name='right')
        self.bias = tf.Variable(tf.zeros((3,)), name='shifted')

      @property
      def variables(self):
        dense = {id(v) for v in self.net.layers[-1].variables}
        kept = [v for v in self.net.variables if id(v) not in dense]
        return [*kept, self.left, self.right, self.bias]

      @property
      def trainable_variables(self):
        return [v for v in self.variables if 'moving' not in v.name]

      def __call__(self, x, training=False):
        for layer in self.net.layers[:-1]:
          x = layer(x, training=training)
        kernel = tf.concat([self.left, self.right], 1)
        return tf.matmul(x, kernel, transpose_b=True) + self.bias - 1.0

    def rename(name):
      return {
        'net/dense/kernel': ('left', 'right'),
        'net/dense/bias': 'shifted',
      }.get(name, name)

    def convert(name, value, tf2_name):
      parts = {'left': value[:32], 'right': value[32:]}
      if tf2_name in parts:
        return parts[tf2_name].T
      return value + 1.0 if tf2_name == 'shifted' else value

    later = self.save(adam()[0], then=3)
    model, optimizer = Turned(), adam()[1](tf_keras.optimizers)
    done = self.convert(
      model, optimizer, rename_variable=rename, convert_variable=convert
    )
    self.assertEqual((done.variables, done.slots), (9, 14))
    train(model, optimizer, 3, 3)
    kernel = np.concatenate([model.left, model.right], 1).T
    for found, name in (
      (kernel, 'net/dense/kernel'),
      (model.bias - 1.0, 'net/dense/bias'),
    ):
      np.testing.assert_allclose(found, later[-1][name], atol=2e-6)

    def scaled(name, value, tf2_name):
      return convert(name, value, tf2_name) * (1 if 'net' in tf2_name else 2)

    self.refused(
      'convert_variable scales the value of left, right, shifted',
      Turned(),
      adam()[1](tf_keras.optimizers),
      rename_variable=rename,
      convert_variable=scaled,
      overwrite=True,
    )

  def test_moving_averages_of_the_optimizer(self):
    self.save(averages=True)
    optimizer = tf_keras.optimizers.Adam(
      0.01, epsilon=1e-3, use_ema=True, ema_momentum=0.5
    )
    done = self.convert(None, optimizer)
    self.assertEqual(done.slots, 18)
    self.assertEmpty(done.unused)
    reader = tf.train.load_checkpoint(self.path)
    name = 'net/dense/bias/ExponentialMovingAverage'
    np.testing.assert_array_equal(
      optimizer._model_variables_moving_average[-1], reader.get_tensor(name)
    )


class CorrespondenceTest(ConvertTest):
  """Optimizers that do not correspond are refused, not half filled."""

  @parameterized.named_parameters(
    (
      'adam_to_rmsprop',
      adam()[0],
      lambda: tf_keras.optimizers.RMSprop(),
      "not those of RMSprop: it holds 'Adam', expected 'RMSProp'",
    ),
    # Two slots for each variable on both sides.
    (
      'rmsprop_to_adam',
      rmsprop(False)[0],
      lambda: keras.optimizers.Adam(),
      "not those of Adam: it holds 'RMSProp', expected 'Adam'",
    ),
    (
      'momentum_to_sgd',
      momentum()[0],
      lambda: tf_keras.optimizers.SGD(),
      "not those of SGD: it holds 'Momentum', expected none",
    ),
    (
      'sgd_to_momentum',
      lambda: v1.train.GradientDescentOptimizer(0.1),
      lambda: tf_keras.optimizers.SGD(momentum=0.9),
      "holds none, expected 'Momentum'",
    ),
    (
      'adamw',
      adam()[0],
      lambda: tf_keras.optimizers.AdamW(),
      'AdamW has no counterpart in tf.compat.v1.train',
    ),
    (
      'amsgrad',
      adam()[0],
      lambda: tf_keras.optimizers.Adam(epsilon=1e-3, amsgrad=True),
      'slots are .*largest second moment.*, those of TF1 first moment',
    ),
    (
      'centered',
      rmsprop(True)[0],
      lambda: tf_keras.optimizers.RMSprop(momentum=0.5),
      'was centered, RMSprop is not: give it centered=True',
    ),
    (
      'not_centered',
      rmsprop(False)[0],
      lambda: legacy.RMSprop(momentum=0.5, centered=True),
      'was not centered, RMSprop is: give it centered=False',
    ),
    (
      'beta',
      adam()[0],
      lambda: tf_keras.optimizers.Adam(beta_1=0.8),
      r'beta1_power is 0.6561, but Adam with beta_1=0.8 has 0.4096 after 3 ',
    ),
    ('no_optimizer', adam()[0], lambda: 'adam', 'argument optimizer returned'),
  )
  def test_refused(self, tf1, tf2, pattern):
    self.save(tf1)
    self.refused(pattern, None, tf2())

  def test_gradient_descent_only_counts(self):
    self.save(lambda: v1.train.GradientDescentOptimizer(0.1))
    optimizer = tf_keras.optimizers.SGD(0.1)
    done = self.convert(None, optimizer)
    self.assertEqual((done.slots, int(optimizer.iterations)), (0, 3))

  def test_rmsprop_without_momentum(self):
    self.save(lambda: v1.train.RMSPropOptimizer(0.01))
    done = self.convert(None, tf_keras.optimizers.RMSprop(0.01))
    self.assertEqual(done.slots, 6)

  def test_optimizer_built_for_other_variables(self):
    self.save()
    optimizer = tf_keras.optimizers.Adam(0.01, epsilon=1e-3)
    optimizer.build([tf.Variable([1.0])])
    self.refused('was built for other variables', None, optimizer)

  def test_frozen_in_tf1(self):
    def frozen(images, training):
      logits = helper.legacy(images, training)
      variables = v1.get_collection_ref(v1.GraphKeys.TRAINABLE_VARIABLES)
      variables[:] = [v for v in variables if 'conv' not in v.op.name]
      return logits

    self.save(build=frozen)
    done = self.convert(None, adam()[1](tf_keras.optimizers))
    self.assertEqual(done.slots, 8)
    self.assertEqual(done.fresh, ('net/conv/bias', 'net/conv/kernel'))
    self.assertIn('8 slots, step 3, 2 variables with fresh slots', str(done))

  def test_optimizer_of_ones_own(self):
    optimizer = Signed()
    later = self.save(LegacySigned, then=2)
    model = built(helper.native)
    renames = {'trust_m': 'trusts', 'trust_n': None}
    done = self.convert(model, optimizer, rename_slot=renames.get)
    self.assertEqual(done.slots, len(model.trainable_variables))
    self.assertEqual(done.step, 3)
    names = [v.name.split(':')[0] for v in model.trainable_variables]
    for found, expected in zip(
      train(model, optimizer, 3, 2), later, strict=True
    ):
      expected = [expected[name] for name in names]
      self.assertLess(largest_difference(found, expected), 1e-5)

  def test_slots_that_are_not_there(self):
    self.save(LegacySigned)
    for rename, pattern in (
      ({'trust_m': 'trust'}.get, "rename_slot names 'trust' of Signed"),
      (lambda name: None, 'rename_slot names no slot of Signed'),
    ):
      self.refused(pattern, None, Signed(), rename_slot=rename)
    self.refused('say by rename_slot which', None, Signed())

  def test_steps_that_are_not_updates(self):
    class Twice(v1.train.AdamOptimizer):
      """Counts each update twice, as alternating training does."""

      def apply_gradients(self, pairs, global_step=None, name=None):
        with tf.control_dependencies([super().apply_gradients(pairs)]):
          return v1.assign_add(global_step, 2).op

    self.save(lambda: Twice(0.01))
    optimizer = tf_keras.optimizers.Adam(0.01)
    text = self.refused('after 6 steps', None, optimizer)
    self.assertIn('then pass iterations=3', text)
    optimizer = tf_keras.optimizers.Adam(0.01)
    done = self.convert(None, optimizer, iterations=3)
    self.assertEqual((done.step, int(optimizer.iterations)), (6, 3))

  def test_no_global_step(self):
    class Uncounted(v1.train.AdamOptimizer):
      def apply_gradients(self, pairs, global_step=None, name=None):
        return super().apply_gradients(pairs)

    self.save(lambda: Uncounted(0.01))
    without = [
      v for v in tf.train.list_variables(self.path) if v[0] != 'global_step'
    ]
    reader = tf.train.load_checkpoint(self.path)
    values = {name: reader.get_tensor(name) for name, _ in without}
    tf.raw_ops.SaveV2(
      prefix=self.path,
      tensor_names=list(values),
      shape_and_slices=[''] * len(values),
      tensors=list(values.values()),
    )
    optimizer = tf_keras.optimizers.Adam(0.01)
    done = self.convert(None, optimizer)
    self.assertEqual((done.step, int(optimizer.iterations)), (None, 3))
    values = {n: x for n, x in values.items() if '_power' not in n}
    tf.raw_ops.SaveV2(
      prefix=self.path,
      tensor_names=list(values),
      shape_and_slices=[''] * len(values),
      tensors=list(values.values()),
    )
    self.refused(
      'neither a global step nor powers of beta.*iterations=',
      None,
      tf_keras.optimizers.Adam(0.01),
      output=self.output + '2',
    )


class ModelTest(ConvertTest):
  def test_summary(self):
    self.save(averages=True)
    done = self.convert()
    self.assertEqual(
      str(done),
      '%s: 8 variables, 0 slots, step 3, 18 entries not used' % self.output,
    )
    self.assertEqual(
      helper.files_in(self.folder), ['model.data-00000-of-00001', 'model.index']
    )

  def test_partitioned_and_text(self):
    def parts(images, training):
      with v1.variable_scope('net'):
        w = v1.get_variable(
          'w', (72, 3), partitioner=v1.fixed_size_partitioner(2)
        )
        v1.get_variable('text', initializer=tf.constant(['a', 'bc']))
        v1.get_variable('on', initializer=tf.constant([True, False]))
      return tf.matmul(v1.layers.flatten(images), tf.concat(list(w), 0))

    for saver in ({}, {'write_version': V1}):
      helper.save(self.path, parts, **saver)
      model = tf.Module()
      model.w = tf.Variable(tf.zeros((72, 3)), name='net/w')
      model.text = tf.Variable(['', ''], name='net/text')
      model.on = tf.Variable([False, False], name='net/on')
      self.convert(model, overwrite=True)
      self.assertGreater(np.abs(model.w).max(), 0)
      self.assertEqual(model.text.numpy().tolist(), [b'a', b'bc'])
      self.assertEqual(model.on.numpy().tolist(), [True, False])

  def test_variable_below_another_one(self):
    def gate(images, training):
      with v1.variable_scope('net'):
        a = v1.get_variable('a', (3,))
        b = v1.get_variable('a/b', (3,))
      return helper.legacy(images, training) * a + b

    helper.save(self.path, gate)
    model = helper.Shim(gate)
    model(helper.BATCHES[0])
    self.assertEqual(self.convert(model).variables, 10)

  def test_ignored_entries(self):
    self.save()
    model = tf.Module()
    model.b = tf.Variable(tf.zeros((3,)), name='net/dense/bias')
    self.refused('7 missing in TF2', model)
    done = self.convert(
      model, ignored_variables=('net/(conv|bn)/', 'dense/kernel$')
    )
    self.assertEqual(done.variables, 1)
    self.refused(
      "'nothing' of ignored_variables matches no",
      model,
      ignored_variables=('nothing', 'net/(conv|bn)/', 'dense/kernel$'),
      overwrite=True,
    )

  @parameterized.named_parameters(
    ('nothing', None, 'the model is a NoneType'),
    ('class', helper.Shim, 'the model is a type'),
    ('function', lambda x: x, 'the model is a function'),
    ('shim', helper.Shim(), 'has no variables yet. Call it once'),
    ('sequential', helper.native(), 'has no variables yet. Call it once'),
  )
  def test_unusable_models(self, model, pattern):
    self.save()
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      tf_equiv.convert_checkpoint(self.path, model, output=self.output)

  def test_list_of_keras_3_layers(self):
    class Listed(keras.Model):
      def __init__(self):
        super().__init__(name='k')
        model = helper.Keras3()
        self.all = [model.conv, model.norm, model.flat, model.dense]

      def call(self, x, training=False):
        for layer in self.all:
          x = layer(x)
        return x

    self.save()
    # The optimizer would reach them, for as long as it is there.
    for optimizer in (None, keras.optimizers.Adam()):
      self.refused(
        'does not save 8 of the 8 variables .*lists and dicts of layers',
        built(Listed),
        optimizer,
        rename_variable=names_of_keras3,
      )

  def test_compiled_model(self):
    self.save()
    model = built(helper.native)
    model.compile(adam()[1](tf_keras.optimizers), 'mse')
    self.assertEqual(self.convert(model, model.optimizer).slots, 12)
    self.assertEqual(self.convert(model, overwrite=True).slots, 0)

  def test_optimizer_behind_a_loss_scale(self):
    self.save()
    package = tf_keras.mixed_precision
    optimizer = package.LossScaleOptimizer(adam()[1](tf_keras.optimizers))
    done = self.convert(None, optimizer)
    self.assertEqual((done.slots, int(optimizer.iterations)), (12, 3))

  def test_half_precision_computes_with_float32_variables(self):
    self.save()
    tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
    self.addCleanup(tf_keras.mixed_precision.set_global_policy, 'float32')
    self.assertEqual(self.convert().variables, 8)

  def test_convert_variable_returns_nothing(self):
    self.save()
    self.refused(
      r'convert_variable\(.*\) returned None',
      convert_variable=lambda name, value, tf2_name: None,
    )

  def test_damaged_while_it_is_read(self):
    self.save()
    with open(self.path + '.data-00000-of-00001', 'r+b') as file:
      file.truncate(100)
    self.refused('damaged or incomplete: the value of')

  def test_after_disable_v2_behavior(self):
    self.save()
    model = built(helper.native)
    with tf.Graph().as_default():  # No eager execution here.
      self.assertEqual(self.convert(model).variables, 8)


class OutputTest(ConvertTest):
  def setUp(self):
    super().setUp()
    self.save()

  @parameterized.parameters(None, '', 3)
  def test_no_path(self, output):
    self.refused('output must be the prefix of the checkpoint', output=output)

  def test_folders(self):
    self.refused('There is no folder', output=self.folder + '/no/model')
    self.refused('is a folder; give the prefix', output=self.folder)
    self.refused('is a folder; give the prefix', output=self.folder + '/')

  def test_over_the_source(self):
    self.refused(
      'is the checkpoint of TF1 itself', output=self.path, overwrite=True
    )

  def test_overwrite(self):
    self.convert()
    self.refused('exists. Pass overwrite=True')
    os.remove(self.output + '.index')  # Half of one counts, too.
    self.refused('exists. Pass overwrite=True')
    stale = self.output + '.data-00001-of-00002'
    with open(stale, 'w') as file:
      file.write('of an older checkpoint')
    self.convert(overwrite=True)
    self.assertEqual(
      helper.files_in(self.folder), ['model.data-00000-of-00001', 'model.index']
    )

  def test_failure_in_the_middle_brings_the_old_one_back(self):
    self.convert()
    contents = self.contents()
    other = os.path.join(os.path.dirname(self.path), 'model')
    model = built(helper.native)
    values = model.get_weights()
    rename = tf.io.gfile.rename

    def failing(source, target, overwrite=False):
      # After the data, before the index.
      if target.endswith('/model.index') and '/old-' not in source:
        raise tf.errors.ResourceExhaustedError(None, None, 'disk full')
      return rename(source, target, overwrite)

    with mock.patch.object(tf.io.gfile, 'rename', failing):
      with self.assertRaisesRegex(tf_equiv.UsageError, 'written .disk full'):
        self.convert(model, overwrite=True)
      self.assertEqual(self.contents(), contents)
      with self.assertRaisesRegex(tf_equiv.UsageError, 'written .disk full'):
        self.convert(model, output=other)
    self.assertNotIn('model.index', os.listdir(os.path.dirname(other)))
    self.assertEqual(self.contents(), contents)
    for old, new in zip(values, model.get_weights(), strict=True):
      np.testing.assert_array_equal(old, new)

  def contents(self):
    found = {}
    for name in helper.files_in(self.folder):
      with open(os.path.join(self.folder, name), 'rb') as file:
        found[name] = file.read()
    return found

  def test_what_is_written_is_read_back(self):
    write = tf.train.Checkpoint.write

    def spoiling(checkpoint, prefix, options=None):
      path = write(checkpoint, prefix, options)
      model = checkpoint.model
      bias = [v for v in model.variables if v.shape == (3,)]
      kept = bias[0].numpy()
      bias[0].assign(kept + 1)
      write(checkpoint, prefix, options)
      bias[0].assign(kept)
      return path

    with mock.patch.object(tf.train.Checkpoint, 'write', spoiling):
      self.refused(r'1 variable\(s\) did not come back .*: net/dense/bias')

  def test_training_goes_on_in_the_same_process(self):
    # Nothing refers to the temporary files that it was read back from.
    model, optimizer = built(helper.native), adam()[1](tf_keras.optimizers)
    self.convert(model, optimizer)
    train(model, optimizer, 3, 1)
    tf.train.Checkpoint(model=model, optimizer=optimizer).save(self.output)


if __name__ == '__main__':
  absltest.main()
