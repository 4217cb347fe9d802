"""Runs many validations under pytest and under Bazel; prints how fast it is.

    .venv/bin/python -m benchmarks.suite
    .venv/bin/python -m benchmarks.suite --cases=nets --filter=resnet_v1
    .venv/bin/python -m benchmarks.suite --runner=bazel --processes=4 --shards=4

A case is the validation of one migration: a network of `tf_slim.nets` with the
five steps of `benchmarks/suite_nets.py`, or one of the planted pairs of
`tests/planted` with all steps up to the one that must find its fault.

pytest-xdist, or Bazel with shards, runs the cases in several processes. Which
of them ran, and for how long, is read from what the runner itself reports:
pytest's JUnit XML, or the test.xml of each shard. A case that fails is an
error, and so is it if there are none, or if the two runners ran different ones.

Cases per minute are by wall time, with the start of the processes and their
imports, but without what `bazel build` does before. Peak memory is the largest
sum, over all processes at one time, of proportional set sizes, in which shared
memory counts once: of pytest with its workers, and of the processes that
execute tests for Bazel, without its client and its server. A process takes up
to 5 GB (VGG, OverFeat), so that two of them need a machine with 12 GB.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from xml.etree import ElementTree

from absl import app, flags

from benchmarks import processes

# As in suite.bzl.
SHARD_COUNTS = (1, 2, 4, 8, 16, 32)
_SLOWEST = 5


@dataclasses.dataclass(frozen=True)
class Cases:
  """Cases that are in one file.

  Attributes:
    prefix: what the names of their tests begin with.
    pytest: their class or file for pytest.
    bazel: the label of their test for Bazel, with a place for the shards.
  """

  prefix: str
  pytest: str
  bazel: str


CASES = {
  'nets': Cases(
    'test_net_',
    'benchmarks/suite_nets.py',
    '//benchmarks:nets_%d_shards',
  ),
  'planted': Cases(
    'test_pair_',
    'tests/planted/planted_test.py::PairsTest',
    '//benchmarks:planted_%d_shards',
  ),
}

_RUNNER = flags.DEFINE_enum(
  'runner', 'both', ['pytest', 'bazel', 'both'], 'What runs the cases.'
)
_PROCESSES = flags.DEFINE_integer(
  'processes', os.cpu_count(), 'How many run at once.', lower_bound=1
)
_CASES = flags.DEFINE_enum(
  'cases', 'all', [*CASES, 'all'], 'Networks, planted pairs, or both.'
)
_SHARDS = flags.DEFINE_enum(
  'shards', '8', list(map(str, SHARD_COUNTS)), 'Shards of each Bazel test.'
)
_FILTER = flags.DEFINE_string(
  'filter', '', 'Runs only cases with this in their names.'
)
flags.register_validator(
  'filter', re.compile(r'\w*').fullmatch, 'must be a part of a name'
)


@dataclasses.dataclass(frozen=True)
class Case:
  """A case that ran.

  Attributes:
    name: its name.
    seconds: how long it took.
    problem: the message if it failed, else ''.
  """

  name: str
  seconds: float
  problem: str = ''


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a runner did.

  Attributes:
    cases: those that ran.
    wall: wall time in seconds.
    peak: memory in MB.
    problem: what went wrong besides cases that failed, else ''.
  """

  cases: tuple[Case, ...]
  wall: float
  peak: float
  problem: str = ''


def read_xml(text: str) -> list[Case]:
  """Returns the cases that ran by a JUnit XML, without skipped ones."""
  cases = []
  for found in ElementTree.fromstring(text).iter('testcase'):
    if found.get('status') == 'notrun' or found.find('skipped') is not None:
      continue
    name = found.get('name', '')
    for kind in CASES.values():
      name = name.removeprefix(kind.prefix)
    problems = [*found.iter('failure'), *found.iter('error')]
    problem = '\n'.join(
      each.get('message') or each.text or each.tag for each in problems
    )
    cases.append(Case(name, float(found.get('time', 0)), problem))
  return cases


def read_events(lines: Iterable[str]) -> tuple[list[str], list[str]]:
  """Reads the events of a `bazel test`.

  Args:
    lines: what --build_event_json_file wrote.

  Returns:
    The paths of the test.xml of all shards, and which shards did not pass.
  """
  files, failed = [], []
  for line in lines:
    event = json.loads(line)
    if 'testResult' not in event:
      continue
    result, which = event['testResult'], event['id']['testResult']
    if result['status'] != 'PASSED':
      failed.append(
        '%s, shard %s: %s' % (which['label'], which['shard'], result['status'])
      )
    for output in result.get('testActionOutput', ()):
      if output['name'] == 'test.xml':
        path = urllib.parse.urlparse(output['uri']).path
        files.append(urllib.request.url2pathname(path))
  return files, failed


def _measured(
  command: list[str],
  environment: dict[str, str],
  members: Callable[[int], Iterable[int]],
) -> tuple[float, float, str]:
  """Runs a command; returns wall time, peak, and what it printed if it failed.

  Args:
    command: the command.
    environment: more environment variables.
    members: returns the processes that count, given that of the command.
  """
  with tempfile.TemporaryFile('w+', errors='replace') as log:
    start = time.time()
    process = subprocess.Popen(
      command,
      cwd=processes.ROOT,
      env={**os.environ, **environment},
      stdout=log,
      stderr=subprocess.STDOUT,
    )
    peak = processes.Peak(lambda: members(process.pid), processes.proportional)
    try:
      status = process.wait()
    finally:
      process.terminate()
      most = peak.stop()
    wall = time.time() - start
    log.seek(0)
    text = log.read()
  if not status:
    return wall, most, ''
  problem = '%s\nended with status %d:\n%s'
  return wall, most, problem % (' '.join(command), status, text[-5000:])


