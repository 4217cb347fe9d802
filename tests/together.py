"""Runs the tests of all modules that the arguments name, in one process.

python -m tests.together tests.compare.values_test tests.compare.losses_test
"""

import os

from absl.testing import absltest

if __name__ == '__main__':
  # As `import tf_equiv` does, which not all of them need.
  os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
  absltest.main(module=None)
