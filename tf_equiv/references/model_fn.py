"""The TF1 side as the `model_fn` of an Estimator."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.core import errors, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import in_process
from tf_equiv.references.exported import training as training_lib
from tf_equiv.tf1 import estimators, graph, optimizer_state, updates
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import training as tf1_training

v1 = graph.v1


class ModelFnReference(in_process.InProcess):
  """Runs a `model_fn` in a graph of this process; see `from_model_fn`.

  Attributes:
    model: the function with its arguments.
  """

  def __init__(self, model: estimators.ModelFn):
    """Keeps the model."""
    super().__init__(share_graphs=False)
    self.model = model

  def __repr__(self) -> str:
    return repr(self.model)

  def __eq__(self, other: Any) -> bool:
    return isinstance(other, ModelFnReference) and vars(self.model) == vars(
      other.model
    )

  __hash__ = None

  def build_tf1(self, inputs: Any, training: bool) -> Any:
    """Builds the model; see `ModelFn.build_tf1`."""
    return self.model.build_tf1(inputs, training)

  def train_tf1(self, inputs: Any) -> Any:
    """Builds a training step of one's own; see `ModelFn.train_tf1`."""
    return self.model.train_tf1(inputs)

  def list_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> observation.Observation:
    """Describes the variables; see `Reference`."""
    return super().list_variables(self._adapted(program, plan), plan)

  def list_step_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> list[str]:
    """Returns the names of all variables; see `Reference`."""
    if program.train is None:
      step = _Step(self.model)
      program = dataclasses.replace(program, build=step.build, step=step.finish)
    return super().list_step_variables(program, plan)

  def advise_own_step(self) -> str:
    """Returns how to have the training step; see `Reference`."""
    return (
      ' The training step of the model_fn is `return '
      'self.tf1_reference.train_tf1(inputs)` in train_tf1; it gives {"loss": '
      '..., "train_op": ...}, so train_tf2 is to return {"loss": ...}.'
    )

  def submit(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> in_process.InProcessRun:
    """Runs a plan; see `Reference`."""
    if plan.metrics and 'build_metrics_tf1' not in program.defined:
      own = _Metrics(self.model)
      program = dataclasses.replace(
        program, build=own.build, metrics=own.metrics
      )
      return super().submit(program, plan)
    forward = self._adapted(program, plan)
    if not plan.batches or plan.metrics or program.train is not None:
      return super().submit(forward, plan)
    step = _Step(self.model)
    run = super().submit(
      dataclasses.replace(forward, build=step.build, step=step.finish), plan
    )
    observed = run.result()
    for each in observed.steps:
      each.unknown = list(step.unknown)
    if step.unknown:
      observed.notes.append(tf1_training.unknown_note(step.unknown))
    return run

  def _adapted(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> program_lib.Program:
    own_loss = 'compute_loss_tf1' in program.defined
    if not plan.gradients or own_loss:
      return dataclasses.replace(program, build=self.model.build_tf1)
    forward = _Forward(self.model)
    return dataclasses.replace(
      program,
      build=forward.build,
      compute_loss=forward.compute_loss,
      has_total_loss=True,
    )


class _Forward:
  """A forward pass with the loss that the `model_fn` returns."""

  def __init__(self, model):
    self._model, self._loss = model, None

  def build(self, inputs, training):
    """A `build_tf1` that keeps the loss."""
    outputs, self._loss = self._model.build_with_loss(inputs, training)
    return outputs

  def compute_loss(self, unused_outputs, unused_inputs):
    """Returns the loss of what was built last."""
    return self._loss


class _Metrics:
  """A forward pass with the metrics that the `model_fn` returns."""

  def __init__(self, model):
    self._model, self._spec = model, None

  def build(self, inputs, training):
    """A `build_tf1` that keeps the EstimatorSpec of the mode 'eval'."""
    if training or self._model.mode not in (None, estimators.EVAL):
      raise errors.UsageError(
        f'The eval_metric_ops of a model_fn are those of mode '
        f'{estimators.EVAL!r}: leave out mode of from_model_fn and '
        'training=True, or define build_metrics_tf1.'
      )
    with updates.recorded() as recording:
      self._spec = self._model.call(inputs, estimators.EVAL)
    self._model.hide(recording, self._spec)
    return self._model.outputs(self._spec, estimators.PREDICT)

  def metrics(self, unused_outputs, unused_inputs):
    """Returns the `eval_metric_ops` of what was built last."""
    if not self._spec.eval_metric_ops:
      raise errors.UsageError(
        'model_fn returned no eval_metric_ops, so that there is no metric to '
        'compare. Define build_metrics_tf1(self, outputs, inputs) in place of '
        'them.'
      )
    return self._spec.eval_metric_ops


class _Step:
  """A training step that the `model_fn` builds.

  Attributes:
    unknown: variables that it updates by ops of its own.
  """

  def __init__(self, model):
    self._model, self._spec = model, None
    self.unknown: list[str] = []

  def build(self, inputs, unused_training):
    """A `build_tf1` that builds the training step as well."""
    if self._model.mode not in (None, estimators.TRAIN):
      raise errors.UsageError(
        f'Training steps run in mode {estimators.TRAIN!r}, but from_model_fn '
        f'was given mode={self._model.mode!r}. Use another reference, without '
        'a mode, for them.'
      )
    self._spec = self._model.training_spec(inputs)
    return self._model.outputs(self._spec, estimators.TRAIN)

  def finish(self, recording: updates.Recording):
    """See `Program.step`."""
    operation = estimators.operation_of(self._spec.train_op)
    variables = v1.global_variables()
    recording.owned.add(v1.train.get_global_step().op.name)
    optimizer_state.drop_idle(recording, [operation])
    if not recording.updates:  # An optimizer with apply_gradients of its own.
      trainable = [v.op.name for v in variables if v.trainable]
      specs = {v.op.name: graph.spec_of(v) for v in variables}
      contents = contents_lib.sort_entries(specs, trainable)
      recording.owned.update(set(specs) - {s.name for s in contents.variables})
      self.unknown = training_lib.updates(operation, recording.owned, recording)
    if not recording.updates and not self.unknown:
      raise errors.UsageError(
        'The train op of model_fn updates no trainable variable, so there is '
        'no training step to compare.'
      )
    return self._spec.loss, operation


def from_model_fn(
  model_fn: Callable[..., Any],
  params: Any = None,
  mode: str | None = None,
  config: Any = None,
) -> ModelFnReference:
  """Takes the `model_fn` of an Estimator as the TF1 side.

  It is called in the graph of the TF1 side, without an Estimator, as
  `model_fn(features, labels, mode, params, config)`, with those arguments that
  it takes. Where the package `tf.estimator` is gone (TensorFlow 2.16 and
  later), `tf.estimator.EstimatorSpec`, `ModeKeys` and `export` exist while the
  function runs. Inputs are (features, labels) or a dict of both; in mode
  'infer' the labels are not used.

  Compared are the predictions; in mode 'eval' a dict with the keys
  'predictions', 'loss' and 'metrics', the metrics after one batch. Training
  steps take the `train_op`. They and `assertGradientsClose` take the loss of
  the EstimatorSpec as it is, without adding regularization losses to it, unless
  the test case defines `compute_loss_tf1`. In mode 'train' without predictions,
  the outputs are {'loss': loss}.

  Example:
    >>> def model_fn(features, labels, mode, params):
    ...   y = v1.layers.dense(features, params['units'], name='dense')
    ...   loss = None
    ...   if mode != tf.estimator.ModeKeys.PREDICT:
    ...     loss = tf.reduce_mean((y - labels) ** 2)
    ...   return tf.estimator.EstimatorSpec(mode, predictions=y, loss=loss)
    >>> class DenseTest(MigrationTestCase):
    ...   tf1_reference = from_model_fn(model_fn, params={'units': 2})
    ...   def make_inputs(self):
    ...     random = np.random.default_rng(0)
    ...     return (random.random((4, 3), np.float32), np.ones((4, 2), 'f'))
    ...   def build_tf2(self):
    ...     return tf.keras.Sequential([tf.keras.layers.Dense(2, name='dense')])
    ...   def call_tf2(self, model, inputs, training):
    ...     features, labels = inputs
    ...     return model(features)
    >>> DenseTest().assertForwardEquivalent().passed
    True

  Args:
    model_fn: the function.
    params: its `params`.
    mode: 'train', 'eval' or 'infer' for one mode in all cases; by default it is
      'train' in training and 'infer' otherwise.
    config: its `config`.

  Returns:
    A reference, to be the `tf1_reference` of a test case. It also has
    `build_tf1(inputs, training)` and `train_tf1(inputs)`.

  Raises:
    UsageError: for an unknown mode, or arguments that the function does not
      take.
  """
  return ModelFnReference(estimators.ModelFn(model_fn, params, mode, config))
