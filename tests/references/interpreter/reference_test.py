"""All that is compared works with the TF1 side in another interpreter.

Once in a second process of the Python that runs the test, and once in
TensorFlow 1.15 where there is one.
"""

import collections
import os
import sys
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, flagsaver

from tests.references import tf115
from tf_equiv import class_state
from tf_equiv.references.interpreter import client as client_lib
from tf_equiv.references.interpreter import python as python_lib
from tf_equiv.tf2 import program as tf2_program

v1 = tf.compat.v1
layers = tf.keras.layers

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PYTHON_PATH = os.pathsep.join(filter(None, sys.path))
Inputs = collections.namedtuple('Inputs', ['images', 'targets'])


class Net(layers.Layer):
  """The network of legacy_nets, in tf_keras layers."""

  def __init__(self, epsilon=1e-3, **kwargs):
    super().__init__(name='net', **kwargs)
    regularizer = tf.keras.regularizers.L2(0.01)
    self.conv = layers.Conv2D(
      4, 3, kernel_regularizer=regularizer, name='net/conv'
    )
    self.bn = layers.BatchNormalization(
      momentum=0.99, epsilon=epsilon, name='net/bn'
    )
    self.dropout = layers.Dropout(0.3)
    self.flatten = layers.Flatten()
    self.dense = layers.Dense(3, name='net/dense')

  def call(self, inputs, training=None):
    end = tf.nn.relu(self.bn(self.conv(inputs.images), training=training))
    scores = self.dense(self.flatten(self.dropout(end, training=training)))
    return {'scores': scores, 'relu': end}


class Pair(tf_equiv.MigrationTestCase):
  """The two sides."""

  epsilon = 1e-3

  def make_inputs(self):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, 6, 6, 2)).astype(np.float32)
    targets = rng.normal(size=(5, 3)).astype(np.float32)
    return Inputs(images, targets)

  def build_tf2(self):
    return Net(self.epsilon)

  def call_tf2(self, model, inputs, training):
    found = model(inputs, training=training)
    return [found['scores'], {'relu': found['relu'], 'nothing': None}]

  def rename_variable(self, tf1_name):
    return tf1_name.replace('net/', 'net/net/')

  def compute_loss_tf2(self, outputs, inputs):
    return tf.reduce_mean(tf.square(outputs[0] - inputs.targets))

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)


