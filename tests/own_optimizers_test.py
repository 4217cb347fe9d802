"""Training steps with optimizers of one's own, of both sides."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests import own_optimizers
from tests.own_optimizers import RATE, DecayedMoments, PlainMoments

v1 = tf.compat.v1


class ByHand(own_optimizers.Case):
  """The same step, written out on both sides."""

  def build_tf2_optimizer(self):
    self.optimizer = super().build_tf2_optimizer()
    return self.optimizer

  def train_tf1(self, inputs):
    loss = tf.reduce_mean(tf.square(self.build_tf1(inputs, True)))
    step = v1.train.get_or_create_global_step()
    optimizer = self.build_tf1_optimizer()
    pairs = optimizer.compute_gradients(loss)
    train = optimizer.apply_gradients(pairs, global_step=step)
    with tf.control_dependencies([train]):
      counted = step.assign(step + 1)
    return {'loss': loss, 'train': tf.group(train, counted)}

  def train_tf2(self, model, inputs):
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(tf.square(model(inputs)))
    variables = model.trainable_variables
    self.optimizer.apply_gradients(
      zip(tape.gradient(loss, variables), variables, strict=True)
    )
    return {'loss': loss}


def model_fn(features, labels, mode):
  outputs = own_optimizers.network(features)
  loss = tf.reduce_mean(tf.square(outputs - labels))
  step = v1.train.get_global_step()
  optimizer = DecayedMoments(RATE)
  train = optimizer.apply_gradients(
    optimizer.compute_gradients(loss), global_step=step
  )
  with tf.control_dependencies([train]):
    train = tf.group(step.assign_add(1))
  return tf.estimator.EstimatorSpec(
    mode, predictions=outputs, loss=loss, train_op=train
  )


class Estimated(own_optimizers.Case):
  tf1_reference = tf_equiv.from_model_fn(model_fn)

  def make_batch(self, step):
    return super().make_batch(step), np.ones((6, 2), np.float32)

  def call_tf2(self, model, inputs, training):
    return model(inputs[0])

  def compute_loss_tf2(self, outputs, inputs):
    return tf.reduce_mean(tf.square(outputs - inputs[1]))

  def clip_gradients(self, gradients):
    return gradients


def train(cls, steps=2, weights='fixed', **methods):
  case = cls()
  for name, method in methods.items():
    setattr(case, name, method)
  return case.assertTrainingEquivalent(steps=steps, weights=weights)


class OwnOptimizersTest(parameterized.TestCase):
  def fails(self, cls, **methods):
    with self.assertRaises(AssertionError) as caught:
      train(cls, **methods)
    return str(caught.exception)

  @parameterized.parameters(own_optimizers.Case, ByHand, Estimated)
  def test_correct(self, cls):
    verdict = train(cls)
    self.assertEqual(verdict.compared['gradients'], 12)
    self.assertEqual(verdict.compared['learning rate'], 2)
    self.assertEqual(verdict.compared['slots (firsts)'], 12)
    self.assertEqual(verdict.compared['slots (seconds)'], 12)
    self.assertNotIn('not compared', str(verdict))
    self.assertNotIn('race', str(verdict))

  def test_what_is_not_known_is_said(self):
    verdict = train(
      own_optimizers.Case,
      rename_slot=lambda name: name,
      rename_hyperparameter=lambda name: None,
    )
    notes = '\n'.join(verdict.notes)
    self.assertIn('hyperparameters of DecayedMoments', notes)
    self.assertIn('slots firsts of TF2', notes)

  @parameterized.parameters(own_optimizers.Case, ByHand)
  def test_pattern_that_does_not_match(self, cls):
    def port():
      port.made = PlainMoments(excluded='no_such_name')
      return port.made

    methods = {'build_tf2_optimizer': port}
    if cls is ByHand:

      class Port(ByHand):
        def build_tf2_optimizer(self):
          self.optimizer = port()
          return self.optimizer

      cls, methods = Port, {}
    text = self.fails(cls, **methods)
    self.assertIn('in the variables: 2 of 6', text)
    self.assertIn('TF2 decays norm, offset (4 others agree) more', text)
    self.assertIn('0.05 times the weights', text)
    self.assertNotIn('does not train', text)
    self.assertNotIn('nan', text)

  def test_bias_correction(self):
    text = self.fails(
      own_optimizers.Case,
      build_tf2_optimizer=lambda: PlainMoments(corrected=True),
    )
    self.assertIn('at step 1 of 2 in the variables', text)
    self.assertNotIn('learning rate, gradients', text)

  def test_other_rate(self):
    text = self.fails(
      own_optimizers.Case, build_tf2_optimizer=lambda: PlainMoments(0.03)
    )
    self.assertIn('at step 1 of 2 in learning rate of DecayedMoments', text)
    self.assertNotIn('update rule differs', text)

  def test_hyperparameter_that_was_named(self):
    def port():
      made = PlainMoments()
      made.epsilon = 2e-5
      return made

    text = self.fails(own_optimizers.Case, build_tf2_optimizer=port)
    self.assertIn('epsilon', text)

  def test_wrong_name_of_a_hyperparameter(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, "returned 'decay', which PlainMoments does not have"
    ):
      train(
        own_optimizers.Case,
        rename_hyperparameter=lambda n: 'decay' if n == 'decay_rate' else None,
      )

  def test_wrapper(self):
    verdict = train(
      own_optimizers.Case,
      build_tf1_optimizer=lambda: own_optimizers.Wrapper(
        v1.train.AdamOptimizer(RATE)
      ),
      build_tf2_optimizer=lambda: tf.keras.optimizers.Adam(RATE, epsilon=1e-8),
    )
    self.assertEqual(verdict.compared['gradients'], 12)
    self.assertEqual(verdict.compared['slots (first moment)'], 12)

  def test_plain_object_in_tf1(self):
    class Descent:
      learning_rate = RATE

      def apply_gradients(self, grads_and_vars):
        return [v.assign_sub(RATE * g) for g, v in grads_and_vars]

    verdict = train(
      own_optimizers.Case,
      build_tf1_optimizer=Descent,
      build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(RATE),
    )
    self.assertEqual(verdict.compared['gradients'], 12)

  def test_plain_object_in_a_function(self):
    case = own_optimizers.Case()
    case.assertTrainingEquivalent(
      steps=2, weights='fixed', variants=('eager', 'function')
    )

  def test_pairs_without_a_gradient(self):
    class Unused(ByHand):
      def build_tf1(self, inputs, training):
        self.spare = v1.get_variable('spare', [3])
        return super().build_tf1(inputs, training)

      def build_tf2(self):
        model = Net()
        model.spare = model.add_weight(name='spare', shape=[3])
        return model

      def train_tf2(self, model, inputs):
        apply_gradients = self.optimizer.apply_gradients

        def connected(pairs):
          apply_gradients([(g, v) for g, v in pairs if g is not None])

        self.optimizer.apply_gradients = connected
        try:
          return super().train_tf2(model, inputs)
        finally:
          self.optimizer.apply_gradients = apply_gradients

    Net = own_optimizers.Net
    self.assertEqual(train(Unused).compared['gradients'], 12)

  def test_hand_written_update(self):
    class Written(ByHand):
      def train_tf1(self, inputs):
        loss = tf.reduce_mean(tf.square(self.build_tf1(inputs, True)))
        variables = v1.trainable_variables()
        gradients = v1.gradients(loss, variables)
        return {
          'loss': loss,
          'train': tf.group(
            *(
              v.assign_sub(RATE * g)
              for v, g in zip(variables, gradients, strict=True)
            )
          ),
        }

      def build_tf2_optimizer(self):
        self.optimizer = tf.keras.optimizers.SGD(self.rate)
        return self.optimizer

      rate = RATE

    class Other(Written):
      rate = 2 * RATE

    verdict = train(Written)
    self.assertIn('not compared: gradients', '\n'.join(verdict.notes))
    text = self.fails(Other)
    self.assertNotIn('Gradients and learning rate agree', text)
    self.assertIn('were not compared', text)

  def test_rate_in_a_variable(self):
    def optimizer():
      rate = v1.get_variable('lr', initializer=0.1, trainable=False)
      return v1.train.GradientDescentOptimizer(rate)

    for ignored in ((), ('^lr$',)):
      with self.subTest(ignored=ignored):
        train(
          own_optimizers.Case,
          build_tf1_optimizer=optimizer,
          build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(0.1),
          ignored_variables=ignored,
        )

  def test_race(self):
    class Racing(ByHand):
      def train_tf1(self, inputs):
        loss = tf.reduce_mean(tf.square(self.build_tf1(inputs, True)))
        step = v1.train.get_or_create_global_step()
        rate = v1.train.exponential_decay(0.1, step, 1, 0.1)
        optimizer = v1.train.GradientDescentOptimizer(rate)
        train = optimizer.minimize(loss)
        return {'loss': loss, 'train': tf.group(train, step.assign(step + 1))}

      def build_tf2_optimizer(self):
        self.optimizer = tf.keras.optimizers.SGD(0.5)
        return self.optimizer

    text = self.fails(Racing)
    self.assertIn('race in TF1: one run reads global_step', text)
    self.assertIn('Next: TF1 reads and assigns global_step in one run', text)
    self.assertIn('own_optimizers_test.py', text.partition('Next:')[2])

  def test_keras_3_and_tf_keras(self):
    try:
      import keras  # noqa: PLC0415
    except ImportError:
      self.skipTest('There is no Keras 3.')

    def build_tf2():
      return keras.Sequential(
        [keras.layers.Dense(2, name='out', activation='tanh')]
      )

    class Dense(own_optimizers.Case):
      def build_tf1(self, inputs, training):
        return v1.layers.dense(inputs, 2, tf.tanh, name='out')

      def rename_variable(self, tf1_name):
        return tf1_name

    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'Adam of tf_keras, which cannot train'
    ):
      case = Dense()
      case.build_tf2 = build_tf2
      case.rename_variable = lambda name: 'sequential/' + name
      case.build_tf2_optimizer = tf.keras.optimizers.Adam
      case.assertTrainingEquivalent(steps=1)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'Adam of Keras 3, but the model is none'
    ):
      case = own_optimizers.Case()
      case.build_tf2_optimizer = keras.optimizers.Adam
      case.assertTrainingEquivalent(steps=1)


class CountersTest(parameterized.TestCase):
  def test_global_step_of_int32(self):
    class Counting(own_optimizers.Case):
      ignored_variables = ('^global_step$',)

      def build_tf1(self, inputs, training):
        v1.Variable(0, name='global_step', trainable=False)
        return super().build_tf1(inputs, training)

      def build_tf1_optimizer(self):
        step = v1.train.get_global_step()
        rate = v1.train.exponential_decay(RATE, step, 1, 0.5)
        return v1.train.GradientDescentOptimizer(rate)

      def build_tf2_optimizer(self):
        return tf.keras.optimizers.SGD(
          tf.keras.optimizers.schedules.ExponentialDecay(RATE, 1, 0.5)
        )

    for resource in (True, False):
      with self.subTest(resource=resource):
        case = Counting()
        case.tf1_behavior = tf_equiv.TF1Behavior(resource_variables=resource)
        case.assertForwardEquivalent()
        case.assertTrainingEquivalent(steps=3, weights='fixed')

  def test_counter_of_another_name(self):
    class Counted(ByHand):
      def train_tf1(self, inputs):
        seen = v1.get_variable('seen', initializer=0, trainable=False)
        found = super().train_tf1(inputs)
        return {**found, 'more': tf.group(seen.assign_add(1))}

    train(Counted)

  def test_pattern_of_another_assertion(self):
    class Ignoring(ByHand):
      ignored_variables = ('^global_step$', '/wd_[mv]$')

    case = Ignoring()
    case.assertVariablesMatch()
    case.assertForwardEquivalent()
    case.assertTrainingEquivalent(steps=1, weights='fixed')

  def test_pattern_of_no_assertion(self):
    class Mistyped(ByHand):
      ignored_variables = ('^globl_step$',)

    with self.assertRaisesRegex(tf_equiv.UsageError, 'matches no variable'):
      Mistyped().assertVariablesMatch()

  def test_ignored_weights_are_left_alone(self):
    class Scaled(tf_equiv.MigrationTestCase):
      ignored_variables = ('^scale$',)

      def make_inputs(self):
        return np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)

      def build_tf1(self, inputs, training):
        scale = v1.get_variable('scale', initializer=3.0, trainable=False)
        return scale * v1.layers.dense(inputs, 2, name='out')

      def build_tf2(self):
        class Model(tf.keras.Model):
          def __init__(self):
            super().__init__()
            self.out = tf.keras.layers.Dense(2, name='out')

          def call(self, x):
            return 3.0 * self.out(x)

        return Model()

      def rename_variable(self, tf1_name):
        return 'model/' + tf1_name

    Scaled().assertForwardEquivalent()
    Scaled().assertGradientsClose()


if __name__ == '__main__':
  absltest.main()
