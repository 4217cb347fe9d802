"""Agreement that proves nothing fails, and what a pass proves is said."""

from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair
from tf_equiv.tf2 import sensitivity

v1 = tf.compat.v1


def dense(x, units, name, **arguments):
  return v1.layers.dense(x, units, name=name, **arguments)


def case_of(build, inputs=None, **methods):
  """Returns a test of a network against itself."""
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(4, 5) if inputs is None else lambda: inputs,
      build_tf1=lambda x, training: build(x),
      build_tf2=pair.shim(lambda x, training: build(x)),
      **methods,
    )
  )


def tokens(ids):
  """Returns the embeddings of words."""
  table = v1.get_variable('table', [10, 4])
  return tf.nn.embedding_lookup(table, ids)


def tokens_again(ids):
  with v1.variable_scope(v1.get_variable_scope(), reuse=True):
    return tokens(ids)


class VacuousTest(parameterized.TestCase):
  def test_equal_outputs(self):
    self.assertVacuous(
      case_of(lambda x: 1.5 + 0.0 * dense(x, 3, 'd')),
      r'all elements of the outputs are equal \(1.5\)',
    )

  def test_rounding_noise(self):
    def noise(x):
      return 1e6 * (tf.exp(dense(x, 3, 'd') + 9.0) * 1e-4 - dense_free(x))

    def dense_free(x):
      with v1.variable_scope(v1.get_variable_scope(), reuse=True):
        return tf.exp(dense(x, 3, 'd') + 9.0) * 1e-4 * (1 + 1e-9)

    with self.assertRaises(AssertionError) as caught:
      case_of(noise).assertForwardEquivalent()
    self.assertStartsWith(str(caught.exception), 'Vacuous agreement')

  def test_no_variable_matters(self):
    def ignoring(x):
      return x + tf.sign(1e-3 + 0.0 * dense(x, 5, 'd'))

    with self.assertRaises(AssertionError) as caught:
      case_of(ignoring).assertForwardEquivalent()
    self.assertIn('respond to none of the 2', str(caught.exception))

  def test_says_what_a_pass_proves(self):
    def half(x):
      used, unused = dense(x, 3, 'used'), dense(x, 3, 'unused')
      return used + 0.0 * unused

    verdict = case_of(half).assertForwardEquivalent()
    self.assertEqual(
      verdict.power,
      'outputs respond to 2 of 4 variables, not to layer unused (2 variables)',
    )
    self.assertIn(verdict.power, str(verdict))

  def assertVacuous(self, case, regex):
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    text = str(caught.exception)
    self.assertRegex(text, '^Vacuous agreement proves nothing: ' + regex)
    self.assertIn('allow_vacuous=True', text)
    verdict = case.assertForwardEquivalent(allow_vacuous=True)
    self.assertEqual(verdict.kind, 'vacuous')
    return text

  def test_zeros(self):
    self.assertVacuous(
      case_of(lambda x: tf.nn.relu(dense(x, 3, 'd') - 1e3)),
      'all outputs are zero',
    )

  def test_a_single_zero(self):
    self.assertVacuous(
      case_of(lambda x: tf.reduce_sum(tf.nn.relu(dense(x, 3, 'd') - 1e3))),
      'all outputs are zero',
    )

  def test_some_zeros_are_fine(self):
    case = case_of(lambda x: (tf.zeros([4, 2]), tf.nn.relu(dense(x, 3, 'd'))))
    self.assertTrue(case.assertForwardEquivalent().passed)

  def test_the_same_for_all_examples(self):
    self.assertVacuous(
      case_of(lambda x: tf.nn.softmax(dense(1e-8 * x, 3, 'd'))),
      'the outputs are the same for all 4 examples of the batch, although',
    )

  def test_the_same_inputs_for_all_examples_are_fine(self):
    x = np.repeat(np.random.default_rng(0).normal(size=(1, 5)), 4, axis=0)
    case = case_of(lambda x: dense(x, 3, 'd'), x.astype(np.float32))
    self.assertTrue(case.assertForwardEquivalent().passed)

  def test_token_ids(self):
    """Without a floating-point input the weights are moved."""
    ids = np.random.default_rng(0).integers(0, 10, (4, 3))

    def noise(ids):
      return 1e6 * (tf.math.log(tf.exp(tokens(ids))) - tokens_again(ids))

    self.assertVacuous(
      case_of(noise, ids), r'1 of 1 outputs are .* when the weights move by one'
    )
    case = case_of(lambda ids: dense(tokens(ids), 3, 'd'), ids)
    self.assertTrue(case.assertForwardEquivalent().passed)

  def test_whole_numbers_that_jump_are_no_noise(self):
    halves = np.arange(20, dtype=np.float32).reshape(4, 5) + 0.5

    def build(x):
      scores = dense(tf.round(x), 3, 'd')
      best = tf.cast(tf.argmax(scores, axis=-1), tf.float32)
      return {'rounded': tf.round(x), 'best': best, 'scores': scores}

    with self.assertRaises(AssertionError):
      # Scores do move, because what they are computed from does.
      case_of(build, halves).assertForwardEquivalent()

    def whole(x):
      return tf.round(x) + 0.0 * tf.reduce_sum(dense(x, 3, 'd')), dense(
        x, 3, 'e'
      )

    verdict = case_of(whole, halves).assertForwardEquivalent()
    self.assertTrue(verdict.passed)

  def test_a_few_that_jump_are_no_noise(self):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    x[0, 0] = 0.5

    def build(x):
      return 0.1 * tf.round(x * v1.get_variable('w', [5]))

    case = case_of(build, x, reset_weights=lambda n, s, d: np.ones(s, d))
    verdict = case.assertForwardEquivalent()
    self.assertTrue(verdict.passed)
    # Rounding has no gradient, which is not to say that nothing responds.
    self.assertEqual(verdict.power, 'outputs respond to 1 of 1 variables')

  def test_masks_do_not_move(self):
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    for mask in (np.tri(3, 4, 1), np.ones((3, 4))):

      def attention(inputs):
        x, mask = inputs
        scores = tf.matmul(dense(x, 5, 'q'), x, transpose_b=True)
        scores += (1.0 - mask[:, None, :]) * -1e9
        return tf.matmul(tf.nn.softmax(scores), x)

      case = case_of(attention, (x, mask.astype(np.float32)))
      self.assertTrue(case.assertForwardEquivalent().passed)

  def test_what_responds_without_a_gradient(self):
    def target(x):
      return dense(x, 3, 'target')

    def numpy(x):
      found = tf.numpy_function(lambda v: np.maximum(v, 0), [x], tf.float32)
      return tf.ensure_shape(found, x.shape)

    def sample(x):
      return tf.cast(tf.random.categorical(x, 3), tf.float32)

    behind = tf.stop_gradient, tf.sign, tf.round, numpy, sample
    for function in behind:
      with self.subTest(function):
        case = case_of(
          lambda x, f=function: dense(x, 3, 'out') + f(3 * target(x))
        )
        verdict = case.assertForwardEquivalent()
        self.assertEqual(verdict.power, 'outputs respond to 4 of 4 variables')

  def test_gradients_and_steps_say_what_they_prove(self):
    def half(x):
      used, unused = dense(x, 3, 'used'), dense(x, 3, 'unused')
      return used + 0.0 * unused

    case = case_of(
      half,
      build_tf1_optimizer=lambda: v1.train.GradientDescentOptimizer(0.1),
      build_tf2_optimizer=lambda: tf.keras.optimizers.SGD(0.1),
    )
    self.assertEqual(
      case.assertGradientsClose().power,
      'outputs respond to 2 of 4 variables, not to layer unused (2 variables); '
      'gradients of 2 of 4 trained variables are not zero, but of unused/bias, '
      'unused/kernel',
    )
    self.assertEqual(
      case.assertTrainingEquivalent(steps=2).power,
      'the steps change 2 of 4 trained variables, not unused/kernel, '
      'unused/bias',
    )

  def test_large_batches_are_measured_in_part(self):
    case = case_of(lambda x: dense(x, 3, 'd'))
    with mock.patch.object(sensitivity, '_MAX_RECORDED', 100):
      verdict = case.assertForwardEquivalent()
    self.assertEqual(verdict.power, 'outputs respond to 2 of 2 variables')
    with mock.patch.multiple(sensitivity, _MAX_RECORDED=1, _MAX_EVER=1):
      verdict = case.assertForwardEquivalent()
    self.assertEqual(verdict.power, '')
    self.assertIn('was not measured (1 example(s) are too large)', str(verdict))


del tf_equiv

if __name__ == '__main__':
  absltest.main()
