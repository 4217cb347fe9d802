import os
import random

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv import compat

v1 = tf.compat.v1

# First values printed by TensorFlow's guide "Validating correctness &
# numerical equivalence", section on DeterministicRandomTestTool.
_GUIDE = {
  'num_random_ops': (2.5063772, 0.45038545, 2.9634383),
  'constant': (2.5063772, 2.5063772, 2.5063772),
}


def three_draws():
  return [tf.random.uniform(shape) * 3 for shape in ((3, 1), (3, 3), (3, 3))]


def firsts(arrays):
  return tuple(np.float32(np.asarray(a)[0, 0]) for a in arrays)


class GuideNumbersTest(parameterized.TestCase):
  @parameterized.named_parameters(*tf_equiv.SEED_MODES)
  def test_session_eager_and_function(self, mode):
    expected = tuple(np.float32(x) for x in _GUIDE[mode.value])
    seeds = tf_equiv.deterministic_seeds(mode)
    with seeds, tf.Graph().as_default(), v1.Session() as session:
      self.assertEqual(firsts(session.run(three_draws())), expected)
      self.assertEqual({d.context for d in seeds.draws}, {'graph'})
    with seeds:
      self.assertEqual(firsts(three_draws()), expected)
      self.assertEqual({d.context for d in seeds.draws}, {'eager'})
    with seeds:
      self.assertEqual(firsts(tf.function(three_draws)()), expected)
      self.assertEqual({d.context for d in seeds.draws}, {'function'})

  def test_constant_mode_repeats_equal_shapes(self):
    with tf_equiv.deterministic_seeds('constant'):
      _, b, c = three_draws()
    np.testing.assert_array_equal(b, c)

  def test_num_random_ops_depends_on_program_order(self):
    with tf_equiv.deterministic_seeds('num_random_ops'):
      a, b = tf.random.uniform((3, 1)), tf.random.uniform((3, 3))
    with tf_equiv.deterministic_seeds('num_random_ops'):
      b2, a2 = tf.random.uniform((3, 3)), tf.random.uniform((3, 1))
    self.assertFalse(np.allclose(a, a2))
    self.assertFalse(np.allclose(b, b2))

  def test_operation_seed_counts_and_aligns_another_order(self):
    with tf_equiv.deterministic_seeds('num_random_ops') as seeds:
      counts = [seeds.operation_seed]
      a = tf.random.uniform((3, 1))
      counts.append(seeds.operation_seed)
      b = tf.random.uniform((3, 3))
      counts.append(seeds.operation_seed)
    self.assertEqual(counts, [0, 1, 2])
    with tf_equiv.deterministic_seeds('num_random_ops') as seeds:
      seeds.operation_seed = 1
      b2 = tf.random.uniform((3, 3))
      seeds.operation_seed = 0
      a2 = tf.random.uniform((3, 1))
    np.testing.assert_array_equal(a, a2)
    np.testing.assert_array_equal(b, b2)

  def test_reused_seed_raises_before_drawing(self):
    with tf_equiv.deterministic_seeds('num_random_ops') as seeds:
      seeds.operation_seed = 1
      tf.random.uniform((3, 3))
      seeds.operation_seed = 0
      tf.random.uniform((3, 1))
      with self.assertRaisesRegex(ValueError, 'already-used operation seed 1'):
        tf.random.uniform((3, 1))
      self.assertLen(seeds.draws, 2)
      self.assertEqual(seeds.operation_seed, 1)

  def test_the_same_seed_can_be_drawn_in_two_contexts(self):
    # Without clearing the kernel cache the second would go on with the state
    # of the first.
    results = []
    for _ in range(3):
      with tf_equiv.deterministic_seeds('num_random_ops'):
        results.append(tf.random.uniform((4,)).numpy())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])

  def test_another_seed_gives_other_numbers(self):
    drawn = []
    for seed in (42, 43):
      with tf_equiv.deterministic_seeds(seed=seed):
        drawn.append(tf.random.uniform((4,)).numpy())
    self.assertFalse(np.allclose(*drawn))


class DefaultInitializersTest(absltest.TestCase):
  """TF's own tool never hears of draws by Keras' stateless generators."""

  def _dense_weights(self, scope):
    with scope(), tf.Graph().as_default(), v1.Session() as session:
      v1.layers.dense(tf.ones((2, 3)), 4, name='d')
      session.run(v1.global_variables_initializer())
      graph = session.run(v1.global_variables()[0])

    class Layer(tf.keras.layers.Layer):
      @tf_equiv.track_tf1_style_variables
      def call(self, x):
        return v1.layers.dense(x, 4, name='d')

    layer = Layer()
    with scope():
      layer(tf.ones((2, 3)))
    (kernel,) = [v for v in layer.variables if 'kernel' in v.name]
    return graph, kernel.numpy()

  def test_tensorflows_tool_fails_where_ours_aligns(self):
    tool = v1.keras.utils.DeterministicRandomTestTool
    graph, eager = self._dense_weights(
      lambda: tool(mode='num_random_ops').scope()
    )
    self.assertGreater(np.abs(graph - eager).max(), 0.01)
    graph, eager = self._dense_weights(
      lambda: tf_equiv.deterministic_seeds('num_random_ops')
    )
    np.testing.assert_array_equal(graph, eager)

  def test_generators_keep_their_type_and_seed(self):
    initializer = tf.keras.initializers.GlorotUniform(seed=7)
    generator = initializer._random_generator
    before = initializer((2, 3)).numpy()
    state = dict(generator.__dict__)
    with tf_equiv.deterministic_seeds() as seeds:
      inside = initializer((2, 3)).numpy()
      self.assertLen(seeds.draws, 1)
    self.assertEqual(dict(generator.__dict__), state)
    np.testing.assert_array_equal(initializer((2, 3)), before)
    self.assertFalse(np.allclose(inside, before))


