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
from tf_equiv.compare import run_info, tolerances
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.tf1 import checkpoint as checkpoint_lib
from tf_equiv.tf2 import checkpoint as tf2_checkpoint
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import runner as tf2_runner
from tf_equiv.tf2 import variants as variants_lib

__unittest = True


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
    tolerance = tolerances.Tolerance(rtol, atol, equal_nan)
    start = time.time()
    checkpoint = checkpoint_lib.open_checkpoint(path)
    plan = self._make_plan(training, seed_mode=seed_mode)
    verdict = self._judge_checkpoint(
      checkpoint, plan, moving_averages, tolerance, allow_empty
    )
    verdict.assertion = 'assertCheckpointEquivalent'
    verdict.conditions = (
      f'{"training" if plan.training else "inference"}, weights of {checkpoint}'
    )
    verdict.seconds = time.time() - start
    return self._conclude(verdict, msg)

  def _judge_checkpoint(
    self, checkpoint, plan, moving_averages, tolerance, allow_empty
  ) -> verdict_lib.Verdict:
    """Takes the steps one after another, up to the first that fails."""
    assertion = 'assertCheckpointEquivalent'
    weights = _Weights(checkpoint, moving_averages, self.reset_weights)
    program = dataclasses.replace(self._tf1_program(), reset_weights=weights)
    tf1 = self._reference().run(program, plan).observation
    contents = contents_lib.sort_entries(
      checkpoint.entries, [spec.name for spec in tf1.variables]
    )
    fit = contents_lib.fit(
      tf1.variables, contents, checkpoint.entries, self.ignored_variables
    )
    verdict = judge.judge_fit(assertion, checkpoint.prefix, fit)
    if not verdict.passed:
      run_info.note_run(verdict, plan, tf1, base.here('TF2'))
      return verdict
    tf1.optimizer_variables = [
      *tf1.optimizer_variables,
      *(name for name in checkpoint.entries if name not in tf1.weight_of()),
    ]
    observed = {}

    def judged(tf1, tf2, table, tolerance):
      observed.update(tf2=tf2, table=table)
      judge_forward = self._judged(
        assertion, plan, allow_empty, allow_vacuous=True
      )
      return judge_forward(tf1, tf2, table, tolerance)

    kept = _Keeping(self._tf2_program())
    verdict = self._judge_variant(
      assertion,
      plan,
      judged,
      tolerance,
      allow_empty,
      tf1,
      variants_lib.EAGER,
      tf2_program=kept.program,
    )
    if verdict.passed:
      expected = variables_lib.carried(
        observed['table'], self._converted, tf1.weight_of()
      )
      judge.judge_loaded(verdict, expected, observed['tf2'])
    if verdict.passed:
      self._judge_round_trip(
        verdict, kept, plan, tf1, observed['tf2'], tolerance
      )
    left = contents.describe()
    if left:
      verdict.notes.append('also in the checkpoint: ' + left)
    return verdict

  def _judge_round_trip(self, verdict, first, plan, tf1, tf2, tolerance):
    """Saves the TF2 model, and restores it into one that is built anew."""
    verdict.headline = tf2_checkpoint.why_not_trackable(first.model)
    if verdict.headline:
      verdict.headline = 'The TF2 model cannot be saved: ' + verdict.headline
      verdict.advice = [
        'Derive it from tf.Module or a Keras layer, and keep its variables as '
        'attributes of it.'
      ]
      return
    variables = model_lib.variables_of(first.model, [])
    judge.judge_unsaved(
      verdict,
      tf2_checkpoint.unreachable(first.model, variables),
      tf2_checkpoint.advise_unreachable(first.model),
    )
    if not verdict.passed:
      return
    # The observed pass may have updated statistics.
    for variable, value in zip(variables, tf2.weights, strict=True):
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
      restored = tf2_runner.run(second.program, plan, weights_for, tf1)
    judge.judge_restored(verdict, tf1, tf2, restored, unmatched[0], tolerance)


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
