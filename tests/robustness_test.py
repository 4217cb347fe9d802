"""Scenarios in which verdicts once were wrong, or errors without help."""

import unittest

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
import tf_keras
import tf_slim
from absl.testing import absltest

v1 = tf.compat.v1
shim = tf_equiv.track_tf1_style_variables

_ASSERTIONS = (
  ('assertNoNewVariables', {}),
  ('assertVariablesMatch', {}),
  ('assertForwardEquivalent', {}),
  ('assertForwardEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertTrainingEquivalent', {'seed_mode': 'constant'}),
  ('assertTrainingEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertTrainingEquivalent', {'weights': 'fixed'}),
  ('assertGradientsClose', {}),
  ('assertGradientsClose', {'weights': 'seeded'}),
)


def dense(x, units=5, **kwargs):
  return v1.layers.dense(x, units, name=kwargs.pop('name', 'd'), **kwargs)


def network(x, training):
  x = dense(x, kernel_regularizer=tf_keras.regularizers.l2(0.1))
  x = v1.layers.batch_normalization(x, training=training, name='bn')
  return v1.layers.dropout(x, 0.3, training=training)


def module(function):
  """A `tf.Module` behind the shim that computes function(x, training)."""

  class Module(tf.Module):
    @shim
    def __call__(self, x, training=False):
      return function(x, training)

  return Module()


def case(build_tf1, build_tf2, **members):
  """A test case of two functions, `build_tf2` without arguments."""

  class Case(tf_equiv.MigrationTestCase):
    def make_inputs(self):
      return np.random.default_rng(0).normal(size=(4, 6)).astype('float32')

    def build_tf1(self, inputs, training):
      return build_tf1(inputs, training)

    def build_tf2(self):
      return build_tf2()

    def runTest(self):
      self.assertForwardEquivalent()

  return type('Case', (Case,), members)()


class ScenarioTest(absltest.TestCase):
  def assertAllPass(self, test):
    for name, arguments in _ASSERTIONS:
      with self.subTest(name, **arguments):
        self.assertTrue(getattr(test, name)(**arguments))

  def assertFails(self, test, name, *patterns, **arguments):
    with self.assertRaises(AssertionError) as caught:
      getattr(test, name)(**arguments)
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)
    return str(caught.exception)


class FunctionTest(ScenarioTest):
  def test_call_is_a_function_that_creates_variables(self):
    # It is traced twice, and must not draw twice.
    class Module(tf.Module):
      @tf.function
      @shim
      def __call__(self, x, training=False):
        return network(x, training)

    class Layer(tf_keras.layers.Layer):
      @tf.function
      @shim
      def call(self, x, training=False):
        return network(x, training)

    self.assertAllPass(case(network, Module))
    self.assertAllPass(case(network, Layer))

  def test_dropout_in_a_loop_agrees_in_a_function(self):
    def rnn(x, training):
      cell = v1.nn.rnn_cell.DropoutWrapper(
        v1.nn.rnn_cell.BasicLSTMCell(3),
        input_keep_prob=0.5 if training else 1.0,
      )
      steps = tf.reshape(x, [4, 3, 2])
      return v1.nn.dynamic_rnn(
        cell, steps, dtype=tf.float32, parallel_iterations=1
      )

    def call_tf2(self, model, inputs, training):
      return tf.function(model)(inputs, training=training)

    test = case(rnn, lambda: module(rnn), call_tf2=call_tf2)
    self.assertAllPass(test)
    eager = case(rnn, lambda: module(rnn))
    for seed_mode in ('constant', 'num_random_ops'):
      self.assertFails(
        eager,
        'assertTrainingEquivalent',
        'repeats a draw that TF1 makes once.*loop',
        'tf.function in call_tf2',
        seed_mode=seed_mode,
      )

  def test_function_that_creates_a_variable_per_call(self):
    class Module(tf.Module):
      @tf.function
      def __call__(self, x):
        return x @ tf.Variable(tf.ones((6, 6)))

    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError, 'singleton(.|\n)*creates a variable in each call'
    ):
      case(network, Module).assertNoNewVariables()


