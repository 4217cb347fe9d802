"""Measures what `import tf_equiv` adds to `import tensorflow`.

.venv/bin/python benchmarks/import_time.py
"""

import os
import statistics
import subprocess
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CODE = """
import time
start = time.perf_counter()
import tensorflow
middle = time.perf_counter()
import tf_equiv
print(middle - start, time.perf_counter() - middle)
"""


def main():
  """Imports both in fresh processes and prints the medians."""
  runs = []
  for _ in range(5):
    output = subprocess.run(
      [sys.executable, '-c', _CODE],
      env=dict(os.environ, PYTHONPATH=_ROOT, TF_USE_LEGACY_KERAS='1'),
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      check=True,
      text=True,
    ).stdout
    runs.append([float(seconds) for seconds in output.split()])
  for name, seconds in zip(
    ('tensorflow', 'tf_equiv'), zip(*runs, strict=True), strict=True
  ):
    print('import %-10s %.3f s (median of 5)' % (
      name, statistics.median(seconds)
    ))  # fmt: skip


if __name__ == '__main__':
  main()
