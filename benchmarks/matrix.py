"""Compares real TensorFlow 1.15 with this TensorFlow, and prints a table.

`python -m benchmarks.matrix [--tf1_python=PATH] [lenet lstm inception]`, with
the interpreter of `make tf115`. For each model, seed mode and kind of inputs it
prints how many initial weights are equal bit by bit, how far the outputs are
apart relative to the largest, how far those of TF1 move when the inputs move by
one unit in the last place (the noise floor), and the verdict of the assertion.
"""

import dataclasses
import os
import sys
import time

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl import app

from examples.inception_resnet_v2 import pairs
from examples.lenet import migrated as lenet
from examples.lstm import legacy as lstm_legacy
from examples.lstm import migrated as lstm
from tf_equiv.tf2 import candidate

# How the line of a message begins that says what a difference is.
_KINDS = ('real:', 'noise:', 'vacuous:', 'random order:')
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def interpreter(model):
  """Returns the reference of a model of the examples."""
  return tf_equiv.Tf1Interpreter(model, sys_path=[ROOT], timeout=1800)


class Lenet(tf_equiv.MigrationTestCase):
  """LeNet in `tf.compat.v1.layers`, and the same in the shim."""

  tf1_reference = interpreter('examples.lenet.legacy:Lenet')

  def make_inputs(self):
    """Returns random inputs."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 28, 28, 1)).astype(np.float32)

  def build_tf2(self):
    """Returns the migrated model."""
    return lenet.Lenet()

  def build_tf2_optimizer(self):
    """Returns the optimizer with the epsilon of TF1."""
    return tf.keras.optimizers.Adam(0.001, epsilon=1e-8)


class Lstm(tf_equiv.MigrationTestCase):
  """An LSTM with dropout in its loop, and the same in the shim."""

  tf1_reference = interpreter('examples.lstm.legacy:Classifier')

  def make_inputs(self):
    """Returns random inputs."""
    rng = np.random.default_rng(0)
    return rng.integers(lstm_legacy.VOCABULARY, size=(4, 7)).astype(np.int32)

  def build_tf2(self):
    """Returns the migrated model."""
    return lstm.Classifier()

  def call_tf2(self, model, inputs, training):
    """Calls it in a function: a loop then draws as in a graph."""
    return tf.function(model)(inputs, training=training)

  def build_tf2_optimizer(self):
    """Returns the optimizer with the epsilon of TF1."""
    return tf.keras.optimizers.Adam(0.01, epsilon=1e-8)


class InceptionOnes(pairs.OnesMigration):
  """Inception-ResNet-v2 on the guide's image of ones."""

  tf1_reference = interpreter('examples.inception_resnet_v2.legacy')


class InceptionRandom(pairs.RandomMigration):
  """Inception-ResNet-v2 on a random-normal batch."""

  tf1_reference = InceptionOnes.tf1_reference


@dataclasses.dataclass
class Row:
  """One comparison.

  Attributes:
    name: name of the test case.
    conditions: what was run.
    weights: number of initial weights.
    equal: how many of them are equal bit by bit.
    scale: the largest output of TF1.
    difference: largest difference of the outputs.
    first: largest difference of the first output, the logits.
    floor: largest change of TF1's outputs when the inputs move by one unit in
      the last place, or None where they are no floating-point numbers.
    verdict: first line of what the assertion says; '' if it was not asked.
    versions: those of both TensorFlows.
    seconds: wall time.
  """

  name: str
  conditions: str
  weights: int
  equal: int
  scale: float
  difference: float
  first: float
  floor: float | None
  verdict: str
  versions: tuple[str, str]
  seconds: float

  def __str__(self):
    floor = '' if self.floor is None else ', noise floor %.2g' % self.floor
    text = (
      '%s, %s (TF %s and %s): %d of %d weights bitwise equal; outputs up to '
      '%.3g differ by %.2g, logits by %.2g%s; %.0f s'
      % (
        self.name,
        self.conditions,
        *self.versions,
        self.equal,
        self.weights,
        self.scale,
        self.difference,
        self.first,
        floor,
        self.seconds,
      )
    )
    return text + ('\n    ' + self.verdict if self.verdict else '')


def compare(cls, seed_mode, training, judge=True) -> Row:
  """Runs both sides of a test case with seeded weights, and compares them."""
  start, case = time.time(), cls('run')
  session = case._session
  plan = session.methods.make_plan(training, 'seeded', seed_mode)
  run = session.submit(plan)
  prepared = candidate.prepare(session.methods.tf2_program(), plan)
  tf1 = run.result()
  tf2 = prepared.run(reference=tf1)
  others = {s.name: w for s, w in zip(tf2.variables, tf2.weights, strict=True)}
  equal = [
    np.array_equal(weight, others.get(spec.name))
    for spec, weight in zip(tf1.variables, tf1.weights, strict=True)
  ]
  outputs = dict(tf2.outputs)
  differences = [
    np.max(np.abs(value - outputs[path]), initial=0.0)
    for path, value in tf1.outputs
  ]
  return Row(
    cls.__name__,
    plan.describe(),
    len(tf2.variables),
    sum(equal),
    max(float(np.max(np.abs(value))) for _, value in tf1.outputs),
    float(max(differences)),
    float(differences[0]),
    max(tf1.jitter.values()) if tf1.jitter else None,
    _verdict(case, seed_mode, training) if judge else '',
    (tf1.environment['tensorflow'], tf2.environment['tensorflow']),
    time.time() - start,
  )


def _verdict(case, seed_mode, training) -> str:
  check = (
    case.assertTrainingEquivalent if training else case.assertForwardEquivalent
  )
  try:
    return str(check(seed_mode=seed_mode))
  except AssertionError as error:
    first, *rest = str(error).splitlines()
    kinds = [line.strip() for line in rest if line.strip().startswith(_KINDS)]
    return '; '.join([first, *kinds[:1]])


def steps(cls) -> str:
  """Takes three training steps on both sides; returns what is said."""
  try:
    return str(cls('run').assertTrainingEquivalent(steps=3))
  except AssertionError as error:
    return str(error).splitlines()[0]


def main(names):
  """Prints the rows of the models that are named, of all by default."""
  wanted = names[1:] or ['lenet', 'lstm', 'inception']
  unknown = set(wanted) - {'lenet', 'lstm', 'inception'}
  if unknown:
    sys.exit('Unknown: %s; there are lenet, lstm, inception.' % sorted(unknown))
  small = [c for c in (Lenet, Lstm) if c.__name__.lower() in wanted]
  for cls in small:
    for mode in tf_equiv.SeedMode:
      for training in (False, True):
        print(compare(cls, mode, training), flush=True)
    print('    ' + steps(cls), flush=True)
    cls.tf1_reference.close()
  if 'inception' in wanted:
    for mode in tf_equiv.SeedMode:
      print(compare(InceptionOnes, mode, False), flush=True)
      print(compare(InceptionRandom, mode, True), flush=True)
    print(compare(InceptionOnes, 'num_random_ops', True), flush=True)
    InceptionOnes.tf1_reference.close()


if __name__ == '__main__':
  app.run(main)
