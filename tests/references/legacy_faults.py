"""TF1 code that goes wrong in all ways, for another interpreter to run.

It must run on Python 3.7 with TensorFlow 1.15, and does not import tf_equiv.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest

import tensorflow as tf

v1 = tf.compat.v1


def dense(inputs, units=2, name='d'):
  return v1.layers.dense(inputs, units, name=name)


class Good:
  def build_tf1(self, inputs, training):
    with v1.variable_scope('net'):
      hidden = dense(inputs, 4, 'hidden')
      hidden = v1.layers.dropout(hidden, 0.5, training=training)
      return {'scores': dense(hidden, 2, 'scores')}

  def build_tf1_optimizer(self):
    return v1.train.AdamOptimizer(0.01)


class WithLoss(Good):
  def compute_loss_tf1(self, outputs, inputs):
    return tf.reduce_sum(outputs['scores'])


class Killed(Good):
  def build_tf1(self, inputs, training):
    os.kill(os.getpid(), signal.SIGKILL)


class Segfault(Good):
  def build_tf1(self, inputs, training):
    print('about to read from nowhere')
    sys.stdout.flush()
    ctypes.string_at(0)


class Exits(Good):
  def build_tf1(self, inputs, training):
    sys.exit('no license')


class ExitsHard(Good):
  def build_tf1(self, inputs, training):
    os._exit(0)


class Hangs(Good):
  def build_tf1(self, inputs, training):
    # Processes that it starts must not outlive it.
    subprocess.Popen(['sleep', '1000'])
    while True:
      time.sleep(1)  # here it hangs


class Noisy(Good):
  """Writes to stdout and stderr, reads stdin, closes and redirects them."""

  def build_tf1(self, inputs, training):
    os.write(1, b'{"id": 1, "result": "garbage"}\n\xff\xfe\n' * 20000)
    os.write(2, b'more garbage without an end of line')
    if sys.stdin.read(1):
      raise ValueError('nobody should type here')
    outputs = Good.build_tf1(self, inputs, training)
    for descriptor in (0, 1, 2):
      os.close(descriptor)
    sys.stdout = None
    return outputs


class ClosesEverything(Good):
  def build_tf1(self, inputs, training):
    os.closerange(3, 256)
    return Good.build_tf1(self, inputs, training)


class Raises(Good):
  def build_tf1(self, inputs, training):
    return self._deeper(inputs)

  def _deeper(self, inputs):
    return tf.matmul(inputs, tf.ones((7, 1)))  # the wrong shape


class Asserts(Good):
  def build_tf1(self, inputs, training):
    assert inputs.shape[0] == 77, 'a batch of 77'


class Skips(Good):
  def build_tf1(self, inputs, training):
    raise unittest.SkipTest('no such GPU')


class Nothing(Good):
  def build_tf1(self, inputs, training):
    return None


class NoRoom(Good):
  """The files that it writes may take no more than 4 KB."""

  def build_tf1(self, inputs, training):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    with v1.variable_scope('net'):
      return dense(inputs, 4096)


class DiesLater(Good):
  """Works, and ends its process when a file appears."""

  def build_tf1(self, inputs, training):
    thread = threading.Thread(target=self._wait_and_exit)
    thread.daemon = True
    thread.start()
    return Good.build_tf1(self, inputs, training)

  def _wait_and_exit(self):
    while not os.path.exists(os.environ['EXIT_FILE']):
      time.sleep(0.05)
    os._exit(3)


class Forks(Good):
  """A child keeps all pipes open while the parent dies."""

  def build_tf1(self, inputs, training):
    if not os.fork():
      time.sleep(1000)
      os._exit(0)
    os._exit(9)


class ByName:
  """Behaves like the class that the key of the only input names."""

  def build_tf1(self, inputs, training):
    (name,) = inputs
    return globals()[name]().build_tf1(inputs[name], training)
