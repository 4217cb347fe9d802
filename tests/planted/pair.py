"""Pairs of TF1 code and its migration, and the steps that examine them.

A pair is clean, or it holds one fault, of which it says which step must be the
first to fail and what the message must mention. All steps run with the default
tolerances: a pair has no means to ask for others.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

# The steps, in the order of the guide and with the cheap ones first.
NEW_VARIABLES = 'no new variables'
VARIABLES = 'variables match'
FORWARD = 'forward pass, fixed weights'
INITIAL = 'forward pass, initial weights'
TRAINING = 'training pass'
GRADIENTS = 'gradients'
UPDATES = 'training steps'
STEPS = (
  NEW_VARIABLES,
  VARIABLES,
  FORWARD,
  INITIAL,
  TRAINING,
  GRADIENTS,
  UPDATES,
)
# Training steps that are compared.
COUNT = 3

_MAX_LINES = 50
_VERDICT = re.compile(
  r'^\w.* (differs?|diverges|created|changed|creates|proves)\b'
)


@dataclasses.dataclass(frozen=True)
class Pair:
  """TF1 code and its migration.

  Attributes:
    name: says what is wrong with it, or why it is right.
    methods: what to override in `PairCase`: template methods as functions
      without `self`, and class attributes.
    first_step: the step that must be the first to fail; '' if it is clean.
    message: what the message of that step must mention.
    culprit: what its first lines must name: the variable, layer, op or
      attribute at fault.
    weights: 'seeded', or 'fixed' where the initializers of the two sides draw
      other numbers although they are the same.
  """

  name: str
  methods: dict[str, Any]
  first_step: str = ''
  message: tuple[str, ...] = ()
  culprit: str = ''
  weights: str = 'seeded'

  @property
  def is_faulty(self) -> bool:
    """Whether it holds a fault."""
    return bool(self.first_step)


def clean(name: str, weights: str = 'seeded', **methods) -> Pair:
  """Returns a pair that agrees in all steps."""
  return Pair(name, _checked(methods), weights=weights)


def faulty(
  name: str,
  first_step: str,
  *message: str,
  culprit: str,
  weights: str = 'seeded',
  **methods,
) -> Pair:
  """Returns a pair that `first_step` must be the first to find fault with.

  The line at fault, or that of the layer that holds it, has a comment above
  that says `FAULT:` and the names of the pairs; see `localization`.
  """
  if first_step not in STEPS or not message or not culprit:
    raise ValueError('%s: expected a step, a message and a culprit' % name)
  return Pair(name, _checked(methods), first_step, message, culprit, weights)


def _checked(methods):
  unknown = [
    n for n in methods if not hasattr(PairCase, n) or n[:6] == 'assert'
  ]
  if unknown:
    raise ValueError('nothing to override: %s' % unknown)
  return methods


class PairCase(tf_equiv.MigrationTestCase):
  """The test case of a pair; not collected by itself."""

  def __init__(self, pair: Pair):
    super().__init__()
    self.__dict__.update(pair.methods)

  def runTest(self):
    """Lets the class be instantiated without a test of its own."""

  def build_tf1_optimizer(self):
    return v1.train.GradientDescentOptimizer(0.1)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.SGD(0.1)


@dataclasses.dataclass(frozen=True)
class Ran:
  """What came of a step.

  Attributes:
    failed: whether its assertion failed.
    text: the message, or the verdict of a pass.
    compared: how much was compared, by kind; empty if it failed.
  """

  failed: bool
  text: str
  compared: dict[str, int]


# By (methods of the pair, its weights, step), with the methods, which keep
# their identity. Several tests ask for the same, and nothing in it can change.
_RAN: dict[tuple[int, str, str], tuple[dict[str, Any], Ran]] = {}


def ran(pair: Pair, step: str) -> Ran:
  """Returns what came of one step, which runs once in a process."""
  key = id(pair.methods), pair.weights, step
  if key not in _RAN:
    try:
      verdict = run_step(pair, step)
    except AssertionError as error:
      found = Ran(True, str(error), {})
    else:
      found = Ran(False, str(verdict), dict(verdict.compared))
    _RAN[key] = pair.methods, found
  return _RAN[key][1]


def run_step(pair: Pair, step: str):
  """Runs one step on a new case; returns its verdict, or raises."""
  case, weights = PairCase(pair), pair.weights
  order = 'num_random_ops'
  if step == NEW_VARIABLES:
    return case.assertNoNewVariables()
  if step == VARIABLES:
    return case.assertVariablesMatch()
  if step == FORWARD:
    return case.assertForwardEquivalent()
  if step == INITIAL:
    return case.assertForwardEquivalent(seed_mode=order)
  if step == TRAINING:
    return case.assertTrainingEquivalent(seed_mode=order, weights=weights)
  if step == GRADIENTS:
    return case.assertGradientsClose(seed_mode=order)
  return case.assertTrainingEquivalent(
    seed_mode=order, weights=weights, steps=COUNT
  )


def steps_of(pair: Pair) -> tuple[str, ...]:
  """Returns the steps that apply to a pair."""
  return tuple(
    step for step in STEPS if step != INITIAL or pair.weights == 'seeded'
  )


def examine(pair: Pair) -> str:
  """Runs the steps in order, up to the one that a fault must fail.

  Args:
    pair: the pair.

  Returns:
    What is wrong with the outcome, '' if it is as it must be: no step fails
    for a clean pair, and for a faulty one `first_step` is the first to fail,
    with a message that helps.
  """
  for step in steps_of(pair):
    found = ran(pair, step)
    if found.failed:
      if step != pair.first_step:
        what = 'false alarm' if not pair.is_faulty else 'found too early'
        return '%s, by %r:\n%s' % (what, step, found.text)
      problem = _problem_of_message(found.text, pair.message)
      return problem and '%s:\n%s' % (problem, found.text)
    if not sum(found.compared.values()):
      return '%r compares nothing' % step
    if step == pair.first_step:
      return 'missed by %r: %s' % (step, found.text)
  return ''


def _problem_of_message(text: str, fragments: tuple[str, ...]) -> str:
  """Says in what a message does not help."""
  lines = text.splitlines()
  if not _VERDICT.search(lines[0]):
    return 'the first line is no verdict'
  if len(lines) > _MAX_LINES:
    return 'the message has %d lines' % len(lines)
  if not any(line.startswith('Next: ') for line in lines):
    return 'the message does not say what to do next'
  missing = [fragment for fragment in fragments if fragment not in text]
  return 'the message does not mention %r' % missing if missing else ''


class Shim(tf.keras.layers.Layer):
  """TF1 code that runs in TF2 as a layer, by the modeling shim."""

  def __init__(self, function: Callable):
    """Takes the code: a function of inputs and training flag."""
    super().__init__(name='shim')
    self.function = function

  @tf_equiv.track_tf1_style_variables
  def call(self, inputs, training=None):
    """Runs the code."""
    return self.function(inputs, bool(training))


def shim(function: Callable) -> Callable[[], Shim]:
  """Returns a `build_tf2` that runs TF1 code behind the modeling shim."""
  return lambda: Shim(function)


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Callable:
  """Returns a `make_inputs` of normally distributed numbers."""

  def make_inputs():
    generator = np.random.default_rng(seed)
    return (scale * generator.normal(size=shape)).astype(np.float32)

  return make_inputs


def below(prefix: str) -> Callable[[str], str]:
  """Returns a `rename_variable` that puts a prefix before each name."""
  return lambda name: prefix + '/' + name
