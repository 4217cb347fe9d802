"""Streaming metrics of both sides: what passes, what fails, wrong use."""

import os
import sys
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1
_LEGACY = """
import tensorflow as tf
v1 = tf.compat.v1

def build_tf1(inputs, training):
  return tf.sigmoid(tf.matmul(inputs['x'], v1.get_variable('w', [4, 1])))

def build_metrics_tf1(outputs, inputs):
  return {'auc': v1.metrics.auc(inputs['labels'], outputs)}
"""


class Layer(tf.Module):
  """One unit with a sigmoid."""

  def __init__(self):
    super().__init__()
    self.w = tf.Variable(tf.zeros([4, 1]), name='w')

  def __call__(self, x):
    return tf.sigmoid(tf.matmul(x, self.w))


class Case(tf_equiv.MigrationTestCase):
  """A linear classifier, and metrics of it."""

  def make_batch(self, step):
    rng = np.random.default_rng(step)
    x = rng.normal(size=(16, 4)).astype(np.float32)
    noise = rng.normal(size=(16, 1))
    labels = (x[:, :1] + noise > 0).astype(np.float32)
    return {'x': x, 'labels': labels}

  def make_inputs(self):
    return self.make_batch(0)

  def reset_weights(self, name, shape, dtype):
    return np.random.default_rng(9).normal(size=shape).astype(dtype)

  def build_tf1(self, inputs, training):
    return tf.sigmoid(tf.matmul(inputs['x'], v1.get_variable('w', [4, 1])))

  def build_tf2(self):
    return Layer()

  def call_tf2(self, model, inputs, training):
    return model(inputs['x'])

  def build_metrics_tf1(self, outputs, inputs):
    return {
      'auc': v1.metrics.auc(inputs['labels'], outputs),
      'rmse': v1.metrics.root_mean_squared_error(inputs['labels'], outputs),
    }

  def build_metrics_tf2(self):
    return {
      'auc': tf.keras.metrics.AUC(),
      'rmse': tf.keras.metrics.RootMeanSquaredError(),
    }


def case(**methods):
  found = Case()
  for name, method in methods.items():
    setattr(found, name, method)
  return found


class MetricsTestCase(parameterized.TestCase):
  def failure(self, test, **arguments):
    with self.assertRaises(AssertionError) as caught:
      test.assertMetricsMatch(**arguments)
    return caught.exception

  def wrong_use(self, test, **arguments):
    with self.assertRaises(tf_equiv.UsageError) as caught:
      test.assertMetricsMatch(**arguments)
    return str(caught.exception)


