import itertools
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl import flags
from absl.testing import absltest, flagsaver, parameterized

v1 = tf.compat.v1
RATE = 0.5
_UNITS = flags.DEFINE_integer('in_process_test_units', 3, 'Number of units.')


def scaled(net):
  return 2.0 * net


def network(inputs, training):
  net = v1.layers.dense(inputs, 8, name='hidden')
  net = v1.layers.batch_normalization(net, training=training, name='norm')
  net = v1.layers.dropout(net, RATE, training=training)
  return scaled(v1.layers.dense(net, 3, name='logits'))


class Net(tf.keras.layers.Layer):
  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    return network(inputs, bool(training))


class Case(tf_equiv.MigrationTestCase):
  def runTest(self):
    """The case is used without a runner."""

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return network(inputs, training)

  def build_tf2(self):
    return Net()


def _counted(cls):
  """Returns a subclass whose `reference` counts the builds."""
  builds = []

  class Counted(cls):
    tf1_reference = tf_equiv.InProcess()

  original = tf_equiv.tf1.graph.build

  def build(program, plan):
    builds.append(plan.training)
    return original(program, plan)

  return Counted, builds, mock.patch.object(tf_equiv.tf1.graph, 'build', build)


_STEPS = (
  ('assertNoNewVariables', {}),
  ('assertVariablesMatch', {}),
  ('assertForwardEquivalent', {}),
  ('assertForwardEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertForwardEquivalent', {'seed_mode': 'constant'}),
  ('assertTrainingEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertTrainingEquivalent', {'seed_mode': 'constant'}),
  ('assertGradientsClose', {'seed_mode': 'constant'}),
  ('assertGradientsClose', {'seed_mode': 'num_random_ops', 'inputs': True}),
)


def values_of(verdict):
  """All numbers of a verdict, and what else must not depend on the order."""
  return (
    verdict.summary.rsplit(';', 1)[0],
    verdict.compared,
    [
      (group, c.name, c.difference, c.tf1_value, c.tf2_value, c.count)
      for group, pairs in verdict.comparisons.items()
      for c in pairs
    ],
  )


def run(case, step):
  name, arguments = step
  return repr(values_of(getattr(case, name)(**arguments)))


