"""Training steps: loops of the user's own, moving averages, and wrong use."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1


class Case(tf_equiv.MigrationTestCase):
  """A dense layer on an embedding, with the default training step."""

  def make_batch(self, step):
    rng = np.random.default_rng(step)
    return rng.integers(0, 6, size=(5,)).astype(np.int32)

  def make_inputs(self):
    return self.make_batch(0)

  def build_tf1(self, inputs, training):
    table = v1.get_variable('table', [6, 4])
    net = tf.nn.embedding_lookup(table, inputs)
    return v1.layers.dense(net, 3, tf.tanh, name='out')

  def build_tf2(self):
    return tf.keras.Sequential(
      [
        tf.keras.layers.Embedding(6, 4, name='embedding'),
        tf.keras.layers.Dense(3, 'tanh', name='out'),
      ]
    )

  def rename_variable(self, tf1_name):
    return tf1_name.replace('table', 'embedding/embeddings')

  def build_tf1_optimizer(self):
    return v1.train.GradientDescentOptimizer(0.1)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.SGD(0.1)


def case(**methods):
  found = Case()
  for name, method in methods.items():
    setattr(found, name, method)
  return found


class TrainingTest(parameterized.TestCase):
  def check(self, **methods):
    return case(**methods).assertTrainingEquivalent(steps=3, weights='fixed')

  def fails(self, *patterns, **methods):
    with self.assertRaises(AssertionError) as caught:
      self.check(**methods)
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)

  def refuses(self, pattern, **methods):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      self.check(**methods)

  def test_sparse_gradients(self):
    verdict = self.check()
    self.assertEqual(verdict.compared['gradients'], 9)
    self.assertEqual(verdict.compared['steps'], 3)

  def test_regularizer_of_get_variable(self):
    def build(x, training):
      table = v1.get_variable(
        'table', [6, 4], regularizer=lambda w: 0.3 * tf.nn.l2_loss(w)
      )
      return v1.layers.dense(
        tf.nn.embedding_lookup(table, x), 3, tf.tanh, name='out'
      )

    def migrated(factor):
      return tf.keras.Sequential(
        [
          tf.keras.layers.Embedding(
            6,
            4,
            embeddings_regularizer=tf.keras.regularizers.L2(factor),
            name='embedding',
          ),
          tf.keras.layers.Dense(3, 'tanh', name='out'),
        ]
      )

    verdict = self.check(build_tf1=build, build_tf2=lambda: migrated(0.15))
    # The loss and the sum, in three steps.
    self.assertEqual(verdict.compared['regularization losses'], 6)
    self.fails(
      '^Training diverges at step 1 of 3 in the regularization losses',
      'The factor of the regularizer is doubled',
      build_tf1=build,
      build_tf2=lambda: migrated(0.3),
    )

  def test_clipping(self):
    def clip(gradients):
      return tf.clip_by_global_norm(gradients, 0.01)[0]

    self.check(clip_gradients=clip)

    def optimizer():
      return tf.keras.optimizers.SGD(0.1, global_clipnorm=0.01)

    self.check(clip_gradients_tf1=clip, build_tf2_optimizer=optimizer)
    self.fails(
      '^Training diverges at step 1 of 3 in the gradients: 3 of 3',
      "TF2's change in this step is .* times that of TF1",
      'clipping',
      clip_gradients_tf1=clip,
    )
    self.fails(
      '^Training diverges at step 1 of 3 in the gradients',
      clip_gradients_tf1=clip,
      build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(0.1, clipnorm=0.01),
    )
    self.refuses(
      'clip_gradients returned 2 items on the TF1 side; expected a list of '
      'the 3 gradients',
      clip_gradients=lambda g: tf.clip_by_global_norm(g, 1.0),
    )

  def test_moving_average(self):
    def train_tf1(inputs):
      loss = tf.reduce_mean(tf.square(Case().build_tf1(inputs, True)))
      train = v1.train.GradientDescentOptimizer(0.1).minimize(loss)
      with tf.control_dependencies([train]):
        average = tf.train.ExponentialMovingAverage(0.9).apply(
          v1.trainable_variables()
        )
      return {'loss': loss, 'train': average}

    def with_decay(decay):
      found = case(train_tf1=train_tf1)

      def build():
        found.average = tf.train.ExponentialMovingAverage(decay)
        return Case().build_tf2()

      def optimizer():
        found.optimizer = tf.keras.optimizers.SGD(0.1)
        return found.optimizer

      def train_tf2(model, inputs):
        with tf.GradientTape() as tape:
          loss = tf.reduce_mean(tf.square(model(inputs)))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        found.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        found.average.apply(variables)
        return {'loss': loss}

      found.build_tf2, found.build_tf2_optimizer = build, optimizer
      found.train_tf2 = train_tf2
      return found

    verdict = with_decay(0.9).assertTrainingEquivalent(steps=3, weights='fixed')
    self.assertEqual(verdict.compared['slots (moving average)'], 9)
    with self.assertRaisesRegex(
      AssertionError,
      r'^Training diverges at step 1 of 3 in the slots \(moving average\): '
      '3 of 3',
    ):
      with_decay(0.99).assertTrainingEquivalent(steps=3, weights='fixed')

  def test_average_of_keras(self):
    self.fails(
      '^Optimizers differ: ema_momentum',
      'slots not compared: moving average .only in TF2',
      build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.9
      ),
    )

  def test_frozen_in_tf2(self):
    def frozen():
      model = Case().build_tf2()
      model.layers[0].trainable = False
      return model

    self.fails(
      'embedding/embeddings: an optimizer of TF1 trains it, but none of TF2',
      build_tf2=frozen,
    )

  def test_nothing_changes(self):
    self.fails(
      '^No update was compared: no trainable variable changed in 3',
      'check the learning rate',
      build_tf1_optimizer=lambda: v1.train.GradientDescentOptimizer(0.0),
      build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(0.0),
    )

  def test_counted_twice(self):
    def train_tf1(inputs):
      loss = tf.reduce_mean(tf.square(Case().build_tf1(inputs, True)))
      step = v1.train.get_or_create_global_step()
      optimizer = v1.train.GradientDescentOptimizer(0.1)
      train = optimizer.minimize(loss, global_step=step)
      with tf.control_dependencies([train]):
        return {'loss': loss, 'train': v1.assign_add(step, 1).op}

    found = case(train_tf1=train_tf1)

    def optimizer():
      found.optimizer = tf.keras.optimizers.SGD(0.1)
      return found.optimizer

    def train_tf2(model, inputs):
      with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(inputs)))
      found.optimizer.minimize(loss, model.trainable_variables, tape=tape)
      return {'loss': loss}

    found.build_tf2_optimizer, found.train_tf2 = optimizer, train_tf2
    with self.assertRaisesRegex(
      AssertionError,
      '(?s)^Training diverges at step 1 of 3 in step counter of Gradient.*'
      'TF1 2, TF2 1.*Count each update once',
    ):
      found.assertTrainingEquivalent(steps=3, weights='fixed')

  def test_update_ops(self):
    def legacy(x, training):
      return v1.layers.batch_normalization(
        x, training=training, momentum=0.9, name='bn'
      )

    methods = {
      'make_batch': lambda step: (
        np.random.default_rng(step).normal(size=(6, 3)).astype('f')
      ),
      'build_tf1': legacy,
      'build_tf2': lambda: tf.keras.layers.BatchNormalization(
        momentum=0.9, name='bn'
      ),
      'rename_variable': lambda name: name,
    }
    self.check(**methods)
    self.fails(
      '^Training diverges at step 1 of 3 in the variables that are not '
      'trained: 2 of 2, first bn/moving_mean',
      'TF1 did not update it in this step',
      tf1_update_ops=False,
      **methods,
    )

  @parameterized.parameters(
    (
      {'build_tf1_optimizer': lambda: tf.keras.optimizers.SGD(0.1)},
      'build_tf1_optimizer returned .*; expected an optimizer of tf.compat.v1',
    ),
    (
      {'build_tf2_optimizer': lambda: tf.keras.optimizers.SGD},
      'build_tf2_optimizer returned the class SGD; return an object of it',
    ),
    (
      {'build_tf2_optimizer': lambda: 'sgd'},
      "build_tf2_optimizer returned 'sgd'; expected an optimizer",
    ),
    ({'build_tf2_optimizer': lambda: None}, 'returned None; expected one opt'),
    (
      {'make_batch': lambda step: np.zeros([step + 1], np.int32)},
      r'make_batch\(1\) is int32\[2\], but make_batch\(0\) gives int32\[1\]',
    ),
    (
      {'make_batch': lambda step: [np.zeros([1], np.int32)] * (step + 1)},
      r'make_batch\(1\) and make_batch\(0\) return different nests',
    ),
    ({'train_tf1': lambda inputs: {}}, 'defines train_tf1 only'),
    (
      {'compute_loss': lambda outputs, inputs: tf.constant(1.0)},
      'The loss on the TF1 side depends on no trainable variable',
    ),
  )
  def test_unusable(self, methods, pattern):
    self.refuses(pattern, **methods)

  def own_loop(self, train_tf1=None, train_tf2=None):
    def default_tf1(inputs):
      loss = tf.reduce_mean(tf.square(Case().build_tf1(inputs, True)))
      return {
        'loss': loss,
        'train': v1.train.GradientDescentOptimizer(0.1).minimize(loss),
      }

    return case(
      train_tf1=train_tf1 or default_tf1,
      train_tf2=train_tf2 or (lambda model, inputs: {'loss': model(inputs)}),
    )

  @parameterized.parameters(
    (lambda x: None, 'train_tf1 returned None; return a dict'),
    (lambda x: {'loss': 3.0}, r"train_tf1 returned a float at \['loss'\]"),
    (
      lambda x: {'loss': tf.reduce_sum(v1.get_variable('v', [3]))},
      'train_tf1 applied no gradients with an optimizer',
    ),
  )
  def test_own_loop_of_tf1(self, train_tf1, pattern):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      self.own_loop(train_tf1).assertTrainingEquivalent(steps=1)

  def test_train_op_that_is_not_returned(self):
    def train_tf1(inputs):
      loss = tf.reduce_mean(tf.square(Case().build_tf1(inputs, True)))
      v1.train.AdamOptimizer().minimize(loss)
      return {'loss': loss}

    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'applies the gradients of 3 variable\(s\), first table, with '
      r'AdamOptimizer, but nothing that it returns runs this',
    ):
      self.own_loop(train_tf1).assertTrainingEquivalent(steps=1)

  def test_optimizer_that_is_not_applied(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'step does not apply the SGD that build_tf2_opt'
    ):
      self.own_loop().assertTrainingEquivalent(steps=1, weights='fixed')

  def test_train_on_batch(self):
    found = self.own_loop()

    def optimizer():
      found.optimizer = tf.keras.optimizers.SGD(0.1)
      return found.optimizer

    def train_on_batch(run_eagerly):
      def train_tf2(model, inputs):
        if getattr(model, 'optimizer', None) is not found.optimizer:
          model.compile(found.optimizer, 'mse', run_eagerly=run_eagerly)
        target = np.zeros((5, 3), np.float32)
        return {'loss': model.train_on_batch(inputs, target)}

      return train_tf2

    found.build_tf2_optimizer = optimizer
    found.train_tf2 = train_on_batch(True)
    found.assertTrainingEquivalent(steps=2, weights='fixed')
    found.train_tf2 = train_on_batch(False)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'run_eagerly=True|does not apply the SGD'
    ):
      found.assertTrainingEquivalent(steps=2, weights='fixed')

  def test_several_losses(self):
    def losses(outputs, inputs):
      return {
        'squares': tf.reduce_mean(tf.square(outputs)),
        'sum': 1e-3 * tf.reduce_sum(outputs),
      }

    found = case(compute_loss=losses)
    verdict = found.assertGradientsClose()
    self.assertLen(verdict.comparisons['loss'], 3)
    found.compute_loss_tf2 = lambda outputs, inputs: {
      'squares': tf.reduce_mean(tf.square(outputs)),
      'sum': 2e-3 * tf.reduce_sum(outputs),
    }
    with self.assertRaisesRegex(AssertionError, r"loss\['sum'\]"):
      found.assertGradientsClose()

  def test_gradients_of_inputs(self):
    methods = {
      'make_inputs': lambda: np.ones((2, 3), np.float32),
      'build_tf1': lambda x, training: tf.square(x),
      'build_tf2': lambda: tf.square,
    }
    found = case(**methods)
    verdict = found.assertGradientsClose(inputs=True, allow_empty=True)
    self.assertLen(verdict.comparisons['gradients of inputs'], 1)
    found.build_tf2 = lambda: lambda x: x * tf.stop_gradient(x)
    with self.assertRaisesRegex(
      AssertionError, '^Gradients of the inputs differ: 1 of 1, first inputs'
    ):
      found.assertGradientsClose(inputs=True, allow_empty=True)


if __name__ == '__main__':
  absltest.main()
