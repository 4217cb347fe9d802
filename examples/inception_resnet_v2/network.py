"""Inception-ResNet-v2 in TF-Slim, as TF1 code writes it.

The network is that of Szegedy et al., "Inception-v4, Inception-ResNet and the
Impact of Residual Connections on Learning" (2016), arXiv:1602.07261, with the
sizes, variable names and creation order of TF-Slim's published checkpoints.
It is a table, `_BODY`, and an interpreter of it, `_build`.

In TF 2.16 and later, import tf_equiv first: it repairs tf_slim's batch_norm.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_slim as slim

v1 = tf.compat.v1

DEFAULT_IMAGE_SIZE = 299


class Conv(NamedTuple):
  """A convolution, followed by batch normalization and ReLU."""

  scope: str
  filters: int
  kernel: int | Sequence[int] = 1
  stride: int = 1
  padding: str = 'SAME'


class Pool(NamedTuple):
  """A 3x3 pooling by `function` of TF-Slim."""

  scope: str
  function: Any
  stride: int
  padding: str


class Mixed(NamedTuple):
  """Parallel branches, concatenated; a branch is a tuple of layers."""

  scope: str
  branches: Sequence[Sequence[Conv | Pool]]


class Residual(NamedTuple):
  """A block whose scaled branches are added to its input."""

  scope: str
  scale: float
  branches: Sequence[Sequence[Conv | Pool]]
  activation: Any = tf.nn.relu


class Repeat(NamedTuple):
  """`count` residual blocks, called `block.scope`_1 and so on."""

  scope: str
  count: int
  block: Residual


# Layers that shrink the image: it gets (n - 3) // stride + 1 wide.
_shrink = functools.partial(Conv, kernel=3, padding='VALID')
_max_pool = functools.partial(
  Pool, function=slim.max_pool2d, stride=2, padding='VALID'
)

_BRANCHES_35 = (
  (Conv('Conv2d_1x1', 32),),
  (Conv('Conv2d_0a_1x1', 32), Conv('Conv2d_0b_3x3', 32, 3)),
  (
    Conv('Conv2d_0a_1x1', 32),
    Conv('Conv2d_0b_3x3', 48, 3),
    Conv('Conv2d_0c_3x3', 64, 3),
  ),
)
_BRANCHES_17 = (
  (Conv('Conv2d_1x1', 192),),
  (
    Conv('Conv2d_0a_1x1', 128),
    Conv('Conv2d_0b_1x7', 160, (1, 7)),
    Conv('Conv2d_0c_7x1', 192, (7, 1)),
  ),
)
_BRANCHES_8 = (
  (Conv('Conv2d_1x1', 192),),
  (
    Conv('Conv2d_0a_1x1', 192),
    Conv('Conv2d_0b_1x3', 224, (1, 3)),
    Conv('Conv2d_0c_3x1', 256, (3, 1)),
  ),
)

# (end point or None, node); widths of the image are for inputs of 299.
_BODY = (
  ('Conv2d_1a_3x3', _shrink('Conv2d_1a_3x3', 32, stride=2)),  # 149
  ('Conv2d_2a_3x3', _shrink('Conv2d_2a_3x3', 32)),  # 147
  ('Conv2d_2b_3x3', Conv('Conv2d_2b_3x3', 64, 3)),
  ('MaxPool_3a_3x3', _max_pool('MaxPool_3a_3x3')),  # 73
  ('Conv2d_3b_1x1', Conv('Conv2d_3b_1x1', 80)),
  ('Conv2d_4a_3x3', _shrink('Conv2d_4a_3x3', 192)),  # 71
  ('MaxPool_5a_3x3', _max_pool('MaxPool_5a_3x3')),  # 35
  (
    'Mixed_5b',
    Mixed(
      'Mixed_5b',
      (
        (Conv('Conv2d_1x1', 96),),
        (Conv('Conv2d_0a_1x1', 48), Conv('Conv2d_0b_5x5', 64, 5)),
        (
          Conv('Conv2d_0a_1x1', 64),
          Conv('Conv2d_0b_3x3', 96, 3),
          Conv('Conv2d_0c_3x3', 96, 3),
        ),
        (
          Pool('AvgPool_0a_3x3', slim.avg_pool2d, 1, 'SAME'),
          Conv('Conv2d_0b_1x1', 64),
        ),
      ),
    ),
  ),
  (None, Repeat('Repeat', 10, Residual('block35', 0.17, _BRANCHES_35))),
  (
    'Mixed_6a',  # 17
    Mixed(
      'Mixed_6a',
      (
        (_shrink('Conv2d_1a_3x3', 384, stride=2),),
        (
          Conv('Conv2d_0a_1x1', 256),
          Conv('Conv2d_0b_3x3', 256, 3),
          _shrink('Conv2d_1a_3x3', 384, stride=2),
        ),
        (_max_pool('MaxPool_1a_3x3'),),
      ),
    ),
  ),
  (
    'PreAuxLogits',
    Repeat('Repeat_1', 20, Residual('block17', 0.1, _BRANCHES_17)),
  ),
  (
    'Mixed_7a',  # 8
    Mixed(
      'Mixed_7a',
      (
        (
          Conv('Conv2d_0a_1x1', 256),
          _shrink('Conv2d_1a_3x3', 384, stride=2),
        ),
        (
          Conv('Conv2d_0a_1x1', 256),
          _shrink('Conv2d_1a_3x3', 288, stride=2),
        ),
        (
          Conv('Conv2d_0a_1x1', 256),
          Conv('Conv2d_0b_3x3', 288, 3),
          _shrink('Conv2d_1a_3x3', 320, stride=2),
        ),
        (_max_pool('MaxPool_1a_3x3'),),
      ),
    ),
  ),
  (None, Repeat('Repeat_2', 9, Residual('block8', 0.2, _BRANCHES_8))),
  (None, Residual('Block8', 1.0, _BRANCHES_8, activation=None)),
  ('Conv2d_7b_1x1', Conv('Conv2d_7b_1x1', 1536)),
)


def inception_resnet_v2(
  inputs, num_classes=1001, is_training=True, dropout_keep_prob=0.8
):
  """Builds the network, with its auxiliary classifier.

  Args:
    inputs: images, float32 of shape (batch, height, width, 3). The batch size
      may be unknown.
    num_classes: number of classes.
    is_training: bool, whether dropout and batch normalization are in training.
    dropout_keep_prob: share of the features that dropout before the logits
      keeps.

  Returns:
    The logits, of shape (batch, num_classes), and a dict of end points.
  """
  with v1.variable_scope('InceptionResnetV2'):
    with slim.arg_scope(
      [slim.batch_norm, slim.dropout], is_training=is_training
    ):
      net, end_points = _body(inputs)
      end_points['AuxLogits'] = _auxiliary_logits(
        end_points['PreAuxLogits'], num_classes
      )
      with v1.variable_scope('Logits'):
        net = slim.avg_pool2d(net, _image_size(net), scope='AvgPool_1a_8x8')
        end_points['global_pool'] = net
        net = slim.flatten(net)
        net = slim.dropout(net, dropout_keep_prob, scope='Dropout')
        end_points['PreLogitsFlatten'] = net
        logits = _logits(net, num_classes)
        end_points['Logits'] = logits
        end_points['Predictions'] = tf.nn.softmax(logits, name='Predictions')
  return logits, end_points


def arg_scope(
  weight_decay=4e-5, batch_norm_decay=0.9997, batch_norm_epsilon=0.001
):
  """Returns the arguments of the layers, to be entered by `slim.arg_scope`.

  Args:
    weight_decay: factor of half the squares of all weights and biases.
    batch_norm_decay: decay of the moving averages.
    batch_norm_epsilon: what is added to the variance.

  Returns:
    A scope for `with slim.arg_scope(...)` around `inception_resnet_v2`.
  """
  l2 = slim.l2_regularizer(weight_decay)
  with slim.arg_scope(
    [slim.conv2d, slim.fully_connected],
    weights_regularizer=l2,
    biases_regularizer=l2,
  ):
    with slim.arg_scope(
      [slim.conv2d],
      activation_fn=tf.nn.relu,
      normalizer_fn=slim.batch_norm,
      normalizer_params={
        'decay': batch_norm_decay,
        'epsilon': batch_norm_epsilon,
        'scale': True,
      },
    ) as scope:
      return scope


def _body(net):
  """Returns the features before the global pooling, and the end points."""
  end_points = {}
  for end_point, node in _BODY:
    net = _build(net, node)
    if end_point:
      end_points[end_point] = net
  return net, end_points


def _auxiliary_logits(net, num_classes):
  with v1.variable_scope('AuxLogits'):
    net = slim.avg_pool2d(net, 5, 3, scope='Conv2d_1a_3x3')
    net = _build(net, Conv('Conv2d_1b_1x1', 128))
    whole = Conv('Conv2d_2a_5x5', 768, _image_size(net), padding='VALID')
    net = _build(net, whole)
    return _logits(slim.flatten(net), num_classes)


def _build(net, node):
  """Applies a node of the table to `net`."""
  if isinstance(node, Conv):
    return slim.conv2d(
      net,
      node.filters,
      node.kernel,
      node.stride,
      node.padding,
      scope=node.scope,
    )
  if isinstance(node, Pool):
    return node.function(net, 3, node.stride, node.padding, scope=node.scope)
  with v1.variable_scope(node.scope):
    if isinstance(node, Mixed):
      return _concat_branches(net, node.branches)
    if isinstance(node, Residual):
      return _add_residual(net, node)
    for i in range(node.count):
      scope = '%s_%d' % (node.block.scope, i + 1)
      net = _build(net, node.block._replace(scope=scope))
    return net


def _concat_branches(net, branches):
  outputs = []
  for i, branch in enumerate(branches):
    with v1.variable_scope('Branch_%d' % i):
      outputs.append(functools.reduce(_build, branch, net))
  return tf.concat(outputs, axis=3)


def _add_residual(net, block):
  update = slim.conv2d(
    _concat_branches(net, block.branches),
    net.shape.as_list()[3],
    1,
    activation_fn=None,
    normalizer_fn=None,
    scope='Conv2d_1x1',
  )
  net += update * block.scale
  return block.activation(net) if block.activation else net


def _image_size(net):
  return net.shape.as_list()[1:3]


def _logits(net, num_classes):
  return slim.fully_connected(
    net, num_classes, activation_fn=None, scope='Logits'
  )
