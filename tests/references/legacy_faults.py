"""TF1 code that goes wrong in all ways, for another interpreter to run.

It must run on Python 3.7 with TensorFlow 1.15, and does not import tf_equiv.
"""

import ctypes
import json
import os
import resource
import signal
import stat
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
    subprocess.Popen(['sleep', '1000.%d' % os.getppid()])
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


def pipes_to_write_to():
  """Returns the descriptors of pipes besides stdout and stderr."""
  found = []
  for name in os.listdir('/proc/self/fd'):
    path = '/proc/self/fd/' + name
    if int(name) < 3 or not os.path.exists(path):
      continue
    if stat.S_ISFIFO(os.stat(path).st_mode) and os.access(path, os.W_OK):
      with open('/proc/self/fdinfo/' + name) as file:
        flags = int(file.read().split('flags:')[1].split()[0], 8)
      if flags & os.O_ACCMODE == os.O_WRONLY:
        found.append(int(name))
  return found


class WritesToAllPipes(Good):
  text = b'loading weights ...'

  def build_tf1(self, inputs, training):
    for descriptor in pipes_to_write_to():
      os.write(descriptor, self.text)
    return Good.build_tf1(self, inputs, training)


class WritesReplies(WritesToAllPipes):
  text = b'{"id": 2, "result": "reply1"}\n'


class PatchesJson(Good):
  """Replaces all of `json`, as code does that wants NumPy numbers in it."""

  def build_tf1(self, inputs, training):
    def refuse(*args, **kwargs):
      raise TypeError('only for numbers of NumPy')

    for name in ('dump', 'dumps', 'load', 'loads'):
      setattr(json, name, refuse)
    for cls, name in (
      (json.JSONEncoder, 'encode'),
      (json.JSONEncoder, 'iterencode'),
      (json.JSONDecoder, 'decode'),
    ):
      setattr(cls, name, refuse)
    sys.modules['json'] = None
    return Good.build_tf1(self, inputs, training)


class Daemons(Good):
  """Starts processes that leave its session, and its parenthood."""

  def build_tf1(self, inputs, training):
    command = ['sleep', '1000.%d' % os.getppid()]
    subprocess.Popen(command, start_new_session=True)
    subprocess.Popen(command, start_new_session=True, env={})
    child = os.fork()
    if not child:
      os.setsid()
      if not os.fork():
        # stdout and stderr stay open.
        os.execvp(command[0], command)
      os._exit(0)
    os.waitpid(child, 0)
    return Good.build_tf1(self, inputs, training)


class DaemonsAndEnds(Daemons):
  def build_tf1(self, inputs, training):
    Daemons.build_tf1(self, inputs, training)
    os._exit(9)


class ReturnsTwice(Good):
  """Forks, and the child comes back as well."""

  def build_tf1(self, inputs, training):
    os.fork()
    return Good.build_tf1(self, inputs, training)


class RaisesTwice(Good):
  def build_tf1(self, inputs, training):
    os.fork()
    raise ValueError('in both')


class ByName:
  """Behaves like the class that the key of the only input names."""

  def build_tf1(self, inputs, training):
    (name,) = inputs
    return globals()[name]().build_tf1(inputs[name], training)