class Tests:
  """The tests, which are the same for all interpreters."""

  def _failure(self, assertion, **arguments):
    with self.assertRaises(AssertionError) as caught:
      getattr(self, assertion)(**arguments)
    return str(caught.exception)

  def test_variables(self):
    verdict = self.assertVariablesMatch()
    self.assertEqual(verdict.compared['variables'], 8)

  def test_forward(self):
    verdict = self.assertForwardEquivalent()
    self.assertEqual(verdict.compared['outputs'], 2)
    for mode in tf_equiv.SeedMode:
      verdict = self.assertForwardEquivalent(seed_mode=mode)
      for weight in verdict.comparisons['weights']:
        self.assertEqual(weight.difference, 0)

  def test_training_with_dropout(self):
    for mode in tf_equiv.SeedMode:
      verdict = self.assertTrainingEquivalent(seed_mode=mode)
      self.assertIn('outputs respond to', str(verdict))

  def test_gradients(self):
    verdict = self.assertGradientsClose(inputs=True)
    self.assertEqual(verdict.compared['gradients'], 6)

  def test_training_steps(self):
    for weights in ('seeded', 'fixed'):
      verdict = self.assertTrainingEquivalent(steps=3, weights=weights)
      self.assertEqual(verdict.compared['steps'], 3)
      self.assertEqual(verdict.compared['slots (first moment)'], 18)

  def test_a_wrong_optimizer(self):
    self.build_tf2_optimizer = lambda: tf.keras.optimizers.Adam(0.01)
    message = self._failure('assertTrainingEquivalent', steps=1)
    self.assertStartsWith(message, 'Optimizers differ: epsilon')

  def test_a_wrong_epsilon_is_located_on_both_sides(self):
    self.epsilon = 1e-5
    for arguments in ({}, {'seed_mode': 'num_random_ops', 'training': True}):
      message = self._failure('assertForwardEquivalent', **arguments)
      self.assertStartsWith(message, 'Outputs differ: ')
      self.assertIn('epsilon: TF1 0.001', message)
      (tf1,) = (s for s in message.splitlines() if s.startswith('    TF1 net'))
      self.assertRegex(tf1, r'legacy_nets\.py:\d+  x = v1\.layers\.batch_norm')
      (tf2,) = (s for s in message.splitlines() if s.startswith('    TF2 '))
      self.assertRegex(tf2, r'reference_test\.py:\d+  end = tf\.nn\.relu')

  def test_a_wrong_epsilon_in_a_training_step(self):
    self.epsilon = 1e-5
    message = self._failure(
      'assertTrainingEquivalent', steps=2, weights='fixed'
    )
    self.assertStartsWith(
      message, 'Training diverges at step 1 of 2 in the out'
    )
    self.assertIn('legacy_nets.py', message)

  def test_locating_without_a_failure(self):
    self.assertIsNone(self.locateDivergence().divergence)
    self.epsilon = 1.001e-3
    verdict = self.locateDivergence(training=True)
    self.assertIn('legacy_nets.py', str(verdict))

  def test_a_wrong_initializer(self):
    build = self.build_tf2

    def build_tf2():
      model = build()
      model.conv.kernel_initializer = tf.keras.initializers.HeNormal()
      return model

    self.build_tf2 = build_tf2
    message = self._failure('assertForwardEquivalent', seed_mode='constant')
    self.assertStartsWith(message, 'Initial weights differ: 1 of 8')
    self.assertRegex(message, r'TF1 net/conv/kernel/.* at .*legacy_nets\.py')

  def test_a_wrong_momentum_is_located_in_the_step(self):
    build = self.build_tf2

    def build_tf2():
      model = build()
      model.bn.momentum = 0.9
      return model

    self.build_tf2 = build_tf2
    message = self._failure('assertTrainingEquivalent', steps=1)
    self.assertStartsWith(message, 'Training diverges at step 1 of 1 in')
    self.assertRegex(message, r'TF1 net/bn/.*legacy_nets\.py:\d+')

  def test_a_checkpoint(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'model.ckpt')
      self._write_checkpoint(path)
      verdict = self.assertCheckpointEquivalent(path)
      self.assertEqual(verdict.compared['variables'], 8)

  def _write_checkpoint(self, path):
    specs, _ = self._session.list_variables()
    rng = np.random.default_rng(3)
    with tf.Graph().as_default(), v1.Session() as session:
      for spec in specs.variables:
        value = 1 + rng.random(spec.shape).astype(np.float32)
        v1.get_variable(spec.name, initializer=value)
      session.run(v1.global_variables_initializer())
      v1.train.Saver().save(session, path)

  def test_a_rename_suggestion(self):
    self.rename_variable = lambda tf1_name: tf1_name
    message = self._failure('assertVariablesMatch')
    self.assertIn("return 'net/' + tf1_name", message)

  def test_graphs_are_used_again(self):
    run = self._run()
    first = run.result().seconds['TF1 build']
    self.assertEqual(self._run().result().seconds['TF1 build'], first)

  def _run(self):
    plan = self._session.methods.make_plan(weights='seeded')
    return self._session.submit(plan)

  def test_both_sides_at_once(self):
    """TF1 is waited for only when TF2 has built its model."""
    self.share_tf2_models = False
    order = []
    wait = client_lib.Client.wait
    build = tf2_program.build_model

    def waiting(*arguments):
      order.append('wait for TF1')
      return wait(*arguments)

    def building(*arguments):
      order.append('build TF2')
      return build(*arguments)

    self.assertVariablesMatch()  # It has started.
    call = tf2_program.call_model

    def calling(*arguments):
      order.append('call TF2')
      return call(*arguments)

    with (
      mock.patch.object(client_lib.Client, 'wait', waiting),
      mock.patch.object(tf2_program, 'build_model', building),
      mock.patch.object(tf2_program, 'call_model', calling),
    ):
      for run in (
        self.assertVariablesMatch,
        self.assertForwardEquivalent,
        lambda: self.assertForwardEquivalent(seed_mode='constant'),
      ):
        order.clear()
        run()
        self.assertEqual(order[:2], ['build TF2', 'call TF2'])
        self.assertIn('wait for TF1', order)


