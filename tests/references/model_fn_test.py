"""A `model_fn` is the TF1 side of a test case."""

import os

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references import tf115
from tests.references.exported_test_helper import (
  AdamWeightDecay,
  temporary_folder,
)
from tf_equiv.core import errors

v1 = tf.compat.v1


def forward(x, training, rate=0.25):
  """The network, as both sides have it."""
  x = v1.layers.dense(
    x,
    4,
    activation=tf.nn.relu,
    name='hidden',
    kernel_regularizer=lambda w: 1e-3 * tf.nn.l2_loss(w),
  )
  x = v1.layers.batch_normalization(x, training=training, name='bn')
  x = v1.layers.dropout(x, rate, training=training)
  return v1.layers.dense(x, 3, name='logits')


def model_fn(features, labels, mode, params):
  """A classifier, as projects with Estimators have it."""
  logits = forward(features['x'], mode == tf.estimator.ModeKeys.TRAIN)
  predictions = {'logits': logits, 'classes': tf.argmax(logits, 1)}
  if mode == tf.estimator.ModeKeys.PREDICT:
    return tf.estimator.EstimatorSpec(mode, predictions=predictions)
  loss = v1.losses.sparse_softmax_cross_entropy(labels, logits)
  loss += v1.losses.get_regularization_loss()
  metrics = {
    'accuracy': v1.metrics.accuracy(labels, predictions['classes']),
    'mean_iou': v1.metrics.mean_iou(labels, predictions['classes'], 3),
  }
  if mode == tf.estimator.ModeKeys.EVAL:
    return tf.estimator.EstimatorSpec(
      mode, predictions=predictions, loss=loss, eval_metric_ops=metrics
    )
  optimizer = params['optimizer']()
  with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
    train_op = optimizer.minimize(loss, v1.train.get_global_step())
  return tf.estimator.EstimatorSpec(
    mode,
    predictions=None if params.get('without') else predictions,
    loss=loss,
    train_op=train_op,
  )


def adam():
  """The optimizer of the legacy code."""
  return v1.train.AdamOptimizer(0.01)


class Network(tf.keras.layers.Layer):
  """The migrated network."""

  def __init__(self, rate=0.25):
    super().__init__()
    self.rate = rate

  @tf_equiv.track_tf1_style_variables
  def call(self, x, training=None):
    """Returns the predictions."""
    logits = forward(x['x'], training, self.rate)
    return {'logits': logits, 'classes': tf.argmax(logits, 1)}


def cross_entropy(outputs, inputs):
  """The loss without regularization losses."""
  return v1.losses.sparse_softmax_cross_entropy(
    inputs['labels'], outputs['logits']
  )


class NetworkTestCase(tf_equiv.MigrationTestCase):
  """Compares the two."""

  rate = 0.25
  epsilon = 1e-8

  def make_inputs(self):
    """See `MigrationTestCase`."""
    random = np.random.default_rng(0)
    return {
      'features': {'x': random.normal(size=(16, 5)).astype(np.float32)},
      'labels': random.integers(0, 3, 16),
    }

  def build_tf2(self):
    """See `MigrationTestCase`."""
    return Network(self.rate)

  def call_tf2(self, model, inputs, training):
    """See `MigrationTestCase`."""
    return model(inputs['features'], training=training)

  def compute_loss(self, outputs, inputs):
    """See `MigrationTestCase`."""
    return cross_entropy(outputs, inputs)

  def build_tf2_optimizer(self):
    """See `MigrationTestCase`."""
    return tf.keras.optimizers.Adam(0.01, epsilon=self.epsilon)


def case(mode=None, optimizer=adam, without=False, **members):
  """Returns a test case that is no test by itself."""
  params = {'optimizer': optimizer, 'without': without}
  reference = tf_equiv.from_model_fn(model_fn, params, mode)
  cls = type(
    'NetworkTest', (NetworkTestCase,), {'tf1_reference': reference, **members}
  )
  return cls()


