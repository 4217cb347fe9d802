"""Runs the complete validation of Inception-ResNet-v2 and prints each step.

python -m examples.inception_resnet_v2.demo
"""

import gc
import logging
import os
import sys
import threading
import time
import warnings

if __name__ == '__main__':
  # The import takes some seconds.
  print('Importing TensorFlow', flush=True)
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore')

import tf_equiv  # noqa: E402, I001  (before tensorflow)
import tensorflow as tf  # noqa: E402

from examples.inception_resnet_v2 import pairs  # noqa: E402


class Progress(logging.Handler):
  """Shows what is being done, and for how long: on a terminal while it is."""

  def __init__(self, stream):
    super().__init__()
    self.step = ''
    self._stream = stream
    self._live = stream.isatty()
    self._lock = threading.Lock()
    self._stage, self._start = '', time.time()
    if self._live:
      threading.Thread(target=self._tick, daemon=True).start()

  def emit(self, record):
    with self._lock:
      self._end()
      self._stage = '    %s%s ...' % (self.step, record.getMessage())
      self._start = time.time()
      self._stream.write(self._stage)
      self._stream.flush()

  def clear(self):
    """Ends the stage, before something else is printed."""
    with self._lock:
      self._end()

  def _tick(self):
    while True:
      time.sleep(1)
      with self._lock:
        if self._stage:
          self._stream.write('\r\033[K%s%s' % (self._stage, self._seconds()))
          self._stream.flush()

  def _end(self):
    if not self._stage:
      return
    if self._live:
      self._stream.write('\r\033[K')
    else:
      self._stream.write(self._seconds() + '\n')
    self._stream.flush()
    self._stage = ''

  def _seconds(self):
    return ' %.0f s' % (time.time() - self._start)


def _case(cls):
  return type(cls.__name__, (cls,), {'runTest': lambda self: None})()


# (title, pair, assertion, arguments, number that the guide prints)
STEPS = (
  (
    'step 1   variables are created once',
    pairs.OnesMigration,
    'assertNoNewVariables',
    {},
    None,
  ),
  (
    'step 2   variables match',
    pairs.OnesMigration,
    'assertVariablesMatch',
    {},
    None,
  ),
  (
    'step 3   inference, weights 0.001',
    pairs.OnesMigration,
    'assertForwardEquivalent',
    {},
    0.001182976,
  ),
  (
    'step 4   inference, num_random_ops',
    pairs.OnesMigration,
    'assertForwardEquivalent',
    {'seed_mode': 'num_random_ops'},
    1.2254326,
  ),
  (
    'step 4   training, num_random_ops',
    pairs.OnesMigration,
    'assertTrainingEquivalent',
    # It is vacuous: on ones all logits are rounding noise.
    {'seed_mode': 'num_random_ops', 'allow_vacuous': True},
    1.22548,
  ),
  (
    'step 4   training, constant, functional model',
    pairs.FunctionalMigration,
    'assertTrainingEquivalent',
    {'seed_mode': 'constant', 'allow_vacuous': True},
    1.2239965,
  ),
  (
    'beyond   inference, random images',
    pairs.RandomMigration,
    'assertForwardEquivalent',
    {'seed_mode': 'num_random_ops'},
    None,
  ),
  (
    'beyond   training, random images',
    pairs.RandomMigration,
    'assertTrainingEquivalent',
    {'seed_mode': 'num_random_ops'},
    None,
  ),
  (
    'beyond   gradients, random images',
    pairs.RandomMigration,
    'assertGradientsClose',
    {'seed_mode': 'num_random_ops'},
    None,
  ),
)


def run_step(cases, title, pair, assertion, arguments, printed):
  """Runs a step; returns (whether it passed, the text to print).

  Args:
    cases: the test cases by class. Steps of one class share what they build.
    title: what is printed.
    pair: the class.
    assertion: name of the assertion.
    arguments: its arguments.
    printed: the regularization loss that the guide prints, or None.
  """
  start = time.time()
  if pair not in cases:
    cases.clear()
    gc.collect()  # Of another class, with its model.
    cases[pair] = _case(pair)
  try:
    verdict = getattr(cases[pair], assertion)(**arguments)
  except AssertionError as error:
    message = '\n'.join('    ' + line for line in str(error).splitlines())
    return False, 'FAIL  %-46s %6.1f s\n%s' % (
      title,
      time.time() - start,
      message,
    )
  line = 'pass  %-46s %6.1f s  ' % (title, verdict.seconds)
  largest = verdict.largest()
  if largest is None:
    line += '%d variables' % verdict.compared['variables']
  else:
    line += 'difference %.2g of %.2g allowed' % (
      largest.difference,
      largest.allowed,
    )
  if 'regularization losses' in verdict.comparisons and printed:
    values = pairs.regularization_loss(verdict)
    line += '; regularization loss %.8g / %.8g (guide %.8g)' % (
      *values,
      printed,
    )
  if assertion == 'assertForwardEquivalent' and not arguments:
    line += '; logits %.6g / %.6g (guide 0.00299837)' % pairs.a_logit(verdict)
  return True, line


def main():
  """Runs all steps; returns the process's exit status."""
  tf.get_logger().setLevel('ERROR')
  logging.getLogger('absl').setLevel('ERROR')
  progress = Progress(sys.stderr)
  log = logging.getLogger('tf_equiv')
  log.addHandler(progress)
  log.setLevel(logging.INFO)
  log.propagate = False
  print(
    'Inception-ResNet-v2: TF1 graph against TF2 layer, TensorFlow %s, '
    'tf_equiv %s' % (tf.__version__, tf_equiv.__version__),
    flush=True,
  )
  start, failures, cases = time.time(), 0, {}
  for number, step in enumerate(STEPS, 1):
    progress.step = '%d/%d ' % (number, len(STEPS))
    passed, text = run_step(cases, *step)
    progress.clear()
    print(text, flush=True)
    failures += not passed
  print(
    '%d of %d steps pass, in %.0f s'
    % (len(STEPS) - failures, len(STEPS), time.time() - start)
  )
  return 1 if failures else 0


if __name__ == '__main__':
  sys.exit(main())
