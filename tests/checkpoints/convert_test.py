"""Checkpoints of TF1: compared, converted, and trained on from there."""

import glob
import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1

_KERAS = {
  'tf_keras': (tf.keras, tf.keras.optimizers),
  'legacy': (tf.keras, tf.keras.optimizers.legacy),
  'keras_3': (keras, keras.optimizers),
}
_STEPS = 3


def new_folder(test):
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return folder.name


def batch(step):
  return np.random.default_rng(step).normal(size=(6, 6, 6, 2)).astype('f')


def legacy_net(x, training, momentum=0.9):
  with v1.variable_scope('net'):
    net = v1.layers.conv2d(x, 4, 3, use_bias=False, name='conv')
    net = v1.layers.batch_normalization(
      net, training=training, momentum=momentum, name='norm'
    )
    net = v1.layers.flatten(tf.nn.relu(net))
    return v1.layers.dense(net, 3, name='out')


def native_net(k, activation=None):
  net = inputs = k.Input((6, 6, 2))
  for layer in (
    k.layers.Conv2D(4, 3, use_bias=False, name='conv'),
    k.layers.BatchNormalization(momentum=0.9, name='norm'),
    (activation or k.layers.ReLU)(),
    k.layers.Flatten(),
    k.layers.Dense(3, name='out'),
  ):
    net = layer(net)
  return k.Model(inputs, net)


def renamed(tf1_name):
  return tf1_name.replace('net/', '')


def adam():
  return v1.train.AdamOptimizer(0.01)


def momentum():
  return v1.train.MomentumOptimizer(0.1, 0.9)


class Trainer:
  """A TF1 program that trains, saves, and goes on."""

  def __init__(self, optimizer=adam, average=False):
    self.graph = tf.Graph()
    with self.graph.as_default():
      self.x = v1.placeholder(tf.float32, [6, 6, 6, 2])
      loss = tf.reduce_mean(tf.square(legacy_net(self.x, True)))
      updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
      with tf.control_dependencies(updates):
        self.train = optimizer().minimize(
          loss, v1.train.get_or_create_global_step()
        )
      if average:
        with tf.control_dependencies([self.train]):
          self.train = tf.train.ExponentialMovingAverage(0.5).apply(
            v1.trainable_variables()
          )
      self.model = [
        v for v in v1.global_variables('net') if v.op.name.count('/') == 2
      ]
      v1.set_random_seed(1)
      self.session = v1.Session(graph=self.graph)
      self.session.run(v1.global_variables_initializer())

  def steps(self, first, count):
    for step in range(first, first + count):
      self.session.run(self.train, {self.x: batch(step)})
    return {
      renamed(v.op.name): value
      for v, value in zip(self.model, self.session.run(self.model), strict=True)
    }

  def save(self, folder, **arguments):
    with self.graph.as_default():
      saver = v1.train.Saver(**arguments)
      return saver.save(self.session, os.path.join(folder, 'model.ckpt'), 3)


def train_tf2(model, optimizer, first, count):
  for step in range(first, first + count):
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(tf.square(model(batch(step), training=True)))
    variables = model.trainable_variables
    backends = [getattr(v, 'value', v) for v in variables]
    if not isinstance(backends[0], tf.Variable):
      backends = variables
    gradients = tape.gradient(loss, backends)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
  return {
    '/'.join((getattr(v, 'path', v.name)).split(':')[0].split('/')[-2:]): (
      np.array(v.numpy())
    )
    for v in model.weights
  }


