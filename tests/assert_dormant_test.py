"""What assertions say of differences that their inputs do not awake."""

import os
import re

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tests.planted import pair

v1 = tf.compat.v1
layers = tf.keras.layers


def legacy(x, training):
  """A network whose first activation stays below 6."""
  del training
  x = v1.layers.dense(x, 6, name='a')
  return v1.layers.dense(tf.nn.relu6(x), 3, name='b')


class _Net(tf.Module):
  def __init__(self, activation):
    super().__init__()
    self.a = layers.Dense(6, activation, name='a')
    self.b = layers.Dense(3, name='b')

  def __call__(self, x):
    return self.b(self.a(x))


class _Fixed(_Net):
  """A network that takes one batch size only."""

  def __call__(self, x):
    return tf.reshape(super().__call__(x), [4, 3])


def case_of(activation, **methods):
  return pair.PairCase(
    pair.clean(
      'pair',
      **{
        'make_inputs': pair.numbers(4, 5),
        'build_tf1': legacy,
        'build_tf2': lambda: _Net(activation),
        **methods,
      },
    )
  )


def faulty(**methods):
  return case_of(tf.nn.relu, **methods)


def right(**methods):
  return case_of(lambda x: tf.clip_by_value(x, 0.0, 6.0), **methods)


class DormantTest(absltest.TestCase):
  def fails(self, function, *fragments):
    with self.assertRaises(AssertionError) as caught:
      function()
    text = str(caught.exception)
    self.assertStartsWith(text, 'Dormant difference: ')
    for fragment in fragments:
      self.assertIn(fragment, text)
    return text

  def test_message(self):
    text = self.fails(
      faulty().assertForwardEquivalent,
      'outputs differ with inputs 100 times as large, though TF1 and TF2 agree',
      'witness: with inputs 100 times as large: Relu6 gives 6 in TF1',
      'both sides were run again with it, and differ',
      'assert_dormant_test.py',
      'Next: ',
      'allow_dormant=True',
    )
    self.assertNotIn('not run again', text)
    self.assertLess(len(text.splitlines()), 40)
    path = re.search(r'saved in (\S+\.npz)', text).group(1)
    with np.load(path, allow_pickle=False) as saved:
      np.testing.assert_allclose(
        saved['inputs'], 100 * pair.numbers(4, 5)(), rtol=1e-6
      )
    os.remove(path)

  def test_allowed(self):
    case = faulty()
    verdict = case.assertForwardEquivalent(allow_dormant=True)
    self.assertTrue(verdict.passed)
    self.assertIsNone(verdict.witness)
    case = faulty(allow_dormant=True)
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.fails(lambda: case.assertForwardEquivalent(allow_dormant=False))

  def test_bad_flag(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, "^allow_dormant must be True or False, got 'yes'"
    ):
      faulty().assertForwardEquivalent(allow_dormant='yes')

  def test_gradients(self):
    self.fails(faulty().assertGradientsClose, 'Relu6')

  def test_rewrite_passes(self):
    case = right()
    for verdict in (
      case.assertForwardEquivalent(),
      case.assertGradientsClose(),
      case.assertTrainingEquivalent(steps=1),
    ):
      self.assertNotIn('dormant', str(verdict))

  def test_thorough_pass_says_what_was_tried(self):
    verdict = right().assertNoDormantDifferences()
    self.assertRegex(str(verdict), r'\d\d+ probes tell the sides apart nowhere')
    self.assertGreater(verdict.outcome.examination.probes, 30)

  def test_size_that_is_refused_is_said(self):
    def build(x, training):
      return tf.reshape(legacy(x, training), [4, 3])

    verdict = right(
      build_tf1=build,
      build_tf2=lambda: _Fixed(tf.nn.relu6),
    ).assertNoDormantDifferences()
    self.assertIn(
      'not compared with a batch of 1 (TF1 cannot run', str(verdict)
    )

  def test_probes_of_the_user(self):
    def secret(x):
      return tf.where(tf.reduce_all(tf.equal(x, 123.25)), 2.0 * x, x)

    def build(x, training):
      return legacy(secret(x), training)

    probe = np.full([4, 5], 123.25, np.float32)
    case = case_of(tf.nn.relu6, build_tf1=build)
    self.assertTrue(case.assertNoDormantDifferences().passed)
    self.fails(
      lambda: case.assertNoDormantDifferences(make_probes=lambda: [probe]),
      'with number 0 of make_probes',
    )

  def test_bad_probes(self):
    for probes, message in (
      ([np.zeros([4, 5])], r'make_probes\(\)\[0\] must be float32 with 2 axes'),
      ([np.zeros([4], np.float32)], r'must be float32 with 2 axes'),
      ([{'x': np.zeros([4, 5], np.float32)}], 'must be a nest of arrays like'),
      (np.zeros([4, 5], np.float32), 'must return a list of inputs'),
      (3, 'must return a list of inputs'),
    ):
      with self.assertRaisesRegex(tf_equiv.UsageError, message):
        right().assertNoDormantDifferences(make_probes=lambda p=probes: p)
    with self.assertRaisesRegex(tf_equiv.UsageError, 'make_probes must be'):
      right().assertNoDormantDifferences(make_probes=3)

  def test_code_that_is_not_deterministic_is_said(self):
    class Restless(_Net):
      """Adds other noise in each call."""

      def __call__(self, x):
        noise = tf.numpy_function(
          lambda: np.float32(np.random.default_rng().normal()), [], tf.float32
        )
        return super().__call__(x) + 1e-2 * noise

    case = case_of(tf.nn.relu6, build_tf2=lambda: Restless(tf.nn.relu6))
    verdict = case.assertForwardEquivalent(atol=1.0)
    self.assertIn(
      'no dormant differences were looked for: TF2 gives other results each '
      'time',
      str(verdict),
    )

  def test_difference_at_the_inputs_is_not_dormant(self):
    with self.assertRaises(AssertionError) as caught:
      case_of(tf.nn.tanh).assertNoDormantDifferences()
    self.assertStartsWith(str(caught.exception), 'Outputs differ')

  def test_guide_steps_have_it(self):
    self.assertTrue(callable(tf_equiv.GuideSteps.test_beyond))


class StepsTest(absltest.TestCase):
  def test_clipping_in_a_step_of_the_user(self):
    def train_tf1(inputs):
      loss = tf.reduce_mean(tf.square(legacy(inputs, True)))
      optimizer = v1.train.GradientDescentOptimizer(0.1)
      pairs = optimizer.compute_gradients(loss)
      clipped, _ = tf.clip_by_global_norm([g for g, _ in pairs], 50.0)
      variables = [v for _, v in pairs]
      train = optimizer.apply_gradients(zip(clipped, variables, strict=True))
      return {'loss': loss, 'train': train}

    def train_tf2(model, inputs):
      with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(inputs)))
      gradients = tape.gradient(loss, model.trainable_variables)
      case.optimizer.apply_gradients(
        zip(gradients, model.trainable_variables, strict=True)
      )
      return {'loss': loss}

    case = case_of(tf.nn.relu6, train_tf1=train_tf1, train_tf2=train_tf2)

    def build_tf2_optimizer():
      case.optimizer = tf.keras.optimizers.SGD(0.1)
      return case.optimizer

    case.build_tf2_optimizer = build_tf2_optimizer
    with self.assertRaises(AssertionError) as caught:
      case.assertTrainingEquivalent(steps=1)
    self.assertStartsWith(str(caught.exception), 'Dormant difference: ')


if __name__ == '__main__':
  absltest.main()
