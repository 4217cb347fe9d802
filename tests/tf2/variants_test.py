"""Variants of the TF2 side, and injected random draws."""

import tf_equiv  # isort: skip (before tensorflow)
import keras
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.tf2 import variant_nets as nets

v1 = tf.compat.v1

# 'mirrored' has tests of its own: it needs two devices, and cannot compare
# dropout.
MOST = tuple(v for v in tf_equiv.VARIANTS if v != 'mirrored')
STEPS = tuple(v for v in MOST if v != 'saved_model')
KERAS = (('tf_keras', tf.keras), ('keras_3', keras))


class VariantsTest(parameterized.TestCase):
  def fails(self, assertion, *patterns, **arguments):
    with self.assertRaises(AssertionError) as caught:
      assertion(**arguments)
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)

  @parameterized.parameters('constant', 'num_random_ops')
  def test_clean(self, seed_mode):
    for case in (nets.Case(), nets.native_case(tf.keras)):
      for assertion in (
        case.assertForwardEquivalent,
        case.assertTrainingEquivalent,
        case.assertGradientsClose,
      ):
        arguments = {'weights': 'fixed'}
        if assertion == case.assertForwardEquivalent:
          arguments = {'training': True}
        else:
          arguments['seed_mode'] = seed_mode
        verdict = assertion(variants=MOST, **arguments)
        self.assertIn('variants: ' + ', '.join(MOST), str(verdict))

  @parameterized.parameters('constant', 'num_random_ops')
  def test_steps(self, seed_mode):
    for case in (nets.Case(), nets.native_case(tf.keras)):
      case.assertTrainingEquivalent(
        seed_mode=seed_mode,
        steps=3,
        weights='fixed',
        variants=STEPS,
      )

  def test_keras_3(self):
    case = nets.native_case(keras, rate=0.0)
    case.build_tf1 = lambda x, training: nets.legacy_net(x, training, 0.0)
    case.assertForwardEquivalent(variants=MOST)
    case.assertTrainingEquivalent(steps=2, weights='fixed', variants=STEPS)

  def test_steps_of_saved_model(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, "steps cannot run in the variant 'saved_model'"
    ):
      nets.Case().assertTrainingEquivalent(steps=2, variants='saved_model')

  def test_pass_of_grappler_is_named(self):
    class Scaled(tf.keras.layers.Layer):
      """Two factors, which constant folding makes one."""

      @tf_equiv.track_tf1_style_variables
      def call(self, x, training=None):
        return scaled(x)

    def scaled(x):
      w = v1.get_variable('w', [6, 4])
      return tf.matmul(x * 0.1, w) * 0.3 * 0.7 * tf.constant(1.1)

    case = nets.Case()
    case.build_tf1 = lambda x, training: scaled(x)
    case.build_tf2 = Scaled
    case.assertForwardEquivalent(variants=('eager', 'function'), rtol=0, atol=0)
    self.fails(
      case.assertForwardEquivalent,
      r'\[fails in: grappler; passes in: function\]',
      "Next: TensorFlow's graph optimizer makes the difference, by its pass '",
      rtol=0,
      atol=0,
      variants=('function', 'grappler'),
    )
    case.assertForwardEquivalent(variants='grappler')

  def test_python_state_is_found(self):
    class Counting(tf.Module):
      def __init__(self):
        super().__init__()
        self.net, self.calls = nets.Net(), 0

      def __call__(self, x, training=None):
        self.calls += 1
        return self.net(x, training=training) * (1.0 if x.numpy().size else 2)

    case = nets.Case()
    case.build_tf2 = Counting
    case.assertForwardEquivalent()
    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError,
      r"(?s)cannot run in the variant 'function'; nothing was compared.*numpy",
    ):
      case.assertForwardEquivalent(variants=('eager', 'function'))

  def test_branch_of_tracing_is_found(self):
    class Branching(tf.Module):
      def __init__(self):
        super().__init__()
        self.net = nets.Net()

      def __call__(self, x, training=None):
        factor = 1.0 if tf.executing_eagerly() else 1.5
        return factor * self.net(x, training=training)

    case = nets.Case()
    case.build_tf2 = Branching
    self.fails(
      case.assertForwardEquivalent,
      r'^Outputs differ: 1 of 1.*\[fails in: function, saved_model; passes in: '
      r'eager\]',
      "Next: The model agrees with TF1 eagerly, but not in the variant 'func",
      variants=('eager', 'function', 'saved_model'),
    )

  def test_functional_of_a_module(self):
    class Module(tf.Module):
      def __init__(self):
        super().__init__()
        self.net = nets.Net()

      def __call__(self, x, training=None):
        return tf.raw_ops.Sqrt(x=tf.square(self.net(x, training=training)))

    case = nets.Case()
    case.build_tf1 = lambda x, training: tf.abs(nets.legacy_net(x, training))
    case.build_tf2 = Module
    case.assertForwardEquivalent()
    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError, "(?s)variant 'functional'.*Only Keras layers"
    ):
      case.assertForwardEquivalent(variants='functional')

  def test_jit_of_text(self):
    case = nets.Case()
    case.build_tf1 = lambda x, training: tf.strings.as_string(x)
    case.build_tf2 = lambda: tf.strings.as_string
    case.assertForwardEquivalent(variants=('eager', 'function'))
    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError, "(?s)variant 'jit'.*XLA needs static shapes"
    ):
      case.assertForwardEquivalent(variants='jit')

  @parameterized.parameters(
    ('graph', "variants holds 'graph'; expected some of 'eager'"),
    ((), 'one or several of'),
    (('jit', 'jit'), "holds 'jit' twice"),
    (3, 'one or several of'),
  )
  def test_arguments(self, variants, pattern):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      nets.Case().assertForwardEquivalent(variants=variants)


