"""A `model_fn` is called as an Estimator calls it; metrics are those after."""

import collections
import functools
import os
import subprocess
import sys
import tempfile
import textwrap

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references import tf115
from tf_equiv.core import errors
from tf_equiv.tf1 import estimators

v1 = tf.compat.v1

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


def spec(mode, **members):
  """An EstimatorSpec, made as legacy code makes it."""
  return tf.compat.v1.estimator.EstimatorSpec(mode, **members)


class SignatureTest(parameterized.TestCase):
  def call(self, model_fn, inputs=None, mode='eval', **members):
    with tf.Graph().as_default():
      inputs = (
        (tf.constant(1.0), tf.constant(2.0)) if inputs is None else inputs
      )
      return estimators.ModelFn(model_fn, **members).call(inputs, mode)

  def test_all_arguments(self):
    given = {}

    def model_fn(features, labels, mode, params, config):
      given.update(
        features=features,
        labels=labels,
        mode=mode,
        params=params,
        config=config,
      )
      params['changed'] = True
      return spec(mode, predictions=features)

    params = {'units': 3}
    self.call(model_fn, params=params, config='config')
    self.assertEqual(given['mode'], 'eval')
    self.assertEqual(given['config'], 'config')
    self.assertEqual(params, {'units': 3})  # A copy is given.

  def test_few_arguments(self):
    self.call(lambda features, mode: spec(mode), tf.constant(1.0), 'infer')
    self.call(lambda features, labels, mode: spec(mode))
    self.call(lambda features, labels, **kw: spec(kw['mode']), params={'a': 1})
    self.call(
      functools.partial(
        lambda features, labels, mode, extra: spec(mode), extra=3
      )
    )

  def test_no_labels_in_prediction(self):
    found = []

    def model_fn(features, labels, mode):
      found.append((features, labels))
      return spec(mode, predictions=1)

    self.call(model_fn, mode='infer')
    self.assertIsNone(found[0][1])
    self.call(model_fn, {'features': {'x': 1}, 'labels': 2}, mode='infer')
    self.assertEqual(found[1], ({'x': 1}, None))
    # Any other dict is the features.
    self.call(model_fn, {'features': 1, 'more': 2}, mode='infer')
    self.assertEqual(found[2], ({'features': 1, 'more': 2}, None))

  @parameterized.parameters(
    (3, {}, 'model_fn is 3; expected a function'),
    (
      lambda features: 0,
      {'params': {}},
      r'params were given, but model_fn takes \(features\) and no params',
    ),
    (
      lambda features, keep_prob: 0,
      {},
      r'model_fn takes \(features, keep_prob\); expected features, and any of',
    ),
    (lambda: 0, {}, r'model_fn takes \(\); expected features'),
    (
      lambda features: 0,
      {'mode': 'predict'},
      "mode is 'predict'; expected 'train', 'eval' or 'infer'",
    ),
  )
  def test_wrong_arguments(self, model_fn, members, message):
    with self.assertRaisesRegex(errors.UsageError, message):
      estimators.ModelFn(model_fn, **members)

  def test_labels(self):
    with self.assertRaisesRegex(
      errors.UsageError, "in mode 'train', which needs labels: make_inputs must"
    ):
      self.call(
        lambda features, labels, mode: spec(mode), tf.constant(1.0), 'train'
      )
    with self.assertRaisesRegex(
      errors.UsageError, r'takes \(features, mode\) and no labels'
    ):
      self.call(lambda features, mode: spec(mode))

  def test_no_spec(self):
    with self.assertRaisesRegex(
      errors.UsageError,
      "model_fn returned a NoneType in mode 'eval', which has no predictions, "
      'loss, train_op, eval_metric_ops; expected an EstimatorSpec.',
    ):
      self.call(lambda features, labels, mode: None)

  def test_any_spec(self):
    # What another library calls an EstimatorSpec.
    kind = collections.namedtuple(
      'Spec', 'predictions loss train_op eval_metric_ops'
    )
    found = self.call(lambda features, labels, mode: kind(1, 2, 3, 4))
    self.assertEqual(found.loss, 2)

  def test_tpu_spec(self):
    def model_fn(features, labels, mode):
      def metric_fn(labels, predictions):
        return {'mean': v1.metrics.mean(labels - predictions)}

      return tf.compat.v1.estimator.tpu.TPUEstimatorSpec(
        mode,
        loss=features,
        eval_metrics=(metric_fn, [labels, features]),
        scaffold_fn=None,
      )

    self.assertEqual(list(self.call(model_fn).eval_metric_ops), ['mean'])

  def test_package_is_gone_again(self):
    seen = []

    def model_fn(features, labels, mode):
      seen.append(tf.estimator.ModeKeys.PREDICT)
      exported = tf.estimator.export.PredictOutput({'y': features})
      return tf.estimator.EstimatorSpec(
        mode, predictions=features, export_outputs={'y': exported}
      )

    had = hasattr(tf, 'estimator')
    self.call(model_fn)
    self.assertEqual(seen, ['infer'])
    self.assertEqual(hasattr(tf, 'estimator'), had)
    with self.assertRaises(ZeroDivisionError):
      self.call(lambda features, labels, mode: 1 / 0)
    self.assertEqual(hasattr(tf, 'estimator'), had)

  def test_no_predictions(self):
    model = estimators.ModelFn(lambda features, labels, mode: spec(mode))
    with tf.Graph().as_default():
      with self.assertRaisesRegex(
        errors.UsageError, "model_fn returned no predictions in mode 'infer'"
      ):
        model.build_tf1((tf.constant(1.0), None), False)
      for name, members in (('loss', {}), ('train_op', {'loss': 1})):
        model = estimators.ModelFn(
          lambda features, labels, mode, m=members: spec(mode, **m)
        )
        with self.assertRaisesRegex(
          errors.UsageError, "model_fn returned no %s in mode 'train'" % name
        ):
          model.train_tf1((tf.constant(1.0), tf.constant(1.0)))

  def test_printed(self):
    def model_fn(features):
      return features

    self.assertEqual(
      repr(estimators.ModelFn(model_fn, mode='eval')),
      "from_model_fn(model_fn, mode='eval')",
    )


