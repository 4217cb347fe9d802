"""The migrated classifier of testdata/make_exports.py, with planted faults."""

import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

TESTDATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'testdata')


class Classifier(tf.keras.layers.Layer):
  """The migrated model, through the shim.

  Attributes:
    changes: keyword arguments for the places where a fault can be planted.
  """

  def __init__(self, head='logits', **changes):
    super().__init__()
    self.head = head
    self.changes = {
      'epsilon': 1e-3,
      'momentum': 0.99,
      'scale': 1e-3,
      'rate': 0.25,
      'bias': True,
      'padding': 'same',
      **changes,
    }

  @tf_equiv.track_tf1_style_variables
  def call(self, images, training=None):
    """Returns logits, probabilities or both."""
    changes = self.changes
    with v1.variable_scope('net'):
      x = v1.layers.conv2d(
        images,
        4,
        3,
        padding='same',
        name='conv',
        kernel_regularizer=lambda w: changes['scale'] * tf.nn.l2_loss(w),
      )
      x = v1.layers.batch_normalization(
        x,
        training=training,
        name='bn',
        epsilon=changes['epsilon'],
        momentum=changes['momentum'],
      )
      x = tf.nn.relu(x)
      x = v1.layers.max_pooling2d(x, 2, 2)
      x = v1.layers.flatten(x)
      x = v1.layers.dropout(x, changes['rate'], training=training)
      logits = v1.layers.dense(x, 3, name='logits', use_bias=changes['bias'])
    probabilities = tf.nn.softmax(logits)
    both = {'logits': logits, 'probabilities': probabilities}
    return both if self.head is None else both[self.head]


class AdamWeightDecay(v1.train.Optimizer):
  """Composes its updates of assignments, as many projects do."""

  def __init__(self):
    """Needs no argument."""
    super().__init__(False, 'decay')

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    """See `tf.compat.v1.train.Optimizer`."""
    del name
    operations = [v1.assign_add(global_step, 1)]
    for gradient, variable in grads_and_vars:
      scope = variable.op.name
      m = v1.get_variable(
        scope + '/adam_m',
        variable.shape,
        initializer=v1.zeros_initializer(),
        trainable=False,
      )
      new = 0.9 * m + 0.1 * tf.convert_to_tensor(gradient)
      operations += [
        v1.assign(m, new),
        v1.assign(variable, variable - 0.1 * (new + 0.01 * variable)),
      ]
    return tf.group(*operations)


def temporary_folder(test):
  """Returns a new folder that lasts as long as a test."""
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return folder.name


def images(size=4, seed=0):
  """Returns a batch of images."""
  random = np.random.default_rng(seed)
  return random.normal(size=(size, 8, 8, 1)).astype(np.float32)


def labels(size=4, seed=0):
  """Returns a batch of labels."""
  return np.random.default_rng(seed).integers(0, 3, size)


def data_path(name):
  """Returns the path of a file in testdata."""
  return os.path.join(TESTDATA, name)


class ExportedTestCase(tf_equiv.MigrationTestCase):
  """Compares the classifier with an export of it."""

  head = None
  changes = {}

  def make_inputs(self):
    """See `MigrationTestCase`."""
    return images()

  def build_tf2(self):
    """See `MigrationTestCase`."""
    return Classifier(self.head, **self.changes)


def case(reference, head=None, **members):
  """Returns a test case that is no test by itself."""
  changes = members.pop('changes', {})
  cls = type(
    'ClassifierTest',
    (ExportedTestCase,),
    {'tf1_reference': reference, 'head': head, 'changes': changes, **members},
  )
  return cls()
