"""Ways in which a TF2 model may run, which should all give the same.

* eager: as it is;
* function: inside a tf.function;
* jit: inside a tf.function(jit_compile=True), by XLA;
* functional: as a layer of a Keras functional model;
* saved_model: after a round trip through a SavedModel;
* mirrored: half of the batch on each of two replicas;
* grappler: inside a tf.function with TensorFlow's graph optimizer, which is off
  otherwise.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import arguments, errors, nest

EAGER = 'eager'
FUNCTION = 'function'
JIT = 'jit'
FUNCTIONAL = 'functional'
SAVED_MODEL = 'saved_model'
MIRRORED = 'mirrored'
GRAPPLER = 'grappler'
VARIANTS = (
  EAGER,
  FUNCTION,
  JIT,
  FUNCTIONAL,
  SAVED_MODEL,
  MIRRORED,
  GRAPPLER,
)
"""The ways in which the TF2 side may run, for the argument `variants`."""
COMPILED = (FUNCTION, JIT, GRAPPLER)

# Passes of Grappler that may change numbers, by their option of
# tf.config.optimizer.set_experimental_options.
GRAPPLER_PASSES = (
  'constant_folding',
  'arithmetic_optimization',
  'remapping',
  'layout_optimizer',
  'function_optimization',
  'loop_optimization',
)

# XLA fuses and reorders more than the kernels of TensorFlow; measured on the
# models of tests/tf2/variants_test.py it needs less than three times the
# tolerance.
SLACK = {JIT: 10.0}


def check_variants(variants: Any) -> tuple[str, ...]:
  """Returns the variants as a tuple.

  Raises:
    UsageError: if there is none, one twice, or one that is not known.
  """
  names = (variants,) if isinstance(variants, str) else variants
  if not isinstance(names, (list, tuple)) or not names:
    raise errors.UsageError(
      f'variants must be one or several of {", ".join(map(repr, VARIANTS))}; '
      f'got {arguments.quoted(variants)}.'
    )
  for name in names:
    known = isinstance(name, str) and name in VARIANTS
    if not known or list(names).count(name) > 1:
      raise errors.UsageError(
        f'variants holds {arguments.quoted(name)}{" twice" if known else ""}; '
        f'expected some of {", ".join(map(repr, VARIANTS))}.'
      )
  return tuple(names)


def check_for_steps(variant: str) -> None:
  """Raises `UsageError` for a variant in which no training step can run."""
  if variant in (SAVED_MODEL, MIRRORED):
    raise errors.UsageError(
      f'Training steps cannot run in the variant {variant!r}; compare the '
      'gradients (assertGradientsClose) in it.'
    )


def compiled(variant: str, function: Callable) -> Callable:
  """Returns a function that runs inside a `tf.function`.

  Each call starts with the random numbers of the first: a `tf.function` keeps
  the state of its random ops.

  Raises:
    ModelCodeError: from a call, where the model cannot run in that way.
  """

  def call(*arguments):
    traced = tf.function(
      function, autograph=False, jit_compile=variant == JIT or None
    )
    return traced(*arguments)

  return explained(variant, call)


def explained(variant: str, function: Callable) -> Callable:
  """Returns a function whose errors say which variant cannot run.

  Raises:
    ModelCodeError: from a call.
  """

  def call(*arguments):
    try:
      return function(*arguments)
    except errors.EquivalenceError:
      raise
    except Exception as error:
      raise _cannot_run(variant, error) from error

  return call


def adapted(variant: str, program: Any) -> Any:
  """Returns the program with the call that the variant needs."""
  if variant != FUNCTIONAL:
    return program
  models = {}

  def call(model, inputs, training):
    key = id(model), training
    if key not in models:
      models[key] = _functional(program, model, inputs, training)
    return models[key](inputs)

  return dataclasses.replace(program, call=call)


def _functional(program, model, inputs, training):
  """Builds a functional model around the user's call."""
  keras = compat.keras_of(model)
  try:
    symbolic = nest.map_leaves(
      lambda _, x: keras.Input(batch_shape=x.shape, dtype=x.dtype), inputs
    )
    outputs = program.call(model, symbolic, training)
    return keras.Model(symbolic, outputs)
  except errors.EquivalenceError:
    raise
  except Exception as error:
    raise _cannot_run(FUNCTIONAL, error) from error


_ADVICE = {
  GRAPPLER: (
    'Code that runs in a tf.function must not depend on the values of tensors '
    'in Python.'
  ),
  SAVED_MODEL: (
    'What is exported must be traceable as a tf.function, with all variables '
    'reachable from the model.'
  ),
  FUNCTION: (
    'Code that runs in a tf.function must not depend on the values of tensors '
    'in Python (.numpy(), int(x), if x: without AutoGraph).'
  ),
  JIT: (
    'XLA needs static shapes and has no text, sets or Python callbacks; leave '
    'out the variant if the model is not to be compiled.'
  ),
  FUNCTIONAL: (
    'Only Keras layers and models can be part of a functional model, and only '
    'with tensors as inputs and outputs; leave out the variant for others.'
  ),
}


def _cannot_run(variant: str, error: Exception) -> errors.ModelCodeError:
  lines = str(error).strip().splitlines()
  return errors.ModelCodeError(
    'The TF2 model cannot run in the variant %r; nothing was compared.\n'
    '  %s: %s\n%s'
    % (
      variant,
      type(error).__name__,
      '\n  '.join(lines[:3]),
      _ADVICE[variant],
    )
  )
