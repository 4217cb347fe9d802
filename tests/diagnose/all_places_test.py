"""All faults of a network are named in one run, each with what repairs it."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair
from tf_equiv import MigrationTestCase
from tf_equiv.compare.repairs import ChangeKind

v1 = tf.compat.v1


def dense(x, units, name, l2=0.0):
  regularizer = None
  if l2:
    regularizer = lambda w: l2 * tf.nn.l2_loss(w)  # noqa: E731
  return v1.layers.dense(x, units, name=name, kernel_regularizer=regularizer)


def network(
  x,
  training=False,
  epsilon=1e-3,
  momentum=0.9,
  activation=tf.nn.tanh,
  factor=1.5,
  swap=False,
  alpha=0.2,
  l2=1e-2,
):
  net = v1.layers.batch_normalization(
    dense(x, 8, 'first', l2),
    epsilon=epsilon,
    momentum=momentum,
    training=training,
    name='norm',
  )
  net = activation(net)
  net = net + factor * dense(net, 8, 'inner')
  parts = [tf.sin(net), tf.cos(net)]
  net = tf.concat(parts[::-1] if swap else parts, -1)
  net = tf.nn.leaky_relu(dense(net, 6, 'mixed'), alpha)
  return dense(net, 3, 'out')


def case_of(tf2, tf1=network, **methods):
  return pair.PairCase(
    pair.clean(
      'pair',
      **{
        'make_inputs': pair.numbers(4, 5),
        'build_tf1': tf1,
        'build_tf2': pair.shim(tf2),
        **methods,
      },
    )
  )


def changed(**arguments):
  return lambda x, training: network(x, training, **arguments)


def failure(run):
  """Returns the message and the verdict of a failing assertion."""
  try:
    run()
  except AssertionError as error:
    return str(error), error.verdict
  raise ValueError('it passes')


def ops(verdict):
  return [place.tf1.name for place in verdict.divergences]


def images(
  x, training, stride=2, padding='same', window='SAME', alpha=0.2, weight=1.0
):
  """A network whose faults change shapes that its gradients hold."""
  del training
  net = v1.layers.conv2d(x, 4, 3, stride, padding, name='conv')
  with tf.name_scope('pool'):
    net = tf.nn.avg_pool2d(net, 2, 1, window)
  with tf.name_scope('unit'):
    net = tf.nn.l2_normalize(net, -1, 1e-2)
  with tf.name_scope('rows'):
    net = tf.concat([net[..., :2], tf.sin(net)], -1)
  net = tf.nn.leaky_relu(tf.reduce_mean(net, [1, 2]), alpha)
  return weight * dense(net, 3, 'out')


def of_images(**arguments):
  """Returns the case of a network of images, with faults."""
  return case_of(
    lambda x, training: images(x, training, **arguments),
    images,
    make_inputs=pair.numbers(2, 8, 8, 3),
  )


class AllPlacesTest(parameterized.TestCase):
  def test_each_is_named_and_repaired(self):
    case = case_of(
      changed(
        epsilon=1e-1,
        activation=tf.nn.elu,
        factor=0.5,
        swap=True,
        alpha=0.3,
        l2=2e-2,
      )
    )
    text, verdict = failure(case.assertForwardEquivalent)
    self.assertEqual(verdict.divergence, verdict.divergences[0])
    self.assertLen(verdict.divergences, 6)
    for place, name in zip(
      ops(verdict),
      ('norm/', '', 'mul', 'concat', 'LeakyRelu', 'first/kernel/Regularizer'),
      strict=True,
    ):
      self.assertIn(name, place)
    kinds = [place.repair.changes[0].kind for place in verdict.divergences]
    self.assertEqual(
      kinds,
      [
        ChangeKind.CONSTANT,
        ChangeKind.OP,
        ChangeKind.CONSTANT,
        ChangeKind.OPERAND_ORDER,
        ChangeKind.ATTRIBUTE,
        ChangeKind.CONSTANT,
      ],
    )
    lines = text.splitlines()
    self.assertEqual(lines[1], '  first divergence: 1 of 6')
    for wanted in (
      '    repair: operand 1 of shim/norm/batchnorm/add 0.001 for 0.1',
      '     repair: Tanh for Elu',
      '     repair: alpha 0.2 for 0.3',
      '     TF2 is 2.000 times TF1',
    ):
      self.assertIn(wanted, lines)
    for number in range(2, 7):
      self.assertTrue(any(x.startswith(f'  {number}. TF1 ') for x in lines))
    self.assertRegex(
      text, r'with these 6 repaired all 2 results agree, largest difference \d'
    )
    self.assertNotIn('not explained', text)
    self.assertRegex(text, r'Write epsilon=0\.001 at \S*all_places_test.py:\d+')

  def test_one_fault_reads_as_before(self):
    text, verdict = failure(case_of(changed(alpha=0.3)).assertForwardEquivalent)
    lines = text.splitlines()
    self.assertEqual(lines[1], '  first divergence:')
    self.assertLen(verdict.divergences, 1)
    self.assertNotIn('2. TF1', text)
    self.assertIn('    repair: alpha 0.2 for 0.3', lines)
    self.assertIn('with this repaired all 2 results agree', text)

  def test_clean(self):
    verdict = case_of(changed()).assertForwardEquivalent()
    self.assertEqual(verdict.divergences, ())
    self.assertIsNone(verdict.proof)

  def test_two_faults_beside_each_other(self):
    text, verdict = failure(
      case_of(
        changed(activation=tf.nn.softplus, factor=0.5)
      ).assertForwardEquivalent
    )
    self.assertLen(verdict.divergences, 2, text)
    self.assertTrue(all(x.repair for x in verdict.divergences))

  def test_more_than_ten(self):
    def scaled(factors):
      def build(x, training):
        del training
        for i, factor in enumerate(factors):
          x = tf.tanh(factor * dense(x, 5, f'layer{i}'))
        return x

      return build

    case = case_of(scaled(np.full(13, 2.0)), scaled(np.full(13, 1.0)))
    text, verdict = failure(case.assertForwardEquivalent)
    self.assertLen(verdict.divergences, 13)
    self.assertIn('first divergence: 1 of 13', text)
    self.assertIn('  10. TF1', text)
    self.assertNotIn('  11. TF1', text)
    self.assertIn('... and 3 more', text)
    self.assertIn('with these 13 repaired', text)

  def test_only_the_values_of_tf1_help(self):
    def other(x, training):
      del training
      net = dense(x, 4, 'a')
      for _ in range(10):
        net = tf.sin(net) + tf.cos(net)
      return dense(2.0 * dense(net, 4, 'b'), 2, 'c')

    def build(x, training):
      del training
      return dense(1.0 * dense(tf.nn.relu(dense(x, 4, 'a')), 4, 'b'), 2, 'c')

    text, verdict = failure(case_of(other, build).assertForwardEquivalent)
    self.assertLen(verdict.divergences, 2, text)
    self.assertIsNone(verdict.divergences[0].repair)
    self.assertIsNotNone(verdict.divergences[1].repair)
    self.assertIn('only the values of TF1 help here', text)
    self.assertIn(
      'with this repaired and the values of TF1 at 1 place(s) the result',
      text,
    )

  def test_an_op_that_is_missing_before_one_that_is_another(self):
    def padded(x, training):
      del training
      x = tf.reshape(x[:, :4], [-1, 2, 2, 1])
      x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
      return v1.layers.conv2d(x, 3, 3, 2, padding='valid', name='c')

    def same(x, training):
      del training
      x = tf.reshape(x[:, :4], [-1, 2, 2, 1])
      return v1.layers.conv2d(x, 3, 3, 2, padding='same', name='c')

    text, verdict = failure(case_of(same, padded).assertForwardEquivalent)
    self.assertTrue(all(x.repair for x in verdict.divergences), text)
    self.assertIn('repair: Pad put in before', text)
    self.assertIn('padding VALID for SAME', text)
    self.assertNotIn('none that was tried', text)
    self.assertEqual(verdict.proof.replaced, 0)
    self.assertEqual(verdict.proof.rest, ())
    text, verdict = failure(case_of(padded, same).assertForwardEquivalent)
    self.assertTrue(all(x.repair for x in verdict.divergences), text)
    self.assertIn('repair: without Pad, padding SAME for VALID', text)

  def test_gradients_of_what_tf2_alone_regularizes(self):
    def layers(x, training):
      net = v1.layers.batch_normalization(
        dense(x, 4, 'a'), training=training, name='norm'
      )
      return dense(tf.tanh(net), 3, 'b')

    def decay(kept):
      def loss(outputs, inputs):
        del inputs
        kernels = [w for w in kept() if 'norm' not in w.name or kept is trained]
        squares = tf.add_n([tf.nn.l2_loss(w) for w in kernels])
        return tf.reduce_mean(outputs**2) + 0.1 * squares

      return loss

    built = []

    def trained():
      return built[-1].trainable_variables

    shim = pair.shim(layers)
    case = case_of(
      layers,
      layers,
      compute_loss_tf1=decay(v1.trainable_variables),
      compute_loss_tf2=decay(trained),
    )

    def build():
      built.append(shim())
      return built[-1]

    case.build_tf2 = build
    text, verdict = failure(case.assertGradientsClose)
    self.assertLen(verdict.divergences, 1, text)
    self.assertIn('only TF2 reads norm/beta, norm/gamma', text)

  def test_a_fault_that_two_ops_read_is_one(self):
    def build(activation):
      def forward(x, training):
        del training
        net = activation(dense(x, 4, 'a'))
        return dense(net, 4, 'b') + tf.square(net) + dense(net, 4, 'c')

      return forward

    text, verdict = failure(
      case_of(build(tf.nn.elu), build(tf.nn.relu)).assertForwardEquivalent
    )
    self.assertLen(verdict.divergences, 1, text)
    self.assertIn('repair: Relu for Elu', text)

  def test_gradients_follow(self):
    text, verdict = failure(
      case_of(changed(alpha=0.3, factor=0.5)).assertGradientsClose
    )
    self.assertLen(verdict.divergences, 2, text)
    self.assertIn('gradients', verdict.proof.groups)
    self.assertEqual(verdict.proof.rest, ())

  @parameterized.named_parameters(
    ('padding', {'padding': 'valid'}, 'padding SAME for VALID'),
    ('stride', {'stride': 1}, 'strides [1, 2, 2, 1] for [1, 1, 1, 1]'),
    ('pooling', {'window': 'VALID'}, 'padding SAME for VALID'),
  )
  def test_gradients_behind_another_shape(self, fault, repair):
    text, verdict = failure(of_images(**fault, alpha=0.3).assertGradientsClose)
    self.assertLen(verdict.divergences, 2, text)
    self.assertIn('repair: ' + repair, text)
    self.assertIn('repair: alpha 0.2 for 0.3', text)
    self.assertIn('gradients', verdict.proof.groups)
    self.assertEqual(verdict.proof.rest, (), text)
    self.assertNotIn('there may be further places', text)

  def test_same_shapes(self):
    of_images().assertGradientsClose()

  def test_training_step(self):
    def optimizer_of_tf1():
      return v1.train.AdamOptimizer(1e-2, 0.9, 0.999, 1e-3)

    case = case_of(
      changed(alpha=0.3, momentum=0.99),
      build_tf1_optimizer=optimizer_of_tf1,
      build_tf2_optimizer=lambda: tf.keras.optimizers.Adam(
        2e-2, 0.8, 0.999, 1e-3
      ),
    )
    text, verdict = failure(
      lambda: case.assertTrainingEquivalent(steps=2, weights='fixed')
    )
    what = [
      ' '.join(map(str, place.differences)) + place.mistake
      for place in verdict.divergences
    ]
    for wanted in ('slope', 'momentum (decay)', 'learning_rate', 'beta_1'):
      self.assertLen([x for x in what if wanted in x], 1, text)
    self.assertLen(what, 4, text)
    self.assertTrue(all(place.repair for place in verdict.divergences), text)
    self.assertIn('Write beta_1=0.9 at ', text)
    self.assertIn('Write learning_rate=0.01 at ', text)

  def test_initial_weights(self):
    def build(first, second):
      def forward(x, training):
        del training
        net = v1.layers.dense(
          x, 5, name='a', kernel_initializer=v1.random_normal_initializer(first)
        )
        return v1.layers.dense(
          net,
          5,
          name='b',
          kernel_initializer=v1.random_normal_initializer(stddev=second),
        )

      return forward

    case = case_of(build(0.5, 0.2), build(0.0, 0.1))
    text, verdict = failure(
      lambda: case.assertForwardEquivalent(seed_mode='num_random_ops')
    )
    self.assertLen(verdict.divergences, 2, text)


del tf_equiv


class Averages(MigrationTestCase):
  """TF1 keeps its averages by ops of its own, TF2 in the fused op."""

  momentum = 0.9

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(4, 5, 5, 3)).astype('f')

  def build_tf1(self, inputs, training):
    with v1.variable_scope('net/bn'):
      gamma, beta, mean, variance = (
        v1.get_variable(name, [3], trainable=trainable)
        for name, trainable in (
          ('gamma', True),
          ('beta', True),
          ('moving_mean', False),
          ('moving_variance', False),
        )
      )
    if not training:
      return v1.nn.fused_batch_norm(
        inputs, gamma, beta, mean, variance, is_training=False
      )[0]
    found = v1.nn.fused_batch_norm(inputs, gamma, beta)
    for kept, new in ((mean, found[1]), (variance, found[2])):
      v1.add_to_collection(
        v1.GraphKeys.UPDATE_OPS, kept.assign_sub((kept - new) * 0.1)
      )
    return found[0]

  def build_tf2(self):
    normalize = tf.keras.layers.BatchNormalization(
      momentum=self.momentum, name='bn'
    )

    class Net(tf.keras.Model):
      def __init__(self):
        super().__init__(name='net')
        self.bn = normalize

      def call(self, x, training=None):
        return self.bn(x, training=training)

    return Net()


class AveragesTest(absltest.TestCase):
  def test_outputs_of_a_fused_op(self):
    case = Averages()
    self.assertTrue(case.assertTrainingEquivalent(weights='fixed').passed)
    case = Averages()
    case.momentum = 0.99
    with self.assertRaises(AssertionError) as caught:
      case.assertTrainingEquivalent(weights='fixed')
    message = str(caught.exception)
    self.assertIn('is 0.9 in TF1 and 0.99 in TF2', message)
    self.assertIn('all 3 results agree', message)
    self.assertNotIn('only the first place', message)
    self.assertNotIn('reads net/bn/gamma', message)


def normalized(x, training, decay=0.9):
  """A fused batch normalization that updates its averages by itself."""
  net = v1.layers.conv2d(x, 4, 3, name='conv')
  return v1.layers.batch_normalization(
    net, momentum=decay, training=training, fused=True, name='norm'
  )


class FusedAveragesTest(absltest.TestCase):
  """Keras moves both averages by an attribute of one op."""

  def failure_of(self, momentum):
    layers = tf.keras.layers
    case = case_of(
      None,
      lambda x, training: normalized(x, training),
      make_inputs=pair.numbers(2, 6, 6, 3),
      build_tf2=lambda: tf.keras.Sequential(
        [
          layers.Conv2D(4, 3, name='conv'),
          layers.BatchNormalization(momentum=momentum, name='norm'),
        ]
      ),
      rename_variable=lambda name: name,
    )
    return failure(lambda: case.assertTrainingEquivalent(weights='fixed'))

  def test_the_decay_is_one_place_with_its_argument(self):
    text, verdict = self.failure_of(0.99)
    self.assertLen(verdict.divergences, 1)
    self.assertIn('repair: exponential_avg_factor 0.1 for 0.01\n', text)
    self.assertIn('with this repaired all 3 results agree', text)
    self.assertRegex(text, r'Write momentum=0\.9 at \S+all_places_test\.py:\d+')
    self.assertNotIn('none that was tried', text)

  def test_the_same_decay(self):
    with self.assertRaisesRegex(ValueError, 'it passes'):
      self.failure_of(0.9)


if __name__ == '__main__':
  absltest.main()