class SharingTest(parameterized.TestCase):
  def test_builds_one_graph_for_each_training_flag(self):
    cls, builds, counting = _counted(Case)
    with counting:
      for step in _STEPS:
        run(cls(), step)  # Another instance each, as a runner makes them.
    self.assertEqual(builds, [False, True])

  def test_what_a_test_notes_in_itself_does_not_matter(self):
    cls, builds, counting = _counted(Case)
    case = cls()
    with counting:
      for step in _STEPS:
        run(case, step)
    self.assertEqual(builds, [False, True])

  def test_without_sharing(self):
    cls, builds, counting = _counted(Case)
    cls.tf1_reference = tf_equiv.InProcess(share_graphs=False)
    with counting:
      for step in _STEPS[1:4]:
        run(cls(), step)
    self.assertEqual(builds, [False, False, False])

  def test_classes_share_what_needs_nothing_of_them(self):
    def largest(outputs, inputs):
      del inputs
      return tf.reduce_max(outputs)

    class First(Case):
      build_tf1 = staticmethod(network)
      compute_loss = staticmethod(largest)

    cls, builds, counting = _counted(First)

    class Second(cls):
      def make_inputs(self):
        return 2.0 * super().make_inputs()

    class Third(Second):
      def build_tf1(self, inputs, training):
        return network(inputs, training)

    with counting:
      cls().assertForwardEquivalent()
      alone = run(Second(), _STEPS[-2])
      self.assertEqual(builds, [False, True])
      cls().assertGradientsClose()
      Second().assertForwardEquivalent()
      self.assertEqual(builds, [False, True])
      Third().assertForwardEquivalent()
      self.assertEqual(builds, [False, True, False])
    Second.tf1_reference = tf_equiv.InProcess(share_graphs=False)
    self.assertEqual(run(Second(), _STEPS[-2]), alone)

  def test_every_order_gives_what_each_gives_alone(self):
    alone = {}
    for i, step in enumerate(_STEPS):
      cls, _, _ = _counted(Case)
      cls.tf1_reference = tf_equiv.InProcess(share_graphs=False)
      alone[i] = run(cls(), step)
    for shift, turned in itertools.product((0, 4), (False, True)):
      order = [(i * (shift + 1) + shift) % 9 for i in range(9)]
      order = list(dict.fromkeys(order + list(range(9))))
      cls, _, _ = _counted(Case)
      for i in order[::-1] if turned else order:
        self.assertEqual(run(cls(), _STEPS[i]), alone[i], (order, i))

  def test_a_difference_is_found_whatever_ran_before(self):
    class Changing(Case):
      tf1_reference = tf_equiv.InProcess()
      factor = 2.0

      def build_tf1(self, inputs, training):
        return self.factor / 2.0 * network(inputs, training)

    case = Changing()
    case.assertForwardEquivalent()
    case.factor = 3.0
    with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
      case.assertForwardEquivalent()
    case.factor = 2.0
    case.assertForwardEquivalent()
    with mock.patch.object(Changing, 'factor', 4.0):
      with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
        Changing().assertForwardEquivalent()

  def test_a_replaced_function_is_seen(self):
    class Patched(Case):
      tf1_reference = tf_equiv.InProcess()

      def build_tf2(self):
        return Net()

      def call_tf2(self, model, inputs, training):
        with mock.patch(__name__ + '.scaled', lambda net: 2.0 * net):
          return model(inputs, training=training)

    case = Patched()
    case.assertForwardEquivalent()
    with mock.patch(__name__ + '.scaled', lambda net: 2.5 * net):
      with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
        case.assertForwardEquivalent()
    case.assertForwardEquivalent()

  def test_a_constant_of_a_module_is_seen(self):
    cls, builds, counting = _counted(Case)
    with counting:
      cls().assertTrainingEquivalent()
      with mock.patch(__name__ + '.RATE', 0.75):
        cls().assertTrainingEquivalent()
    self.assertEqual(builds, [True, True])

  def test_a_flag_is_seen(self):
    class Flagged(Case):
      def build_tf1(self, inputs, training):
        return v1.layers.dense(inputs, _UNITS.value, name='a')

      def build_tf2(self):
        return tf.keras.layers.Dense(_UNITS.value, name='a')

    cls, builds, counting = _counted(Flagged)
    if not flags.FLAGS.is_parsed():  # By other runners than absltest.
      flags.FLAGS.mark_as_parsed()
      self.addCleanup(flags.FLAGS.unparse_flags)
    with counting:
      cls().assertForwardEquivalent()
      with flagsaver.flagsaver(in_process_test_units=4):
        cls().assertForwardEquivalent()
    self.assertEqual(builds, [False, False])

  def test_code_that_changes_what_it_reads_is_not_shared(self):
    class Counting(Case):
      count = 0

      def build_tf1(self, inputs, training):
        type(self).count += 1
        return network(inputs, training) + 0.0 * self.count

    cls, builds, counting = _counted(Counting)
    with counting:
      cls().assertForwardEquivalent()
      cls().assertForwardEquivalent()
    self.assertLen(builds, 2)

  def test_tensors_kept_in_the_test_case(self):
    class Keeping(Case):
      def build_tf1(self, inputs, training):
        self.kept = network(inputs, training)
        return self.kept

      def compute_loss_tf1(self, outputs, inputs):
        return tf.reduce_mean(tf.square(self.kept))

      def compute_loss_tf2(self, outputs, inputs):
        return tf.reduce_mean(tf.square(outputs))

    cls, builds, counting = _counted(Keeping)
    with counting:
      cls().assertForwardEquivalent(training=True, compare_updates=False)
      cls().assertGradientsClose()
    self.assertEqual(builds, [True, True])

  def test_a_generator_is_never_shared(self):
    class Drawing(Case):
      rng = np.random.default_rng(0)

      def build_tf1(self, inputs, training):
        return network(inputs, training) + 0.0 * self.rng.normal()

    cls, builds, counting = _counted(Drawing)
    with counting:
      cls().assertForwardEquivalent()
      cls().assertForwardEquivalent()
    self.assertLen(builds, 2)

  def test_graphs_are_released_when_the_class_ends(self):
    cls, _, _ = _counted(Case)
    cls().assertForwardEquivalent()
    self.assertLen(cls.tf1_reference._graphs, 1)
    cls.tearDownClass()
    self.assertEmpty(cls.tf1_reference._graphs)

  def test_wrong_reference(self):
    class Wrong(Case):
      tf1_reference = tf_equiv.InProcess

    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'tf1_reference is <class .*InProcess.*\(\) for'
    ):
      Wrong().assertForwardEquivalent()


if __name__ == '__main__':
  absltest.main()
