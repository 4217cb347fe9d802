"""Variants of the TF2 side, and injected random draws."""

import tf_equiv  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1

_CPU = tf.config.list_physical_devices('CPU')[0]
if not tf.config.get_logical_device_configuration(_CPU):
  tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
  )

# Those in which dropout can be compared.
MOST = tuple(v for v in tf_equiv.VARIANTS if v != 'mirrored')
STEPS = tuple(v for v in MOST if v != 'saved_model')
KERAS = (('tf_keras', tf.keras), ('keras_3', keras))


def legacy_net(x, training, rate=0.4):
  with v1.variable_scope('net'):
    net = v1.layers.dense(x, 16, tf.nn.relu, name='hidden')
    net = v1.layers.dropout(net, rate, training=training)
    return v1.layers.dense(net, 4, name='out')


class Net(tf.keras.layers.Layer):
  """The shim."""

  @tf_equiv.track_tf1_style_variables
  def call(self, x, training=None):
    return legacy_net(x, bool(training))


def native_net(k, rate=0.4, before=False, twice=False):
  inputs = net = k.Input((6,))
  dropout = k.layers.Dropout(rate)
  layers = [k.layers.Dense(16, 'relu', name='hidden'), dropout]
  for layer in layers[::-1] if before else layers:
    net = layer(net)
  if twice:
    net = k.layers.Dropout(rate)(net)
  return k.Model(inputs, k.layers.Dense(4, name='out')(net))


class Subclassed(keras.Model):
  """Keras 3, subclassed, with noise of another kind in place of dropout."""

  def __init__(self):
    super().__init__()
    self.hidden = keras.layers.Dense(16, 'relu', name='hidden')
    self.noise = keras.layers.GaussianNoise(0.5)
    self.out = keras.layers.Dense(4, name='out')

  def call(self, x, training=None):
    return self.out(self.noise(self.hidden(x), training=training))


class Case(tf_equiv.MigrationTestCase):
  """A dense net with dropout."""

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return legacy_net(inputs, training)

  def build_tf2(self):
    return Net()

  def build_tf1_optimizer(self):
    return v1.train.AdamOptimizer(0.01)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)


def native_case(k, **arguments):
  case = Case()
  case.build_tf2 = lambda: native_net(k, **arguments)
  case.rename_variable = lambda name: name.replace('net/', '')
  case.build_tf2_optimizer = lambda: k.optimizers.Adam(0.01, epsilon=1e-8)
  return case


class VariantsTest(parameterized.TestCase):
  def fails(self, assertion, *patterns, **arguments):
    with self.assertRaises(AssertionError) as caught:
      assertion(**arguments)
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)

  @parameterized.parameters('constant', 'num_random_ops')
  def test_clean(self, seed_mode):
    for case in (Case(), native_case(tf.keras)):
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
    for case in (Case(), native_case(tf.keras)):
      case.assertTrainingEquivalent(
        seed_mode=seed_mode,
        steps=3,
        weights='fixed',
        variants=STEPS,
      )

  def test_keras_3(self):
    case = native_case(keras, rate=0.0)
    case.build_tf1 = lambda x, training: legacy_net(x, training, 0.0)
    case.assertForwardEquivalent(variants=tf_equiv.VARIANTS)
    case.assertTrainingEquivalent(steps=2, weights='fixed', variants=STEPS)

  def test_mirrored(self):
    for case in (Case(), native_case(tf.keras), native_case(keras)):
      case.assertForwardEquivalent(variants='mirrored')
      case.assertGradientsClose(training=False, variants='mirrored')

  def test_mirrored_with_a_sum(self):
    case = Case()
    case.compute_loss = lambda outputs, inputs: tf.reduce_sum(outputs)
    self.fails(
      case.assertGradientsClose,
      r'^The loss differs \(so do the gradients\) \[fails in: mirrored; passes '
      r'in: eager\]',
      'each loss must be a mean over the batch',
      training=False,
      variants=('eager', 'mirrored'),
    )

  def test_mirrored_in_training(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'cannot be compared in training mode'
    ):
      Case().assertGradientsClose(variants='mirrored')
    case = Case()
    case.make_inputs = lambda: np.ones((5, 6), np.float32)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, r'splits the first dimension.*shape \[5, 6\]'
    ):
      case.assertForwardEquivalent(variants='mirrored')

  def test_steps_of_saved_model(self):
    with self.assertRaisesRegex(
      tf_equiv.UsageError, "steps cannot run in the variant 'saved_model'"
    ):
      Case().assertTrainingEquivalent(steps=2, variants='saved_model')

  def test_pass_of_grappler_is_named(self):
    class Scaled(tf.keras.layers.Layer):
      """Two factors, which constant folding makes one."""

      @tf_equiv.track_tf1_style_variables
      def call(self, x, training=None):
        return scaled(x)

    def scaled(x):
      w = v1.get_variable('w', [6, 4])
      return tf.matmul(x * 0.1, w) * 0.3 * 0.7 * tf.constant(1.1)

    case = Case()
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
        self.net, self.calls = Net(), 0

      def __call__(self, x, training=None):
        self.calls += 1
        return self.net(x, training=training) * (1.0 if x.numpy().size else 2)

    case = Case()
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
        self.net = Net()

      def __call__(self, x, training=None):
        factor = 1.0 if tf.executing_eagerly() else 1.5
        return factor * self.net(x, training=training)

    case = Case()
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
        self.net = Net()

      def __call__(self, x, training=None):
        return tf.raw_ops.Sqrt(x=tf.square(self.net(x, training=training)))

    case = Case()
    case.build_tf1 = lambda x, training: tf.abs(legacy_net(x, training))
    case.build_tf2 = Module
    case.assertForwardEquivalent()
    with self.assertRaisesRegex(
      tf_equiv.ModelCodeError, "(?s)variant 'functional'.*Only Keras layers"
    ):
      case.assertForwardEquivalent(variants='functional')

  def test_jit_of_text(self):
    case = Case()
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
      Case().assertForwardEquivalent(variants=variants)


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
    verdict = self.check(native_case(k))
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

    case = native_case(keras)
    case.build_tf1 = legacy
    case.build_tf2 = Subclassed
    case.rename_variable = lambda n: n.replace('net/', 'subclassed/')
    self.check(case)

  def fails(self, case, *patterns):
    with self.assertRaises(AssertionError) as caught:
      case.assertTrainingEquivalent(weights='fixed')
    for pattern in patterns:
      self.assertRegex(str(caught.exception), pattern)

  @parameterized.named_parameters(*KERAS)
  def test_rate_for_keep_prob(self, k):
    self.fails(native_case(k, rate=0.6), '^Outputs differ: 1 of 1')

  def test_dropout_at_another_place(self):
    self.fails(
      native_case(keras, before=True),
      '^Outputs differ: 1 of 1',
      r'random draws could not be aligned: TF1 draws 1 time\(s\) and TF2 1 '
      r'time\(s\); without counterpart is uniform float32\[8, 16\] in '
      r'net/dropout.* in TF1, uniform float32\[8, 6\].* in TF2',
    )

  def test_surplus_dropout(self):
    self.fails(
      native_case(keras, twice=True),
      r'TF1 draws 1 time\(s\) and TF2 2 time\(s\); without counterpart is '
      r'nothing in TF1, uniform float32\[8, 16\].* in TF2',
    )


if __name__ == '__main__':
  absltest.main()
