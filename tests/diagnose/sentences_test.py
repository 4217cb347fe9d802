"""What messages say holds for the very pair; what does not is not said."""

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair
from tf_equiv.diagnose import search

v1 = tf.compat.v1
_ORDER = 'random numbers are drawn in another order'
_NO_DRAW = 'makes no draw with stateful random ops'
_NO_FLAG = 'takes no `training` argument'


def dense(x, units=4, name='d', **arguments):
  return v1.layers.dense(x, units, name=name, **arguments)


def case_of(tf1, tf2, shape=(6, 5), scale=1.0, **methods):
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(*shape, scale=scale),
      build_tf1=lambda x, training: tf1(x),
      build_tf2=pair.shim(lambda x, training: tf2(x)),
      **methods,
    )
  )


class SentencesTest(parameterized.TestCase):
  def fails(self, case, assertion='assertForwardEquivalent', **arguments):
    with self.assertRaises(AssertionError) as caught:
      getattr(case, assertion)(**arguments)
    return str(caught.exception)

  def assertSays(self, text, *said):
    for each in said:
      self.assertIn(each, text)

  def assertSaysNot(self, text, *unsaid):
    for each in unsaid:
      self.assertNotIn(each, text)


class DrawsTest(SentencesTest):
  def kept(self, x):
    """A dropout that keeps all, as its rate is fed."""
    return v1.nn.dropout(
      dense(x), keep_prob=v1.placeholder_with_default(1.0, [])
    )

  @parameterized.parameters(
    ('assertForwardEquivalent', {}),
    ('assertGradientsClose', {'training': False}),
  )
  def test_draws_that_make_no_difference(self, assertion, arguments):
    case = case_of(self.kept, lambda x: tf.nn.relu(dense(x)))
    text = self.fails(case, assertion, **arguments)
    self.assertSays(text, 'TF2 applies relu, which TF1 does not have there.')
    self.assertSaysNot(text, _ORDER, _NO_DRAW, 'random draws', 'drawn')

  def test_draws_that_matter(self):
    def dropped(x, before):
      net = v1.nn.dropout(x, rate=0.5) if before else x
      net = dense(net, 5)
      return net if before else v1.nn.dropout(net, rate=0.5)

    case = case_of(lambda x: dropped(x, False), lambda x: dropped(x, True))
    text = self.fails(
      case, 'assertTrainingEquivalent', seed_mode='num_random_ops'
    )
    self.assertSays(text, 'random draws: TF1 makes')

  def test_nothing_is_noted_where_the_sides_agree(self):
    case = case_of(self.kept, dense)
    verdict = case.assertForwardEquivalent()
    self.assertEmpty([n for n in verdict.notes if 'random draws' in n])

  def test_flag_that_changes_nothing(self):
    class Model(tf.keras.layers.Layer):
      def __init__(self):
        super().__init__(name='m')
        self.d = tf.keras.layers.Dense(4, name='d')

      def call(self, x):
        return 2 * self.d(x)

    case = case_of(dense, None, rename_variable=pair.below('m'))
    case.build_tf2 = Model
    text = self.fails(case, 'assertTrainingEquivalent', weights='fixed')
    self.assertSays(text, 'first divergence:')
    self.assertSaysNot(text, _NO_FLAG, 'dropout', 'batch normalization')


