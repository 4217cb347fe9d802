"""The networks of tf_slim.nets: they pass, or the error says what to change."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim
from absl.testing import absltest, parameterized
from tf_slim.nets import alexnet, inception, resnet_v2, vgg


def case(net, arg_scope, size, **arguments):
  """Returns a test case for a network of tf_slim behind the shim."""

  def forward(inputs, training):
    with slim.arg_scope(arg_scope()):
      return net(inputs, 10, is_training=training, **arguments)

  class Layer(tf.keras.layers.Layer):
    @tf_equiv.track_tf1_style_variables
    def call(self, inputs, training=None):
      return forward(inputs, bool(training))

  class Case(tf_equiv.MigrationTestCase):
    def make_inputs(self):
      rng = np.random.default_rng(0)
      return rng.normal(size=(2, size, size, 3)).astype(np.float32)

    def build_tf1(self, inputs, training):
      return forward(inputs, training)

    def build_tf2(self):
      return Layer()

    def runTest(self):
      """Lets the class be instantiated."""

  return Case()


class TfSlimNetsTest(parameterized.TestCase):
  def test_resnet_v2_50(self):
    pair = case(resnet_v2.resnet_v2_50, resnet_v2.resnet_arg_scope, 64)
    verdict = pair.assertTrainingEquivalent()
    self.assertEqual(verdict.compared['variables'], 272)
    self.assertGreater(verdict.compared['outputs'], 70)
    pair.assertGradientsClose()

  @parameterized.named_parameters(
    ('vgg', vgg.vgg_a, vgg.vgg_arg_scope, 224, 'vgg.py:'),
    (
      'alexnet',
      alexnet.alexnet_v2,
      alexnet.alexnet_v2_arg_scope,
      224,
      'alexnet.py:',
    ),
    (
      'inception_v1',
      inception.inception_v1,
      inception.inception_v1_arg_scope,
      224,
      'inception_v1.py:',
    ),
  )
  def test_networks_that_cannot_run_eagerly(self, net, scope, size, place):
    # End points in graph collections.
    with self.assertRaises(tf_equiv.ModelCodeError) as caught:
      case(net, scope, size).assertNoNewVariables()
    text = str(caught.exception)
    self.assertIn('call_tf2 could not run on the TF2 side', text)
    self.assertIn('nothing was compared', text)
    self.assertIn(place, text)
    self.assertIn('leave out outputs_collections', text)
    self.assertIsNotNone(caught.exception.__cause__)
    self.assertNotIsInstance(caught.exception, AssertionError)


if __name__ == '__main__':
  absltest.main()
