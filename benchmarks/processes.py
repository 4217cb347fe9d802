"""Runs Python in processes of its own, and measures them."""

import dataclasses
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Sampling may take this share of a core.
_MAX_SAMPLING = 0.05


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a process took.

  Attributes:
    wall: wall time in seconds.
    cpu: CPU time of it and its children in seconds.
    peak: largest sum of the resident sets of it and its children in MB.
    output: what it printed.
  """

  wall: float
  cpu: float
  peak: float
  output: str


def run(arguments: list[str], **environment: str) -> Cost:
  """Runs Python with arguments, from the top of the repository.

  Args:
    arguments: what follows `python`.
    **environment: more environment variables.

  Returns:
    What it cost.

  Raises:
    SystemExit: if it fails; what it printed is shown.
  """
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  start = time.time()
  process = subprocess.Popen(
    [sys.executable, '-W', 'ignore', *arguments],
    cwd=ROOT,
    env=dict(
      os.environ, PYTHONPATH=ROOT, TF_CPP_MIN_LOG_LEVEL='3', **environment
    ),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  peak = Peak(lambda: family(process.pid))
  output, errors = process.communicate()
  wall = time.time() - start
  if process.returncode:
    raise SystemExit(
      '%s failed:\n%s%s' % (' '.join(arguments), output, errors[-5000:])
    )
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
  return Cost(wall, cpu, peak.stop(), output)


def resident(pid: int) -> float:
  """Returns the resident set of a process in MB, 0 if it has ended."""
  try:
    with open('/proc/%d/statm' % pid) as file:
      pages = int(file.read().split()[1])
  except OSError:
    return 0.0
  return pages * resource.getpagesize() / 2**20


def proportional(pid: int) -> float:
  """Returns the proportional set of a process in MB, 0 if it has ended.

  What several processes share, as the code of TensorFlow, is divided by their
  number, so that the sum over processes is what they take of the machine.
  """
  try:
    with open('/proc/%d/smaps_rollup' % pid) as file:
      lines = file.read().splitlines()
  except OSError:
    return 0.0
  return sum(int(x.split()[1]) for x in lines if x.startswith('Pss:')) / 2**10


def family(pid: int) -> list[int]:
  """Returns a process and all of its descendants, itself first."""
  found = [pid]
  for member in found:
    try:
      # A child belongs to the thread that started it.
      for thread in os.listdir('/proc/%d/task' % member):
        with open('/proc/%d/task/%s/children' % (member, thread)) as file:
          found += [int(child) for child in file.read().split()]
    except OSError:
      continue  # It has ended.
  return found


class Peak:
  """Samples how much memory processes take together, until it is stopped.

  Attributes:
    largest: the largest sum so far, in MB.
  """

  def __init__(
    self,
    members: Callable[[], Iterable[int]],
    size: Callable[[int], float] = resident,
  ):
    """Starts.

    Args:
      members: returns the ids of the processes that are there now.
      size: returns what one of them takes in MB.
    """
    self._members, self._size = members, size
    self.largest, self._done = 0.0, threading.Event()
    self._thread = threading.Thread(target=self._sample, daemon=True)
    self._thread.start()

  def _sample(self) -> None:
    pause = 0.0
    while not self._done.wait(max(0.05, pause)):
      start = time.thread_time()
      now = sum(map(self._size, self._members()))
      self.largest = max(self.largest, now)
      pause = (time.thread_time() - start) / _MAX_SAMPLING

  def stop(self) -> float:
    """Returns the largest sum that was seen, in MB."""
    self._done.set()
    self._thread.join()
    return self.largest
