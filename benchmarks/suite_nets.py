"""The networks of tf_slim.nets, each behind the modeling shim: one test each.

`benchmarks.suite` runs them. The networks have their usual width and 1000
classes, and see two images of the smallest size that they accept; where any is
accepted, of 64 pixels, of which the last layers still have two by two.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_slim as slim
from absl.testing import absltest
from tf_slim.layers import utils
from tf_slim.nets import alexnet, inception, overfeat, resnet_v1, resnet_v2, vgg

NUM_CLASSES = 1000

# Why a network does not run in eager execution as it is.
_OUTPUTS = (
  'It collects its end points in a graph collection by the names of their name '
  'scopes, and that of a pooling layer is None in eager execution: TypeError '
  "in collect_named_outputs, 'NoneType' object is not subscriptable."
)
_VARIABLES = (
  'Its arg_scope adds moving averages to a graph collection if they are not '
  '`in` it, which compares the values of variables in TF2: ValueError in '
  'batch_norm, the truth value of an array is ambiguous.'
)


@dataclasses.dataclass(frozen=True)
class Net:
  """A network of tf_slim.nets.

  Attributes:
    function: the network.
    arg_scope: makes the scope of arguments that it needs.
    size: height and width of its images.
    collects: why the TF2 side runs `without_collections`; '' if it does not.
  """

  function: Callable
  arg_scope: Callable
  size: int
  collects: str = ''


def _resnets(module) -> dict[str, Net]:
  names = ['%s_%d' % (module.__name__[-9:], n) for n in (50, 101, 152, 200)]
  return {
    name: Net(getattr(module, name), module.resnet_arg_scope, 64)
    for name in names
  }


NETS: dict[str, Net] = {
  'alexnet_v2': Net(
    alexnet.alexnet_v2, alexnet.alexnet_v2_arg_scope, 195, _OUTPUTS
  ),
  'inception_v1': Net(
    inception.inception_v1, inception.inception_v1_arg_scope, 193, _VARIABLES
  ),
  'inception_v2': Net(
    inception.inception_v2, inception.inception_v2_arg_scope, 64, _VARIABLES
  ),
  'inception_v3': Net(
    inception.inception_v3, inception.inception_v3_arg_scope, 107, _VARIABLES
  ),
  'overfeat': Net(
    overfeat.overfeat, overfeat.overfeat_arg_scope, 231, _OUTPUTS
  ),
  **_resnets(resnet_v1),
  **_resnets(resnet_v2),
  'vgg_a': Net(vgg.vgg_a, vgg.vgg_arg_scope, 224, _OUTPUTS),
  'vgg_16': Net(vgg.vgg_16, vgg.vgg_arg_scope, 224, _OUTPUTS),
  'vgg_19': Net(vgg.vgg_19, vgg.vgg_arg_scope, 224, _OUTPUTS),
}

# Functions of tf_slim.nets that build a part of networks above.
PARTS = frozenset(
  {
    'inception_v1.inception_v1_base',
    'inception_v2.inception_v2_base',
    'inception_v3.inception_v3_base',
    'resnet_utils.conv2d_same',
    'resnet_utils.stack_blocks_dense',
    'resnet_utils.subsample',
    'resnet_v1.bottleneck',
    'resnet_v1.resnet_v1',
    'resnet_v2.bottleneck',
    'resnet_v2.resnet_v2',
  }
)


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
  """Lets networks of tf_slim run eagerly, by what tf_equiv's error advises.

  Inside, no variable is added to a collection, and end points are in a dict
  instead, but for those that have no name in eager execution.
  """
  end_points = collections.OrderedDict()

  def collect(collected, alias, outputs):
    if collected and alias is not None:
      end_points[alias.rstrip('/')] = outputs
    return outputs

  with (
    mock.patch.object(utils, 'collect_named_outputs', collect),
    mock.patch.object(
      utils, 'convert_collection_to_dict', lambda _: end_points
    ),
    mock.patch.object(utils, 'get_variable_collections', lambda *_: None),
  ):
    yield


class Layer(tf.keras.layers.Layer):
  """A network of tf_slim in TF2."""

  def __init__(self, net: Net):
    super().__init__()
    self.net = net

  @tf_equiv.track_tf1_style_variables
  def call(self, images, training=None):
    """Calls the network."""
    eager = without_collections if self.net.collects else contextlib.nullcontext
    with eager(), slim.arg_scope(self.net.arg_scope()):
      return self.net.function(images, NUM_CLASSES, is_training=bool(training))


class NetCase(tf_equiv.MigrationTestCase):
  """The validation of a network; `tests` makes a class for each."""

  net: Net
  # A helper of `tf.test.TestCase`, and no test: it would take its turn among
  # the shards.
  test_session = None

  def make_inputs(self):
    """Returns the images."""
    shape = 2, self.net.size, self.net.size, 3
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)

  def build_tf1(self, inputs, training):
    """Builds the network."""
    with slim.arg_scope(self.net.arg_scope()):
      logits, end_points = self.net.function(
        inputs, NUM_CLASSES, is_training=training
      )
    if self.net.collects == _OUTPUTS:
      end_points = {
        name: value
        for name, value in end_points.items()
        if not name.split('/')[-1].startswith('pool')
      }
    return logits, end_points

  def build_tf2(self):
    """Returns the network as a layer."""
    return Layer(self.net)

  def validate(self):
    """Goes through the steps of the guide."""
    self.assertNoNewVariables()
    self.assertVariablesMatch()
    self.assertForwardEquivalent()
    self.assertForwardEquivalent(seed_mode='num_random_ops')
    self.assertTrainingEquivalent(seed_mode='num_random_ops')


def tests() -> dict[str, type[NetCase]]:
  """Returns {name of the class: test case}, of one test for each network."""
  return {
    cls.__name__: cls
    for cls in (
      type(
        name.title().replace('_', '') + 'Test',
        (NetCase,),
        {
          '__module__': __name__,
          'net': net,
          'test_net_' + name: lambda self: self.validate(),
        },
      )
      for name, net in NETS.items()
    )
  }


# Where absltest and pytest look for tests.
globals().update(tests())


if __name__ == '__main__':
  absltest.main()
