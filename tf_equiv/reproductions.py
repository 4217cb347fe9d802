"""Offers programs that show differences, after they were seen to do so.

Each is run in a process of its own kind: the same Python with the same
packages, but without tf_equiv.
"""

import dataclasses
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import repairs
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.diagnose.reproduction import case as case_lib
from tf_equiv.diagnose.reproduction import reduction, script
from tf_equiv.report import files, repair_text, writer

_log = logging.getLogger('tf_equiv')

MAX_LINES = 60
# So many places get a program; the message lists no more of them.
MAX_PLACES = 10
_MAX_BYTES = 16 << 20
# To import TensorFlow takes seconds, on a busy machine many.
_SECONDS = 60
_SECONDS_EACH = 15
_SUFFIX = '_repro'
_REPAIRED = '--repaired'

# An error has another status than a difference.
_RUN = """
import contextlib, io, json, runpy, sys, traceback
sys.modules['tf_equiv'] = None
for path, arguments in json.loads(sys.argv[1]):
  sys.argv, status = [path, *arguments], None
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      runpy.run_path(path, run_name='__main__')
  except SystemExit as error:
    status = error.code
  except BaseException:
    traceback.print_exc()
  print(json.dumps([path, arguments, status]), flush=True)
"""


@dataclasses.dataclass
class _Written:
  """A program that was written.

  Attributes:
    place: number of its place.
    stem: path of its files without the endings.
    is_repaired: whether it has a repair.
  """

  place: int
  stem: str
  is_repaired: bool

  @property
  def path(self) -> str:
    """Path of the program."""
    return self.stem + '.py'

  def remove(self) -> None:
    """Removes its files."""
    for ending in ('.py', '.npz'):
      files.remove(self.stem + ending)


def offer(
  verdict: verdict_lib.Verdict, directory: str, seconds: float = _SECONDS
) -> tuple[repairs.Reproduction, ...]:
  """Writes programs that show the places of a verdict, and runs them.

  Args:
    verdict: of an assertion that failed.
    directory: where to write.
    seconds: how long to wait for the first of them.

  Returns:
    For each place that is known op by op, the program, or why there is none;
    nothing where the files cannot be written.
  """
  try:
    return _offer(verdict, directory, seconds)
  except Exception:  # The verdict counts for more; so does its report.
    _log.info('no program that shows a difference was made', exc_info=True)
    return ()


def _offer(
  verdict: verdict_lib.Verdict, directory: str, seconds: float
) -> tuple[repairs.Reproduction, ...]:
  found: list[repairs.Reproduction] = []
  written: list[_Written] = []
  name = writer.name_of(verdict) + _SUFFIX
  try:
    for number, place in enumerate(verdict.divergences[:MAX_PLACES], start=1):
      if place.is_large:
        found.append(_none(number, repairs.Problem.LARGE))
      if place.excerpts is None:
        continue
      made = _write(place, number, directory, name)
      if isinstance(made, _Written):
        written.append(made)
      else:
        found.append(_none(number, made))
    statuses, is_late = _statuses(written, seconds)
  except BaseException:
    for each in written:
      each.remove()
    raise
  for each in written:
    wanted = [1, 0][: 1 + each.is_repaired]
    if statuses[each.path] == wanted:
      found.append(
        repairs.Reproduction(each.place, each.path, each.is_repaired)
      )
      continue
    each.remove()
    found.append(_none(each.place, _problem(statuses[each.path], is_late)))
  return tuple(sorted(found, key=lambda each: each.place))


def _problem(statuses: Sequence[int | None], is_late: bool) -> repairs.Problem:
  """Returns why a program that ended like this is not offered."""
  if statuses[:1] == [0]:
    return repairs.Problem.AGREES
  if is_late and None not in statuses:
    return repairs.Problem.TIME
  return repairs.Problem.FAILED


def _none(place: int, problem: repairs.Problem) -> repairs.Reproduction:
  return repairs.Reproduction(place, problem=problem)


def _write(
  place: divergence_lib.Divergence, number: int, directory: str, name: str
) -> _Written | repairs.Problem:
  """Writes the program of a place, or says why there is none."""
  try:
    case = case_lib.of_excerpts(place.excerpts, place.repair)
    if case is None:
      return repairs.Problem.AGREES
    case = reduction.reduce(case)
    text = script.write(
      case,
      [_place(each) for each in (place.tf1, place.tf2)],
      repair_text.repair(place, None).partition(': ')[2],
    )
    stored = script.stored(case)
  except Exception:  # Ops of users may be anything.
    _log.info('a difference could not be made a program', exc_info=True)
    return repairs.Problem.OPS
  if text.count('\n') > MAX_LINES:
    return repairs.Problem.LONG
  if sum(value.nbytes for value in stored.values()) > _MAX_BYTES:
    return repairs.Problem.LARGE
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **stored)  # type: ignore[arg-type]
  contents = {'.py': text.encode('ascii'), '.npz': buffer.getvalue()}
  stem = files.write_together(directory, name, contents)
  return _Written(number, stem, case.repaired is not None)


def _place(place: divergence_lib.Place | None) -> str:
  """Returns an op with the place, not the text, of its line of code."""
  if place is None:
    return 'without it'
  where = place.line.partition('  ')[0]
  return f'{place}' + (f' at {where}' if where else '')


def _statuses(
  written: Sequence[_Written], seconds: float
) -> tuple[dict[str, list[int]], bool]:
  """Returns the exit statuses of programs, and whether time was up."""
  found: dict[str, list[int]] = {each.path: [] for each in written}
  if not written or not sys.executable:
    return found, False
  paths = {os.path.abspath(each.path): each.path for each in written}
  runs = [
    [os.path.abspath(each.path), arguments]
    for each in written
    for arguments in ([], [_REPAIRED])[: 1 + each.is_repaired]
  ]
  environment = {
    **os.environ,
    'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
    'TF_CPP_MIN_LOG_LEVEL': '3',
  }
  is_late = False
  try:
    done = subprocess.run(
      [sys.executable, '-W', 'ignore', '-c', _RUN, json.dumps(runs)],
      env=environment,
      stdin=subprocess.DEVNULL,
      capture_output=True,
      timeout=seconds + _SECONDS_EACH * len(runs),
    )
    output, errors = done.stdout, done.stderr
  except subprocess.TimeoutExpired as error:
    output, errors, is_late = error.stdout or b'', b'', True
  for line in output.decode('utf-8', 'replace').splitlines():
    try:
      path, _, status = json.loads(line)
      found[paths[path]].append(status)
    except (ValueError, KeyError, TypeError):  # What others print.
      continue
  if errors:
    text = errors.decode('utf-8', 'replace')
    _log.info('the programs that show differences said: %s', text)
  return found, is_late
