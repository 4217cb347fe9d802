"""What a test author has filled in, checked, as the programs of both sides."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_equiv import template
from tf_equiv.compare import pairing, variables
from tf_equiv.core import arguments, errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode, as_seed_mode
from tf_equiv.references import base as references
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import tensors, user_code, weights
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as tf2_program

__unittest = True

_METHODS = tuple(n for n in vars(template.TemplateMethods) if n[0] != '_')


class UserMethods:
  """The template methods of a test case."""

  def __init__(self, case: template.TemplateMethods):
    """Takes the test case; its methods are looked up when they are needed."""
    self._case = case

  @property
  def owner(self) -> type:
    """The class of the test case."""
    return type(self._case)

  def overrides(self, name: str) -> bool:
    """Returns whether a template method is not the default one."""
    function = getattr(getattr(self._case, name), '__func__', None)
    return function is not getattr(template.TemplateMethods, name)

  def make_plan(
    self,
    training: bool = False,
    weights: str = plan_lib.FIXED,
    seed_mode: Any = SeedMode.CONSTANT,
    gradients: bool = False,
    inputs: bool = False,
    compare_updates: bool = False,
    steps: int = 0,
  ) -> plan_lib.RunPlan:
    """Makes a plan with the inputs of the test case.

    Args:
      training: the training flag.
      weights: 'fixed' or 'seeded'.
      seed_mode: how random ops are seeded.
      gradients: whether to collect the loss and its gradients.
      inputs: whether to collect the gradients with respect to the inputs.
      compare_updates: whether to collect what a training pass updates.
      steps: number of training steps.

    Raises:
      UsageError: for an unusable argument or input.
    """
    # Check the arguments before any of the user's slow code runs.
    training = plan_lib.check_training(training)
    seed_mode = as_seed_mode(seed_mode)
    weights = _check_weights(weights)
    batches = self._make_batches(steps)
    first = batches[0] if batches else None
    if not batches:
      first = plan_lib.check_inputs(self._case.make_inputs())
    return plan_lib.RunPlan(
      inputs=first,
      training=training,
      weights=weights,
      seed_mode=seed_mode,
      gradients=gradients,
      input_gradients=inputs,
      updates=training and compare_updates and not steps,
      batches=tuple(batches),
    )

  def make_free_plan(
    self,
    weights: str,
    seed_mode: Any,
    steps: int,
    start_step: int,
    free_runs: int,
  ) -> plan_lib.RunPlan:
    """Makes a plan of training steps that go on from their own state.

    Args:
      weights: 'fixed' or 'seeded'.
      seed_mode: how random ops are seeded.
      steps: number of training steps.
      start_step: number of the first one.
      free_runs: how often TF1 trains from weights one unit away.

    Raises:
      UsageError: for an unusable argument or input.
    """
    seed_mode = as_seed_mode(seed_mode)
    weights = _check_weights(weights)
    batches = self._make_batches(steps, start_step)
    return plan_lib.RunPlan(
      inputs=batches[0],
      training=True,
      weights=weights,
      seed_mode=seed_mode,
      batches=tuple(batches),
      start_step=start_step,
      free_runs=free_runs,
    )

  def make_metrics_plan(
    self, training: bool, weights: str, count: int
  ) -> plan_lib.RunPlan:
    """Makes a plan of forward passes whose metrics are read.

    Args:
      training: the training flag.
      weights: 'fixed' or 'seeded'.
      count: number of batches.

    Raises:
      UsageError: for an unusable argument or input.
    """
    training = plan_lib.check_training(training)
    weights = _check_weights(weights)
    batches = self._make_batches(count, what='batches')
    return plan_lib.RunPlan(
      inputs=batches[0],
      training=training,
      weights=weights,
      batches=tuple(batches),
      metrics=True,
    )

  def _make_batches(
    self, steps: int, start_step: int = 0, what: str = 'steps'
  ) -> list[Any]:
    batches: list[Any] = []
    for step in range(start_step, start_step + steps):
      origin = f'make_batch({step})'
      try:
        made = self._case.make_batch(step)
      except (StopIteration, IndexError) as error:
        if not batches:
          raise
        raise errors.UsageError(
          f'{origin} raised {type(error).__name__}: the batches are exhausted '
          f'after {len(batches)} of {steps} {what}. Ask for at most '
          f'{len(batches)} {what}, or make more batches.'
        ) from error
      batch = plan_lib.check_inputs(made, origin)
      if batches:
        batch = plan_lib.check_batch(batch, batches[0], origin)
      batches.append(batch)
    return batches

  def reference(self) -> references.Reference:
    """Returns where the TF1 side runs."""
    reference = self._case.tf1_reference
    if not isinstance(reference, references.Reference):
      raise errors.UsageError(
        f'tf1_reference is {reference!r}; expected where the TF1 side runs, '
        'tf_equiv.InProcess() for example.'
      )
    return reference

  def shares_models(self) -> bool:
    """Returns whether assertions share TF2 models."""
    return arguments.check_bool(self._case.share_tf2_models, 'share_tf2_models')

  def tf1_program(
    self, reset_weights: Callable[..., np.ndarray] | None = None
  ) -> program_lib.Program:
    """Returns the code of the TF1 side.

    Args:
      reset_weights: gives fixed weights in place of that of the test case.
    """
    case, behavior = self._case, self._case.tf1_behavior
    if not isinstance(behavior, program_lib.TF1Behavior):
      raise errors.UsageError(
        f'tf1_behavior is {behavior!r}; expected a tf_equiv.TF1Behavior.'
      )
    if reset_weights is None:
      reset_weights = weights.named_weights
      if self.overrides('reset_weights'):
        reset_weights = case.reset_weights
    return program_lib.Program(
      build=case.build_tf1,
      reset_weights=reset_weights,
      compute_loss=self._loss('compute_loss_tf1'),
      behavior=behavior,
      build_optimizer=case.build_tf1_optimizer,
      clip_gradients=case.clip_gradients_tf1,
      update_ops=arguments.check_bool(case.tf1_update_ops, 'tf1_update_ops'),
      train=case.train_tf1 if self.overrides('train_tf1') else None,
      metrics=case.build_metrics_tf1,
      defined=frozenset(n for n in _METHODS if self.overrides(n)),
      ignored=self._ignored(),
    )

  def tf2_program(self) -> tf2_program.Program:
    """Returns the code of the TF2 side."""
    case = self._case
    return tf2_program.Program(
      build=case.build_tf2,
      call=case.call_tf2,
      compute_loss=self._loss('compute_loss_tf2'),
      # Whoever overrides call_tf2 hands the flag on in a way of their own.
      takes_training=(
        (lambda model: True)
        if self.overrides('call_tf2')
        else model_lib.takes_training
      ),
      build_optimizer=case.build_tf2_optimizer,
      clip_gradients=case.clip_gradients_tf2,
      train=case.train_tf2 if self.overrides('train_tf2') else None,
      build_metrics=case.build_metrics_tf2,
      update_metrics=case.update_metrics_tf2,
    )

  def _loss(self, name: str) -> Callable[..., Any]:
    """Returns the loss of a side: of what the test case has, no more.

    The default methods refer to the whole test case, on which a graph would
    then depend.
    """
    for each in (name, 'compute_loss'):
      if self.overrides(each):
        return getattr(self._case, each)
    return tensors.default_loss

  def _ignored(self) -> tuple[str, ...]:
    patterns = self._case.ignored_variables
    return tuple(p.pattern for p in variables.compile_ignored(patterns))

  def mapping(
    self, elsewhere: Callable[[], Sequence[str]] = tuple
  ) -> pairing.VariableMapping:
    """Returns what is said of the variables.

    Args:
      elsewhere: returns names of variables that other assertions have.
    """
    convert = pairing.unchanged
    if self.overrides('convert_variable'):
      convert = self._convert
    case = self._case
    return pairing.VariableMapping(
      case.rename_variable,
      convert,
      case.ignored_variables,
      elsewhere,
      case.rename_slot,
      case.rename_hyperparameter,
    )

  def _convert(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> np.ndarray:
    with user_code.running('TF2', 'convert_variable'):
      convert = pairing.checked(self._case.convert_variable)
      return convert(tf1_name, value, tf2_name)

  def reset_weights(
    self, name: str, shape: tuple[int, ...], dtype: Any
  ) -> np.ndarray:
    """Returns the fixed value that the test case gives a variable."""
    return self._case.reset_weights(name, shape, dtype)

  def check_own_steps(self, reference: references.Reference) -> None:
    """Raises `UsageError` unless both sides or neither have an own step.

    Args:
      reference: where the TF1 side runs.
    """
    first, second = (
      reference.defines('train_tf1'),
      self.overrides('train_tf2'),
    )
    where = '' if first is None else f' (TF1: {reference!r})'
    if first is None:
      first = self.overrides('train_tf1')
    if first != second:
      raise errors.UsageError(
        f'{self.owner.__name__}{where} defines '
        f'{"train_tf1" if first else "train_tf2"} only; define train_tf1 and '
        'train_tf2 together, or neither for the default step on both sides.'
        + reference.advise_own_step()
      )


def _check_weights(weights: Any) -> str:
  if not isinstance(weights, str) or weights not in (
    plan_lib.FIXED,
    plan_lib.SEEDED,
  ):
    raise errors.UsageError(
      "weights must be 'fixed' (by reset_weights) or 'seeded' (by the "
      f'initializers), got {arguments.quoted(weights)}.'
    )
  return weights