class InjectionTest(parameterized.TestCase):
  """Native layers compute with the draws of TF1."""

  def check(self, case):
    for seed_mode in ('constant', 'num_random_ops'):
      arguments = {'seed_mode': seed_mode, 'weights': 'fixed'}
      verdict = case.assertTrainingEquivalent(**arguments)
      case.assertGradientsClose(**arguments)
      case.assertTrainingEquivalent(steps=3, **arguments)
    return verdict

  @parameterized.named_parameters(*KERAS)
  def test_dropout(self, k):
    verdict = self.check(nets.native_case(k))
    if k is keras:
      self.assertIn(
        'TF2 computed with the 1 random draw(s) of TF1', str(verdict)
      )

  def test_noise(self):
    def legacy(x, training):
      with v1.variable_scope('net'):
        net = v1.layers.dense(x, 16, tf.nn.relu, name='hidden')
        if training:
          net += tf.random.normal(tf.shape(net), stddev=0.5)
        return v1.layers.dense(net, 4, name='out')

    case = nets.native_case(keras)
    case.build_tf1 = legacy
    case.build_tf2 = nets.Subclassed
    case.rename_variable = lambda n: n.replace('net/', 'subclassed/')
    self.check(case)

  def fails(self, case, *patterns):
    with self.assertRaises(AssertionError) as caught:
      case.assertTrainingEquivalent(weights='fixed')
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)

  @parameterized.named_parameters(*KERAS)
  def test_rate_for_keep_prob(self, k):
    self.fails(nets.native_case(k, rate=0.6), '^Outputs differ: 1 of 1')

  def test_dropout_at_another_place(self):
    self.fails(
      nets.native_case(keras, before=True),
      '^Outputs differ: 1 of 1',
      r'random draws could not be aligned: TF1 draws 1 time\(s\) and TF2 1 '
      r'time\(s\); without counterpart is uniform float32\[8, 16\] in '
      r'net/dropout.* in TF1, uniform float32\[8, 6\].* in TF2',
    )

  def test_surplus_dropout(self):
    self.fails(
      nets.native_case(keras, twice=True),
      r'TF1 draws 1 time\(s\) and TF2 2 time\(s\); without counterpart is '
      r'nothing in TF1, uniform float32\[8, 16\].* in TF2',
    )


if __name__ == '__main__':
  absltest.main()