class PassTest(MetricsTestCase):
  def test_verdict(self):
    verdict = case().assertMetricsMatch(batches=4)
    self.assertTrue(verdict.passed)
    self.assertEqual(verdict.compared['metrics'], 2)
    self.assertEqual(verdict.compared['batches'], 4)
    self.assertIn('batches=4', verdict.conditions)
    self.assertNotIn('steps', verdict.conditions)
    auc, _ = verdict.outcome.metrics.streams
    self.assertLen(auc.tf1, 4)
    # The state goes on, and the weights stay what they are.
    self.assertLen({float(x) for x in auc.tf1}, 4)
    self.assertNotIn('threshold', str(verdict))

  def test_values_are_those_of_all_batches(self):
    test = case()
    verdict = test.assertMetricsMatch(batches=3)
    rmse = verdict.outcome.metrics.streams[1]
    weights = test.reset_weights('w', [4, 1], np.float32)
    errors = []
    for step in range(3):
      batch = test.make_batch(step)
      predictions = 1 / (1 + np.exp(-batch['x'] @ weights))
      errors.append((predictions - batch['labels']) ** 2)
    np.testing.assert_allclose(
      rmse.tf2[-1], np.sqrt(np.mean(errors)), rtol=1e-5
    )

  def test_state_starts_anew(self):
    kept = {
      'auc': tf.keras.metrics.AUC(),
      'rmse': keras.metrics.RootMeanSquaredError(),
    }
    test = case(build_metrics_tf2=lambda: kept)
    first = test.assertMetricsMatch(batches=2).outcome.metrics.streams
    second = test.assertMetricsMatch(batches=2).outcome.metrics.streams
    for a, b in zip(first, second, strict=True):
      np.testing.assert_array_equal(a.tf2, b.tf2)
    for metric in kept.values():  # Nothing of the assertion is left in them.
      self.assertNotIn('Recorder', repr(metric.update_state))

  def test_keras_3_weights_and_objects_of_ones_own(self):
    class Share:
      """The share of positive labels, weighted."""

      def __init__(self):
        self.total = self.count = 0.0

      def update_state(self, values, weights):
        self.total += float(tf.reduce_sum(values * weights))
        self.count += float(tf.reduce_sum(weights))

      def result(self):
        return self.total / self.count

    def make_batch(step):
      batch = Case().make_batch(step)
      rng = np.random.default_rng(step)
      weight = rng.uniform(size=(16, 1)).astype(np.float32)
      return {**batch, 'weights': weight}

    def build_metrics_tf1(outputs, inputs):
      labels, weights = inputs['labels'], inputs['weights']
      return {
        'auc': v1.metrics.auc(labels, outputs, weights),
        'share': v1.metrics.mean(labels, weights),
      }

    def update_metrics_tf2(metrics, outputs, inputs):
      labels, weights = inputs['labels'], inputs['weights']
      metrics['auc'].update_state(labels, outputs, sample_weight=weights)
      metrics['share'].update_state(labels, weights)

    test = case(
      make_batch=make_batch,
      build_metrics_tf1=build_metrics_tf1,
      build_metrics_tf2=lambda: {'auc': keras.metrics.AUC(), 'share': Share()},
      update_metrics_tf2=update_metrics_tf2,
    )
    self.assertTrue(test.assertMetricsMatch(batches=3).passed)
    # The default finds the weights as well.
    only = {
      'build_metrics_tf1': lambda outputs, inputs: {
        'auc': build_metrics_tf1(outputs, inputs)['auc']
      },
      'build_metrics_tf2': lambda: {'auc': tf.keras.metrics.AUC()},
    }
    verdict = case(make_batch=make_batch, **only).assertMetricsMatch(batches=2)
    self.assertTrue(verdict.passed)

  @parameterized.parameters('fixed', 'seeded')
  def test_dropout_in_training(self, weights):
    def build_tf1(inputs, training):
      net = v1.layers.dropout(inputs['x'], 0.5, training=training)
      return tf.sigmoid(tf.matmul(net, v1.get_variable('w', [4, 1])))

    class Dropping(Layer):
      def __call__(self, x):
        return super().__call__(tf.nn.dropout(x, 0.5))

    test = case(build_tf1=build_tf1, build_tf2=Dropping)
    verdict = test.assertMetricsMatch(batches=3, training=True, weights=weights)
    auc = verdict.outcome.metrics.streams[0]
    self.assertLen({float(x) for x in auc.tf1}, 3)

  def test_moving_statistics_do_not_move(self):
    def build_tf1(inputs, training):
      net = v1.layers.batch_normalization(
        inputs['x'], training=training, name='norm'
      )
      return tf.sigmoid(v1.layers.dense(net, 1, name='dense'))

    class Net(tf.keras.Model):
      def __init__(self):
        super().__init__(name='')
        self.norm = tf.keras.layers.BatchNormalization(
          momentum=0.5, name='norm'
        )
        self.dense = tf.keras.layers.Dense(1, 'sigmoid', name='dense')

      def call(self, x, training=False):
        return self.dense(self.norm(x, training=training))

    test = case(
      build_tf1=build_tf1,
      build_tf2=Net,
      call_tf2=lambda model, inputs, training: model(inputs['x'], training),
      reset_weights=lambda name, shape, dtype: np.full(shape, 0.5, dtype),
    )
    self.assertTrue(test.assertMetricsMatch(batches=3, training=True).passed)
    self.assertTrue(test.assertMetricsMatch(batches=3).passed)

  def test_outputs_next_to_a_threshold_are_forgiven(self):
    """Half of the outputs are one half, but for rounding."""

    def make_batch(step):
      x = np.full((8, 4), 0.0, np.float32)
      x[::2] = 1e-8
      return {'x': x, 'labels': np.ones((8, 1), np.float32)}

    def build_metrics_tf1(outputs, inputs):
      positive = tf.cast(outputs > 0.5, tf.float32)
      return {'accuracy': v1.metrics.accuracy(inputs['labels'], positive)}

    class Shifted(Layer):
      def __call__(self, x):
        return super().__call__(x) + 3e-7

    test = case(
      make_batch=make_batch,
      reset_weights=lambda name, shape, dtype: np.ones(shape, dtype),
      build_metrics_tf1=build_metrics_tf1,
      build_metrics_tf2=lambda: {'accuracy': tf.keras.metrics.BinaryAccuracy()},
      build_tf2=Shifted,
    )
    verdict = test.assertMetricsMatch(batches=2, allow_vacuous=True)
    self.assertTrue(verdict.passed)
    self.assertIn('next to a threshold', str(verdict))

  def test_interpreter(self):
    with tempfile.TemporaryDirectory() as folder:
      with open(
        os.path.join(folder, 'legacy_metrics.py'), 'w', encoding='utf-8'
      ) as file:
        file.write(_LEGACY)
      test = case(build_metrics_tf2=lambda: {'auc': tf.keras.metrics.AUC()})
      test.tf1_reference = tf_equiv.Tf1Interpreter(
        'legacy_metrics', python=sys.executable, sys_path=[folder]
      )
      try:
        for weights in ('fixed', 'seeded'):
          verdict = test.assertMetricsMatch(batches=3, weights=weights)
          self.assertTrue(verdict.passed)
          (auc,) = verdict.outcome.metrics.streams
          self.assertLen({float(x) for x in auc.tf1}, 3)
        test.build_metrics_tf2 = lambda: {
          'auc': tf.keras.metrics.AUC(num_thresholds=7)
        }
        message = str(self.failure(test))
        self.assertIn('num_thresholds=200 in place of 7', message)
      finally:
        test.tf1_reference.close()

  def test_model_fn(self):
    def model_fn(features, labels, mode):
      predictions = Case().build_tf1({'x': features}, False)
      return tf.estimator.EstimatorSpec(
        mode,
        predictions=predictions,
        loss=tf.reduce_mean(predictions),
        eval_metric_ops={'auc': v1.metrics.auc(labels, predictions)},
      )

    def make_batch(step):
      batch = Case().make_batch(step)
      return batch['x'], batch['labels']

    class Estimated(Case):
      build_metrics_tf1 = tf_equiv.MigrationTestCase.build_metrics_tf1
      tf1_reference = tf_equiv.from_model_fn(model_fn)

    test = Estimated()
    test.make_batch = make_batch
    test.call_tf2 = lambda model, inputs, training: model(inputs[0])
    test.build_metrics_tf2 = lambda: {'auc': tf.keras.metrics.AUC()}
    verdict = test.assertMetricsMatch(batches=3)
    (auc,) = verdict.outcome.metrics.streams
    own = case().assertMetricsMatch(batches=3).outcome.metrics.streams[0]
    np.testing.assert_array_equal(auc.tf1, own.tf1)
    message = self.wrong_use(test, training=True)
    self.assertIn('or define build_metrics_tf1', message)

  def test_golden(self):
    class Recorded(Case):
      pass

    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'a.golden')
      Recorded.tf1_reference = tf_equiv.Golden(path, update=True)
      recorded = Recorded().assertMetricsMatch(batches=2)
      Recorded.tf1_reference = tf_equiv.Golden(path, update=False)
      replayed = Recorded().assertMetricsMatch(batches=2)
      for a, b in zip(
        recorded.outcome.metrics.streams,
        replayed.outcome.metrics.streams,
        strict=True,
      ):
        np.testing.assert_array_equal(a.tf1, b.tf1)
      with self.assertRaisesRegex(tf_equiv.UsageError, 'batches=2, metrics'):
        Recorded().assertMetricsMatch(batches=3)