def metrics_of(outputs, labels):
  """Accuracy, and the mean intersection over union."""
  classes = outputs['classes']
  confusion = tf.math.confusion_matrix(labels, classes, 3, dtype=tf.float32)
  hits = tf.linalg.diag_part(confusion)
  total = tf.reduce_sum(confusion, 0) + tf.reduce_sum(confusion, 1) - hits
  return {
    'accuracy': tf.reduce_mean(tf.cast(tf.equal(labels, classes), tf.float32)),
    'mean_iou': tf.reduce_mean(hits / total),
  }


def evaluate(self, model, inputs, training):
  """A `call_tf2` for mode 'eval'."""
  del self
  outputs = model(inputs['features'], training=training)
  loss = cross_entropy(outputs, inputs) + tf.add_n(model.losses)
  return {
    'predictions': outputs,
    'loss': loss,
    'metrics': metrics_of(outputs, inputs['labels']),
  }


class PassTest(parameterized.TestCase):
  def test_variables(self):
    for training in (False, True):
      verdict = case().assertVariablesMatch(training=training)
      # Neither slots nor the global step.
      self.assertEqual(verdict.compared['variables'], 8)

  @parameterized.parameters(None, 'constant', 'num_random_ops')
  def test_forward(self, seed_mode):
    verdict = case().assertForwardEquivalent(seed_mode=seed_mode)
    self.assertEqual(verdict.compared['outputs'], 2)
    self.assertEqual(verdict.compared['regularization losses'], 1)

  def test_training(self):
    verdict = case().assertTrainingEquivalent()
    self.assertEqual(verdict.compared['updated variables'], 2)
    verdict = case().assertGradientsClose()
    self.assertEqual(verdict.compared['gradients'], 6)

  def test_steps(self):
    verdict = case().assertTrainingEquivalent(steps=2)
    self.assertEqual(verdict.compared['slots (second moment)'], 12)
    self.assertEqual(verdict.compared['step counter'], 2)
    self.assertEqual(verdict.compared['outputs'], 4)

  @parameterized.parameters(True, False)
  def test_gradients_of_its_own_loss(self, training):
    methods = {
      'compute_loss': tf_equiv.MigrationTestCase.compute_loss,
      'compute_loss_tf2': lambda self, *given: cross_entropy(*given),
    }
    verdict = case(**methods).assertGradientsClose(training=training)
    self.assertEqual(verdict.compared['gradients'], 6)
    methods['compute_loss_tf2'] = lambda self, *given: 2 * cross_entropy(*given)
    with self.assertRaisesRegex(AssertionError, '^The loss differs'):
      case(**methods).assertGradientsClose(training=training)

  def test_own_step_of_tf2_alone(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'defines train_tf2 only; .*`return self.tf1_reference.train_tf1\(',
    ):
      case(train_tf2=lambda *unused: {}).assertTrainingEquivalent(steps=1)

  def test_evaluation(self):
    verdict = case('eval', call_tf2=evaluate).assertForwardEquivalent()
    self.assertEqual(verdict.compared['outputs'], 5)

  def test_own_steps(self):
    def build_tf2_optimizer(self):
      self.optimizer = tf.keras.optimizers.Adam(0.01, epsilon=1e-8)
      return self.optimizer

    def train_tf2(self, model, inputs):
      with tf.GradientTape() as tape:
        outputs = model(inputs['features'], training=True)
        loss = cross_entropy(outputs, inputs) + tf.add_n(model.losses)
      variables = model.trainable_variables
      gradients = tape.gradient(loss, variables)
      self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
      return {'loss': loss}

    test = case(
      without=True,
      build_tf2_optimizer=build_tf2_optimizer,
      train_tf1=lambda self, inputs: self.tf1_reference.train_tf1(inputs),
      train_tf2=train_tf2,
    )
    verdict = test.assertTrainingEquivalent(steps=2)
    self.assertEqual(verdict.compared['gradients'], 12)

  def test_without_predictions_in_training(self):
    def call_tf2(self, model, inputs, training):
      outputs = model(inputs['features'], training=training)
      if not training:
        return outputs
      self.loss = cross_entropy(outputs, inputs)
      return {'loss': self.loss + tf.add_n(model.losses)}

    test = case(
      without=True,
      call_tf2=call_tf2,
      compute_loss_tf2=lambda self, outputs, inputs: self.loss,
    )
    verdict = test.assertTrainingEquivalent(steps=1)
    self.assertEqual(verdict.compared['gradients'], 6)
    test.assertForwardEquivalent()

  def test_optimizer_of_its_own(self):
    class Decay(tf.keras.optimizers.Optimizer):
      """What the legacy optimizer does."""

      def __init__(self):
        super().__init__('decay')
        self._learning_rate = self._build_learning_rate(0.1)

      def build(self, var_list):
        super().build(var_list)
        if not hasattr(self, 'moments'):
          self.moments = [
            self.add_variable_from_reference(v, 'm') for v in var_list
          ]

      def update_step(self, gradient, variable):
        m = self.moments[self._index_dict[self._var_key(variable)]]
        m.assign(0.9 * m + 0.1 * gradient)
        variable.assign_sub(0.1 * (m + 0.01 * variable))

    test = case(
      optimizer=AdamWeightDecay, build_tf2_optimizer=lambda self: Decay()
    )
    verdict = test.assertTrainingEquivalent(steps=2)
    self.assertEqual(verdict.compared['gradients'], 12)
    self.assertNotIn('slots (moments)', verdict.compared)
    self.assertIn('not compared: slots adam_m of TF1', verdict.summary)
    test.rename_slot = lambda name: 'moments'
    verdict = test.assertTrainingEquivalent(steps=2)
    self.assertEqual(verdict.compared['slots (moments)'], 12)
    self.assertNotIn('not compared: slots', verdict.summary)

    class Faulty(Decay):
      """Forgets the weight decay."""

      def update_step(self, gradient, variable):
        m = self.moments[self._index_dict[self._var_key(variable)]]
        m.assign(0.9 * m + 0.1 * gradient)
        variable.assign_sub(0.1 * m)

    test = case(
      optimizer=AdamWeightDecay, build_tf2_optimizer=lambda self: Faulty()
    )
    with self.assertRaisesRegex(
      AssertionError,
      r'(?s)^Training diverges at step 1 of 1 in the variables: .*TF1 decays .*'
      'by 0.001 times the weights',
    ):
      test.assertTrainingEquivalent(steps=1)