class SameInterpreterTest(Tests, Pair):
  """With a second process of this Python."""

  tf1_reference = tf_equiv.Tf1Interpreter(
    python=sys.executable,
    model='legacy_nets:Net',
    sys_path=[_FOLDER],
    env={'PYTHONPATH': _PYTHON_PATH},
  )


@tf115.needed
class Tf115Test(Tests, Pair):
  """With TensorFlow 1.15."""

  tf1_reference = tf_equiv.Tf1Interpreter('legacy_nets:Net', sys_path=[_FOLDER])

  def test_it_is_that_version(self):
    environment = self._run().result().environment
    self.assertStartsWith(environment['tensorflow'], '1.15')
    self.assertStartsWith(environment['python'], '3.7')


class Legacy(Pair):
  """With other code of the TF1 side."""

  def tearDown(self):
    super().tearDown()
    class_state.end(type(self))


@tf115.needed
class OtherModelsTest(Legacy):
  def test_dimensions_have_a_value(self):
    self.tf1_reference = tf_equiv.Tf1Interpreter(
      'legacy_nets:OldShapes', sys_path=[_FOLDER]
    )
    self.assertForwardEquivalent()
    self.tf1_behavior = tf_equiv.TF1Behavior(tensor_equality=True)
    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError, 'TF1Behavior\\(v2_tensorshape=False\\)'
    ):
      self.assertForwardEquivalent()

  def test_a_step_of_its_own(self):
    self.tf1_reference = tf_equiv.Tf1Interpreter(
      'legacy_nets:OwnStep', sys_path=[_FOLDER]
    )

    def build_tf2_optimizer():
      self.optimizer = tf.keras.optimizers.SGD(0.1)
      return self.optimizer

    def train_tf2(model, inputs):
      with tf.GradientTape() as tape:
        outputs = self.call_tf2(model, inputs, True)
        loss = self.compute_loss_tf2(outputs, inputs)
      weights = model.trainable_weights
      gradients = tape.gradient(loss, weights)
      self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
      return {'loss': loss}

    with self.assertRaisesRegex(tf_equiv.UsageError, 'defines train_tf1 only'):
      self.assertTrainingEquivalent(steps=1)
    self.build_tf2_optimizer, self.train_tf2 = build_tf2_optimizer, train_tf2
    verdict = self.assertTrainingEquivalent(steps=2, compare_updates=False)
    self.assertEqual(verdict.compared['outputs'], 2)


class ArgumentsTest(absltest.TestCase):
  def test_wrong_ones(self):
    for arguments, text in (
      ({'model': Net}, "expected 'module:Class'"),
      ({'model': ':Net'}, "expected 'module:Class'"),
      (
        {'model': 'a', 'sys_path': 'legacy'},
        'sys_path must be a list of folders',
      ),
      ({'model': 'a', 'timeout': 0}, 'must be a positive number'),
      ({'model': 'a', 'timeout': '1'}, 'must be a positive number'),
    ):
      with self.assertRaisesRegex(tf_equiv.UsageError, text):
        tf_equiv.Tf1Interpreter(**arguments)

  def test_nothing_is_started(self):
    reference = tf_equiv.Tf1Interpreter('legacy.lenet:Lenet', python='/no')
    self.assertEqual(
      repr(reference), "Tf1Interpreter('legacy.lenet:Lenet', python='/no')"
    )
    reference.close()

  def test_equal_ones_share_a_process(self):
    def make(name):
      return tf_equiv.Tf1Interpreter(name, python='/no', sys_path=['a'])

    self.assertEqual(make('a'), make('a'))
    self.assertLen({make('a'), make('a'), make('b')}, 2)

    class Property(Pair):
      tf1_reference = property(lambda self: make('a'))

    case = Property()
    self.assertIs(case._session.reference, case._session.reference)

  def test_the_flag_names_the_interpreter(self):
    with flagsaver.flagsaver(tf1_python='/by/flag'):
      self.assertEqual(python_lib.python_of(), '/by/flag')
      self.assertEqual(python_lib.python_of('/given'), '/given')

  def test_a_property_is_not_started_with_the_class(self):
    class Property(Pair):
      tf1_reference = property(lambda self: 1 / 0)

    Property.setUpClass()
    Property.tearDownClass()


if __name__ == '__main__':
  absltest.main()