class CausesTest(SentencesTest):
  def test_epsilon_that_explains_little(self):
    def normalized(x, axes, epsilon):
      net = dense(x, 6)
      mean = tf.reduce_mean(net, axes, keepdims=True)
      variance = tf.reduce_mean((net - mean) ** 2, axes, keepdims=True)
      return (net - mean) * tf.math.rsqrt(variance + epsilon)

    case = case_of(
      lambda x: normalized(x, [-1], 1e-3), lambda x: normalized(x, [0], 1e-2)
    )
    text = self.fails(case)
    self.assertSays(text, 'over the axes [1] in TF1, and over [0] in TF2')
    self.assertSaysNot(text, 'The epsilon of the normalization')

  @parameterized.parameters(
    lambda x, number: dense(x) + number,
    lambda x, number: tf.math.log(tf.exp(dense(x)) + number),
    lambda x, number: dense(x) * number,
  )
  def test_small_numbers_that_are_no_epsilon(self, layer):
    text = self.fails(
      case_of(lambda x: layer(x, 0.02), lambda x: layer(x, 0.03))
    )
    self.assertSays(text, 'TF1 0.02, TF2 0.03')
    self.assertSaysNot(text, 'epsilon')

  @parameterized.parameters(
    lambda x, number: x * tf.math.rsqrt(tf.reduce_mean(x * x) + number),
    lambda x, number: x / (tf.math.reduce_std(x, 0) + number),
    lambda x, number: tf.nn.l2_normalize(x, -1, epsilon=number),
  )
  def test_epsilons_whatever_they_are_called(self, layer):
    case = case_of(
      lambda x: layer(dense(x), 0.02), lambda x: layer(dense(x), 0.05)
    )
    case.reset_weights = lambda name, shape, dtype: (
      np.full(shape, 0.01, dtype) * np.arange(1, shape[-1] + 1)
    )
    text = self.fails(case)
    self.assertSays(
      text, 'The epsilon of the normalization is 0.02 in TF1 and 0.05 in TF2'
    )

  @parameterized.parameters(
    lambda x, number: tf.sqrt(x * x + number),
    lambda x, number: (tf.reduce_mean(x, -1, keepdims=True) + number) ** 2,
    lambda x, number: x * (number + tf.reduce_mean(x * x)) ** 0.5,
  )
  def test_numbers_under_a_root_that_nothing_is_divided_by(self, layer):
    text = self.fails(
      case_of(lambda x: layer(dense(x), 0.02), lambda x: layer(dense(x), 0.05))
    )
    self.assertSays(text, '0.02 for 0.05')
    self.assertSaysNot(text, 'epsilon')

  def test_number_of_a_layer_that_is_called_a_normalization(self):
    def layer(x, number):
      with tf.name_scope('batch_norm'):
        return dense(x) * tf.add(tf.reduce_mean(x), number)

    text = self.fails(
      case_of(lambda x: layer(x, 0.02), lambda x: layer(x, 0.05))
    )
    self.assertSays(text, '0.02 for 0.05')
    self.assertSaysNot(text, 'epsilon')

  def test_epsilon_of_another_place(self):
    def net(x, factor, epsilon):
      mean = tf.reduce_mean(x, -1, keepdims=True)
      variance = tf.reduce_mean((x - mean) ** 2, -1, keepdims=True)
      normal = (x - mean) * tf.math.rsqrt(variance + epsilon)
      return {'scaled': factor * tf.tanh(x), 'normal': dense(normal)}

    case = case_of(lambda x: net(x, 0.5, 1e-3), lambda x: net(x, 0.25, 1e-1))
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    mistakes = {
      place.tf1.op_type: place.mistake
      for place in caught.exception.verdict.divergences
    }
    self.assertIn('Mul', mistakes, mistakes)
    self.assertSaysNot(mistakes.pop('Mul'), 'epsilon')
    self.assertTrue(any('epsilon' in x for x in mistakes.values()), mistakes)

  def test_stop_that_explains_nothing(self):
    def loss(outputs, factor, stop):
      target = tf.ones_like(outputs)
      target = tf.stop_gradient(target) if stop else target
      return factor * tf.reduce_mean((outputs - target) ** 2)

    case = case_of(
      dense,
      dense,
      compute_loss_tf1=lambda y, x: loss(y, 1.0, True),
      compute_loss_tf2=lambda y, x: loss(y, 1.5, False),
    )
    text = self.fails(case, 'assertGradientsClose')
    self.assertSaysNot(text, 'A tf.stop_gradient of TF1 is missing')

  def test_gradients_that_are_multiples(self):
    def train_tf1(x):
      loss = tf.reduce_mean(dense(x) ** 2)
      step = v1.train.GradientDescentOptimizer(0.1).minimize(loss)
      return {'step': step}

    def train_tf2(model, x):
      with tf.GradientTape() as tape:
        loss = 3 * tf.reduce_mean(model(x) ** 2)
      variables = model.trainable_variables
      optimizer = case.optimizer
      optimizer.apply_gradients(
        zip(tape.gradient(loss, variables), variables, strict=True)
      )
      return {}

    case = case_of(dense, dense, train_tf1=train_tf1, train_tf2=train_tf2)
    case.optimizer = tf.keras.optimizers.SGD(0.1)
    case.build_tf2_optimizer = lambda: case.optimizer
    text = self.fails(
      case, 'assertTrainingEquivalent', steps=1, weights='fixed'
    )
    self.assertSays(text, 'All gradients of TF2 are 3 times those of TF1')
    self.assertSaysNot(text, 'The loss agrees')

  def test_functions_of_python(self):
    def kept(x, limit):
      def large(values):
        return np.where(values > limit, values, 0).astype(np.float32)

      net = dense(x)
      found = tf.numpy_function(large, [net], tf.float32)
      found.set_shape(net.shape)
      return dense(found, 3, 'e')

    case = case_of(lambda x: kept(x, 0.0), lambda x: kept(x, 0.5))
    text = self.fails(case)
    self.assertSays(text, 'gives other numbers in TF2 for the same inputs')
    self.assertSaysNot(text, 'pyfunc_', 'token')

  def test_overflow(self):
    case = case_of(
      lambda x: tf.nn.softplus(dense(x)),
      lambda x: tf.math.log(1 + tf.exp(dense(x))),
      scale=200.0,
    )
    text = self.fails(case)
    self.assertSays(text, 'TF2 overflows in float32', 'Exp')
    self.assertSaysNot(text, 'Python state', 'what is not in the graph')

  def test_mask_that_is_not_low_enough(self):
    def weights(x, low):
      near = dense(x)
      masked = near + low * tf.ones_like(near)
      return dense(tf.nn.softmax(masked), 3, 'e')

    case = case_of(
      lambda x: weights(x, -1e9), lambda x: weights(x, -1e4), scale=3.0
    )
    text = self.fails(case, rtol=1e-6, atol=1e-6)
    self.assertSays(text, '-1e+09', '-10000', 'float64 hides it')
    self.assertSaysNot(text, 'rounding noise', 'vacuous')


