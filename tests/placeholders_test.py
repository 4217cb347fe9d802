"""Placeholders that the user's constructor makes are given values by name."""

import sys

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests import placeholders_test_helper as helper

v1 = tf.compat.v1


class Migrated(tf.keras.Model):
  def __init__(self):
    super().__init__(name='net')
    self.words = self.add_weight(name='words', shape=[20, 6])
    self.out = tf.keras.layers.Dense(3, name='out')

  def call(self, inputs):
    return self.out(tf.reduce_mean(tf.gather(self.words, inputs['ids']), 1))


class Case(tf_equiv.MigrationTestCase):
  bound = helper.bound

  def make_inputs(self):
    ids = np.random.default_rng(0).integers(0, 20, (4, 7)).astype(np.int32)
    return {'ids': ids, 'labels': np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]}

  def _model(self, inputs):
    with tf_equiv.bound_placeholders(type(self).bound(inputs)):
      return helper.Classifier()

  def build_tf1(self, inputs, training):
    return self._model(inputs).logits

  def train_tf1(self, inputs):
    model = self._model(inputs)
    return {'loss': model.loss, 'op': model.train_op}

  def build_tf2(self):
    return Migrated()

  def rename_variable(self, tf1_name):
    return tf1_name if tf1_name == 'words' else 'net/' + tf1_name

  def build_tf2_optimizer(self):
    self.optimizer = tf.keras.optimizers.Adam(1e-3, epsilon=1e-8)
    return self.optimizer

  def train_tf2(self, model, inputs):
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(
        tf.nn.softmax_cross_entropy_with_logits(inputs['labels'], model(inputs))
      )
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return {'loss': loss}


def case(**changes):
  """Returns a case in which some of the values are others."""

  class Changed(Case):
    def bound(inputs):  # noqa: N805
      return {**helper.bound(inputs), **changes}

  return Changed()


class BoundPlaceholdersTest(parameterized.TestCase):
  def test_a_model_with_its_train_op(self):
    found = Case()
    self.assertLen(found.assertVariablesMatch().table.pairs, 3)
    self.assertTrue(found.assertForwardEquivalent().passed)
    self.assertTrue(found.assertGradientsClose().passed)
    verdict = found.assertTrainingEquivalent(steps=2, weights='fixed')
    self.assertTrue(verdict.passed)

  def test_a_train_op_that_is_not_run(self):
    class Anew(Case):
      train_tf1 = tf_equiv.MigrationTestCase.train_tf1
      train_tf2 = tf_equiv.MigrationTestCase.train_tf2

      def compute_loss(self, outputs, inputs):
        return tf.reduce_mean(
          tf.nn.softmax_cross_entropy_with_logits(inputs['labels'], outputs)
        )

      def build_tf1_optimizer(self):
        return v1.train.AdamOptimizer(1e-3)

    verdict = Anew().assertTrainingEquivalent(steps=2, weights='fixed')
    self.assertTrue(verdict.passed)
    self.assertIn('6 slots (first moment)', verdict.summary)
    self.assertNotIn('not compared', verdict.summary)

  def test_another_value_that_is_fed(self):
    with self.assertRaises(AssertionError) as caught:
      case(scale=2.0).assertForwardEquivalent()
    self.assertStartsWith(str(caught.exception), 'Outputs differ')

  @parameterized.parameters(
    (
      {'idz': 1},
      "given 'idz', but there is no placeholder of that name: the code made "
      "'feed/ids'",
    ),
    (
      {'ids': np.zeros((4, 8), np.int32)},
      "a value int32\\[4,8\\] for the placeholder 'feed/ids' "
      r'\(int32\[\?,7\]\)',
    ),
    (
      {'ids': np.zeros((4, 7), np.float32)},
      r"cannot give the placeholder 'feed/ids' \(int32\[\?,7\]\) the value",
    ),
    ({'scale': None}, r"values\['scale'\] must be a tensor or an array"),
  )
  def test_what_does_not_fit(self, changes, regex):
    with self.assertRaisesRegex(tf_equiv.UsageError, regex):
      case(**changes).assertForwardEquivalent()

  def test_a_tensor_of_another_dtype(self):
    with tf.Graph().as_default():
      values = {'x': v1.placeholder(tf.float64, [2])}
      with self.assertRaisesRegex(
        tf_equiv.UsageError, r"float64\[2\] for the placeholder 'x'"
      ):
        with tf_equiv.bound_placeholders(values):
          v1.placeholder(tf.float32, [None], name='x')

  def test_what_nothing_feeds(self):
    found = Case()
    type(found).bound = staticmethod(
      lambda inputs: {'ids': inputs['ids'], 'labels': inputs['labels']}
    )
    try:
      with self.assertRaisesRegex(
        tf_equiv.UsageError, "placeholders that nothing feeds: 'feed/scale'"
      ):
        found.assertForwardEquivalent()
    finally:
      Case.bound = helper.bound

  def test_names(self):
    with tf.Graph().as_default():
      with tf_equiv.bound_placeholders({'a/x': 1.0, 'x': 2.0, 'flag': True}):
        with tf.name_scope('a'):
          first = v1.placeholder(tf.float32, [], name='x')
        second = v1.placeholder(tf.float32, name='x')
        flag = v1.placeholder_with_default(False, [], name='flag')
        other = v1.placeholder_with_default(5.0, [], name='other')
      with v1.Session() as session:
        self.assertEqual(
          session.run([first, second, flag, other]), [1.0, 2.0, True, 5.0]
        )
      self.assertEqual(first.name, 'a/x:0')
      outside = v1.placeholder(tf.float32, name='x')
      self.assertEqual(outside.op.type, 'Placeholder')

  def test_two_of_a_name(self):
    with (
      tf.Graph().as_default(),
      self.assertRaisesRegex(
        tf_equiv.UsageError, "the name of two placeholders, 'a/x' and 'b/x'"
      ),
    ):
      with tf_equiv.bound_placeholders({'x': 1.0}):
        for scope in ('a', 'b'):
          with tf.name_scope(scope):
            v1.placeholder(tf.float32, name='x')

  def test_sparse(self):
    with tf.Graph().as_default():
      value = tf.sparse.from_dense([[0.0, 1.0], [2.0, 0.0]])
      with tf_equiv.bound_placeholders({'x': value}):
        found = v1.sparse_placeholder(tf.float32, name='x')
      with v1.Session() as session:
        dense = session.run(tf.sparse.to_dense(found))
    self.assertEqual(dense.tolist(), [[0.0, 1.0], [2.0, 0.0]])

  def test_outside_of_a_graph(self):
    with self.assertRaisesRegex(tf_equiv.UsageError, 'there is no graph'):
      with tf_equiv.bound_placeholders({}):
        pass

  def test_in_another_interpreter(self):
    class Elsewhere(Case):
      tf1_reference = tf_equiv.Tf1Interpreter(
        'placeholders_test_helper:Legacy',
        python=sys.executable,
        sys_path=[helper.FOLDER],
      )

    self.addCleanup(Elsewhere.tf1_reference.close)
    self.assertTrue(Elsewhere().assertForwardEquivalent().passed)


if __name__ == '__main__':
  absltest.main()