class RestorationTest(absltest.TestCase):
  def _state(self):
    context = tf.random.get_global_generator  # importable, must not change
    return (
      tf.random.uniform((2,)).numpy().tolist(),
      random.random(),
      np.random.random(),
      context,
      v1.get_seed(3),
    )

  def _prepare(self):
    tf.random.set_seed(5)
    random.seed(6)
    np.random.seed(7)
    tf.random.uniform((1,))  # moves the generator of operation seeds

  def test_all_seeds_are_restored(self):
    self._prepare()
    expected = self._state()
    self._prepare()
    with tf_equiv.deterministic_seeds('num_random_ops'):
      three_draws()
      random.random()
      np.random.random()
    self.assertEqual(self._state(), expected)

  def test_all_seeds_are_restored_after_an_exception(self):
    self._prepare()
    expected = self._state()
    self._prepare()
    with self.assertRaisesRegex(RuntimeError, 'boom'):
      with tf_equiv.deterministic_seeds():
        three_draws()
        raise RuntimeError('boom')
    self.assertEqual(self._state(), expected)
    self.assertFalse(compat.get_seed_is_patched())

  def test_python_and_numpy_are_seeded_inside(self):
    drawn = []
    for _ in range(2):
      with tf_equiv.deterministic_seeds(seed=3):
        drawn.append((random.random(), np.random.random()))
    self.assertEqual(drawn[0], drawn[1])

  def test_nesting_is_refused_and_leaves_the_outer_intact(self):
    with tf_equiv.deterministic_seeds('num_random_ops') as outer:
      with self.assertRaisesRegex(ValueError, 'already active'):
        with tf_equiv.deterministic_seeds():
          self.fail('must not be entered')
      with self.assertRaisesRegex(ValueError, 'already active'):
        with outer:
          self.fail('must not be entered')
      tf.random.uniform((2,))
      self.assertLen(outer.draws, 1)
    self.assertFalse(compat.get_seed_is_patched())

  def test_entering_again_starts_afresh(self):
    seeds = tf_equiv.deterministic_seeds('num_random_ops')
    with seeds:
      first = tf.random.uniform((2,)).numpy()
    with seeds:
      self.assertEqual(seeds.operation_seed, 0)
      self.assertEmpty(seeds.draws)
      np.testing.assert_array_equal(tf.random.uniform((2,)), first)

  def test_bad_arguments(self):
    with self.assertRaisesRegex(ValueError, "'constant', 'num_random_ops'"):
      tf_equiv.deterministic_seeds('random')
    with self.assertRaisesRegex(ValueError, 'seed must be an int'):
      tf_equiv.deterministic_seeds(seed='42')
    with tf_equiv.deterministic_seeds() as seeds:
      with self.assertRaisesRegex(ValueError, 'operation_seed must be an int'):
        seeds.operation_seed = 'a'


class LedgerTest(absltest.TestCase):
  def test_draws_in_a_graph(self):
    with tf_equiv.deterministic_seeds('num_random_ops') as seeds:
      with tf.Graph().as_default():
        with v1.variable_scope('net'):
          v1.get_variable(
            'w', (3, 4), initializer=v1.truncated_normal_initializer()
          )
          v1.layers.dropout(tf.ones((2, 5)), 0.5, training=True, name='drop')
    init, drop = seeds.draws
    self.assertEqual(
      (init.index, init.seed, init.op, init.shape, init.variable),
      (0, 0, 'truncated_normal', (3, 4), 'net/w'),
    )
    self.assertEqual((drop.op, drop.shape, drop.variable), _DROPOUT)
    self.assertEqual((drop.index, drop.seed), (1, 1))
    self.assertIn('drop', drop.layer)
    for draw in (init, drop):
      self.assertEqual(os.path.basename(draw.line.filename), 'seeds_test.py')
      self.assertEqual(draw.line.function, 'test_draws_in_a_graph')
    self.assertIn('v1.layers.dropout', drop.line.code)

  def test_draws_of_tf_keras_layers(self):
    with tf_equiv.deterministic_seeds('num_random_ops') as seeds:
      layer = tf.keras.layers.Dense(4, name='d')
      layer(tf.ones((2, 3)))
      tf.keras.layers.Dropout(0.5, name='drop')(tf.ones((2, 5)), training=True)
    self.assertEqual(
      [(d.op, d.shape, d.variable, d.context) for d in seeds.draws],
      [
        ('random_uniform', (3, 4), 'd/kernel', 'eager'),
        _DROPOUT + ('eager',),
      ],
    )
    self.assertEqual(seeds.draws[1].layer, 'drop')

  def test_lines_behind_autograph(self):
    @tf.function
    def model(x):
      if tf.reduce_sum(x) > -1:
        x = x + tf.random.normal((2, 3))
      return x

    with tf_equiv.deterministic_seeds() as seeds:
      model(tf.ones((2, 3)))
    self.assertIn('tf.random.normal((2, 3))', seeds.draws[0].line.code)

  def test_replay_gives_a_second_call_the_numbers_of_the_first(self):
    variables = []

    def model():
      if not variables:
        initializer = tf.keras.initializers.GlorotUniform()
        variables.append(tf.Variable(initializer((3, 3))))
      return tf.random.uniform((2,)), tf.random.normal((2,))

    with tf_equiv.deterministic_seeds('num_random_ops') as seeds:
      first = model()
      seeds.replay()
      second = model()
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    self.assertEqual([d.seed for d in seeds.draws], [0, 1, 2, 1, 2])


_DROPOUT = ('random_uniform', (2, 5), '')

if __name__ == '__main__':
  absltest.main()