class KerasTest(ScenarioTest):
  def test_sequential_model_that_is_built_by_its_first_call(self):
    # Keras calls the layers symbolically first; those draws never run.
    def build_tf2():
      return tf_keras.Sequential(
        [
          tf_keras.layers.Dense(
            5, name='d', kernel_regularizer=tf_keras.regularizers.l2(0.1)
          ),
          tf_keras.layers.BatchNormalization(name='bn'),
          tf_keras.layers.Dropout(0.3),
        ]
      )

    self.assertAllPass(case(network, build_tf2))

  def test_variables_before_the_call_do_not_matter_with_fixed_weights(self):
    def build_tf1(x, training):
      x = v1.layers.dropout(dense(x, name='a'), 0.3, training=training)
      return dense(x, 4, name='b')

    def build_tf2():
      inputs = tf_keras.Input((6,))
      x = tf_keras.layers.Dense(5, name='a')(inputs)
      x = tf_keras.layers.Dropout(0.3)(x)
      return tf_keras.Model(inputs, tf_keras.layers.Dense(4, name='b')(x))

    test = case(build_tf1, build_tf2)
    self.assertTrue(test.assertGradientsClose())
    self.assertTrue(test.assertTrainingEquivalent(weights='fixed'))
    # It still matters where the weights are drawn.
    self.assertFails(test, 'assertTrainingEquivalent', 'no bug of the model')

  def test_frozen_layer(self):
    def frozen(library):
      layers = [library.layers.Dense(5, name=name) for name in 'ab']
      model = library.Sequential(layers, name='m')
      model.layers[0].trainable = False
      return model

    def legacy(trainable):
      def build_tf1(x, training):
        del training
        return dense(dense(x, name='a', trainable=trainable), name='b')

      return build_tf1

    for library, prefix in ((tf_keras, ''), (keras, 'm/')):
      members = {'rename_variable': lambda self, name, p=prefix: p + name}
      same = case(legacy(False), lambda lib=library: frozen(lib), **members)
      other = case(legacy(True), lambda lib=library: frozen(lib), **members)
      with self.subTest(library.__name__):
        self.assertTrue(same.assertVariablesMatch())
        self.assertTrue(same.assertGradientsClose())
        self.assertFails(other, 'assertVariablesMatch', 'trainable flag')
        self.assertFails(other, 'assertGradientsClose', 'not trainable on the')

  def test_clear_session_does_not_blind(self):
    class Leaky(tf.Module):
      def __init__(self):
        self.kept = []

      def __call__(self, x):
        self.kept.append(tf.Variable(tf.ones((6, 5))))
        return x @ self.kept[-1]

    def after_clear(build):
      def build_tf2():
        tf_keras.backend.clear_session()
        return build()

      return build_tf2

    graph = v1.get_default_graph()
    self.assertFails(
      case(network, after_clear(Leaky)), 'assertNoNewVariables', 'created after'
    )
    self.assertAllPass(case(network, after_clear(lambda: module(network))))
    self.assertIsNot(v1.get_default_graph(), graph)
    with tf_equiv.catch_created_variables() as created:
      pass
    tf.Variable(1.0)
    self.assertEmpty(created)

  def test_scopes_nest_around_clear_session(self):
    with self.assertRaises(tf_equiv.VariableCreationError):
      with tf_equiv.assert_no_variable_creations():
        with tf_equiv.catch_created_variables():
          tf_keras.backend.clear_session()
        tf_keras.backend.clear_session()
        tf.Variable(1.0)
    self.assertEqual(tf.Variable(1.0).numpy(), 1.0)

  def test_variable_of_keras_3_as_output(self):
    class Model(keras.Model):
      def __init__(self):
        super().__init__(name='m')
        self.dense = keras.layers.Dense(5, name='d')

      def call(self, x):
        return self.dense(x), self.dense.kernel

    def build_tf1(x, training):
      del training
      y = dense(x)
      return y, [v for v in v1.global_variables() if 'kernel' in v.name][0]

    test = case(build_tf1, Model, rename_variable=lambda self, n: 'm/' + n)
    self.assertTrue(test.assertForwardEquivalent())
    self.assertTrue(test.assertGradientsClose())

  def test_dropout_of_keras_3_is_explained_in_both_modes(self):
    def build_tf2():
      return keras.Sequential([keras.layers.Dropout(0.5)])

    def build_tf1(x, training):
      return v1.layers.dropout(x, 0.5, training=training)

    for seed_mode in ('constant', 'num_random_ops'):
      self.assertFails(
        case(build_tf1, build_tf2),
        'assertTrainingEquivalent',
        'Next: The TF2 model makes no draw with stateful random ops: Keras 3',
        seed_mode=seed_mode,
      )


class LossesTest(ScenarioTest):
  def build_tf1(self, x, training):
    del training
    return dense(x, kernel_regularizer=tf_keras.regularizers.l2(0.1))

  def native(self):
    return tf_keras.layers.Dense(
      5, name='d', kernel_regularizer=tf_keras.regularizers.l2(0.1)
    )

  def test_module_that_holds_keras_layers(self):
    class Module(tf.Module):
      def __init__(self, inner):
        self.inner = inner

      def __call__(self, x):
        return self.inner(x)

    self.assertAllPass(case(self.build_tf1, lambda: Module(self.native())))
    nested = tf_keras.Sequential([self.native()])
    test = case(self.build_tf1, lambda: Module(nested))
    self.assertTrue(test.assertForwardEquivalent())

  def test_bound_method(self):
    test = case(self.build_tf1, lambda: module(self.build_tf1).__call__)
    self.assertAllPass(test)

  def test_function_is_told_how_to_report_losses(self):
    def build_tf2():
      layer = self.native()
      return lambda x: layer(x)

    self.assertFails(
      case(self.build_tf1, build_tf2),
      'assertForwardEquivalent',
      'reports no regularization loss(.|\n)*attribute `losses`',
    )

  def test_regularizer_that_returns_none(self):
    def build(x, training):
      del training
      return tf_slim.fully_connected(
        x, 5, weights_regularizer=tf_slim.l2_regularizer(0.0), scope='fc'
      )

    self.assertAllPass(case(build, lambda: module(build)))

  def test_get_or_create_layer_without_regularizer(self):
    def build_inner():
      inputs = tf_keras.Input((6,))
      return tf_keras.Model(inputs, tf_keras.layers.Dense(5, name='d')(inputs))

    class Layer(tf_keras.layers.Layer):
      @shim
      def call(self, x):
        return v1.keras.utils.get_or_create_layer('inner', build_inner)(x)

    self.assertAllPass(case(lambda x, training: dense(x), Layer))


