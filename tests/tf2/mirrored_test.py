"""The variant 'mirrored', in a process of its own.

It needs two logical CPU devices, which a process has from TensorFlow's start,
or not at all.
"""

import os
import subprocess
import sys

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest

from tests.tf2 import variant_nets as nets

_CASES = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), 'mirrored_cases.py'
)


class MirroredTest(absltest.TestCase):
  def test_cases(self):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
      [sys.executable, _CASES],
      env=env,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=300,
    )
    self.assertEqual(done.returncode, 0, done.stdout)
    self.assertIn('Ran 4 tests', done.stdout)

  def test_too_late_for_two_devices(self):
    tf.constant(0)  # TensorFlow has started.
    with self.assertRaisesRegex(
      tf_equiv.EnvironmentSetupError, 'needs 2 logical CPU devices'
    ):
      nets.Case().assertForwardEquivalent(variants='mirrored')


if __name__ == '__main__':
  absltest.main()
