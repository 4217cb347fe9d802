"""Lets a function run as its variant does, with the random draws of TF1."""

from collections.abc import Callable, Sequence
from typing import Any

from tf_equiv.core import observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf2 import injection, saved_model, variants

Function = Callable[..., Any]


def aligned(
  function: Any,
  arguments: Sequence[Any],
  observed: observation.Observation,
  reference: observation.Observation | None,
  plan: plan_lib.RunPlan,
  variant: str,
) -> Function:
  """Returns a function as its variant runs it, with the random draws of TF1.

  Where both sides make the same stateful draws, they have the same seeds
  already. Otherwise, and in XLA, whose random numbers are others, those of TF1
  are injected.

  Args:
    function: a function of tensors.
    arguments: what it will be called with.
    observed: the observation of TF2, whose `draws` are known; it gets a note.
    reference: the observation of TF1, or None.
    plan: what is run.
    variant: how it is to run.

  Returns:
    The function.
  """
  compiled: Function = function
  if variant in variants.COMPILED:
    compiled = variants.compiled(variant, function)
  elif variant == variants.SAVED_MODEL:
    compiled = _loaded(function, function, arguments)
  if reference is None or not reference.random_values:
    return compiled
  keys = [
    [draw.key for draw in side.draws if not draw.variable]
    for side in (reference, observed)
  ]
  # With seeded weights, draws that differ are a difference to be reported.
  by_seed = keys[0] == keys[1] or plan.weights == plan_lib.SEEDED
  if by_seed and variant != variants.JIT:
    return compiled
  injected = injection.trace(
    function,
    arguments,
    reference.random_values,
    jit_compile=variant == variants.JIT or None,
  )
  if injected.function is None:
    observed.unaligned = injected.problem
    return compiled
  observed.injected = True
  observed.notes.append(
    f'TF2 computed with the {len(reference.random_values)} random draw(s) of '
    'TF1'
  )
  if variant == variants.SAVED_MODEL:
    return _loaded(injected.concrete, function, arguments)
  if variant in variants.COMPILED:
    return variants.explained(variant, injected.function)
  return injected.function


def _loaded(function: Any, forward: Any, arguments: Sequence[Any]) -> Function:
  """Returns a function after the round trip through a SavedModel."""
  export = variants.explained(variants.SAVED_MODEL, saved_model.exported)
  loaded = export(function, arguments[0], forward.watched())
  return variants.explained(variants.SAVED_MODEL, loaded)
