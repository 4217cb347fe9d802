"""Pairs that agree on their inputs, and what is looked for beyond these."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tests.planted import pair  # isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
layers = tf.keras.layers

# What must find a fault.
FORWARD = 'forward pass'
SEEDED = 'forward pass, initial weights'
GRADIENTS = 'gradients'
STEPS = 'training steps'
THOROUGH = 'no dormant differences'

NUMBERS = pair.numbers(4, 6, seed=1)
IMAGES = pair.numbers(2, 8, 8, 3, seed=2)


@dataclasses.dataclass(frozen=True)
class Dormant:
  """A pair that agrees on its inputs.

  Attributes:
    name: what is other on the side of TF2.
    methods: what to override in `pair.PairCase`.
    by: what must find the fault, or stay silent.
    culprit: what the message must name; '' for a pair that is clean.
  """

  name: str
  methods: dict[str, Any]
  by: str = FORWARD
  culprit: str = ''


def examine(found: Dormant) -> tuple[str, str]:
  """Runs what must find a fault, or stay silent.

  Returns:
    (what is wrong, '' if nothing; the message, '' if it passes).
  """
  case = pair.PairCase(pair.Pair(found.name, found.methods))
  run = {
    FORWARD: lambda: case.assertForwardEquivalent(allow_vacuous=True),
    SEEDED: lambda: case.assertForwardEquivalent(
      seed_mode='constant', allow_vacuous=True
    ),
    GRADIENTS: lambda: case.assertGradientsClose(allow_vacuous=True),
    STEPS: lambda: case.assertTrainingEquivalent(
      steps=2, weights='fixed', compare_hyperparameters=False
    ),
    THOROUGH: case.assertNoDormantDifferences,
  }[found.by]
  try:
    verdict = run()
  except AssertionError as error:
    text = str(error)
    if not found.culprit:
      return 'false alarm', text
    if not text.startswith('Dormant difference: '):
      return 'found, but not as dormant', text
    if found.culprit not in text:
      return f'does not name {found.culprit!r}', text
    return '', text
  return ('missed' if found.culprit else ''), str(verdict)


class _Native(tf.Module):
  """Two dense layers with something between."""

  def __init__(self, between, units):
    super().__init__()
    self.a = layers.Dense(units, name='a')
    self.b = layers.Dense(3, name='b')
    self.between = between

  def __call__(self, x):
    return self.b(self.between(self.a(x)))


def between(
  tf1: Callable[[Any], Any],
  tf2: Callable[[Any], Any],
  style: str = 'native',
  units: int = 6,
  **methods: Any,
) -> dict[str, Any]:
  """Returns two dense layers, with a function of each side between.

  Args:
    tf1: the function of TF1.
    tf2: that of TF2.
    style: 'native', 'shim' or 'keras' (Keras 3).
    units: number of features that the functions get.
    **methods: other template methods.
  """

  def legacy(function):
    def build(x, training):
      del training
      hidden = v1.layers.dense(x, units, name='a')
      return v1.layers.dense(function(hidden), 3, name='b')

    return build

  def of_keras():
    x = keras.Input([6])
    hidden = keras.layers.Dense(units, name='a')(x)
    hidden = keras.layers.Lambda(tf2)(hidden)
    return keras.Model(x, keras.layers.Dense(3, name='b')(hidden))

  build = {
    'native': lambda: _Native(tf2, units),
    'shim': pair.shim(legacy(tf2)),
    'keras': of_keras,
  }[style]
  return {
    'make_inputs': NUMBERS,
    'build_tf1': legacy(tf1),
    'build_tf2': build,
    **methods,
  }


def plain(
  tf1: Callable[[Any], Any],
  tf2: Callable[[Any], Any],
  inputs: Callable[[], Any] = NUMBERS,
) -> dict[str, Any]:
  """Returns a function of the inputs alone, on each side."""
  return {
    'make_inputs': inputs,
    'build_tf1': lambda x, training: tf1(x),
    'build_tf2': lambda: tf2,
  }


def table(
  tf1: Callable[[Any, Any], Any],
  tf2: Callable[[Any, Any], Any],
  inputs: Callable[[], Any],
  rows: int = 9,
) -> dict[str, Any]:
  """Returns functions of the inputs and a table of embeddings."""

  class Table(tf.Module):
    """The table of TF2."""

    def __init__(self):
      super().__init__()
      self.table = tf.Variable(tf.zeros([rows, 4]), name='table')

    def __call__(self, x):
      return tf2(self.table, x)

  return {
    'make_inputs': inputs,
    'build_tf1': lambda x, training: tf1(
      v1.get_variable('table', [rows, 4]), x
    ),
    'build_tf2': Table,
  }


def ids(*shape: int, least: int = 1, most: int = 6) -> Callable[[], Any]:
  """Returns a `make_inputs` of whole numbers."""
  return lambda: (
    np.random.default_rng(3).integers(least, most, shape).astype(np.int32)
  )
