"""An op too many, or one too few, at the end of a network is the repair."""

import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair

v1 = tf.compat.v1


def message_of(tf1, tf2):
  """Returns the message where functions of equal networks differ.

  Args:
    tf1: what TF1 does to what the network returns.
    tf2: what TF2 does to it.
  """

  def network(end):
    def build(x, training=False):
      del training
      net = tf.nn.tanh(v1.layers.dense(x, 6, name='hidden'))
      return end(v1.layers.dense(net, 3, name='out'))

    return build

  case = pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(5, 4),
      build_tf1=network(tf1),
      build_tf2=pair.shim(network(tf2)),
    )
  )
  try:
    case.assertForwardEquivalent()
  except AssertionError as error:
    return str(error)
  finally:
    type(case).tearDownClass()
  return ''


def scaled(x):
  return 1.01 * x


class EndsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('one_too_many', tf.identity, scaled, 'without Mul'),
    (
      'several_too_many',
      tf.identity,
      lambda x: 2.0 * tf.nn.relu(x) + 1.0,
      'without Relu + Mul + AddV2',
    ),
    (
      'one_lost',
      tf.nn.relu,
      tf.identity,
      'Relu put in after shim/out/BiasAdd',
    ),
    (
      'several_lost',
      lambda x: 2.0 * tf.nn.sigmoid(x) - 1.0,
      tf.identity,
      'Sigmoid + Mul + Sub put in after shim/out/BiasAdd',
    ),
    (
      'divided_no_more',
      lambda x: tf.reduce_sum(x, 1) / 3.0,
      lambda x: tf.reduce_sum(x, 1),
      'RealDiv put in after shim/Sum',
    ),
    ('another', tf.nn.relu, tf.nn.elu, 'Relu for Elu'),
    ('mean_or_sum', tf.reduce_mean, tf.reduce_sum, 'Mean for Sum'),
  )
  def test_repair(self, tf1, tf2, repair):
    text = message_of(tf1, tf2)
    self.assertIn(f'\n    repair: {repair}\n', text)
    self.assertIn('\n  with this repaired the result agrees', text)
    self.assertNotIn('only the values of TF1', text)

  @parameterized.named_parameters(
    ('scaled', scaled),
    ('relu', tf.nn.relu),
    ('sum', lambda x: tf.reduce_sum(x, 1)),
  )
  def test_the_same_at_the_end(self, end):
    self.assertEqual(message_of(end, end), '')

  def test_an_activation_of_both_is_not_called_missing(self):
    text = message_of(tf.nn.softmax, lambda x: tf.nn.softmax(x, axis=0))
    self.assertIn('repair: Softmax for Transpose + Softmax + Transpose', text)
    self.assertNotIn('TF1 does not have', text)
    self.assertNotIn('is missing', text)

  @parameterized.named_parameters(
    ('lost', tf.nn.relu, tf.identity, 'The activation Relu of TF1 is missing'),
    ('added', tf.identity, tf.nn.relu, 'TF2 applies Relu, which TF1 does not'),
  )
  def test_an_activation_of_one_side_is_named(self, tf1, tf2, words):
    self.assertIn('\nNext: ' + words, message_of(tf1, tf2))


if __name__ == '__main__':
  absltest.main()
