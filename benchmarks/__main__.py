"""Runs all benchmarks one after the other, each in a process of its own.

    .venv/bin/python -m benchmarks                    # or `make bench`
    .venv/bin/python -m benchmarks overhead scaling   # only these

The environment variable TF_EQUIV_TF1_PYTHON names the interpreter with
TensorFlow 1.15, which `matrix` and `interpreter` need; without it they are left
out, and the suite runs under pytest alone where there is no Bazel. A benchmark
that fails does not keep the others from running.
"""

import os
import shutil
import subprocess
import sys
import time

# Short ones first.
_COMMANDS = {
  'import_time': ['benchmarks/import_time.py'],
  'overhead': ['-m', 'benchmarks.overhead'],
  'interpreter': ['-m', 'benchmarks.interpreter'],
  'stages': ['-m', 'benchmarks.stages'],
  'scaling': ['-m', 'benchmarks.scaling'],
  'matrix': ['-m', 'benchmarks.matrix'],
  'locating': ['-m', 'benchmarks.locating'],
  'suite': ['-m', 'benchmarks.suite'],
  'guide_vs_tf_equiv': ['-m', 'benchmarks.guide_vs_tf_equiv'],
}
_WITH_TF1 = ('interpreter', 'matrix')


def _run(name: str) -> bool:
  """Runs a benchmark and returns whether it succeeded."""
  command = [sys.executable, *_COMMANDS[name]]
  if name == 'suite' and not shutil.which('bazel'):
    command.append('--runner=pytest')
  print(f'=== {name}', flush=True)
  start = time.time()
  status = subprocess.call(command)
  print(f'--- {name}: {time.time() - start:.0f} s', flush=True)
  if status:
    print(f'{name} failed with exit status {status}.', file=sys.stderr)
  return not status


def main(names: list[str]) -> int:
  """Runs the benchmarks with these names, by default all that can run."""
  unknown = [name for name in names if name not in _COMMANDS]
  if unknown:
    print(
      f'No benchmark {unknown[0]}; there are {", ".join(_COMMANDS)}.',
      file=sys.stderr,
    )
    return 2
  if not names:
    names = list(_COMMANDS)
    if not os.environ.get('TF_EQUIV_TF1_PYTHON'):
      names = [name for name in names if name not in _WITH_TF1]
      print(f'Without TF_EQUIV_TF1_PYTHON: not {", ".join(_WITH_TF1)}.')
  succeeded = [_run(name) for name in names]
  return 0 if all(succeeded) else 1


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
