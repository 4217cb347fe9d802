"""Steps 3b and 4b of the guide: the weights of a trained TF1 checkpoint."""

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import trials
from tf_equiv.assertions import base
from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.checkpoints import judge
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import run_info, tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.diagnose import first_look
from tf_equiv.report import telling
from tf_equiv.tf1 import checkpoint as checkpoint_lib
from tf_equiv.tf2 import candidate
from tf_equiv.tf2 import checkpoint as tf2_checkpoint
from tf_equiv.tf2 import model as model_lib

__unittest = True

_NAME = 'assertCheckpointEquivalent'


class CheckpointAssertions(base.AssertionBase):
  """`assertCheckpointEquivalent`."""

  def assertCheckpointEquivalent(
    self,
    path: str | os.PathLike[str],
    *,
    training: bool = False,
    seed_mode: SeedMode | str = 'constant',
    moving_averages: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    allow_empty: bool = False,
    msg: str | None = None,
  ) -> verdict_lib.Verdict:
    """Asserts that a TF1 checkpoint gives the same model on both sides.

    The checkpoint, written by `tf.compat.v1.train.Saver`, is loaded into the
    TF1 graph and, through `rename_variable` and `convert_variable`, into the
    TF2 model; outputs and regularization losses are compared (guide, steps 3b
    and 4b). Then the TF2 model is saved by `tf.train.Checkpoint`, a model that
    is built anew is restored from it, and its variables, bit for bit, and
    outputs are compared again. Slots of optimizers, the global step and moving
    averages in the checkpoint are not compared.

    Args:
      path: the checkpoint's prefix ('.../model.ckpt-1000'), one of its files,
        or the folder whose `checkpoint` file names the latest one. Formats V1
        and V2, in any number of shards.
      training: the training flag for both sides.
      seed_mode: 'constant', 'num_random_ops' or a `SeedMode`; seeds dropout.
      moving_averages: whether each variable that has a moving average
        (`tf.train.ExponentialMovingAverage`) takes that in place of its value.
      rtol: see `assertForwardEquivalent`.
      atol: see `assertForwardEquivalent`.
      equal_nan: whether NaN equals NaN.
      allow_empty: whether outputs without any element pass.
      msg: text added to the failure message.

    Returns:
      The verdict.

    Raises:
      AssertionError: the test's `failureException`. It lists variables that
        are missing from the checkpoint, unused in it, or of another shape;
        those that a TF2 checkpoint does not save; and those that come back as
        something else.
      UsageError: for an unusable template method or argument, and for a
        checkpoint that is missing, damaged, or of another kind.
      EnvironmentSetupError: if the process has the wrong Keras.
      ModelCodeError: if the model's code cannot run on one of the sides.
    """
    __tracebackhide__ = True
    criteria = criteria_lib.Criteria(
      tolerances.Tolerance(rtol, atol, equal_nan),
      allow_empty=allow_empty,
      allow_vacuous=True,
    )
    moving_averages = arguments.check_bool(moving_averages, 'moving_averages')
    start = time.time()
    checkpoint = checkpoint_lib.open_checkpoint(path)
    plan = self._session.methods.make_plan(training, seed_mode=seed_mode)
    trial, advice = self._judge_checkpoint(
      checkpoint, plan, moving_averages, criteria
    )
    outcome = dataclasses.replace(
      trial.outcome,
      conditions=(
        f'{"training" if plan.training else "inference"}, weights of '
        f'{checkpoint}'
      ),
    )
    diagnosis = first_look.diagnose(outcome, trial.ran)
    if advice:
      diagnosis = dataclasses.replace(diagnosis, advice=(advice,))
    info = dataclasses.replace(trial.info, seconds=time.time() - start)
    return self._conclude(telling.tell(outcome, diagnosis, info), msg)

  @threads.alone()
  def _judge_checkpoint(
    self,
    checkpoint: checkpoint_lib.Checkpoint,
    plan: plan_lib.RunPlan,
    moving_averages: bool,
    criteria: criteria_lib.Criteria,
  ) -> tuple[trials.Judged, str]:
    """Takes the steps one after another, up to the first that fails.

    Args:
      checkpoint: the checkpoint.
      plan: what to run.
      moving_averages: whether variables take the values of their averages.
      criteria: what may differ, and what counts as a pass.

    Returns:
      (what was judged, advice that only the TF2 model can give).
    """
    session, methods = self._session, self._session.methods
    weights = _Weights(checkpoint, moving_averages, methods.reset_weights)
    run = session.reference.submit(methods.tf1_program(weights), plan)
    tf1 = run.result()
    contents = contents_lib.sort_entries(
      checkpoint.entries, [spec.name for spec in tf1.variables]
    )
    fit = contents_lib.fit(
      tf1.variables, contents, checkpoint.entries, self.ignored_variables
    )
    outcome = judge.judge_fit(_NAME, checkpoint.prefix, fit)
    if not outcome.passed:
      info = run_info.describe_run(plan, tf1, trials.here('TF2'))
      return trials.Judged(outcome, info), ''
    session.models.clear()  # The model is going to be saved.
    first = candidate.prepare(methods.tf2_program(), plan)
    others = [n for n in checkpoint.entries if n not in tf1.weight_of()]
    pairing = session.mapping().pair(tf1, first.variables, others)
    judged = trials.try_candidate(
      trials.Comparison(_NAME, plan, criteria, run), first, pairing
    )
    outcome, advice, ran = judged.outcome, '', judged.ran
    if outcome.passed and ran is not None:
      values = pairing.carry(tf1.weight_of())
      outcome = judge.judge_loaded(outcome, values, ran.tf2)
    if outcome.passed and ran is not None:
      outcome, advice = self._judge_round_trip(
        outcome, first.model, ran, criteria.tolerance
      )
    left = contents.describe()
    if left:
      outcome = dataclasses.replace(
        outcome, notes=(*outcome.notes, 'also in the checkpoint: ' + left)
      )
    return dataclasses.replace(judged, outcome=outcome), advice

  def _judge_round_trip(
    self,
    outcome: outcome_lib.Outcome,
    model: Any,
    ran: first_look.Run,
    tolerance: tolerances.Tolerance,
  ) -> tuple[outcome_lib.Outcome, str]:
    """Saves the TF2 model, and restores it into one that is built anew."""
    obstacle = tf2_checkpoint.why_not_trackable(model)
    if obstacle:
      outcome = dataclasses.replace(
        outcome, kind=outcome_lib.Kind.NOT_TRACKABLE, obstacle=obstacle
      )
      return outcome, ''
    variables = model_lib.variables_of(model, [])
    outcome = judge.judge_unsaved(
      outcome, tf2_checkpoint.unreachable(model, variables)
    )
    if not outcome.passed:
      return outcome, tf2_checkpoint.advise_unreachable(model)
    # The observed pass may have updated statistics.
    for variable, value in zip(variables, ran.tf2.weights, strict=True):
      model_lib.assign(variable, value)
    with tempfile.TemporaryDirectory() as folder:
      prefix = os.path.join(folder, 'model')
      tf2_checkpoint.write(prefix, model)
      second = candidate.prepare(self._session.methods.tf2_program(), ran.plan)
      unmatched = tf2_checkpoint.restore(prefix, second.model)
      restored = second.run(reference=ran.tf1)
    outcome = judge.judge_restored(
      outcome, ran.tf1, ran.tf2, restored, unmatched, tolerance
    )
    return outcome, ''


class _Weights:
  """A `reset_weights` that takes values from a checkpoint.

  What does not fit takes the values of another `reset_weights`; whether that
  is allowed, `checkpoints.fit` tells.
  """

  def __init__(
    self,
    checkpoint: checkpoint_lib.Checkpoint,
    moving_averages: bool,
    otherwise: Callable[..., np.ndarray],
  ):
    self._checkpoint = checkpoint
    self._otherwise = otherwise
    self._averages: Mapping[str, str] = {}
    if moving_averages:
      self._averages = contents_lib.averages_of(
        checkpoint.entries, checkpoint.prefix
      )

  def __call__(
    self, name: str, shape: tuple[int, ...], dtype: Any
  ) -> np.ndarray:
    entry = self._checkpoint.entries.get(self._averages.get(name, name))
    if (
      entry is None
      or entry.shape != tuple(shape)
      or tf.as_dtype(entry.dtype) != tf.as_dtype(dtype)
    ):
      return self._otherwise(name, shape, dtype)
    value = self._checkpoint.value(entry.name)
    checkpoint_lib.check_finite(self._checkpoint, entry.name, value)
    return np.asarray(value)