def _metrics():
  labels = tf.constant([0, 1, 2, 1, 0, 2, 2, 1])
  guesses = tf.constant([0, 1, 1, 1, 2, 2, 0, 1])
  scores = tf.constant([0.1, 0.9, 0.4, 0.6, 0.3, 0.8, 0.2, 0.7])
  positive = tf.cast(labels > 0, tf.float32)
  return {
    'accuracy': v1.metrics.accuracy(labels, guesses),
    'auc': v1.metrics.auc(positive, scores),
    'mean': v1.metrics.mean(scores),
    'mean_iou': v1.metrics.mean_iou(labels, guesses, 3),
    'mean_per_class': v1.metrics.mean_per_class_accuracy(labels, guesses, 3),
    'precision': v1.metrics.precision(labels > 0, guesses > 0),
    'recall_at_k': v1.metrics.recall_at_k(
      tf.cast(labels, tf.int64), tf.random.normal([8, 3], seed=1), 2
    ),
    'root_mean_squared_error': v1.metrics.root_mean_squared_error(
      positive, scores
    ),
    'sensitivity': v1.metrics.sensitivity_at_specificity(positive, scores, 0.5),
  }


class MetricsTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_value_after_update(self, resource):
    if resource:
      v1.enable_resource_variables()
    else:
      v1.disable_resource_variables()
    self.addCleanup(v1.enable_resource_variables)
    with tf.Graph().as_default() as graph:
      v1.set_random_seed(1)
      metrics = _metrics()
      after = {
        name: estimators.after_update(metric, name)
        for name, metric in metrics.items()
      }
      with v1.Session(graph=graph) as session:
        session.run(v1.local_variables_initializer())
        session.run({name: update for name, (_, update) in metrics.items()})
        expected = session.run({name: v for name, (v, _) in metrics.items()})
      with v1.Session(graph=graph) as session:
        session.run(v1.local_variables_initializer())
        before = session.run({name: v for name, (v, _) in metrics.items()})
      with v1.Session(graph=graph) as session:
        session.run(v1.local_variables_initializer())
        found = session.run(after)
    self.assertLen(found, 9)
    changed = 0
    for name, value in expected.items():
      np.testing.assert_allclose(found[name], value, 1e-6, err_msg=name)
      changed += not np.array_equal(before[name], value)
    self.assertEqual(changed, 9)

  def test_keras_metric(self):
    with tf.Graph().as_default() as graph:
      metric = tf.keras.metrics.Mean()
      metric.update_state(tf.constant([1.0, 3.0]))
      value = estimators.after_update(metric, 'mean')
      with v1.Session(graph=graph) as session:
        session.run([v.initializer for v in metric.variables])
        self.assertEqual(session.run(value), 2.0)

  def test_no_metric(self):
    with self.assertRaisesRegex(
      errors.UsageError, r"eval_metric_ops has 3 under 'x'; expected \(value, "
    ):
      estimators.after_update(3, 'x')


