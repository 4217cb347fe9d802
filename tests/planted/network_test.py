"""Faults in one small network: which step finds each, and what it says."""

import dataclasses

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import network as network_lib

v1 = tf.compat.v1
Knobs = network_lib.Knobs

_STEPS = (
  ('assertNoNewVariables', {}),
  ('assertVariablesMatch', {}),
  ('assertForwardEquivalent', {}),
  ('assertForwardEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertTrainingEquivalent', {'seed_mode': 'num_random_ops'}),
  ('assertGradientsClose', {'seed_mode': 'num_random_ops'}),
)
NEW, VARIABLES, FIXED, SEEDED, TRAINING, GRADIENTS = range(len(_STEPS))


def _fault(name, step, messages, **knobs):
  return name, step, messages, Knobs(**knobs)


# (name, step that must be the first to fail, what its message must mention)
_FAULTS = (
  _fault(
    'tf_variable_per_call',
    NEW,
    ['created after the first call', 'tf.Variable', 'network_test.py:'],
    variable_per_call='tf.Variable',
  ),
  _fault(
    'keras_layer_per_call',
    NEW,
    ['by Keras layer of dense', 'created in the call', 'network_test.py:'],
    variable_per_call='keras',
  ),
  _fault(
    'unnamed_layer_per_call',
    NEW,
    ["'dense_1/kernel'", 'by compat.v1 layer', 'variable_scope'],
    variable_per_call='unnamed',
  ),
  _fault(
    'weights_mutated_by_inference',
    NEW,
    ['changed by an inference call', 'net/bn/moving_mean'],
    batch_norm_training='always',
  ),
  _fault(
    'missing_bias',
    VARIABLES,
    ['1 missing in TF2', 'net/conv/bias  float32[8]'],
    use_bias=False,
  ),
  _fault(
    'extra_variable',
    VARIABLES,
    ['1 extra in TF2', 'net/forgotten  float32[3]', 'network.py:'],
    extra_variable=True,
  ),
  _fault(
    'renamed',
    VARIABLES,
    [
      '2 missing in TF2, 2 extra in TF2',
      "return tf1_name.replace('net/output/', 'net/logits/', 1)",
      'rename_variable',
    ],
    output_name='logits',
  ),
  _fault(
    'frozen',
    VARIABLES,
    ['2 with another trainable flag', 'net/bn/gamma: TF1 trainable=True'],
    batch_norm_trainable=False,
  ),
  _fault(
    'transposed_shape',
    VARIABLES,
    ['net/scale: TF1 [1, 8], TF2 [8, 1]  (transposed)', 'convert_variable'],
    scale_shape=(8, 1),
  ),
  _fault(
    'another_dtype',
    VARIABLES,
    ['net/scale: TF1 float32, TF2 float64'],
    variable_dtype='float64',
  ),
  _fault(
    'epsilon',
    FIXED,
    ['Outputs differ: 2 of 2', "outputs['logits']  float32[4, 4]", 'epsilon'],
    epsilon=1e-5,
  ),
  _fault('padding', FIXED, ["outputs['logits']"], padding='valid'),
  _fault('activation', FIXED, ["outputs['logits']"], activation='elu'),
  _fault('operand_order', FIXED, ["outputs['logits']"], concat_reversed=True),
  _fault(
    'axis',
    FIXED,
    ["Outputs differ: 1 of 2, first outputs['prob"],
    softmax_axis=0,
  ),
  _fault('scale', FIXED, ["outputs['logits']"], residual_scale=0.16),
  _fault(
    'missing_regularizer',
    FIXED,
    [
      'Regularization losses differ',
      'net/output/kernel: TF2 has no such regularization loss',
    ],
    regularize_output=False,
  ),
  _fault(
    'l2_without_half',
    FIXED,
    ['first net/conv/kernel', 'half of the sum of squares', 'total'],
    l2=2e-3,
  ),
  _fault(
    'missing_output',
    FIXED,
    ["keys missing on the TF2 side: 'probabilities'", 'no number'],
    outputs='missing key',
  ),
  _fault(
    'output_none',
    FIXED,
    ["outputs['probabilities']: TF1 returns a tensor, TF2 returns None"],
    outputs='None',
  ),
  _fault(
    'another_container',
    FIXED,
    ['outputs: TF1 returns a dict of 2 items, TF2 returns a tuple of 2 items'],
    outputs='tuple',
  ),
  _fault(
    'exchanged_outputs',
    FIXED,
    ["TF1 outputs['logits'] equals TF2 outputs['probabilities']"],
    outputs='exchanged',
  ),
  _fault(
    'output_dtype',
    FIXED,
    ["outputs['probabilities']: TF1 float32[4, 4], TF2 float16[4, 4]"],
    outputs='another dtype',
  ),
  _fault(
    'initializer',
    SEEDED,
    [
      'Initial weights differ: 1 of 13, first net/conv/kernel',
      'random_uniform[3x3x3x8] initial value of net/conv/kernel; TF2 draw 0: '
      'truncated_normal[3x3x3x8]',
      'same initializers',
    ],
    initializer='truncated_normal',
  ),
  _fault(
    'dropout_rate',
    TRAINING,
    ['Outputs differ', "outputs['logits']", 'rates add up to 1 (0.4 and 0.6)'],
    rate=0.6,
  ),
  _fault(
    'dropout_position',
    TRAINING,
    [
      'because random numbers are drawn in another order',
      'random_uniform[4x16] in dropout_1: TF1 draw 3, TF2 draw 2',
      'network.py:',
      'was moved',
    ],
    dropout_before_hidden=True,
  ),
  _fault(
    'momentum',
    TRAINING,
    [
      'Variables updated by the forward pass differ: 2 of 2',
      'net/bn/moving_mean  float32[8]: 8 of 8 elements differ',
      'momentum (decay) of batch normalization',
    ],
    momentum=0.99,
  ),
  _fault(
    'moving_averages_not_updated',
    TRAINING,
    [
      'Variables updated by the forward pass differ: 2 of 2',
      'net/bn/moving_variance',
      'first divergence:',
    ],
    momentum=1.0,
  ),
  _fault(
    'stop_gradient',
    GRADIENTS,
    ['Gradients differ', 'net/hidden/kernel: TF2 has no gradient (None)'],
    stop_gradient=True,
  ),
)