class RepairedTest(SentencesTest):
  """Where a repair is proven, nothing else is advised."""

  _GENERAL = (
    'Typical causes',
    'If inference agrees',
    'If the outputs agree',
    'The loss agrees, so',
    'Outputs agree, so',
    'Compare the code at the lines above',
  )

  def normalized(self, x, factor, training):
    net = v1.layers.batch_normalization(dense(x), training=training, name='n')
    return tf.tanh(factor * net)

  def case(self, first, second, **methods):
    return pair.PairCase(
      pair.clean(
        'pair',
        make_inputs=pair.numbers(6, 5),
        build_tf1=first,
        build_tf2=pair.shim(second),
        build_tf1_optimizer=lambda: v1.train.GradientDescentOptimizer(0.1),
        build_tf2_optimizer=lambda: v1.train.GradientDescentOptimizer(0.1),
        **methods,
      )
    )

  @parameterized.parameters(
    ('assertForwardEquivalent', {}),
    ('assertTrainingEquivalent', {'weights': 'fixed'}),
    ('assertTrainingEquivalent', {'weights': 'fixed', 'steps': 2}),
  )
  def test_constant(self, assertion, arguments):
    case = self.case(
      lambda x, training: self.normalized(x, 0.5, training),
      lambda x, training: self.normalized(x, 0.75, training),
    )
    text = self.fails(case, assertion, **arguments)
    self.assertSays(
      text,
      '0.5 for 0.75',
      'Next: Make the change in TF2 that is listed as repair above.',
    )
    self.assertSaysNot(text, *self._GENERAL)

  def test_loss(self):
    def loss(factor):
      return lambda outputs, inputs: factor * tf.reduce_mean(outputs**2)

    case = self.case(
      lambda x, training: dense(x),
      lambda x, training: dense(x),
      compute_loss_tf1=loss(0.5),
      compute_loss_tf2=loss(0.75),
    )
    text = self.fails(case, 'assertGradientsClose')
    self.assertSays(text, '0.5 for 0.75')
    self.assertSaysNot(text, *self._GENERAL)

  def test_nothing_that_was_tried(self):
    def waves(x, training):
      net = self.normalized(x, 0.5, training)
      for _ in range(10):
        net = tf.sin(net) + tf.cos(net)
      return net

    case = self.case(
      lambda x, training: self.normalized(x, 0.5, training), waves
    )
    text = self.fails(case, 'assertTrainingEquivalent', weights='fixed')
    self.assertSays(text, 'none that was tried', 'If inference agrees')
    self.assertSaysNot(text, 'listed as repair')

  def test_values_of_tf1_that_do_not_help(self):
    lengths = np.array([5, 2, 3, 1])

    class Net(tf.keras.Model):
      def __init__(self):
        super().__init__(name='net')
        self.rnn = tf.keras.layers.Bidirectional(
          tf.keras.layers.SimpleRNN(
            3, return_sequences=True, recurrent_initializer='glorot_uniform'
          ),
          name='rnn',
        )

      def call(self, x):
        return self.rnn(x)

    def build(x, training):
      cells = [v1.nn.rnn_cell.BasicRNNCell(3) for _ in range(2)]
      outputs, _ = v1.nn.bidirectional_dynamic_rnn(
        *cells, x, sequence_length=lengths, dtype=tf.float32
      )
      return tf.concat(outputs, -1)

    names = {
      f'bidirectional_rnn/{short}/basic_rnn_cell/{name}': (
        f'net/rnn/{long}_simple_rnn/simple_rnn_cell/{name}'
      )
      for short, long in (('fw', 'forward'), ('bw', 'backward'))
      for name in ('kernel', 'bias')
    }
    case = pair.PairCase(
      pair.clean(
        'pair',
        make_inputs=pair.numbers(4, 5, 3),
        build_tf1=build,
        build_tf2=Net,
        rename_variable=lambda n: (
          (names[n], names[n].replace('kernel', 'recurrent_kernel'))
          if n.endswith('kernel')
          else names[n]
        ),
        convert_variable=lambda n, value, tf2_name: (
          value
          if n.endswith('bias')
          else value[3:]
          if 'recurrent' in tf2_name
          else value[:3]
        ),
      )
    )
    text = self.fails(case)
    self.assertSays(text, 'none that was tried', 'still differ', 'hand')
    self.assertSaysNot(text, 'only the values of TF1 help')


