"""Stands for `tf.estimator`, which is gone since TensorFlow 2.16."""

import collections
import types
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1

TRAIN, EVAL, PREDICT = 'train', 'eval', 'infer'


class ModeKeys:
  """Stands for `tf.estimator.ModeKeys`."""

  TRAIN = TRAIN
  EVAL = EVAL
  PREDICT = PREDICT


_Spec = collections.namedtuple(
  '_Spec', ('mode', 'predictions', 'loss', 'train_op', 'eval_metric_ops')
)


class EstimatorSpec(_Spec):
  """Stands for `tf.estimator.EstimatorSpec`; other arguments are ignored."""

  def __new__(
    cls,
    mode,
    predictions=None,
    loss=None,
    train_op=None,
    eval_metric_ops=None,
    **unused_others,
  ):
    """Takes what concerns numbers; hooks and exports do not."""
    return super().__new__(
      cls, mode, predictions, loss, train_op, eval_metric_ops
    )


class TPUEstimatorSpec(EstimatorSpec):
  """Stands for `tf.estimator.tpu.TPUEstimatorSpec`."""

  def __new__(
    cls,
    mode,
    predictions=None,
    loss=None,
    train_op=None,
    eval_metrics=None,
    **unused_others,
  ):
    """Takes `eval_metrics`: a function, and the tensors that it is given."""
    metrics = None
    if eval_metrics is not None:
      function, given = eval_metrics
      if isinstance(given, dict):
        metrics = function(**given)
      else:
        metrics = function(*given)
    return super().__new__(cls, mode, predictions, loss, train_op, metrics)


class _Ignored:
  """Stands for what an export holds; takes any arguments."""

  def __init__(self, *unused_arguments, **unused_others):
    """Forgets them."""


def package() -> Any:
  """Returns what stands for `tf.estimator` while a `model_fn` runs."""
  hooks = {
    name: getattr(v1.train, name)
    for name in dir(v1.train)
    if name.endswith('Hook')
  }
  outputs = ('ClassificationOutput', 'PredictOutput', 'RegressionOutput')
  return types.SimpleNamespace(
    EstimatorSpec=EstimatorSpec,
    ModeKeys=ModeKeys,
    export=types.SimpleNamespace(**{name: _Ignored for name in outputs}),
    tpu=types.SimpleNamespace(TPUEstimatorSpec=TPUEstimatorSpec),
    **hooks,
  )