class FailureTest(MetricsTestCase):
  def check_order(self, message):
    """The verdict comes first, what to do next last."""
    lines = message.splitlines()
    self.assertStartsWith(lines[0], 'Metrics differ after batch')
    following = [i for i, x in enumerate(lines) if x.startswith('Next:')]
    self.assertLen(following, 1)
    for line in lines[following[0] + 1 :]:
      self.assertStartsWith(line, '      ')

  @parameterized.parameters(tf.keras, keras)
  def test_auc(self, library):
    test = case(
      build_metrics_tf1=lambda outputs, inputs: {
        **Case().build_metrics_tf1(outputs, inputs),
        'auc': v1.metrics.auc(inputs['labels'], outputs, num_thresholds=11),
      },
      build_metrics_tf2=lambda: {
        'auc': library.metrics.AUC(
          num_thresholds=11, summation_method='minoring'
        ),
        'rmse': library.metrics.RootMeanSquaredError(),
      },
    )
    message = str(self.failure(test, batches=3))
    self.check_order(message)
    self.assertIn('Metrics differ after batch 1 of 3: auc is 0.', message)
    self.assertIn(
      "AUC with summation_method='interpolation' in place of 'minoring' gives "
      'the values of TF1 after all 3 batch(es)',
      message,
    )
    self.assertRegex(message, r'rmse +0\.\d+ +0\.\d+ .* nowhere')
    self.assertIn('give AUC in build_metrics_tf2 the argument(s) summ', message)
    for word in ('num_thresholds', 'the outputs', 'so do', 'without', 'PR'):
      self.assertNotIn(word, message)

  def test_two_arguments(self):
    test = case(
      build_metrics_tf1=lambda outputs, inputs: {
        'auc': v1.metrics.auc(
          inputs['labels'],
          outputs,
          num_thresholds=31,
          curve='PR',
          summation_method='careful_interpolation',
        )
      },
      build_metrics_tf2=lambda: {'auc': tf.keras.metrics.AUC()},
    )
    message = str(self.failure(test, batches=2))
    self.check_order(message)
    self.assertRegex(
      message,
      'AUC with num_thresholds=31 in place of 200 and '
      "curve='PR' in place of 'ROC'",
    )
    self.assertNotIn('minoring', message)

  def test_another_metric_of_its_kind(self):
    def build_metrics_tf1(outputs, inputs):
      positive = tf.cast(outputs > 0.5, tf.float32)
      return {'accuracy': v1.metrics.accuracy(inputs['labels'], positive)}

    test = case(
      build_metrics_tf1=build_metrics_tf1,
      build_metrics_tf2=lambda: {'accuracy': tf.keras.metrics.Accuracy()},
    )
    message = str(self.failure(test))
    self.check_order(message)
    self.assertIn('BinaryAccuracy in place of Accuracy gives', message)
    self.assertNotIn('SparseCategorical', message)

  def test_weights_on_one_side(self):
    def make_batch(step):
      weight = np.random.default_rng(step).uniform(size=(16, 1))
      return {**Case().make_batch(step), 'weights': weight.astype(np.float32)}

    message = str(self.failure(case(make_batch=make_batch), batches=2))
    self.check_order(message)
    self.assertIn('so do: rmse', message)
    self.assertIn('auc: tried on these batches: without the weights', message)
    self.assertIn('give the weights to the metrics of both', message)

  def test_reset_between_batches(self):
    def update_metrics_tf2(metrics, outputs, inputs):
      for metric in metrics.values():
        metric.reset_state()
        metric.update_state(inputs['labels'], outputs)

    test = case(update_metrics_tf2=update_metrics_tf2)
    message = str(self.failure(test, batches=3))
    self.check_order(message)
    self.assertIn('Metrics differ after batch 2 of 3', message)
    self.assertIn('is reset between the batches', message)
    self.assertNotIn('in place of', message)

  def test_other_outputs(self):
    class Hotter(Layer):
      def __call__(self, x):
        return tf.sigmoid(0.9 * tf.matmul(x, self.w))

    test = case(build_tf2=Hotter)
    message = str(self.failure(test, batches=2))
    self.check_order(message)
    self.assertIn('the outputs differ in batch 1: outputs, 16 of 16', message)
    self.assertIn('the metric is the same, the outputs are not', message)
    self.assertIn('Next: The outputs come first', message)
    self.assertNotIn('in place of', message)

  def test_a_cause_that_is_not_known_is_not_named(self):
    def update_metrics_tf2(metrics, outputs, inputs):
      for metric in metrics.values():
        metric.update_state(inputs['labels'], outputs**2)

    message = str(self.failure(case(update_metrics_tf2=update_metrics_tf2)))
    self.check_order(message)
    self.assertNotIn('tried on these batches', message)
    self.assertIn('Next: docs/metrics.md says', message)

  def test_nan(self):
    def build_metrics_tf1(outputs, inputs):
      zero = 0.0 * tf.reduce_sum(outputs)
      return {'a': v1.metrics.mean(zero / zero), 'b': v1.metrics.mean(outputs)}

    def update_metrics_tf2(metrics, outputs, inputs):
      metrics['a'].update_state(outputs * self.value)
      metrics['b'].update_state(outputs)

    test = case(
      build_metrics_tf1=build_metrics_tf1,
      build_metrics_tf2=lambda: {
        'a': tf.keras.metrics.Mean(),
        'b': tf.keras.metrics.Mean(),
      },
      update_metrics_tf2=update_metrics_tf2,
    )
    self.value = 1.0
    message = str(self.failure(test, batches=2))
    self.assertIn('a is NaN in TF1 alone; it is 0.', message)
    self.assertNotIn('so do', message)
    self.value = float('nan')
    message = str(self.failure(test, batches=2))
    self.assertIn('batch 1 of 2: a is NaN on both sides', message)
    self.assertTrue(test.assertMetricsMatch(equal_nan=True).passed)

  def test_all_zero(self):
    test = case(
      build_metrics_tf1=lambda outputs, inputs: {
        'a': v1.metrics.mean(0.0 * outputs)
      },
      build_metrics_tf2=lambda: {'a': tf.keras.metrics.Mean()},
      update_metrics_tf2=lambda metrics, outputs, inputs: metrics[
        'a'
      ].update_state(0.0 * outputs),
    )
    message = str(self.failure(test, batches=2))
    self.assertIn('Vacuous agreement proves nothing: all metrics are', message)
    self.assertIn('allow_vacuous=True', message)
    self.assertTrue(test.assertMetricsMatch(allow_vacuous=True).passed)

  def test_other_shapes(self):
    test = case(
      build_metrics_tf1=lambda outputs, inputs: {
        'p': v1.metrics.precision_at_thresholds(
          inputs['labels'], outputs, [0.3, 0.6]
        )
      },
      build_metrics_tf2=lambda: {'p': tf.keras.metrics.Precision()},
    )
    message = str(self.failure(test))
    self.assertIn('p is float32[2] in TF1, float32[] in TF2', message)

  def test_variables_that_do_not_correspond(self):
    test = case(rename_variable=lambda name: 'other')
    message = str(self.failure(test))
    self.assertIn('Variables differ', message)

  def test_tolerance(self):
    test = case(
      build_metrics_tf2=lambda: {
        'auc': tf.keras.metrics.AUC(num_thresholds=7),
        'rmse': tf.keras.metrics.RootMeanSquaredError(),
      }
    )
    self.failure(test)
    self.assertTrue(test.assertMetricsMatch(atol=0.1).passed)