class NetTest(tf_equiv.MigrationTestCase):
  """The assertion on a native rewrite."""

  momentum = 0.9
  build_model = staticmethod(native_net)

  def make_inputs(self):
    return batch(0)

  def build_tf1(self, inputs, training):
    return legacy_net(inputs, training)

  def build_tf2(self):
    return self.build_model(tf.keras)

  def rename_variable(self, tf1_name):
    return renamed(tf1_name)

  def fails(self, path, *patterns):
    with self.assertRaises(AssertionError) as caught:
      self.assertCheckpointEquivalent(path)
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)

  def refuses(self, path, pattern):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      self.assertCheckpointEquivalent(path)

  def saved(self, **arguments):
    trainer = Trainer()
    trainer.steps(0, 2)
    return trainer.save(new_folder(self), **arguments)

  def test_clean(self):
    for arguments in (
      {},
      {'sharded': True},
      {'write_version': v1.train.SaverDef.V1},
    ):
      with self.subTest(arguments):
        path = self.saved(**arguments)
        verdict = self.assertCheckpointEquivalent(path)
        self.assertEqual(verdict.compared['variables restored'], 7)
        self.assertIn('10 optimizer slots', str(verdict))
    self.assertCheckpointEquivalent(os.path.dirname(path))
    self.assertCheckpointEquivalent(path, training=True)

  def test_missing_unused_and_shape(self):
    path = self.saved()
    self.build_tf1 = lambda inputs, training: v1.layers.dense(
      legacy_net(inputs, training), 2, name='head'
    )
    self.fails(
      path,
      r"^Checkpoint '.*model.ckpt-3' does not fit the TF1 model: 2 missing",
      r'missing from the checkpoint:\n    head/bias  float32\[2\]',
      'Next: build_tf1 must give the variables the names',
    )

    def narrow(inputs, training):
      with v1.variable_scope('net'):
        return v1.layers.dense(v1.layers.flatten(inputs), 5, name='out')

    self.build_tf1 = narrow
    self.fails(
      path,
      '2 of another shape, 5 unused',
      r'net/out/bias: model \[5\], checkpoint \[3\]',
      r'unused in the checkpoint:\n    net/conv/kernel  float32\[3, 3, 2, 4\]',
    )

  def test_ignored_entries(self):
    path = self.saved()

    def without_batch_norm(inputs, training):
      with v1.variable_scope('net'):
        net = v1.layers.conv2d(inputs, 4, 3, use_bias=False, name='conv')
        return v1.layers.dense(
          v1.layers.flatten(tf.nn.relu(net)), 3, name='out'
        )

    self.build_tf1 = without_batch_norm
    self.build_model = lambda k: k.Sequential(
      [
        k.layers.Input((6, 6, 2)),
        k.layers.Conv2D(4, 3, use_bias=False, name='conv'),
        k.layers.ReLU(),
        k.layers.Flatten(),
        k.layers.Dense(3, name='out'),
      ]
    )
    self.fails(path, '4 unused')
    self.ignored_variables = ('net/norm/',)
    self.assertCheckpointEquivalent(path)

  def test_another_model(self):
    path = self.saved()

    self.build_model = lambda k: native_net(k, k.layers.ELU)
    self.fails(path, '^Outputs differ: 1 of 1')

  def test_untracked_variable(self):
    path = self.saved()

    class Hidden:
      """Keeps its model where no checkpoint looks."""

      def __init__(self, model):
        self.model = model

    class Net(tf.Module):
      def __init__(self):
        super().__init__()
        self.hidden = Hidden(native_net(tf.keras))
        self.out = self.hidden.model.layers[-1]

      @property
      def variables(self):
        return self.hidden.model.variables

      @property
      def trainable_variables(self):
        return self.hidden.model.trainable_variables

      def __call__(self, x, training=None):
        return self.hidden.model(x, training=training)

    self.build_tf2 = Net
    self.fails(
      path,
      '^tf.train.Checkpoint does not save 5 of the 7 variables .*first conv/',
      'Next: Assign the variable, or the layer or module',
    )

  def test_files(self):
    path = self.saved()
    folder = os.path.dirname(path)
    self.refuses(
      os.path.join(folder, 'modle'), "There is no checkpoint.*model.ckpt-3'?"
    )
    self.refuses(
      os.path.join(folder, 'no', 'model'), 'its folder does not exist'
    )
    self.refuses(3.5, 'is a string or a path object .* got 3.5')
    other = os.path.join(folder, 'other')
    tf.train.Checkpoint(model=native_net(tf.keras)).write(other)
    self.refuses(other, 'is an object-based checkpoint')
    weights = os.path.join(folder, 'model.h5')
    with open(weights, 'wb') as file:
      file.write(b'\x89HDF\r\n')
    self.refuses(weights, 'is an HDF5 file')
    noise = os.path.join(folder, 'noise')
    with open(noise, 'wb') as file:
      file.write(b'no checkpoint' * 100)
    self.refuses(noise, 'is damaged or incomplete, or no checkpoint at all')
    (data,) = glob.glob(path + '.data-*')
    with open(data, 'r+b') as file:
      file.truncate(os.path.getsize(data) // 2)
    self.refuses(
      path, "damaged or incomplete: the value of '.*' cannot be read"
    )
    os.remove(data)
    self.refuses(path, 'an index, but no file .model.ckpt-3.data-00000')


class ConvertTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = new_folder(self)
    self.output = os.path.join(self.folder, 'tf2', 'model')
    os.mkdir(os.path.dirname(self.output))

  def convert(self, path, model, optimizer=None, **arguments):
    return tf_equiv.convert_checkpoint(
      path,
      model,
      optimizer,
      output=self.output,
      rename_variable=renamed,
      **arguments,
    )

  def written(self):
    return sorted(os.listdir(os.path.dirname(self.output)))

  def optimizer_of(self, kind, k):
    if kind == 'adam':
      return k.Adam(0.01, epsilon=1e-8)
    return k.SGD(0.1, momentum=0.9)

  @parameterized.product(
    name=tuple(_KERAS), kind=('adam', 'momentum'), with_slots=(True, False)
  )
  def test_training_goes_on(self, name, kind, with_slots):
    k, optimizers = _KERAS[name]
    trainer = Trainer({'adam': adam, 'momentum': momentum}[kind])
    before = trainer.steps(0, _STEPS)
    path = trainer.save(self.folder)
    done = self.convert(
      path,
      native_net(k),
      self.optimizer_of(kind, optimizers) if with_slots else None,
    )
    self.assertEqual(done.step, 3)
    self.assertEqual(done.variables, 7)
    slots = {'adam': 10, 'momentum': 5}[kind]
    self.assertEqual(done.slots, slots if with_slots else 0)
    # As another process would restore it.
    model, optimizer = native_net(k), self.optimizer_of(kind, optimizers)
    objects = {'optimizer': optimizer} if with_slots else {}
    if name == 'legacy':
      optimizer._create_all_weights(model.trainable_variables)
    else:
      optimizer.build(model.trainable_variables)
    tf.train.Checkpoint(model=model, **objects).read(
      self.output
    ).expect_partial()
    expected = trainer.steps(_STEPS, _STEPS)
    found = train_tf2(model, optimizer, _STEPS, _STEPS)
    self.assertCountEqual(found, expected)
    far = [
      name
      for name, value in expected.items()
      # Keras 3 keeps the biased variance, the fused op the unbiased one.
      if (k is not keras or 'variance' not in name)
      and np.max(np.abs(found[name] - value))
      > 1e-3 * np.max(np.abs(value - before[name]))
    ]
    if with_slots:
      self.assertEmpty(far)
    else:
      self.assertNotEmpty(far)

  def test_moving_averages(self):
    trainer = Trainer(average=True)
    trainer.steps(0, 3)
    path = trainer.save(self.folder)
    reader = tf.train.load_checkpoint(path)
    for moving_averages in (False, True):
      model = native_net(tf.keras)
      self.convert(path, model, moving_averages=moving_averages, overwrite=True)
      suffix = '/ExponentialMovingAverage' if moving_averages else ''
      np.testing.assert_array_equal(
        model.layers[-1].kernel.numpy(),
        reader.get_tensor('net/out/kernel' + suffix),
      )

  def test_existing_output(self):
    path = Trainer().save(self.folder)
    self.convert(path, native_net(tf.keras))
    files = self.written()
    self.assertEqual(files, ['model.data-00000-of-00001', 'model.index'])
    with self.assertRaisesRegex(tf_equiv.UsageError, 'overwrite=True'):
      self.convert(path, native_net(tf.keras))
    self.convert(path, native_net(tf.keras), overwrite=True)
    self.assertEqual(self.written(), files)

  def test_nothing_is_left_behind(self):
    path = Trainer().save(self.folder)
    model = native_net(tf.keras)
    before = [w.copy() for w in model.get_weights()]
    lost = tf.Variable([1.0, 2.0, 3.0], name='lost')

    class Net(tf.Module):
      def __init__(self):
        super().__init__()
        self.model = model

      @property
      def variables(self):
        kept = [v for v in model.variables if v.name != 'out/bias:0']
        return [*kept, lost]

    def rename(name):
      return 'lost' if name == 'net/out/bias' else renamed(name)

    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      'Checkpoint does not save 1 of the 7 variables of the model: lost',
    ):
      tf_equiv.convert_checkpoint(
        path, Net(), output=self.output, rename_variable=rename
      )
    self.assertEmpty(self.written())
    np.testing.assert_array_equal(lost, [1.0, 2.0, 3.0])
    for old, new in zip(before, model.get_weights(), strict=True):
      np.testing.assert_array_equal(old, new)

  def test_what_does_not_fit(self):
    path = Trainer().save(self.folder)
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'(?s)does not fit the model. Variables differ: 7 missing in TF2, 7 extra'
      r'.*def rename_variable',
    ):
      tf_equiv.convert_checkpoint(
        path, native_net(tf.keras), output=self.output
      )
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      "are not those of SGD: it holds 'Adam', expected 'Momentum'",
    ):
      self.convert(
        path, native_net(tf.keras), tf.keras.optimizers.SGD(0.1, 0.9)
      )
    with self.assertRaisesRegex(tf_equiv.UsageError, 'has no variables yet'):
      self.convert(path, tf.keras.Sequential([tf.keras.layers.Dense(3)]))
    with self.assertRaisesRegex(tf_equiv.UsageError, 'There is no folder'):
      tf_equiv.convert_checkpoint(
        path, native_net(tf.keras), output=self.folder + '/no/model'
      )
    self.assertEmpty(self.written())


if __name__ == '__main__':
  absltest.main()