# What the worker runs, with the real package.
_LEGACY = """
import tensorflow as tf
from tf_equiv.tf1 import estimators

def model_fn(features, labels, mode, params):
  logits = tf.layers.dense(features, params['units'], name='dense')
  if mode == tf.estimator.ModeKeys.PREDICT:
    return tf.estimator.EstimatorSpec(mode, predictions={'logits': logits})
  loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
  op = tf.train.AdamOptimizer(0.1).minimize(loss, tf.train.get_global_step())
  return tf.estimator.EstimatorSpec(
    mode, predictions={'logits': logits}, loss=loss, train_op=op)

_model = estimators.ModelFn(model_fn, {'units': 3})
build_tf1 = _model.build_tf1
train_tf1 = _model.train_tf1
"""


class RealEstimatorTest(absltest.TestCase):
  @tf115.needed
  def test_in_another_interpreter(self):
    folder = temporary_folder(self)
    path = os.path.join(folder, 'legacy_estimator.py')
    with open(path, 'w', encoding='utf-8') as file:
      file.write(_LEGACY)

    class DenseTest(tf_equiv.MigrationTestCase):
      tf1_reference = tf_equiv.Tf1Interpreter(
        python=tf115.PYTHON, model='legacy_estimator', sys_path=[folder]
      )

      def make_inputs(self):
        random = np.random.default_rng(0)
        features = random.normal(size=(6, 4)).astype(np.float32)
        return features, random.integers(0, 3, 6)

      def build_tf2(self):
        return tf.keras.Sequential([tf.keras.layers.Dense(3, name='dense')])

      def call_tf2(self, model, inputs, training):
        return {'logits': model(inputs[0])}

      def build_tf2_optimizer(self):
        self.optimizer = tf.keras.optimizers.Adam(0.1, epsilon=1e-8)
        return self.optimizer

      def train_tf2(self, model, inputs):
        with tf.GradientTape() as tape:
          loss = v1.losses.sparse_softmax_cross_entropy(
            inputs[1], model(inputs[0])
          )
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {'loss': loss}

    test = DenseTest()
    self.addCleanup(DenseTest.tf1_reference.close)
    test.assertForwardEquivalent(seed_mode='num_random_ops')
    verdict = test.assertTrainingEquivalent(steps=2, weights='fixed')
    self.assertEqual(verdict.compared['gradients'], 4)


