"""Runs code in a fresh Python, for what depends on the order of imports."""

import os
import subprocess
import sys
import textwrap

import tf_equiv

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


def run(code, **environment):
  """Runs code in a fresh Python; returns (exit status, all output)."""
  env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
  env.pop('TF_USE_LEGACY_KERAS', None)
  env.pop('TF_EQUIV_SEED_MODES', None)
  env.update(environment)
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
    env=env,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout
