"""Ends all processes that the user's code has started, wherever they went.

A child that calls `setsid` leaves the group of the worker. On Linux it is still
found: by what it inherits, or as a child of a child.
"""

import os
import signal
from typing import Dict, Iterator, NamedTuple, Set, Tuple

# Environment variable that all processes of a worker inherit.
MARK = 'TF_EQUIV_WORKER'
_PROC = '/proc'
_MAX_ROUNDS = 50  # of those who start processes faster than they end


class _Process(NamedTuple):
  state: str
  parent: int
  group: int
  session: int


def end_all(mark: str, leader: int, spare: int) -> bool:
  """Ends the processes of a worker.

  Args:
    mark: value of `MARK` in their environment.
    leader: number of the worker, which leads a session.
    spare: the process that is not ended, although it may be one of them.

  Returns:
    Whether they can be found; nothing is ended elsewhere than on Linux.
  """
  if not os.path.isdir(os.path.join(_PROC, 'self')):
    return False
  ended: Set[int] = set()
  for _ in range(_MAX_ROUNDS):
    new = set(_processes_of(mark, leader)) - ended - {spare}
    if not new:
      break
    for number in new:
      try:
        os.kill(number, signal.SIGKILL)
      except OSError:
        pass  # It has ended, or runs with other rights.
    ended |= new
  return True


def _processes_of(mark: str, leader: int) -> Iterator[int]:
  processes = dict(_living())
  entry = b'\0%s=%s\0' % (os.fsencode(MARK), os.fsencode(mark))
  known: Dict[int, bool] = {}

  def belongs(number):
    if number not in known:
      known[number] = False  # Where numbers that are used again make a ring.
      known[number] = _belongs(number)
    return known[number]

  def _belongs(number):
    process = processes.get(number)
    if process is None or number == 1:
      return False
    if leader in (number, process.parent, process.group, process.session):
      return True
    return entry in _environment(number) or belongs(process.parent)

  for number in processes:
    if belongs(number):
      yield number


def _living() -> Iterator[Tuple[int, _Process]]:
  for name in os.listdir(_PROC):
    if not name.isdigit():
      continue
    try:
      with open(os.path.join(_PROC, name, 'stat'), 'rb') as file:
        # Behind the name of the program, which may hold any character.
        fields = file.read().rpartition(b')')[2].split()
      state, parent, group, session = fields[:4]
      process = _Process(state.decode(), int(parent), int(group), int(session))
    except (OSError, ValueError):
      continue  # It has ended.
    if process.state not in 'ZXx':
      yield int(name), process


def _environment(number: int) -> bytes:
  try:
    with open(os.path.join(_PROC, str(number), 'environ'), 'rb') as file:
      return b'\0' + file.read() + b'\0'
  except OSError:
    return b''  # Of another user.
