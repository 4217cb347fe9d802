"""Changes files and more at random, and counts what comes of using them.

    python -m tests.fuzz --count 1000 --seed 0 goldens checkpoints exports
    python -m tests.fuzz --count 300 replies calls interrupts

Every change is used in a child process, so that a crash or a hang is counted
and does not end the others. The last line is a summary in JSON. The exit code
is 1 if there was anything but right results and clear errors.
"""

import argparse
import collections
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback

import tf_equiv  # isort: skip (before tensorflow)

from tests.fuzz import outcomes, subjects

RIGHT, CLEAR, RAW = 'right result', 'clear error', 'raw error'
CRASH, HANG, WRONG = 'crash', 'hang', 'wrong result'
GROWN, LEFT = 'grown by over 1 GB', 'files left'
# TensorFlow removes its files of this name when the process ends.
_AUTOGRAPH = '__autograph_generated_file'
_SECONDS = 60.0
_KB = 1 << 20  # of growth that counts, as the system gives it
_MAX_MESSAGE = 60000


def main(arguments=None) -> int:
  """Runs the mutations that the command line asks for."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('kinds', nargs='*', default=list(subjects.SUBJECTS))
  parser.add_argument('--count', type=int, default=1000)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--start', type=int, default=0)
  parser.add_argument('--seconds', type=float, default=0, help='0: no limit')
  chosen = parser.parse_args(arguments)
  summary = {}
  for kind in chosen.kinds:
    end = time.monotonic() + chosen.seconds if chosen.seconds else None
    with tempfile.TemporaryDirectory() as folder:
      counts = _run(kind, chosen, folder, end)
    summary[kind] = dict(sorted(counts.items()))
    print(f'{kind}: {summary[kind]}', flush=True)
  print(json.dumps(summary))
  bad = {name for counts in summary.values() for name in counts}
  return int(bool(bad - {RIGHT, CLEAR}))


def _run(kind, chosen, folder, end) -> collections.Counter:
  """Forks a child for the rest, again and again until all are done."""
  counts: collections.Counter = collections.Counter()
  subject = subjects.SUBJECTS[kind](folder)
  seconds = getattr(subject, 'seconds', _SECONDS)
  _fork(lambda write: subject.prepare())[1].wait()
  next_one, last = chosen.start, chosen.start + chosen.count
  while next_one < last and not (end and time.monotonic() > end):
    reading, child = _fork(
      lambda write, first=next_one: _child(
        kind, subject, chosen.seed, range(first, last), write, folder, end
      )
    )
    with os.fdopen(reading, 'rb', buffering=0) as stream:
      while True:
        if not select.select([stream], [], [], seconds + 15)[0]:
          child.kill()
          counts[HANG] += 1
          print(f'{kind} {next_one}: hang', flush=True)
          next_one += 1
          break
        line = _line(stream)
        if not line:
          status = child.wait()
          if next_one < last and status:
            counts[CRASH] += 1
            print(f'{kind} {next_one}: crash ({status})', flush=True)
            next_one += 1
          elif not status:
            next_one = last
          break
        name, text = json.loads(line)
        counts[name] += 1
        if text:
          print(f'{kind} {next_one}: {name}: {text}', flush=True)
        if name not in (GROWN, LEFT):
          next_one += 1
  return counts


class _Child:
  def __init__(self, number):
    self._number = number

  def wait(self) -> int:
    """Returns 0, or how it ended."""
    _, status = os.waitpid(self._number, 0)
    return status

  def kill(self) -> None:
    """Ends it."""
    os.kill(self._number, signal.SIGKILL)
    self.wait()


def _fork(function):
  """Runs a function in a child; returns (what it writes to, the child)."""
  reading, writing = os.pipe()
  sys.stdout.flush()
  number = os.fork()
  if number:
    os.close(writing)
    return reading, _Child(number)
  status = 1
  try:
    os.close(reading)
    function(writing)
    status = 0
  except BaseException:
    traceback.print_exc()
  finally:
    os._exit(status)


def _line(stream) -> bytes:
  data = b''
  while not data.endswith(b'\n'):
    part = stream.read(1)
    if not part:
      return b''
    data += part
  return data


def _child(kind, subject, seed, numbers, writing, folder, end) -> None:
  """Does one after another, and says what came of each."""
  _silence()
  work = os.path.join(folder, 'work')
  os.makedirs(work, exist_ok=True)
  os.chdir(work)
  os.environ['TMPDIR'] = tempfile.tempdir = work

  def say(*values):
    os.write(writing, json.dumps(values).encode() + b'\n')

  memory = None
  for number in numbers:
    if end and time.monotonic() > end:
      return
    name, text = _outcome(subject, random.Random(f'{kind} {seed} {number}'))
    say(name, text)
    for left in os.listdir(work):
      if left.startswith(_AUTOGRAPH):
        continue
      say(LEFT, left)
      os.rename(os.path.join(work, left), os.path.join(folder, f'l{number}'))
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if memory is not None and now - memory > _KB:
      say(GROWN, f'{now - memory} KB')
      memory = now
    if number - numbers[0] == 5:  # By then all has been used once.
      memory = now


def _silence() -> None:
  nothing = os.open(os.devnull, os.O_RDWR)
  for descriptor in (1, 2):
    os.dup2(nothing, descriptor)


def _outcome(subject, random_):
  start = time.monotonic()
  subject.change(random_)
  try:
    subject.use(random_)
    name, text = RIGHT, ''
  except tf_equiv.EquivalenceError as error:
    name, text = CLEAR, ''
    if not str(error).strip() or len(str(error)) > _MAX_MESSAGE:
      name, text = RAW, f'a message of {len(str(error))} characters'
  except outcomes.EndedError:
    name, text = CLEAR, ''
  except outcomes.WrongError as error:
    name, text = WRONG, str(error)
  except BaseException as error:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if 'tf_equiv' in f.filename] or frames
    line = (str(error).strip().splitlines() or [''])[0][:200]
    place = f'{os.path.basename(own[-1].filename)}:{own[-1].lineno}'
    name, text = RAW, f'{type(error).__name__}: {line} ({place})'
    if type(subject).__str__ is not object.__str__:
      text += f' of {subject}'
  if time.monotonic() - start > getattr(subject, 'seconds', _SECONDS):
    name, text = HANG, f'{time.monotonic() - start:.0f} s'
  return name, text


if __name__ == '__main__':
  sys.exit(main())
