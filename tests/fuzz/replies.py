"""Changes what a worker replies, byte by byte and part by part.

A worker is asked once, through a program that writes down what it replies. From
then on, another program replies that, changed, in its place.
"""

import json
import os
import stat
import sys
import zlib

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np

from tests.fuzz import mutations, outcomes
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib

_TIMEOUT = 4.0  # seconds
_LEGACY = """
import tensorflow as tf
v1 = tf.compat.v1
def build_tf1(inputs, training):
  return v1.layers.dense(inputs, 3, name='hidden')
"""
# What both programs begin with; they run without `site`, to start at once.
_BEGIN = """#!{python} -SE
import json, os, select, shutil, subprocess, sys
worker, commands, answers, folder = sys.argv[1:5]
commands, answers, recorded = int(commands), int(answers), {recorded!r}
"""
_RECORD = """
real = {python!r}
reading, writing = os.pipe()
child = subprocess.Popen(
  [real, worker, str(commands), str(writing), folder, str(os.getpid())],
  pass_fds=(commands, writing))
os.close(writing)
log = open(recorded + '/stream', 'wb')
with os.fdopen(reading, 'rb') as stream:
  for line in stream:
    log.write(line)
    log.flush()
    result = json.loads(line.partition(b' ')[2]).get('result')
    if isinstance(result, str):
      shutil.copy(folder + '/' + result, recorded + '/' + result)
    os.write(answers, line)
"""
_PLAY = """
with open(recorded + '/groups.json') as file:
  plan = json.load(file)
received = b''
for number, group in enumerate(plan['groups']):
  while received.count(b'\\n') < number:
    # What was changed may not be taken for a reply.
    if number > plan['changed'] and not select.select([commands], [], [], 1)[0]:
      os._exit(3)
    data = os.read(commands, 65536)
    if not data:
      os._exit(0)
    received += data
  for name in group['files']:
    shutil.copy(recorded + '/' + name, folder + '/' + name)
  data = bytes.fromhex(group['bytes'])
  while data:
    data = data[os.write(answers, data):]
while plan['stays'] and os.read(commands, 65536):
  pass
"""


class Replies:
  """Replies to the commands of a run, and of the search for a divergence."""

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'replies')
    self._groups: list = []

  def _program(self, name, text):
    path = os.path.join(self._folder, name)
    values = {'python': sys.executable, 'recorded': self._folder}
    with open(path, 'w') as file:
      file.write(_BEGIN.format(**values) + text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path

  def _reference(self, python, timeout):
    return tf_equiv.Tf1Interpreter(
      'legacy_net',
      python=python,
      sys_path=[self._folder],
      timeout=timeout,
      env={'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
    )

  def prepare(self) -> None:
    """Writes down what a worker replies."""
    os.mkdir(self._folder)
    with open(os.path.join(self._folder, 'legacy_net.py'), 'w') as file:
      file.write(_LEGACY)
    self._program('play', _PLAY)
    record = _RECORD.replace('{python!r}', repr(sys.executable))
    reference = self._reference(self._program('record', record), 600.0)
    try:
      np.save(os.path.join(self._folder, 'right'), _ask(reference))
    finally:
      reference.close()

  def _read(self):
    """Returns [(lines, files)] by command."""
    with open(os.path.join(self._folder, 'stream'), 'rb') as file:
      lines = file.read().splitlines(keepends=True)
    self._right = np.load(os.path.join(self._folder, 'right.npy'))
    group: list = []
    for line in lines:
      group.append(line)
      reply = json.loads(line.partition(b' ')[2])
      if 'id' in reply:
        result = reply.get('result')
        files = [result] if isinstance(result, str) else []
        self._groups.append((group, files))
        group = []

  def change(self, random) -> None:
    """Changes what is replied to one command."""
    if not self._groups:
      self._read()
    groups = [(list(lines), files) for lines, files in self._groups]
    chosen = random.randrange(len(groups))
    lines, files = groups[chosen]
    kind = random.randrange(7)
    self._kept, self._forged = kind == 6, kind in (3, 4)
    if kind < 3:
      lines = [mutations.change_bytes(random, b''.join(lines))]
    elif kind < 5:
      place = random.choice((-1, -1, random.randrange(len(lines))))
      reply = json.loads(lines[place].partition(b' ')[2])
      if random.random() < 0.2 and 'result' in reply:
        del reply['result']
        reply['error'] = {'kind': 'other', 'message': 'a', 'frames': []}
      lines[place] = _framed(mutations.change_json(random, reply))
    elif kind == 5:
      i, j = (random.randrange(len(lines)) for _ in range(2))
      lines[i : i + 1] = [lines[j]] * random.choice((0, 1, 2))
    groups[chosen] = lines, files
    plan = {
      'groups': [
        {'bytes': b''.join(each).hex(), 'files': files}
        for each, files in groups
      ],
      'changed': len(groups) if self._kept else chosen,
      'stays': self._kept or random.random() < 0.05,
    }
    with open(os.path.join(self._folder, 'groups.json'), 'w') as file:
      json.dump(plan, file)

  def use(self, random) -> None:
    """Asks; the answers are right, or it is said that they are not."""
    timeout = 60.0 if self._kept else _TIMEOUT
    reference = self._reference(os.path.join(self._folder, 'play'), timeout)
    try:
      found = _ask(reference)
    except tf_equiv.EquivalenceError as error:
      if self._kept:
        raise outcomes.WrongError(f'refused: {error}') from error
      raise
    finally:
      reference.close()
    if not self._forged and not np.array_equal(found, self._right):
      raise outcomes.WrongError('another result')
    try:
      os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
      return
    raise outcomes.WrongError('a process is left')


def _framed(reply) -> bytes:
  data = json.dumps(reply).encode()
  return b'%08x %s\n' % (zlib.crc32(data), data)


def _ask(reference):
  """Runs, captures the graph, and asks for the line of an op."""
  inputs = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
  plan = plan_lib.RunPlan(inputs=inputs)
  run = reference.submit(program_lib.Program(build=None), plan)
  observation = run.result()
  captured = run.capture(plan, observation.weight_of())
  op = next(iter(captured.targets.values())).op
  line = captured.line_that_made(op.name)
  if not isinstance(line.lineno, int):
    raise outcomes.WrongError(f'line number {line.lineno!r}')
  ((_, values),) = observation.outputs
  return np.asarray(values)
