"""The user's TF2 code, its environment, and how it is called."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, interrupts, nest, threads
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import seeds as seeds_lib
from tf_equiv.tf1 import source_lines, tensors, user_code
from tf_equiv.tf2 import creation
from tf_equiv.tf2 import model as model_lib

_log = logging.getLogger('tf_equiv')


@dataclasses.dataclass(frozen=True)
class Program:
  """The user's TF2 code.

  Attributes:
    build: `build_tf2()`, returns the model.
    call: `call_tf2(model, inputs, training)`, returns a nest of tensors.
    compute_loss: `compute_loss(outputs, inputs)`, returns a scalar tensor.
    takes_training: `takes_training(model)`, whether `call` hands the flag on.
    build_optimizer: `build_tf2_optimizer()`, returns a nest of optimizers.
    clip_gradients: list of gradients to list of gradients.
    train: `train_tf2(model, inputs)`, a whole training step in place of the
      default.
    build_metrics: `build_metrics_tf2()`, returns a dict of metrics.
    update_metrics: `update_metrics_tf2(metrics, outputs, inputs)`.
  """

  build: Callable[[], Any]
  call: Callable[..., Any] = model_lib.call
  compute_loss: Callable[..., Any] = tensors.default_loss
  takes_training: Callable[[Any], bool] = model_lib.takes_training
  build_optimizer: Callable[[], Any] | None = None
  clip_gradients: Callable[[Sequence[Any]], Sequence[Any]] = list
  train: Callable[[Any, Any], Any] | None = None
  build_metrics: Callable[[], Any] | None = None
  update_metrics: Callable[..., Any] | None = None


@interrupts.restoring
def environment(
  plan: plan_lib.RunPlan,
  grappler: bool = False,
  without: Sequence[str] = (),
  names: dict | None = None,
):
  """Context in which the TF2 side runs.

  Args:
    plan: what runs.
    grappler: whether TensorFlow's graph optimizer is on.
    without: passes of it that are off.
    names: counters of automatic names, of an earlier context that was given the
      same dict, which they go on from.

  Yields:
    (seeds, list of the variables that are created inside).
  """
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  with contextlib.ExitStack() as stack:
    stack.enter_context(threads.alone())
    stack.enter_context(compat.decorators_restored())
    stack.enter_context(compat.v2_behavior())
    stack.enter_context(compat.grappler(grappler, without))
    stack.enter_context(compat.fresh_keras_names(names))
    stack.enter_context(compat.custom_gradients_forgotten())
    stack.enter_context(seeds)
    created = stack.enter_context(creation.record_created_variables(seeds))
    yield seeds, created


@source_lines.calls_user
def build_model(program: Program) -> Any:
  """Builds the model and checks that it is one."""
  _log.info('TF2: building the model')
  with user_code.running('TF2', 'build_tf2'):
    return model_lib.check_model(program.build())


def input_tensors(inputs: Any) -> Any:
  """Returns a plan's inputs as eager tensors."""
  return nest.map_leaves(lambda _, array: tf.constant(array), inputs)


@source_lines.calls_user
def call_model(
  program: Program,
  model: Any,
  inputs: Any,
  training: bool,
  autograph: bool = True,
):
  """Calls the model; returns its outputs with composites expanded.

  Args:
    program: the user's TF2 code.
    model: the model.
    inputs: a nest of tensors.
    training: the training flag.
    autograph: whether a graph that is traced converts Python control flow on
      tensors.

  Raises:
    UsageError: if it returns None, or something that is no eager tensor.
  """
  _log.info('TF2: calling the model (training=%s)', training)
  call = program.call
  if not tf.executing_eagerly():
    if autograph:
      call = compat.converted_by_autograph(call)
    else:
      call = tf.autograph.experimental.do_not_convert(call)
  with user_code.running('TF2', 'call_tf2'):
    outputs = call(model, inputs, training)
  if outputs is None:
    raise errors.UsageError(
      f'The TF2 model ({type(model).__name__}) returned {outputs!r}; return '
      'its output tensors.'
    )
  outputs = tensors.expand_composites(outputs)
  for path, leaf in nest.flatten(outputs):
    symbolic = tensors.is_tensor(leaf) and not hasattr(leaf, 'numpy')
    if symbolic and tf.executing_eagerly():
      raise errors.UsageError(
        f'The TF2 model returned a symbolic tensor at outputs{path}; it must '
        'be computed from the given inputs.'
      )
    if not tensors.is_tensor(leaf) and not isinstance(
      leaf, (bool, int, float, complex, str, bytes, np.ndarray, np.generic)
    ):
      raise errors.UsageError(
        f'The TF2 model returned a {type(leaf).__name__} at outputs{path}; '
        'expected a tensor.'
      )
  return outputs
