"""Keeps the model that was used last, so that none is built twice.

Assertions differ in weights, seeds and what they compare, and seldom in the
model. One that has been called once can serve a further assertion if nothing is
left in it of what the one before did: its variables go back to what they were
when they were created, and all else in it must be as its first call left it.
"""

import dataclasses
import gc
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from tf_equiv import compat, fingerprint
from tf_equiv.core import nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf2 import built_model
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as program_lib

# Bytes of results of a first call that are kept with the model.
_MAX_RESULTS = 1 << 28
# Bytes of weights from which it is worth to look for garbage before the next
# model is built; that walks over all objects that TensorFlow's import made.
_MIN_GARBAGE = 1 << 26


@dataclasses.dataclass
class _Kept:
  """A model with what it depends on.

  Attributes:
    built: the model.
    code: fingerprint of the code that built it.
    state: fingerprint of the model after its first call.
    alive: objects on whose identity the fingerprints rely.
  """

  built: built_model.Built
  code: Hashable
  state: Hashable
  alive: list[Any]


class SharedModels:
  """The model that was used last."""

  def __init__(self, shares: bool = True):
    """Makes an empty store.

    Args:
      shares: whether it keeps anything.
    """
    self._shares = shares
    self._kept: _Kept | None = None
    self._lent: _Kept | None = None

  def clear(self) -> None:
    """Forgets the model."""
    self._kept = self._lent = None

  def take(
    self,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    build: Callable[[], built_model.Built],
  ) -> built_model.Built:
    """Returns a model after its first call, and forgets it until `give`.

    Args:
      program: the user's TF2 code.
      plan: the plan of the first call.
      build: builds the model and calls it.

    Returns:
      The model, with the initial values in its variables unless it is new.
    """
    kept, self._kept, self._lent = self._kept, None, None
    code = _code_of(program) if self._shares else None
    if kept is not None:
      if code is not None and _serves(kept, plan, code[0]):
        self._lent = kept
        with compat.v2_behavior():
          kept.built.reset()
        return kept.built
      is_large = _bytes_of_variables(kept.built) >= _MIN_GARBAGE
      del kept
      if is_large:
        gc.collect()  # Layers and their models refer to each other.
    built = build()
    if code is not None:
      self._lent = _described(built, program, code)
    return built

  def give(self, built: built_model.Built) -> None:
    """Keeps a model that was taken, if it can serve again."""
    lent, self._lent = self._lent, None
    if lent is not None and lent.built is built:
      if _bytes_of(built.found) > _MAX_RESULTS:
        built.found = None
      self._kept = lent


def _described(built, program, code) -> _Kept | None:
  """Returns what a new model depends on, None if it must not be shared."""
  after, state = _code_of(program), _state_of(built)
  if after is None or after[0] != code[0] or state is None:
    return None
  if built.first.preexisting or any(
    record.initial is None for record in built.created
  ):
    return None
  # The seeds of a tf.function stay in it.
  if any(draw.context != 'eager' for draw in built.draws):
    return None
  return _Kept(built, code[0], state[0], [*code[1], *state[1]])


def _serves(kept: _Kept, plan: plan_lib.RunPlan, code: Hashable) -> bool:
  """Returns whether a model is as a first call by the plan would leave it."""
  first = kept.built.plan
  if code != kept.code or not _equal_inputs(first, plan):
    return False
  if (first.training, first.seed) != (plan.training, plan.seed):
    return False
  if plan.weights == plan_lib.SEEDED:
    if kept.built.found is None or _of_run(first) != _of_run(plan):
      return False
  state = _state_of(kept.built)
  return state is not None and state[0] == kept.state


def _of_run(plan: plan_lib.RunPlan) -> tuple[Any, ...]:
  return plan.seed_mode, plan.gradients, plan.input_gradients


def _equal_inputs(first: plan_lib.RunPlan, second: plan_lib.RunPlan) -> bool:
  pairs = nest.flatten(first.inputs), nest.flatten(second.inputs)
  if [path for path, _ in pairs[0]] != [path for path, _ in pairs[1]]:
    return False
  if nest.describe(first.inputs) != nest.describe(second.inputs):
    return False
  return all(
    a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if a.dtype != object
    else np.array_equal(a, b)
    for (_, a), (_, b) in zip(*pairs, strict=True)
  )


def _code_of(program):
  return fingerprint.of(
    {
      'build': program.build,
      'call': program.call,
      'compute_loss': program.compute_loss,
    }
  )


def _state_of(built):
  return fingerprint.of({'model': built.model})


def _bytes_of_variables(built) -> int:
  return sum(
    v.shape.num_elements() * v.dtype.size
    for v in model_lib.backend_variables(built.variables)
    if v.shape.is_fully_defined()
  )


def _bytes_of(found) -> int:
  tensors = [] if found is None else found['outputs'].values()
  return sum(x.shape.num_elements() * x.dtype.size for x in tensors)