def with_pytest(kinds: list[Cases], count: int, part: str) -> Outcome:
  """Runs cases with pytest-xdist in `count` processes."""
  wanted = '(%s)' % ' or '.join(kind.prefix for kind in kinds)
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'junit.xml')
    command = [sys.executable, '-W', 'ignore', '-m', 'pytest', '-q']
    command += ['-p', 'no:cacheprovider', '--junit-xml=' + path]
    # Each case goes to the process that is free; none shares anything.
    command += ['-n', str(count), '--dist=worksteal']
    command += ['-k', ' and '.join(filter(None, (wanted, part)))]
    environment = {'TF_CPP_MIN_LOG_LEVEL': '3', 'TF_EQUIV_REPORT': 'never'}
    wall, peak, problem = _measured(
      command + [kind.pytest for kind in kinds],
      {**environment, 'PYTHONPATH': processes.ROOT},
      processes.family,
    )
    cases = []
    if os.path.exists(path):
      with open(path) as file:
        cases = read_xml(file.read())
  return Outcome(tuple(cases), wall, peak, problem)


def with_bazel(
  kinds: list[Cases], count: int, part: str, shards: int
) -> Outcome:
  """Runs cases with Bazel, `count` shards at a time."""
  labels = [kind.bazel % shards for kind in kinds]
  environment = {
    'PYTHON_BIN_PATH': os.environ.get('PYTHON_BIN_PATH', sys.executable)
  }
  _bazel(['build', *labels], environment)
  server = int(_bazel(['info', 'server_pid'], environment))
  patterns = ['*.%s*%s*' % (kind.prefix, part) for kind in kinds]
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'events.json')
    command = ['bazel', 'test', '--nocache_test_results', '--curses=no']
    command += ['--local_test_jobs=%d' % count, '--noshow_progress']
    command += ['--build_event_json_file=' + path, '--test_output=errors']
    command += ['--test_filter=' + ' '.join(patterns)]
    wall, peak, problem = _measured(
      command + labels,
      environment,
      lambda _: processes.family(server)[1:],
    )
    files, failed = [], []
    if os.path.exists(path):
      with open(path) as file:
        files, failed = read_events(file)
  cases = []
  for name in files:
    with open(name) as file:
      cases += read_xml(file.read())
  problem = '\n'.join([*failed, problem])
  return Outcome(tuple(cases), wall, peak, problem.strip())


def _bazel(arguments: list[str], environment: dict[str, str]) -> str:
  """Runs Bazel; returns what it prints."""
  try:
    done = subprocess.run(
      ['bazel', *arguments],
      cwd=processes.ROOT,
      env={**os.environ, **environment},
      capture_output=True,
      text=True,
    )
  except FileNotFoundError:
    raise SystemExit(
      'Bazel is not installed; --runner=pytest does without.'
    ) from None
  if done.returncode:
    raise SystemExit(
      'bazel %s failed:\n%s' % (' '.join(arguments), done.stderr[-5000:])
    )
  return done.stdout


def summary(name: str, outcome: Outcome) -> str:
  """Returns the lines to print about a runner.

  Args:
    name: its name.
    outcome: what it did.

  Raises:
    SystemExit: if a case failed or none ran.
  """
  problems = [
    '%s: %s' % (case.name, case.problem.splitlines()[0][:200])
    for case in outcome.cases
    if case.problem
  ]
  if problems:
    failed = '%d of %d cases failed' % (len(problems), len(outcome.cases))
    problems.insert(0, failed)
  elif not outcome.cases:
    problems.append('no case ran')
  if outcome.problem:
    problems.append(outcome.problem)
  if problems:
    raise SystemExit('%s: %s' % (name, '\n'.join(problems)))
  slowest = sorted(outcome.cases, key=lambda case: -case.seconds)[:_SLOWEST]
  return (
    '%s: %d cases in %.0f s, %.1f cases per minute, peak memory %.2f GB\n'
    '  slowest: %s'
    % (
      name,
      len(outcome.cases),
      outcome.wall,
      len(outcome.cases) / outcome.wall * 60,
      outcome.peak / 2**10,
      ', '.join('%s %.1f s' % (c.name, c.seconds) for c in slowest),
    )
  )


def check_same(outcomes: dict[str, Outcome]) -> None:
  """Raises SystemExit if runners did not run the same cases, once each."""
  ran = {
    name: sorted(case.name for case in outcome.cases)
    for name, outcome in outcomes.items()
  }
  first, *others = ran
  for other in others:
    if ran[first] != ran[other]:
      differ = set(ran[first]) ^ set(ran[other]) or 'some ran twice'
      raise SystemExit(
        '%s and %s ran different cases: %s' % (first, other, differ)
      )


def main(argv: list[str]) -> None:
  """Runs the cases that are asked for."""
  if argv[1:]:
    raise app.UsageError('unknown arguments: %s' % argv[1:])
  chosen = list(CASES) if _CASES.value == 'all' else [_CASES.value]
  kinds, count = [CASES[name] for name in chosen], _PROCESSES.value
  shards = int(_SHARDS.value)
  runners = {
    'pytest': lambda: with_pytest(kinds, count, _FILTER.value),
    'bazel': lambda: with_bazel(kinds, count, _FILTER.value, shards),
  }
  outcomes = {}
  for name, runner in runners.items():
    if _RUNNER.value in (name, 'both'):
      outcomes[name] = runner()
      how = {
        'pytest': 'pytest -n %d' % count,
        'bazel': 'bazel --local_test_jobs=%d, %d shards' % (count, shards),
      }
      print(summary(how[name], outcomes[name]), flush=True)
  check_same(outcomes)


if __name__ == '__main__':
  app.run(main)