class Shim(tf.keras.layers.Layer):
  """The migrated layer; `knobs` hold the fault."""

  def __init__(self, knobs):
    super().__init__(name='shim')
    self.knobs = knobs

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    if self.knobs.variable_per_call == 'tf.Variable':
      inputs = inputs * tf.Variable(1.0, name='per_call')
    elif self.knobs.variable_per_call == 'keras':
      tf.keras.layers.Dense(3)(tf.ones([1, 2]))
    elif self.knobs.variable_per_call == 'unnamed':
      v1.layers.dense(tf.ones([1, 2]), 3)
    return network_lib.network(inputs, bool(training), self.knobs)


class PlantedCase(tf_equiv.MigrationTestCase):
  """The pair under test; not collected by itself."""

  knobs = Knobs()

  def make_inputs(self):
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 8, 8, 3)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return network_lib.network(inputs, training, Knobs())

  def build_tf2(self):
    return Shim(self.knobs)

  def runTest(self):
    """Lets the class be instantiated without a test of its own."""


def _run_step(case, step):
  assertion, arguments = _STEPS[step]
  return getattr(case, assertion)(**arguments)


class PlantedTest(parameterized.TestCase):
  @parameterized.named_parameters(*_FAULTS)
  def test_fault_is_caught_by_its_step(self, step, messages, knobs):
    case = PlantedCase()
    case.knobs = knobs
    for earlier in range(step):
      if earlier == VARIABLES and step == NEW:
        continue
      self.assertTrue(_run_step(case, earlier).passed, _STEPS[earlier])
    with self.assertRaises(AssertionError) as caught:
      _run_step(case, step)
    text = str(caught.exception)
    for message in messages:
      self.assertIn(message, text)
    self.assertLess(len(text.splitlines()), 50, text)
    self.assertIn('Next: ', text)

  def test_clean_pair_passes_all_steps(self):
    for step in range(len(_STEPS)):
      verdict = _run_step(PlantedCase(), step)
      self.assertTrue(verdict.passed)
      self.assertGreater(sum(verdict.compared.values()), 0)

  def test_updates_can_be_left_out(self):
    case = PlantedCase()
    case.knobs = Knobs(momentum=0.99)
    verdict = case.assertTrainingEquivalent(compare_updates=False)
    self.assertNotIn('updated variables', verdict.compared)
    # Inference updates nothing.
    case.assertForwardEquivalent()
    with self.assertRaisesRegex(AssertionError, 'Variables updated by'):
      case.assertForwardEquivalent(training=True)

  def test_a_statistic_that_became_trainable_is_not_passed_over(self):
    class Module(tf.Module):
      def __init__(self):
        self.statistic = tf.Variable(tf.ones([3]), name='statistic')

      def __call__(self, x, training=False):
        return x * self.statistic

    class Case(PlantedCase):
      def build_tf1(self, inputs, training):
        return inputs * v1.get_variable('statistic', [3], trainable=False)

      def build_tf2(self):
        return Module()

    with self.assertRaises(AssertionError) as caught:
      Case().assertTrainingEquivalent(weights='fixed')
    text = str(caught.exception)
    self.assertIn('statistic: trainable on the TF2 side, but not in TF1', text)
    self.assertIn('Next: Set `trainable` of the TF2 variable', text)

  def test_update_ops_that_tf1_never_runs(self):
    class Case(PlantedCase):
      def build_tf1(self, inputs, training):
        outputs = super().build_tf1(inputs, training)
        graph = v1.get_default_graph()
        graph.clear_collection(v1.GraphKeys.UPDATE_OPS)
        return outputs

    with self.assertRaisesRegex(AssertionError, 'net/bn/moving_mean'):
      Case().assertTrainingEquivalent()

  def test_biased_variance_of_keras_3(self):
    import keras

    class Case(tf_equiv.MigrationTestCase):
      def make_inputs(self):
        return np.random.default_rng(0).normal(size=(2, 2, 2, 3)).astype('f')

      def build_tf1(self, inputs, training):
        return v1.layers.batch_normalization(
          inputs, training=training, name='bn'
        )

      def build_tf2(self):
        layers = keras.layers
        return keras.Sequential([layers.BatchNormalization(name='bn')])

      def rename_variable(self, name):
        return 'sequential/' + name

      def runTest(self):
        self.assertTrainingEquivalent(compare_updates=False)

    Case().debug()
    with self.assertRaises(AssertionError) as caught:
      Case().assertTrainingEquivalent()
    text = str(caught.exception)
    self.assertIn('1 of 2, first sequential/bn/moving_variance', text)
    self.assertIn('n/(n-1)', text)
    self.assertIn('compare_updates=False', text)

  def test_lost_stop_gradient_is_caught(self):
    class Case(PlantedCase):
      def build_tf1(self, inputs, training):
        knobs = Knobs(stop_gradient=True)
        return network_lib.network(inputs, training, knobs)

    with self.assertRaises(AssertionError) as caught:
      Case().assertGradientsClose()
    text = str(caught.exception)
    self.assertStartsWith(text, 'Gradients differ: ')
    self.assertIn('net/hidden/kernel: TF1 has no gradient (None)', text)

  def test_functional_model_passes_in_constant_mode_only(self):
    class Case(PlantedCase):
      def build_tf2(self):
        inputs = tf.keras.Input((8, 8, 3))
        return tf.keras.Model(inputs, super().build_tf2()(inputs))

    self.assertTrue(Case().assertTrainingEquivalent(seed_mode='constant'))
    # Without dropout nothing changes its place.
    self.assertTrue(Case().assertForwardEquivalent(seed_mode='num_random_ops'))
    with self.assertRaises(AssertionError) as caught:
      Case().assertTrainingEquivalent(seed_mode='num_random_ops')
    text = str(caught.exception)
    for message in (
      'Initial weights differ: 1 of 13, first net/output/kernel',
      'because random numbers are drawn in another order',
      'TF1 makes 5, TF2 makes 5; the first difference is draw 3',
      'random_uniform[4x16] in dropout_1: TF1 draw 3, TF2 draw 4',
      'That is no bug of the model',
      "seed_mode='constant'",
    ):
      self.assertIn(message, text)

  def test_another_loss_is_caught_on_the_gradients(self):
    class Case(PlantedCase):
      def compute_loss_tf2(self, outputs, inputs):
        return tf.reduce_sum(tf.square(outputs['logits']))

      def compute_loss_tf1(self, outputs, inputs):
        return tf.reduce_mean(tf.square(outputs['logits']))

    with self.assertRaisesRegex(AssertionError, 'The loss differs'):
      Case().assertGradientsClose()

  def test_clipped_gradients_are_caught(self):
    class Case(PlantedCase):
      def compute_loss(self, outputs, inputs):
        return tf.reduce_sum(tf.square(outputs['logits'])) * 100

      def compute_loss_tf2(self, outputs, inputs):
        return _clip(outputs['logits'])

    with self.assertRaisesRegex(AssertionError, 'Gradients differ'):
      Case().assertGradientsClose()

  def test_faults_have_names_of_their_own(self):
    names = [fault[0] for fault in _FAULTS]
    self.assertCountEqual(names, set(names))
    for field in dataclasses.fields(Knobs):
      self.assertIsNotNone(field.default)


@tf.custom_gradient
def _clip(logits):
  """Same value as the TF1 loss, but a clipped gradient."""

  def gradient(upstream):
    return tf.clip_by_value(200 * logits * upstream, -1.0, 1.0)

  return tf.reduce_sum(tf.square(logits)) * 100, gradient


if __name__ == '__main__':
  absltest.main()