# Real Estimator code, run by real TensorFlow 1.15.
_REAL = """
import sys, types
package = types.ModuleType('tf_equiv')
package.__path__ = [sys.argv[1] + '/tf_equiv']
sys.modules['tf_equiv'] = package
import numpy as np
import tensorflow as tf
from tf_equiv.tf1 import estimators, plan, program, runner, training

def model_fn(features, labels, mode, params):
  logits = tf.layers.dense(features, params['units'], name='dense')
  if mode == tf.estimator.ModeKeys.PREDICT:
    return tf.estimator.EstimatorSpec(mode, predictions={'logits': logits})
  loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
  metrics = {'accuracy': tf.metrics.accuracy(labels, tf.argmax(logits, 1))}
  op = tf.train.AdamOptimizer(0.1).minimize(loss, tf.train.get_global_step())
  return tf.estimator.EstimatorSpec(
    mode, predictions={'logits': logits}, loss=loss, train_op=op,
    eval_metric_ops=metrics)

inputs = (
  np.random.RandomState(0).normal(size=(6, 4)).astype('f'),
  np.array([0, 1, 2, 2, 1, 0]))
for mode in (None, 'eval'):
  model = estimators.ModelFn(model_fn, {'units': 3}, mode)
  code = program.Program(build=model.build_tf1, train=model.train_tf1)
  found = runner.run(code, plan.RunPlan(inputs))
  print([s.name for s in found.variables], [p for p, _ in found.outputs])
  print(['%.5f' % np.sum(v) for _, v in found.outputs])
found = training.run(
  code, plan.RunPlan(inputs, training=True, batches=(inputs, inputs)))
print(['%.5f' % s.outputs[0][1] for s in found.steps])
print(found.steps[1].updates[0].step, sorted(found.steps[1].slots))
"""


class RealEstimatorTest(absltest.TestCase):
  @tf115.needed
  def test_same_as_here(self):
    printed = []
    # tf.layers and others are those of compat.v1 here.
    here = 'import tensorflow\ntensorflow.compat.v1.disable_v2_behavior()\n'
    here += _REAL.replace(
      'import tensorflow as tf', 'import tensorflow.compat.v1 as tf'
    )
    for python, code in ((tf115.PYTHON, _REAL), (sys.executable, here)):
      with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'real.py')
        with open(path, 'w', encoding='utf-8') as file:
          file.write(textwrap.dedent(code))
        found = subprocess.run(
          [python, path, _ROOT],
          env={**os.environ, 'TF_USE_LEGACY_KERAS': '1'},
          capture_output=True,
          text=True,
          check=False,
        )
      self.assertEqual(found.returncode, 0, found.stderr[-2000:])
      printed.append(found.stdout.splitlines())
    self.assertEqual(printed[0], printed[1])
    self.assertEqual(
      printed[0][0], "['dense/kernel', 'dense/bias'] [\"['logits']\"]"
    )
    self.assertIn("['metrics']['accuracy']", printed[0][2])
    self.assertEqual(printed[0][-1], "2 ['first moment', 'second moment']")


if __name__ == '__main__':
  absltest.main()