class RandomNumbersTest(ScenarioTest):
  def test_noise_in_both_modes_needs_no_training_flag(self):
    def build_tf1(x, training):
      del training
      y = dense(x)
      return y + tf.random.normal(tf.shape(y))

    class Module(tf.Module):
      @shim
      def __call__(self, x):
        return build_tf1(x, None)

    self.assertAllPass(case(build_tf1, Module))

  def test_state_of_a_generator_is_no_weight(self):
    class Module(tf.Module):
      def __init__(self):
        self.generator = tf.random.Generator.from_seed(1)

      @shim
      def __call__(self, x, training=False):
        return dense(x) + self.generator.normal((4, 5))

    test = case(lambda x, training: dense(x), Module)
    self.assertTrue(test.assertNoNewVariables())

  def test_renamed_variables_do_not_change_the_order_of_draws(self):
    def build_tf1(x, training):
      del training
      with v1.variable_scope('old'):
        return dense(x)

    test = case(
      build_tf1,
      lambda: module(lambda x, training: dense(x) * 1.01),
      rename_variable=lambda self, name: name.replace('old/', ''),
    )
    text = self.assertFails(
      test, 'assertForwardEquivalent', seed_mode='num_random_ops'
    )
    self.assertNotIn('random', text.splitlines()[0].split('(')[0])
    self.assertNotIn('only in TF1', text)

  def test_the_same_model_returned_twice(self):
    model = module(network)
    test = case(network, lambda: model)
    self.assertTrue(test.assertForwardEquivalent())
    self.assertTrue(test.assertGradientsClose())
    text = self.assertFails(
      test,
      'assertForwardEquivalent',
      'existed before build_tf2 was called',
      seed_mode='num_random_ops',
    )
    self.assertNotIn('another order', text)


class AdviceTest(ScenarioTest):
  def test_assertion_of_the_user_names_its_line(self):
    def build_tf1(x, training):
      assert training is None
      return x

    result = unittest.TestResult()
    case(build_tf1, lambda: module(network)).run(result)
    [(_, text)] = result.failures
    self.assertIn('robustness_test.py:', text)
    self.assertIn('assert training is None', text)
    self.assertIn('An assertion failed in build_tf1, on the TF1 side', text)

  def test_reset_default_graph(self):
    def build_tf1(x, training):
      v1.reset_default_graph()
      return network(x, training)

    with self.assertRaisesRegex(tf_equiv.ModelCodeError, 'a fresh graph'):
      case(build_tf1, lambda: module(network)).assertForwardEquivalent()

  def test_optimizer_and_partitions_on_the_tf1_side(self):
    def optimized(x, training):
      y = network(x, training)
      v1.train.AdamOptimizer().minimize(tf.reduce_mean(y))
      return y

    # Its slots are no variables of the model.
    found = case(optimized, lambda: module(network)).assertVariablesMatch()
    self.assertTrue(found.passed, found)

    def partitioned(x, training):
      del training
      partitioner = v1.fixed_size_partitioner(2)
      w = v1.get_variable('w', (6, 4), partitioner=partitioner)
      return x @ tf.convert_to_tensor(w)

    def whole(x, training):
      del training
      return x @ v1.get_variable('w', (6, 4))

    self.assertFails(
      case(partitioned, lambda: module(whole)),
      'assertVariablesMatch',
      'Next: TF1 partitions the variable',
    )

  def test_nan_on_both_sides(self):
    def build(x, training):
      del training
      return tf.math.log(x @ v1.get_variable('w', (6, 6)))

    self.assertFails(
      case(build, lambda: module(build)),
      'assertForwardEquivalent',
      'Next: TF1 itself gives NaN',
    )

  def test_mutated_variable_is_shown_before_and_after(self):
    def build(x, training):
      del training
      count = v1.get_variable(
        'count', (), initializer=v1.zeros_initializer(), trainable=False
      )
      with tf.control_dependencies([v1.assign_add(count, 1.0)]):
        return x + count.read_value()

    self.assertFails(
      case(build, lambda: module(build)),
      'assertNoNewVariables',
      'worst before 1, after 2',
    )


if __name__ == '__main__':
  absltest.main()
