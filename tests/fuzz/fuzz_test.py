"""Some mutations of each kind; `python -m tests.fuzz` makes many."""

import json
import os
import random
import subprocess
import sys

from absl.testing import absltest, parameterized

from tests.fuzz import mutations

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_COUNT = 15
_KINDS = (
  'goldens',
  'checkpoints',
  'exports',
  'replies',
  'calls',
  'interrupts',
)


class FuzzTest(absltest.TestCase):
  def test_only_right_results_and_clear_errors(self):
    # In a process of its own, which forks before TensorFlow starts threads.
    folders = [os.path.abspath(_ROOT), *sys.path]
    done = subprocess.run(
      [sys.executable, '-m', 'tests.fuzz', '--count', str(_COUNT)],
      env=dict(os.environ, PYTHONPATH=os.pathsep.join(folders)),
      cwd=os.path.abspath(_ROOT),
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, 0, done.stdout + done.stderr[-3000:])
    summary = json.loads(done.stdout.splitlines()[-1])
    self.assertCountEqual(summary, _KINDS)
    for kind, counts in summary.items():
      self.assertContainsSubset(counts, ['right result', 'clear error'], kind)
      self.assertEqual(sum(counts.values()), _COUNT, kind)
      self.assertGreater(counts['clear error'], 0, kind)


class MutationsTest(parameterized.TestCase):
  """Mutations that change nothing would find nothing."""

  def test_bytes(self):
    data = bytes(range(256)) * 4
    changed = {
      mutations.change_bytes(random.Random(i), data) for i in range(100)
    }
    self.assertGreater(len(changed - {data}), 80)

  def test_json(self):
    value = {'a': [1, {'b': 'text'}], 'c': {'d': None}}
    before = json.dumps(value)
    changed = {
      json.dumps(mutations.change_json(random.Random(i), value))
      for i in range(100)
    }
    self.assertEqual(json.dumps(value), before)
    self.assertGreater(len(changed - {before}), 50)

  def test_the_same_seed_gives_the_same(self):
    for _ in range(2):
      self.assertEqual(
        mutations.change_bytes(random.Random(3), b'some bytes'),
        mutations.change_bytes(random.Random(3), b'some bytes'),
      )


if __name__ == '__main__':
  absltest.main()