class WrongUseTest(MetricsTestCase):
  def test_methods_that_are_missing(self):
    class Neither(Case):
      build_metrics_tf1 = tf_equiv.MigrationTestCase.build_metrics_tf1

    self.assertIn(
      'Neither must define build_metrics_tf1(self, outputs, inputs)',
      self.wrong_use(Neither()),
    )

    class Nor(Case):
      build_metrics_tf2 = tf_equiv.MigrationTestCase.build_metrics_tf2

    self.assertIn('define build_metrics_tf2(self)', self.wrong_use(Nor()))

  def test_other_names(self):
    test = case(
      build_metrics_tf2=lambda: {
        'auc': tf.keras.metrics.AUC(),
        'error': tf.keras.metrics.RootMeanSquaredError(),
      }
    )
    message = self.wrong_use(test)
    self.assertIn("build_metrics_tf1 alone has 'rmse'", message)
    self.assertIn("build_metrics_tf2 alone has 'error'", message)
    self.assertNotIn('auc', message)

  @parameterized.parameters(
    ({}, 'returned no metric'),
    ([], 'returned a list'),
    ({1: (0, 0)}, 'no strings: 1'),
    ({'a': 3.0}, "a float for 'a'"),
    ({'a': (1.0, 2.0)}, "a float as the value of 'a'"),
  )
  def test_metrics_of_tf1(self, returned, expected):
    test = case(build_metrics_tf1=lambda outputs, inputs: returned)
    message = self.wrong_use(test)
    self.assertIn(expected, message)
    self.assertIn('(value, update_op)', message)

  def test_update_op(self):
    def build_metrics_tf1(outputs, inputs):
      return {'a': (tf.reduce_mean(outputs), 'update')}

    message = self.wrong_use(case(build_metrics_tf1=build_metrics_tf1))
    self.assertIn("a str as the update_op of 'a'", message)

  @parameterized.parameters(
    ({}, 'returned no metric'),
    (None, 'returned a NoneType'),
    ({'a': 1}, "a int for 'a', which has no update_state and no result"),
    ({'a': tf.keras.metrics.AUC}, "the class AUC for 'a'"),
    ({'a': 'mse'}, "the name 'mse' for 'a'. Return the metric itself"),
    ({'acc': 'accuracy'}, 'another meaning on each side: Keras takes Binary'),
  )
  def test_metrics_of_tf2(self, returned, expected):
    message = self.wrong_use(case(build_metrics_tf2=lambda: returned))
    self.assertIn(expected, message)

  def test_what_the_default_does_not_know(self):
    test = case(
      build_metrics_tf2=lambda: {
        'auc': tf.keras.metrics.AUC(),
        'rmse': tf.keras.metrics.Mean(),
      }
    )
    message = self.wrong_use(test)
    self.assertIn("'rmse' (Mean) takes values", message)
    self.assertIn('update_metrics_tf2', message)

    def make_batch(step):
      batch = Case().make_batch(step)
      return {'x': batch['x'], 'wanted': batch['labels']}

    test = case(
      make_batch=make_batch,
      build_metrics_tf1=lambda outputs, inputs: {
        'auc': v1.metrics.auc(inputs['wanted'], outputs)
      },
    )
    self.assertIn("('x', 'wanted') is known as the", self.wrong_use(test))
    test = case(
      build_tf1=lambda inputs, training: (
        [Case().build_tf1(inputs, training), inputs['x']]
      ),
      call_tf2=lambda model, inputs, training: (
        [model(inputs['x']), inputs['x']]
      ),
      build_metrics_tf1=lambda outputs, inputs: Case().build_metrics_tf1(
        outputs[0], inputs
      ),
    )
    message = self.wrong_use(test)
    self.assertIn('which of the 2 outputs (outputs[0], outputs[1])', message)

  def test_result_of_another_kind(self):
    class Odd:
      def update_state(self, y_true, y_pred):
        pass

      def result(self):
        return {'a': 1.0}

    test = case(
      build_metrics_tf1=lambda outputs, inputs: {'a': v1.metrics.mean(outputs)},
      build_metrics_tf2=lambda: {'a': Odd()},
    )
    self.assertIn("the metric 'a' (Odd) is a dict", self.wrong_use(test))

  def test_batches(self):
    for count in (0, -1, 1.5, True):
      message = self.wrong_use(case(), batches=count)
      self.assertIn('batches must be an int that is positive', message)
    made = [Case().make_batch(i) for i in range(2)]
    test = case(make_batch=lambda step: made[step])
    self.assertIn('after 2 of 5 batches', self.wrong_use(test))

  def test_where_tf1_has_no_metrics(self):
    test = case(tf1_reference=tf_equiv.FrozenGraph('a.pb', [], []))
    message = self.wrong_use(test)
    self.assertIn('cannot run metrics', message)


if __name__ == '__main__':
  absltest.main()
