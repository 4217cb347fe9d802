"""Each row of docs/metrics.md, with its number, measured again.

Both sides get the same labels, predictions and weights in three batches; what
is measured is the largest difference of the values after each batch.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Callable
from typing import Any

import tf_equiv  # noqa: F401 isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1
m = v1.metrics

_DOCS = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
  'docs',
  'metrics.md',
)
_BATCHES, _SIZE, _CLASSES = 3, 200, 5
# Differences that are rounding.
_ROUNDING = 1e-6


def make_batch(step):
  """Returns a batch with predictions that are no multiples of thresholds."""
  rng = np.random.default_rng(step)
  labels = (rng.uniform(size=(_SIZE, 1)) < 0.4).astype(np.float32)
  score = 0.5 * rng.normal(size=(_SIZE, 1)) + labels - 0.5
  classes = rng.integers(0, _CLASSES, size=_SIZE)
  logits = rng.normal(size=(_SIZE, _CLASSES))
  logits[np.arange(_SIZE), classes] += 1.0
  exp = np.exp(logits)
  return {
    'y': labels,
    'p': (1 / (1 + np.exp(-3 * score))).astype(np.float32),
    'score': (3 * score).astype(np.float32),
    'w': ((step + 1) * rng.uniform(0.2, 2, (_SIZE, 1))).astype(np.float32),
    'classes': classes.astype(np.int64),
    'class_p': (exp / exp.sum(1, keepdims=True)).astype(np.float32),
    'predicted': np.argmax(logits, 1).astype(np.int64),
  }


@dataclasses.dataclass(frozen=True)
class Row:
  """A row of the table.

  Attributes:
    tf1: makes (value, update_op) of a dict of placeholders.
    tf2: makes the metric of a library of Keras.
    feed: the arguments of `update_state`, of a dict of arrays.
  """

  tf1: Callable[[Any], Any]
  tf2: Callable[[Any], Any]
  feed: Callable[[Any], Any]


def binary(b):
  return b['y'], b['p']


def weighted(b):
  return b['y'], b['p'], b['w']


def classes(b):
  return b['classes'], b['predicted']


def positive(b):
  return tf.cast(b['p'] > 0.5, tf.float32)


def one_hot(b):
  return np.eye(_CLASSES, dtype=np.float32)[b['classes']]


def auc(**arguments):
  return lambda b: m.auc(b['y'], b['p'], **arguments)


def keras_auc(**arguments):
  return lambda k: k.metrics.AUC(**arguments)


ROWS = {
  'mean': Row(
    lambda b: m.mean(b['p']), lambda k: k.metrics.Mean(), lambda b: (b['p'],)
  ),
  'mean, weights': Row(
    lambda b: m.mean(b['p'], b['w']),
    lambda k: k.metrics.Mean(),
    lambda b: (b['p'], b['w']),
  ),
  'mean, of batch means': Row(
    lambda b: m.mean(b['p'], b['w']),
    lambda k: k.metrics.Mean(),
    lambda b: (np.average(b['p'], weights=b['w']),),
  ),
  'accuracy': Row(
    lambda b: m.accuracy(b['classes'], b['predicted']),
    lambda k: k.metrics.Accuracy(),
    classes,
  ),
  'accuracy, weights': Row(
    lambda b: m.accuracy(b['classes'], b['predicted'], b['w'][:, 0]),
    lambda k: k.metrics.Accuracy(),
    lambda b: (*classes(b), b['w'][:, 0]),
  ),
  'accuracy, of argmax': Row(
    lambda b: m.accuracy(b['classes'], tf.argmax(b['class_p'], 1)),
    lambda k: k.metrics.SparseCategoricalAccuracy(),
    lambda b: (b['classes'], b['class_p']),
  ),
  'accuracy, of one-hot labels': Row(
    lambda b: m.accuracy(b['classes'], tf.argmax(b['class_p'], 1)),
    lambda k: k.metrics.CategoricalAccuracy(),
    lambda b: (one_hot(b), b['class_p']),
  ),
  'accuracy, of a threshold': Row(
    lambda b: m.accuracy(b['y'], positive(b)),
    lambda k: k.metrics.BinaryAccuracy(),
    binary,
  ),
  'accuracy, of probabilities': Row(
    lambda b: m.accuracy(b['y'], positive(b)),
    lambda k: k.metrics.Accuracy(),
    binary,
  ),
  'accuracy, of one-hot elements': Row(
    lambda b: m.accuracy(b['classes'], tf.argmax(b['class_p'], 1)),
    lambda k: k.metrics.BinaryAccuracy(),
    lambda b: (one_hot(b), b['class_p']),
  ),
  'precision': Row(
    lambda b: m.precision(b['y'], positive(b)),
    lambda k: k.metrics.Precision(),
    binary,
  ),
  'precision, of probabilities': Row(
    lambda b: m.precision(b['y'], b['p']),
    lambda k: k.metrics.Precision(),
    binary,
  ),
  'recall': Row(
    lambda b: m.recall(b['y'], positive(b), b['w']),
    lambda k: k.metrics.Recall(),
    weighted,
  ),
  'recall, of probabilities': Row(
    lambda b: m.recall(b['y'], b['p']), lambda k: k.metrics.Recall(), binary
  ),
  'precision_at_thresholds': Row(
    lambda b: m.precision_at_thresholds(b['y'], b['p'], [0.2, 0.5, 0.8]),
    lambda k: k.metrics.Precision(thresholds=[0.2, 0.5, 0.8]),
    binary,
  ),
  'recall_at_thresholds': Row(
    lambda b: m.recall_at_thresholds(b['y'], b['p'], [0.2, 0.5, 0.8]),
    lambda k: k.metrics.Recall(thresholds=[0.2, 0.5, 0.8]),
    binary,
  ),
  'auc': Row(auc(), keras_auc(), binary),
  'auc, weights': Row(
    lambda b: m.auc(b['y'], b['p'], b['w']), keras_auc(), weighted
  ),
  'auc, logits': Row(
    lambda b: m.auc(b['y'], tf.sigmoid(b['score'])),
    keras_auc(from_logits=True),
    lambda b: (b['y'], b['score']),
  ),
  'auc, minoring': Row(
    auc(summation_method='minoring'),
    keras_auc(summation_method='minoring'),
    binary,
  ),
  'auc, majoring': Row(
    auc(summation_method='majoring'),
    keras_auc(summation_method='majoring'),
    binary,
  ),
  'auc, PR, careful_interpolation': Row(
    auc(curve='PR', summation_method='careful_interpolation'),
    keras_auc(curve='PR'),
    binary,
  ),
  'auc, PR, trapezoidal': Row(auc(curve='PR'), keras_auc(curve='PR'), binary),
  'auc, PR, minoring': Row(
    auc(curve='PR', summation_method='minoring'),
    keras_auc(curve='PR', summation_method='minoring'),
    binary,
  ),
  'auc, PR, majoring': Row(
    auc(curve='PR', summation_method='majoring'),
    keras_auc(curve='PR', summation_method='majoring'),
    binary,
  ),
  'auc, other thresholds': Row(auc(), keras_auc(num_thresholds=20), binary),
  'auc, minoring for trapezoidal': Row(
    auc(), keras_auc(summation_method='minoring'), binary
  ),
  'auc, majoring for trapezoidal': Row(
    auc(), keras_auc(summation_method='majoring'), binary
  ),
  'auc, PR for ROC': Row(auc(), keras_auc(curve='PR'), binary),
  'auc, of logits': Row(
    auc(), keras_auc(), lambda b: (b['y'], np.clip(b['score'], 0, 1))
  ),
  'mean_iou': Row(
    lambda b: m.mean_iou(b['classes'], b['predicted'], _CLASSES),
    lambda k: k.metrics.MeanIoU(_CLASSES),
    classes,
  ),
  'mean_iou, weights': Row(
    lambda b: m.mean_iou(b['classes'], b['predicted'], _CLASSES, b['w'][:, 0]),
    lambda k: k.metrics.MeanIoU(_CLASSES, dtype='float32'),
    lambda b: (*classes(b), b['w'][:, 0]),
  ),
  'precision_at_k': Row(
    lambda b: m.precision_at_k(b['classes'][:, None], b['class_p'], 2),
    lambda k: k.metrics.Precision(top_k=2),
    lambda b: (one_hot(b), b['class_p']),
  ),
  'recall_at_k': Row(
    lambda b: m.recall_at_k(b['classes'][:, None], b['class_p'], 2),
    lambda k: k.metrics.SparseTopKCategoricalAccuracy(k=2),
    lambda b: (b['classes'], b['class_p']),
  ),
  'recall_at_k, as Recall': Row(
    lambda b: m.recall_at_k(b['classes'][:, None], b['class_p'], 2),
    lambda k: k.metrics.Recall(top_k=2),
    lambda b: (one_hot(b), b['class_p']),
  ),
  'recall_at_k, with a threshold': Row(
    lambda b: m.recall_at_k(b['classes'][:, None], b['class_p'], 2),
    lambda k: k.metrics.Recall(top_k=2, thresholds=0.5),
    lambda b: (one_hot(b), b['class_p']),
  ),
  'sensitivity_at_specificity': Row(
    lambda b: m.sensitivity_at_specificity(b['y'], b['p'], 0.8),
    lambda k: k.metrics.SensitivityAtSpecificity(0.8),
    binary,
  ),
  'specificity_at_sensitivity': Row(
    lambda b: m.specificity_at_sensitivity(b['y'], b['p'], 0.8),
    lambda k: k.metrics.SpecificityAtSensitivity(0.8),
    binary,
  ),
  'root_mean_squared_error': Row(
    lambda b: m.root_mean_squared_error(b['y'], b['p'], b['w']),
    lambda k: k.metrics.RootMeanSquaredError(),
    weighted,
  ),
  'root_mean_squared_error, as MeanSquaredError': Row(
    lambda b: m.root_mean_squared_error(b['y'], b['p']),
    lambda k: k.metrics.MeanSquaredError(),
    binary,
  ),
  'mean_squared_error': Row(
    lambda b: m.mean_squared_error(b['y'], b['p']),
    lambda k: k.metrics.MeanSquaredError(),
    binary,
  ),
  'mean_absolute_error': Row(
    lambda b: m.mean_absolute_error(b['y'], b['p']),
    lambda k: k.metrics.MeanAbsoluteError(),
    binary,
  ),
  'percentage_below': Row(
    lambda b: m.percentage_below(b['p'], 0.5, b['w']),
    lambda k: k.metrics.Mean(),
    lambda b: ((b['p'] < 0.5).astype(np.float32), b['w']),
  ),
  'true_positives': Row(
    lambda b: m.true_positives(b['y'], positive(b)),
    lambda k: k.metrics.TruePositives(),
    binary,
  ),
}

# The largest difference of each row that is not equal, in two digits.
OFF = {
  'mean, of batch means': 0.00046,
  'accuracy, of probabilities': 0.88,
  'accuracy, of one-hot elements': 0.33,
  'precision, of probabilities': 0.44,
  'recall, of probabilities': 0.13,
  'auc, PR, trapezoidal': 9.8e-05,
  'auc, PR, minoring': 0.014,
  'auc, other thresholds': 0.0019,
  'auc, minoring for trapezoidal': 0.00099,
  'auc, majoring for trapezoidal': 0.00099,
  'auc, PR for ROC': 0.071,
  'auc, of logits': 0.04,
  'recall_at_k, with a threshold': 0.53,
  'sensitivity_at_specificity': 0.0067,
  'root_mean_squared_error, as MeanSquaredError': 0.22,
}


@functools.cache
def of_tf1(name):
  """Returns the values of TF1 after each batch."""
  row = ROWS[name]
  batches = [make_batch(step) for step in range(_BATCHES)]
  found = []
  with tf.Graph().as_default(), v1.Session() as session:
    inputs = {
      name: v1.placeholder(array.dtype, array.shape)
      for name, array in batches[0].items()
    }
    value, update = row.tf1(inputs)
    session.run(v1.local_variables_initializer())
    for batch in batches:
      feed = {inputs[name]: array for name, array in batch.items()}
      session.run(update, feed)
      found.append(session.run(value))
  return found


def of_tf2(row, library):
  """Returns the values of a Keras after each batch."""
  metric, found = row.tf2(library), []
  for step in range(_BATCHES):
    metric.update_state(*row.feed(make_batch(step)))
    found.append(np.asarray(metric.result()))
  return found


def difference(name, library):
  return max(
    float(np.max(np.abs(a.astype(np.float64) - b)))
    for a, b in zip(of_tf1(name), of_tf2(ROWS[name], library), strict=True)
  )


def documented():
  """Returns {row: number or None} of the tables of the document."""
  with open(_DOCS, encoding='utf-8') as file:
    text = file.read()
  found = {}
  for line in text.splitlines():
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    if line.startswith('|') and len(cells) >= 3 and cells[0] in ROWS:
      number = re.fullmatch(r'[\d.e-]+', cells[2])
      found[cells[0]] = float(cells[2]) if number else None
  return found


class TableTest(parameterized.TestCase):
  @parameterized.product(row=list(ROWS), library=('tf_keras', 'keras'))
  def test_row(self, row, library):
    found = difference(row, tf.keras if library == 'tf_keras' else keras)
    off = OFF.get(row)
    if off is None:
      self.assertLess(found, _ROUNDING)
    else:  # To the digits that are documented.
      self.assertGreater(found, 50 * _ROUNDING)
      self.assertAlmostEqual(found, off, delta=0.06 * off)

  def test_all_rows_are_documented(self):
    found = documented()
    self.assertCountEqual(found, ROWS)
    for name, number in found.items():
      self.assertEqual(number, OFF.get(name), name)


if __name__ == '__main__':
  absltest.main()
