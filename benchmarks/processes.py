"""Runs Python in processes of its own, and measures them."""

import dataclasses
import os
import resource
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a process took.

  Attributes:
    wall: wall time in seconds.
    cpu: CPU time of it and its children in seconds.
    peak: largest resident set of one process in MB.
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
  peak = _Peak(process.pid)
  output, errors = process.communicate()
  wall = time.time() - start
  if process.returncode:
    raise SystemExit(
      '%s failed:\n%s%s' % (' '.join(arguments), output, errors[-5000:])
    )
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
  return Cost(wall, cpu, peak.stop(), output)


class _Peak:
  """Samples the resident set of a process and all of its descendants."""

  def __init__(self, pid: int):
    import threading

    self._pid, self._peak, self._done = pid, 0.0, threading.Event()
    self._thread = threading.Thread(target=self._sample, daemon=True)
    self._thread.start()

  def _sample(self) -> None:
    while not self._done.wait(0.05):
      self._peak = max(self._peak, sum(map(_resident, _family(self._pid))))

  def stop(self) -> float:
    """Returns the largest sum that was seen, in MB."""
    self._done.set()
    self._thread.join()
    return self._peak


def _family(pid: int) -> list[int]:
  found = [pid]
  for member in found:
    try:
      with open('/proc/%d/task/%d/children' % (member, member)) as file:
        found += [int(child) for child in file.read().split()]
    except OSError:
      continue  # It has ended.
  return found


def _resident(pid: int) -> float:
  try:
    with open('/proc/%d/statm' % pid) as file:
      pages = int(file.read().split()[1])
  except OSError:
    return 0.0
  return pages * resource.getpagesize() / 2**20
