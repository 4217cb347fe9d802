"""Exports made by TF 1.15.5, compared with the migrated model."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references import exported_test_helper as helper
from tf_equiv.core import errors

v1 = tf.compat.v1

_OUTPUTS = {'logits': 'net/logits/BiasAdd', 'probabilities': 'probabilities:0'}


def serving(**members):
  """The SavedModel."""
  members.setdefault('inputs', 'images')
  return tf_equiv.SavedModel(helper.data_path('serving'), **members)


def classifier(**members):
  """The MetaGraph, with its checkpoint."""
  return tf_equiv.MetaGraph(
    helper.data_path('classifier.ckpt.meta'),
    **{
      'checkpoint': helper.data_path('classifier.ckpt'),
      'inputs': 'images',
      'outputs': _OUTPUTS,
      'training_feeds': {'is_training': True},
      **members,
    },
  )


def frozen(name='frozen.pb', **members):
  """A frozen graph."""
  return tf_equiv.FrozenGraph(
    helper.data_path(name), inputs='images', outputs='probabilities', **members
  )


def trained(reference, epsilon=1e-5, rate=0.01, **members):
  """A test case that trains, on batches with labels."""

  def make_batch(self, step):
    del self
    return {'x': helper.images(8, step), 'labels': helper.labels(8, step)}

  def compute_loss_tf2(self, outputs, inputs):
    del self
    return v1.losses.sparse_softmax_cross_entropy(
      inputs['labels'], outputs['logits']
    )

  def build_tf2_optimizer(self):
    del self
    schedule = tf.keras.optimizers.schedules.ExponentialDecay(rate, 10, 0.5)
    return tf.keras.optimizers.Adam(schedule, epsilon=epsilon)

  return helper.case(
    reference,
    make_batch=make_batch,
    make_inputs=lambda self: self.make_batch(0),
    call_tf2=lambda self, model, inputs, training: model(
      inputs['x'], training=training
    ),
    compute_loss_tf2=compute_loss_tf2,
    build_tf2_optimizer=build_tf2_optimizer,
    **members,
  )


def training(**members):
  """The MetaGraph with labels, for training."""
  return classifier(
    inputs={'x': 'images', 'labels': 'labels'}, loss='total_loss', **members
  )


class PassTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('saved_model', serving), ('meta_graph', classifier)
  )
  def test_all_steps(self, reference):
    case = helper.case(reference())
    self.assertEqual(case.assertVariablesMatch().compared['variables'], 8)
    verdict = case.assertForwardEquivalent()
    self.assertEqual(verdict.compared['outputs'], 2)
    self.assertEqual(verdict.compared['regularization losses'], 1)
    for mode in tf_equiv.SEED_MODES:
      verdict = case.assertForwardEquivalent(seed_mode=mode[1])
      self.assertEqual(verdict.compared['weights'], 8)
    verdict = case.assertGradientsClose(training=False)
    self.assertEqual(verdict.compared['gradients'], 6)

  @parameterized.parameters('constant', 'num_random_ops')
  def test_training_forward(self, seed_mode):
    case = helper.case(classifier())
    verdict = case.assertTrainingEquivalent(seed_mode=seed_mode)
    self.assertEqual(verdict.compared['updated variables'], 2)
    case.assertTrainingEquivalent(seed_mode=seed_mode, weights='fixed')
    case.assertGradientsClose()

  def test_training_steps(self):
    verdict = trained(training()).assertTrainingEquivalent(steps=3)
    self.assertEqual(verdict.compared['gradients'], 18)
    self.assertEqual(verdict.compared['slots (first moment)'], 18)
    self.assertEqual(verdict.compared['step counter'], 3)
    self.assertEqual(verdict.compared['learning rate'], 3)
    self.assertIn(
      "training steps: the train op 'train' of the graph", verdict.notes
    )
    trained(training()).assertTrainingEquivalent(
      steps=2, weights='fixed', seed_mode='constant'
    )

  @parameterized.parameters('frozen.pb', 'frozen_resource.pb')
  def test_frozen(self, name):
    case = helper.case(frozen(name), 'probabilities', changes={'scale': 0.0})
    verdict = case.assertVariablesMatch()
    self.assertEqual(verdict.compared['variables'], 8)
    self.assertIn(
      'not compared: trainable flags and regularization losses, which the '
      'export does not have',
      verdict.summary,
    )
    case.assertForwardEquivalent()
    verdict = case.assertGradientsClose(training=False)
    self.assertEqual(verdict.compared['gradients'], 6)

  def test_weights_are_those_of_the_export(self):
    reader = tf.train.load_checkpoint(helper.data_path('classifier.ckpt'))
    for reference in (serving(), classifier(), frozen()):
      case = helper.case(reference)
      plan = case._make_plan()
      found = reference.run(case._tf1_program(), plan).observation.weight_of()
      self.assertLen(found, 8)
      for name, value in found.items():
        np.testing.assert_array_equal(value, reader.get_tensor(name))

  def test_overridden_reset_weights(self):
    for reference in (serving(), classifier(), frozen()):
      case = helper.case(
        reference, reset_weights=tf_equiv.constant_weights(0.25)
      )
      plan = case._make_plan()
      found = reference.run(case._tf1_program(), plan).observation.weights
      self.assertLen(found, 8)
      for value in found:
        self.assertTrue(np.all(value == 0.25))

  def test_checkpoint(self):
    case = helper.case(classifier(checkpoint=None))
    verdict = case.assertCheckpointEquivalent(
      helper.data_path('classifier.ckpt')
    )
    self.assertEqual(verdict.compared['outputs'], 2)

  def test_inputs_as_in_the_signature(self):
    case = helper.case(
      serving(inputs=None, outputs=['probabilities', 'logits']),
      make_inputs=lambda self: {'images': helper.images()},
      call_tf2=lambda self, model, inputs, training: [
        model(inputs['images'])[name] for name in ('probabilities', 'logits')
      ],
    )
    case.assertForwardEquivalent()

  def test_intermediate_tensor_as_input(self):
    inside = np.random.default_rng(0).random((4, 64), np.float32)
    reference = tf_equiv.FrozenGraph(
      helper.data_path('frozen.pb'), 'net/flatten/Reshape', 'net/logits/BiasAdd'
    )
    case = helper.case(
      reference,
      make_inputs=lambda self: inside,
      build_tf2=lambda self: tf.keras.Sequential(
        [tf.keras.layers.Dense(3, name='net/logits')]
      ),
      ignored_variables=('net/conv', 'net/bn'),
    )
    case.assertForwardEquivalent()

  def test_close_and_run_again(self):
    reference = serving()
    case = helper.case(reference)
    case.assertForwardEquivalent()
    reference.close()
    case.assertForwardEquivalent()

  def test_printed_and_compared(self):
    self.assertEqual(
      repr(tf_equiv.SavedModel('a/b', outputs='y')),
      "SavedModel(export_dir='a/b', outputs='y')",
    )
    self.assertEqual(
      repr(tf_equiv.MetaGraph('m.meta', 'm', inputs={'x': 'x:0'})),
      "MetaGraph(path='m.meta', checkpoint='m', inputs={'x': 'x:0'})",
    )
    self.assertEqual(
      repr(tf_equiv.FrozenGraph('f.pb', 'x', 'y', variables=('w',))),
      "FrozenGraph(path='f.pb', inputs='x', outputs='y', variables=('w',))",
    )
    self.assertEqual(tf_equiv.SavedModel('a'), tf_equiv.SavedModel('a'))
    self.assertNotEqual(tf_equiv.SavedModel('a'), tf_equiv.SavedModel('b'))


class FaultTest(parameterized.TestCase):
  """Faults in the migrated model are found, and named by op."""

  def failure(self, run, *args, **kwargs):
    with self.assertRaises(AssertionError) as caught:
      run(*args, **kwargs)
    return str(caught.exception)

  @parameterized.named_parameters(
    ('saved_model', serving, None, 'net/bn/FusedBatchNormV3'),
    ('meta_graph', classifier, None, 'net/bn/cond/FusedBatchNormV3_1'),
    ('frozen', frozen, 'probabilities', 'net/bn/FusedBatchNormV3'),
  )
  def test_epsilon(self, reference, head, op):
    case = helper.case(reference(), head, changes={'epsilon': 1e-5})
    message = self.failure(case.assertForwardEquivalent)
    self.assertStartsWith(message, 'Outputs differ: ')
    self.assertIn('TF1 %s (FusedBatchNormV3)\n' % op, message)
    self.assertIn('    epsilon: TF1 0.001, TF2 1e-05\n', message)
    self.assertIn("  TF1: %s '" % _TITLES[type(reference())], message)
    self.assertIn(
      'Next: The epsilon of the normalization is 0.001 in TF1 and 1e-05 in TF2',
      message,
    )

  def test_missing_bias(self):
    for reference in (serving(), classifier(), frozen()):
      case = helper.case(
        reference,
        'probabilities' if reference.outputs == 'probabilities' else None,
        changes={'bias': False},
      )
      message = self.failure(case.assertVariablesMatch)
      self.assertStartsWith(message, 'Variables differ: 1 missing in TF2')
      self.assertIn('net/logits/bias', message)

  def test_regularization(self):
    case = helper.case(serving(), changes={'scale': 2e-3})
    message = self.failure(case.assertForwardEquivalent)
    self.assertStartsWith(message, 'Regularization losses differ: ')

  def test_dropout_rate(self):
    case = helper.case(classifier(), changes={'rate': 0.5})
    message = self.failure(case.assertTrainingEquivalent)
    self.assertStartsWith(message, 'Outputs differ: ')
    self.assertIn('net/dropout/cond/dropout/GreaterEqual', message)
    self.assertIn('TF1 0.25, TF2 0.5', message)

  def test_momentum_of_moving_statistics(self):
    case = helper.case(classifier(), changes={'momentum': 0.9})
    message = self.failure(case.assertTrainingEquivalent)
    self.assertStartsWith(
      message, 'Variables updated by the forward pass differ: 2 of 2'
    )

  def test_epsilon_of_the_optimizer(self):
    message = self.failure(
      trained(training(), epsilon=1e-7).assertTrainingEquivalent, steps=2
    )
    self.assertStartsWith(
      message, 'Training diverges at step 1 of 2 in the variables: 5 of 6'
    )
    self.assertIn('  epsilon: AdamOptimizer 9.99', message)

  def test_learning_rate(self):
    message = self.failure(
      trained(training(), rate=0.011).assertTrainingEquivalent, steps=1
    )
    self.assertStartsWith(
      message,
      'Training diverges at step 1 of 1 in learning rate of AdamOptimizer',
    )

  def test_momentum_in_steps(self):
    case = trained(training(), changes={'momentum': 0.9})
    message = self.failure(case.assertTrainingEquivalent, steps=1)
    self.assertStartsWith(
      message, 'Training diverges at step 1 of 1 in the variables that are not '
    )
    self.assertIn("TF2's change in this step is 10 times that of TF1", message)

  def test_regularizer_missing_in_the_loss(self):
    case = trained(training(), changes={'scale': 0.0})
    message = self.failure(case.assertTrainingEquivalent, steps=1)
    self.assertStartsWith(
      message, 'Training diverges at step 1 of 1 in the regu'
    )

  def test_serving_graph_in_training(self):
    case = helper.case(serving())
    message = self.failure(case.assertTrainingEquivalent)
    self.assertIn(
      'the exported graph was run in training as it is: no training_feeds were '
      'given',
      message,
    )

  def test_regularizers_beside_a_frozen_graph(self):
    case = helper.case(frozen(), 'probabilities')
    message = self.failure(case.assertGradientsClose, training=False)
    self.assertIn(
      'the loss of TF1 has no regularization losses, which a frozen graph does '
      'not have: build the TF2 model without them here',
      message,
    )


_TITLES = {
  tf_equiv.SavedModel: 'SavedModel',
  tf_equiv.MetaGraph: 'MetaGraph',
  tf_equiv.FrozenGraph: 'frozen graph',
}


class UnusablePlanTest(absltest.TestCase):
  def test_frozen_weights_cannot_be_drawn(self):
    case = helper.case(frozen(), 'probabilities')
    with self.assertRaisesRegex(
      errors.UsageError,
      r"(?s)frozen graph .* has no initializers, .*Use weights='fixed' ",
    ):
      case.assertForwardEquivalent(seed_mode='constant')

  def test_frozen_graph_cannot_be_trained(self):
    case = trained(
      tf_equiv.FrozenGraph(
        helper.data_path('frozen.pb'), {'x': 'images'}, 'probabilities'
      ),
      'probabilities',
    )
    with self.assertRaisesRegex(
      errors.UsageError, r'(?s)frozen graph .* cannot be trained: .*MetaGraph'
    ):
      case.assertTrainingEquivalent(steps=1, weights='fixed')

  def test_no_train_op(self):
    case = helper.case(
      serving(), build_tf2_optimizer=lambda self: tf.keras.optimizers.SGD(0.1)
    )
    with self.assertRaisesRegex(
      errors.UsageError, r'must define build_tf1_optimizer'
    ):
      case.assertTrainingEquivalent(steps=1)


if __name__ == '__main__':
  absltest.main()
