"""Steps 3b and 4b of the guide: the weights of a trained TF1 checkpoint."""

import dataclasses
import os
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.assertions import base
from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.checkpoints import judge
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import run_info, tolerances
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.diagnose import first_look
from tf_equiv.report import telling
from tf_equiv.tf1 import checkpoint as checkpoint_lib
from tf_equiv.tf2 import checkpoint as tf2_checkpoint
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import runner as tf2_runner
from tf_equiv.tf2 import variants as variants_lib

__unittest = True

_NAME = 'assertCheckpointEquivalent'


class CheckpointAssertions(base.AssertionBase):
  """`assertCheckpointEquivalent`."""

  def assertCheckpointEquivalent(
    self,
    path: Any,
    *,
    training: bool = False,
    seed_mode: Any = 'constant',
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
    start = time.time()
    checkpoint = checkpoint_lib.open_checkpoint(path)
    plan = self._make_plan(training, seed_mode=seed_mode)
    judged, advice = self._judge_checkpoint(
      checkpoint, plan, moving_averages, criteria
    )
    outcome = dataclasses.replace(
      judged.outcome,
      conditions=(
        f'{"training" if plan.training else "inference"}, weights of '
        f'{checkpoint}'
      ),
    )
    diagnosis = first_look.diagnose(outcome, judged.ran)
    if advice:
      diagnosis = dataclasses.replace(diagnosis, advice=(advice,))
    info = dataclasses.replace(judged.info, seconds=time.time() - start)
    return self._conclude(telling.tell(outcome, diagnosis, info), msg)

  def _judge_checkpoint(
    self, checkpoint, plan, moving_averages, criteria
  ) -> tuple[base.Judged, str]:
    """Takes the steps one after another, up to the first that fails.

    Args:
      checkpoint: the checkpoint.
      plan: what to run.
      moving_averages: whether variables take the values of their averages.
      criteria: what may differ, and what counts as a pass.

    Returns:
      (what was judged, advice that only the TF2 model can give).
    """
    weights = _Weights(checkpoint, moving_averages, self.reset_weights)
    program = dataclasses.replace(self._tf1_program(), reset_weights=weights)
    tf1 = self._reference().run(program, plan).observation
    contents = contents_lib.sort_entries(
      checkpoint.entries, [spec.name for spec in tf1.variables]
    )
    fit = contents_lib.fit(
      tf1.variables, contents, checkpoint.entries, self.ignored_variables
    )
    outcome = judge.judge_fit(_NAME, checkpoint.prefix, fit)
    if not outcome.passed:
      info = run_info.describe_run(plan, tf1, base.here('TF2'))
      return base.Judged(outcome, info), ''
    tf1.optimizer_variables = [
      *tf1.optimizer_variables,
      *(name for name in checkpoint.entries if name not in tf1.weight_of()),
    ]
    kept = _Keeping(self._tf2_program())
    used = []
    judged = self._judge_variant(
      _NAME,
      plan,
      criteria,
      tf1,
      variants_lib.EAGER,
      used=used,
      tf2_program=kept.program,
    )
    outcome, advice = judged.outcome, ''
    if outcome.passed:
      tf2 = used[0].observed
      expected = self._match(tf1, tf2).carry(tf1.weight_of())
      outcome = judge.judge_loaded(outcome, expected, tf2)
    if outcome.passed:
      outcome, advice = self._judge_round_trip(
        outcome, kept, judged.ran, criteria.tolerance
      )
    left = contents.describe()
    if left:
      outcome = dataclasses.replace(
        outcome, notes=(*outcome.notes, 'also in the checkpoint: ' + left)
      )
    return dataclasses.replace(judged, outcome=outcome), advice

  def _judge_round_trip(self, outcome, first, ran, tolerance):
    """Saves the TF2 model, and restores it into one that is built anew."""
    obstacle = tf2_checkpoint.why_not_trackable(first.model)
    if obstacle:
      outcome = dataclasses.replace(
        outcome, kind=outcome_lib.Kind.NOT_TRACKABLE, obstacle=obstacle
      )
      return outcome, ''
    variables = model_lib.variables_of(first.model, [])
    outcome = judge.judge_unsaved(
      outcome, tf2_checkpoint.unreachable(first.model, variables)
    )
    if not outcome.passed:
      return outcome, tf2_checkpoint.advise_unreachable(first.model)
    # The observed pass may have updated statistics.
    for variable, value in zip(variables, ran.tf2.weights, strict=True):
      model_lib.assign(variable, value)
    second, unmatched = _Keeping(self._tf2_program()), []

    def weights_for(unused_observed):
      unmatched.append(tf2_checkpoint.restore(prefix, second.model))
      return [
        model_lib.value_of(variable)
        for variable in model_lib.variables_of(second.model, [])
      ]

    with tempfile.TemporaryDirectory() as folder:
      prefix = os.path.join(folder, 'model')
      tf2_checkpoint.write(prefix, first.model)
      restored = tf2_runner.run(second.program, ran.plan, weights_for, ran.tf1)
    outcome = judge.judge_restored(
      outcome, ran.tf1, ran.tf2, restored, unmatched[0], tolerance
    )
    return outcome, ''


class _Keeping:
  """A TF2 program that keeps the model which it builds.

  Attributes:
    program: the program.
    model: the model, once it is built.
  """

  def __init__(self, program: tf2_program.Program):
    self.model = None

    def build():
      self.model = program.build()
      return self.model

    self.program = dataclasses.replace(program, build=build)


class _Weights:
  """A `reset_weights` that takes values from a checkpoint.

  What does not fit takes the values of another `reset_weights`; whether that
  is allowed, `checkpoints.fit` tells.
  """

  def __init__(self, checkpoint, moving_averages, otherwise):
    self._checkpoint = checkpoint
    self._otherwise = otherwise
    self._averages = {}
    if moving_averages:
      self._averages = contents_lib.averages_of(
        checkpoint.entries, checkpoint.prefix
      )

  def __call__(self, name, shape, dtype):
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
