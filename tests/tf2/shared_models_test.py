import collections
import itertools
import random
import types
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv import class_state

v1 = tf.compat.v1
RATE = 0.5


def network(inputs, training):
  net = v1.layers.dense(inputs, 8, name='hidden')
  net = v1.layers.batch_normalization(net, training=training, name='norm')
  net = v1.layers.dropout(net, RATE, training=training)
  return v1.layers.dense(net, 3, name='logits')


class Net(tf.keras.layers.Layer):
  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    return network(inputs, bool(training))


class Case(tf_equiv.MigrationTestCase):
  """Counts how often the model is built, outside of itself."""

  builds = []
  model_class = Net

  def runTest(self):
    """The case is used without a runner."""

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return network(inputs, training)

  def build_tf2(self):
    return self.model_class()


_STEPS = (
  ('assertNoNewVariables', {}),
  ('assertVariablesMatch', {}),
  ('assertForwardEquivalent', {}),
  ('assertForwardEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertForwardEquivalent', {'seed_mode': 'constant'}),
  ('assertForwardEquivalent', {'training': True}),
  ('assertVariablesMatch', {'training': True}),
  ('assertTrainingEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertTrainingEquivalent', {'seed_mode': 'constant'}),
  ('assertGradientsClose', {'seed_mode': 'constant'}),
  (
    'assertForwardEquivalent',
    {'seed_mode': 'constant', 'variants': ('eager', 'function', 'functional')},
  ),
)


def values_of(verdict):
  """All numbers of a verdict, and what else must not depend on the order."""
  return (
    verdict.summary.rsplit(';', 1)[0],
    verdict.compared,
    verdict.notes,
    verdict.power,
    [
      (group, c.name, c.difference, c.tf1_value, c.tf2_value, c.count)
      for group, pairs in verdict.comparisons.items()
      for c in pairs
    ],
  )


def run(case, step):
  name, arguments = step
  return repr(values_of(getattr(case, name)(**arguments)))


def counted(model_class=Net, **attributes):
  """Returns a case class, and the list of what was built."""
  builds = []

  class Counted(Case, absltest.TestCase):
    pass

  start = tf_equiv.tf2.built_model.start

  def counting(program, created):
    builds.append(program)
    return start(program, created)

  for name, value in {'model_class': model_class, **attributes}.items():
    setattr(Counted, name, value)
  Counted.tf1_reference = tf_equiv.InProcess()
  return (
    Counted,
    builds,
    mock.patch.object(tf_equiv.tf2.built_model, 'start', counting),
  )


