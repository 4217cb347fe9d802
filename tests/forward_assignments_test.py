"""What a forward pass itself assigns is seen on both sides."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

v1 = tf.compat.v1


def centered(x, training, decay, how):
  """Subtracts a moving average, which the pass itself updates."""
  with v1.variable_scope('net'):
    mean = v1.get_variable(
      'mean', [4], initializer=v1.zeros_initializer(), trainable=False
    )
    w = v1.get_variable('w', [4, 3])

    def update():
      new = decay * mean + (1 - decay) * tf.reduce_mean(x, 0)
      return mean.assign(new)

    if training and how == 'control':
      with tf.control_dependencies([update()]):
        x = tf.identity(x)
    elif training and how == 'branch':

      def updated():
        with tf.control_dependencies([update()]):
          return tf.identity(x)

      x = v1.cond(tf.reduce_sum(x) < 1e9, updated, lambda: x)
    # After the update, as in TF2; else TF1 leaves the order open.
    with tf.control_dependencies([x]):
      mean = mean.read_value()
    return tf.matmul(x - tf.stop_gradient(mean), w)


class Centered(tf.keras.Model):
  def __init__(self, decay):
    super().__init__(name='net')
    self.decay = decay
    self.mean = self.add_weight('mean', [4], trainable=False)
    self.w = self.add_weight('w', [4, 3])

  def call(self, x, training=False):
    if training:
      new = self.decay * self.mean + (1 - self.decay) * tf.reduce_mean(x, 0)
      self.mean.assign(new)
    return tf.matmul(x - tf.stop_gradient(self.mean), self.w)


class Unaffected(Centered):
  def call(self, x, training=False):
    return super().call(x, training) * 0.0 + x[:, :3]


class Case(tf_equiv.MigrationTestCase):
  how = 'control'
  decay = 0.9

  def make_inputs(self):
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return centered(inputs, training, 0.9, self.how)

  def build_tf2(self):
    return Centered(self.decay)

  def rename_variable(self, tf1_name):
    return tf1_name.replace('net/', '')


class Overwriting(tf.keras.Model):
  """Normalizes a trained kernel in place."""

  def __init__(self, in_place, is_read_again=False):
    super().__init__(name='net')
    self.in_place, self.is_read_again = in_place, is_read_again
    self.w = self.add_weight('w', [4, 3])

  def call(self, x, training=False):
    w = self.w / tf.norm(self.w)
    if training and self.in_place:
      self.w.assign(w)
      if self.is_read_again:
        w = self.w.read_value()
    return tf.matmul(x, w)


class Normalized(tf_equiv.MigrationTestCase):
  in_place = False

  def make_inputs(self):
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)).astype(np.float32)

  def build_tf1(self, inputs, training):
    w = v1.get_variable('w', [4, 3])
    return tf.matmul(inputs, w / tf.norm(w))

  def build_tf2(self):
    return Overwriting(self.in_place)


def message(case, **arguments):
  try:
    case.assertTrainingEquivalent(weights='fixed', **arguments)
  except AssertionError as error:
    return str(error)
  return ''


class ForwardAssignmentsTest(absltest.TestCase):
  def _case(self, case, **settings):
    for name, value in settings.items():
      setattr(case, name, value)
    return case

  def test_another_decay_behind_a_control_dependency(self):
    text = message(self._case(Case(), decay=0.5))
    self.assertStartsWith(text, 'Outputs differ')

  def test_another_decay_in_a_branch_is_no_variable_left_alone(self):
    case = self._case(Case(), how='branch', decay=0.5)
    case.build_tf1 = lambda x, training: (
      centered(x, training, 0.9, 'branch') * 0.0 + x[:, :3]
    )
    case.build_tf2 = lambda: Unaffected(0.5)
    text = message(case)
    self.assertStartsWith(
      text,
      'Variables updated by the forward pass differ: 1 of 1, first mean',
    )
    self.assertNotIn('leaves it alone', text)
    self.assertNotIn('trainable=False', text)
    self.assertNotIn('UPDATE_OPS', text)

  def test_a_kernel_that_the_pass_of_tf2_overwrites(self):
    text = message(self._case(Normalized(), in_place=True))
    self.assertStartsWith(
      text, 'Variables updated by the forward pass differ: 1 of 1, first w'
    )
    self.assertIn('TF2 changes it by up to', text)
    self.assertIn('in the forward pass itself, TF1 does not', text)
    self.assertIn('self.w.assign(w)', text)
    self.assertNotIn('trainable=False', text)
    self.assertNotIn('UPDATE_OPS', text)

  def test_gradients_behind_a_kernel_that_is_overwritten(self):
    case = Normalized()
    case.build_tf2 = lambda: Overwriting(True, is_read_again=True)
    with self.assertRaises(AssertionError) as caught:
      case.assertGradientsClose()
    self.assertOverwrites(str(caught.exception))

  def test_steps_behind_a_kernel_that_is_overwritten(self):
    for is_read_again in (False, True):
      text = self._steps(
        build_tf2=lambda again=is_read_again: Overwriting(True, again)
      )
      self.assertStartsWith(text, 'Training diverges at step 1 of 2')
      self.assertOverwrites(text)

  def assertOverwrites(self, text):
    self.assertIn('The forward pass of TF2 itself assigns w, which is', text)
    self.assertIn('self.w.assign(w)', text)
    self.assertIn('only TF2 assigns w, by the op above', text)
    for general in (
      'The loss agrees, so',
      'If the outputs agree',
      'UPDATE_OPS',
    ):
      self.assertNotIn(general, text)

  def _steps(self, factor=1.0, **settings):
    case = self._case(Normalized(), **settings)
    case.build_tf1_optimizer = lambda: v1.train.GradientDescentOptimizer(0.1)
    case.build_tf2_optimizer = lambda: tf.keras.optimizers.SGD(0.1)
    case.compute_loss = lambda outputs, inputs: tf.reduce_mean(outputs**2)
    case.compute_loss_tf2 = lambda outputs, inputs: (
      factor * tf.reduce_mean(outputs**2)
    )
    return message(case, steps=2)

  def test_steps_that_only_an_optimizer_assigns_in(self):
    text = self._steps(factor=2.0)
    self.assertStartsWith(text, 'Training diverges')
    self.assertNotIn('The forward pass of', text)
    self.assertEqual(self._steps(), '')

  def test_clean(self):
    for case in (Case(), self._case(Case(), how='branch'), Normalized()):
      self.assertEqual(message(case), '')
      verdict = case.assertGradientsClose()
      self.assertTrue(verdict.passed)


class Sequence(tf.keras.Model):
  def __init__(self):
    super().__init__(name='net')
    self.rnn = tf.keras.layers.SimpleRNN(
      6,
      recurrent_initializer='glorot_uniform',
      stateful=True,
      name='rnn',
    )

  def call(self, x):
    return self.rnn(x)


class Stateful(tf_equiv.MigrationTestCase):
  """A state that TF1 keeps in a variable, and Keras beside its weights."""

  start = 1.0

  def make_inputs(self):
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 4, 5)).astype(np.float32)

  def build_tf1(self, inputs, training):
    with v1.variable_scope('net/rnn/simple_rnn_cell'):
      kernel = v1.get_variable('kernel', [5, 6])
      recurrent = v1.get_variable('recurrent_kernel', [6, 6])
      bias = v1.get_variable('bias', [6], initializer=v1.zeros_initializer())
    state = v1.get_variable(
      'state', [3, 6], initializer=v1.zeros_initializer(), trainable=False
    )
    h = self.start * state
    for i in range(4):
      h = tf.tanh(inputs[:, i] @ kernel + h @ recurrent + bias)
    with tf.control_dependencies([state.assign(h)]):
      return tf.identity(h)

  def build_tf2(self):
    return Sequence()

  def rename_variable(self, tf1_name):
    return 'rnn/states/0' if tf1_name == 'state' else tf1_name


class StateTest(absltest.TestCase):
  def test_states_are_set_and_compared(self):
    case = Stateful()
    self.assertLen(case.assertVariablesMatch().table.pairs, 4)
    for arguments in ({}, {'seed_mode': 'constant'}):
      self.assertTrue(case.assertForwardEquivalent(**arguments).passed)
    verdict = case.assertTrainingEquivalent(weights='fixed')
    self.assertEqual(verdict.compared['updated variables'], 1)

  def test_a_state_that_tf1_does_not_use(self):
    case = Stateful()
    case.start = 0.0
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    self.assertStartsWith(str(caught.exception), 'Outputs differ')

  def test_calls_change_states_unless_that_is_meant(self):
    case = Stateful()
    with self.assertRaises(AssertionError) as caught:
      case.assertNoNewVariables()
    self.assertIn('rnn/states/0', str(caught.exception))
    self.assertIn('ignored_variables', str(caught.exception))
    case.ignored_variables = ('/states/',)
    self.assertTrue(case.assertNoNewVariables().passed)

  def test_what_a_model_hides_has_names_and_starts_anew(self):
    class Counting(tf.Module):
      def __init__(self):
        super().__init__()
        self.kept = lambda: None  # Nothing looks into a function.
        self.kept.all = [tf.Variable(1.0), tf.Variable(1.0)]
        self.w = tf.Variable(2.0, name='w')

      def __call__(self, x):
        for variable in self.kept.all:
          variable.assign_add(1.0)
        return x * self.w * self.kept.all[0]

    case = Stateful()
    case.build_tf1 = lambda x, training: (
      x * v1.get_variable('w', []) * tf.constant(2.0)
    )
    case.rename_variable = lambda name: name
    case.build_tf2 = Counting
    self.assertTrue(case.assertForwardEquivalent().passed)
    with self.assertRaises(AssertionError) as caught:
      case.assertNoNewVariables()
    text = str(caught.exception)
    self.assertIn('Variable_1', text)
    case.ignored_variables = ('^Variable',)
    self.assertTrue(case.assertNoNewVariables().passed)


if __name__ == '__main__':
  absltest.main()
