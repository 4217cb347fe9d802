"""Runs code in a fresh Python, for what depends on the order of imports.

To import TensorFlow takes seconds. Code that begins with the same imports
shares them: a process runs them once, and then is forked for each code, which
so starts from the same state and leaves nothing to the next.
"""

import atexit
import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import textwrap

# Not imported: this process may need no TensorFlow.
_FILE = importlib.util.find_spec('tf_equiv').origin
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(_FILE)))
# Each line of its input names a file with code, and one for the output.
_FORKING = """
import json, os, sys, traceback

def run(code):
  try:
    exec(compile(code, '<string>', 'exec'), {'__name__': '__main__'})
  except SystemExit as error:
    return error.code if isinstance(error.code, int) else int(bool(error.code))
  except BaseException:
    traceback.print_exc()
    return 1
  return 0

def answer(code, path):
  child = os.fork()
  if child:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
  output = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
  os.dup2(output, 1)
  os.dup2(output, 2)
  status = run(code)
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)

answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)
exec(FIRST, {'__name__': '__main__'})
sys.stdout.flush()
for line in sys.stdin:
  print(answer(*json.loads(line)), file=answers, flush=True)
"""


def run(code, first='', **environment):
  """Runs code in a Python that is as fresh as its first lines left it.

  Args:
    code: what to run.
    first: imports that run before it. Codes with the same ones share them.
    **environment: variables of the environment.

  Returns:
    (exit status, all output of the code).
  """
  code = textwrap.dedent(code)
  if not first:
    done = subprocess.run(
      [sys.executable, '-W', 'ignore', '-c', code],
      env=_environment(environment),
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=300,
    )
    return done.returncode, done.stdout
  process = _forking(first, tuple(sorted(environment.items())))
  with tempfile.NamedTemporaryFile('r') as file:
    process.stdin.write(json.dumps([code, file.name]) + '\n')
    process.stdin.flush()
    status = process.stdout.readline()
    assert status, 'the process that is forked has ended'
    return int(status), file.read()


@functools.cache
def _forking(first, environment):
  """Starts the process that is forked; it ends with this one."""
  process = subprocess.Popen(
    [
      sys.executable,
      '-W',
      'ignore',
      '-c',
      'FIRST = %r\n%s' % (first, _FORKING),
    ],
    env=_environment(dict(environment)),
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  atexit.register(_end, process)
  return process


def _end(process):
  process.stdin.close()
  process.stdout.close()
  process.wait()


def _environment(environment):
  env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
  env.pop('TF_USE_LEGACY_KERAS', None)
  env.pop('TF_EQUIV_SEED_MODES', None)
  env.update(environment)
  return env
