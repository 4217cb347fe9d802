"""LeNet, rewritten for TF2 in tf_keras.

Import tf_equiv before this module, so that `tf.keras` is tf_keras.
"""

import tensorflow as tf

from examples.lenet import legacy

_LAYER_NAMES = {
  'conv1': 'features_1',
  'conv2': 'features_2',
  'fc3': 'hidden',
  'logits': 'classifier',
}


class NativeLenet(tf.keras.Model):
  """The network of `legacy.lenet`."""

  def __init__(self, name='native_lenet', **kwargs):
    super().__init__(name=name, **kwargs)
    layers = tf.keras.layers
    options = {
      'kernel_regularizer': tf.keras.regularizers.L2(legacy.WEIGHT_DECAY)
    }
    self.features_1 = layers.Conv2D(
      6, 5, padding='same', activation='relu', name='features_1', **options
    )
    self.features_2 = layers.Conv2D(
      16, 5, activation='relu', name='features_2', **options
    )
    self.pool = layers.MaxPooling2D(name='pool')
    self.flatten = layers.Flatten(name='flatten')
    self.hidden = layers.Dense(120, activation='relu', name='hidden', **options)
    self.dropout = layers.Dropout(legacy.DROPOUT_RATE, name='dropout')
    self.classifier = layers.Dense(
      legacy.NUM_CLASSES, name='classifier', **options
    )

  def call(self, inputs, training=None):
    net = self.pool(self.features_1(inputs))
    net = self.flatten(self.pool(self.features_2(net)))
    net = self.dropout(self.hidden(net), training=training)
    logits = self.classifier(net)
    return {'logits': logits, 'probabilities': tf.nn.softmax(logits)}


def rename_variable(tf1_name):
  """Returns the name in `NativeLenet` of a variable of `legacy.lenet`.

  Args:
    tf1_name: such as 'lenet/conv1/kernel', without ':0'.

  Returns:
    Such as 'native_lenet/features_1/kernel', without ':0'.
  """
  _, layer, weight = tf1_name.split('/')
  return 'native_lenet/%s/%s' % (_LAYER_NAMES[layer], weight)
