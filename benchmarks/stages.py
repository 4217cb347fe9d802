"""Tells where the time of the guide's steps goes.

`python -m benchmarks.stages [library|worker]` runs a side of
`benchmarks.guide_vs_tf_equiv` in this process and prints, by stage, how often
it ran and the wall time that it took itself, without the stages inside of it.
"""

import collections
import contextlib
import functools
import sys
import time
from unittest import mock

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
from benchmarks import guide_vs_tf_equiv
from tf_equiv.compare import judge
from tf_equiv.references.interpreter import process
from tf_equiv.tf1 import graph, jitter
from tf_equiv.tf1 import runner as tf1_runner
from tf_equiv.tf2 import forward, program, sensitivity

FIRST_CALL = 'TF2: build a model, first call'
FOR_POWER = 'TF2: further call for the power'
BACKWARD = 'TF2: backward pass for the power'
# A call inside of these is part of them.
WHOLE = (FIRST_CALL, FOR_POWER)
STAGES = (
  (graph, 'build', 'TF1: build a graph'),
  (tf1_runner, '_set_weights', 'TF1: set or draw weights'),
  (tf1_runner, '_run_updates', 'TF1: run the updates'),
  (jitter, 'measure', 'TF1: run with inputs a hair away'),
  (tf1_runner, 'run', 'TF1: run the forward pass'),
  (process.WorkerProcess, 'wait', 'wait for the worker'),
  (forward, 'create', FIRST_CALL),
  (sensitivity.Tape, 'effects', BACKWARD),
  (sensitivity, 'complete', FOR_POWER),
  (program, 'call_model', 'TF2: further calls'),
  (forward.Forward, 'prepare', 'TF2: set weights'),
  (forward.Forward, 'observe', 'TF2: read results'),
  (judge, 'judge_run', 'compare'),
)


class _Clock:
  """Adds up the time of nested stages."""

  def __init__(self):
    self.seconds = collections.Counter()
    self.counts = collections.Counter()
    self._inside = []

  def timed(self, function, stage: str):
    """Returns the function, which adds to the time of a stage."""

    @functools.wraps(function)
    def timed(*arguments, **keywords):
      outer = self._inside[-1] if self._inside else ''
      label = outer if outer in WHOLE and stage != BACKWARD else stage
      self._inside.append(label)
      start, before = time.time(), sum(self.seconds.values())
      try:
        return function(*arguments, **keywords)
      finally:
        self._inside.pop()
        inside = sum(self.seconds.values()) - before
        self.seconds[label] += time.time() - start - inside
        self.counts[label] += label == stage

    return timed


def main():
  """Runs a side and prints the table."""
  side = (sys.argv[1:] or ['library'])[0]
  run = {
    'library': guide_vs_tf_equiv.library,
    'worker': guide_vs_tf_equiv.worker,
  }[side]
  clock = _Clock()
  with contextlib.ExitStack() as stack:
    for owner, name, stage in STAGES:
      timed = clock.timed(getattr(owner, name), stage)
      stack.enter_context(mock.patch.object(owner, name, timed))
    start = time.time()
    run()
    total = time.time() - start
  for stage, seconds in clock.seconds.most_common():
    print('%6.1f s  %3d x  %s' % (seconds, clock.counts[stage], stage))
  print('%6.1f s         other' % (total - sum(clock.seconds.values())))
  print('%6.1f s         in all' % total)


if __name__ == '__main__':
  main()