class FaultTest(parameterized.TestCase):
  def failure(self, run, *args, **kwargs):
    with self.assertRaises(AssertionError) as caught:
      run(*args, **kwargs)
    return str(caught.exception)

  def test_dropout_rate(self):
    message = self.failure(case(rate=0.5).assertTrainingEquivalent)
    self.assertStartsWith(message, 'Outputs differ: ')
    self.assertIn('Next: The dropout rate is 0.25 in TF1 and 0.5', message)
    self.assertIn('model_fn_test.py', message)  # Lines of both sides.

  def test_epsilon(self):
    test = case(epsilon=1e-3)
    message = self.failure(test.assertTrainingEquivalent, steps=1)
    self.assertIn('epsilon: AdamOptimizer 1e-08, Adam 0.001', message)

  def test_loss_without_regularization(self):
    def forgetful(self, model, inputs, training):
      found = evaluate(self, model, inputs, training)
      found['loss'] = cross_entropy(found['predictions'], inputs)
      return found

    message = self.failure(
      case('eval', call_tf2=forgetful).assertForwardEquivalent
    )
    self.assertStartsWith(
      message, "Outputs differ: 1 of 5, first outputs['loss']"
    )

  def test_metric(self):
    def other(self, model, inputs, training):
      found = evaluate(self, model, inputs, training)
      found['metrics']['mean_iou'] *= 2.0
      return found

    message = self.failure(case('eval', call_tf2=other).assertForwardEquivalent)
    self.assertStartsWith(
      message, "Outputs differ: 1 of 5, first outputs['metrics']['mean_iou']"
    )

  def test_structure(self):
    message = self.failure(case(without=True).assertTrainingEquivalent, steps=1)
    self.assertIn("keys missing on the TF2 side: 'loss'", message)


class ErrorsTest(absltest.TestCase):
  def test_steps_in_another_mode(self):
    with self.assertRaisesRegex(
      errors.UsageError,
      "Training steps run in mode 'train', but from_model_fn was given "
      "mode='eval'.",
    ):
      case('eval').assertTrainingEquivalent(steps=1)

  def test_nothing_is_trained(self):
    class Nothing(v1.train.GradientDescentOptimizer):
      def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        return v1.assign_add(global_step, 1)

    with self.assertRaisesRegex(
      errors.UsageError,
      'The train op of model_fn updates no trainable variable',
    ):
      case(optimizer=lambda: Nothing(0.1)).assertTrainingEquivalent(steps=1)

  def test_estimator_outside_of_the_function(self):
    def build_tf1(self, inputs, training):
      return tf.compat.v1.estimator.EstimatorSpec

    test = case(tf1_reference=tf_equiv.InProcess(), build_tf1=build_tf1)
    with self.assertRaisesRegex(
      errors.ModelCodeError, r'(?s)tf.estimator is gone since .*from_model_fn'
    ):
      test.assertForwardEquivalent()

  def test_compared(self):
    first = tf_equiv.from_model_fn(model_fn, mode='eval')
    self.assertEqual(first, tf_equiv.from_model_fn(model_fn, mode='eval'))
    self.assertNotEqual(first, tf_equiv.from_model_fn(model_fn))
    self.assertEqual(repr(first), "from_model_fn(model_fn, mode='eval')")


if __name__ == '__main__':
  absltest.main()
