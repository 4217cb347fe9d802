"""What variables are for is read from initializers and ops, before names."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.core import observation, roles
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import weights

v1 = tf.compat.v1
_ONES, _ZEROS = v1.ones_initializer(), v1.zeros_initializer()


def get(name, shape, initializer=None, **arguments):
  return v1.get_variable(name, shape, initializer=initializer, **arguments)


def specs(build):
  """Returns the descriptions of the variables that a function makes."""
  with tf.Graph().as_default():
    build(tf.ones([2, 4, 4, 3]), tf.ones([5, 3]))
    found = graph_lib.specs_of(v1.global_variables())
  return {spec.name: spec for spec in found}


def standardized(x):
  mean = tf.reduce_mean(x, -1, keepdims=True)
  variance = tf.reduce_mean(tf.square(x - mean), -1, keepdims=True)
  return (x - mean) * tf.math.rsqrt(variance + 1e-5)


def fused(images, x):
  del x
  one, two = get('one', [3], _ONES), get('two', [3], _ZEROS)
  three, four = get('three', [3], _ZEROS), get('four', [3], _ONES)
  v1.nn.fused_batch_norm(
    images, one, two, mean=three, variance=four, is_training=False
  )


def by_hand(images, x):
  del images
  y = standardized(x) * get('g', [3], _ZEROS) + get('b', [3], _ZEROS)
  mean, moving = get('m', [3], _ZEROS), get('s', [3], v1.zeros_initializer())
  y = (y - mean) / tf.sqrt(moving + 1e-3)
  return y * tf.math.rsqrt(tf.constant(3.0)) * get('other', [3])


def of_library(images, x):
  del images
  return tf.nn.batch_normalization(
    x, *(get(n, [3], _ZEROS) for n in 'mvbg'), 1e-3
  )


def tables(images, x):
  del images, x
  rows = tf.nn.embedding_lookup(get('words', [50, 16]), [1, 2])
  hidden = tf.matmul(rows, get('w', [1, 16, 7])[0])
  return tf.matmul(tf.reshape(get('v', [1, 7, 2]), [7, 2]), hidden, True, True)


def constants(images, x):
  slope = get('slope', [3], v1.constant_initializer(0.25))
  y = tf.maximum(x, slope * x)
  y += get('bias', [3], v1.constant_initializer(0.1))
  y *= get('near', [3], v1.random_normal_initializer(1.0, 0.02))
  y *= get('wide', [3], v1.random_normal_initializer(0.1, 1.0))
  y *= get('positive', [3], v1.random_uniform_initializer(0.0, 1.0))
  return y * get('step', [], _ZEROS, trainable=False).assign_add(1.0)


class RolesTest(parameterized.TestCase):
  @parameterized.parameters(
    (fused, dict(one='gain', two='bias', three='statistic', four='variance')),
    (by_hand, dict(g='gain', b='bias', s='variance', other='gain', m='')),
    (of_library, dict(m='statistic', v='variance', b='bias', g='gain')),
    (tables, dict(words='embedding', w='', v='kernel')),
    (
      constants,
      dict(
        slope='constant',
        bias='bias',
        near='constant',
        wide='',
        positive='constant',
        step='counter',
      ),
    ),
  )
  def test_roles(self, build, expected):
    found = {name: spec.role for name, spec in specs(build).items()}
    self.assertEqual(found, expected)

  def test_centers(self):
    found = specs(constants)
    for name, center in (
      ('slope', 0.25), ('bias', 0.1), ('near', 1.0), ('positive', 0.5)
    ):  # fmt: skip
      self.assertAlmostEqual(found[name].center, center, places=6)

  @parameterized.parameters(True, False)
  def test_references_to_variables(self, resource):
    def build(images, x):
      del images
      return standardized(x) * get('g', [3], _ONES, use_resource=resource)

    self.assertEqual(specs(build)['g'].role, 'gain')

  def test_a_root_of_a_constant_normalizes_nothing(self):
    def build(images, x):
      del images
      return x * tf.math.rsqrt(tf.constant(16.0)) * get('w', [3])

    self.assertEqual(specs(build)['w'].role, '')

  def test_a_vector_that_starts_at_zero_stays_small(self):
    """The logarithm of a factor, say, whatever shape the vector has."""

    def build(images, x):
      factor = tf.exp(3.0 * get('logs', [1, 1, 1, 3], _ZEROS))
      return images * factor, x @ get('w', [3, 1], _ZEROS)

    found = specs(build)
    self.assertEqual(found['logs'].role, 'constant')
    self.assertEqual(found['w'].role, '')
    with weights.roles_known([found['logs']]):
      value = weights.named_weights('logs', (1, 1, 1, 300), np.float32)
    self.assertAlmostEqual(value.std(), 0.1, delta=0.02)

  def test_a_gain_of_what_no_graph_shows(self):
    """Inside of a function, only the initializer is seen."""

    def build(images, x):
      del images
      g, w = get('g', [3], _ONES), get('w', [3, 3], _ONES)
      with tf_equiv.TF1Behavior().active():
        return v1.cond(tf.reduce_sum(x) > 0, lambda: x * g @ w, lambda: x)

    found = specs(build)
    self.assertEqual(found['g'].role, 'constant')
    self.assertEqual(found['w'].role, '')


class ValuesTest(parameterized.TestCase):
  def _value(self, role, shape=(2000,), center=0.0, name='net/x'):
    spec = observation.VariableSpec(
      name, shape, 'float32', True, role=role, center=center
    )
    with weights.roles_known([spec]):
      return weights.named_weights(name, shape, np.float32)

  @parameterized.parameters(
    (roles.GAIN, 0.0, 1.0, 0.1),
    (roles.BIAS, 0.0, 0.0, 0.1),
    (roles.BIAS, 1.0, 1.0, 0.1),
    (roles.CONSTANT, -2.0, -2.0, 0.2),
    (roles.STATISTIC, 0.0, 0.0, 0.1),
  )
  def test_moments(self, role, center, mean, deviation):
    value = self._value(role, center=center)
    self.assertAlmostEqual(value.mean(), mean, delta=0.02)
    self.assertAlmostEqual(value.std(), deviation, delta=0.02)

  def test_variances_are_positive(self):
    self.assertGreaterEqual(self._value(roles.VARIANCE).min(), 0.5)

  def test_rows_do_not_depend_on_their_number(self):
    few = self._value(roles.EMBEDDING, (50, 16))
    many = self._value(roles.EMBEDDING, (5000, 16))
    for value in (few, many):
      self.assertAlmostEqual(value.std(), 0.5, delta=0.05)

  def test_counters_keep_their_start(self):
    self.assertEqual(self._value(roles.COUNTER, (), 3.0), 3.0)

  def test_an_image_shaped_bias_is_a_bias(self):
    self.assertLess(self._value(roles.BIAS, (1, 1, 1, 500)).std(), 0.2)

  @parameterized.parameters('net/gamma', 'net/moving_variance')
  def test_a_name_decides_where_the_graph_does_not(self, name):
    np.testing.assert_array_equal(
      self._value('', name=name), weights.named_weights(name, (2000,), 'f')
    )

  def test_nothing_is_known_outside(self):
    before = weights.named_weights('net/x', (4,), np.float32)
    self._value(roles.GAIN, (4,))
    np.testing.assert_array_equal(
      weights.named_weights('net/x', (4,), np.float32), before
    )


class Transformer(tf_equiv.MigrationTestCase):
  """Gains go by a letter; activations of normal size show a wrong GELU."""

  approximate = True

  def make_inputs(self):
    return np.arange(12, dtype=np.int32).reshape(2, 6) % 7

  def _net(self, ids, approximate):
    with v1.variable_scope('model'):
      x = tf.gather(
        get('wte', [300, 16], v1.random_normal_initializer(0.02)), ids
      )
      for i in range(2):
        with v1.variable_scope(f'h{i}'):
          g, b = get('g', [16], _ONES), get('b', [16], _ZEROS)
          hidden = v1.layers.dense(standardized(x) * g + b, 64, name='fc')
          hidden = tf.nn.gelu(hidden, approximate=approximate)
          x += v1.layers.dense(hidden, 16, name='proj')
      return standardized(x) * get('g', [16], _ONES)

  def build_tf1(self, inputs, training):
    return self._net(inputs, True)

  def build_tf2(self):
    test = self

    class Model(tf.keras.layers.Layer):
      @tf_equiv.track_tf1_style_variables
      def call(self, ids):
        return test._net(ids, test.approximate)

    return Model()


class TransformerTest(absltest.TestCase):
  def test_another_gelu_is_found_in_the_forward_pass(self):
    case = Transformer()
    case.approximate = False
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    self.assertIn('GELU', str(caught.exception))

  def test_the_same(self):
    verdict = Transformer().assertForwardEquivalent()
    self.assertIn('respond to 14 of 14 variables', verdict.power)


if __name__ == '__main__':
  absltest.main()