class SharedModelsTest(absltest.TestCase):
  def builds_of(self, steps, *arguments, **attributes):
    """Runs steps in one case; returns after which models had been built."""
    cls, builds, counting = counted(*arguments, **attributes)
    case, found = cls(), []
    with counting:
      for step in steps:
        run(case, step)
        found.append(len(builds))
    return found

  def test_one_model_for_inference_and_one_for_training(self):
    steps = [*_STEPS[:4], _STEPS[7], _STEPS[7]]
    self.assertEqual(self.builds_of(steps), [1, 1, 1, 1, 2, 2])

  def test_large_results_are_not_kept(self):
    steps = [_STEPS[3], _STEPS[2], _STEPS[3], _STEPS[1]]
    self.assertEqual(self.builds_of(steps), [1, 1, 1, 1])
    with mock.patch.object(tf_equiv.tf2.shared_models, '_MAX_RESULTS', 10):
      self.assertEqual(self.builds_of(steps), [1, 1, 2, 2])

  def test_switched_off(self):
    found = self.builds_of(_STEPS[:4], share_tf2_models=False)
    self.assertEqual(found, [1, 2, 3, 4])

  def test_not_a_bool(self):
    cls, _, _ = counted(share_tf2_models='yes')
    with self.assertRaisesRegex(
      tf_equiv.UsageError, "must be True or False, got 'yes'"
    ):
      cls().assertVariablesMatch()

  def test_every_order_gives_what_each_gives_alone(self):
    alone = {}
    for i, step in enumerate(_STEPS):
      cls, _, _ = counted(share_tf2_models=False)
      alone[i] = run(cls(), step)
    count = len(_STEPS)
    for stride, turned in itertools.product((1, 2, 3, 4), (False, True)):
      order = [(i * stride + stride) % count for i in range(count)]
      cls, _, _ = counted()
      case = cls()
      for i in order[::-1] if turned else order:
        self.assertEqual(run(case, _STEPS[i]), alone[i], (order, i))

  def test_a_model_that_keeps_state_is_built_anew(self):
    class Counting(Net):
      calls = 0

      def call(self, inputs, training=None):
        self.calls += 1
        return super().call(inputs, training=training)

    self.assertEqual(self.builds_of(_STEPS[:3], Counting), [1, 2, 3])

  def test_state_in_containers_of_the_standard_library(self):
    def changing(make, change):
      class Changing(Net):
        def __init__(self):
          super().__init__()
          # Keras wraps what is an attribute by itself.
          self.kept = types.SimpleNamespace(state=make())

        def call(self, inputs, training=None):
          change(self.kept.state)
          return super().call(inputs, training=training)

      return Changing

    for make, change in (
      (collections.deque, lambda x: x.append(1)),
      (bytearray, lambda x: x.append(1)),
      (set, lambda x: x.add(len(x))),
      (lambda: random.Random(0), lambda x: x.random()),
    ):
      with self.subTest(make):
        found = self.builds_of(_STEPS[:3], changing(make, change))
        self.assertEqual(found, [1, 2, 3])

  def test_state_outside_of_variables_does_not_pass_on(self):
    """Alone, each assertion passes: the model drifts with its third call."""

    class Drifting(Net):
      def __init__(self):
        super().__init__()
        self.history = []

      def call(self, inputs, training=None):
        self.history.append(1)
        drift = 0.01 * max(0, len(self.history) - 4)
        return super().call(inputs, training=training) + drift

    cls, _, _ = counted(Drifting)
    case = cls()
    case.assertNoNewVariables()
    case.assertForwardEquivalent()
    case.assertForwardEquivalent(seed_mode='constant')

  def test_code_that_changed_is_seen(self):
    cls, builds, counting = counted()
    with counting:
      cls().assertTrainingEquivalent()
      cls().assertTrainingEquivalent()
      with mock.patch(__name__ + '.RATE', 0.75):
        cls().assertTrainingEquivalent()
      self.assertLen(builds, 2)

  def test_a_difference_is_found_whatever_ran_before(self):
    class Scaled(Net):
      factor = 1.0

      def call(self, inputs, training=None):
        return self.factor * super().call(inputs, training=training)

    cls, _, _ = counted(Scaled)
    case = cls()
    case.assertForwardEquivalent()
    with mock.patch.object(Scaled, 'factor', 1.5):
      with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
        case.assertForwardEquivalent()
    case.assertForwardEquivalent()

  def test_other_inputs(self):
    cls, builds, counting = counted()
    case = cls()
    with counting:
      case.assertForwardEquivalent(seed_mode='constant')
      inputs = 2 * case.make_inputs()
      with mock.patch.object(cls, 'make_inputs', lambda self: inputs):
        case.assertForwardEquivalent(seed_mode='constant')
      self.assertLen(builds, 2)

  def test_variables_of_an_earlier_model(self):
    """A model that lives longer than the assertion is not set back."""
    kept = []

    def build_tf2(self):
      kept.append(Net() if not kept else kept[0])
      return kept[0]

    cls, builds, counting = counted(build_tf2=build_tf2)
    case = cls()
    with counting:
      case.assertVariablesMatch()
      case.assertVariablesMatch()
    self.assertLen(builds, 2)

  def test_draws_inside_a_function_stay_in_it(self):
    class InFunction(tf.Module):
      def __init__(self):
        super().__init__()
        self.net = Net()

      @tf.function
      def __call__(self, inputs, training=False):
        return self.net(inputs, training=training)

    cls, _, _ = counted(InFunction)
    case = cls()
    for mode in ('num_random_ops', 'constant', 'num_random_ops'):
      with self.subTest(mode):
        case.assertForwardEquivalent(training=True, seed_mode=mode)

  def test_random_variables_without_counterpart(self):
    """They keep the value that the seed mode of the assertion gives them."""

    class WithNoise(Net):
      def build(self, shape):
        self.noise = tf.Variable(tf.random.normal([3]), name='noise')

      def call(self, inputs, training=None):
        return super().call(inputs, training=training) + 0.0 * self.noise

    cls, _, _ = counted(WithNoise, ignored_variables=('noise',))
    case, seen = cls(), []

    def call_tf2(self, model, inputs, training):
      outputs = model(inputs, training=training)
      seen.append(model.noise.numpy().tolist())
      return outputs

    with mock.patch.object(cls, 'call_tf2', call_tf2):
      case.assertForwardEquivalent()
      constant = seen[-1]
      case.assertNoNewVariables()
      case.assertForwardEquivalent()
      self.assertEqual(seen[-1], constant)

  def test_a_variable_of_the_second_call_is_found_each_time(self):
    class Growing(Net):
      def call(self, inputs, training=None):
        return super().call(inputs, training=training) + tf.Variable(0.0)

    cls, _, _ = counted(Growing)
    case = cls()
    for _ in range(2):
      with self.assertRaisesRegex(AssertionError, 'creat'):
        case.assertNoNewVariables()

  def test_models_are_released_when_the_class_ends(self):
    cls, _, _ = counted()
    cls().assertVariablesMatch()
    models = class_state.shared_of(cls).models
    self.assertIsNotNone(models._kept)
    cls.tearDownClass()
    self.assertIsNone(models._kept)

  def test_a_failing_assertion_leaves_no_model(self):
    cls, _, _ = counted()
    case = cls()
    with mock.patch.object(cls, 'make_inputs', lambda self: None):
      with self.assertRaises(tf_equiv.UsageError):
        case.assertForwardEquivalent()
    case.assertForwardEquivalent()
    with mock.patch.object(case, 'convert_variable', lambda a, b, c: b + 1.0):
      with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
        case.assertForwardEquivalent()
    self.assertIsNone(class_state.shared_of(cls).models._kept)
    case.assertForwardEquivalent()


if __name__ == '__main__':
  absltest.main()
