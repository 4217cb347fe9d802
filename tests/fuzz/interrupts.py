"""Interrupts work at random lines of this package, and looks at what is left.

The lines that a piece of work runs through are counted once. Then an interrupt,
as of Ctrl-C, is sent when a random one of them is reached.
"""

import gc
import os
import random as random_lib
import signal
import sys
import threading

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
import tf_keras

from tests.fuzz import outcomes
from tf_equiv import class_state, compat
from tf_equiv.core import threads

v1 = tf.compat.v1
_PACKAGE = os.path.dirname(tf_equiv.__file__)
_LEGACY = """
import tensorflow as tf
v1 = tf.compat.v1
def build_tf1(inputs, training):
  return v1.layers.dense(inputs, 3, name='hidden')
"""


class Net(tf_keras.Model):
  def __init__(self):
    super().__init__(name='net')
    self.hidden = tf_keras.layers.Dense(3, name='hidden')

  def call(self, inputs, training=None):
    return self.hidden(inputs)


class Case(tf_equiv.MigrationTestCase):
  """A small migration without a fault."""

  def runTest(self):
    """The case is used without a runner."""

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(4, 5)).astype('float32')

  def build_tf1(self, inputs, training):
    return v1.layers.dense(inputs, 3, name='hidden')

  def build_tf2(self):
    return Net()

  def rename_variable(self, tf1_name):
    return 'net/' + tf1_name

  def build_tf1_optimizer(self):
    return v1.train.AdamOptimizer(0.1)

  def build_tf2_optimizer(self):
    return tf_keras.optimizers.Adam(0.1, epsilon=1e-8)


class WrongCase(Case):
  """Has a fault, which is located."""

  def call_tf2(self, model, inputs, training):
    return 2 * model(inputs)


class GoldenCase(Case):
  """Records what TF1 does."""


class InterpreterCase(Case):
  """TF1 is in another process."""


def state():
  """Returns what is changed for the whole process while this package works."""
  toggles = compat.behavior._toggles()
  numbers = np.random.get_state()
  return {
    'behaviours': {name: bool(each[0]()) for name, each in toggles.items()},
    'eager': tf.executing_eagerly(),
    'graph': v1.get_default_graph(),
    'random': random_lib.getstate(),
    'NumPy': (numbers[1].tobytes(), *numbers[2:]),
    'seed': compat.get_seed_is_patched(),
    'optimizer': tf.config.optimizer.get_experimental_options(),
    'handler': signal.getsignal(signal.SIGINT),
    'garbage': gc.isenabled(),
    'thread': threads._holder._depth,
    'layer': tf_keras.layers.Layer.__init__,
    'bases': tf_keras.layers.Dense.__bases__,
    'call': Net.call,
    'members': sorted(n for n in vars(Case) if n != class_state.KEPT_AS),
  }


class Interrupts:
  """A run, a build, a comparison, a search, and all that is written."""

  # Another process has to import TensorFlow, more than once.
  seconds = 600.0

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'written')
    self._lines: dict = {}
    self._works: dict = {}

  def prepare(self) -> None:
    """Makes the folder for what is written."""
    os.makedirs(self._folder)
    with open(os.path.join(self._folder, 'legacy_net.py'), 'w') as file:
      file.write(_LEGACY)

  def _path(self, name):
    return os.path.join(self._folder, name)

  def _prepare_works(self):
    """Is called in each process that works."""
    golden = self._path('net.golden')
    GoldenCase.tf1_reference = tf_equiv.Golden(
      golden, source=tf_equiv.InProcess(share_graphs=False), update=True
    )
    InterpreterCase.tf1_reference = tf_equiv.Tf1Interpreter(
      'legacy_net',
      python=sys.executable,
      sys_path=[self._folder],
      env={'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
    )
    checkpoint = self._path('tf1')
    if not os.path.exists(checkpoint + '.index'):
      with tf.Graph().as_default(), v1.Session() as v1_session:
        v1.get_variable('hidden/kernel', [5, 3])
        v1.get_variable('hidden/bias', [3])
        v1_session.run(v1.global_variables_initializer())
        v1.train.Saver().save(v1_session, checkpoint)
    verdict = Case().assertForwardEquivalent()

    def locate():
      try:
        WrongCase().assertForwardEquivalent()
      except AssertionError:
        return
      raise outcomes.WrongError('a fault passed')

    def interpret():
      try:
        InterpreterCase().assertForwardEquivalent()
      finally:
        class_state.end(InterpreterCase)

    # Made once, for its layers draw from Python's generator.
    model = Net()
    model(np.ones((4, 5), np.float32))

    def convert():
      tf_equiv.convert_checkpoint(
        checkpoint,
        model,
        output=self._path('tf2'),
        rename_variable=lambda name: 'net/' + name,
        overwrite=True,
      )

    self._works = {
      'forward': lambda: Case().assertForwardEquivalent(seed_mode='constant'),
      'training': lambda: Case().assertTrainingEquivalent(steps=1),
      'gradients': lambda: Case().assertGradientsClose(),
      'checkpoint': lambda: Case().assertCheckpointEquivalent(checkpoint),
      'search': locate,
      'golden': lambda: GoldenCase().assertForwardEquivalent(),
      'report': lambda: tf_equiv.write_report(verdict, self._path('report')),
      'conversion': convert,
      'interpreter': interpret,
    }

  def change(self, random) -> None:
    """Chooses work and a line of it."""
    if not self._works:
      self._prepare_works()
    # The other process takes long to start.
    names = sorted(set(self._works) - {'interpreter'})
    self._name = random.choice(names)
    if random.random() < 0.04:
      self._name = 'interpreter'
    if self._name not in self._lines:
      if self._name != 'interpreter':
        self._works[self._name]()
      self._lines[self._name] = _run(self._works[self._name], None)
    self._line = random.randrange(self._lines[self._name])

  def use(self, random) -> None:
    """Interrupts the work; all is as before, and it can be done again."""
    work = self._works[self._name]
    before, threads_before = state(), threading.active_count()
    where = f'{self._name}, line {self._line}'
    try:
      _run(work, self._line)
      interrupted = False
    except KeyboardInterrupt:
      interrupted = True
    after = state()
    changed = [name for name in before if before[name] != after[name]]
    if changed:
      raise outcomes.WrongError(f'{where}: changed {changed}')
    try:
      raise outcomes.WrongError(f'{where}: child {os.waitpid(-1, os.WNOHANG)}')
    except ChildProcessError:
      pass
    if threading.active_count() > threads_before:
      raise outcomes.WrongError(f'{where}: a thread is left')
    if self._name != 'interpreter' or random.random() < 0.2:
      work()
    left = [n for n in os.listdir(self._folder) if 'tmp' in n]
    if left:
      raise outcomes.WrongError(f'{where}: left {left}')
    if interrupted:
      raise outcomes.EndedError


def _run(work, stop):
  """Does something, and interrupts it at a line; returns how many it has."""
  count = 0

  def on_line(frame, event, argument):
    nonlocal count
    if event == 'line':
      if count == stop:
        signal.raise_signal(signal.SIGINT)
      count += 1
    return on_line

  def on_call(frame, event, argument):
    inside = frame.f_code.co_filename.startswith(_PACKAGE)
    return on_line if inside else None

  sys.settrace(on_call)
  try:
    work()
  finally:
    sys.settrace(None)
  return count