class StructureTest(SentencesTest):
  def test_another_dtype(self):
    text = self.fails(case_of(dense, lambda x: tf.cast(dense(x), tf.float16)))
    self.assertStartsWith(text, 'Outputs differ in dtype: 1, first outputs;')
    self.assertSays(text, 'Compute in the dtype of TF1')
    self.assertSaysNot(text, 'same nest', 'reshape the output')

  def test_another_nest(self):
    text = self.fails(case_of(dense, lambda x: {'y': dense(x)}))
    self.assertStartsWith(text, 'The structure of the outputs differs')
    self.assertSays(text, 'Return the same nest')
    self.assertSaysNot(text, 'in the dtype of TF1', 'reshape the output')

  def test_shape_that_depends_on_data(self):
    def positive(x, limit):
      net = dense(x)
      chosen = tf.boolean_mask(net[:, 0], tf.greater(net[:, 0], limit))
      return {'chosen': chosen, 'net': net}

    text = self.fails(
      case_of(lambda x: positive(x, 0.0), lambda x: positive(x, -1.0))
    )
    self.assertStartsWith(text, 'Outputs differ in shape: 1, first outputs')
    self.assertSays(text, 'Greater', 'constant (operand 1): TF1 0, TF2 -1')
    self.assertSaysNot(text, 'same nest', 'in the dtype of TF1')


class LogTest(SentencesTest):
  def test_what_goes_wrong_is_one_line(self):
    case = case_of(dense, lambda x: 2 * dense(x))
    failing = mock.patch.object(
      search, 'find', side_effect=ValueError('no such thing\nand more')
    )
    with failing, self.assertLogs('tf_equiv', 'INFO') as logged:
      text = self.fails(case)
    self.assertSays(text, '(ValueError: no such thing)')
    said = [line for line in logged.output if 'no such thing' in line]
    self.assertLen(said, 1)
    self.assertNotIn('\n', said[0])
    self.assertSaysNot('\n'.join(logged.output), 'Traceback')

  def test_cause_that_cannot_be_tested_hides_nothing(self):
    case = case_of(dense, lambda x: tf.nn.relu(dense(x)))
    with mock.patch.object(
      search.factors, 'describe', side_effect=ValueError('too bad')
    ):
      text = self.fails(case)
    self.assertSays(text, 'first divergence:', 'Relu')
    self.assertSaysNot(text, 'too bad')


class LoopsTest(SentencesTest):
  def test_table_that_is_read_beside_a_loop(self):
    def looped(x, factor):
      table = v1.get_variable('table', [4, 4])
      total = tf.while_loop(
        lambda i, _: i < 3,
        lambda i, y: (i + 1, tf.tanh(factor * y)),
        [0, dense(x)],
      )[1]
      return total, tf.gather_nd(table, [[0, 1], [2, 3]])

    text = self.fails(
      case_of(lambda x: looped(x, 0.5), lambda x: looped(x, 0.7))
    )
    self.assertSays(text, 'in iteration 1 of 3', 'TF1 0.5, TF2 0.7')
    self.assertSaysNot(text, 'could not be looked inside', 'int32[]')


if __name__ == '__main__':
  absltest.main()
